"""The pace of one SMSC or provider: an even sequence of places, shared by all processes, that yields to throttling.

Owns when the next submit or request may be written, and how far the rate is down after the other side said "slow
down". It knows no message, no connection and no Redis: places come from `reserve` (IStore.reserve), a few at a time.
"""

import itertools
import math
from collections import deque
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd.core.errors import StoreUnavailable, TemporaryFailure

Reserve = Callable[[str, int, float, float], Awaitable[float]]
"""`reserve(bucket, slots, interval, burst)`: the time of the first of `slots` places, `interval` seconds apart."""

CHUNK = 0.05
"""Seconds' worth of places that are asked for at once."""

MARGIN = 1.01
"""We stay one per cent under the rate: the other side's clock is not ours, and a limiter forgives nothing."""

BURST = 0.03
"""Seconds' worth of unused places that may be made up for, shared over all processes."""

LAG = 0.02
CATCH_UP = 0.93
"""A process that was late writes at most `LAG` seconds' worth at once, and then this fraction of the interval apart."""

FEW, MARGIN_OF_FEW = 10.0, 1.03
"""Under so many a second a single PDU is more than a tenth of them: nothing is made up for, and more is kept free."""

HICCUP, HICCUP_SHARE, HICCUP_RECOVERY = 0.1, 0.9, 0.1
"""Throttled once, out of the calm: a moment's pause, nine tenths of the rate, won back at a tenth a second.

A limiter with a small bucket that stood still for a moment says "slow down" to a client that kept its rate. Halving for
that would cost more than the limiter wants.
"""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
CALM = 5.0
"""Throttled again this soon after a pause: it is meant. A second and half the rate, doubled if it took nothing."""

SLOWEST = 0.01
RECOVERY = 0.02
"""Of the rate, won back each second after a real pause."""

_TOLERANCE = 0.0005
_SOON = CHUNK / 2


class Pace:
    """Gives each submit_sm its moment. `rate` is in PDUs a second, 0 for no limit but the SMSC's own."""

    log = Logger()

    def __init__(
        self, clock: IReactorTime, bucket: str, rate: float, reserve: Reserve, jitter: Callable[[], float]
    ) -> None:
        self.rate = rate
        self.throttles = 0
        self.paused_until = 0.0
        self._clock = clock
        self._bucket = bucket
        self._reserve = reserve
        self._jitter = jitter
        self._ahead: deque[Deferred[None]] = deque()
        self._queue: deque[Deferred[None]] = deque()
        self._places: deque[float] = deque()
        self._earliest = 0.0
        self._timer: IDelayedCall | None = None
        self._turning = False
        self._fetch: Deferred[None] | None = None
        self._share = 1.0
        self._ceiling = 0.0
        self._slowed_at = 0.0
        self._pause = 0.0
        self._recovery = RECOVERY
        self._released: deque[float] = deque()

    @property
    def waiting(self) -> int:
        """How many wait for their place."""
        return len(self._ahead) + len(self._queue)

    def rate_now(self) -> float:
        """PDUs a second at this moment; 0 for no limit."""
        ceiling = self.rate or self._ceiling
        if self._share >= 1.0 or not ceiling:
            return self.rate
        won_back = self._recovery * max(0.0, self._clock.seconds() - self.paused_until)
        share = self._share + won_back
        if share >= 1.0 and self.rate:
            self._share = 1.0
            return self.rate
        if share >= 4.0:
            # Without a rate of our own, what the SMSC once took is no limit for ever.
            self._share, self._ceiling = 1.0, 0.0
            return 0.0
        return ceiling * share

    def delay(self, ahead: int) -> float:
        """Seconds until a submit that has `ahead` others before it may go."""
        rate = self.rate_now()
        return max(0.0, self.paused_until - self._clock.seconds()) + (ahead / rate if rate else 0.0)

    def place(self, *, ahead: bool = False) -> Deferred[None]:
        """Fires when one submit may be written, in the order of asking; `ahead` of those who ask for no more.

        Errs with TemporaryFailure where a long pause begins meanwhile, the store gives no place, or we stop.
        """
        mine: Deferred[None] = Deferred()
        (self._ahead if ahead else self._queue).append(mine)
        self._turn()
        return mine

    def throttled(self, written_at: float) -> float:
        """The SMSC said "slow down" to a submit that was written at `written_at`: when to go on.

        Answers to submits from before the last slowing down say nothing new.
        """
        now = self._clock.seconds()
        self.throttles += 1
        if written_at < self._slowed_at:
            return self.paused_until
        current = self.rate_now()
        if not current:
            current = self._ceiling = max(1.0, float(sum(1 for at in self._released if at > now - 1.0)))
        if now >= self.paused_until + CALM:
            self._pause, share, self._recovery = HICCUP, HICCUP_SHARE, HICCUP_RECOVERY
        else:
            self._pause = min(self._pause * 2, LONGEST_PAUSE) if self._pause >= FIRST_PAUSE else FIRST_PAUSE
            share, self._recovery = 0.5, RECOVERY
        self._share = max(SLOWEST, current * share / (self.rate or self._ceiling))
        self._slowed_at = now
        self.paused_until = now + self._pause * (0.75 + 0.5 * self._jitter())
        self._turn()
        return self.paused_until

    def taken(self, written_at: float) -> None:
        """The SMSC took a submit of `written_at`: where that was after a pause, the pause was long enough."""
        if written_at > self._slowed_at:
            self._pause = 0.0

    def fail_waiting(self, failure: TemporaryFailure) -> None:
        """Whoever waits gets `failure`."""
        waiting = [*self._ahead, *self._queue]
        self._ahead.clear()
        self._queue.clear()
        for mine in waiting:
            if not mine.called:
                mine.errback(failure)

    def stop(self) -> None:
        """No place is given any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> None:
        """Give the places whose time has come; a callback that asks for the next one must not come in between."""
        if self._turning:
            return
        self._turning = True
        try:
            self._give()
        finally:
            self._turning = False

    def _give(self) -> None:
        now = self._clock.seconds()
        places = self._places
        while queue := self._ahead or self._queue:
            if queue[0].called:
                queue.popleft()
                continue
            if now < self.paused_until:
                self._wake_at(self.paused_until)
                return
            rate = self.rate_now()
            if rate:
                if not places:
                    break
                lag, catch_up = (LAG, CATCH_UP) if rate >= FEW else (0.0, 1.0)
                due = max(places[0], self._earliest, now - lag)
                if due > now + _TOLERANCE:
                    self._wake_at(due)
                    break
                places.popleft()
                self._earliest = due + catch_up * _interval(rate)
            self._released.append(now)
            while self._released[0] <= now - 1.0:
                self._released.popleft()
            queue.popleft().callback(None)
        short = self.waiting - len(places)
        if short > 0 and self._fetch is None and (not places or places[-1] < now + _SOON):
            fetch = self._fetch = Deferred.fromCoroutine(self._ask(short))
            if fetch.called:
                self._fetch = None
            fetch.addErrback(self._not_asked)

    async def _ask(self, short: int) -> None:
        rate = self.rate_now()
        if not rate:
            return
        interval = _interval(rate)
        # In a steady flow the next ones are asked for before they are needed; a place that nobody comes for is used
        # later, and a process holds no more than a chunk of them.
        since = self._clock.seconds() - CHUNK
        recent = sum(1 for _ in itertools.takewhile(lambda at: at > since, reversed(self._released)))
        slots = max(1, min(max(short, recent), math.ceil(rate * CHUNK)))
        try:
            first = await self._reserve(self._bucket, slots, interval, BURST if rate >= FEW else 0.0)
        except StoreUnavailable as error:
            self._fetch = None
            wait = self._clock.seconds() + 1.0
            self.fail_waiting(TemporaryFailure(f"no place in the rate: {error}", not_before=wait, counts=False))
            return
        self._fetch = None
        self._places.extend(first + place * interval for place in range(slots))
        # From a fresh stack: the answer may have come at once, from within a turn.
        self._wake_at(self._clock.seconds())

    def _not_asked(self, failure: Failure) -> None:
        self._fetch = None
        self.log.failure("no place could be reserved", failure=failure)
        self.fail_waiting(TemporaryFailure("no place in the rate"))

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.getTime() <= when:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(max(0.0, when - self._clock.seconds()), self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._turn()


def _interval(rate: float) -> float:
    """Seconds between two places."""
    return (MARGIN if rate >= FEW else MARGIN_OF_FEW) / rate

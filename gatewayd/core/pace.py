"""The pace of one next hop: an even sequence of moments, shared by all processes, that yields to throttling.

Owns when the next submit may be written. It knows no message, no connection and no Redis: moments come from `reserve`
(IProcesses.reserve), a few at a time; how far the rate is down is throttle.py's.
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
from gatewayd.core.line import Line
from gatewayd.core.throttle import HICCUP, Throttle

Reserve = Callable[[str, int, float, float], Awaitable[float]]
"""`reserve(bucket, slots, interval, burst)`: the first of `slots` moments that are `interval` seconds apart."""

CHUNK = 0.05
"""Seconds' worth of moments that are asked for at once."""

MARGIN = 1.01
"""We stay one per cent under the rate: the other side's clock is not ours, and a limiter forgives nothing."""

BURST = 0.03
"""Seconds' worth of unused moments that may be made up for, shared over all processes."""

LAG = 0.02
CATCH_UP = 0.93
"""A process that was late writes at most `LAG` seconds' worth at once, and then this fraction of the interval apart."""

FEW, MARGIN_OF_FEW = 10.0, 1.03
"""Under so many a second one submit is more than a tenth of them: nothing is made up for, and more is kept free."""

SAID_AGAIN = 60.0
"""Seconds between two log lines that a next hop means it when it says "slow down"."""

_TOLERANCE = 0.0005
_SOON = CHUNK / 2


class Pace:
    """Gives each submit its moment. `rate` is in submits a second, 0 for no limit but the next hop's own."""

    log = Logger()

    def __init__(
        self, clock: IReactorTime, bucket: str, rate: float, reserve: Reserve, jitter: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._bucket = bucket
        self._reserve = reserve
        self._jitter = jitter
        self._throttle = Throttle(rate)
        self._line: Line[None] = Line(clock)
        self._moments: deque[float] = deque()  # reserved and not used yet
        self._said_at = -SAID_AGAIN  # when the log said that it is throttled
        self._earliest = 0.0  # when the next one may be written, however many were missed
        self._let_go: deque[float] = deque()  # when those of the last second were
        self._timer: IDelayedCall | None = None
        self._serving = False
        self._asking: Deferred[None] | None = None

    @property
    def rate(self) -> float:
        """The configured limit in submits a second; a new one counts at once."""
        return self._throttle.rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._throttle.rate = rate

    @property
    def throttles(self) -> int:
        """How often the next hop said "slow down"."""
        return self._throttle.count

    @property
    def paused_until(self) -> float:
        """Nothing is written before then (seconds since the epoch)."""
        return self._throttle.paused_until

    @property
    def waiting(self) -> int:
        """How many wait for their moment."""
        return len(self._line)

    def rate_now(self) -> float:
        """Submits a second at this moment; 0 for no limit."""
        return self._throttle.rate_now(self._clock.seconds())

    def trouble(self) -> str:
        """How far it is down at this moment, for people; empty where it is not."""
        rate, paused = self.rate_now(), self.paused_until - self._clock.seconds()
        if paused <= 0 and rate == self.rate:
            return ""
        pace = f"{round(rate, 1):g}{f' of {self.rate:g}' if self.rate else ''} a second" if rate else "no limit"
        return f"throttled: {pace}" + (f", paused for {paused:.1f} s" if paused > 0 else "")

    def delay(self, ahead: int) -> float:
        """Seconds until a submit that has `ahead` others before it may go."""
        now, rate = self._clock.seconds(), self.rate_now()
        if rate == self.rate and now >= self.paused_until:
            return ahead / rate if rate else 0.0
        return self._throttle.seconds_for(now, ahead)

    def why_busy(self, in_line: int, what: str) -> str:
        """Why one more can't wait: the next hop said "slow down", or so many wait, `in_line` of them for a window."""
        before = in_line + self.waiting
        if not before or self.paused_until > self._clock.seconds():
            return "it said slow down"
        return f"{before} {what} wait already"

    def take_now(self) -> bool:
        """Take the moment that has come, where there is one and nobody waits for it: then one submit may be written."""
        return not self._line and self._take(self._clock.seconds())

    def moment(self, *, ahead: bool = False) -> Deferred[None]:
        """Fires when one submit may be written, in the order of asking; `ahead` of those who ask for no more.

        Errs with TemporaryFailure where a long pause begins meanwhile, the store gives no moment, or we stop.
        """
        mine = self._line.join(ahead=ahead)
        self._serve()
        return mine

    def throttled(self, written_at: float, until: float = 0.0, *, gently: bool = False) -> float:
        """The next hop said "slow down" to a submit that was written at `written_at`: when to go on.

        Not before `until`, where it named a moment.
        """
        now = self._clock.seconds()
        in_last_second = sum(1 for at in self._let_go if at > now - 1.0)
        slowed = self._throttle.slow_down(now, written_at, in_last_second, self._jitter(), gently=gently)
        self._throttle.paused_until = max(self._throttle.paused_until, until)
        if slowed and self.paused_until - now > HICCUP * 2 and now - self._said_at >= SAID_AGAIN:
            self._said_at = now
            self.log.warn('{bucket} says "slow down": {how}', bucket=self._bucket, how=self.trouble())
        self._serve()
        return self.paused_until

    def accepted(self, written_at: float) -> None:
        """The next hop accepted a submit of `written_at`."""
        self._throttle.accepted(written_at)

    def fail_waiting(self, why: Callable[[], TemporaryFailure]) -> None:
        """Whoever waits gets a failure that `why` makes."""
        self._line.fail(why)

    def stop(self) -> None:
        """No moment is given any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _serve(self) -> None:
        """Give the moments that have come; whoever gets one and asks for the next must not come in between."""
        if self._serving:
            return
        self._serving = True
        try:
            self._give()
        finally:
            self._serving = False

    def _give(self) -> None:
        now = self._clock.seconds()
        moments = self._moments
        while self._line and self._take(now):
            self._line.serve(None)
        if now < self._throttle.paused_until:
            return
        short = len(self._line) - len(moments)
        if short > 0 and self._asking is None and (not moments or moments[-1] < now + _SOON):
            asking = self._asking = Deferred.fromCoroutine(self._ask(short))
            if asking.called:
                self._asking = None
            asking.addErrback(self._not_asked)

    def _take(self, now: float) -> bool:
        """Whether the next moment has come; it is used then. Where it has not, and somebody waits, we wake for it."""
        if now < self._throttle.paused_until:
            if self._line:
                self._wake_at(self._throttle.paused_until)
            return False
        rate = self._throttle.rate_now(now)
        if rate:
            if not self._moments:
                return False
            lag, catch_up = (LAG, CATCH_UP) if rate >= FEW else (0.0, 1.0)
            due = max(self._moments[0], self._earliest, now - lag)
            if due > now + _TOLERANCE:
                if self._line:
                    self._wake_at(due)
                return False
            self._moments.popleft()
            self._earliest = due + catch_up * _interval(rate)
        self._let_go.append(now)
        while self._let_go[0] <= now - 1.0:
            self._let_go.popleft()
        return True

    async def _ask(self, short: int) -> None:
        now = self._clock.seconds()
        rate = self._throttle.rate_now(now)
        if not rate:
            return
        interval = _interval(rate)
        # In a steady flow the next ones are asked for before they are needed; a moment for which nobody comes is used
        # later, and a process holds no more than a chunk of them.
        recent = sum(1 for _ in itertools.takewhile(lambda at: at > now - CHUNK, reversed(self._let_go)))
        slots = max(1, min(max(short, recent), math.ceil(rate * CHUNK)))
        try:
            first = await self._reserve(self._bucket, slots, interval, BURST if rate >= FEW else 0.0)
        except StoreUnavailable as error:
            self._asking = None
            later, reason = self._clock.seconds() + 1.0, f"the rate that all processes share is not known: {error}"
            self.fail_waiting(lambda: TemporaryFailure(reason, not_before=later, counts=False))
            return
        self._asking = None
        self._moments.extend(first + number * interval for number in range(slots))
        # From a fresh stack: the answer may have come at once, from within `_serve`.
        self._wake_at(self._clock.seconds())

    def _not_asked(self, failure: Failure) -> None:
        self._asking = None
        self.log.failure(
            "a bug: the shared rate of {bucket} could not be asked; who waits for it is tried later",
            failure=failure,
            bucket=self._bucket,
        )
        self.fail_waiting(lambda: TemporaryFailure("the rate that all processes share is not known"))

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.getTime() <= when:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(max(0.0, when - self._clock.seconds()), self._woken)

    def _woken(self) -> None:
        self._timer = None
        self._serve()


def _interval(rate: float) -> float:
    """Seconds between two moments."""
    return (MARGIN if rate >= FEW else MARGIN_OF_FEW) / rate

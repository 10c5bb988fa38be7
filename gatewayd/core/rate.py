"""A rate for what may not wait long: few stand in line, and the others are told when to come again.

Whoever is turned away holds neither a connection nor a slot in the outbox's window, so that a slow relay or domain
keeps nobody else waiting; relays, their domains and previews are paced so. Where all may wait for their moment, and the
next hop may ask for less, it is pace.py. Must not know what is sent.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

LATEST = 60.0
"""Seconds within which those who were turned away come again, however many they are."""

_SOON = 1.0

Reserve = Callable[[str, float, float], Awaitable[tuple[bool, float]]]
"""IStore.reserve_soon: moments in an even sequence that all processes share."""

Turn = Callable[[], Awaitable[None]]


class NotNow(Exception):
    """Come back at `not_before` (seconds since the epoch). The message is not at fault and was not tried."""

    def __init__(self, reason: str, not_before: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.not_before = not_before


class OwnSequence:
    """An even sequence of moments that is this process's own: up to `burst` of them may pile up unused."""

    def __init__(self, clock: IReactorTime, burst: float = 1.0) -> None:
        self._clock = clock
        self._burst = burst
        self._next = -math.inf

    def use(self, interval: float, patience: float = 0.0) -> tuple[bool, float]:
        """The next moment, and whether it is used by this: not where it is more than `patience` seconds away."""
        now = self._clock.seconds()
        moment = max(self._next, now - interval * (self._burst - 1))
        if moment - now > patience:
            return False, moment
        self._next = moment + interval
        return True, max(moment, now)

    async def reserve(self, bucket: str, interval: float, patience: float) -> tuple[bool, float]:
        """As IStore.reserve_soon."""
        return self.use(interval, patience)


class Rate:
    """`rate` a second (0: no limit) in the sequence `bucket`; nobody waits longer than `patience` seconds.

    Without `reserve` the sequence is this process's own.
    """

    def __init__(
        self, clock: IReactorTime, bucket: str, rate: float, patience: float, reserve: Reserve | None = None
    ) -> None:
        self.limited = bool(rate)
        self._clock = clock
        self._bucket = bucket
        self._interval = 1.0 / rate if rate else 0.0
        self._patience = patience
        self._reserve = reserve or OwnSequence(clock).reserve
        self._room = math.ceil(rate * patience) + 1
        self._waiting = 0
        self._used_up_until = 0.0
        self._latest_return = 0.0

    def check(self) -> None:
        """Raises NotNow where no moment is within patience, as far as is known."""
        now = self._clock.seconds()
        if self.limited and (now < self._used_up_until or self._waiting >= self._room):
            raise self._not_now(now, max(self._used_up_until, now + _SOON))

    @contextmanager
    def line(self) -> Iterator[Turn]:
        """Stand in line; `await turn()` returns when it is one's turn. Both raise NotNow."""
        self.check()
        self._waiting += 1
        waits = True

        async def turn() -> None:
            nonlocal waits
            await self._turn()
            self._waiting -= 1
            waits = False

        try:
            yield turn
        finally:
            if waits:
                self._waiting -= 1

    async def _turn(self) -> None:
        if not self.limited:
            return
        now = self._clock.seconds()
        # Nothing is reserved from afar: moments that nobody uses would push everybody's further away, without end.
        reserved, moment = await self._reserve(self._bucket, self._interval, self._patience)
        if not reserved:
            self._used_up_until = moment - self._patience
            raise self._not_now(now, moment)
        wait = moment - self._clock.seconds()
        if wait > 0:
            await deferLater(self._clock, wait)

    def _not_now(self, now: float, first: float) -> NotNow:
        """One after the other as they can be served: all at once they would only be turned away together again."""
        comes = max(self._latest_return, first)
        if comes > max(first, now + LATEST):
            comes = first
        self._latest_return = comes + self._interval
        return NotNow("the rate is used up", comes)

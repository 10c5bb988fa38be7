"""A rate that all processes share: who may wait for a place in it, and when the others should come again.

Few wait here and nobody long: those for whom there is no place soon hold neither a connection nor a place in the
outbox's window, so that a slow relay or domain keeps no other waiting. Must not know what is sent.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.task import deferLater

from gatewayd.smtp.pacing import NotNow, Pacer

LATEST = 60.0
"""Seconds within which those who were turned away come again, however many they are."""

_SOON = 1.0

Reserve = Callable[[str, float, float], Awaitable[tuple[bool, float]]]
"""IStore.reserve_soon: places in an even sequence that all processes share."""

Turn = Callable[[], Awaitable[None]]


class Rate:
    """`rate` places a second (0: no limit) in the sequence `bucket`; nobody waits longer than `patience` seconds.

    Without `reserve` the places are this process's own.
    """

    def __init__(self, clock: Any, bucket: str, rate: float, patience: float, reserve: Reserve | None) -> None:
        self.limited = bool(rate)
        self._clock = clock
        self._bucket = bucket
        self._interval = 1.0 / rate if rate else 0.0
        self._patience = patience
        self._reserve = reserve
        self._pacer = Pacer(rate)
        self._room = math.ceil(rate * patience) + 1
        self._waiting = 0
        self._used_up_until = 0.0
        self._return = 0.0

    def check(self) -> None:
        """Raises NotNow where there is no place within patience, as far as is known."""
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
        now = self._clock.seconds()
        taken, place = await self._place(now)
        if not taken:
            self._used_up_until = place - self._patience
            raise self._not_now(now, place)
        wait = place - self._clock.seconds()
        if wait > 0:
            await deferLater(self._clock, wait)

    async def _place(self, now: float) -> tuple[bool, float]:
        """Nothing is taken from afar: places that nobody uses would push everybody's further away, without end."""
        if self._reserve is not None:
            return await self._reserve(self._bucket, self._interval, self._patience)
        try:
            return True, now + self._pacer.take(now, self._patience)
        except NotNow as late:
            return False, late.not_before

    def _not_now(self, now: float, first: float) -> NotNow:
        """One after the other as they can be served: all at once they would only be turned away together again."""
        place = max(self._return, first)
        if place > max(first, now + LATEST):
            place = first
        self._return = place + self._interval
        return NotNow("the rate is used up", place)

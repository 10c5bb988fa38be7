"""What a promise waits for: that enough replicas have all that Redis was told before it.

WAIT speaks for the writes of its own connection. So each round is a small write and a WAIT, on a connection that does
nothing else: all that was answered before the round began stands before that write in Redis' stream, and nothing queues
behind the waiting. Those who ask during a round share the next one. Knows no script and no message.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from gatewayd.core.errors import StoreUnavailable, StoreUntouched

WAIT = 1.0
"""Seconds that the replicas have: a caller of the API is answered within 5."""

PROBE = 0.5
"""Seconds between two rounds while replicas are missing."""


class Replicas:
    """`count` replicas behind one connection to the master; it ends with that connection, by `lost`.

    `ask` sends commands in one go, and gives their replies.
    """

    def __init__(self, clock: Any, count: int, ask: Callable[..., Awaitable[list[Any]]], key: str) -> None:
        self._clock = clock
        self._count = count
        self._ask = ask
        self._key = key
        self._waiting: list[Deferred[None]] = []
        self._round: Deferred[None] | None = None
        self._gone = False
        self.missing = "the replicas were not asked yet"
        self._begin()

    def check(self) -> None:
        """Raise StoreUntouched where replicas are known to be missing: then nothing need be promised, and undone."""
        if self.missing:
            raise StoreUntouched(self.missing)

    def confirmed(self) -> Deferred[None]:
        """Fire once the replicas have all that was answered so far. Fails with StoreUnavailable where they don't."""
        waiter: Deferred[None] = Deferred()
        if self._gone:
            waiter.errback(StoreUnavailable("the connection to Redis was lost"))
            return waiter
        self._waiting.append(waiter)
        self._begin()
        return waiter

    def lost(self) -> None:
        """The connection is gone: what the next server has is not known."""
        self._gone = True
        if self._round is not None:
            self._round.cancel()
        self._end(self._waiting, "the connection to Redis was lost")
        self._waiting = []

    def _begin(self) -> None:
        if self._round is None:
            self._round = running = Deferred.fromCoroutine(self._rounds())
            running.addErrback(lambda failure: failure.trap(CancelledError))
            if running.called:
                self._round = None

    async def _rounds(self) -> None:
        """Until nobody waits and nothing is missing."""
        while self._waiting or self.missing:
            asked, self._waiting = self._waiting, []
            try:
                _, have = await self._ask(("SET", self._key, "1", "EX", 60), ("WAIT", self._count, int(WAIT * 1000)))
                reason = "" if have >= self._count else f"{have} of {self._count} replicas have what Redis was told"
            except CancelledError:
                self._end(asked, "the connection to Redis was lost")
                raise
            except Exception as error:
                reason = f"the replicas could not be asked: {str(error) or type(error).__name__}"
            self.missing = reason
            self._end(asked, reason)
            if reason:
                await deferLater(self._clock, PROBE)
        self._round = None

    def _end(self, waiting: list[Deferred[None]], reason: str) -> None:
        for waiter in waiting:
            if waiter.called:
                continue
            if reason:
                waiter.errback(StoreUnavailable(reason))
            else:
                waiter.callback(None)

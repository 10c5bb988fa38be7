"""The durable queue's worker: lease what is due, do it, settle it; for messages and for reports alike.

Owns how much is in work at a time, and the end of it when the daemon stops. Must not know what the work is.
"""

from typing import Any, Generic, Protocol, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.logger import Logger

from gatewayd.core.at_most import has_ended
from gatewayd.core.drain import DRAIN, STORED
from gatewayd.core.errors import StoreUnavailable

POLL = 0.2
"""Seconds between two looks at the queue where the last one found less than it asked for."""

T = TypeVar("T")
log = Logger()


class Work(Protocol[T]):
    """What an outbox does: where due items come from, and what is done with one."""

    def key(self, item: T) -> str:
        """The id under which the item is leased."""

    async def lease(self, limit: int) -> list[T]:
        """Lease up to `limit` due items."""

    async def do(self, item: T) -> T | None:
        """Do one and settle it; the next one of the same lease, if there is one."""


class Outbox(Service, Generic[T]):
    """Keeps up to `window` items in work. An item that does not fit in stays in the store, for anybody."""

    def __init__(self, clock: Any, work: Work[T], window: int) -> None:
        self._clock = clock
        self._work = work
        self._window = window
        self._running: dict[str, Deferred[None]] = {}
        self._pump: Deferred[None] | None = None
        self._nap: Deferred[None] | None = None
        self._hungry = self._is_held_back = False
        self._began = 0.0

    def hold_back(self) -> None:
        """Begin nothing before `go_on`: what a process leases that no peer knows of is nobody's once it dies."""
        self._is_held_back = True

    def go_on(self) -> None:
        """This process has had a heartbeat."""
        self._is_held_back = False
        self._wake()

    def room(self) -> bool:
        """Whether another item would be begun at once."""
        return bool(self.running) and not self._is_held_back and len(self._running) < self._window

    def offer(self, item: T) -> None:
        """Begin an item that is leased to this instance already; a stopped outbox leaves it to the next start."""
        key = self._work.key(item)
        if key in self._running or not self.running:
            return
        self.hold(key, Deferred.fromCoroutine(self._do(item)))

    def hold(self, key: str, doing: Deferred[None]) -> None:
        """Count `key` as in work until `doing` has ended, so that nobody begins it; it stays where it is."""
        if key not in self._running and not doing.called:
            self._running[key] = doing
            doing.addBoth(self._done, key)

    def holds(self, key: str) -> bool:
        """Whether this item is in work."""
        return key in self._running

    def startService(self) -> None:
        """Begin to look for due items."""
        super().startService()  # type: ignore[no-untyped-call]
        self._began = self._clock.seconds()
        self._pump = Deferred.fromCoroutine(self._look())
        self._pump.addErrback(lambda failure: failure.trap(CancelledError))
        self._pump.addErrback(
            lambda failure: log.failure("a bug: a queue is not looked at until gatewayd is started again", failure)
        )

    def stopService(self) -> Deferred[None]:
        """Take nothing more; what is in work gets DRAIN + STORED seconds, the rest stays leased for the next start.

        The ways give up at DRAIN: a message cancelled in that moment stays marked, though nothing of it was written.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._drain())

    async def _drain(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
        waiting = list(self._running.values())
        if waiting:
            finished: Deferred[Any] = DeferredList([_shadow(doing) for doing in waiting], consumeErrors=True)
            await has_ended(finished, self._clock, DRAIN + STORED)
        for doing in list(self._running.values()):
            doing.cancel()

    def _done(self, result: Any, key: str) -> None:
        self._running.pop(key, None)
        if self._hungry and len(self._running) <= self._window // 2:
            self._wake()

    def _wake(self) -> None:
        nap, self._nap = self._nap, None
        if nap is not None:
            nap.callback(None)

    async def _do(self, item: T) -> None:
        following: T | None = item
        while following is not None:
            try:
                following = await self._work.do(following)
                if not self.running:
                    # It stays leased, as what is offered does: begun now, it might be cut off in the middle.
                    return
            except CancelledError:
                return
            except Exception:
                # The item stays leased; it comes back as a stray.
                log.failure(
                    "a bug: what became of {item} could not be stored; it comes again in a few seconds",
                    item=self._work.key(item),
                )
                return

    async def _look(self) -> None:
        while self.running:
            room = 0 if self._is_held_back else min(self._window - len(self._running), 200)
            found = 0
            if room > 0:
                try:
                    items = await self._work.lease(room)
                except CancelledError:
                    raise
                except StoreUnavailable:
                    items = []
                except Exception:
                    # The loop must go on: nobody would notice an outbox that looks no more.
                    log.failure("a bug: a look at a queue failed; the next one comes")
                    items = []
                found = len(items)
                for item in items:
                    self.offer(item)
            # Found as much as was asked for: there is more, so look again as soon as half of the window is free.
            self._hungry = found >= room and not self._is_held_back
            if self._hungry and len(self._running) <= self._window // 2:
                await self._sleep(0)
            else:
                # Outboxes that were started together look together: their questions to the store share a call.
                passed = self._clock.seconds() - self._began
                await self._sleep((round(passed / POLL) + 1) * POLL - passed)

    async def _sleep(self, seconds: float) -> None:
        nap: Deferred[None] = Deferred(lambda _: call.cancel())
        self._nap = nap
        call = self._clock.callLater(seconds, lambda: None if nap.called else nap.callback(None))
        try:
            await nap
        finally:
            self._nap = None
            if call.active():
                call.cancel()


def _shadow(doing: Deferred[None]) -> Deferred[None]:
    shadow: Deferred[None] = Deferred()

    def pass_on(result: Any) -> Any:
        if not shadow.called:
            shadow.callback(None)
        return result

    doing.addBoth(pass_on)
    return shadow

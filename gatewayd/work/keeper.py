"""Keeps this instance's leases alive and takes over those of the dead.

One heartbeat for each instance, no renewal for each message. Also the small regular chores on the store: what was
paused and may go on, receipts that wait for their message, leases that a lost reply left behind.
"""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import EvidenceSink, IStore
from gatewayd.core.model import Channel
from gatewayd.work.outbox import Outbox

BEAT = 1.0
DEAD_AFTER = 15.0
STRAY_AFTER = 3.0
STEADY = 5.0
"""Seconds: between heartbeats; without one until peers take the leases; a lease may be held without being in work; and
how long our own heartbeats must have gone without a gap before we believe that a peer's have ended: after an outage of
Redis nobody's are there yet."""

SWEEPS = 20
"""Steps of a sweep in one heartbeat: a million messages that were paused must not keep us from the next beat."""


class Keeper(Service):
    """Begins by taking back what a former process of this name had leased.

    `on_usurped` is called once another process uses this instance's name: two of a name would send twice.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        store: IStore,
        boot: str,
        outboxes: Mapping[str, Outbox[Any]],
        *,
        on_paused: Callable[[frozenset[tuple[str, Channel]]], None],
        evidence: EvidenceSink,
        on_usurped: Callable[[], None],
        instance: str,
    ) -> None:
        self._clock = clock
        self._store = store
        self._boot = boot
        self._outboxes = outboxes
        self._on_paused = on_paused
        self._evidence = evidence
        self._on_usurped = on_usurped
        self._instance = instance
        self._first = True
        self._began = 0.0
        self._last_beat = self._steady_since = 0.0
        self._loop: LoopingCall | None = None
        self._beating: Deferred[None] | None = None

    def startService(self) -> None:
        """Begin to beat."""
        super().startService()  # type: ignore[no-untyped-call]
        self._began = self._clock.seconds()
        self._loop = LoopingCall(self._beat)
        self._loop.clock = self._clock
        self._loop.start(BEAT).addErrback(lambda failure: self.log.failure("the heartbeat ended", failure))

    def stopService(self) -> Deferred[None] | None:
        """Stop beating: peers take over after DEAD_AFTER what is still leased, our successor at once."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop is not None and self._loop.running:
            self._loop.stop()
        return self._beating

    def _beat(self) -> Deferred[None]:
        self._beating = beating = Deferred.fromCoroutine(self._chores())
        beating.addErrback(lambda failure: failure.trap(StoreUnavailable, CancelledError))
        beating.addErrback(lambda failure: self.log.failure("a heartbeat failed", failure))
        return beating

    async def _chores(self) -> None:
        ours, dead, paused = await self._store.beat(self._boot, first=self._first, dead_after=DEAD_AFTER)
        if not ours:
            self.log.critical("another process uses the instance name {instance}: stopping", instance=self._instance)
            self._on_usurped()
            return
        if self._first:
            # What this process leased since is in work already: given back, a peer would tell it a second time.
            await self._take_over(self._instance, before=self._began)
            self._first = False
        self._on_paused(paused)
        if self._is_steady(self._clock.seconds()):
            for peer in dead:
                await self._take_over(peer)
        for _ in range(SWEEPS):
            if not await self._store.requeue_set_aside():
                break
        await self._give_back_strays()
        await self._look_at_parked()

    def _is_steady(self, now: float) -> bool:
        if now - self._last_beat > 3 * BEAT:
            self._steady_since = now
        self._last_beat = now
        return now - self._steady_since >= STEADY

    async def _take_over(self, instance: str, before: float = 0.0) -> None:
        moved = await self._store.recover(instance, before=before)
        if moved or instance != self._instance:
            self.log.warn("took over {moved} leases of {instance}", moved=moved, instance=instance)

    async def _give_back_strays(self) -> None:
        for kind, outbox in self._outboxes.items():
            for message_id in await self._store.stray_leases(kind, STRAY_AFTER):
                if not outbox.holds(message_id):
                    await self._store.release(kind, message_id)

    async def _look_at_parked(self) -> None:
        due, orphans = await self._store.parked_receipts(200)
        for receipt in due:
            await self._evidence.look_again(receipt)
        for receipt in orphans:
            self._evidence.give_up(receipt)

"""Keeps this instance's leases alive and takes over those of the dead.

One heartbeat for each instance, no renewal for each message. Also the small regular chores on the store: what was
paused and may go on, receipts that wait for their message, leases that a lost reply left behind.
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, FirstError, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import EvidenceSink, IStore
from gatewayd.core.model import Channel
from gatewayd.work.marks import Marks
from gatewayd.work.outbox import Outbox

BEAT = 1.0
DEAD_AFTER = 15.0
STRAY_AFTER = 3.0
"""Seconds: between heartbeats; without one until peers take the leases; a lease may be held without being in work."""

SWEEPS = 20
PARKED = 200
"""Steps of a sweep, and receipts that are looked up again, in one round of chores: each round is a part of a second."""


class Keeper(Service):
    """Begins by taking back what a former process of this name had leased. Until its first heartbeat nothing is begun.

    `on_usurped` is called once another process uses this instance's name: two of a name would send twice.
    """

    log = Logger()

    def __init__(
        self,
        clock: Any,
        store: IStore,
        outboxes: Mapping[str, Outbox[Any]],
        *,
        on_paused: Callable[[frozenset[tuple[str, Channel]]], None],
        evidence: EvidenceSink,
        marks: Marks,
        on_usurped: Callable[[], None],
        instance: str,
    ) -> None:
        self._clock = clock
        self._store = store
        self._outboxes = outboxes
        self._on_paused = on_paused
        self._evidence = evidence
        self._marks = marks
        self._on_usurped = on_usurped
        self._instance = instance
        self._first = True
        self._began = 0.0
        self._is_ours = self._has_recovered = self._usurped = False
        self._dead: Sequence[str] = ()
        self._loops: list[LoopingCall] = []
        self._running: dict[str, Deferred[None]] = {}
        for outbox in outboxes.values():
            outbox.hold_back()

    def startService(self) -> None:
        """Begin to beat, and with the chores."""
        super().startService()  # type: ignore[no-untyped-call]
        self._began = self._clock.seconds()
        # Each for itself: a heartbeat that waited for chores made peers take a living process' leases.
        for name, work in (("heartbeat", self._beat), ("chores", self._chores)):
            loop = LoopingCall(self._run, name, work)
            loop.clock = self._clock
            self._loops.append(loop)
            loop.start(BEAT).addErrback(
                lambda failure: self.log.failure(
                    "a bug: the heartbeat or the chores have ended until gatewayd is started again", failure
                )
            )

    def stopService(self) -> Deferred[Any]:
        """Stop beating: peers take over after DEAD_AFTER what is still leased, our successor at once."""
        super().stopService()  # type: ignore[no-untyped-call]
        loops, self._loops = self._loops, []
        for loop in loops:
            if loop.running:
                loop.stop()
        return DeferredList(list(self._running.values()))

    def _run(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> Deferred[None]:
        running = Deferred.fromCoroutine(work())
        self._running[name] = running
        running.addErrback(lambda failure: failure.trap(StoreUnavailable, CancelledError))
        running.addErrback(
            lambda failure: self.log.failure(
                "a bug: the {name} of this process failed; the next comes in a second", failure, name=name
            )
        )
        return running

    async def _beat(self) -> None:
        if self._usurped:
            return
        ours, dead, paused = await self._store.beat(first=self._first, dead_after=DEAD_AFTER)
        self._is_ours = ours
        if not ours:
            self._usurped = True
            self.log.critical("another process uses the instance name {instance}: stopping", instance=self._instance)
            self._on_usurped()
            return
        if self._first:
            for outbox in self._outboxes.values():
                outbox.go_on()
        self._first, self._dead = False, dead
        self._on_paused(paused)
        if not self._has_recovered:
            # What this process leased since is in work already: given back, a peer would tell it a second time.
            await self._take_over(self._instance, before=self._began)
            self._has_recovered = True

    async def _chores(self) -> None:
        if not self._is_ours or not self._has_recovered:
            return
        await self._store.come_forward()
        if since := self._store.forgotten_since():
            await self._marks.restate(since)
        dead, self._dead = self._dead, ()
        for peer in dead:
            await self._take_over(peer)
        for _ in range(SWEEPS):
            if not await self._store.requeue_set_aside():
                break
        await self._give_back_strays()
        await self._look_at_parked()

    async def _take_over(self, instance: str, before: float = 0.0) -> None:
        moved = await self._store.recover(instance, before=before)
        if moved:
            self.log.warn("took over {moved} leases of {instance}", moved=moved, instance=instance)

    async def _give_back_strays(self) -> None:
        for kind, outbox in self._outboxes.items():
            held = await self._store.stray_leases(kind, STRAY_AFTER)
            await self._together(
                self._store.release(kind, one, age=STRAY_AFTER) for one in held if not outbox.holds(one)
            )

    async def _look_at_parked(self) -> None:
        due, orphans = await self._store.parked_receipts(PARKED)
        await self._together(self._evidence.look_again(receipt) for receipt in due)
        for receipt in orphans:
            self._evidence.give_up(receipt)

    async def _together(self, work: Iterable[Coroutine[Any, Any, None]]) -> None:
        """All at once: what is asked of the store in one turn of the reactor is one call to it."""
        try:
            await gatherResults([Deferred.fromCoroutine(one) for one in work], consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()

"""Keeps this instance's leases alive, and takes over those of the dead.

Owns when this is done, and what becomes of a failure; what a heartbeat is stands in presence.py, the rest in chores.py.
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import EvidenceSink, IStore
from gatewayd.core.model import Channel
from gatewayd.work.chores import Chores
from gatewayd.work.marks import Marks
from gatewayd.work.outbox import Outbox
from gatewayd.work.presence import Presence
from gatewayd.work.statuses import RecentStatuses

BEAT = 1.0
"""Seconds between heartbeats, and between rounds of chores."""


class Keeper(Service):
    """The heartbeat and the chores of one instance, which never wait for each other. Callables: see Presence."""

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
        statuses: RecentStatuses,
        on_usurped: Callable[[], None],
        instance: str,
    ) -> None:
        self._clock = clock
        self._presence = Presence(store, outboxes, on_paused=on_paused, on_usurped=on_usurped, instance=instance)
        self._chores = Chores(store, outboxes, self._presence, evidence=evidence, marks=marks, statuses=statuses)
        self._loops: list[LoopingCall] = []
        self._running: dict[str, Deferred[None]] = {}

    def startService(self) -> None:
        """Begin to beat, and with the chores."""
        super().startService()  # type: ignore[no-untyped-call]
        self._presence.begin(self._clock.seconds())
        # Each for itself: a heartbeat that waited for chores made peers take a living process' leases.
        for name, work in (("heartbeat", self._presence.beat), ("chores", self._chores.do)):
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

"""That a guard was lifted by way of another process is learnt here without a request, too: what is said of it ends."""

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from gatewayd.core.errors import StoreUnavailable
from gatewayd.intake.guard import IntakeGuard

EVERY = 5.0
"""Seconds between two looks: /readyz is to follow within 10."""

log = Logger()


class GuardWatch(Service):
    """Asks the store every few seconds, while a label is over its rate, whether its guard is lifted."""

    def __init__(self, clock: Any, guard: IntakeGuard) -> None:
        self._guard = guard
        self._loop = LoopingCall(self._look)
        self._loop.clock = clock
        self._looking: Deferred[None] | None = None

    def startService(self) -> None:
        """Begin to look."""
        super().startService()  # type: ignore[no-untyped-call]
        self._loop.start(EVERY).addErrback(lambda failure: log.failure("looking at guards has stopped", failure))

    def stopService(self) -> None:
        """End."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop.running:
            self._loop.stop()
        if self._looking is not None:
            self._looking.cancel()

    def _look(self) -> Deferred[None]:
        self._looking = looking = Deferred.fromCoroutine(self._guard.forget_lifted())
        # A Redis that is away is said elsewhere; the next look asks again.
        looking.addErrback(lambda failure: failure.trap(StoreUnavailable, CancelledError))
        return looking

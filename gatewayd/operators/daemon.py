"""How the process begins, is signalled and ends: the signals, READY for systemd, and the order of a drain.

Knows no part but by the service that it is.
"""

import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.logger import ILogObserver, Logger

from gatewayd.core.at_most import has_ended
from gatewayd.core.drain import AT_LEAST, IN_ALL
from gatewayd.core.lateness import LATE
from gatewayd.operators.log import Observer
from gatewayd.operators.systemd import notify

log = Logger()


def end(reactor: Any) -> bool:
    """Begin to drain; false where that has begun: a signal and a successor of our name may come in either order."""
    try:
        reactor.stop()
    except ReactorNotRunning:
        return False
    return True


class Daemon(MultiService):
    """Its parts, started in the order of `parts` and stopped in the reverse order.

    `together` has kinds of parts that are stopped first and at once, one kind after the other, and by which second
    behind the signal the next kind is begun, whether these have ended or not: each may take its whole time, and one
    after the other they would outlast the 20 s that a stop has; nobody is waited for longer.
    `draining` is called before, `closing` awaited after; `reload` is what SIGHUP asks for. `failing` is called where
    the process ends because it can't go on: its exit status is to say so. `environ` is where systemd named its socket.
    """

    def __init__(
        self,
        reactor: Any,
        environ: Mapping[str, str],
        parts: Sequence[Service],
        *,
        name: str,
        together: Sequence[tuple[tuple[type[Service], ...], float]],
        draining: Callable[[], None],
        closing: Callable[[], Awaitable[None]],
        reload: Callable[[], None],
        failing: Callable[[], object],
        observer: Observer | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._environ = environ
        self._name = name
        self._together = together
        self._draining = draining
        self._closing = closing
        self._reload = reload
        self._failing = failing
        self._observer = observer
        self._ending = False
        self._has_no_memory = False
        self.starter_waits = False  # whether twistd goes to the background, and who ran it waits for how the start went
        self._began = 0.0  # the stop, in seconds since the epoch; later by what the process slept meanwhile
        if observer is not None:
            observer.on_no_memory = self._begin_anew
        for part in parts:
            part.setServiceParent(self)

    def setServiceParent(self, parent: Any) -> None:
        """Besides, give the application our log format."""
        if self._observer is not None and hasattr(parent, "setComponent"):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def privilegedStartService(self) -> None:
        """Open the ports while low ones may still be opened; where one can't be had, the log says so and all ends."""
        try:
            super().privilegedStartService()  # type: ignore[no-untyped-call]
        except CannotListenError:
            if self.starter_waits:
                # twistd tells it of an exception, and without one lets it wait for ever. Why stands in the log already.
                sys.excepthook = lambda *_: None
                raise
            raise SystemExit(1) from None

    def startService(self) -> None:
        """Start all parts; take the signals once the reactor, which takes them first, runs."""
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(self._run)

    def _run(self) -> None:
        # twistd would end by the signal that stopped it; a drained daemon exits with 0.
        signal.signal(signal.SIGTERM, lambda *_: self._reactor.callFromThread(self._terminate))
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._hang_up))
        # The plug-in lets it wait until now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        log.info("{name}", name=self._name)
        # What stands now stays: looking for cycles in it, every few messages, was a tenth of all CPU.
        gc.collect()
        gc.freeze()
        # Each look holds up whoever asks: 5 ms for this many objects, and a message leaves none that it must find.
        gc.set_threshold(15_000, 60, 50)
        notify("READY=1", self._environ)

    def _terminate(self) -> None:
        if not end(self._reactor):
            log.info("draining already; SIGKILL would end it at once, and lose the answers it waits for")

    def _begin_anew(self) -> None:
        """Whatever failed for want of memory may have left others waiting for it, for ever: a new process is sound."""
        # Any thread may have logged it.
        if not self._has_no_memory:
            self._has_no_memory = True
            log.critical("no memory was left (ulimit -v, vm.overcommit_memory): draining, to be started again")
            self._failing()
            self._reactor.callFromThread(end, self._reactor)

    def _hang_up(self) -> None:
        if not self._ending:
            self._reload()

    def stopService(self) -> Deferred[None]:
        """Drain: no new work, then what runs finishes, then the links unbind, Redis last."""
        notify("STOPPING=1\nSTATUS=draining: what is on the wire gets its answer", self._environ)
        self._ending = True
        self._draining()
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._began = self._reactor.seconds()
        left = list(reversed(list(self)))
        ending: list[Deferred[None]] = []
        for kinds, by in self._together:
            at_once = [part for part in left if isinstance(part, kinds)]
            left = [part for part in left if part not in at_once]
            ending += [Deferred.fromCoroutine(_stopped(part)) for part in at_once]
            await self._ended(ending, by)
        for part in left:
            await self._ended([Deferred.fromCoroutine(_stopped(part))], IN_ALL)
        await self._ended([Deferred.fromCoroutine(_closed(self._closing))], IN_ALL)
        if self._observer is not None:
            # Nobody asks it for these any more.
            self._observer.close()
        log.info("gatewayd has stopped")

    async def _ended(self, ending: Sequence[Deferred[None]], by: float) -> None:
        """Once all have ended, or `by` seconds behind the signal: a Redis that is silent keeps some from it, and their
        limits add up.

        What has not ended then goes on until the process exits; cancelled, it would not say goodbye.
        """
        over: Deferred[None] = Deferred()
        DeferredList(ending).addCallback(lambda _: None if over.called else over.callback(None))
        now = self._reactor.seconds()
        until = max(self._began + by, now + AT_LEAST)
        await has_ended(over, self._reactor, until - now)
        late = self._reactor.seconds() - until
        if late > LATE:
            # While the process was stopped nobody could end.
            self._began += late


async def _closed(closing: Callable[[], Awaitable[None]]) -> None:
    try:
        await closing()
    except Exception:
        log.failure("what is no part did not close cleanly")


async def _stopped(part: Service) -> None:
    try:
        stopping = part.stopService()
        if stopping is not None:
            await stopping
    except Exception:
        log.failure("{part} did not stop cleanly", part=type(part).__name__)

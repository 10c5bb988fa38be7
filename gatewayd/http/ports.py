"""Opening ports from Twisted endpoint strings, shared between processes where the configuration wants it, and closing
them before what they serve has drained.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.tcp import makeBinding
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from gatewayd.http.certificates import ShownCertificate
from gatewayd.http.newcomers import fetch_all, fetch_the_last

# mypy: disallow-untyped-calls=False

BACKLOG = 4096
"""Connections that may wait to be accepted, as far as the kernel allows (net.core.somaxconn). Who finds the queue full
comes again after 1, 3, 7, 15 and 31 s, and nobody here knows of it; who is in the queue can be told to try again."""

SAY_AGAIN = 60.0
"""Seconds between two log lines about connections that could not be accepted."""


@implementer(ILogObserver)
class _OneOfAFlood:
    """Says once a minute that connections can't be accepted, and not for each of them; a port logs nothing else."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._said_at = -SAY_AGAIN

    def __call__(self, event: LogEvent) -> None:
        now = self._clock.seconds()
        if now - self._said_at >= SAY_AGAIN:
            self._said_at = now
            text = formatEvent(event)
            if "EMFILE" in text:
                text = "this process has as many files open as it may (LimitNOFILE)"
            Listener.log.error("connections could not be accepted: {reason}", reason=text)


class _SharedPorts:
    """A reactor whose TCP listeners get SO_REUSEPORT where `reuse_port` says so, and a backlog fit for bursts.

    `showing` is given what a TLS listener was to show, and gives what it does show.
    """

    def __init__(self, reactor: Any, *, reuse_port: bool, socket_mode: int, showing: Callable[[Any], Any]) -> None:
        self._reactor = reactor
        self._reuse_port = reuse_port
        self._socket_mode = socket_mode
        self._showing = showing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def _binding(self, port: int, interface: str) -> Any:
        return makeBinding(interface, port, reuseAddress=True, reusePort=self._reuse_port)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> IListeningPort:
        binding = self._binding(port, interface)
        found: IListeningPort = self._reactor.listenTCP(
            binding, factory, backlog=max(backlog, BACKLOG), interface=interface
        )
        return found

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: bool = False
    ) -> IListeningPort:
        _remove_what_died(address)
        found: IListeningPort = self._reactor.listenUNIX(
            address,
            factory,
            backlog=max(backlog, BACKLOG),
            mode=mode & self._socket_mode,
            wantPID=wantPID,
        )
        return found

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        binding = self._binding(port, interface)
        found: IListeningPort = self._reactor.listenSSL(
            binding, factory, self._showing(contextFactory), backlog=max(backlog, BACKLOG), interface=interface
        )
        return found


def _remove_what_died(address: str) -> None:
    """Remove the unix socket, and Twisted's lock beside it, that a killed process left there.

    Twisted asks whether the process that the lock names lives. By now that may be another one, and in a container,
    where ids begin anew, it is ourselves. Whether somebody listens tells it.
    """
    with socket(AF_UNIX) as knocking:
        knocking.setblocking(False)
        try:
            knocking.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        except OSError:
            return
        else:
            return
    path = Path(address)
    Path(f"{address}.lock").unlink(missing_ok=True)
    if path.is_socket():
        path.unlink(missing_ok=True)


def listen(
    reactor: Any,
    description: str,
    factory: Any,
    *,
    reuse_port: bool = False,
    socket_mode: int = 0o666,
    showing: Callable[[Any], Any] = lambda options: options,
) -> Deferred[IListeningPort]:
    """Open the port that a Twisted server endpoint string describes. Raises CannotListenError.

    With `reuse_port` several processes share it, if it is a TCP or TLS one (SO_REUSEPORT). A unix socket's mode
    is the description's, and no more than `socket_mode`. `showing` makes of Twisted's TLS options what a TLS one shows.
    """
    ports = _SharedPorts(reactor, reuse_port=reuse_port, socket_mode=socket_mode, showing=showing)
    try:
        endpoint = serverFromString(ports, description)
    except LookupError:
        # Twisted's systemd: looks it up among those that were inherited.
        raise CannotListenError(None, None, "systemd handed no such socket to this process") from None
    opening: Deferred[IListeningPort] = endpoint.listen(factory)

    def quiet(port: Any) -> IListeningPort:
        # Twisted says of each connection that it must drop at the file limit that it does, in two lines.
        port._logger = Logger(namespace=__name__, observer=_OneOfAFlood(reactor))
        if hasattr(factory, "has_no_time"):
            fetch_all(port, factory)
            if port.socket.family == AF_UNIX:
                factory.measure_looks()
        opened: IListeningPort = port
        return opened

    return opening.addCallbacks(quiet, _not_there)


def _not_there(failure: Failure) -> IListeningPort:
    """Twisted wants a lock beside a unix socket, and what keeps it from that it leaves as it is."""
    error: Any = failure.value
    if not isinstance(error, OSError):
        failure.raiseException()
    raise CannotListenError(None, None, f"{error.strerror} (its directory, and the lock beside it)") from None


class Drainable(Protocol):
    """What a Listener serves: a factory that can wait until nobody is being answered any more."""

    draining: bool

    async def drain(self, limit: float) -> None:
        """Return once the last answer has left, after `limit` seconds at the latest."""


class Listener(Service):
    """The ports of one site: all open from start, or the start fails; on stop they close first, then the site drains.

    `drain_limit` is in seconds: as long as the slowest answer may take. `ports` are the open ones, `certificates` what
    those with TLS show.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        descriptions: Sequence[str],
        site: Drainable,
        *,
        reuse_port: bool = False,
        socket_mode: int = 0o666,
        drain_limit: float = 5.0,
    ) -> None:
        self._reactor = reactor
        self._descriptions = tuple(descriptions)
        self._site = site
        self._reuse_port = reuse_port
        self._socket_mode = socket_mode
        self._drain_limit = drain_limit
        self.ports: list[IListeningPort] = []
        self.certificates: list[ShownCertificate] = []

    def privilegedStartService(self) -> None:
        """Bind while the process may still bind low ports."""
        super().privilegedStartService()
        self._open()

    def startService(self) -> None:
        """Bind, if that wasn't done yet. Raises CannotListenError, and logs what it could not listen on."""
        super().startService()
        self._open()

    def _open(self) -> None:
        if self.ports:
            return
        self._site.draining = False
        for description in self._descriptions:
            failed: list[Failure] = []
            opening = maybeDeferred(
                listen,
                self._reactor,
                description,
                self._site,
                reuse_port=self._reuse_port,
                socket_mode=self._socket_mode,
                showing=partial(self._show, description),
            )
            opening.addCallbacks(self.ports.append, failed.append)
            if failed:
                error: Any = failed[0].value
                reason = getattr(error, "socketError", error)
                self.log.critical("can't listen on {endpoint}: {reason}", endpoint=description, reason=str(reason))
                failed[0].raiseException()
            self.log.info("listening on {endpoint}", endpoint=description)

    def _show(self, description: str, options: Any) -> ShownCertificate:
        self.certificates.append(ShownCertificate(description, options))
        return self.certificates[-1]

    def stopService(self) -> Deferred[None]:
        """Close the ports, let running requests be answered; fires when the last answer has left."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        ports, self.ports = self.ports, []
        self.certificates = []
        for description, port in zip(self._descriptions, ports, strict=True):
            # Who waits at a socket of systemd's is served by the next process.
            if not description.startswith("systemd:"):
                fetch_the_last(port)
        await DeferredList([maybeDeferred(port.stopListening) for port in ports], consumeErrors=True)
        await self._site.drain(self._drain_limit)

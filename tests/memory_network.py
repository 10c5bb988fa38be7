"""A network in memory for the HTTP client: a reactor with names, and connections whose other end is the test."""

from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHostnameResolver, IReactorPluggableNameResolver
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IHostnameResolver)
class Names:
    """Resolves every name to the same addresses."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    def resolveHostName(self, receiver: Any, hostName: str, portNumber: int = 0, *rest: Any) -> Any:
        """Answers at once."""
        receiver.resolutionBegan(None)
        for address in self.addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, portNumber))
        receiver.resolutionComplete()


@implementer(IHostnameResolver)
class SlowNames(Names):
    """Resolves when it is told to; `asked` are the names, each as often as it was really looked up."""

    def __init__(self, *addresses: str) -> None:
        super().__init__(*addresses)
        self.asked: list[str] = []
        self._receivers: list[tuple[Any, str, int]] = []

    def resolveHostName(self, receiver: Any, hostName: str, portNumber: int = 0, *rest: Any) -> Any:
        """Not yet."""
        self.asked.append(hostName)
        self._receivers.append((receiver, hostName, portNumber))

    def answer(self) -> None:
        """Now."""
        receivers, self._receivers = self._receivers, []
        for asked in receivers:
            super().resolveHostName(*asked)


@implementer(IReactorPluggableNameResolver)
class Reactor(MemoryReactorClock):
    """A reactor over memory, with names; `latest` is our end of the connection that was taken last."""

    latest: "Transport"

    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self.nameResolver: Any = Names(*addresses or ("1.1.1.1",))

    def installNameResolver(self, resolver: Any) -> Any:
        """Not needed."""

    def refuse(self, number: int = -1) -> None:
        """The peer refuses a connection."""
        _, _, factory, _, _ = self.tcpClients[number]
        factory.clientConnectionFailed(self.connectors[number], Failure(error.ConnectionRefusedError()))
        self.advance(0.4)  # HostnameEndpoint looks for another address first

    def until_tried(self) -> None:
        """Let time pass until another connection is tried; for longer than a minute that is a mistake."""
        before = len(self.tcpClients)
        for _ in range(600):
            if len(self.tcpClients) > before:
                return
            self.advance(0.1)
        raise AssertionError("no connection was tried")

    def connect(self, number: int = -1) -> tuple[Any, StringTransport]:
        """The peer takes a connection."""
        host, port, factory, _, _ = self.tcpClients[number]
        protocol = factory.buildProtocol(IPv4Address("TCP", host, port))
        transport = self.latest = Transport(peerAddress=IPv4Address("TCP", host, port))
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return protocol, transport


class Transport(StringTransport):
    """Tells its protocol that it was closed, as a real one does."""

    protocol: Any = None

    def abortConnection(self) -> None:
        """Closes at once."""
        super().abortConnection()
        self.closed()

    def closed(self) -> None:
        """The connection is gone."""
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(Failure(error.ConnectionDone()))

"""Sites on a reactor of their own, which goes on turn by turn, and real connections to them."""

import socket
from collections.abc import Iterable
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from gatewayd.http.door import Answer
from gatewayd.http.kernel import has_spoken
from gatewayd.http.site import Site

REQUEST = b"GET / HTTP/1.1\r\nHost: gw\r\n\r\n"


class OwnReactor:
    """A reactor, and what listens on it."""

    def __init__(self) -> None:
        self.reactor = EPollReactor()
        self.epoll = self.reactor._poller
        self.crowds: list[Callers] = []

    def callers(self, count: int) -> "Callers":
        """One more site, with so many of them."""
        self.crowds.append(Callers(self.reactor, count))
        return self.crowds[-1]

    def close(self) -> None:
        """All of it."""
        for crowd in self.crowds:
            crowd.close()
        for reader in self.reactor.removeAll():
            reader.connectionLost(Failure(ConnectionDone()))
        self.epoll.close()


class Callers:
    """Connections to one site's port."""

    def __init__(self, reactor: EPollReactor, count: int) -> None:
        self.reactor = reactor
        self.site = Site(reactor, lambda _: Answer(b"yes"), most=count)
        self.port: Any = reactor.listenTCP(0, self.site, interface="127.0.0.1")
        self.sockets: dict[int, socket.socket] = {}
        for _ in range(count):
            caller = socket.create_connection(("127.0.0.1", self.port.getHost().port), 60)
            self.sockets[caller.getsockname()[1]] = caller
            while len(self.site.crowd.connections) < len(self.sockets):
                reactor.iterate(0)

    def ask(self, callers: Iterable[int]) -> None:
        """Each of these asks, and the kernel has it."""
        asking = set(callers)
        for caller in asking:
            self.sockets[caller].sendall(REQUEST)
        for connection in self.site.crowd.connections:
            while connection.transport.getPeer().port in asking and not has_spoken(connection.bare):
                pass

    def answered(self) -> dict[int, int]:
        """How often each was answered."""
        return {one.transport.getPeer().port: one.served for one in self.site.crowd.connections}

    def all_are_answered(self) -> None:
        """Go on until each was, once more than before."""
        before = self.answered()
        self.ask(self.sockets)
        while any(count == before[caller] for caller, count in self.answered().items()):
            self.reactor.iterate(0)

    def close(self) -> None:
        """The site stops, and all connections to it are gone."""
        self.port.stopListening()
        for connection in self.site.crowd.connections:
            connection.abort()
        while self.site.crowd.connections or self.port.connected:
            self.reactor.iterate(0)
        for caller in self.sockets.values():
            caller.close()

"""Opening ports from Twisted endpoint strings, shared between processes where the configuration wants it."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.internet.tcp import makeBinding

BACKLOG = 1024
"""Connections that may wait to be accepted; Twisted's 50 loses a burst of callers who connect for each request."""


class _SharedPorts:
    """A reactor whose TCP listeners get SO_REUSEPORT where `reuse_port` says so, and a backlog fit for bursts."""

    def __init__(self, reactor: Any, *, reuse_port: bool) -> None:
        self._reactor = reactor
        self._reuse_port = reuse_port

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

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        binding = self._binding(port, interface)
        found: IListeningPort = self._reactor.listenSSL(
            binding, factory, contextFactory, backlog=max(backlog, BACKLOG), interface=interface
        )
        return found


def listen(reactor: Any, description: str, factory: Any, *, reuse_port: bool = False) -> Deferred[IListeningPort]:
    """Open the port that a Twisted server endpoint string describes.

    With `reuse_port` several processes share it, if it is a TCP or TLS one (SO_REUSEPORT).
    """
    endpoint = serverFromString(_SharedPorts(reactor, reuse_port=reuse_port), description)
    opening: Deferred[IListeningPort] = endpoint.listen(factory)
    return opening

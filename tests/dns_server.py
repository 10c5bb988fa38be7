"""A DNS server on loopback that answers from a table, and the resolver that asks it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.names import dns
from twisted.names.error import DomainError
from twisted.names.server import DNSServerFactory

from gatewayd.check.dns import Resolver

Table = dict[tuple[str, int], Any]
"""Records by name and type; a name without any is unknown."""


class Zone:
    """Knows these names and no others."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def query(self, question: Any, timeout: Any = None) -> Deferred[Any]:
        """As twisted.names.resolve."""
        name = str(question.name)
        if not any(known == name for known, _ in self._table):
            return fail(DomainError(name))
        payload = self._table.get((name, question.type))
        return succeed(([dns.RRHeader(name, question.type, payload=payload, ttl=1)] if payload else [], [], []))


@contextmanager
def serving(table: Table) -> Iterator[Resolver]:
    """Over UDP, until the end of the block."""
    factory = DNSServerFactory(clients=[Zone(table)])
    factory.noisy = False
    port = reactor.listenUDP(0, dns.DNSDatagramProtocol(factory), interface="127.0.0.1")  # type: ignore[attr-defined]
    try:
        yield Resolver(reactor, servers=[("127.0.0.1", port.getHost().port)])
    finally:
        port.stopListening()

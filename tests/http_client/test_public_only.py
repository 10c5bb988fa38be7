"""Names are looked up once at a time, by the reactor's resolver; only public addresses are asked where a host is not
the operator's own.
"""

from callbacks_world import callbacks, outcome, start
from gatewayd.core.errors import TemporaryFailure
from gatewayd.http_client.lookups import OneAtATime
from memory_network import Reactor, SlowNames


def test_a_private_address_is_refused_when_connecting() -> None:
    """A public name at a private address is not even connected to, unless it may be."""
    reactor = Reactor("10.0.0.1", "::1")
    failure = outcome(start(callbacks(reactor)))
    assert isinstance(failure, TemporaryFailure)
    assert failure.reason == "the callback host is at a private address"
    assert reactor.tcpClients == []
    start(callbacks(reactor), allow_private=True)
    assert reactor.tcpClients[0][0] in ("10.0.0.1", "::1")


def test_only_public_addresses_of_a_name_are_used() -> None:
    """Of a name with both kinds of addresses, the public ones are asked."""
    reactor = Reactor("127.0.0.1", "1.1.1.1")
    start(callbacks(reactor))
    reactor.advance(5)
    assert {client[0] for client in reactor.tcpClients} == {"1.1.1.1"}


def test_a_name_is_looked_up_once_at_a_time() -> None:
    """Sixteen connections to a host whose name server is slow wait for one look-up; the next name has its own."""
    reactor = Reactor()
    names = SlowNames("1.1.1.1", "10.0.0.1")
    reactor.nameResolver = OneAtATime(names)
    service = callbacks(reactor)
    for _ in range(16):
        start(service)
    start(service, allow_private=True)
    start(service, "http://other.example/cb")
    assert names.asked == ["api.example", "other.example"]
    names.answer()
    assert [client[0] for client in reactor.tcpClients] == ["1.1.1.1"] * 18
    reactor.advance(0.4)
    assert [client[0] for client in reactor.tcpClients[18:]].count("10.0.0.1") == 1
    start(service, allow_private=True)
    assert names.asked == ["api.example", "other.example", "api.example"]


def test_a_name_that_nobody_waits_for_any_more_is_still_looked_up_once() -> None:
    """Given up after the time-out; who comes then joins the look-up that hangs, and hears what it finds."""
    reactor = Reactor()
    names = SlowNames("1.1.1.1")
    reactor.nameResolver = OneAtATime(names)
    service = callbacks(reactor)
    first = start(service)
    reactor.advance(11)
    assert isinstance(outcome(first), TemporaryFailure)
    start(service)
    assert names.asked == ["api.example"]
    names.answer()
    assert [client[0] for client in reactor.tcpClients] == ["1.1.1.1"]

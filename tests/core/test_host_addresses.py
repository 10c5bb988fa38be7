"""The order in which the addresses of a host are tried."""

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.testing import StringTransport

from gatewayd.core.host_addresses import HostAddresses

ONE, TWO, SIX = (
    IPv4Address("TCP", "192.0.2.1", 25),
    IPv4Address("TCP", "192.0.2.2", 25),
    IPv6Address("TCP", "2001:db8::1", 25),
)


def test_what_led_nowhere_comes_last_and_the_latest_at_the_very_end() -> None:
    """Else the resolver's order stands, and what worked again has its place again."""
    addresses = HostAddresses()
    assert addresses.in_order([SIX, ONE, TWO]) == [SIX, ONE, TWO]
    addresses.led_nowhere(StringTransport(peerAddress=SIX))
    assert addresses.in_order([SIX, ONE, TWO]) == [ONE, TWO, SIX]
    addresses.led_nowhere(StringTransport(peerAddress=ONE))
    assert addresses.in_order([SIX, ONE, TWO]) == [TWO, SIX, ONE]
    addresses.led_nowhere(StringTransport(peerAddress=SIX))
    assert addresses.in_order([SIX, ONE, TWO]) == [TWO, ONE, SIX]
    addresses.led_there(StringTransport(peerAddress=SIX))
    assert addresses.in_order([SIX, ONE, TWO]) == [SIX, TWO, ONE]


def test_an_address_that_the_name_has_no_more_is_forgotten() -> None:
    """A name whose address changes with every look-up costs no memory, and one that comes back begins anew."""
    addresses = HostAddresses()
    addresses.led_nowhere(StringTransport(peerAddress=ONE))
    assert addresses.in_order([TWO]) == [TWO]
    assert addresses.in_order([ONE, TWO]) == [ONE, TWO]


def test_another_port_is_another_address() -> None:
    """Two nodes of an SMSC may be two ports of one machine."""
    addresses = HostAddresses()
    addresses.led_nowhere(StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 2525)))
    assert addresses.in_order([ONE, TWO]) == [ONE, TWO]

"""Which IP addresses belong to the internet at large, and not to this host or its network. Pure."""

import ipaddress
from collections.abc import Iterator

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""Of IPv6 nothing else was ever given out: site-local, local NAT64, SRv6's ids and all forms to come are outside it."""

_LOCAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "3fff::/20",  # documentation (RFC 9637)
        "2001::/23",  # protocols' own (RFC 2928); what embeds an IPv4 address, as Teredo, counts as that
        "192.88.99.0/24",  # 6to4 relays, which nobody runs any more (RFC 7526)
        "168.63.129.16/32",  # Azure's own services for the machine that asks
    )
)
"""What Python takes for global, all the same, or did in older releases."""

_ISATAP = frozenset({0x00005EFE, 0x02005EFE})
"""The middle of an interface's id that ends in an IPv4 address (RFC 5214)."""


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the internet at large; those that embed an IPv4 one count as that one."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if inner := next(_instead(address), None):
            return is_public(str(inner))
        if address not in _GLOBAL_UNICAST or not all(is_public(str(one)) for one in _within(address)):
            return False
    if any(address.version == network.version and address in network for network in _LOCAL):
        return False
    return address.is_global and not address.is_multicast


def _instead(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 address that an IPv6 one only is another form of."""
    embedded = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
    if embedded:
        yield embedded
    elif address in _NAT64:
        yield _last(address)


def _within(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 address to which a router may hand what goes to an IPv6 one."""
    if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        yield _last(address)


def _last(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)

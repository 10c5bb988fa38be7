"""Which IP addresses belong to the internet at large, and not to this host or its network. Pure."""

import ipaddress

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL = tuple(ipaddress.ip_network(text) for text in ("fec0::/10", "64:ff9b:1::/48", "::/96"))
"""Site-local (RFC 3879), local NAT64 (RFC 8215), IPv4-compatible (RFC 4291 2.5.5.1): Python takes some for global."""


def is_public(text: str) -> bool:
    """Whether an IP address belongs to the internet at large; addresses that embed an IPv4 one count as that one."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in _LOCAL):
            return False
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast

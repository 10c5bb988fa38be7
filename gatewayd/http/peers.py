"""Whose request it is: the address behind trusted proxies, and the networks that a label is open to. Pure."""

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REMEMBERED = 4096


class Networks:
    """A set of IPv4 and IPv6 networks; an IPv4 address that is mapped into IPv6 counts as itself."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(_unmapped_network(network) for network in networks)
        self._known: dict[Address, bool] = {}

    def __contains__(self, address: Address) -> bool:
        found = self._known.get(address)
        if found is None:
            found = any(address.version == net.version and address in net for net in self._networks)
            if len(self._known) < _REMEMBERED:
                self._known[address] = found
        return found


@lru_cache(maxsize=_REMEMBERED)
def address_in(text: str) -> Address | None:
    """The IP address in `text`, unmapped; None where there is none. A port behind it and a zone do no harm."""
    text = text.strip()
    if text.startswith("["):
        text, closed, port = text[1:].partition("]")
        if not closed or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(":" + port):
            return None
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=_REMEMBERED)
def household(host: str) -> str:
    """Who is one caller, as far as an address tells: of IPv6 each household, or machine, has a whole /64 of them."""
    address = address_in(host)
    if isinstance(address, ipaddress.IPv6Address) and address.is_global:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


def behind_proxies(peer: Address, forwarded: Sequence[str], trusted: Networks) -> Address | None:
    """The address that counts: `peer`, unless it is a trusted proxy.

    Then it is the last entry of its X-Forwarded-For headers (`forwarded`, in the order they came) that is not itself a
    trusted proxy; None where that is missing or can't be read.
    """
    if peer not in trusted:
        return peer
    entries = [entry for header in forwarded for entry in header.split(",")]
    for entry in reversed(entries):
        address = address_in(entry)
        if address is None or address not in trusted:
            return address
    return None


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit()


def _unmapped_network(network: Network) -> Network:
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        inner = network.network_address.ipv4_mapped
        if inner is not None:
            return ipaddress.ip_network((inner, network.prefixlen - 96))
    return network

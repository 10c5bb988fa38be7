"""Twisted endpoint strings by their words. Pure: whether Twisted takes them is asked in config/endpoints.py."""

import re
from collections.abc import Mapping

from msgspec import Struct

_NAMED = re.compile(r"[A-Za-z]+=")
_TCP = ("tcp", "tcp6", "ssl")
ANY = frozenset({"", "0.0.0.0", "::"})
"""Interfaces that stand for all of this host's."""


class Words(Struct, frozen=True):
    """An endpoint string taken apart: `tcp:8080:interface=127.0.0.1`."""

    kind: str
    plain: tuple[str, ...]
    named: Mapping[str, str]


def words(endpoint: str) -> Words:
    """The words of `endpoint`, without the backslashes that keep a colon in one; haproxy: is what it stands before."""
    kind, *rest = (re.sub(r"\\(.)", r"\1", word) for word in re.split(r"(?<!\\):", endpoint))
    if kind == "haproxy":
        return words(endpoint.partition(":")[2])
    plain = tuple(word for word in rest if not _NAMED.match(word))
    return Words(kind, plain, dict(word.split("=", 1) for word in rest if _NAMED.match(word)))


def port_of_server(endpoint: str) -> str:
    """The port on which `endpoint` would listen, as it is written; "" where it has none."""
    said = words(endpoint)
    return said.named.get("port", next(iter(said.plain), "")) if said.kind in _TCP else ""


def port_of_client(endpoint: str) -> str:
    """The port to which `endpoint` would connect, as it is written; "" where it has none."""
    said = words(endpoint)
    if said.kind not in ("tcp", "tls"):
        return ""
    return said.named.get("port", said.plain[-1] if len(said.plain) + ("host" in said.named) >= 2 else "")


def collide(one: str, other: str) -> bool:
    """Whether two server endpoints can't both listen: one unix socket, or one TCP port of one interface, or of all."""
    first, second = words(one), words(other)
    if first.kind == "unix" and second.kind == "unix":
        return _path(first) == _path(second)
    port = port_of_server(one)
    if port in ("", "0") or port != port_of_server(other) or _is_ipv6(first) is not _is_ipv6(second):
        return False
    interfaces = {said.named.get("interface", "") for said in (first, second)}
    return len(interfaces) == 1 or bool(interfaces & ANY)


def _is_ipv6(said: Words) -> bool:
    return said.kind == "tcp6" or ":" in said.named.get("interface", "")


def _path(said: Words) -> str:
    return said.named.get("address", next(iter(said.plain), ""))

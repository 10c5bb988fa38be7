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


def directory_of_tls(endpoint: str) -> str | None:
    """The directory whose certificates a server endpoint of the kind tls: shows; None for other kinds."""
    said = words(endpoint)
    return said.named.get("path", next(iter(said.plain), "")) if said.kind == "tls" else None


def by_systemd(endpoint: str) -> bool:
    """Whether systemd opens this door, and hands it to the process that it starts."""
    return words(endpoint).kind == "systemd"


_FAMILIES = ("INET", "INET6", "UNIX")


def fault_of_systemd(endpoint: str) -> str:
    """What such a string has wrong, whether or not systemd handed us anything; "" where nothing is."""
    said = words(endpoint)
    form = "systemd:domain=INET:name=NAME, or index=NUMBER"
    if said.plain or (unknown := sorted(said.named.keys() - {"domain", "index", "name"})):
        return f"there is no {said.plain[0] if said.plain else unknown[0] + '='}: {form}"
    if said.named.get("domain") not in _FAMILIES:
        return f"its domain is none of {', '.join(_FAMILIES)}: {form}"
    if ("index" in said.named) == ("name" in said.named):
        return f"it has both a name and an index, or none: {form}"
    if not re.fullmatch(r"[0-9]{1,3}", said.named.get("index", "0")):
        return f"its index is no number: {said.named['index']}"
    return "" if said.named.get("name", "x") else f"it has no name: {form}"


CLIENTS = {"tcp": "tcp:HOST:PORT", "tls": "tls:HOST:PORT", "unix": "unix:PATH"}
SERVERS = {kind: f"{kind}:PORT:interface=ADDRESS" for kind in _TCP} | {"unix": "unix:ADDRESS"}
"""What each kind must at least look like."""
_WITH_TLS = "ssl:PORT:privateKey=FILE:certKey=FILE, both in PEM; or tcp: and a proxy in front that does TLS"
_TOO_MANY = "it has too many parts (a colon in one of them is written \\:)"


def fault(endpoint: str, forms: Mapping[str, str]) -> str:
    """What an endpoint string of one of `forms` lacks or has too much of; "" where that can't be said from here."""
    if forms is SERVERS and re.search("[{}]", endpoint.replace("{instance}", "")):
        return "the only place-holder is {instance}"
    said = words(endpoint)
    form = forms.get(said.kind)
    if form is None:
        return ""
    needed = [word.lower() for word in form.split(":")[1:] if "=" not in word]
    if forms is CLIENTS and said.kind != "tls" and len(said.plain) > len(needed):
        return _TOO_MANY
    plain = iter(said.plain)
    given = {part: said.named[part] if part in said.named else next(plain, "") for part in needed}
    if lacking := [part for part in needed if not given[part]]:
        return f"it has no {' and no '.join(lacking)}: {form}"
    if not re.fullmatch(r"-?[0-9]+", given.get("port", "0")):
        return f"its port is no number: {given['port']}"
    return ""


def plainly(error: Exception, endpoint: str) -> str:
    """Why Twisted does not take an endpoint string, where it is Python or OpenSSL that says it."""
    text, said = str(error), words(endpoint)
    if said.kind == "ssl" and (isinstance(error, OSError) or type(error).__module__.startswith("OpenSSL.")):
        return _fault_of_certificate(error, said.named)
    if unknown := re.search(
        r"(?:unexpected keyword argument |unrecognized keyword arguments present.*?\[)'(\w+)'", text
    ):
        return f"there is no {unknown[1]}="
    if isinstance(error, TypeError) and re.search("positional argument|multiple values", text):
        return _TOO_MANY
    if number := re.search(r"invalid literal for int\(\) with base \d+: (.*)", text):
        return f"{number[1]} is no number"
    return text


def _fault_of_certificate(error: Exception, named: Mapping[str, str]) -> str:
    """Why a door with TLS has no certificate: Twisted looks for a server.pem where none is named."""
    lacking = " and no ".join(f"{name}=" for name in ("privateKey", "certKey") if name not in named)
    if "privateKey" not in named:
        return f"it has no {lacking}: {_WITH_TLS}"
    if isinstance(error, OSError):
        return f"cannot read {error.filename}: {error.strerror}"
    if lacking:
        return f"it has no {lacking}, and privateKey= is no PEM file of both: {_WITH_TLS}"
    return "privateKey= and certKey= are no PEM files of a key and its certificate"


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
    if first.kind == "systemd":
        return first == second
    port = port_of_server(one)
    if port in ("", "0") or port != port_of_server(other) or _is_ipv6(first) is not _is_ipv6(second):
        return False
    interfaces = {said.named.get("interface", "") for said in (first, second)}
    return len(interfaces) == 1 or bool(interfaces & ANY)


def _is_ipv6(said: Words) -> bool:
    return said.kind == "tcp6" or ":" in said.named.get("interface", "")


def _path(said: Words) -> str:
    return said.named.get("address", next(iter(said.plain), ""))

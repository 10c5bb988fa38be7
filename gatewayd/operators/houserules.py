"""Who may use the admin listener, and the form of its JSON answers.

There is no log-in: the listener is for loopback, or for a reverse proxy that has one. What remains to be kept out is
what a browser on this machine can be tricked into: a form on a foreign page, a foreign name that resolves to us.
"""

import ipaddress
import re
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from gatewayd.http.door import Answer

Endpoint = tuple[str, str, Callable[..., Any]]
"""A method, a path by Klein's rules, and what answers there: an Answer, now or later."""

MAX_BODY = 65536
CSP = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    b"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = ((b"Cache-Control", b"no-store"), (b"X-Content-Type-Options", b"nosniff"))
_PAGE_HEADERS = (*_HEADERS, (b"Content-Security-Policy", CSP), (b"Referrer-Policy", b"same-origin"))


def json_answer(value: Any, status: int = 200) -> Answer:
    """`value` as an answer's JSON."""
    return Answer(msgspec.json.encode(value) + b"\n", status, headers=_HEADERS)


def page(html: str, status: int = 200) -> Answer:
    """`html` as an answer: nothing of it is kept, framed, or may run but our own script."""
    return Answer(html.encode(), status, b"text/html; charset=utf-8", _PAGE_HEADERS)


def asset(kind: bytes, body: bytes) -> Answer:
    """A file of the pages: it changes only with a release, so an hour's memory is safe."""
    return Answer(body, 200, kind, ((b"Cache-Control", b"max-age=3600"), (b"X-Content-Type-Options", b"nosniff")))


def see_other(path: bytes) -> Answer:
    """Done: look there."""
    return Answer(b"", 303, b"text/plain; charset=utf-8", (*_HEADERS, (b"Location", path)))


class HouseDoor:
    """Who may ask, decided on the request's head: no page of a stranger's, and no stranger's name for our address.

    Programs send neither Origin nor Sec-Fetch-Site, and are let in; so is whatever only reads a probe.
    """

    def __init__(self, hosts: Collection[str] = ()) -> None:
        self._hosts = frozenset(hosts)

    def admit(self, request: Any) -> Answer | None:
        """None, or 403 in words."""
        if request.path in _PROBES:
            return None
        host = _host_of(request)
        if not _is_ours(host, self._hosts):
            return json_answer({"error": _UNKNOWN_NAME}, 403)
        if request.method not in (b"GET", b"HEAD") and _is_foreign(request, host):
            return json_answer({"error": "this came from a page of another site"}, 403)
        return None

    def too_large(self, request: Any) -> Answer:
        """413 as JSON."""
        return json_answer({"error": f"the body has more than {MAX_BODY} bytes"}, 413)

    def not_http(self, request: Any) -> Answer:
        """400 as JSON."""
        return json_answer({"error": "this is not HTTP"}, 400)

    def busy(self, request: Any) -> Answer:
        """503 as JSON."""
        return json_answer({"error": "too many requests at once"}, 503)


_UNKNOWN_NAME = "this host name is not known here: use the address, or name it in [admin] hosts"
_HOST = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]+))(?::\d{0,5})?")
_PROBES = (b"/healthz", b"/readyz", b"/metrics")


def _host_of(request: Any) -> bytes:
    """The name by which we are asked: of a target in absolute form its own, whatever Host says (RFC 9112 3.2.2)."""
    _, absolute, rest = request.uri.partition(b"://")
    if absolute and not request.uri.startswith(b"/"):
        return bytes(rest.partition(b"/")[0])
    return request.header(b"host") or b""


def _is_ours(host: bytes, known: frozenset[str]) -> bool:
    """Whether `host` (a Host header) is a name that no stranger can point at us: DNS rebinding stops here.

    Addresses, localhost and what ends so, and what the operator named. Not dotless names, .local, .lan or .home.arpa:
    any device of the same network may claim one of those.
    """
    found = _HOST.fullmatch(host.decode("ascii", "replace").lower())
    if found is None:
        return False
    name = found["address"] or found["name"]
    return name in known or name == "localhost" or name.endswith(".localhost") or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_foreign(request: Any, host: bytes) -> bool:
    """Whether a browser says that another site's page makes this request."""
    site = request.header(b"sec-fetch-site")
    if site is not None:
        return site not in (b"same-origin", b"none")
    origin = request.header(b"origin")
    return origin is not None and origin.partition(b"://")[2] != host

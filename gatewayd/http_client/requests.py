"""A request's octets (RFC 9112). Pure: nothing is checked that its maker must have checked before."""

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

from gatewayd.config.host_names import ascii_host

_IN_TARGET = "/%:=&?~+!$,;'@()*[]-._|"
"""What stays in a URL as its writer had it; values that were put into it are escaped by then."""


def request(
    method: str, target: str, host: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", *, has_body: bool
) -> bytes:
    """One request with its body; `has_body` says its length even where that is 0 (a POST without a body)."""
    head = _head(host, tuple(headers))
    length = f"Content-Length: {len(body)}\r\n" if has_body else ""
    return f"{method} {target} HTTP/1.1\r\n{head}{length}\r\n".encode("latin-1") + body


@lru_cache(maxsize=256)
def _head(host: str, headers: tuple[tuple[str, str], ...]) -> str:
    """The headers but for the length: the same for each request to one place, but where they hold a signature.

    Of two of one name the later counts, and one of `headers` before ours.
    """
    own = (("Host", host), ("User-Agent", "gatewayd"), ("Accept-Encoding", "identity"))
    lines = {name.lower(): f"{name}: {value}\r\n" for name, value in (*own, *headers)}
    return "".join(lines.values())


def host_header(netloc: str) -> str:
    """The host as it stands in a request's head."""
    if netloc.isascii():
        return netloc
    host, colon, port = netloc.partition(":")
    return ascii_host(host) + colon + port


def target(text: str) -> str:
    """A request's path and query, with whatever may not stand in them escaped."""
    rooted = text if text.startswith("/") else "/" + text
    return quote(rooted, safe=_IN_TARGET)

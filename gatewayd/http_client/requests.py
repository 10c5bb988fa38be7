"""A request's octets (RFC 9112). Pure: nothing is checked that its maker must have checked before."""

from collections.abc import Iterable


def request(
    method: str, target: str, host: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"", *, has_body: bool
) -> bytes:
    """One request with its body; `has_body` says its length even where that is 0 (a POST without a body)."""
    own = [("Host", host), ("User-Agent", "gatewayd"), *headers, ("Accept-Encoding", "identity")]
    if has_body:
        own.append(("Content-Length", str(len(body))))
    head = "".join(f"{name}: {value}\r\n" for name, value in own)
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body

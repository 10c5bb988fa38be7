"""A request's octets."""

from gatewayd.http_client.requests import request


def test_a_header_of_the_operators_takes_the_place_of_ours() -> None:
    """Beside it, a firewall that wants one User-Agent would find two (RFC 9110 5.3, 10.1.5)."""
    headers = (("Accept", "application/json"), ("user-agent", "casino"), ("ACCEPT", "text/json"), ("X-Key", "1"))
    assert request("GET", "/", "vendor.example", headers, has_body=False).split(b"\r\n") == [
        b"GET / HTTP/1.1",
        b"Host: vendor.example",
        b"user-agent: casino",
        b"Accept-Encoding: identity",
        b"ACCEPT: text/json",
        b"X-Key: 1",
        b"",
        b"",
    ]

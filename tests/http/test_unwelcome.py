"""What is refused on a connection: by the door, for its size, its framing, or because it is no HTTP."""

import pytest

from gatewayd.http.connection import LINGER
from gatewayd.http.reader import MANY_CHUNKS, MAX_HEADER_BYTES, MAX_HEADERS
from http_line import DATE, Line, head


@pytest.mark.parametrize("framing", ["Content-Length: 50", "Transfer-Encoding: chunked"])
def test_the_door_refuses_before_the_body(framing: str) -> None:
    """The answer comes with the head; the rest is thrown away, and nothing else is answered on this connection."""
    line = Line()
    answer = line.send(head("/secret", framing, "Expect: 100-continue", method="POST"))
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"Connection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nno")
    rest = b"x" * 50 if "Length" in framing else b"32\r\n" + b"x" * 50 + b"\r\n0\r\n\r\n"
    assert line.send(rest[:20]) == b""
    assert not line.closed
    assert line.send(rest[20:] + head("/plain")) == b""
    assert line.closed
    assert line.site.turns.in_flight == 0
    line.gone()


def test_the_door_refuses_a_request_without_a_body() -> None:
    """There is nothing to throw away: the connection goes on."""
    line = Line()
    answer = line.send(head("/secret") + head("/plain"))
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"403", b"200"]
    assert not line.closed


def test_a_welcome_caller_is_told_to_continue() -> None:
    """Expect: 100-continue is answered once the door has let the request in and its length is fine."""
    line = Line()
    assert line.send(head("/body", "Content-Length: 3", "Expect: 100-continue", method="POST")) == (
        b"HTTP/1.1 100 Continue\r\n\r\n"
    )
    assert line.send(b"abc").startswith(b"HTTP/1.1 200 OK\r\n")


def test_http_1_0_knows_no_continue() -> None:
    """Its caller would take a 100 for the answer: RFC 9110, 10.1.1."""
    line = Line()
    asked = head("/body", "Content-Length: 3", "Expect: 100-continue", method="POST").replace(b"HTTP/1.1", b"HTTP/1.0")
    assert line.send(asked) == b""
    assert line.send(b"abc").startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("expect", [(), ("Expect: 100-continue",)])
def test_a_length_over_the_limit_is_refused_unread(expect: tuple[str, ...]) -> None:
    """In the door's words, before the first byte of the body, and without a 100."""
    line = Line(max_body=100)
    answer = line.send(head("/body", "Content-Length: 101", *expect, method="POST"))
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\ntoo large")
    assert line.send(b"x" * 101) == b""
    assert line.closed
    assert not line.pages.bodies


def test_a_length_of_just_the_limit_is_read() -> None:
    """By length and by chunks."""
    line = Line(max_body=100)
    assert line.send(head("/body", "Content-Length: 100", method="POST") + b"x" * 100).endswith(b"{}")
    chunked = head("/body", "Transfer-Encoding: chunked", method="POST")
    assert line.send(chunked + b"32\r\n" + b"x" * 50 + b"\r\n32\r\n" + b"x" * 50 + b"\r\n0\r\n\r\n").endswith(b"{}")
    assert [len(body) for body in line.pages.bodies] == [100, 100]


def test_chunks_are_counted_as_they_come() -> None:
    """The answer comes with the byte that is too many, not at the end; no more is kept."""
    line = Line(max_body=100)
    assert (
        line.send(head("/body", "Transfer-Encoding: chunked", method="POST") + b"64\r\n" + b"x" * 100 + b"\r\n") == b""
    )
    answer = line.send(b"1\r\nx")
    assert answer.endswith(b"\r\n\r\ntoo large")
    for _ in range(10):
        assert line.send(b"\r\n64\r\n" + b"x" * 100) == b""
    assert line.protocol.held == 0
    line.send(b"\r\n0\r\n\r\n")
    assert line.closed
    assert not line.pages.bodies


def test_too_many_headers_are_refused() -> None:
    """In number and in bytes."""
    many = [f"X-{n}: {n}" for n in range(MAX_HEADERS + 1)]
    unreadable(Line(), head("/plain", *many))
    half = "x" * (MAX_HEADER_BYTES // 2)
    unreadable(Line(), head("/plain", f"X: {half}", f"Y: {half}"))
    unreadable(Line(), head("/plain", "X: " + "x" * MAX_HEADER_BYTES))


def unreadable(line: Line, request: bytes, path: bytes = b"/plain") -> None:
    """It is answered once, by the door, and then nobody listens any more."""
    answer = line.send(request)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n" + DATE)
    assert answer.endswith(b"\r\n\r\nunreadable " + path)
    assert line.send(b"\r\n\r\n" + head("/plain") + b"x" * MAX_HEADER_BYTES * 2) == b""
    line.clock.advance(LINGER + 1)
    assert line.closed


@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: 1", "Content-Length: 2"),
        ("Content-Length: 1", "Transfer-Encoding: chunked"),
        ("Content-Length: -1",),
        ("Content-Length: " + "9" * 5000,),
        ("No colon",),
        ("N\0: x",),
        ("Content-Length: 1x",),
        ("Transfer-Encoding: gzip",),
    ],
)
def test_ambiguous_framing_is_refused(framing: tuple[str, ...]) -> None:
    """Request smuggling behind a proxy begins with two lengths."""
    unreadable(Line(), head("/body", *framing, method="POST"), b"/body")


def test_chunks_that_are_none_are_answered_once() -> None:
    """By the door; not at all where the request was refused on its head."""
    chunked = "Transfer-Encoding: chunked"
    unreadable(Line(), head("/body", chunked, method="POST") + b"5\r\nabcdefg", b"/body")
    line = Line()
    assert line.send(head("/secret", chunked, method="POST")).endswith(b"\r\n\r\nno")
    assert line.send(b"zz\r\n") == b""
    assert not line.pages.bodies


def test_what_names_no_path_is_a_bad_request() -> None:
    """400 without a word."""
    for junk in (b"\x16\x03\x01\r\n", b"GET\r\n", b"x" * MAX_HEADER_BYTES * 2):
        line = Line()
        assert line.send(junk).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert line.send(b"\r\n" + head("/plain")) == b""
        line.clock.advance(LINGER + 1)
        assert line.closed


@pytest.mark.parametrize("method", ["BREW", "post", "A" * 500, "GÉT", "<script>"])
def test_an_unknown_method_reaches_the_door(method: str) -> None:
    """However it is cut into pieces; the door knows which path was asked for."""
    for size in (1, 3, 1000):
        line, request = Line(), head("/body", method=method)
        answer = b"".join(line.send(request[at : at + size]) for at in range(0, len(request), size))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b"unreadable /body")


def test_another_protocol_is_not_taken() -> None:
    """An upgrade is answered as the request that it is, and the connection closes."""
    line = Line()
    answer = line.send(head("/plain", "Connection: Upgrade", "Upgrade: h2c") + b"PRI * HTTP/2.0\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert line.closed


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("Content-Length: 5", b"hello"),
        ("Transfer-Encoding: chunked", b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Trailer: z\r\n\r\n"),
    ],
)
def test_an_offer_of_another_protocol_keeps_its_body(framing: str, body: bytes, size: int) -> None:
    """Java offers HTTP/2 with each request in clear text; who does not take it reads on in HTTP/1.1."""
    line = Line()
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
    request = head("/body", *offer, framing, method="POST") + body
    sent = request + request + head("/plain")
    answers = b"".join(line.send(sent[at : at + size]) for at in range(0, len(sent), size))
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 3
    assert line.pages.bodies == [b"hello"] * 2
    assert not line.closed


def test_an_offer_of_another_protocol_is_refused_as_any_request() -> None:
    """Before its body, which is thrown away; with the word to go on; and for its framing."""
    offer = ("Connection: Upgrade", "Upgrade: websocket")
    line = Line()
    answer = line.send(head("/secret", *offer, "Content-Length: 5", method="POST"))
    assert answer.endswith(b"\r\n\r\nno")
    assert line.send(b"hello" + head("/plain")) == b""
    assert line.closed
    line = Line()
    waits = head("/body", *offer, "Content-Length: 5", "Expect: 100-continue", method="POST")
    assert line.send(waits) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert line.send(b"hello").startswith(b"HTTP/1.1 200 OK\r\n")
    line = Line()
    answer = line.send(head("/body", *offer, "Transfer-Encoding: chunked", method="POST") + b"zz\r\n")
    assert answer.endswith(b"unreadable /body")
    line, unknown = Line(), head("/body", *offer, "Transfer-Encoding: gzip", method="POST")
    line.send(unknown[:30])
    assert line.send(unknown[30:] + b"hello").endswith(b"unreadable /body")
    line = Line()
    answer = line.send(
        head("/body", "Connection: close, Upgrade", *offer[1:], "Content-Length: 5", method="POST") + b"hello"
    )
    assert line.pages.bodies == [b"hello"]
    assert b"Connection: close\r\n" in answer


@pytest.mark.parametrize("endless", [b"5;x=", b"0\r\nX-Trailer: "])
def test_what_comes_to_nothing_is_refused(endless: bytes) -> None:
    """A chunk's extension or a trailer without end."""
    line = Line()
    line.send(head("/body", "Transfer-Encoding: chunked", method="POST") + endless)
    sent = 0
    answer = b""
    while not answer:
        sent += 1000
        assert sent < 4 * MAX_HEADER_BYTES
        answer = line.send(b"y" * 1000)
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_body_of_small_chunks_is_one_body() -> None:
    """Whatever way it was cut."""
    line = Line(max_body=1000)
    assert line.send(head("/body", "Transfer-Encoding: chunked", method="POST") + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n")
    assert line.pages.bodies == [b"x" * 1000]


def test_a_body_of_small_chunks_without_end_is_refused() -> None:
    """Each octet of it costs six, and as much time as a read; large chunks may be as many as they like."""
    line = Line(max_body=1_000_000)
    start = head("/body", "Transfer-Encoding: chunked", method="POST")
    assert b" 200 " in line.send(start + b"40\r\n%s\r\n" % (b"x" * 64) * 3000 + b"0\r\n\r\n")
    line = Line(max_body=1_000_000)
    assert line.send(start + b"1\r\nx\r\n" * (MANY_CHUNKS + 1)).startswith(b"HTTP/1.1 400 ")
    assert line.send(b"1\r\nx\r\n") == b"", "nothing more is read"

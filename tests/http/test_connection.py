"""The listeners' common ground: what the door may refuse before the body, limits, slow callers, and draining."""

from typing import Any

import pytest
from klein import Klein
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.iweb import IRequest

from gatewayd.http.connection import AT_ONCE, LINGER, SLOW
from gatewayd.http.door import Answer, OpenDoor
from gatewayd.http.incoming import AHEAD
from gatewayd.http.reader import MANY_CHUNKS, MAX_HEADER_BYTES, MAX_HEADERS
from gatewayd.http.routes import Routes
from gatewayd.http.site import LAST_WORDS, Site
from gatewayd.http.unread import IN_ALL, UNREAD

NOW = 1_790_000_000.0
DATE = b"Date: Mon, 21 Sep 2026 14:13:20 GMT\r\n"


class Pages:
    """A Klein app with each kind of endpoint."""

    app = Klein()

    def __init__(self) -> None:
        self.gate: Deferred[None] = Deferred()
        self.bodies: list[bytes] = []
        self.ended: list[str] = []

    @app.route("/plain")
    def plain(self, request: IRequest) -> Any:
        """Bytes."""
        return b"plain"

    @app.route("/text")
    async def text(self, request: IRequest) -> Any:
        """Text, later."""
        return "tëxt"

    @app.route("/body", methods=["POST"])
    def body(self, request: Any) -> Any:
        """An Answer; the body is kept."""
        self.bodies.append(request.body)
        return Answer(b"{}", headers=((b"X-More", b"yes"),))

    @app.route("/slow")
    async def slow(self, request: IRequest) -> Any:
        """Waits for the gate."""
        try:
            await self.gate
        except CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")
        return Answer(b"slow")

    @app.route("/broken")
    async def broken(self, request: IRequest) -> Any:
        """Raises."""
        raise RuntimeError("canary")

    @app.route("/refused")
    async def refused(self, request: IRequest) -> Any:
        """Raises what the app knows."""
        raise LookupError

    @app.handle_errors(LookupError)
    def known(self, request: IRequest, failure: Any) -> Any:
        """Turns it into an answer."""
        return Answer(b"known", 410)

    @app.route("/items/<name>")
    def item(self, request: IRequest, name: str) -> Any:
        """By Klein's own rules."""
        return name


class Guard(OpenDoor):
    """A door that keeps /secret shut."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def admit(self, request: Any) -> Answer | None:
        """By path."""
        self.asked.append(request.path)
        return Answer(b"no", 403) if request.path == b"/secret" else None

    def too_large(self, request: Any) -> Answer:
        """With status 200."""
        return Answer(b"too large")

    def not_http(self, request: Any) -> Answer:
        """With the path that was asked for."""
        return Answer(b"unreadable " + request.path, 400)


class Line:
    """One connection to a site of Pages, over memory."""

    def __init__(self, site: Site | None = None, pages: Pages | None = None, max_body: int = 100) -> None:
        self.clock: Any
        self.pages = pages or Pages()
        if site is None:
            self.clock = Clock()
            self.clock.advance(NOW)
            site = Site(self.clock, Routes(self.pages.app).answer, max_body=max_body, door=Guard())
        self.site = site
        self.clock = site.reactor
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 5))
        self.protocol: Any = site.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> bytes:
        """What comes back within this turn and those that follow it at once."""
        self.transport.clear()
        self.protocol.dataReceived(data)
        self.clock.advance(0)
        return self.transport.value()

    @property
    def closed(self) -> bool:
        """Whether our side has closed, or cut off, the connection."""
        return bool(self.transport.disconnecting or self.transport.disconnected)

    def gone(self) -> None:
        """The connection is lost."""
        self.protocol.connectionLost()


def head(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request's head."""
    return "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/{version}", "Host: gw", *headers, "")).encode()


def test_an_answer_on_the_wire() -> None:
    """Status, Date, type and length; no Server header, no chunks, and the connection stays."""
    line = Line()
    assert line.send(head("/body", "Content-Length: 2", method="POST") + b"ab") == (
        b"HTTP/1.1 200 OK\r\n" + DATE + b"Content-Type: application/json\r\nContent-Length: 2\r\nX-More: yes\r\n\r\n{}"
    )
    assert line.pages.bodies == [b"ab"]
    answer = line.send(head("/plain"))
    assert b"Content-Length: 5\r\n" in answer
    assert b"Server" not in answer
    assert not line.closed


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/plain", 200, "plain"),
        ("/text", 200, "tëxt"),
        ("/items/x", 200, "x"),
        ("/refused", 410, "known"),
        ("/broken", 500, "internal server error\n"),
        ("/nowhere", 404, "not found\n"),
        ("/plain/", 404, "not found\n"),
        ("/items/%ff", 200, "\ufffd"),
        ("/body", 405, "method not allowed\n"),
    ],
)
def test_endpoints_of_each_kind(path: str, status: int, body: str) -> None:
    """A failure says nothing of itself."""
    answer = Line().send(head(path))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.partition(b"\r\n\r\n")[2].decode() == body
    assert b"canary" not in answer


def test_head_has_no_body() -> None:
    """HEAD gets the length only."""
    answer = Line().send(head("/slow", method="HEAD"))
    assert answer == b""
    line = Line()
    line.pages.gate.callback(None)
    answer = line.send(head("/slow", method="HEAD"))
    assert b"Content-Length: 4\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_pipelined_requests_are_answered_in_order() -> None:
    """The second waits for the first."""
    line = Line()
    assert line.send(head("/slow") + head("/plain")) == b""
    line.transport.clear()
    line.pages.gate.callback(None)
    line.clock.advance(0)
    first, second = line.transport.value().split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith(b"slow")
    assert second.endswith(b"plain")


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


def test_a_caller_who_drips_his_request_is_cut_off() -> None:
    """The whole request has its time; bytes do not prolong it."""
    line = Line()
    sent = head("/body", "Content-Length: 90", method="POST")
    for byte in range(int(SLOW) - 1):
        assert line.send(sent[byte : byte + 1]) == b""
        line.clock.advance(1)
        assert not line.closed
    line.send(b"x")
    line.clock.advance(2)
    assert line.closed


def test_an_idle_connection_is_closed_and_a_used_one_is_not() -> None:
    """SLOW seconds after the last answer."""
    line = Line()
    for _ in range(4):
        assert line.send(head("/plain"))
        line.clock.advance(SLOW - 2)
        assert not line.closed
    line.clock.pump([1] * 4)
    assert line.closed


def test_a_slow_endpoint_is_not_the_callers_fault() -> None:
    """While we work on the answer no time runs."""
    line = Line()
    line.send(head("/slow"))
    line.clock.pump([10] * 20)
    assert not line.closed
    line.pages.gate.callback(None)
    assert line.transport.value().endswith(b"slow")


def test_a_caller_who_does_not_read_is_not_read_either() -> None:
    """What we have to say to them fills our memory else; once they read, it goes on where it stood."""
    line = Line()
    line.send(head("/slow"))
    line.protocol.pauseProducing()
    assert line.transport.producerState == "paused"
    assert line.send(head("/plain")) == b""
    line.pages.gate.callback(None)
    assert line.transport.value().count(b"HTTP/1.1") == 1
    assert line.transport.producerState == "paused"
    line.protocol.resumeProducing()
    line.clock.advance(0)
    assert line.transport.value().count(b"HTTP/1.1") == 2
    assert line.transport.producerState == "producing"


def test_a_caller_who_never_reads_is_cut_off() -> None:
    """Not asked to close first; who reads again has the time of any other."""
    line = Line()
    line.protocol.pauseProducing()
    line.protocol.resumeProducing()
    line.clock.pump([1] * (int(SLOW) - 1))
    assert not line.closed
    line.protocol.pauseProducing()
    line.clock.pump([1] * (int(IN_ALL) + 1))
    assert line.transport.disconnected


def test_what_does_not_close_is_cut_off() -> None:
    """A caller that takes no notice has UNREAD seconds more."""
    line = Line()
    line.clock.pump([1] * (int(SLOW) + 1))
    assert line.transport.disconnecting
    line.transport.disconnected = False
    line.clock.pump([1] * (int(UNREAD) + 1))
    assert line.transport.disconnected


def test_a_refused_caller_has_little_time_for_the_rest() -> None:
    """LINGER seconds, however much still comes."""
    line = Line()
    line.send(head("/secret", "Content-Length: 90", method="POST"))
    line.clock.pump([1] * (int(LINGER) - 1))
    line.send(b"x")
    assert not line.closed
    line.clock.pump([1] * 3)
    assert line.closed


def test_a_caller_who_hangs_up_cancels_nothing() -> None:
    """The endpoint ends what it began; its answer is dropped."""
    line = Line()
    line.send(head("/slow"))
    assert line.site.turns.in_flight == 1
    line.gone()
    assert line.site.turns.in_flight == 0
    line.pages.gate.callback(None)
    assert line.pages.ended == ["done"]
    assert not line.site.crowd.connections
    assert not line.clock.getDelayedCalls()


def test_draining() -> None:
    """Running requests and those of the last moment are answered with Connection: close; then idle ones close."""
    busy = Line()
    idle, half, late = Line(busy.site), Line(busy.site), Line(busy.site)
    busy.send(head("/slow") + head("/plain"))
    half.send(head("/body", "Content-Length: 2", method="POST") + b"a")
    drained = Deferred.fromCoroutine(busy.site.drain(20))
    assert not idle.closed
    assert b"Connection: close\r\n" in late.send(head("/plain"))
    assert late.closed
    late.gone()
    busy.clock.advance(LAST_WORDS)
    assert idle.closed
    assert not busy.closed
    assert not half.closed
    idle.gone()
    busy.transport.clear()
    busy.pages.gate.callback(None)
    answer = busy.transport.value()
    assert b"Connection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1 200") == 1
    assert busy.closed
    busy.gone()
    assert not drained.called
    assert b"Connection: close\r\n" in half.send(b"b")
    assert half.closed
    half.gone()
    assert drained.called
    assert not busy.clock.getDelayedCalls()


def test_a_drain_has_a_limit() -> None:
    """What is not answered by then is cut off."""
    line = Line()
    line.send(head("/slow"))
    drained = Deferred.fromCoroutine(line.site.drain(20))
    line.clock.advance(19)
    assert not line.closed
    line.clock.advance(1)
    assert line.transport.disconnected
    line.gone()
    assert drained.called


def test_http_1_0_is_answered_and_closed() -> None:
    """By its own rules."""
    line = Line()
    answer = line.send(head("/body", "Content-Length: 1", method="POST", version="1.0") + b"a")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in answer
    assert line.closed


def test_an_unknown_method_reaches_the_door() -> None:
    """However it is cut into pieces; the door knows which path was asked for."""
    for size in (1, 3, 1000):
        line, request = Line(), head("/body", method="BREW")
        answer = b"".join(line.send(request[at : at + size]) for at in range(0, len(request), size))
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b"unreadable /body")


def test_another_protocol_is_not_taken() -> None:
    """An upgrade is answered as the request that it is, and the connection closes."""
    line = Line()
    answer = line.send(head("/plain", "Connection: Upgrade", "Upgrade: h2c") + b"PRI * HTTP/2.0\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 1
    assert line.closed


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


def test_who_pipelines_takes_one_turn_at_a_time() -> None:
    """A thousand requests in one piece are answered in as many turns of the reactor: others come in between."""
    greedy = Line()
    other = Line(greedy.site)
    greedy.transport.clear()
    greedy.protocol.dataReceived(head("/plain") * 1000)
    assert greedy.transport.value().count(b"HTTP/1.1 200") == 1
    assert greedy.transport.producerState == "producing"
    calls = greedy.clock.getDelayedCalls()
    assert len([call for call in calls if call.getTime() <= greedy.clock.seconds()]) == 1
    assert other.send(head("/plain")).count(b"HTTP/1.1 200") == 1
    assert greedy.transport.value().count(b"HTTP/1.1 200") == 1000


def test_who_sends_ahead_of_the_answers_is_not_read() -> None:
    """Until there is room again; nothing is lost."""
    line = Line()
    line.send(head("/slow"))
    sent = 0
    while line.transport.producerState == "producing":
        line.send(head("/plain") * 100)
        sent += 100
        assert sent * len(head("/plain")) < 4 * AHEAD
    line.transport.clear()
    line.pages.gate.callback(None)
    line.clock.advance(0)
    assert line.transport.value().count(b"HTTP/1.1 200") == 1 + sent
    assert line.transport.producerState == "producing"


def test_a_caller_who_has_said_all_gets_all_answers() -> None:
    """A half-closed connection is answered to its end, and then closed."""
    line = Line()
    line.send(head("/slow") + head("/plain") + b"GET /half")
    line.protocol.readConnectionLost()
    assert not line.closed
    line.pages.gate.callback(None)
    line.clock.advance(0)
    assert line.transport.value().count(b"HTTP/1.1 200") == 2
    assert line.closed


def test_a_drip_of_a_request_line_is_no_idleness() -> None:
    """Bytes before the first line's end do not prolong the time either."""
    line = Line()
    for byte in b"GET /" + b"x" * (int(SLOW) - 6):
        line.send(bytes([byte]))
        line.clock.advance(1)
    assert not line.closed
    line.clock.advance(2)
    assert line.closed


def impatient_site(pages: Pages) -> Site:
    """One that begins nothing that is older than 2.5 s."""
    clock = Clock()
    clock.advance(NOW)
    return Site(clock, Routes(pages.app).answer, patience=2.5)


def test_what_is_sent_ahead_is_as_old_as_its_bytes() -> None:
    """It waits for its own caller's answers, and no longer than others; what came later is younger."""
    pages = Pages()
    line = Line(impatient_site(pages), pages)
    line.send(head("/slow") + head("/plain") * 3)
    line.clock.advance(2)
    line.send(head("/text"))
    line.clock.advance(1)
    line.transport.clear()
    pages.gate.callback(None)
    line.clock.advance(0)
    line.clock.advance(0)
    heard = line.transport.value()
    assert (heard.count(b"HTTP/1.1 200"), heard.count(b"HTTP/1.1 503")) == (2, 3)
    assert heard.endswith("tëxt".encode())


def test_what_was_sent_ahead_and_waited_for_too_long_is_refused_in_one_turn() -> None:
    """Thousands of connections make a turn long: a refusal in each would be many turns late."""
    pages = Pages()
    line = Line(impatient_site(pages), pages)
    line.send(head("/slow") + head("/plain") * (AT_ONCE + 5))
    line.clock.advance(3)
    line.transport.clear()
    pages.gate.callback(None)
    turns = [call for call in line.clock.getDelayedCalls() if call.getTime() <= line.clock.seconds()]
    assert len(turns) == 1
    turns[0].func()
    assert line.transport.value().count(b"HTTP/1.1 503") == AT_ONCE


def test_a_drip_ahead_of_the_answers_takes_little_memory() -> None:
    """Octets that came together are kept together, whatever pieces they came in."""
    line = Line()
    line.send(head("/slow"))
    for octet in head("/plain") * 50:
        line.protocol.dataReceived(bytes([octet]))
    assert len(line.protocol._incoming._unread) == 1
    line.pages.gate.callback(None)
    line.clock.advance(0)
    assert line.transport.value().count(b"HTTP/1.1 200") == 51

"""The listeners' common ground: answers in order, slow callers, who hangs up or sends ahead, and draining."""

from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory

from gatewayd.http.connection import AT_ONCE, LINGER, SLOW
from gatewayd.http.door import Answer, OpenDoor
from gatewayd.http.incoming import AHEAD
from gatewayd.http.routes import Routes
from gatewayd.http.site import LAST_WORDS, Site
from gatewayd.http.unread import IN_ALL, UNREAD
from http_line import DATE, NOW, Line, Pages, head
from little_memory import MUCH, no_more_memory


class Callers(OpenDoor):
    """Lets all in, and keeps their addresses."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def admit(self, request: Any) -> Answer | None:
        """Nobody is refused."""
        self.called.append(request.peer)
        return None


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
    ("preface", "caller"),
    [
        (b"PROXY TCP4 203.0.113.7 127.0.0.1 50000 80\r\n", "203.0.113.7"),
        (b"PROXY UNKNOWN \r\n", "127.0.0.1"),
        (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\x7f\x00\x00\x01\xc3\x50\x00\x50", "203.0.113.7"),
    ],
)
def test_a_proxy_before_us_says_who_calls(preface: bytes, caller: str) -> None:
    """By the PROXY protocol, where we listen as "haproxy:": the door is told of the caller, and not of the proxy."""
    site = Line().site
    door = site.door = Callers()
    protocol = HAProxyWrappingFactory(site).buildProtocol(IPv4Address("TCP", "127.0.0.1", 5))
    assert protocol is not None
    transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 5))
    protocol.makeConnection(transport)
    protocol.dataReceived(preface + head("/plain"))
    protocol.dataReceived(head("/plain"))
    assert door.called == [caller, caller]
    assert transport.value().count(b" 200 OK") == 2


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


def test_who_was_answered_at_the_limit_is_not_cut_off() -> None:
    """The answer left in the very turn of the limit: a reset might keep it from its caller, and nothing went wrong."""
    line = Line()
    other = Line(line.site)
    line.send(head("/slow"))
    other.send(head("/body", "Content-Length: 2", method="POST") + b"a")
    line.clock.callLater(20, line.pages.gate.callback, None)
    drained = Deferred.fromCoroutine(line.site.drain(20))
    with capturedLogs() as logs:
        line.clock.advance(20)
    assert b"slow" in line.transport.value()
    assert line.closed
    assert not line.transport.disconnected
    assert other.transport.disconnected
    assert [event["count"] for event in logs if "cut off" in event["log_format"]] == [1]
    other.gone()
    line.gone()
    assert drained.called
    assert not line.clock.getDelayedCalls()


def test_who_was_answered_at_the_limit_and_does_not_close_is_cut_off_soon() -> None:
    """A drain ends, whoever holds a connection open."""
    line = Line()
    line.send(head("/slow"))
    line.clock.callLater(20, line.pages.gate.callback, None)
    drained = Deferred.fromCoroutine(line.site.drain(20))
    with capturedLogs() as logs:
        line.clock.advance(20)
        line.clock.advance(LAST_WORDS)
    assert line.transport.disconnected
    assert not [event for event in logs if "cut off" in event["log_format"]]
    line.gone()
    assert drained.called


def test_http_1_0_is_answered_and_closed() -> None:
    """By its own rules."""
    line = Line()
    answer = line.send(head("/body", "Content-Length: 1", method="POST", version="1.0") + b"a")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in answer
    assert line.closed


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


def test_a_body_for_which_there_is_no_memory_is_not_the_callers_fault() -> None:
    """They were told that it was not HTTP, after which nobody comes again."""
    line = Line(max_body=2 * MUCH)
    line.send(head("/body", f"Content-Length: {MUCH + 1}", method="POST"))
    body = b"x" * MUCH
    with no_more_memory(), capturedLogs() as logs:
        answer = line.send(body)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert [formatEvent(event) for event in logs] == ["a caller was told to come again: there was no memory for it"]

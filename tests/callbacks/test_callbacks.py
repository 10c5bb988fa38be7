"""Callback hosts: persistent connections, time-outs, a breaker and a line for each."""

import heapq
from collections import Counter
from errno import EMFILE
from itertools import pairwise

import pytest
from twisted.internet.error import ConnectBindError
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from callbacks_world import OK, callbacks, outcome, start
from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.core.retry import STILL_SO
from memory_network import Reactor

SECRET_URL = "https://api.example/cb?api_key=sesame&ext_message_id=1"


def test_a_host_that_may_be_reached_now_is_up() -> None:
    """An operator who lists a private host and reloads sees that it helped."""
    reactor = Reactor("10.0.0.1")
    service = callbacks(reactor)
    for _ in range(5):
        start(service)
        reactor.advance(1)
    assert service.hosts() == {"api.example": "the callback host is at a private address"}
    start(service, allow_private=True)
    protocol, _ = reactor.connect()
    protocol.dataReceived(OK)
    assert service.hosts() == {"api.example": ""}


def test_a_callers_leave_is_not_a_loan_to_others() -> None:
    """A connection to a private address that one label may use never serves a label that may not."""
    reactor = Reactor("10.0.0.1")
    service = callbacks(reactor)
    first = start(service, allow_private=True)
    protocol, _ = reactor.connect()
    protocol.dataReceived(OK)
    assert outcome(first) == (200, b'{"error_code": 0,}')
    assert outcome(start(service)).reason == "the callback host is at a private address"


def test_requests_follow_each_other_on_one_connection() -> None:
    """A kept connection serves the next GET; the request says what HTTP/1.1 needs and nothing else."""
    reactor = Reactor()
    service = callbacks(reactor)
    first = start(service, "http://api.example:8080/cb?a=1")
    protocol, transport = reactor.connect()
    assert transport.value() == (
        b"GET /cb?a=1 HTTP/1.1\r\nHost: api.example:8080\r\nUser-Agent: gatewayd\r\n"
        b"Accept-Encoding: identity\r\nAccept: application/json\r\n\r\n"
    )
    protocol.dataReceived(OK)
    assert outcome(first) == (200, b'{"error_code": 0,}')
    second = start(service, "http://api.example:8080/\r\nX: 1")
    assert transport.value().count(b"\r\nX: 1") == 0
    protocol.dataReceived(OK)
    assert outcome(second) == (200, b'{"error_code": 0,}')
    assert len(reactor.tcpClients) == 1


@pytest.mark.parametrize(
    ("first", "other"),
    [
        ("http://api.example/cb", "HTTP://API.Example:80/cb"),
        ("http://api.example:/cb", "http://api.example/cb"),
        ("http://API.example:8080/cb", "http://api.example:8080/cb"),
    ],
)
def test_a_host_is_one_however_it_is_spelt(first: str, other: str) -> None:
    """Else it would be asked twice as much at a time, and one spelling found dead would leave the other to be tried."""
    reactor = Reactor()
    service = callbacks(reactor)
    start(service, first)
    protocol, _ = reactor.connect()
    protocol.dataReceived(OK)
    start(service, other)
    protocol.dataReceived(OK)
    assert len(reactor.tcpClients) == 1
    assert len(service.hosts()) == 1


def test_an_idle_connection_is_closed_before_the_server_does_it() -> None:
    """Nobody waits: after its idle time the connection is closed."""
    reactor = Reactor()
    service = callbacks(reactor)
    start(service)
    protocol, transport = reactor.connect()
    protocol.dataReceived(OK)
    reactor.pump([1] * 49)
    assert not transport.disconnected
    reactor.pump([1] * 3)
    assert transport.disconnected
    assert reactor.getDelayedCalls() == []


def test_a_kept_connection_that_closes_under_us_costs_no_try() -> None:
    """The peer closed while our next request was on its way: that is no failure of the host."""
    reactor = Reactor()
    service = callbacks(reactor)
    start(service)
    protocol, transport = reactor.connect()
    protocol.dataReceived(OK)
    second = start(service)
    transport.closed()
    failure = outcome(second)
    assert (failure.counts, failure.not_before) == (False, reactor.seconds())
    assert service.hosts() == {"api.example": ""}


def test_a_silent_host_is_given_up_in_time() -> None:
    """No answer within the time-out, or one that only trickles, ends the try and closes the connection."""
    reactor = Reactor()
    service = callbacks(reactor, timeout=10.0)
    asked = start(service)
    protocol, transport = reactor.connect()
    for byte in OK[:10]:
        reactor.advance(0.95)
        protocol.dataReceived(bytes([byte]))
    assert outcome(asked) is None
    reactor.pump([0.5] * 2)
    assert transport.disconnected
    assert outcome(asked).reason == "no answer to the callback in 10 s"


def test_what_is_kept_beside_a_silent_connection_costs_no_other_request_its_time() -> None:
    """Where an address went away, all that is kept leads there: a new connection finds out at once."""
    reactor = Reactor()
    service = callbacks(reactor, timeout=10.0)
    asked = [start(service), start(service)]
    for number in range(2):
        protocol, _ = reactor.connect(number)
        protocol.dataReceived(OK)
    silent = start(service)
    reactor.pump([0.5] * 21)
    assert outcome(silent).reason == "no answer to the callback in 10 s"
    start(service)
    assert len(asked) + 1 == len(reactor.tcpClients)


@pytest.mark.parametrize("end", ["silence", "hang-up"])
def test_an_address_that_takes_connections_and_answers_none_is_not_asked_for_ever(end: str) -> None:
    """One of a balanced name's machines is out of order: the next try goes to another, and stays there."""
    reactor = Reactor("1.1.1.1", "8.8.8.8")
    service = callbacks(reactor, timeout=10.0)
    asked = start(service)
    _, transport = reactor.connect()
    if end == "silence":
        reactor.pump([0.5] * 21)
    else:
        transport.closed()  # type: ignore[attr-defined]
    assert isinstance(outcome(asked), TemporaryFailure)
    for _ in range(2):
        again = start(service)
        protocol, transport = reactor.connect()
        protocol.dataReceived(OK)
        assert outcome(again)[0] == 200
        transport.closed()  # type: ignore[attr-defined]
    assert [host for host, *_ in reactor.tcpClients] == ["1.1.1.1", "8.8.8.8", "8.8.8.8"]


def test_an_answer_that_lay_in_the_socket_while_we_were_stopped_counts() -> None:
    """A process that is stopped for longer than the time-out tells no status twice for it."""
    reactor = Reactor()
    asked = start(callbacks(reactor, timeout=10.0))
    protocol, _ = reactor.connect()
    reactor.advance(60)
    protocol.dataReceived(OK)
    reactor.advance(1)
    assert outcome(asked)[0] == 200


def test_a_name_or_connection_that_never_comes_is_given_up_in_time() -> None:
    """The time-out bounds connecting as well."""
    reactor = Reactor()
    asked = start(callbacks(reactor, timeout=10.0))
    reactor.pump([1] * 11)
    assert "in time" in outcome(asked).reason


def test_a_trouble_of_this_host_is_not_the_callback_hosts() -> None:
    """No route, no file left for a socket: whoever reads it looks here, and not at Smartico."""
    reactor = Reactor()
    asked = start(callbacks(reactor))
    _, _, factory, _, _ = reactor.tcpClients[0]
    factory.clientConnectionFailed(reactor.connectors[0], Failure(ConnectBindError(EMFILE, "Too many open files")))
    reactor.advance(0.4)
    assert outcome(asked).reason == (
        "no connection to the callback host: this process has as many files open as it may (LimitNOFILE)"
    )


def test_a_cancelled_get_closes_its_connection() -> None:
    """Whoever gives up waiting leaves nothing behind that could answer the next request."""
    reactor = Reactor()
    service = callbacks(reactor)
    asked = start(service)
    _, transport = reactor.connect()
    asked.cancel()
    assert transport.disconnected
    connecting = start(service)
    connecting.cancel()
    assert reactor.connectors[-1].stoppedConnecting


def test_a_dead_host_is_left_alone_and_probed_with_back_off() -> None:
    """After five failures in a row only one request at a time is let through, first within 5 s, then ever later."""
    reactor = Reactor()
    service = callbacks(reactor)
    for _ in range(5):
        asked = start(service)
        reactor.refuse()
        failure = outcome(asked)
        assert failure.counts
        assert failure.reason == "callback host refused the connection"
        assert service.hosts() == {"api.example": "callback host refused the connection"}
    assert service.hosts() == {"api.example": "callback host refused the connection"}
    probes = []
    for _ in range(12_000):
        before = len(reactor.tcpClients)
        asked = start(service)
        if len(reactor.tcpClients) > before:
            probes.append(reactor.seconds())
            reactor.refuse()
            assert outcome(asked).counts
        else:
            failure = outcome(asked)
            assert not failure.counts
            assert failure.not_before > reactor.seconds()
        reactor.advance(0.1)
    gaps = [later - earlier for earlier, later in pairwise(probes)]
    assert probes[0] <= 5
    assert max(gap for at, gap in zip(probes, gaps, strict=False) if at < 50) <= 10.6
    assert 50 < max(gaps) <= 61
    reactor.advance(61)
    probe = start(service)
    other = start(service)
    assert outcome(other).reason == "callback host is down"
    protocol, _ = reactor.connect()
    protocol.dataReceived(OK)
    assert outcome(probe) == (200, b'{"error_code": 0,}')
    assert service.hosts() == {"api.example": ""}


def test_a_dead_host_that_nobody_asks_any_more_is_not_told_of_for_ever() -> None:
    """A name that was wrong in the file, and is another since; one that answered stays, however long it is idle."""
    reactor = Reactor()
    service = callbacks(reactor)
    start(service, "http://wrong.example/cb")
    reactor.refuse()
    start(service)
    reactor.connect()[0].dataReceived(OK)
    (said,) = service.degraded()
    assert said.name == "wrong.example"
    reactor.advance(STILL_SO + 1)
    assert list(service.degraded()) == []
    assert service.hosts() == {"api.example": ""}


def test_of_many_dead_hosts_some_are_named() -> None:
    """Requests name them: a metric with a label for each could grow without end."""
    reactor = Reactor()
    service = callbacks(reactor)
    for number in range(50):
        start(service, f"http://h{number}.example/cb")
        reactor.refuse()
    said = list(service.degraded())
    assert len(said) == 21
    assert (said[-1].name, said[-1].text) == (
        "others",
        "Smartico at 30 more hosts hears no status; statuses wait",
    )


def test_the_operator_hears_of_a_dead_host_once() -> None:
    """One line when a host is left alone, one when it is back; neither holds more of the URL than the host."""
    reactor = Reactor()
    service = callbacks(reactor)
    with capturedLogs() as events:
        for _ in range(40):
            get = start(service, "http://api.example:8080/cb?api_key=sesame")
            if outcome(get) is None:
                reactor.refuse()
            reactor.advance(1)
        reactor.advance(60)
        start(service, "http://api.example:8080/cb?api_key=sesame")
        reactor.connect()[0].dataReceived(OK)
    assert [formatEvent(event) for event in events if event["log_namespace"] == "gatewayd.callbacks"] == [
        "callback host api.example:8080 is left alone for a while: callback host refused the connection",
        "callback host api.example:8080 is up again",
    ]
    assert "sesame" not in str(events)


def test_a_host_that_is_not_smarticos_is_not_called_so() -> None:
    """Who reads that Amazon is left alone must not think that statuses wait."""
    reactor = Reactor()
    service = callbacks(reactor, who="host at Amazon")
    with capturedLogs() as events:
        for _ in range(40):
            get = start(service, "http://sns.example/cert.pem")
            if outcome(get) is None:
                reactor.refuse()
            reactor.advance(1)
        assert outcome(start(service, "http://sns.example/cert.pem")).reason.startswith("host at Amazon")
        reactor.advance(60)
        start(service, "http://sns.example/cert.pem")
        reactor.connect()[0].dataReceived(OK)
    assert [formatEvent(event) for event in events if event["log_namespace"] == "gatewayd.callbacks"] == [
        "host at Amazon sns.example is left alone for a while: host at Amazon refused the connection",
        "host at Amazon sns.example is up again",
    ]


def test_a_host_that_is_back_names_whom_it_turned_away() -> None:
    """Those who were turned away because it was down, each once, and nobody for another host's return."""
    reactor, returned = Reactor(), list[set[str]]()
    service = callbacks(reactor, on_return=lambda askers: returned.append(set(askers)))
    for _ in range(5):
        start(service, asker="tried")
        reactor.refuse()
    for asker in ("one", "two", "one", ""):
        assert outcome(start(service, asker=asker)).reason == "callback host is down"
    other = start(service, "http://other.example/cb", asker="other")
    reactor.connect()[0].dataReceived(OK)
    assert outcome(other)[0] == 200
    assert returned == []
    reactor.advance(5)
    start(service, asker="probe")
    reactor.connect()[0].dataReceived(OK)
    start(service, asker="next")
    assert returned == [{"one", "two"}]


@pytest.mark.parametrize("waiting", [3, 1_000, 20_000])
def test_who_waits_for_a_dead_host_costs_little_however_many_they_are(waiting: int) -> None:
    """No more than 200 a second come again, and somebody is there for the next probe."""
    reactor = Reactor()
    service = callbacks(reactor)
    for _ in range(5):
        start(service)
        reactor.refuse()
    due = [outcome(start(service)).not_before for _ in range(waiting)]
    looks, probes = Counter[int](), []
    while due[0] < 60:
        reactor.advance(max(due[0] - reactor.seconds(), 0))
        before = len(reactor.tcpClients)
        asked = start(service)
        if len(reactor.tcpClients) > before:
            probes.append(reactor.seconds())
            reactor.refuse()
        else:
            looks[int(due[0])] += 1
        failure = outcome(asked)
        heapq.heapreplace(due, reactor.seconds() + 10 if failure.counts else failure.not_before)
    assert max(looks.values(), default=0) <= 201
    assert max(later - earlier for earlier, later in pairwise(probes)) <= 10.6


def test_a_dead_host_does_not_touch_another() -> None:
    """While one host is down, another is asked as always."""
    reactor = Reactor()
    service = callbacks(reactor)
    for _ in range(5):
        start(service)
        reactor.refuse()
    other = start(service, "http://other.example/cb")
    protocol, _ = reactor.connect()
    protocol.dataReceived(OK)
    assert outcome(other) == (200, b'{"error_code": 0,}')


def test_a_slow_host_takes_its_places_and_no_more() -> None:
    """With all places of a hanging host taken, the next are turned away soon, spread over the time to come."""
    reactor = Reactor()
    service = callbacks(reactor, limit=4)
    asked = [start(service) for _ in range(20)]
    assert len(reactor.tcpClients) == 4
    for number in range(4):
        reactor.connect(number)
    reactor.pump([0.5] * 3)
    failures = [outcome(one) for one in asked[4:]]
    assert all(not failure.counts and failure.reason == "callback host is busy" for failure in failures)
    assert len({failure.not_before for failure in failures}) == 16
    assert all(failure.not_before <= reactor.seconds() + 5 for failure in failures)
    assert outcome(start(service)).reason == "callback host is busy"


def test_a_fast_host_serves_a_line() -> None:
    """More requests than places wait a moment for their turn, in order, on the same connections."""
    reactor = Reactor()
    service = callbacks(reactor, limit=2)
    asked = [start(service, f"http://api.example/{number}") for number in range(6)]
    peers = [reactor.connect(number) for number in range(2)]
    for number in range(6):
        protocol, transport = peers[number % 2]
        assert f"GET /{number} ".encode() in transport.value()
        protocol.dataReceived(OK)
        assert outcome(asked[number]) == (200, b'{"error_code": 0,}')
    assert len(reactor.tcpClients) == 2


def test_one_who_gave_up_in_the_line_loses_no_place() -> None:
    """A cancelled waiter is passed over."""
    reactor = Reactor()
    service = callbacks(reactor, limit=1)
    first, second, third = (start(service, f"http://api.example/{number}") for number in range(3))
    second.cancel()
    protocol, transport = reactor.connect()
    protocol.dataReceived(OK)
    protocol.dataReceived(OK)
    assert outcome(first) == outcome(third) == (200, b'{"error_code": 0,}')
    assert b"GET /1" not in transport.value()


def test_one_who_is_cancelled_anywhere_leaves_no_slot_behind() -> None:
    """In the line, while connecting, or while the answer is awaited: the next gets the slot at once."""
    reactor = Reactor()
    service = callbacks(reactor, limit=1)
    connecting = start(service, "http://api.example/connecting")
    in_line = start(service, "http://api.example/in-line")
    asking = start(service, "http://api.example/asking")
    in_line.cancel()
    connecting.cancel()
    _, transport = reactor.connect(-1)
    assert b"GET /asking" in transport.value()
    last = start(service, "http://api.example/last")
    asking.cancel()
    protocol, transport = reactor.connect(-1)
    assert b"GET /last" in transport.value()
    protocol.dataReceived(OK)
    assert outcome(last) == (200, b'{"error_code": 0,}')
    assert start(service, "http://api.example/once-more").outcome is None
    assert transport.value().endswith(b"\r\n\r\n")
    assert b"GET /once-more" in transport.value()


def test_a_cancelled_probe_lets_the_next_one_probe() -> None:
    """Nobody is left alone for good because somebody gave up in the middle of finding out."""
    reactor = Reactor()
    service = callbacks(reactor)
    for _ in range(5):
        start(service)
        reactor.refuse()
    reactor.advance(5)
    probe = start(service)
    assert outcome(start(service)).reason == "callback host is down"
    probe.cancel()
    before = len(reactor.tcpClients)
    again = start(service)
    assert len(reactor.tcpClients) == before + 1
    reactor.connect(-1)[0].dataReceived(OK)
    assert outcome(again)[0] == 200


def test_each_who_is_sent_away_gets_an_exception_of_their_own() -> None:
    """When the host breaks while they wait: whoever catches one may write into it."""
    reactor = Reactor()
    service = callbacks(reactor, limit=1)
    for _ in range(4):
        start(service)
        reactor.refuse()
    asked = [start(service) for _ in range(5)]
    reactor.refuse()
    assert outcome(asked[0]).counts
    sent_away = [outcome(one) for one in asked[1:]]
    assert {one.reason for one in sent_away} == {"callback host is down"}
    assert len({id(one) for one in sent_away}) == len({one.not_before for one in sent_away}) == 4


def test_a_host_that_asks_for_peace_gets_it() -> None:
    """429 and 503 with Retry-After say when to come again; without, the usual back-off counts."""
    reactor = Reactor()
    service = callbacks(reactor)
    asked = start(service)
    protocol, _ = reactor.connect()
    protocol.dataReceived(b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n")
    assert outcome(asked).not_before == reactor.seconds() + 120
    asked = start(service)
    protocol.dataReceived(b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n")
    assert outcome(asked).not_before is None


@pytest.mark.parametrize(
    "url",
    [
        *("", "ftp://h/x", "http:///x", "http://user:pw@h/", "http://h:port/", "http://[::1/"),
        *("https://a..example/", "https://a_b.example/", "https://a-.example/", "https://xn--0.example/"),
    ],
)
def test_a_url_that_cannot_be_asked_is_for_good(url: str) -> None:
    """What is no http or https URL fails for good, and its text is not in the failure."""
    failure = outcome(start(callbacks(Reactor()), url))
    assert isinstance(failure, PermanentFailure)
    assert str(failure) == "the callback URL is unusable"


def test_no_failure_tells_the_url() -> None:
    """Neither the key nor the path of a URL is in any failure's text."""
    reactor = Reactor()
    service = callbacks(reactor)
    texts = []
    for _ in range(7):
        asked = start(service, SECRET_URL)
        if outcome(asked) is None:
            reactor.refuse()
        failure = outcome(asked)
        texts.append(f"{failure!r} {failure} {failure.__cause__!r} {failure.__context__!r}")
    assert "sesame" not in "".join(texts)
    assert "ext_message_id" not in "".join(texts)


def test_stopping_closes_everything() -> None:
    """The service ends when its connections are closed; who waited hears of it."""
    reactor = Reactor()
    service = callbacks(reactor, limit=1)
    service.startService()
    asked = [start(service) for _ in range(2)]
    _, transport = reactor.connect()
    stopping = service.stopService()
    assert stopping is not None
    assert stopping.called
    assert transport.disconnected
    assert all(isinstance(outcome(one), TemporaryFailure) for one in asked)
    assert reactor.getDelayedCalls() == []

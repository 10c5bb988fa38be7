"""The channel of vendors without sockets: one try, what an answer means, what is uncertain, pace, health, failover."""

import gc
import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure

from fakes import FakeStore
from gatewayd.config import Provider
from gatewayd.core.errors import PermanentFailure, StoreUnavailable, TemporaryFailure, Uncertain
from gatewayd.core.model import Handed, Message, Order, Sms, part_of
from gatewayd.providers.channel import HttpChannel
from gatewayd.providers.health import IN_A_ROW, UNANSWERED_IN_A_ROW
from gatewayd.providers.probes import PROBE_AFTER
from memory_network import Reactor, Transport

VENDOR = {
    "url": "http://api.example/send",
    "fields": {"to": "{to}", "text": "{text}", "dlr": "{report_url}"},
    "answer": {"rejected": [{"status": "400", "path": "error", "values": ["21211"]}], "ids": "ids.*"},
}
NUMBER = "+447700900123"


def answer(body: str = '{"ids": ["A1"]}', status: int = 200, *headers: str) -> bytes:
    """A vendor's answer."""
    head = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


class World:
    """A channel over memory. `marks` are the routes that were marked; `on_mark` runs right before that."""

    def __init__(self, **vendors: dict[str, Any]) -> None:
        self.reactor = Reactor()
        self.marks: list[str] = []
        self.on_mark: Callable[[], None] = lambda: None
        self.channel = HttpChannel(
            self.reactor,
            self.tables(vendors or {"vendor": {}}),
            report_url=lambda provider, message_id: f"https://go.example/dlr/{provider}/{message_id}",
            reserve=FakeStore(self.reactor).reserve,
            jitter=lambda: 1.0,
        )

    def tables(self, vendors: dict[str, dict[str, Any]]) -> dict[str, Provider]:
        """[providers.*] over VENDOR's keys."""
        return {name: Provider.model_validate(VENDOR | keys) for name, keys in vendors.items()}

    def send(self, *routes: str, number: int = 0, address: str = NUMBER) -> "Send":
        """One message under way, by these routes."""
        content = Sms(from_number="Amazing", body="Hello")
        message = Message(
            id=f"a540f662-45b3-41ee-be56-{number:012}",
            uid=f"u{number}",
            label="amazing",
            ext_user_id="p1",
            content=content,
            accepted_at=0.0,
            deadline=3600.0,
        )
        return Send(self, Order(message, address, routes or ("vendor",)))

    async def mark(self, route: str) -> None:
        """Stands for the store's mark."""
        self.on_mark()
        self.marks.append(route)

    def up(self, route: str = "vendor") -> bool:
        """Whether this vendor is up."""
        return self.channel.routes()[route]


class Send:
    """An attempt under way; `outcome` is what it gave or raised."""

    def __init__(self, world: World, order: Order) -> None:
        self.outcome: Any = None
        self._doing = Deferred.fromCoroutine(world.channel.send(order, world.mark))
        self._doing.addBoth(self._ended)

    def _ended(self, result: Any) -> None:
        self.outcome = result.value if isinstance(result, Failure) else result


def asked(transport: Transport) -> list[bytes]:
    """The requests on a connection so far."""
    return [b"POST " + part for part in transport.value().split(b"POST ")[1:]]


def test_a_message_is_marked_and_asked_once() -> None:
    """The mark comes right before the octets; ids of parts are remote ids, under the message's own."""
    world = World()
    send = world.send()
    assert world.marks == []
    protocol, transport = world.reactor.connect()
    assert world.marks == ["vendor"]
    (request,) = asked(transport)
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /send HTTP/1.1\r\nHost: api.example\r\n")
    assert b"Content-Length: %d" % len(body) in head
    assert b'"to":"+447700900123"' in body
    assert b"https://go.example/dlr/vendor/a540f662-45b3-41ee-be56-000000000000" in body
    protocol.dataReceived(answer('{"ids": ["A1", "A2"]}'))
    parts = tuple(part_of("vendor", "a540f662-45b3-41ee-be56-000000000000", one) for one in ("A1", "A2"))
    assert send.outcome == Handed("vendor", parts, "A1 A2")


def test_where_reports_name_only_ids_each_is_a_remote_id_by_itself() -> None:
    """There is no other name of the message in them."""
    world = World(vendor={"answer": {"ids": "id"}, "reports": {"url_secret": "r" * 16, "id": "id"}})
    send = world.send()
    world.reactor.connect()[0].dataReceived(answer('{"id": "A1"}'))
    assert send.outcome == Handed("vendor", (part_of("vendor", "", "A1"),), "A1")


@pytest.mark.parametrize(
    ("path", "body", "detail"), [("ids.*", "{}", ""), ("id", '{"id": "A1"}', "A1"), ("", '{"id": "A1"}', "")]
)
def test_where_there_is_one_id_at_most_the_url_says_all(path: str, body: str, detail: str) -> None:
    """Only parts need ids to be told apart; the one id stands in the timeline."""
    world = World(vendor={"answer": {"ids": path}})
    send = world.send()
    world.reactor.connect()[0].dataReceived(answer(body))
    assert send.outcome == Handed("vendor", (), detail)


@pytest.mark.parametrize(
    ("address", "written"),
    [
        *((NUMBER, words) for words in ("44:7700:900123", "[44] [7700] [900123]", "NDQ3NzAwOTAwMTIz")),
        *(("JANE_THE_PLAYER", words) for words in ("JANE_THE_PLAYER", "jane_the_player-7", "SkFORV9USEVfUExBWUVS")),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
def test_whom_a_message_was_for_is_in_no_word_of_its_vendors(address: str, written: str, status: int) -> None:
    """An address of instant messages has any form, and an id or a code may be made of it."""
    world = World(vendor={"answer": {"ids": "id", "rejected": [{"status": "400", "path": "id", "values": ["x"]}]}})
    send = world.send(address=address)
    protocol, _ = world.reactor.connect()
    protocol.dataReceived(answer(json.dumps({"id": written}), status))
    said = str(getattr(send.outcome, "detail", send.outcome))
    assert not re.search(r"900|123|jane|NDQ3|SkFO", said, re.IGNORECASE), said


def test_a_kept_connection_serves_the_next_message() -> None:
    """And one that was kept too long does not."""
    world = World()
    first = world.send()
    protocol, transport = world.reactor.connect()
    protocol.dataReceived(answer())
    second = world.send(number=1)
    assert len(asked(transport)) == 2
    protocol.dataReceived(answer())
    assert first.outcome
    assert second.outcome
    world.reactor.advance(4.5)
    world.send(number=2)
    assert len(asked(transport)) == 2
    assert len(world.reactor.tcpClients) == 2


def test_a_connection_is_kept_no_longer_than_the_vendor_says() -> None:
    """Keep-Alive: timeout=2 means that it closes at 2 s."""
    world = World()
    world.send()
    protocol, transport = world.reactor.connect()
    protocol.dataReceived(answer("{}", 200, "Keep-Alive: timeout=2, max=100"))
    world.reactor.advance(1.5)
    world.send(number=1)
    assert len(asked(transport)) == 1


def test_who_closes_after_an_answer_and_does_not_say_so_gets_one_request_a_connection() -> None:
    """What is written to a connection that closes would be uncertain; a minute later it is tried again."""
    world = World()
    for number in range(3):
        send = world.send(number=number)
        protocol, transport = world.reactor.connect()
        protocol.dataReceived(answer())
        assert send.outcome
        if number == 0:
            transport.closed()
        else:
            assert transport.disconnected
    world.reactor.advance(61)
    world.send(number=3)
    protocol, transport = world.reactor.connect()
    protocol.dataReceived(answer())
    world.send(number=4)
    assert len(asked(transport)) == 2


def test_who_closes_what_rested_long_is_asked_on_kept_connections_still() -> None:
    """Such a one has its own time for them; only who closes at once closes all of them."""
    world = World()
    world.send()
    protocol, transport = world.reactor.connect()
    protocol.dataReceived(answer())
    world.reactor.advance(2)
    transport.closed()
    world.send(number=1)
    protocol, transport = world.reactor.connect()
    protocol.dataReceived(answer())
    world.send(number=2)
    assert len(asked(transport)) == 2


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (answer('{"error": 21211}', 400), "vendor answered 400 (21211)"),
    ],
)
def test_a_refusal_is_the_messages(data: bytes, reason: str) -> None:
    """A `rejected` answer ends the message, and says nothing of the recipient."""
    world = World()
    send = world.send()
    world.reactor.connect()[0].dataReceived(data)
    assert isinstance(send.outcome, PermanentFailure)
    assert send.outcome.reason == reason


@pytest.mark.parametrize("status", [200, 302, 400, 404, 500])
def test_what_fits_nothing_is_temporary(status: int) -> None:
    """A redirect is not followed; none of it uses the message up."""
    world = World(vendor={"answer": {"taken": [{"status": "202"}]}})
    send = world.send()
    world.reactor.connect()[0].dataReceived(answer("{}", status, "Location: http://elsewhere.example/"))
    assert isinstance(send.outcome, TemporaryFailure)
    assert send.outcome.counts
    assert len(world.reactor.tcpClients) == 1


def test_no_connection_is_a_retry() -> None:
    """Nothing was marked, nothing was written."""
    world = World()
    send = world.send()
    world.reactor.refuse()
    assert isinstance(send.outcome, TemporaryFailure)
    assert world.marks == []
    assert send.outcome.reason == "vendor is down: host refused the connection"


def test_a_connection_that_takes_too_long_is_a_retry() -> None:
    """A time-out before anything was written."""
    world = World()
    send = world.send()
    for _ in range(11):
        world.reactor.advance(1)
    assert isinstance(send.outcome, TemporaryFailure)
    assert world.marks == []


def test_written_and_no_answer_is_uncertain() -> None:
    """Whether the vendor has it nobody knows."""
    world = World()
    send = world.send()
    world.reactor.connect()
    for _ in range(21):
        world.reactor.advance(0.5)
    assert isinstance(send.outcome, Uncertain)
    assert (send.outcome.route, send.outcome.reason) == ("vendor", "vendor: no answer in 10 s")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{", b"SSH-2.0\r\n\r\n"])
def test_a_connection_lost_after_the_write_is_uncertain(said: bytes) -> None:
    """As is an answer that can't be read."""
    world = World()
    send = world.send()
    protocol, transport = world.reactor.connect()
    if said:
        protocol.dataReceived(said)
    transport.closed()
    assert isinstance(send.outcome, Uncertain)


@pytest.mark.parametrize(
    "said",
    [
        answer("x" * 99, 500)[:-1],
        answer("", 502, "Transfer-Encoding: chunked") + b"5\r\n{",
        answer('{"error": 21211}', 400)[:-1],
        b"HTTP/1.1 500 X\r\nContent-Length: 99999\r\n\r\n",
        b"HTTP/1.1 500 X\r\n\r\n" + b"x" * 99999,
        b"HTTP/1.1 302 X\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
@pytest.mark.parametrize("ends", [True, False])
def test_a_failure_that_does_not_come_whole_is_temporary(said: bytes, ends: bool) -> None:
    """Its head says that it is no success: such a page is cut off by a balancer, too long, or never ends."""
    world = World(vendor={"answer": {"taken": [{"path": "id"}], "rejected": VENDOR["answer"]["rejected"]}}, other={})
    send = world.send("vendor", "other")
    protocol, transport = world.reactor.connect()
    protocol.dataReceived(said)
    if ends:
        transport.closed()
    for _ in range(21):
        if len(world.reactor.tcpClients) == 1:
            world.reactor.advance(0.5)
    assert world.marks == ["vendor"]
    world.reactor.connect()[0].dataReceived(answer())
    assert world.marks == ["vendor", "other"]
    assert send.outcome.route == "other"


@pytest.mark.parametrize(
    ("taken", "is_taken"),
    [
        ([{"status": "2xx"}], True),
        ([{"status": "200", "path": "id"}, {}], True),
        ([{"status": "201"}], False),
        ([{"status": "2xx", "path": "id"}], False),
        ([{"status": "2xx", "values": ["OK"]}], False),
    ],
)
@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 200 X\r\nContent-Length: 99999\r\n\r\n", b"HTTP/1.1 200 X\r\n\r\n" + b"x" * 99999]
)
def test_a_success_that_is_too_large_is_one_where_its_status_says_so(said: bytes, taken: Any, is_taken: bool) -> None:
    """Else nobody knows, as it may say that it took none: no copy leaves."""
    world = World(vendor={"answer": {"taken": taken}}, other={})
    send = world.send("vendor", "other")
    world.reactor.connect()[0].dataReceived(said)
    if is_taken:
        assert send.outcome == Handed("vendor", (), "")
    else:
        assert isinstance(send.outcome, Uncertain)


def test_a_success_that_can_not_be_read_is_uncertain() -> None:
    """Whether it was taken nobody knows; a vendor that goes on like that is left alone, as one that never answers."""
    world = World(vendor={"answer": {"taken": [{"status": "2xx", "path": "id"}]}})
    for number in range(UNANSWERED_IN_A_ROW):
        assert world.up()
        send = world.send(number=number)
        if number == 0:
            protocol, _ = world.reactor.connect()
        protocol.dataReceived(answer("<html>", 200))
        assert isinstance(send.outcome, Uncertain)
        assert send.outcome.route == "vendor"
        assert send.outcome.reason == "vendor answered 200, and what it said can't be read"
    assert not world.up()


def test_a_kept_connection_that_closes_under_the_request_is_uncertain() -> None:
    """For a GET to Smartico it would be nothing; here the vendor may have it."""
    world = World()
    world.send()
    protocol, transport = world.reactor.connect()
    protocol.dataReceived(answer())
    send = world.send(number=1)
    transport.closed()
    assert isinstance(send.outcome, Uncertain)
    assert send.outcome.reason == "vendor: the host closed a kept connection as the request was written"


def test_a_connection_that_closes_while_it_is_marked_is_a_retry() -> None:
    """Nothing was written to it, though the mark is there: the outbox takes that back."""
    world = World()
    world.send()
    protocol, transport = world.reactor.connect()
    protocol.dataReceived(answer())
    world.on_mark = transport.closed
    send = world.send(number=1)
    assert isinstance(send.outcome, TemporaryFailure)
    assert not send.outcome.counts
    assert world.up()


def test_a_vendor_that_closes_each_new_connection_is_out() -> None:
    """A door with nobody behind it: the next way gets the message, and tries count, else they would never back off."""
    world = World(first={}, second={})
    world.on_mark = lambda: world.reactor.latest.closed()
    sends = []
    for number in range(IN_A_ROW):
        sends.append(world.send("first", number=number))
        world.reactor.connect()
    assert not world.up("first")
    assert all(send.outcome.counts for send in sends)
    assert "new connections end before anything is written" in sends[0].outcome.reason
    world.on_mark = lambda: None
    both = world.send("first", "second", number=IN_A_ROW)
    world.reactor.connect()[0].dataReceived(answer())
    assert both.outcome.route == "second"


def test_what_the_mark_raises_goes_on_and_nothing_is_written() -> None:
    """The connection serves the next message."""
    world = World()

    def fail() -> None:
        raise StoreUnavailable("away")

    world.on_mark = fail
    send = world.send()
    _, transport = world.reactor.connect()
    assert isinstance(send.outcome, StoreUnavailable)
    assert asked(transport) == []
    world.on_mark = lambda: None
    world.send(number=1)
    assert len(asked(transport)) == 1


@pytest.mark.parametrize("status", [429, 420])
def test_throttled_uses_up_no_attempt_and_slows_down(status: int) -> None:
    """Retry-After is honoured, for this message and those behind it; 429 means that without a table, too."""
    world = World(vendor={"answer": {"throttled": [{"status": "420"}]}, "rate": "10/s"})
    send = world.send()
    world.reactor.advance(0.1)
    protocol, transport = world.reactor.connect()
    world.reactor.advance(0.1)
    protocol.dataReceived(answer("{}", status, "Retry-After: 7"))
    assert isinstance(send.outcome, TemporaryFailure)
    assert (send.outcome.counts, send.outcome.not_before) == (False, pytest.approx(7.2))
    behind = world.send(number=1)
    assert isinstance(behind.outcome, TemporaryFailure)
    assert not behind.outcome.counts
    assert behind.outcome.not_before >= 7.2
    assert world.up()
    assert len(asked(transport)) == 1


def test_a_message_that_alone_is_told_to_slow_down_slows_nobody_else() -> None:
    """A vendor's limit for one recipient: from the third 429 on, others accepted in between, it is its own matter."""
    world = World(vendor={})

    def tried(number: int, octets: bytes) -> Any:
        world.reactor.advance(4.0)
        send = world.send(number=number)
        world.reactor.advance(0.1)
        protocol, _ = world.reactor.connect()
        world.reactor.advance(0.1)
        protocol.dataReceived(octets)
        return send.outcome

    close = "Connection: close"
    for counts in (False, False, True, True):
        refused = tried(0, answer("{}", 429, close))
        assert isinstance(refused, TemporaryFailure)
        assert refused.counts is counts
        assert isinstance(tried(1, answer("{}", 200, close)), Handed)
    assert world.channel.states()["vendor"].throttled == 2


@pytest.mark.parametrize(("seconds", "said"), [(30, ""), (3600, "it said slow down, for 60 min from now")])
def test_a_pause_of_more_than_a_minute_is_said_of_the_way(seconds: int, said: str) -> None:
    """Messages wait as long as Retry-After says, for no other route: whose they are is no pace any more."""
    world = World(vendor={})
    world.send()
    world.reactor.connect()[0].dataReceived(answer("{}", 429, f"Retry-After: {seconds}"))
    assert world.up()
    assert world.channel.states()["vendor"].refuses == said
    behind = world.send(number=1)
    assert str(behind.outcome) == "vendor is busy: it said slow down"
    world.reactor.advance(seconds)
    assert world.channel.states()["vendor"].refuses == ""


def test_a_route_that_is_throttled_or_busy_is_no_reason_to_take_another() -> None:
    """They differ in price."""
    world = World(first={}, second={})
    send = world.send("first", "second")
    world.reactor.connect()[0].dataReceived(answer("{}", 429))
    assert isinstance(send.outcome, TemporaryFailure)
    assert world.marks == ["first"]


@pytest.mark.parametrize("status", [500, 401, 503])
def test_a_route_that_refuses_for_reasons_of_its_own_is(status: int) -> None:
    """The next one takes the message."""
    world = World(first={}, second={})
    send = world.send("first", "second")
    world.reactor.connect()[0].dataReceived(answer("{}", status))
    world.reactor.connect()[0].dataReceived(answer())
    assert send.outcome.route == "second"
    assert world.marks == ["first", "second"]


def test_a_vendor_that_is_unavailable_until_then_is_down_until_then() -> None:
    """503 with Retry-After: messages go by the next route meanwhile."""
    world = World(first={}, second={})
    send = world.send("first", "second")
    world.reactor.connect()[0].dataReceived(answer("{}", 503, "Retry-After: 30"))
    assert not world.up("first")
    world.reactor.connect()[0].dataReceived(answer())
    assert send.outcome.route == "second"
    world.reactor.advance(31)
    assert world.up("first")


def test_a_vendor_that_fails_in_a_row_is_left_alone() -> None:
    """Then one message at a time finds out whether it is well again."""
    world = World()
    world.send()
    protocol, _ = world.reactor.connect()
    protocol.dataReceived(answer("{}", 500))
    for number in range(1, IN_A_ROW):
        world.send(number=number)
        protocol.dataReceived(answer("{}", 500))
    assert not world.up()
    assert world.channel.why_not(["vendor"]) == "vendor is down: vendor answered 500"
    world.reactor.advance(3)
    assert world.up()
    trial = world.send(number=20)
    assert not world.up()
    assert isinstance(world.send(number=21).outcome, TemporaryFailure)
    protocol.dataReceived(answer())
    assert isinstance(trial.outcome, Handed)
    assert world.up()


def test_a_vendor_that_answers_nothing_is_left_alone() -> None:
    """Each unanswered request is a message of which nobody knows."""
    world = World(vendor={"timeout": "1s"})
    for number in range(UNANSWERED_IN_A_ROW):
        world.send(number=number)
        world.reactor.connect()
        for _ in range(3):
            world.reactor.advance(0.5)
    assert not world.up()


def test_answers_about_messages_fault_no_vendor() -> None:
    """A campaign to wrong numbers must not close the way for the rest."""
    world = World()
    protocol = None
    for number in range(3 * IN_A_ROW):
        world.send(number=number)
        if protocol is None:
            protocol, _ = world.reactor.connect()
        protocol.dataReceived(answer('{"error": 1}', 400))
    assert world.up()


def test_a_vendor_that_is_out_is_probed_and_found_again() -> None:
    """By a connection, without a message."""
    world = World()
    world.channel.startService()
    world.reactor.advance(0)
    world.reactor.refuse()
    assert not world.up()
    for _ in range(20):
        world.reactor.advance(0.5)
        if len(world.reactor.tcpClients) > 1:
            break
    _, transport = world.reactor.connect()
    assert world.up()
    assert transport.value() == b""
    world.channel.stopService()


def test_a_vendor_that_nobody_asks_is_looked_after() -> None:
    """Its outage is known before the next campaign begins."""
    world = World()
    world.channel.startService()
    world.reactor.advance(0)
    world.reactor.connect()
    assert world.up()
    for _ in range(int(PROBE_AFTER) + 2):
        world.reactor.advance(1)
    assert len(world.reactor.tcpClients) == 2
    world.reactor.refuse()
    assert not world.up()
    world.channel.stopService()


def test_as_many_requests_at_a_time_as_there_are_connections() -> None:
    """The next one waits its turn, and no longer than is right."""
    world = World(vendor={"connections": 1})
    first, second = world.send(), world.send(number=1)
    protocol, transport = world.reactor.connect()
    assert len(asked(transport)) == 1
    protocol.dataReceived(answer())
    assert first.outcome
    assert len(asked(transport)) == 2
    third = world.send(number=2)
    for _ in range(11):
        world.reactor.advance(0.5)
    assert isinstance(third.outcome, TemporaryFailure)
    assert not third.outcome.counts
    assert second.outcome is None


def test_the_rate_spreads_requests_evenly() -> None:
    """Shared by all processes: the moments come from the store."""
    world = World(vendor={"rate": "10/s"})
    sends = [world.send(number=number) for number in range(5)]
    times: list[float] = []
    done = 0
    for _ in range(100):
        world.reactor.advance(0.01)
        while len(world.reactor.tcpClients) > done:
            world.reactor.connect(done)[0].dataReceived(answer("{}", 200, "Connection: close"))
            done += 1
        times += [world.reactor.seconds()] * (len(world.marks) - len(times))
    assert all(isinstance(send.outcome, Handed) for send in sends)
    assert all(0.09 < later - earlier < 0.13 for earlier, later in pairwise(times))


def test_a_drain_waits_for_what_is_on_the_wire() -> None:
    """And writes nothing new."""
    world = World()
    world.channel.startService()
    send = world.send()
    protocol, transport = world.reactor.connect()
    stopped = world.channel.stopService()
    assert not stopped.called
    assert isinstance(world.send(number=1).outcome, TemporaryFailure)
    protocol.dataReceived(answer())
    assert isinstance(send.outcome, Handed)
    assert stopped.called
    assert transport.disconnecting or transport.disconnected


def test_a_vendor_that_can_not_stop_takes_nothing_from_the_others() -> None:
    """What they have on the wire is waited for, as the store is there until all have ended; and it is said once."""
    world = World(torn={}, vendor={})
    world.channel.startService()
    world.send("torn")
    protocol, transport = world.reactor.connect()
    protocol.dataReceived(answer())
    send = world.send("vendor", number=1)
    protocol, _ = world.reactor.connect()
    with capturedLogs() as told:
        transport.loseConnection = lambda: 1 / 0
        stopped = world.channel.stopService()
        assert not stopped.called
        protocol.dataReceived(answer())
        gc.collect()
    assert isinstance(send.outcome, Handed)
    assert stopped.called
    assert [formatEvent(event) for event in told if event["log_level"] >= LogLevel.warn] == ["torn did not stop well"]


def test_an_answer_that_lay_in_the_socket_while_we_were_stopped_in_a_drain_counts() -> None:
    """SIGTERM, and then stopped for longer than the drain may take: what came meanwhile is read before the end."""
    world = World()
    world.channel.startService()
    send = world.send()
    protocol, _ = world.reactor.connect()
    stopped = world.channel.stopService()
    world.reactor.advance(60)
    protocol.dataReceived(answer())
    world.reactor.advance(1)
    assert isinstance(send.outcome, Handed)
    assert stopped.called


def test_a_reload_keeps_what_stays() -> None:
    """Another text for the vendor needs no other connection; another host does."""
    world = World()
    world.send()
    protocol, transport = world.reactor.connect()
    protocol.dataReceived(answer())
    world.channel.reconfigure(world.tables({"vendor": {"fields": {"other": "{text}"}}}))
    world.send(number=1)
    assert b'{"other":"Hello"}' in asked(transport)[1]
    protocol.dataReceived(answer())
    world.channel.reconfigure(world.tables({"vendor": {"url": "http://other.example/"}}))
    world.send(number=2)
    assert len(world.reactor.tcpClients) == 2
    world.channel.reconfigure({})
    assert world.send(number=3).outcome.reason == "vendor is configured no more"


def test_reports_can_come_since_the_start() -> None:
    """Where the vendor is told where to; an uncertain message waits for them from then on."""
    world = World(vendor={}, mute={"fields": {"to": "{to}"}})
    world.reactor.advance(100)
    world.channel.startService()
    assert (world.channel.heard_since("vendor"), world.channel.heard_since("mute")) == (100, 0)
    assert [world.channel.tells_later(name) for name in ("vendor", "mute", "gone")] == [True, False, False]
    world.channel.stopService()


def test_a_vendor_that_rejects_one_message_after_the_other_says_so() -> None:
    """From the tenth in a row on, until it takes one, or for an hour in which nothing is asked of it: then anew."""
    world = World()
    sent = world.send()
    protocol, _ = world.reactor.connect()
    for number in range(10):
        assert world.channel.states()["vendor"].refuses == ""
        sent = world.send(number=number) if sent.outcome else sent
        protocol.dataReceived(answer('{"error": 21211}', 400))
        assert isinstance(sent.outcome, PermanentFailure)
    state = world.channel.states()["vendor"]
    assert (state.up, state.refuses) == (True, "it rejects one message after the other, the latest with 400 (21211)")
    world.reactor.advance(3601)
    assert world.channel.states()["vendor"].refuses == ""
    for number in range(10, 20):
        assert world.channel.states()["vendor"].refuses == ""
        world.send(number=number)
        if number == 10:
            protocol, _ = world.reactor.connect()
        protocol.dataReceived(answer('{"error": 21211}', 400))
    assert world.channel.states()["vendor"].refuses == state.refuses
    world.send(number=20)
    protocol.dataReceived(answer())
    assert world.channel.states()["vendor"].refuses == ""


def test_a_vendor_whose_answers_nobody_knows_says_so() -> None:
    """Three messages in a row: it is up, and nothing goes out. What it takes, or rejects for itself, ends that."""
    world = World()
    sent = world.send()
    protocol, _ = world.reactor.connect()
    for ending in (answer(), answer('{"error": 21211}', 400), None):
        for number in range(3):
            assert world.channel.states()["vendor"].refuses == ""
            sent = world.send(number=number) if sent.outcome else sent
            protocol.dataReceived(answer('{"error": 1}', 400))
            assert isinstance(sent.outcome, TemporaryFailure)
            # Once more it says nothing of others.
            world.send(number=number)
            protocol.dataReceived(answer('{"error": 1}', 400))
        state = world.channel.states()["vendor"]
        assert (state.up, state.refuses) == (True, "it refuses every message, the latest with 400 (1)")
        assert state.reason == state.refuses
        if ending is None:
            world.channel.reconfigure(world.tables({"vendor": {"rate": "50/s"}}))
        else:
            world.send(number=9)
            protocol.dataReceived(ending)
    assert world.channel.states()["vendor"].refuses == ""


def test_what_a_vendor_refused_an_hour_ago_is_said_no_more() -> None:
    """It may have gone by another way, and nothing came since: nobody can say that it is still so."""
    world = World()
    world.send()
    protocol, _ = world.reactor.connect()
    for number in range(3):
        protocol.dataReceived(answer('{"error": 1}', 400))
        world.send(number=number + 1)
    assert world.channel.states()["vendor"].refuses != ""
    world.reactor.advance(3601)
    assert world.channel.states()["vendor"].refuses == ""

"""Reports of vendors at the public listener: matched in any order, told once, durable before they are answered."""

import gzip
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent

from at_once import run
from conftest import FUZZ_EXAMPLES
from fakes import FakeClaims, FakeMeter, FakeStopList, FakeStore
from gatewayd.config import Provider
from gatewayd.core.model import Handed, Im, Message, Sms, part_of
from gatewayd.core.status import State
from gatewayd.core.tokens import Keys, Purpose, shortened
from gatewayd.evidence.public import PublicPaths
from gatewayd.evidence.track import Tracker
from gatewayd.evidence.vendor_reports import ABOUT_MANY, ABOUT_ONE, FACTS_A_MESSAGE
from labels import label
from public_world import at_once

KEYS = Keys(b"k" * 32)
ID = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
TOKEN = KEYS.token(Purpose.REPORT, ID)
NUMBER = KEYS.number_hashes("+447700900123")[0]
STATES = {"DELIVERED": "delivered", "UNDELIVERABLE": "failed", "REJECTED": "rejected", "SENT": "accepted"}
ONE = {"answer": {"ids": "id"}, "reports": {"id": "id", "status": "status", "states": STATES}}
MANY = {
    "answer": {"ids": "parts.*.id"},
    "reports": {"id": "results.*.id", "status": "results.*.status", "states": STATES},
}


class World:
    """A public listener before a tracker and a store in memory; one message of [providers.vendor]."""

    def __init__(self, im: bool = False, **keys: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.store = FakeStore(self.clock)
        self.meter = FakeMeter()
        self.tracker = Tracker(self.clock, self.store, FakeStopList(self.store), KEYS, {"amazing": label()}, self.meter)
        table = {"url": "https://api.vendor.example/"} | (keys or ONE)
        self.public = PublicPaths(
            self.clock,
            KEYS,
            evidence=self.tracker,
            esp={},
            base_url="https://go.example",
            claims=FakeClaims(self.clock),
            ping=self.store.ping,
            fetch=None,  # type: ignore[arg-type]
            meter=self.meter,
            providers={"vendor": Provider.model_validate(table)},
            mails_out=lambda provider: 0,
            about=self.store.about,
            in_thread=at_once,
        )
        self.site = self.public.site(self.clock)
        content = Im("A", "b") if im else Sms("A", "b")
        for number, message_id in enumerate((ID, OTHER)):
            now = self.clock.seconds()
            message = Message(message_id, f"u{number}", "amazing", "p1", content, now, now + 3600)
            run(self.store.accept(message, "f", lease=True))
            setattr(self, "other" if number else "message", message)

    def mark(self, message_id: str = ID) -> None:
        """It is on the wire."""
        message = self.message if message_id == ID else self.other
        run(self.store.mark(message, "vendor", NUMBER, lease=""))

    def answered(self, *ids: str, message_id: str = ID) -> None:
        """The vendor took it; what was parked is recorded."""
        parts = tuple(part_of("vendor", message_id, one) for one in ids)
        channel = self.message.channel
        for receipt in run(self.store.settle_sent(message_id, channel, Handed("vendor", parts))).parked:
            run(self.tracker.record_receipt(receipt))

    def look_again(self, seconds: float) -> None:
        """What is parked is looked at, that much later."""
        self.clock.advance(seconds)
        due, _ = run(self.store.parked_receipts(100))
        for receipt in due:
            run(self.tracker.look_again(receipt))

    def ask(
        self,
        method: str = "GET",
        query: str = "",
        body: bytes = b"",
        kind: str = "",
        token: str = TOKEN,
        coding: str = "",
    ) -> int:
        """The status of the answer to a report."""
        return int(self.answer(method, query, body, kind, token, coding).split(b" ", 2)[1])

    def answer(
        self,
        method: str = "GET",
        query: str = "",
        body: bytes = b"",
        kind: str = "",
        token: str = TOKEN,
        coding: str = "",
    ) -> bytes:
        """The whole of it."""
        protocol = self.site.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        head = f"{method} /dlr/vendor/{token}{query and '?' + query} HTTP/1.1\r\nHost: go.example\r\n"
        if kind:
            head += f"Content-Type: {kind}\r\n"
        if coding:
            head += f"Content-Encoding: {coding}\r\n"
        protocol.dataReceived(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        for _ in range(50):
            if transport.value():
                break
            self.clock.advance(0.01)
        return transport.value()

    def post(self, data: Any, token: str = TOKEN) -> int:
        """A report in JSON."""
        return self.ask("POST", body=json.dumps(data).encode(), kind="application/json", token=token)

    @property
    def state(self) -> tuple[State, str]:
        """Of the message: where it stands, and the letters of what was told."""
        row = self.store.db.rows[ID]
        return row.state, row.queued


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("method", "query", "body", "kind"),
    [
        ("GET", "id=A&status=DELIVERED", b"", ""),
        ("POST", "", b"id=A&status=DELIVERED", FORM),
        ("POST", "", b"id=A&status=DELIVERED\n", ""),
        ("POST", "", b'{"id": "A", "status": "DELIVERED"}', "application/json"),
        ("POST", "", b'{"id": "A", "status": "DELIVERED"}', "text/plain"),
        ("POST", "", rb'{"id": "A", "status": "DELIVERED", "text": "\ud83d"}', "application/json"),
        ("POST", "", b' {"id": "A", "status": "DELIVERED"}\n', FORM),
        ("POST", "", b'{"id": "A", "status": "DELIVERED", "text": "Get\n\toffer", "price": NaN}', "application/json"),
        ("POST", "", b'{"id": "A&b=c", "status": "DELIVERED"}', FORM),
        ("POST", "", b'{"id": "A", "status": "DELIVERED"}', "multipart/form-data; boundary=x"),
        ("POST", "", b'\xef\xbb\xbf{"id": "A", "status": "DELIVERED"}', "application/json"),
        ("POST", "", b'\xef\xbb\xbf{"id": "A", "status": "DELIVERED"}', "text/plain"),
        ("POST", "", b"status=DELIVERED&id=A", "application/json"),
        ("POST", "status=DELIVERED", b"", ""),
        ("POST", "status=DELIVERED", b'{"other": 1}', "application/json"),
    ],
)
def test_json_form_and_query_are_read(method: str, query: str, body: bytes, kind: str) -> None:
    """Whatever the vendor calls it."""
    world = World()
    world.mark()
    world.answered()
    assert world.ask(method, query, body, kind) == 200
    assert world.state == (State.DELIVERED, "ad")


def test_a_vendors_words_in_another_encoding_hide_no_status() -> None:
    """Many send the text of the message back."""
    world = World()
    world.mark()
    world.answered()
    body = b'{"id": "A", "text": "Gr\xfc\xdfe", "status": "DELIVERED"}'
    assert world.ask("POST", body=body, kind="application/json; charset=iso-8859-1") == 200
    assert world.state == (State.DELIVERED, "ad")


@pytest.mark.parametrize("token", [TOKEN, TOKEN[:-1] + "q"])
def test_a_compressed_report_is_refused_aloud(token: str) -> None:
    """Answered 200 it would be lost without a word; the same for a bad token."""
    world = World()
    world.mark()
    world.answered()
    body = gzip.compress(b'{"id": "A", "status": "DELIVERED"}')
    with capturedLogs() as logs:
        assert world.ask("POST", body=body, kind="application/json", coding="gzip", token=token) == 400
    assert ["its body is compressed" in (formatEvent(event) or "") for event in logs] == [True]
    assert world.state == (State.SENT, "a")
    assert world.meter.facts == [("vendor", "unreadable", "ignored")]
    plain = b'{"id": "A", "status": "DELIVERED"}'
    assert world.ask("POST", body=plain, kind="application/json", coding="Identity") == 200
    assert world.state == (State.DELIVERED, "ad")


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("UNDELIVERABLE", (State.FAILED, "af")),
        ("REJECTED", (State.REJECTED, "ar")),
        ("delivered", (State.SENT, "a")),
        ("SENT", (State.SENT, "a")),
    ],
)
def test_words_mean_what_the_table_says(word: str, state: tuple[State, str]) -> None:
    """Others change nothing, and are counted."""
    world = World()
    world.mark()
    world.answered()
    assert world.ask(query=urlencode({"status": word})) == 200
    assert world.state == state
    assert len(world.meter.facts) == 1


def test_a_report_before_the_answer_and_twice() -> None:
    """Both statuses are told, once each."""
    world = World()
    world.mark()
    assert world.ask(query="status=DELIVERED") == 200
    assert world.ask(query="status=DELIVERED") == 200
    world.answered()
    assert world.ask(query="status=UNDELIVERABLE") == 200
    assert world.state == (State.DELIVERED, "ad")


@pytest.mark.parametrize("im", [False, True])
def test_a_report_resolves_what_is_uncertain(im: bool) -> None:
    """The answer was lost; that the vendor has it the report shows, for SMS and instant messages."""
    world = World(im)
    world.mark()
    run(
        world.store.settle_again(
            world.message, world.clock.seconds() + 100, "lost", lease="", uncertain=True, route="vendor"
        )
    )
    assert world.ask(query="status=SENT") == 200
    assert world.state == (State.SENT, "a")
    assert world.ask(query="status=DELIVERED") == 200
    assert world.state == (State.DELIVERED, "ad")


@pytest.mark.parametrize("table", [ONE, MANY])
@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("DELIVERED", (State.DELIVERED, "ad")),
        ("SENT", (State.SENT, "a")),
        ("UNDELIVERABLE", (State.FAILED, "af")),
        ("REJECTED", (State.REJECTED, "r")),
    ],
)
def test_a_report_ends_the_tries_of_what_the_vendor_took_and_answered_500(
    table: dict[str, Any], word: str, state: tuple[State, str]
) -> None:
    """No answer is awaited, so that no id of a part can be named any more: it counts before another copy leaves."""
    world = World(**table)
    world.mark()
    run(world.store.settle_again(world.message, world.clock.seconds() + 5, "500", lease=""))
    one = {"id": "v-1", "status": word}
    assert world.post({"results": [one]} if table is MANY else one) == 200
    assert world.state == state


@pytest.mark.parametrize("table", [ONE, MANY], ids=["one", "many"])
def test_a_report_counts_though_redis_has_forgotten_that_the_message_was_written(table: dict[str, Any]) -> None:
    """It is back older, and its marks are not restated yet: the vendor, who has heard 200, does not come again."""
    world = World(**table)
    one = {"id": "v-1", "status": "DELIVERED"}
    assert world.post({"results": [one]} if table is MANY else one) == 200
    assert world.state == (State.DELIVERED, "ad")
    stamp = round(world.clock.seconds() * 1000)
    assert run(world.store.restate_marks([(ID, "vendor", stamp)])) == ([], [])
    world.answered("v-1")
    assert world.state == (State.DELIVERED, "ad")


def test_another_ways_report_settles_nothing() -> None:
    """The message went on to another route meanwhile."""
    world = World()
    world.mark()
    run(world.store.mark(world.message, "world", NUMBER, lease=""))
    assert world.ask(query="status=DELIVERED") == 200
    assert world.state[0] is State.UNCERTAIN


def test_parts_are_folded() -> None:
    """Delivered once all of them are; a part counts once."""
    world = World(**MANY)
    world.mark()
    world.answered("A", "B")
    assert world.post({"results": [{"id": "A", "status": "DELIVERED"}]}) == 200
    assert world.post({"results": [{"id": "A", "status": "DELIVERED"}]}) == 200
    assert world.state == (State.SENT, "a")
    assert world.post({"results": [{"id": "x", "status": "x"}, {"id": "B", "status": "DELIVERED"}]}) == 200
    assert world.state == (State.DELIVERED, "ad")


def test_a_part_that_the_vendor_accepted_is_no_outcome_of_it() -> None:
    """Before the answer it shows that the vendor has the message; behind it, nothing new."""
    world = World(**MANY)
    world.mark()
    assert world.post({"results": [{"id": "A", "status": "SENT"}]}) == 200
    assert world.state == (State.SENT, "a")
    world.answered("A", "B")
    assert world.post({"results": [{"id": "B", "status": "SENT"}]}) == 200
    world.post({"results": [{"id": "A", "status": "DELIVERED"}]})
    assert world.state == (State.SENT, "a")
    world.post({"results": [{"id": "B", "status": "DELIVERED"}]})
    assert world.state == (State.DELIVERED, "ad")


def test_one_bad_part_settles_the_whole() -> None:
    """As with segments."""
    world = World(**MANY)
    world.mark()
    world.answered("A", "B")
    world.post({"results": [{"id": "B", "status": "UNDELIVERABLE"}, {"id": "A", "status": "DELIVERED"}]})
    assert world.state == (State.FAILED, "af")


def test_parts_reported_before_the_answer_wait_for_it() -> None:
    """How many there are only the answer says."""
    world = World(**MANY)
    world.mark()
    assert world.post({"results": [{"id": "A", "status": "DELIVERED"}]}) == 200
    assert world.state[0] is State.UNCERTAIN
    world.answered("A", "B")
    assert world.state == (State.SENT, "a")
    world.post({"results": [{"id": "B", "status": "DELIVERED"}]})
    assert world.state == (State.DELIVERED, "ad")


@pytest.mark.parametrize("uncertain", [False, True])
def test_a_part_whose_answer_never_came_speaks_for_the_whole(uncertain: bool) -> None:
    """Once the attempt is over, before another copy leaves: it ended without an answer, or with a temporary one."""
    world = World(**MANY)
    world.mark()
    world.post({"results": [{"id": "A", "status": "DELIVERED"}]})
    assert world.state[0] is State.UNCERTAIN
    due = world.clock.seconds() + 900
    run(world.store.settle_again(world.message, due, "lost", lease="", uncertain=uncertain, route="vendor"))
    world.look_again(5)
    assert world.state == (State.DELIVERED, "ad")
    world.look_again(20)
    assert world.state == (State.DELIVERED, "ad")


def test_a_part_whose_attempt_never_ended_speaks_for_the_whole() -> None:
    """Who made it died with it: no answer comes that late."""
    world = World(**MANY)
    world.mark()
    world.post({"results": [{"id": "A", "status": "DELIVERED"}]})
    world.look_again(5)
    assert world.state[0] is State.UNCERTAIN
    world.look_again(10)
    assert world.state == (State.DELIVERED, "ad")


def test_a_part_of_what_was_lost_counts_at_once() -> None:
    """Its connection broke, no answer is awaited: with on_uncertain = "resend" a copy would leave."""
    world = World(**MANY)
    world.mark()
    due = world.clock.seconds() + 10
    run(world.store.settle_again(world.message, due, "lost", lease="", uncertain=True, route="vendor"))
    world.post({"results": [{"id": "A", "status": "DELIVERED"}]})
    assert world.state == (State.DELIVERED, "ad")


def test_a_part_that_the_answer_did_not_name() -> None:
    """The URL says whose it is."""
    world = World(**MANY)
    world.mark()
    world.answered("A")
    world.post({"results": [{"id": "Z", "status": "DELIVERED"}]})
    assert world.state == (State.DELIVERED, "ad")


@pytest.mark.parametrize("word", ["DELIVERED", "UNDELIVERABLE"])
def test_of_several_parts_none_that_the_answer_did_not_name_counts(word: str) -> None:
    """Those that it named say when all of them are there."""
    world = World(**MANY)
    world.mark()
    world.answered("A", "B")
    assert world.post({"results": [{"id": "Z", "status": word}]}) == 200
    world.look_again(5)
    assert world.state == (State.SENT, "a")
    world.post({"results": [{"id": "A", "status": "DELIVERED"}, {"id": "B", "status": "DELIVERED"}]})
    assert world.state == (State.DELIVERED, "ad")


@pytest.mark.parametrize(
    ("word", "reason", "detail"),
    [
        ("UNDELIVERABLE", 30007, "UNDELIVERABLE 30007"),
        ("REJECTED", "blocked by STOP of +447700900123", "REJECTED blocked by STOP of [redacted]"),
        ("UNDELIVERABLE", "x" * 5000, "UNDELIVERABLE"),
        ("UNDELIVERABLE", None, "UNDELIVERABLE"),
        ("UNDELIVERABLE", {"a": 1}, "UNDELIVERABLE"),
        ("DELIVERED", "0", "DELIVERED"),
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_why_it_did_not_arrive_stands_in_the_timeline(word: str, reason: Any, detail: str, many: bool) -> None:
    """In the vendor's words, without the player's number, and of a report on several parts as well."""
    keys = MANY if many else ONE
    path = "results.*.errors.0.code" if many else "errors.0.code"
    world = World(**keys | {"reports": keys["reports"] | {"reason": path}})
    world.mark()
    world.answered("A")
    said = {"id": "A", "status": word, "errors": [{"code": reason}]}
    assert world.post({"results": [said]} if many else said) == 200
    told = world.store.db.rows[ID].timeline[-1].detail.removeprefix("vendor: ")
    assert told == detail


def test_a_url_settles_its_own_message_only() -> None:
    """Whoever holds one can't speak of another message by its id."""
    world = World(**MANY)
    for message_id, names in ((ID, ("A", "B")), (OTHER, ("C", "D"))):
        world.mark(message_id)
        world.answered(*names, message_id=message_id)
    other = KEYS.token(Purpose.REPORT, OTHER)
    world.post({"results": [{"id": "A", "status": "UNDELIVERABLE"}]}, token=other)
    assert world.state == (State.SENT, "a")


@pytest.mark.parametrize("is_told", [True, False])
def test_a_vendor_by_which_nothing_of_a_label_arrives_is_degraded(is_told: bool) -> None:
    """A hundred messages in a row, until one arrives; not where its table knows no word for those that do."""
    states = STATES if is_told else {word: state for word, state in STATES.items() if state != "delivered"}
    world = World(reports={"status": "status", "states": states})

    def ended(number: int, word: str) -> list[str]:
        message = replace(world.message, id=f"00000000-0000-4000-8001-{number:012d}", uid=f"x{number}")
        run(world.store.accept(message, "f", lease=True))
        run(world.store.mark(message, "vendor", NUMBER, lease=""))
        world.answered(message_id=message.id)
        for _ in range(2):
            world.ask(query=urlencode({"status": word}), token=KEYS.token(Purpose.REPORT, message.id))
        return [one.text for one in world.public.degraded()]

    text = "providers.vendor: one message of amazing after the other did not arrive, the latest UNDELIVERABLE"
    for number in range(99):
        assert ended(number, "UNDELIVERABLE") == []
    said = ended(99, "UNDELIVERABLE")
    assert said == ([f"{text}: does it block the sender, or the account?"] if is_told else [])
    assert ended(100, "DELIVERED") == []


ONE_URL = {
    "reports": {
        "token": "entry.*.changes.*.value.statuses.*.biz_opaque_callback_data",
        "status": "entry.*.changes.*.value.statuses.*.status",
        "states": {"delivered": "delivered", "read": "delivered", "failed": "failed"},
    }
}
"""Of a vendor that has one URL for the reports on all messages: WhatsApp's Cloud API."""


def whatsapp(*statuses: tuple[str, str]) -> dict[str, Any]:
    """What it posts of messages, as (token, status)."""
    said = [
        {"id": "wamid.x", "status": word, "recipient_id": "447700900123", "biz_opaque_callback_data": token}
        for token, word in statuses
    ]
    return {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": "1",
                "changes": [{"field": "messages", "value": {"metadata": {"id": "1"}, "statuses": [one]}}],
            }
            for one in said
        ],
    }


@pytest.mark.parametrize("form", [str, shortened])
def test_a_vendor_with_one_url_for_all_says_which_message_by_the_token_that_it_gives_back(
    form: Callable[[str], str],
) -> None:
    """Several in one post, each about its own; what bears no token of ours is counted and settles nothing."""
    world = World(**ONE_URL)
    for message_id in (ID, OTHER):
        world.mark(message_id)
        world.answered(message_id=message_id)
    tokens = (TOKEN, KEYS.token(Purpose.REPORT, OTHER), KEYS.token(Purpose.ESP, ID))
    ours, other, foreign = map(form, tokens)
    said = whatsapp((ours, "sent"), (other, "failed"), (foreign, "failed"), ("", "failed"), (ours, "read"))
    assert world.post(said, token="reports") == 200
    assert world.state == (State.DELIVERED, "ad")
    assert (world.store.db.rows[OTHER].state, world.store.db.rows[OTHER].queued) == (State.FAILED, "af")
    assert sorted(world.meter.facts) == [
        ("vendor", "delivered", "matched"),
        ("vendor", "failed", "matched"),
        ("vendor", "none", "ignored"),
        ("vendor", "none", "orphaned"),
    ]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=x", b"1158201444"),
        ("hub.challenge=1158201444", b"1158201444"),
        ("hub.challenge=%3Cscript%3E", b"OK"),
        ("hub.challenge=", b"OK"),
        ("x=hub.challenge=1", b"OK"),
        ("", b"OK"),
    ],
)
def test_the_url_for_all_is_verified_as_meta_does(query: str, said: bytes) -> None:
    """It takes no other URL; of a vendor that has one for each message nobody asks."""
    world = World(**ONE_URL)
    assert world.answer(query=query, token="reports").endswith(b"\r\n\r\n" + said)
    assert World().answer(query=query).endswith(b"\r\n\r\nOK")


URL_SECRET = "r" * 20
BY_IDS = {
    "answer": {"ids": "ids.*"},
    "reports": {"url_secret": URL_SECRET, "id": "*.id", "status": "*.status", "reason": "*.why", "states": STATES},
    "inbound": {"secret": URL_SECRET, "number": "*.from", "text": "*.text"},
}
"""Of a vendor that has one URL for all, and names messages by its own ids alone."""


def named_by_ids(world: World, message_id: str, *ids: str) -> None:
    """The vendor's answer about a message."""
    parts = tuple(part_of("vendor", "", one) for one in ids)
    channel = world.message.channel
    for receipt in run(world.store.settle_sent(message_id, channel, Handed("vendor", parts))).parked:
        run(world.tracker.record_receipt(receipt))


def test_a_vendor_that_names_its_own_ids_alone() -> None:
    """Several in one post, each about its own, before the answer and after it; a number as an id, too."""
    world = World(**BY_IDS)
    world.mark()
    world.mark(OTHER)
    assert world.post([{"id": 7, "status": "DELIVERED"}], token=URL_SECRET) == 200
    assert world.state[0] is State.UNCERTAIN
    named_by_ids(world, ID, "7")
    named_by_ids(world, OTHER, "8", "9")
    assert world.state == (State.DELIVERED, "ad")
    said = [
        {"id": "8", "status": "DELIVERED"},
        {"id": "8", "status": "BUFFERED"},
        {"id": "stranger", "status": "DELIVERED"},
        {"status": "DELIVERED"},
        {"id": "9", "status": "UNDELIVERABLE", "why": "+447700900123"},
    ]
    assert world.post(said, token=URL_SECRET) == 200
    other = world.store.db.rows[OTHER]
    assert (other.state, other.queued) == (State.FAILED, "af")
    assert "UNDELIVERABLE [redacted]" in str(other.timeline)
    assert world.post(said, token=URL_SECRET) == 200
    assert (other.state, other.queued) == (State.FAILED, "af")


def test_by_ids_only_the_secret_url_counts() -> None:
    """Whoever does not have it is answered the same, and says nothing; nor does a message's own token say more."""
    world = World(**BY_IDS)
    world.mark()
    named_by_ids(world, ID, "7")
    for token in ("reports", URL_SECRET[:-1], URL_SECRET + "r", URL_SECRET.upper(), TOKEN[:-1]):
        assert world.post([{"id": "7", "status": "DELIVERED"}], token=token) == 200
    assert world.state == (State.SENT, "a")


@pytest.mark.parametrize("field", ["data", "response"])
@pytest.mark.parametrize("kind", [FORM, "application/json"])
def test_a_form_whose_field_is_json_is_read(field: str, kind: str) -> None:
    """As MSG91 and Gupshup post their reports; the number beside them is nobody's."""
    reports = [{"requestId": "7", "report": [{"number": "447700900123", "status": "DELIVERED"}]}]
    table = BY_IDS["reports"] | {"id": f"{field}.*.requestId", "status": f"{field}.*.report.*.status"}
    world = World(**BY_IDS | {"reports": table})
    world.mark()
    named_by_ids(world, ID, "7")
    said = {field: json.dumps(reports)}
    body = urlencode(said).encode() if kind == FORM else json.dumps(said).encode()
    assert world.ask("POST", body=body, kind=kind, token=URL_SECRET) == 200
    assert world.state == (State.DELIVERED, "ad")


def test_a_report_that_is_a_text_of_json_is_read() -> None:
    """It was JSON already when somebody wrote it as JSON."""
    world = World()
    world.mark()
    world.answered()
    assert world.post(json.dumps({"id": "A", "status": "DELIVERED"})) == 200
    assert world.state == (State.DELIVERED, "ad")


def test_one_secret_url_may_bring_ids_and_texts() -> None:
    """Each post says what it is."""
    world = World(**BY_IDS)
    world.mark()
    named_by_ids(world, ID, "7")
    assert world.post([{"from": "447700900123", "text": "STOP"}], token=URL_SECRET) == 200
    assert world.post([{"id": "7", "status": "DELIVERED"}], token=URL_SECRET) == 200
    assert world.state[0] is State.DELIVERED


def test_with_the_store_down_a_report_by_an_id_comes_again() -> None:
    """Answered 200 it would be lost."""
    world = World(**BY_IDS)
    world.store.down = True
    assert world.post([{"id": "7", "status": "DELIVERED"}], token=URL_SECRET) == 503
    assert world.post([{"id": "7", "status": "other"}], token=URL_SECRET) == 503


def test_with_one_url_for_all_a_url_proves_nothing() -> None:
    """A message's token counts where the table looks for it, and nowhere else."""
    world = World(**ONE_URL)
    world.mark()
    world.answered()
    assert world.post(whatsapp(("", "delivered"))) == 200
    assert world.state == (State.SENT, "a")


def test_many_reports_in_one_post_are_all_recorded() -> None:
    """More than one message can have parts, and in more octets than a report on one may have."""
    world = World(**ONE_URL)
    for message_id in (ID, OTHER):
        world.mark(message_id)
        world.answered(message_id=message_id)
    fillers = [(KEYS.token(Purpose.REPORT, f"00000000-0000-4000-8000-{n:012}"), "delivered") for n in range(10, 300)]
    body = json.dumps(whatsapp(*fillers, (TOKEN, "delivered"))).encode()
    assert ABOUT_ONE < len(body) < ABOUT_MANY
    assert world.ask("POST", body=body, kind="application/json", token="reports") == 200
    assert world.state == (State.DELIVERED, "ad")
    assert world.ask("POST", body=b" " * (ABOUT_MANY + 1), token="reports") == 413
    assert World().ask("POST", body=b" " * (ABOUT_ONE + 1)) == 413


def test_with_one_url_for_all_the_store_down_is_a_reason_to_come_again() -> None:
    """Whatever the post says."""
    world = World(**ONE_URL)
    world.mark()
    world.answered()
    world.store.down = True
    assert {world.post(whatsapp((token, "delivered")), token="reports") for token in (TOKEN, "x")} == {503}
    world.store.down = False
    assert world.post(whatsapp((TOKEN, "delivered")), token="reports") == 200
    assert world.state == (State.DELIVERED, "ad")


SECRET = "texts-come-here-0123456789"
WITH_TEXTS = ONE | {"inbound": {"secret": SECRET, "number": "From", "text": "Body"}}


@pytest.mark.parametrize("number", ["+447700900123", "447700900123", "00447700900123", "whatsapp:+447700900123"])
@pytest.mark.parametrize("kind", [FORM, "application/json", "query"])
def test_a_player_who_writes_stop_to_a_vendor_is_stopped(number: str, kind: str) -> None:
    """As by an SMSC: of the label that wrote last, and Smartico hears it. What is answered no vendor sends on."""
    world = World(**WITH_TEXTS)
    world.mark()
    world.answered()
    fields = {"MessageSid": "SM2", "From": number, "To": "+447700900999", "Body": " Stop! "}
    body = b"" if kind == "query" else json.dumps(fields).encode() if "json" in kind else urlencode(fields).encode()
    method, query = ("GET", urlencode(fields)) if kind == "query" else ("POST", "")
    answer = world.answer(method, query, body, "" if kind == "query" else kind, token=SECRET)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n")
    stopped = not number.startswith("whatsapp")
    assert world.state == (State.SENT, "au" if stopped else "a")
    assert bool(world.store.db.stops) == stopped


@pytest.mark.parametrize("stored", ["+447700900123", "447700900123", "anna:7"])
def test_a_player_who_answers_an_instant_message_is_stopped(stored: str) -> None:
    """By the address as the database has it, which WhatsApp names without a plus."""
    world = World(im=True, **WITH_TEXTS | {"carries": "im"})
    run(world.store.mark(world.message, "vendor", KEYS.address_hashes(stored)[0], lease=""))
    world.answered()
    assert world.post({"From": stored.removeprefix("+"), "Body": "stop"}, token=SECRET) == 200
    assert world.state == (State.SENT, "au")
    (stop,) = world.store.db.stops
    assert "im" in str(stop)


def test_other_texts_change_nothing_and_reports_still_come() -> None:
    """One URL may bring both; a wrong one is answered like one of a report, and brings neither."""
    world = World(**WITH_TEXTS)
    world.mark()
    world.answered()
    assert world.post({"From": "+447700900123", "Body": "When does it stop?"}, token=SECRET) == 200
    assert world.post({"From": "+447700900124", "Body": "STOP"}, token=SECRET) == 200
    assert world.post({"From": "Amazing", "Body": "STOP"}, token=SECRET) == 200
    assert world.post({"Body": "STOP"}, token=SECRET) == 200
    for token in (SECRET + "x", SECRET[:-1], "", TOKEN):
        assert world.post({"From": "+447700900123", "Body": "STOP"}, token=token or "x") == 200
    assert world.state == (State.SENT, "a")
    assert world.post({"id": "A", "status": "DELIVERED"}) == 200
    assert world.state == (State.DELIVERED, "ad")


def test_a_text_is_as_durable_as_a_report_and_as_secret() -> None:
    """With the store down it comes again; nothing of it is logged."""
    world = World(**WITH_TEXTS)
    world.mark()
    world.answered()
    world.store.down = True
    with capturedLogs() as events:
        assert world.post({"From": "+447700900123", "Body": "STOP"}, token=SECRET) == 503
        world.store.down = False
        assert world.post({"From": "+447700900123", "Body": "STOP"}, token=SECRET) == 200
    assert world.state == (State.SENT, "au")
    assert not [event for event in events if "7700900123" in str(event)]


def test_a_vendor_may_go_while_its_text_is_recorded() -> None:
    """A reload in between takes nothing from the answer."""
    world = World(**WITH_TEXTS)
    world.mark()
    world.answered()
    latest_to = world.store.latest_to

    async def reloaded(hashes: Any) -> Any:
        world.public.reload({}, {})
        return await latest_to(hashes)

    world.store.latest_to = reloaded  # type: ignore[method-assign]
    assert world.post({"From": "+447700900123", "Body": "STOP"}, token=SECRET) == 200
    assert world.state == (State.SENT, "au")


def test_texts_are_proven_as_reports_are() -> None:
    """Where the vendor signs, the secret URL alone is not enough."""
    world = World(**WITH_TEXTS | {"reports": ONE["reports"] | {"signature": "twilio", "secret": "s"}})
    world.mark()
    world.answered()
    assert world.post({"From": "+447700900123", "Body": "STOP"}, token=SECRET) == 403
    assert world.state == (State.SENT, "a")


@pytest.mark.parametrize("down", [False, True])
def test_a_bad_token_is_answered_like_a_good_one(down: bool) -> None:
    """While the store is down, too: then nothing is durable, and both come again."""
    world = World()
    world.mark()
    world.answered()
    world.store.down = down
    good = world.ask(query="status=DELIVERED")
    bad = [
        world.ask(query="status=DELIVERED", token=token)
        for token in (TOKEN[:-1] + "q", KEYS.token(Purpose.OPEN, ID), "x", "%2e%2e", "%C3%A9")
    ]
    assert {good, *bad} == {503 if down else 200}


def test_a_message_that_is_kept_no_more() -> None:
    """A late report is counted, and not asked for again."""
    world = World()
    token = KEYS.token(Purpose.REPORT, "00000000-0000-4000-8000-00000000000f")
    assert world.ask(query="status=DELIVERED", token=token) == 200
    assert world.meter.facts == [("vendor", "delivered", "orphaned")]


def test_an_unknown_vendor_is_not_found() -> None:
    """Before its body is read."""
    world = World()
    world.public.reload({}, {})
    assert world.ask(query="status=DELIVERED") == 404


def test_one_url_is_not_recorded_for_ever() -> None:
    """Whoever holds it can ask as often as he likes."""
    world = World()
    world.mark()
    world.answered()
    for _ in range(FACTS_A_MESSAGE + 5):
        world.ask(query="status=x")
    assert world.ask(query="status=DELIVERED") == 200
    assert world.state == (State.SENT, "a")


def test_nothing_of_a_report_is_logged() -> None:
    """Vendors put the number into it."""
    world = World(answer={}, reports={"status": "status", "states": {"+447700900123": "delivered"}})
    world.mark()
    world.answered()
    with capturedLogs() as events:
        world.ask("POST", "to=447700900123&status=%2B447700900123", b"to=447700900123", FORM)
    assert world.state == (State.DELIVERED, "ad")
    assert "7700900123" not in "\n".join(filter(None, map(formatEvent, events)))
    assert "7700900123" not in str(world.store.db.rows[ID].timeline)


NAMES = st.sampled_from(["results", "id", "status", ""])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["DELIVERED", "A"]),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["results", "id", "status", ""]) | st.text(), inner)
    ),
)
BODIES = st.binary() | JUNK.map(lambda data: json.dumps(data).encode())


@settings(max_examples=FUZZ_EXAMPLES // 8, deadline=None)
@given(
    st.sampled_from([ONE, MANY, ONE_URL]),
    st.sampled_from(["GET", "POST"]),
    st.text(alphabet="abcstatuid=&%+;.0é"),
    BODIES,
    st.sampled_from(["", "application/json", FORM, "multipart/form-data; boundary=x", "x/y"]),
)
def test_no_report_is_a_failure_inside(keys: Any, method: str, query: str, body: bytes, kind: str) -> None:
    """Junk of every kind is answered, and the message ends in a state that the table knows."""
    world = World(**keys)
    world.mark()
    world.answered("A")
    with capturedLogs() as events:
        assert world.ask(method, quote(query, safe="=&%+;."), body if method == "POST" else b"", kind) == 200
    assert not [event for event in events if event.get("log_failure")]
    assert world.state[0] in State


def test_a_vendor_of_which_every_report_is_refused_is_degraded() -> None:
    """By those who know a message's URL; a stranger's report says nothing of the vendor's secret."""
    world = World(reports=ONE["reports"] | {"signature": "twilio", "secret": "s"})
    for _ in range(9):
        assert world.post({"id": "A", "status": "DELIVERED"}, token="stranger") == 403
    assert list(world.public.degraded()) == []
    for _ in range(3):
        assert world.post({"id": "A", "status": "DELIVERED"}) == 403
    (found,) = world.public.degraded()
    assert (found.kind, found.name) == ("events", "providers.vendor")
    assert "its latest 3 posts were refused: wrong signature" in found.text or "not signed" in found.text

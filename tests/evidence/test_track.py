"""Evidence in, status moves on, report queued, who is not contacted any more: on the fake store and a test clock."""

import time
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent

from at_once import run
from fakes import FakeMeter, FakeStopList, FakeStore
from gatewayd.config import Label
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import (
    Channel,
    Decision,
    Email,
    Evidence,
    Handed,
    Inbound,
    Message,
    Receipt,
    Resolved,
    Sms,
    WhyNot,
)
from gatewayd.core.retry import FACT_AGAIN
from gatewayd.core.status import Event, State
from gatewayd.core.tokens import Keys
from gatewayd.evidence.track import MACHINE, Tracker

KEYS = Keys(b"k" * 32)
ID = "00000000-0000-4000-8000-000000000001"
NUMBER = KEYS.number_hashes("+447700900123")[0]
ADDRESS = KEYS.address_hashes("anna@players.example")[0]
USER = KEYS.user_hashes("amazing", "p1")[0]
LABEL: dict[str, Any] = {
    "allow_from": ["127.0.0.1/32"],
    "authorization": ["secret"],
    "api_key": "key",
    "callback_hosts": ["localhost"],
    "directory": "players",
    "suppress_for": "30d",
}


class Store(FakeStore):
    """A store that can go away between two steps."""

    evidence_down = False

    async def record_evidence(self, evidence: Evidence) -> str:
        """As IStore, or away."""
        if self.evidence_down:
            raise StoreUnavailable("away")
        return await super().record_evidence(evidence)


class Directory:
    """IRecipients of one player, whom it spells P1; it can be down."""

    is_down = False
    known = "anywhere"

    async def address(self, label: str, user: str, channel: Channel, *, fresh: bool = False) -> Resolved:
        """See IRecipients."""
        return Resolved(user, why_not=WhyNot.UNAVAILABLE) if self.is_down else Resolved(user.upper(), self.known)

    def patience(self, label: str) -> float:
        """See IRecipients."""
        return 0.0


class Bench:
    """A tracker over a fake store with one message."""

    def __init__(
        self,
        channel: Channel = Channel.SMS,
        audited: bool = False,
        directory: Directory | None = None,
        activity_type: str = "",
        **changed: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.store = Store(self.clock)
        self.meter = FakeMeter()
        labels = {"amazing": Label.model_validate(LABEL | changed)}
        self.received: list[Receipt] = []
        self.decisions: list[Decision] = []
        self.tracker = Tracker(
            self.clock,
            self.store,
            FakeStopList(self.store),
            KEYS,
            labels,
            self.meter,
            decided=self.decisions.append,
            audited=audited,
            received=self.received.append,
            recipients=directory,
        )
        now = self.clock.seconds()
        content = Sms("A", "b") if channel is Channel.SMS else Email("a@amazing.co", "s")
        self.message = Message(ID, "u1", "amazing", "p1", content, now, now + 3600, activity_type=activity_type)
        self.address = NUMBER if channel is Channel.SMS else ADDRESS
        run(self.store.accept(self.message, "f", lease=True))

    def marked(self, segments: int = 1) -> int:
        """It is on the wire; the mark's stamp."""
        return run(self.store.mark(self.message, "world", self.address, lease="", segments=segments))

    @property
    def audit(self) -> list[tuple[str, str]]:
        """What the audit log hears, and why."""
        return [(one.what, one.reason) for one in self.decisions if one.message_id == ID and one.uid == "u1"]

    def sent(self, *remote_ids: str) -> None:
        """The next hop took it."""
        self.marked()
        run(self.store.settle_sent(ID, self.message.channel, Handed("world", remote_ids)))

    def take(self, event: Event, *, hard: bool = False, message_id: str = ID) -> None:
        """Evidence from a DSN."""
        run(self.tracker.record(Evidence(message_id, event, "dsn", hard=hard)))

    @property
    def state(self) -> State:
        """What the store holds."""
        return self.store.db.rows[ID].state

    @property
    def told(self) -> str:
        """The letters of the reports queued."""
        return self.store.db.rows[ID].queued

    def stopped(self, name: str) -> bool:
        """Whether a keyed hash is on the stop list of the message's channel."""
        found = run(self.store.stopped("amazing", self.message.channel, [name]))
        return found is not None and found.until > 0


@pytest.mark.parametrize(
    ("channel", "evidence", "level"),
    [
        (Channel.EMAIL, Evidence(ID, Event.DELIVERED, "dsn", channel=Channel.EMAIL), LogLevel.debug),
        (Channel.EMAIL, Evidence(ID, Event.BOUNCED, "dsn", channel=Channel.EMAIL), LogLevel.info),
        (Channel.SMS, Evidence(ID, Event.DELIVERED, "kannel"), LogLevel.info),
        (Channel.SMS, Evidence(ID, Event.FAILED, "kannel"), LogLevel.info),
    ],
)
def test_a_message_that_goes_well_is_one_line(channel: Channel, evidence: Evidence, level: Any) -> None:
    """An email's was its relay's answer, so that its success report is none; an SMS's is its report."""
    bench = Bench(channel)
    bench.sent("r1")
    with capturedLogs() as told:
        run(bench.tracker.record(evidence))
    assert [event["log_level"] for event in told if ID in formatEvent(event)] == [level]


def test_evidence_moves_the_status_once() -> None:
    """Delivery is reported once, however often it is told; what changes nothing is counted as ignored."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.take(Event.DELIVERED)
    bench.take(Event.DELIVERED)
    assert (bench.state, bench.told) == (State.DELIVERED, "ad")
    assert bench.meter.facts == [("dsn", "delivered", "matched"), ("dsn", "delivered", "ignored")]


def test_evidence_before_the_answer_implies_accepted() -> None:
    """A DSN can overtake the relay's own answer: both statuses, in order, and the answer adds nothing."""
    bench = Bench(Channel.EMAIL)
    bench.marked()
    bench.take(Event.DELIVERED)
    run(bench.store.settle_sent(ID, Channel.EMAIL, Handed("world")))
    assert (bench.state, bench.told) == (State.DELIVERED, "ad")


def test_evidence_for_a_message_that_is_kept_no_more_is_an_orphan() -> None:
    """It is counted, and nothing else happens."""
    bench = Bench()
    bench.take(Event.DELIVERED, message_id=ID.replace("1", "2"))
    assert bench.meter.facts == [("dsn", "delivered", "orphaned")]


def test_a_store_that_is_away_is_the_callers_business() -> None:
    """StoreUnavailable goes through, so that the next hop is not told that we took it."""
    bench = Bench()
    bench.store.down = True
    for work in (
        bench.tracker.record(Evidence(ID, Event.DELIVERED, "dsn")),
        bench.tracker.record_receipt(Receipt("world", ("r1",), Event.DELIVERED)),
        bench.tracker.record_inbound(Inbound("world", NUMBER, "STOP")),
    ):
        with pytest.raises(StoreUnavailable):
            run(work)


def test_a_receipt_is_matched_by_its_id() -> None:
    """And reported."""
    bench = Bench()
    bench.sent("r1")
    run(bench.tracker.record_receipt(Receipt("world", ("r1",), Event.DELIVERED, "stat:DELIVRD", NUMBER)))
    assert (bench.state, bench.told) == (State.DELIVERED, "ad")
    assert bench.meter.facts == [("receipt", "delivered", "matched")]


def test_a_receipt_that_settles_nothing_changes_nothing() -> None:
    """ENROUTE and its kin."""
    bench = Bench()
    bench.sent("r1")
    run(bench.tracker.record_receipt(Receipt("world", ("r1",), None, "stat:ENROUTE", NUMBER)))
    assert (bench.state, bench.told) == (State.SENT, "a")
    assert bench.meter.facts == [("receipt", "none", "ignored")]


def test_a_receipt_that_came_first_waits_for_its_message() -> None:
    """It is parked, and found once the submit's answer is stored."""
    bench = Bench()
    bench.marked()
    receipt = Receipt("world", ("r1",), Event.DELIVERED, "stat:DELIVRD", NUMBER)
    run(bench.tracker.record_receipt(receipt))
    assert (bench.state, bench.meter.facts) == (State.UNCERTAIN, [("receipt", "delivered", "parked")])
    [parked] = run(bench.store.settle_sent(ID, Channel.SMS, Handed("world", ("r1",)))).parked
    run(bench.tracker.record_receipt(parked))
    assert (bench.state, bench.told, bench.store.db.parked) == (State.DELIVERED, "ad", {})


def test_a_parked_receipt_resolves_an_uncertain_message_by_its_number() -> None:
    """The answer was lost for good: the receipt to that number proves that the SMSC took it."""
    bench = Bench()
    bench.marked()
    run(bench.tracker.record_receipt(Receipt("world", ("r1",), Event.DELIVERED, "", NUMBER)))
    bench.clock.advance(10)
    [due], orphans = run(bench.store.parked_receipts(10))
    run(bench.tracker.look_again(due))
    assert (bench.state, bench.told, orphans) == (State.DELIVERED, "ad", [])
    # For a minute the answer to another submit may name it.
    bench.clock.advance(60)
    [due], _ = run(bench.store.parked_receipts(10))
    run(bench.tracker.look_again(due))
    assert (bench.told, bench.store.db.parked) == ("ad", {})


def test_a_parked_receipt_of_somebody_else_resolves_nothing() -> None:
    """Another number, or another SMSC: it stays parked, and is counted as an orphan when it is given up."""
    bench = Bench()
    bench.marked()
    run(bench.tracker.record_receipt(Receipt("world", ("r1",), Event.DELIVERED, "", KEYS.number_hashes("+4520")[0])))
    run(bench.tracker.record_receipt(Receipt("uk", ("r2",), Event.DELIVERED, "", NUMBER)))
    bench.clock.advance(10)
    due, _ = run(bench.store.parked_receipts(10))
    for receipt in due:
        run(bench.tracker.look_again(receipt))
    assert (len(due), bench.state) == (2, State.UNCERTAIN)
    bench.clock.advance(3601)
    _, orphans = run(bench.store.parked_receipts(10))
    for receipt in orphans:
        bench.tracker.give_up(receipt)
    assert bench.meter.facts[-2:] == [("receipt", "delivered", "orphaned")] * 2


def test_a_late_answer_ends_the_uncertainty() -> None:
    """The submit was answered after its time: it counts as sent, and receipts that came meanwhile are folded in."""
    bench = Bench()
    bench.marked()
    run(bench.tracker.record_receipt(Receipt("world", ("r1",), Event.DELIVERED, "", NUMBER)))
    run(bench.tracker.record_late_answer(ID, "world", ("r1",)))
    assert (bench.state, bench.told) == (State.DELIVERED, "ad")


def test_the_audit_log_has_that_a_late_answer_sent_it() -> None:
    """Once: of what is settled already nothing is said."""
    bench = Bench(audited=True)
    bench.marked()
    for _ in range(2):
        run(bench.tracker.record_late_answer(ID, "world", ("r1",)))
    assert (bench.state, bench.audit) == (State.SENT, [("sent", "world, late answer")])


def test_the_audit_log_has_what_came_before_a_late_answer() -> None:
    """A long SMS of which all segments bear one id is sent and delivered by its last answer."""
    bench = Bench(audited=True)
    bench.marked(2)
    run(bench.store.record_segments(ID, "", "world", ("r1",)))
    run(bench.tracker.record_receipt(Receipt("world", ("r1",), Event.DELIVERED, "", NUMBER)))
    bench.marked(2)
    run(bench.tracker.record_late_answer(ID, "world", ("r1",)))
    assert bench.state is State.DELIVERED
    assert bench.audit == [
        ("sent", "world, late answer"),
        ("delivered", "its receipts came before the last answer"),
    ]


def test_the_audit_log_has_that_a_receipt_sent_it() -> None:
    """One of its last segment, whose answer was lost, shows that all of it was taken; the others end it."""
    bench = Bench(audited=True)
    bench.marked(2)
    run(bench.store.record_segments(ID, "", "world", ("r1",)))
    bench.marked(2)
    due = bench.clock.seconds() + 3600
    run(bench.store.settle_again(bench.message, due, "no answer", lease="", uncertain=True, route="world"))
    for remote, audit in (("lost", ["sent"]), ("r1", ["sent", "delivered"])):
        run(bench.tracker.record_receipt(Receipt("world", (remote,), Event.DELIVERED, "", NUMBER)))
        assert bench.audit == [(what, "receipt from world") for what in audit]


def test_a_late_answer_waits_for_redis() -> None:
    """Nobody says it twice: it is stored as soon as Redis is back, and so is a late refusal."""
    bench = Bench()
    bench.marked()
    bench.store.down = True
    waiting = Deferred.fromCoroutine(bench.tracker.record_late_answer(ID, "world", ("r1",)))
    bench.clock.advance(FACT_AGAIN)
    assert not waiting.called
    bench.store.down = False
    bench.clock.advance(FACT_AGAIN)
    assert waiting.called
    assert (bench.state, bench.told) == (State.SENT, "a")


def test_a_late_refusal_sends_it_on_its_way_again() -> None:
    """The SMSC says after its time that it did not take the submit: it is queued, and counted once."""
    bench = Bench()
    stamp = bench.marked()
    message = bench.store.db.rows[ID].message
    due = bench.clock.seconds() + 3600
    run(bench.store.settle_again(message, due, "no answer", lease="", uncertain=True, route="world"))
    for _ in range(2):
        run(bench.tracker.resume_from(ID, "world", stamp, (), "world answered late: ESME_RSYSERR"))
    assert (bench.state, bench.told) == (State.QUEUED, "")
    assert bench.meter.facts == [("late answer", "none", "matched")]


def test_a_late_answer_changes_nothing_that_is_settled() -> None:
    """A message that is not uncertain any more, or not known, is left alone."""
    bench = Bench()
    run(bench.tracker.record_late_answer(ID, "world", ("r1",)))
    assert (bench.state, bench.told) == (State.QUEUED, "")
    run(bench.tracker.record_late_answer(ID.replace("1", "2"), "world", ("r1",)))
    assert bench.meter.facts == []


@pytest.mark.parametrize("after", [0.0, MACHINE - 0.1])
def test_an_open_right_after_accepted_is_a_machines(after: float) -> None:
    """It is not reported as opened, and a machine on the way proves no delivery."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.clock.advance(after)
    bench.take(Event.OPENED)
    assert bench.told == "a"


@pytest.mark.parametrize(
    ("happened", "told"),
    [(-0.9, "a"), (0.0, "a"), (MACHINE - 0.1, "a"), (MACHINE, "ado"), (60.0, "ado"), (-1.1, "ado"), (-1e9, "ado")],
)
def test_an_open_that_is_told_later_counts_by_when_it_was(happened: float, told: str) -> None:
    """An ESP's batch comes minutes after; a time from before the mail was there is a wrong clock's."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    at = bench.clock.seconds() + happened
    bench.clock.advance(300)
    run(bench.tracker.record(Evidence(ID, Event.OPENED, "sendgrid", at=at)))
    assert bench.told == told


def test_an_open_before_accepted_is_a_machines() -> None:
    """A scanner on the way fetches the picture while the relay's answer is not stored yet."""
    bench = Bench(Channel.EMAIL)
    bench.marked()
    bench.take(Event.OPENED)
    assert bench.told == ""
    bench.clock.advance(MACHINE)
    bench.take(Event.OPENED)
    assert bench.told == "ado"


def test_an_open_of_what_is_uncertain_for_long_is_a_persons() -> None:
    """The answer never came: it was taken, delivered and opened."""
    bench = Bench(Channel.EMAIL)
    bench.marked()
    bench.clock.advance(MACHINE)
    bench.take(Event.OPENED)
    assert bench.told == "ado"


def test_a_persons_open_is_reported() -> None:
    """From 5 s after accepted on; once; also after a machine's."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.take(Event.OPENED)
    bench.clock.advance(MACHINE)
    bench.take(Event.OPENED)
    bench.take(Event.OPENED)
    assert bench.told == "ado"


def test_a_machines_open_stays_one_however_late() -> None:
    """Where the source itself knows that it was a machine."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.clock.advance(60)
    bench.take(Event.MACHINE_OPENED)
    assert bench.told == "a"


def test_a_label_may_want_machine_opens_reported() -> None:
    """report_machine_opens: every open counts."""
    bench = Bench(Channel.EMAIL, report_machine_opens=True)
    bench.sent()
    bench.take(Event.MACHINE_OPENED)
    assert bench.told == "ado"


@pytest.mark.parametrize(
    ("address", "is_down", "activity_type", "stopped"),
    [
        ("other@players.example", False, "preview", False),
        ("anna@players.example", False, "EmailCustomerSupport", True),
        ("other@players.example", False, "", True),
        ("other@players.example", True, "preview", True),
        ("", False, "preview", True),
    ],
)
def test_who_complains_about_a_preview_stops_no_player(
    address: str, is_down: bool, activity_type: str, stopped: bool
) -> None:
    """It went to the operator's own staff. Where nobody knows that, or the player moved since, it counts."""
    directory = Directory()
    directory.known = address
    bench = Bench(Channel.EMAIL, directory=directory, activity_type=activity_type)
    bench.sent()
    directory.is_down = is_down
    bench.take(Event.COMPLAINED)
    assert bench.told == "adc"
    names = [KEYS.user_hashes("amazing", user)[0] for user in ("p1", "P1")]
    assert any(map(bench.stopped, names)) is stopped


@pytest.mark.parametrize("event", [Event.COMPLAINED, Event.UNSUBSCRIBED])
def test_who_complains_or_unsubscribes_is_not_contacted_for_a_while(event: Event) -> None:
    """The player goes on that label's and channel's stop list, for suppress_for."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.take(event)
    assert bench.told == "ad" + {"complained": "c", "unsubscribed": "u"}[event]
    assert bench.stopped(USER)
    assert not run(bench.store.stopped("amazing", Channel.SMS, [USER]))
    assert not run(bench.store.stopped("other", Channel.EMAIL, [USER]))
    bench.clock.advance(30 * 86400)
    assert not bench.stopped(USER)


def test_a_hard_bounce_stops_the_address_and_not_the_player() -> None:
    """The player may have a new address tomorrow. A soft bounce stops nobody."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.take(Event.FAILED)
    assert not bench.stopped(ADDRESS)
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.take(Event.BOUNCED, hard=True)
    assert bench.stopped(ADDRESS)
    assert not bench.stopped(USER)
    assert (bench.state, bench.told) == (State.FAILED, "af")


def test_a_bounce_after_a_persons_open_is_a_forwarders() -> None:
    """The address was there: it stays off the stop list, and the message stays delivered."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.clock.advance(60)
    bench.take(Event.OPENED)
    bench.take(Event.BOUNCED, hard=True)
    assert not bench.stopped(ADDRESS)
    assert (bench.state, bench.told) == (State.DELIVERED, "ado")


def test_a_relays_hard_refusal_stops_the_address() -> None:
    """5.1.1 at RCPT is as good as a bounce."""
    bench = Bench(Channel.EMAIL)
    bench.marked()
    run(bench.tracker.record_hard_failure(ID))
    assert bench.stopped(ADDRESS)
    assert bench.state is State.UNCERTAIN, "settling it is the outbox's work"


def test_an_sms_refusal_stops_no_number() -> None:
    """A number without a phone today may have one tomorrow."""
    bench = Bench()
    bench.marked()
    run(bench.tracker.record_hard_failure(ID))
    assert not bench.stopped(NUMBER)


@pytest.mark.parametrize(
    ("key", "event", "hard"),
    [
        ("suppress_on_complaint", Event.COMPLAINED, False),
        ("suppress_on_unsubscribe", Event.UNSUBSCRIBED, False),
        ("suppress_on_hard_bounce", Event.BOUNCED, True),
    ],
)
def test_a_label_may_do_without_the_stop_list(key: str, event: Event, hard: bool) -> None:
    """Each reason can be switched off; the status is reported all the same."""
    changed: dict[str, Any] = {key: False}
    bench = Bench(Channel.EMAIL, **changed)
    bench.sent()
    bench.take(event, hard=hard)
    assert bench.store.db.stop == {}
    assert len(bench.told) > 1


def test_the_stop_list_comes_before_the_report() -> None:
    """When the store goes away in between, the fact told again still does both."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.store.evidence_down = True
    with pytest.raises(StoreUnavailable):
        bench.take(Event.UNSUBSCRIBED)
    assert bench.stopped(USER)
    bench.store.evidence_down = False
    bench.take(Event.UNSUBSCRIBED)
    assert bench.told == "adu"


@pytest.mark.parametrize(
    "text",
    [
        *("STOP", " stop. ", "Stop!", '"stop"', "\u00a0ＳＴＯＰ\r\n", "unsubscribe", "QUIT", "end", "Cancel"),
        *("STOPALL", "Stop all", "OPT-OUT", "Opt out.", "optout", "Revoke"),
    ],
)
def test_a_stop_word_unsubscribes(text: str) -> None:
    """The user of the latest message to that number, on the SMS channel of its label."""
    bench = Bench()
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, text)))
    assert bench.told == "au"
    assert bench.stopped(USER)


@pytest.mark.parametrize("text", ["", "stop it", "please don't stop", "Basta"])
def test_other_texts_do_nothing(text: str) -> None:
    """A word within a sentence is no command."""
    bench = Bench()
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, text)))
    assert bench.told == "a"
    assert bench.meter.facts == [("inbound", "text", "ignored")]


@pytest.mark.parametrize("text", ["basta", "Ne piši!", "NE PIS\u030cI", " ne  \r\npiši", "\U0001f6d1"])
def test_a_label_has_stop_words_of_its_own(text: str) -> None:
    """In its players' language, whatever the case and the form of an accent."""
    bench = Bench(stop_words=["BASTA", "Ne piši", "\U0001f6d1"])
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, text)))
    assert bench.told == "au"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        *(("İPTAL", "iptal"), ("İPTAL", "Iptal"), ("iptal", "İPTAL"), ("ÇIK", "çık"), ("çık", "CIK")),
        *(("ΤΕΛΟΣ", "τέλος"), ("Τέλος", "ΤΕΛΟΣ"), ("ΤΕΛΟΣ", "TEΛOΣ"), ("arrêt", "ARRET")),
        *(("ЗУПИНІТЬ", "зупиніть"), ("СТОЙ", "стои"), ("หยุด", "หยุด"), ("ストップ", "ｽﾄｯﾌﾟ")),
    ],
)
def test_a_stop_word_is_known_as_a_phone_writes_it(word: str, text: str) -> None:
    """Without the accents that capitals and the hurried leave out, Turkish or Greek, in GSM 03.38 as in UCS-2."""
    bench = Bench(stop_words=[word])
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, text)))
    assert bench.told == "au"


@pytest.mark.parametrize(("word", "text"), [("หยุด", "หยด"), ("ストップ", "ストッフ"), ("СТОП", "CTOII")])
def test_another_word_is_no_stop_word(word: str, text: str) -> None:
    """A mark that makes another letter of it counts."""
    bench = Bench(stop_words=[word])
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, text)))
    assert bench.told == "a"


@pytest.mark.parametrize("piece", ["!", " ", "\u0301\u0323", "\ufdfa", "! a", "stop ", "\U0001f6d1"])
def test_a_long_text_keeps_nobody_waiting(piece: str) -> None:
    """It is no stop word, whatever it is made of, and looking at it costs next to nothing."""
    bench = Bench(stop_words=["..."])
    bench.sent("r1")
    texts = [(piece * (size // len(piece) + 1))[:size] + "a" for size in (499, 32_000)]

    def spent(text: str) -> float:
        began = time.thread_time()
        for _ in range(10):
            run(bench.tracker.record_inbound(Inbound("world", NUMBER, text)))
        return time.thread_time() - began

    short, long = (min(spent(text) for _ in range(3)) for text in texts)
    assert bench.told == "a"
    assert long <= 3 * short + 0.01


def test_a_stop_word_is_no_receipt() -> None:
    """An SMS is delivered by its receipts alone: it stays as it is, and they may still come."""
    bench = Bench()
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, "STOP")))
    run(bench.tracker.record_receipt(Receipt("world", ("r1",), Event.FAILED)))
    assert bench.told == "auf"


def test_a_stop_word_to_a_message_from_before_a_key_rotation_counts() -> None:
    """The message is known by the number's name under the key of its day."""
    bench = Bench()
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", "today's name", "STOP", earlier_hashes=(NUMBER,))))
    assert bench.told == "au"
    assert bench.stopped(USER)


def test_who_was_erased_can_still_unsubscribe() -> None:
    """The link itself says whose it is: what is kept of the message names nobody any more."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    run(bench.store.erase_some("0", "amazing", "p1"))
    evidence = Evidence(ID, Event.UNSUBSCRIBED, "unsubscribe", label="amazing", user_hash=USER)
    run(bench.tracker.record(evidence))
    assert bench.stopped(USER)


def test_a_stop_is_under_the_directorys_own_spelling() -> None:
    """A message that was taken while the directory was down has the caller's; the next one may come in another."""
    spelled = KEYS.user_hashes("amazing", "P1")[0]
    bench = Bench(directory=Directory())
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", NUMBER, "STOP")))
    assert bench.stopped(spelled)
    assert not bench.stopped(USER)
    bench = Bench(Channel.EMAIL, directory=Directory())
    bench.sent()
    bench.take(Event.BOUNCED, hard=True)
    assert bench.stopped(ADDRESS)
    assert run(bench.store.unsuppress("amazing", Channel.EMAIL, [spelled]))


def test_a_stop_while_the_directory_is_down_is_under_what_is_known() -> None:
    """An unsubscribe link has had its spelling since the mail left; else it is the caller's."""
    directory = Directory()
    directory.is_down = True
    spelled = KEYS.user_hashes("amazing", "P1")[0]
    bench = Bench(Channel.EMAIL, directory=directory)
    bench.sent()
    run(bench.tracker.record(Evidence(ID, Event.UNSUBSCRIBED, "unsubscribe", label="amazing", user_hash=spelled)))
    assert bench.stopped(spelled)
    assert not bench.stopped(USER)
    bench.take(Event.COMPLAINED)
    assert bench.stopped(USER)


BY_WORLD = {"sms_routes": [{"prefix": "+4", "via": ["other"]}, {"prefix": "", "via": ["other", "world"]}]}


@pytest.mark.parametrize("word", ["Stop.", "ABMELDEN"])
def test_a_stop_word_of_who_was_erased_stops_the_number(word: str) -> None:
    """Nobody knows any more whose it is: no SMS goes there, whoever it is for, until they agree again."""
    bench = Bench(stop_words=["abmelden"], **BY_WORLD)
    bench.sent("r1")
    run(bench.store.erase_some("0", "amazing", "p1"))
    with capturedLogs() as logged:
        for _ in range(2):
            run(bench.tracker.record_inbound(Inbound("world", NUMBER, word, ("its other reading",))))
    assert [event["log_limited"] for event in logged] == [True, True]
    assert bench.stopped(NUMBER)
    assert bench.stopped("its other reading")
    assert not bench.stopped(USER)
    assert bench.told == "a"
    assert bench.meter.facts == [("inbound", "stopped", "matched")] * 2
    assert [(one.what, one.label, one.channel) for one in bench.decisions] == [("stopped", "amazing", Channel.SMS)]
    assert NUMBER not in "".join(map(formatEvent, logged))
    assert run(FakeStopList(bench.store).lift("amazing", Channel.SMS, [NUMBER], bench.clock.seconds() + 1)) == 0
    bench.clock.advance(60)
    assert run(FakeStopList(bench.store).lift("amazing", Channel.SMS, [NUMBER], bench.clock.seconds())) == 1


@pytest.mark.parametrize(
    ("smsc", "text", "changed"),
    [
        ("world", "Hello", BY_WORLD),
        ("world", "", BY_WORLD),
        ("a third one", "STOP", BY_WORLD),
        ("world", "STOP", {}),
        ("world", "STOP", BY_WORLD | {"suppress_on_unsubscribe": False}),
    ],
)
def test_no_number_is_stopped_that_did_not_ask_this_label(smsc: str, text: str, changed: dict[str, Any]) -> None:
    """Other words, the SMSC of other labels, and a label that keeps no such list."""
    bench = Bench(**changed)
    run(bench.tracker.record_inbound(Inbound(smsc, NUMBER, text)))
    run(bench.tracker.record_inbound(Inbound(smsc, "", text)))
    assert not bench.store.db.stops
    assert bench.meter.facts == [("inbound", "text", "ignored")] * 2


def test_a_stop_word_from_a_stranger_says_nothing_of_a_message() -> None:
    """No message of ours went to that number."""
    bench = Bench(**BY_WORLD)
    bench.sent("r1")
    run(bench.tracker.record_inbound(Inbound("world", KEYS.number_hashes("+4520123456")[0], "STOP")))
    assert bench.told == "a"
    assert not bench.stopped(USER)


def test_a_simulated_message_is_delivered() -> None:
    """Test mode: accepted and delivered, without a next hop."""
    bench = Bench()
    bench.sent()
    run(bench.tracker.record_simulated(ID))
    assert (bench.state, bench.told) == (State.DELIVERED, "ad")


def test_evidence_of_a_label_that_is_gone_still_counts() -> None:
    """The status is reported, and the stop list kept: the page says so to the player, and the label may come back."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    bench.tracker.reconfigure({})
    bench.take(Event.UNSUBSCRIBED)
    assert bench.told == "adu"
    assert bench.stopped(USER)


def test_who_unsubscribes_again_after_the_stop_was_lifted_is_in_the_audit_log() -> None:
    """By the same mail: it is no news of the message, which has its status, and it is one of the player."""
    bench = Bench(Channel.EMAIL)
    bench.sent()
    for _ in range(2):
        bench.take(Event.UNSUBSCRIBED)
    run(bench.store.unsuppress("amazing", Channel.EMAIL, [USER]))
    for _ in range(2):
        bench.take(Event.UNSUBSCRIBED)
    assert bench.stopped(USER)
    whats = [(one.what, one.reason) for one in bench.decisions if one.message_id == ID]
    assert [what for what, _ in whats if what != "sent"] == ["unsubscribed", "stop put"]
    assert whats[-1][1].startswith("unsubscribed by ")
    assert bench.told == "adu"


def test_who_unsubscribes_from_a_label_that_is_gone_stays_so_though_the_message_is_forgotten() -> None:
    """The link alone says whose it is; one that names no label says nothing."""
    bench = Bench(Channel.EMAIL)
    bench.tracker.reconfigure({})
    run(bench.tracker.record(Evidence("gone", Event.UNSUBSCRIBED, "unsubscribe", user_hash=USER)))
    assert not bench.stopped(USER)
    with capturedLogs() as told:
        run(bench.tracker.record(Evidence("gone", Event.UNSUBSCRIBED, "unsubscribe", label="amazing", user_hash=USER)))
        run(bench.tracker.record(Evidence("gone", Event.UNSUBSCRIBED, "unsubscribe", label="amazing", user_hash=USER)))
    assert bench.stopped(USER)
    # Once: it is no news the second time.
    assert [(one.what, one.label, one.channel, one.message_id) for one in bench.decisions] == [
        ("unsubscribed", "amazing", Channel.EMAIL, "gone")
    ]
    # Strangers with old mails in their hands fill no log: some lines a minute, then a count.
    assert [event["log_limited"] for event in told] == [True, True]


def test_a_receipt_that_ends_nothing_by_itself_is_remembered() -> None:
    """A part of a long SMS's, and one that came before its message's answer; not the one that ends it, nor a word."""
    bench = Bench()
    early, first = (Receipt("world", (one,), Event.DELIVERED, number_hash=NUMBER) for one in ("early", "r1"))
    run(bench.tracker.record_receipt(early))
    bench.sent("r1", "r2")
    for receipt in (first, replace(first, event=None), replace(first, remote_ids=("r2",))):
        run(bench.tracker.record_receipt(receipt))
    assert bench.state is State.DELIVERED
    assert bench.received == [early, first]

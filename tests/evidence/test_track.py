"""Evidence in, status moves on, report queued: on the fake store and a test clock."""

from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent

from at_once import run
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import (
    Channel,
    Evidence,
    Handed,
    Inbound,
    Receipt,
)
from gatewayd.core.retry import FACT_AGAIN
from gatewayd.core.status import Event, State
from gatewayd.evidence.track import MACHINE
from track_bench import ID, KEYS, NUMBER, Bench


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
    for seconds in (60, 300, 3601):
        bench.clock.advance(seconds)
        _, orphans = run(bench.store.parked_receipts(10))
    for receipt in orphans:
        run(bench.tracker.give_up(receipt))
    assert bench.meter.facts[-2:] == [("receipt", "delivered", "orphaned")] * 2


def test_the_last_look_at_a_parked_receipt_may_find_its_message() -> None:
    """The process that had it on the wire is known as dead only by then."""
    bench = Bench()
    run(bench.tracker.record_receipt(Receipt("world", ("r1",), Event.DELIVERED, "", NUMBER)))
    bench.clock.advance(5)
    [receipt], _ = run(bench.store.parked_receipts(10))
    bench.marked()
    bench.clock.advance(61)
    run(bench.tracker.give_up(replace(receipt, parked_at=bench.clock.seconds() - 10)))
    assert (bench.state, bench.told) == (State.DELIVERED, "ad")


def test_a_parked_receipt_whose_last_look_failed_is_named_all_the_same() -> None:
    """The store gave it out and keeps it no more: who looks for it later finds at least that it came."""
    bench = Bench()
    bench.store.down = True
    with capturedLogs() as logged, pytest.raises(StoreUnavailable):
        run(bench.tracker.give_up(Receipt("world", ("r1",), Event.DELIVERED, "", NUMBER)))
    assert [formatEvent(event) for event in logged] == ["a receipt from world for r1 matches no message of ours: "]
    assert bench.meter.facts == [("receipt", "delivered", "orphaned")]


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


def test_a_simulated_message_is_delivered() -> None:
    """Test mode: accepted and delivered, without a next hop."""
    bench = Bench()
    bench.sent()
    run(bench.tracker.record_simulated(ID))
    assert (bench.state, bench.told) == (State.DELIVERED, "ad")


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

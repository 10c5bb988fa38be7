"""One attempt at a message, and how its end is settled."""

import re
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from msgspec.structs import replace
from twisted.logger import LogLevel, capturedLogs, formatEvent

from at_once import run
from fakes import FakeStore
from gatewayd.config import Smsc
from gatewayd.core.errors import LeaseLost, PermanentFailure, TemporaryFailure, Uncertain
from gatewayd.core.model import Channel, Handed, Leased, Receipt, ReportJob
from gatewayd.core.remote_names import remote_hash
from gatewayd.core.status import Event, State
from gatewayd.work.outbox import Outbox
from gatewayd.work.report_attempts import ReportWork
from gatewayd.work.statuses import RecentStatuses
from work_bench import HOLD, ID, Bench, Telling, bench_of


@pytest.fixture
def bench() -> Bench:
    """A bench whose SMSC holds uncertain messages."""
    bench_of[:] = [Bench()]
    return bench_of[0]


RESEND = HOLD.model_copy(update={"on_uncertain": "resend", "uncertain_wait": 10.0})


def fails(error: Exception, mark: str = "") -> Callable[[Leased], Awaitable[Handed]]:
    """An attempt that raises, after the mark where a route is given."""

    async def outcome(leased: Leased) -> Handed:
        if mark:
            await bench_of[0].store.mark(leased.message, mark, "hash", lease=leased.lease)
        raise error

    return outcome


def test_a_due_message_is_sent(bench: Bench) -> None:
    """A due message is leased, handed over, and settled as sent with its remote ids."""
    bench.accept()
    bench.outbox.startService()
    assert bench.state() is State.SENT
    assert bench.told() == "a"
    assert bench.store.db.remote[remote_hash("world", "r1")][0][0] == ID
    assert bench.meter.outcomes == [("amazing", Channel.SMS, "sent")]


@pytest.mark.parametrize("route", ["world", "silent"])
def test_an_sms_that_no_receipt_will_end_has_its_line(bench: Bench, route: str) -> None:
    """At info an SMS is one line, when its receipt comes; where none does, as in test mode, when it was taken."""

    async def outcome(leased: Leased) -> Handed:
        return replace(await bench.takes(leased), route=route)

    bench.outcome = outcome
    bench.accept()
    with capturedLogs() as told:
        bench.outbox.startService()
    (line,) = [event for event in told if event["log_format"] == "message {message_id} is sent by {route}"]
    assert line["log_level"] is (LogLevel.debug if route == "world" else LogLevel.info)


def test_a_temporary_failure_is_tried_again_within_5_s(bench: Bench) -> None:
    """The second attempt comes within five seconds, and attempts are counted."""
    bench.outcome = fails(TemporaryFailure("down"))
    bench.accept()
    bench.outbox.startService()
    assert bench.state() is State.QUEUED
    bench.clock.pump([0.1] * 50)
    assert [leased.attempts for leased in bench.attempts[:2]] == [0, 1]


def test_tries_are_logged_ever_more_rarely(bench: Bench) -> None:
    """A queue of many messages in a long outage leaves room in the log; each message's beginning is there."""
    bench.outcome = fails(TemporaryFailure("down"))
    bench.accept()
    with capturedLogs() as told:
        bench.outbox.startService()
        for _ in range(200):
            bench.clock.advance(1)
    tries = len(bench.attempts)
    assert 9 <= tries < 64
    lines = [formatEvent(event) for event in told if "is tried again" in event["log_format"]]
    assert len(lines) == tries.bit_length()
    assert lines[0].startswith(f"message {ID} is tried again in ")
    assert lines[0].endswith(" s: down")


def test_a_try_that_outlasts_the_deadline_is_not_said_to_come_again(bench: Bench) -> None:
    """After a pause of the process it was "tried again in -20.0 s": the one line says that it failed."""

    async def outcome(leased: Leased) -> Handed:
        bench.clock.rightNow += 30
        raise TemporaryFailure("down")

    bench.outcome = outcome
    bench.accept(deadline=10)
    with capturedLogs() as told:
        bench.outbox.startService()
        bench.clock.pump([0.1] * 20)
    lines = [formatEvent(event) for event in told if "message_id" in event]
    assert not [line for line in lines if "again" in line]
    assert bench.state() is State.FAILED


def test_not_before_is_obeyed_and_does_not_count(bench: Bench) -> None:
    """Throttling postpones to the given time and leaves the attempts alone."""
    bench.outcome = fails(TemporaryFailure("throttled", not_before=1030.0, counts=False))
    bench.accept()
    bench.outbox.startService()
    bench.clock.pump([1.0] * 29)
    assert len(bench.attempts) == 1
    bench.outcome = bench.takes
    bench.clock.pump([1.0] * 2)
    assert [leased.attempts for leased in bench.attempts] == [0, 0]


def test_a_permanent_failure_is_rejected(bench: Bench) -> None:
    """A refusal for good ends as rejected; a hard one is passed on for the stop list."""
    bench.outcome = fails(PermanentFailure("550 5.1.1", hard=True))
    bench.accept()
    bench.outbox.startService()
    assert (bench.state(), bench.told(), bench.evidence.hard) == (State.REJECTED, "r", [ID])


def test_an_unexpected_error_is_temporary_and_logged(bench: Bench) -> None:
    """A bug in an attempt does not lose the message."""
    bench.outcome = fails(ValueError("bug"))
    bench.accept()
    bench.outbox.startService()
    assert bench.state() is State.QUEUED
    assert len(bench.store.db.queues["sms"]) == 1


def test_a_lost_lease_touches_nothing(bench: Bench) -> None:
    """When somebody else holds the message, this attempt ends without settling."""
    bench.outcome = fails(LeaseLost(ID))
    bench.accept()
    bench.outbox.startService()
    assert bench.state() is State.QUEUED
    assert bench.meter.outcomes == []


def test_an_uncertain_sms_is_held_until_its_deadline(bench: Bench) -> None:
    """With `hold` no second copy is sent; without evidence it ends as failed at the deadline."""
    bench.outcome = fails(Uncertain("no answer", route="world"), mark="world")
    bench.accept(deadline=100)
    bench.outbox.startService()
    assert bench.state() is State.UNCERTAIN
    bench.clock.pump([1.0] * 101)
    assert len(bench.attempts) == 1
    assert (bench.state(), bench.told()) == (State.FAILED, "f")


def test_an_uncertain_message_is_resent_where_the_route_says_so(bench: Bench) -> None:
    """With `resend` a second attempt follows after uncertain_wait."""
    bench.work.reconfigure({"world": RESEND})
    bench.outcome = fails(Uncertain("no answer", route="world"), mark="world")
    bench.accept()
    bench.outbox.startService()
    bench.outcome = bench.takes
    bench.clock.pump([0.5] * 19)
    assert len(bench.attempts) == 1
    bench.clock.pump([0.5] * 3)
    assert len(bench.attempts) == 2
    assert bench.state() is State.SENT


def test_three_copies_leave_and_no_fourth(bench: Bench) -> None:
    """A next hop that loses every answer: each copy later than the one before, then it is held until its deadline."""
    bench.work.reconfigure({"world": RESEND})
    bench.outcome = fails(Uncertain("no answer", route="world"), mark="world")
    message = bench.accept()
    bench.outbox.startService()
    bench.clock.pump([1.0] * 600)
    assert len(bench.attempts) == 3
    assert bench.state() is State.UNCERTAIN
    assert bench.store.db.queues["sms"][message.id] == message.deadline
    bench.clock.pump([1.0] * 3100)
    assert (len(bench.attempts), bench.state()) == (3, State.FAILED)


def test_while_no_way_is_up_nothing_is_taken(bench: Bench) -> None:
    """No try, no look-up and no line in a timeline, however long; what is overdue ends, and all goes on at once."""
    bench.down = "world is down"
    for number in range(1, 400):
        bench.accept(number, deadline=60 if number % 100 == 7 else 3600)
    bench.outbox.startService()
    bench.clock.pump([0.2] * 250)
    assert bench.attempts == []
    bench.clock.pump([0.2] * 120)
    assert [number for number in range(1, 400) if bench.state(number) is State.FAILED] == [7, 107, 207, 307]
    assert all(len(row.timeline) == 1 for row in bench.store.db.rows.values() if row.state is State.QUEUED)
    assert bench.attempts == []
    bench.down = ""
    bench.clock.pump([0.2] * 50)
    assert len(bench.attempts) == 395


def test_while_nothing_may_be_marked_nothing_is_taken(bench: Bench) -> None:
    """Replicas are away: who is under way is put back with the reason, others wait untouched; all goes on at once."""
    for number in range(1, 400):
        bench.accept(number, deadline=60 if number == 7 else 3600)

    async def too_late(leased: Leased) -> Handed:
        bench.store.no_mark = "0 of 1 replicas have what was written"
        return await bench.takes(leased)

    bench.outcome = too_late
    bench.outbox.startService()
    under_way = len(bench.attempts)
    assert under_way <= 200
    bench.clock.pump([0.2] * 350)
    assert len(bench.attempts) == under_way
    rows = [bench.store.db.rows[leased.message.id] for leased in bench.attempts if leased.message.uid != "u7"]
    assert {row.timeline[-1].detail for row in rows} == {"0 of 1 replicas have what was written"}
    assert bench.state(7) is State.FAILED
    bench.store.no_mark, bench.outcome = "", bench.takes
    bench.clock.pump([0.2] * 50)
    assert len([row for row in bench.store.db.rows.values() if row.state is State.SENT]) == 398


def test_a_message_that_was_on_the_wire_when_we_died_is_not_sent_again(bench: Bench) -> None:
    """A recovered message that bears the mark is held, as its route says."""
    message = bench.accept()
    [leased] = run(bench.store.lease_messages(Channel.SMS, 1))
    run(bench.store.mark(message, "world", "hash", lease=leased.lease))
    run(FakeStore(bench.clock, "two", bench.store.db).recover("one"))
    bench.outbox.startService()
    bench.clock.pump([1.0] * 60)
    assert bench.attempts == []
    assert bench.state() is State.UNCERTAIN
    assert leased.state is State.QUEUED


def test_a_second_copy_waits_for_the_receipts_that_a_new_bind_may_bring(bench: Bench) -> None:
    """However long we were away: the SMSC could not tell us before we were bound again."""
    bench.work.reconfigure({"world": RESEND})
    message = bench.accept()
    [leased] = run(bench.store.lease_messages(Channel.SMS, 1))
    run(bench.store.mark(message, "world", "hash", lease=leased.lease))
    bench.clock.advance(300)
    run(FakeStore(bench.clock, "two", bench.store.db).recover("one"))
    bench.outcome = fails(TemporaryFailure("world is down"))
    bench.outbox.startService()
    assert (len(bench.attempts), bench.state()) == (1, State.UNCERTAIN)
    bench.bound_since = bench.clock.seconds()
    bench.outcome = bench.takes
    bench.clock.pump([0.5] * 19)
    assert (len(bench.attempts), bench.state()) == (1, State.UNCERTAIN)
    bench.clock.pump([0.5] * 3)
    assert (len(bench.attempts), bench.state()) == (2, State.SENT)


def on_the_wire(bench: Bench, route: str) -> None:
    """A message that bears the mark of `route`, and is due: its process died."""
    message = bench.accept()
    [leased] = run(bench.store.lease_messages(Channel.SMS, 1))
    run(bench.store.mark(message, route, "hash", lease=leased.lease))
    run(FakeStore(bench.clock, "two", bench.store.db).recover("one"))
    bench.outbox.startService()


def test_the_timeline_tells_what_an_uncertain_message_waits_for(bench: Bench) -> None:
    """After a crash: what became of it, and then, once, whether it is held or waits for evidence."""
    on_the_wire(bench, "world")
    bench.clock.pump([1.0] * 5)
    lines = bench.store.db.rows[ID].timeline
    assert [line.detail for line in lines if line.event == "uncertain"] == [
        "one ended while it was on the wire",
        "no answer is known from world: held until its deadline",
    ]


def test_the_audit_log_says_once_of_each_copy_that_it_may_have_been_sent(bench: Bench) -> None:
    """When its answer is lost, after a crash when it is looked at next; not again however often it is looked at."""
    bench.outcome = fails(Uncertain("no answer", route="world"), mark="world")
    message = bench.accept(deadline=100)
    bench.outbox.startService()
    for _ in range(3):
        bench.store.db.queues["sms"][message.id] = bench.clock.seconds()
        bench.clock.pump([1.0] * 5)
    assert [(one.what, one.message_id, one.uid, one.reason) for one in bench.decisions] == [
        ("uncertain", message.id, message.uid, "no answer")
    ]
    bench.clock.pump([1.0] * 101)
    assert [one.what for one in bench.decisions] == ["uncertain", "failed"]


def test_the_audit_log_says_what_arrived_before_its_last_answer(bench: Bench) -> None:
    """A long SMS of which all segments bear one id: no further receipt comes that would say it."""

    async def takes(leased: Leased) -> Handed:
        message, lease = leased.message, leased.lease
        await bench.store.mark(message, "world", "hash", lease=lease, segments=2)
        await bench.store.record_segments(message.id, lease, "world", ("r1",))
        await bench.store.record_receipt(Receipt("world", ("r1",), Event.DELIVERED), park=True)
        await bench.store.mark(message, "world", "hash", lease=lease, segments=2)
        return Handed("world", ("r1",))

    bench.outcome = takes
    bench.accept()
    bench.outbox.startService()
    bench.clock.advance(1)
    assert bench.state() is State.DELIVERED
    assert [(one.what, one.reason) for one in bench.decisions] == [
        ("sent", "world"),
        ("delivered", "its receipts came before the last answer"),
    ]


def test_the_audit_log_says_what_a_crash_left_on_the_wire(bench: Bench) -> None:
    """That it may have been sent, and what it waits for."""
    on_the_wire(bench, "world")
    bench.clock.pump([1.0] * 5)
    [one] = bench.decisions
    assert (one.what, one.reason) == ("uncertain", "no answer is known from world: held until its deadline")


def test_each_copy_that_may_have_been_sent_has_a_line(bench: Bench) -> None:
    """With `resend` a second lost answer is a second line, and the end one more."""
    bench.work.reconfigure({"world": RESEND})
    bench.outcome = fails(Uncertain("no answer", route="world"), mark="world")
    bench.accept()
    bench.outbox.startService()
    bench.clock.pump([0.5] * 30)
    bench.outcome = bench.takes
    bench.clock.pump([0.5] * 300)
    assert [one.what for one in bench.decisions] == ["uncertain", "uncertain", "sent"]


@pytest.mark.parametrize(("policy", "copies"), [(HOLD, 0), (RESEND, 1)])
def test_a_route_that_a_reload_took_away_keeps_its_policy(policy: Smsc, copies: int) -> None:
    """What is uncertain there is held, or goes by another route; the timeline says that the route is gone."""
    bench_of[:] = [bench := Bench(policy)]
    bench.work.reconfigure({"other": HOLD})
    on_the_wire(bench, "world")
    bench.clock.pump([1.0] * 12)
    assert len(bench.attempts) == copies
    lines = [line.detail for line in bench.store.db.rows[ID].timeline]
    assert any(line.startswith("no answer is known from world, which is configured no more: ") for line in lines)


def test_a_route_that_was_never_configured_goes_by_the_default(bench: Bench) -> None:
    """It left with a restart: an SMS is held as by default."""
    on_the_wire(bench, "gone")
    bench.clock.pump([1.0] * 60)
    assert (bench.attempts, bench.state()) == ([], State.UNCERTAIN)


def test_the_deadline_ends_a_message_that_never_went_out(bench: Bench) -> None:
    """Past its deadline a message ends as failed, without `accepted`."""
    bench.outcome = fails(TemporaryFailure("down"))
    bench.accept(deadline=30)
    bench.outbox.startService()
    bench.clock.pump([0.5] * 70)
    assert (bench.state(), bench.told()) == (State.FAILED, "f")
    said = bench.store.db.rows[ID].timeline[-1].detail
    assert re.fullmatch(r"the deadline passed, 30 s after it was accepted, after \d+ tries: down", said)


def test_throttled_for_its_whole_life_it_was_tried_for_all_that(bench: Bench) -> None:
    """Tries that use up no attempt are tries: it ends with how many there were, and with the last answer."""

    async def says_no(leased: Leased) -> Handed:
        said, later = "world answered ESME_RMSGQFUL", bench.clock.seconds() + 5.0
        return await fails(TemporaryFailure(said, not_before=later, counts=False), "world")(leased)

    bench.outcome = says_no
    bench.accept(deadline=12)
    bench.outbox.startService()
    bench.clock.pump([0.5] * 32)
    assert (bench.state(), bench.told()) == (State.FAILED, "f")
    said = bench.store.db.rows[ID].timeline[-1].detail
    assert re.fullmatch(
        r"the deadline passed, 1\d s after it was accepted, after 3 tries: world answered ESME_RMSGQFUL", said
    )


def test_a_result_is_stored_when_redis_is_back(bench: Bench) -> None:
    """A message that the next hop took while Redis was down is settled as sent, and sent once."""

    async def outcome(leased: Leased) -> Handed:
        handed = await bench.takes(leased)
        bench.store.down = True
        return handed

    bench.outcome = outcome
    bench.accept()
    bench.outbox.startService()
    bench.clock.pump([0.5] * 20)
    assert bench.state() is State.UNCERTAIN
    bench.store.down = False
    bench.clock.pump([0.5] * 2)
    assert bench.state() is State.SENT
    assert len(bench.attempts) == 1


def test_paused_messages_are_laid_aside(bench: Bench) -> None:
    """While its label and channel are paused a message is not sent, and goes on afterwards."""
    run(bench.store.pause("amazing", Channel.SMS))
    bench.work.paused = frozenset({("amazing", Channel.SMS)})
    bench.accept()
    bench.outbox.startService()
    bench.clock.pump([1.0] * 5)
    assert bench.attempts == []
    run(bench.store.resume("amazing", Channel.SMS))
    bench.work.paused = frozenset()
    run(bench.store.requeue_set_aside())
    bench.clock.pump([1.0])
    assert bench.state() is State.SENT


def test_receipts_that_waited_are_passed_on(bench: Bench) -> None:
    """A receipt parked before the answer is tracked right after it."""
    receipt = Receipt("world", ("r1",), Event.DELIVERED)
    run(bench.store.record_receipt(receipt, park=True))
    bench.accept()
    bench.outbox.startService()
    assert [found.remote_ids for found in bench.evidence.receipts] == [("r1",)]


def test_a_bug_behind_the_mark_does_not_send_twice(bench: Bench) -> None:
    """An unexpected error after the mark may have come after the wire: uncertain, so the route's policy counts."""
    bench.outcome = fails(ZeroDivisionError(), mark="world")
    bench.accept()
    bench.outbox.startService()
    bench.clock.pump([1.0] * 60)
    assert bench.state() is State.UNCERTAIN
    assert [event.event for event in bench.store.db.rows[ID].timeline].count("submitting") == 1


def test_a_callback_that_asks_for_minutes_is_tried_sooner_at_first() -> None:
    """Retry-After counts within the limits of the back-off: 5 s, 10 s in the first minute, then as asked for."""
    telling = Telling()
    tried: list[float] = []

    async def tell(job: ReportJob) -> None:
        now = telling.bench.clock.seconds()
        tried.append(now)
        raise TemporaryFailure("HTTP 503", not_before=now + 120)

    telling.work = ReportWork(
        telling.bench.clock,
        telling.bench.store,
        tell,
        statuses=RecentStatuses(telling.bench.clock, telling.bench.store),
        jitter=lambda: 0.5,
        meter=telling.meter,
    )
    telling.outbox = Outbox(telling.bench.clock, telling.work, 10)
    telling.outbox.startService()
    telling.bench.clock.pump([0.5] * 600)
    waits = [round(later - earlier) for earlier, later in pairwise(tried)]
    assert waits[:8] == [5, 10, 10, 10, 10, 10, 10, 120]


@pytest.mark.parametrize("not_before", [None, 300.0])
def test_what_was_under_way_when_its_way_was_mended_is_tried_again_at_once(
    bench: Bench, not_before: float | None
) -> None:
    """Its failure is one of the old settings, and so is the back-off, or the moment, that it would wait for."""

    async def refused_behind_a_reload(leased: Leased) -> Handed:
        bench.outcome = bench.takes
        bench.work.ways_changed()
        raise TemporaryFailure("535", not_before=not_before and bench.clock.seconds() + not_before)

    bench.accept()
    bench.outcome = refused_behind_a_reload
    bench.outbox.startService()
    bench.clock.advance(0.5)
    assert bench.state() is State.SENT

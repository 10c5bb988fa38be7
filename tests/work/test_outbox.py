"""The outbox: what becomes of an attempt, and that nothing it knows is lost. On the fake store and a test clock."""

import re
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent

from fakes import FakeEvidence, FakeMeter, FakeStore
from gatewayd.config import Smsc
from gatewayd.core.errors import LeaseLost, PermanentFailure, TemporaryFailure, Uncertain
from gatewayd.core.model import Channel, Handed, Leased, Message, Receipt, ReportJob, Sms
from gatewayd.core.retry import SMSC
from gatewayd.core.status import Event, Report, State
from gatewayd.work.attempts import MessageWork
from gatewayd.work.marks import Marks
from gatewayd.work.outbox import DRAIN, Outbox
from gatewayd.work.report_attempts import ReportWork
from gatewayd.work.statuses import RecentStatuses

ID = "00000000-0000-4000-8000-000000000001"
HOLD = Smsc(host="h", system_id="s", password="p")
RESEND = HOLD.model_copy(update={"on_uncertain": "resend", "uncertain_wait": 10.0})


class Bench:
    """An outbox of SMS over a fake store, with a channel that the test scripts."""

    def __init__(self, policy: Smsc = HOLD, window: int = 10) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.store = FakeStore(self.clock)
        self.meter = FakeMeter()
        self.attempts: list[Leased] = []
        self.evidence = FakeEvidence()
        self.bound_since = 0.0
        self.down = ""
        self.outcome: Callable[[Leased], Awaitable[Handed]] = self.takes
        self.marks = Marks(self.clock, self.store)
        self.work = MessageWork(
            self.clock,
            self.store,
            Channel.SMS,
            self._deliver,
            marks=self.marks,
            statuses=RecentStatuses(self.clock, self.store),
            evidence=self.evidence,
            retry=SMSC,
            policies={"world": policy},
            jitter=lambda: 0.5,
            meter=self.meter,
            heard_since=lambda route: self.bound_since,
            tells_later=lambda route: route == "world",
            why_not=lambda: self.down,
        )
        self.outbox = Outbox(self.clock, self.work, window)

    async def _deliver(self, leased: Leased) -> Handed:
        self.attempts.append(leased)
        return await self.outcome(leased)

    async def takes(self, leased: Leased) -> Handed:
        """The next hop takes it."""
        stamp = await self.store.mark(leased.message, "world", "hash", lease=leased.lease)
        self.marks.written(leased.message.id, Channel.SMS, "world", stamp)
        return Handed("world", ("r1",))

    def accept(self, number: int = 1, deadline: float = 3600) -> Message:
        """A message in the queue."""
        now = self.clock.seconds()
        message = Message(f"{ID[:-3]}{number:03d}", f"u{number}", "amazing", "p", Sms("A", "b"), now, now + deadline)
        run(self.store.accept(message, "f"))
        return message

    def state(self, number: int = 1) -> State:
        """What the store holds."""
        return self.store.db.rows[f"{ID[:-3]}{number:03d}"].state

    def told(self, number: int = 1) -> str:
        """The letters of the reports queued."""
        return self.store.db.rows[f"{ID[:-3]}{number:03d}"].told


def run(work: Any) -> Any:
    """The result of a coroutine that does not have to wait."""
    results: list[Any] = []
    failures: list[Any] = []
    Deferred.fromCoroutine(work).addCallbacks(results.append, failures.append)
    if failures:
        failures[0].raiseException()
    assert results, "it waits"
    return results[0]


def fails(error: Exception, mark: str = "") -> Callable[[Leased], Awaitable[Handed]]:
    """An attempt that raises, after the mark where a route is given."""

    async def outcome(leased: Leased) -> Handed:
        if mark:
            await bench_of[0].store.mark(leased.message, mark, "hash", lease=leased.lease)
        raise error

    return outcome


bench_of: list[Bench] = []


@pytest.fixture
def bench() -> Bench:
    """A bench whose SMSC holds uncertain messages."""
    bench_of[:] = [Bench()]
    return bench_of[0]


def test_a_due_message_is_sent(bench: Bench) -> None:
    """A due message is leased, handed over, and settled as sent with its remote ids."""
    bench.accept()
    bench.outbox.startService()
    assert bench.state() is State.SENT
    assert bench.told() == "a"
    assert bench.store.db.remote["world", "r1"][0][0] == ID
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


def test_an_offered_message_is_sent_without_a_look_at_the_queue(bench: Bench) -> None:
    """What was leased at acceptance is begun at once."""
    bench.accept()
    [leased] = run(bench.store.lease_messages(Channel.SMS, 1))
    bench.outbox.startService()
    bench.outbox.offer(leased)
    assert bench.state() is State.SENT


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


def test_a_message_that_was_on_the_wire_when_we_died_is_not_sent_again(bench: Bench) -> None:
    """A recovered message that bears the mark is held, as its route says."""
    message = bench.accept()
    [leased] = run(bench.store.lease_messages(Channel.SMS, 1))
    run(bench.store.mark(message, "world", "hash", lease=leased.lease))
    run(bench.store.recover("one"))
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
    run(bench.store.recover("one"))
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
    run(bench.store.recover("one"))
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
    assert re.fullmatch(r"the deadline passed, 30 s after it was accepted, after \d+ tries", said)


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


def test_outboxes_that_began_together_look_together() -> None:
    """A slow answer from the store shifts no later look: what outboxes ask in one turn shares a call."""
    clock = Clock()
    looks: list[tuple[str, float]] = []

    class Slow:
        """Takes its time at the first look."""

        def __init__(self, name: str, seconds: float) -> None:
            self.name, self.seconds = name, seconds

        def key(self, item: str) -> str:
            """There are none."""
            return item

        async def lease(self, limit: int) -> list[str]:
            """Nothing is due."""
            looks.append((self.name, clock.seconds()))
            answer: Deferred[None] = Deferred()
            clock.callLater(self.seconds, answer.callback, None)
            self.seconds = 0.0
            await answer
            return []

        async def do(self, item: str) -> str | None:
            """Never."""

    for slow in (Slow("email", 0.0), Slow("sms", 0.07)):
        Outbox(clock, slow, 10).startService()
    clock.pump([0.01] * 95)
    later = [at for _, at in looks[2:]]
    assert len(later) == 8, looks
    assert later[::2] == pytest.approx(later[1::2])


def test_the_window_bounds_what_is_in_work(bench: Bench) -> None:
    """No more than `window` items are begun; the next are when places get free."""
    bench = Bench(window=3)
    going: list[Deferred[None]] = []

    async def outcome(leased: Leased) -> Handed:
        waiting: Deferred[None] = Deferred()
        going.append(waiting)
        await waiting
        return await bench.takes(leased)

    bench.outcome = outcome
    for number in range(1, 8):
        bench.accept(number)
    bench.outbox.startService()
    assert len(going) == 3
    assert not bench.outbox.room()
    for _ in range(10):
        for waiting in [d for d in going if not d.called]:
            waiting.callback(None)
        bench.clock.pump([0.0, 0.2])
    assert [bench.state(number) for number in range(1, 8)] == [State.SENT] * 7


def test_stopping_waits_for_what_is_in_work(bench: Bench) -> None:
    """stopService ends when the running attempt was settled, and takes nothing new."""
    waiting: Deferred[None] = Deferred()

    async def outcome(leased: Leased) -> Handed:
        await waiting
        return await bench.takes(leased)

    bench.outcome = outcome
    bench.accept()
    bench.outbox.startService()
    stopped: list[None] = []
    bench.outbox.stopService().addCallback(stopped.append)
    bench.accept(2)
    bench.clock.pump([1.0] * 5)
    assert stopped == []
    waiting.callback(None)
    assert stopped == [None]
    assert (bench.state(), bench.state(2)) == (State.SENT, State.QUEUED)


def test_what_is_being_taken_back_is_not_begun(bench: Bench) -> None:
    """Whoever leases it meanwhile leaves it alone; it is nobody's stray."""
    bench.outbox.startService()
    taking_back: Deferred[None] = Deferred()
    bench.outbox.hold(ID, taking_back)
    bench.accept()
    bench.clock.pump([0.5] * 3)
    assert bench.attempts == []
    assert bench.outbox.holds(ID)
    taking_back.callback(None)
    assert not bench.outbox.holds(ID)


def test_stopping_has_a_limit(bench: Bench) -> None:
    """What does not end within DRAIN seconds stays leased; its result is nobody's business any more."""

    async def outcome(leased: Leased) -> Handed:
        await Deferred()
        raise AssertionError

    bench.outcome = outcome
    bench.accept()
    bench.outbox.startService()
    stopped: list[None] = []
    bench.outbox.stopService().addCallback(stopped.append)
    bench.clock.advance(DRAIN + 1)
    assert stopped == [None]
    assert ID in bench.store.db.leases["sms", "one"]


def test_what_is_offered_after_the_stop_is_not_begun(bench: Bench) -> None:
    """It was leased in a call that the stop overtook: begun, it would be cut off in the middle; so it stays leased."""
    bench.outbox.startService()
    bench.outbox.stopService()
    message = bench.accept()
    [leased] = run(bench.store.lease_messages(Channel.SMS, 1))
    bench.outbox.offer(leased)
    assert not bench.outbox.holds(message.id)
    assert bench.state() is State.QUEUED
    assert ID in bench.store.db.leases["sms", "one"]


def test_an_outbox_outlives_an_error_of_the_store(bench: Bench) -> None:
    """Whatever a look at the queue raises is logged, and the next look comes: a dead outbox would be silent."""
    lease, errors = bench.work.lease, [ValueError("unreadable")]

    async def fails_once(limit: int) -> list[Leased]:
        if errors:
            raise errors.pop()
        return await lease(limit)

    bench.work.lease = fails_once  # type: ignore[method-assign]
    bench.accept()
    bench.outbox.startService()
    bench.clock.advance(1)
    assert bench.state() is State.SENT
    assert not errors


def test_a_bug_behind_the_mark_does_not_send_twice(bench: Bench) -> None:
    """An unexpected error after the mark may have come after the wire: uncertain, so the route's policy counts."""
    bench.outcome = fails(ZeroDivisionError(), mark="world")
    bench.accept()
    bench.outbox.startService()
    bench.clock.pump([1.0] * 60)
    assert bench.state() is State.UNCERTAIN
    assert [event.event for event in bench.store.db.rows[ID].timeline].count("submitting") == 1


class Telling:
    """ReportWork over a fake store, with a caller that the test scripts."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.told: list[Report] = []
        self.failure: Exception | None = None
        self.meter = FakeMeter()
        self.work = ReportWork(
            self.bench.clock,
            self.bench.store,
            self._tell,
            statuses=RecentStatuses(self.bench.clock, self.bench.store),
            jitter=lambda: 0.5,
            meter=self.meter,
        )
        self.outbox = Outbox(self.bench.clock, self.work, 10)
        self.message = self.bench.accept()
        [leased] = run(self.bench.store.lease_messages(Channel.SMS, 1))
        run(self.bench.store.mark(leased.message, "world", "", lease=leased.lease))
        run(self.bench.store.settle_sent(self.message.id, Channel.SMS, Handed("world", ("r1",))))

    async def _tell(self, job: ReportJob) -> None:
        if self.failure:
            raise self.failure
        self.told.append(job.status)


def test_reports_are_told_in_order() -> None:
    """`accepted` is heard before `delivered` is told, each once."""
    telling = Telling()
    run(telling.bench.store.record_receipt(Receipt("world", ("r1",), Event.DELIVERED), park=True))
    telling.outbox.startService()
    telling.bench.clock.pump([1.0] * 5)
    assert telling.told == [Report.ACCEPTED, Report.DELIVERED]


def test_what_was_told_is_told_again_only_where_a_person_asks_for_it() -> None:
    """Redis forgot that it was heard, and then a person wants a status told once more that Redis knows as heard."""
    telling = Telling()
    telling.outbox.startService()
    telling.bench.clock.pump([1.0] * 5)
    database = telling.bench.store.db
    row = database.rows[ID]
    row.timeline = [event for event in row.timeline if event.event != "told"]
    row.pending, database.queues["reports"][ID] = "a", 0.0
    telling.bench.clock.pump([1.0] * 5)
    assert (telling.told, row.pending) == ([Report.ACCEPTED], "")
    row.pending, database.queues["reports"][ID] = "a", 0.0
    telling.bench.clock.pump([1.0] * 5)
    assert (telling.told, row.pending) == ([Report.ACCEPTED] * 2, "")


def test_an_unheard_report_is_told_again_and_again() -> None:
    """A failed callback is repeated with back-off and then heard once."""
    telling = Telling()
    telling.failure = TemporaryFailure("HTTP 500")
    telling.outbox.startService()
    telling.bench.clock.pump([1.0] * 100)
    tries = telling.bench.store.db.rows[ID].report_tries
    assert 5 < tries < 40
    telling.failure = None
    telling.bench.clock.pump([1.0] * 600)
    assert telling.told == [Report.ACCEPTED]


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


def test_a_report_is_given_up_after_48_hours() -> None:
    """What was not heard in 48 hours becomes a dead letter, with the last reason."""
    telling = Telling()
    telling.failure = TemporaryFailure("HTTP 500")
    telling.outbox.startService()
    telling.bench.clock.pump([60.0] * (48 * 60 + 120))
    [letter] = run(telling.bench.store.dead_letters(10))
    assert (letter.status, letter.message_id) == (Report.ACCEPTED, ID)
    assert re.fullmatch(r"2 d after it was queued, after \d\d+ tries: HTTP 500", letter.reason)
    assert f"after {letter.tries} tries" in letter.reason
    assert letter.waited is not None
    assert 48 * 3600 <= letter.waited < 49 * 3600
    assert ("amazing", Report.ACCEPTED, "dead") in telling.meter.reports


def test_a_report_that_is_refused_for_good_is_a_dead_letter() -> None:
    """A permanent refusal gives a report up at once; later statuses go on."""
    telling = Telling()
    telling.failure = PermanentFailure("email was not found")
    telling.outbox.startService()
    telling.failure = None
    run(telling.bench.store.record_receipt(Receipt("world", ("r1",), Event.DELIVERED), park=True))
    telling.bench.clock.pump([1.0] * 3)
    assert telling.told == [Report.DELIVERED]
    [letter] = run(telling.bench.store.dead_letters(10))
    assert letter.reason == "0 s after it was queued, after 1 try: email was not found"
    assert (letter.waited, letter.tries) == (0.0, 1)


def test_items_print_no_content() -> None:
    """What an outbox logs of an item is its id."""
    bench = Bench()
    assert bench.work.key(Leased(replace(bench.accept(), uid="x"))) == ID

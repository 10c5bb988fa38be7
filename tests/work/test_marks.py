"""What left is not sent again because Redis forgot it: empty, older, or less than a heartbeat behind."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from at_once import run
from fakes import Database, FakeEvidence, FakeMeter, FakeStore, Row
from gatewayd.core.errors import StoreUnavailable, TemporaryFailure
from gatewayd.core.model import Channel, Handed, Leased, Message, Receipt, Sms
from gatewayd.core.retry import SMSC
from gatewayd.core.status import Event, Report, State
from gatewayd.store.dataset import ALL, LATELY, TOLD_FOR, Dataset, Heartbeat
from gatewayd.work.attempts import MessageWork
from gatewayd.work.marks import KEPT_FOR, Marks
from gatewayd.work.statuses import RecentStatuses

ID = "00000000-0000-4000-8000-00000000000"


class Bench:
    """One process, its store, and a way out that counts what is written."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.database = Database()
        self.store = FakeStore(self.clock, "one", self.database)
        self.marks = Marks(self.clock, self.store)
        self.statuses = RecentStatuses(self.clock, self.store)
        self.written: list[str] = []
        self.handed: Handed | None = Handed("world", ("r1",))
        self.deliver: Callable[[Leased], Awaitable[Handed]] = self._deliver
        self.work = MessageWork(
            self.clock,
            self.store,
            Channel.SMS,
            lambda leased: self.deliver(leased),
            marks=self.marks,
            statuses=self.statuses,
            evidence=FakeEvidence(),
            retry=SMSC,
            policies={},
            jitter=lambda: 0.5,
            meter=FakeMeter(),
        )

    async def _deliver(self, leased: Leased) -> Handed:
        stamp = await self.store.mark(leased.message, "world", "hash", lease=leased.lease)
        self.marks.written(leased.message.id, Channel.SMS, "world", stamp)
        self.written.append(leased.message.id)
        if self.handed is None:
            await Deferred()
        assert self.handed is not None
        return self.handed

    def accept(self) -> Message:
        """A message that this instance takes on, or takes on anew."""
        now = self.clock.seconds()
        message = Message(f"{ID}1", "u1", "amazing", "p", Sms("A", "b"), now, now + 3600)
        run(self.store.accept(message, "f", lease=True))
        return message

    def forget_all(self) -> None:
        """FLUSHALL."""
        self.database.__init__()  # type: ignore[misc]
        self.clock.advance(30)


def test_what_was_sent_is_not_sent_again_under_its_uid() -> None:
    """Redis was emptied, and the caller sends the request once more: it counts as sent, and that is told."""
    bench = Bench()
    run(bench.work.do(Leased(bench.accept())))
    bench.forget_all()
    message = bench.accept()
    run(bench.work.do(Leased(message)))
    assert bench.written == [message.id]
    assert bench.database.rows[message.id].state is State.SENT


def test_what_may_have_been_taken_is_held() -> None:
    """Its answer is not known, and Redis is as it was before the mark: it is uncertain until its deadline."""
    bench = Bench()
    bench.handed = None
    Deferred.fromCoroutine(bench.work.do(Leased(bench.accept())))
    bench.forget_all()
    message = bench.accept()
    run(bench.work.do(Leased(message)))
    assert bench.written == [message.id]
    assert bench.database.rows[message.id].state is State.UNCERTAIN
    assert bench.database.queues["sms"][message.id] == message.deadline


def test_marks_are_restated_for_the_others() -> None:
    """What another process would lease as queued is uncertain, or sent, once this one has said what it wrote."""
    bench = Bench()
    run(bench.work.do(Leased(bench.accept())))
    row = bench.database.rows[f"{ID}1"]
    row.state, row.marked = State.QUEUED, 0.0
    bench.clock.advance(5)
    assert run(bench.marks.restate(LATELY, FakeEvidence())) == 1
    assert row.state is State.SENT
    assert run(bench.marks.restate(LATELY, FakeEvidence())) == 0


def test_a_receipt_that_waited_for_what_is_restated_is_recorded() -> None:
    """A peer took it while Redis did not know the message as sent: it is nobody's else."""
    bench, evidence = Bench(), FakeEvidence()
    run(bench.work.do(Leased(bench.accept())))
    row = bench.database.rows[f"{ID}1"]
    row.state, row.marked = State.QUEUED, 0.0
    bench.database.remote.clear()
    receipt = Receipt("world", ("r1",), Event.DELIVERED)
    run(FakeStore(bench.clock, "two", bench.database).record_receipt(receipt, park=True))
    bench.clock.advance(5)
    assert run(bench.marks.restate(LATELY, evidence)) == 1
    assert [one.remote_ids for one in evidence.receipts] == [receipt.remote_ids]


def test_what_was_refused_may_leave_again() -> None:
    """Nothing of it was taken: whatever Redis forgets, it is tried again."""
    bench = Bench()
    bench.marks.written(f"{ID}1", Channel.SMS, "world", 1)
    bench.marks.refused(f"{ID}1")
    run(bench.work.do(Leased(bench.accept())))
    assert bench.written == [f"{ID}1"]


def test_marks_are_bounded_in_age() -> None:
    """Ten minutes."""
    bench = Bench()
    message = bench.accept()
    bench.marks.written(message.id, Channel.SMS, "world", 1)
    bench.clock.advance(KEPT_FOR + 1)
    bench.marks.written(f"{ID}2", Channel.SMS, "world", 1)
    assert bench.marks.forgotten(Leased(message)) is None


def test_a_dataset_that_is_empty_or_older_is_noticed() -> None:
    """With the first heartbeat; nothing is leased while peers restate, and operators are told for an hour."""
    dataset = Dataset()
    assert dataset.is_known(0, 1), "before the first heartbeat there is nothing to know better"
    assert dataset.seen(1, 1, Heartbeat("a", 1)) == ""
    assert dataset.seen(2, 1, Heartbeat("a", 3, peers=1)) == ""
    assert (dataset.latest, dataset.to_restate()) == ((3, 0), 0)
    assert not dataset.is_known(3, 2), "the connection is new, and nobody has looked"
    assert dataset.seen(3, 2, Heartbeat("a", 4)) == ""
    assert (dataset.is_known(3, 2), dataset.to_restate(), dataset.to_restate()) == (True, LATELY + 1, 0)
    assert "older dataset: 2 heartbeats" in dataset.seen(4, 3, Heartbeat("b", 3, missing=2, peers=1, wait=3.0))
    assert (dataset.is_known(4, 3), dataset.is_known(7, 3), dataset.to_restate()) == (False, True, ALL)
    assert "empty" in dataset.seen(8, 3, Heartbeat("c", 1, missing=3))
    assert dataset.is_known(8, 3), "no peer is waited for"
    assert "empty" in dataset.trouble(8)
    assert dataset.trouble(8 + TOLD_FOR) == ""


def test_marks_since_the_latest_heartbeat_are_restated_however_long_it_was_away() -> None:
    """Redis was away for five minutes, and a promoted replica may lack what was written right before that."""
    dataset = Dataset()
    dataset.seen(0, 1, Heartbeat("a", 1))
    dataset.seen(300, 2, Heartbeat("a", 2))
    assert dataset.to_restate() == 300 + LATELY
    dataset.seen(301, 2, Heartbeat("b", 3, wait=3.0))
    assert (dataset.to_restate(), dataset.trouble(301)) == (ALL, ""), "another server, and nothing of ours lacks"


def test_what_was_put_back_unwritten_is_remembered_by_its_lease() -> None:
    """The mark did not get through: nothing left under this lease, until something leaves under another."""
    bench = Bench()
    message = bench.accept()
    mark = bench.store.mark

    async def lost(*args: Any, **options: Any) -> int:
        await mark(*args, **options)
        raise StoreUnavailable("no replica has it")

    bench.store.mark = lost  # type: ignore[method-assign]
    run(bench.work.do(Leased(message)))
    assert bench.marks.unwritten_leases(message.id) == ("",)
    bench.store.mark = mark  # type: ignore[method-assign]
    bench.clock.advance(60)
    [again] = run(bench.store.lease_messages(Channel.SMS, 1))
    run(bench.work.do(again))
    assert bench.written == [message.id]
    assert bench.marks.unwritten_leases(message.id) == ()


@pytest.mark.parametrize(("state", "known"), [(State.QUEUED, ("world", ("r1",))), (State.UNCERTAIN, ("", ()))])
def test_a_long_sms_that_is_put_back_half_sent_is_remembered(state: State, known: tuple[str, tuple[str, ...]]) -> None:
    """The first one was taken, the mark of the next did not get through. Uncertain before, more of it may be there."""
    bench = Bench()
    message = bench.accept()

    async def half(leased: Leased) -> Handed:
        bench.marks.written(message.id, Channel.SMS, "world", 1)
        raise TemporaryFailure("no replica has it", progress=("r1",))

    bench.deliver = half
    run(bench.work.do(Leased(message, state=state)))
    assert bench.marks.segments_taken(message.id) == known
    assert bench.marks.unwritten_leases(message.id) == (("",) if known[1] else ())
    bench.marks.written(message.id, Channel.SMS, "world", 2)
    assert bench.marks.segments_taken(message.id) == ("", ())


def forget_end(bench: Bench, message: Message) -> Row:
    """Redis is as it was before the message was leased, and has its lease."""
    row = bench.database.rows[message.id]
    row.state, row.marked, row.queued, row.pending, row.timeline = State.QUEUED, 0.0, "", "", []
    row.message = message
    return row


def test_what_was_told_is_not_told_again() -> None:
    """`delivered` was heard, and Redis is as it was before the mark: it is delivered, and nothing is to be told."""
    bench = Bench()
    message = bench.accept()
    run(bench.work.do(Leased(message)))
    for status in (Report.ACCEPTED, Report.DELIVERED):
        bench.statuses.heard(message.id, status)
    row = forget_end(bench, message)
    assert run(bench.statuses.restate(LATELY)) == 1
    assert run(bench.marks.restate(LATELY, FakeEvidence())) == 0
    assert (row.state, row.queued, row.pending) == (State.DELIVERED, "ad", "")
    assert run(bench.statuses.restate(LATELY)) == 0


def test_a_receipt_that_was_acknowledged_is_recorded_again() -> None:
    """Nobody brings it again; `accepted` was told, `delivered` was not."""
    bench = Bench()
    message = bench.accept()
    run(bench.work.do(Leased(message)))
    bench.statuses.heard(message.id, Report.ACCEPTED)
    bench.statuses.recorded(message.id, Event.DELIVERED)
    row = forget_end(bench, message)
    assert run(bench.statuses.restate(LATELY)) == 1
    assert (row.state, row.queued, row.pending) == (State.DELIVERED, "ad", "d")


def test_an_end_that_was_recorded_settles_what_would_be_held() -> None:
    """The answer to its submit is not known, its receipt came: it is delivered, and not held."""
    bench = Bench()
    bench.handed = None
    Deferred.fromCoroutine(bench.work.do(Leased(bench.accept())))
    bench.statuses.recorded(f"{ID}1", Event.DELIVERED)
    bench.forget_all()
    message = bench.accept()
    run(bench.work.do(Leased(message)))
    row = bench.database.rows[message.id]
    assert (bench.written, row.state, row.pending) == ([message.id], State.DELIVERED, "ad")


def test_what_was_taken_is_sent_where_redis_has_its_mark_alone() -> None:
    """The next hop took it, and Redis forgot that: it is neither held nor sent again."""
    bench = Bench()
    message = bench.accept()
    run(bench.work.do(Leased(message)))
    row = bench.database.rows[message.id]
    row.state, row.queued, row.pending = State.UNCERTAIN, "", ""
    assert run(bench.marks.restate(LATELY, FakeEvidence())) == 0
    assert row.state is State.SENT
    row.state = State.UNCERTAIN
    run(bench.work.do(Leased(message, State.UNCERTAIN, route="world", mark=round(row.marked * 1000))))
    assert (bench.written, row.state) == ([message.id], State.SENT)


def test_what_was_told_is_bounded_in_age() -> None:
    """Ten minutes."""
    bench = Bench()
    message = bench.accept()
    bench.statuses.heard(message.id, Report.ACCEPTED)
    bench.statuses.stored(message.id)
    bench.clock.advance(KEPT_FOR + 1)
    bench.statuses.heard(f"{ID}2", Report.ACCEPTED)
    assert run(bench.statuses.restate(2 * KEPT_FOR)) == 0


def test_unwritten_leases_are_bounded() -> None:
    """Eight of a message, and ten minutes."""
    bench = Bench()
    for number in range(20):
        bench.marks.unwritten(f"{ID}1", str(number))
    assert bench.marks.unwritten_leases(f"{ID}1") == tuple(map(str, range(12, 20)))
    bench.clock.advance(KEPT_FOR + 1)
    bench.marks.unwritten(f"{ID}2", "x")
    assert bench.marks.unwritten_leases(f"{ID}1") == ()

"""The worker of a queue: how much is in work, when it looks, how it ends."""

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from at_once import run
from gatewayd.core.drain import DRAIN, STORED
from gatewayd.core.lateness import READING
from gatewayd.core.model import Channel, Handed, Leased
from gatewayd.core.status import State
from gatewayd.work.outbox import Outbox
from work_bench import ID, Bench, bench_of


@pytest.fixture
def bench() -> Bench:
    """A bench whose SMSC holds uncertain messages."""
    bench_of[:] = [Bench()]
    return bench_of[0]


def being_stopped(bench: Bench, answer: Deferred[None]) -> list[None]:
    """A message is in work until `answer` comes, and the outbox has been told to stop; no longer empty once it has."""

    async def outcome(leased: Leased) -> Handed:
        await answer
        return await bench.takes(leased)

    bench.outcome = outcome
    bench.accept()
    bench.outbox.startService()
    stopped: list[None] = []
    bench.outbox.stopService().addCallback(stopped.append)
    return stopped


def test_an_offered_message_is_sent_without_a_look_at_the_queue(bench: Bench) -> None:
    """What was leased at acceptance is begun at once."""
    bench.accept()
    [leased] = run(bench.store.lease_messages(Channel.SMS, 1))
    bench.outbox.startService()
    bench.outbox.offer(leased)
    assert bench.state() is State.SENT


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
    stopped = being_stopped(bench, waiting)
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
    """What does not end in time stays leased; its result is nobody's business any more."""
    stopped = being_stopped(bench, Deferred())
    bench.clock.pump([0.5] * round((DRAIN + STORED) / 0.5))
    assert stopped == [None]
    assert ID in bench.store.db.leases["sms", "one"]


@pytest.mark.parametrize("asleep", [DRAIN + STORED, DRAIN + STORED + 0.5, 60])
def test_a_process_that_was_stopped_while_it_drains_hears_what_was_answered(bench: Bench, asleep: float) -> None:
    """SIGTERM, and then stopped for as long as the limit: the answer is read, and stored, before all is given up."""
    waiting: Deferred[None] = Deferred()
    stopped = being_stopped(bench, waiting)
    bench.clock.advance(asleep)
    bench.clock.advance(READING)
    assert stopped == []
    waiting.callback(None)
    assert stopped == [None]
    assert bench.state() is State.SENT


def test_what_follows_in_a_lease_is_not_begun_after_the_stop() -> None:
    """The next status of a message would be cut off in the middle, and be told twice; so it stays leased."""
    clock = Clock()
    begun: list[str] = []
    ends: Deferred[None] = Deferred()

    class Following:
        """One item, and another behind it."""

        def key(self, item: str) -> str:
            """The same lease."""
            return "key"

        async def lease(self, limit: int) -> list[str]:
            """The first."""
            return [] if begun else ["accepted"]

        async def do(self, item: str) -> str | None:
            """Takes its time."""
            begun.append(item)
            await ends
            return "delivered"

    outbox = Outbox(clock, Following(), 10)
    outbox.startService()
    stopped: list[None] = []
    outbox.stopService().addCallback(stopped.append)
    ends.callback(None)
    assert (begun, stopped) == (["accepted"], [None])


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


def test_items_print_no_content() -> None:
    """What an outbox logs of an item is its id."""
    bench = Bench()
    assert bench.work.key(Leased(replace(bench.accept(), uid="x"))) == ID

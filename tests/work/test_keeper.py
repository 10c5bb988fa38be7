"""Heartbeats, take-overs and chores, on the fake store and a test clock."""

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from at_once import run
from fakes import Database, FakeEvidence, FakeStore
from gatewayd.core.model import Channel, Handed, Leased, Message, Receipt, Sms
from gatewayd.core.status import Event, State
from gatewayd.work.chores import STRAY_AFTER
from gatewayd.work.keeper import BEAT, Keeper
from gatewayd.work.last_words import LastWords
from gatewayd.work.marks import KEPT_FOR, Marks
from gatewayd.work.outbox import Outbox
from gatewayd.work.presence import DEAD_AFTER
from gatewayd.work.statuses import RecentStatuses

ID = "00000000-0000-4000-8000-00000000000"


class Held:
    """Work that never ends."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.looks = 0

    def key(self, item: Leased) -> str:
        """The message's id."""
        return item.message.id

    async def lease(self, limit: int) -> list[Leased]:
        """Nothing by itself."""
        self.looks += 1
        return []

    async def do(self, item: Leased) -> None:
        """For ever."""
        self.begun.append(item.message.id)
        await Deferred()


class Instance:
    """One process's keeper."""

    def __init__(
        self, clock: Clock, database: Database, name: str = "one", boot: str = "boot", kept: Path | None = None
    ) -> None:
        self.clock = clock
        self.store = FakeStore(clock, name, database, boot=boot)
        self.work = Held()
        self.outbox: Outbox[Leased] = Outbox(clock, self.work, 10)
        self.paused: list[frozenset[tuple[str, Channel]]] = []
        self.evidence = FakeEvidence()
        self.marks = Marks(clock, self.store)
        self.statuses = RecentStatuses(clock, self.store)
        self.last_words = LastWords(kept, self.marks, self.statuses)
        self.usurped = 0
        self.keeper = Keeper(
            clock,
            self.store,
            {"sms": self.outbox},
            on_paused=self.paused.append,
            evidence=self.evidence,
            marks=self.marks,
            statuses=self.statuses,
            last_words=self.last_words,
            on_usurped=self._usurped,
            instance=name,
        )

    def _usurped(self) -> None:
        self.usurped += 1

    def lease(self, number: int = 1, lease: str = "") -> Message:
        """A message that this instance accepted and holds."""
        now = self.clock.seconds()
        message = Message(f"{ID}{number}", f"u{number}", "amazing", "p", Sms("A", "b"), now, now + 3600)
        run(self.store.accept(message, "f", lease=True, attempt=lease))
        return message


def clocked() -> tuple[Clock, Database]:
    """A clock that does not begin at 0, and an empty database."""
    clock = Clock()
    clock.advance(1000)
    return clock, Database()


def beats(clock: Clock, seconds: float) -> None:
    """Time passes, heartbeat by heartbeat."""
    clock.pump([BEAT] * round(seconds / BEAT))


def test_a_new_process_takes_back_what_its_predecessor_held() -> None:
    """At once, with its first heartbeat, and once only."""
    clock, database = clocked()
    before = Instance(clock, database, boot="before")
    message = before.lease()
    clock.advance(1)
    after = Instance(clock, database, boot="after")
    after.keeper.startService()
    assert list(database.queues["sms"]) == [message.id]
    run(after.store.lease_messages(Channel.SMS, 10))
    after.outbox.startService()
    after.outbox.offer(Leased(message))
    beats(clock, 2)
    assert database.queues["sms"] == {}


@pytest.mark.parametrize("away", [0, int(2 * KEPT_FOR)])
def test_a_new_process_says_what_its_predecessor_could_not_store(tmp_path: Path, away: int) -> None:
    """Also of a message that a peer has taken over meanwhile, and however long the store still takes no writes."""
    clock, database = clocked()
    kept = tmp_path / "kept.json"
    before, peer = Instance(clock, database, boot="before", kept=kept), Instance(clock, database, "two")
    message = before.lease()
    before.marks.written(message.id, Channel.SMS, "world", run(before.store.mark(message, "world", "hash", lease="")))
    before.marks.sent(message.id, Handed("world", ("r1",)))
    before.last_words.keep()
    run(peer.store.recover("one"))
    after = Instance(clock, database, boot="after", kept=kept)
    after.store.down = True
    after.keeper.startService()
    beats(clock, away)
    after.store.down = False
    beats(clock, 9)
    assert database.rows[message.id].state is State.SENT
    assert not kept.exists()


def test_what_its_predecessor_could_not_put_back_is_tried_again(tmp_path: Path) -> None:
    """It was marked, and nothing of it was written, as only that process knew: it is not held for its mark."""
    clock, database = clocked()
    kept = tmp_path / "kept.json"
    before = Instance(clock, database, boot="before", kept=kept)
    marked, on_the_wire = before.lease(1, "1"), before.lease(2, "2")
    for message, lease in ((marked, "1"), (on_the_wire, "2")):
        run(before.store.mark(message, "world", "hash", lease=lease))
    before.marks.unwritten(marked.id, "1")
    before.last_words.keep()
    clock.advance(1)
    after = Instance(clock, database, boot="after", kept=kept)
    after.keeper.startService()
    beats(clock, 2)
    assert (database.rows[marked.id].state, database.rows[on_the_wire.id].state) == (State.QUEUED, State.UNCERTAIN)


def test_what_a_new_process_leased_itself_stays_in_work() -> None:
    """Its outboxes may be quicker than its first heartbeat: given back, a peer would do the same a second time."""
    clock, database = clocked()
    one = Instance(clock, database)
    one.outbox.startService()
    one.store.down = True
    one.keeper.startService()
    one.store.down = False
    message = one.lease()
    one.outbox.offer(Leased(message))
    beats(clock, 2)
    assert database.queues["sms"] == {}
    assert list(database.leases["sms", "one"]) == [message.id]


def test_nothing_is_begun_that_no_peer_would_take_over() -> None:
    """Before its first heartbeat nobody knows of a process: what it had leased when it died would be nobody's."""
    clock, database = clocked()
    one = Instance(clock, database)
    one.outbox.startService()
    one.store.down = True
    one.keeper.startService()
    beats(clock, 2)
    assert (one.outbox.room(), one.work.looks) == (False, 0)
    one.store.down = False
    beats(clock, 1)
    assert one.outbox.room()
    assert one.work.looks > 0


def test_a_live_peer_keeps_its_leases() -> None:
    """Whatever time passes, as long as it beats."""
    clock, database = clocked()
    one, two = Instance(clock, database, "one"), Instance(clock, database, "two")
    for each in (one, two):
        each.keeper.startService()
        each.outbox.startService()
    one.outbox.offer(Leased(one.lease()))
    beats(clock, 10 * DEAD_AFTER)
    assert database.queues["sms"] == {}
    assert (one.usurped, two.usurped) == (0, 0)


def test_a_dead_peers_leases_are_taken_over() -> None:
    """15 s after its last heartbeat, not earlier; afterwards it is forgotten."""
    clock, database = clocked()
    one, two = Instance(clock, database, "one"), Instance(clock, database, "two")
    one.keeper.startService()
    message = one.lease()
    two.keeper.startService()
    one.keeper.stopService()
    beats(clock, DEAD_AFTER - BEAT)
    assert database.queues["sms"] == {}
    beats(clock, 2 * BEAT)
    assert list(database.queues["sms"]) == [message.id]
    assert list(database.beats) == ["two"]


def test_the_older_of_two_processes_of_one_name_stops() -> None:
    """Two of a name would send twice: the one that began last stays."""
    clock, database = clocked()
    old, new = Instance(clock, database, boot="old"), Instance(clock, database, boot="new")
    old.keeper.startService()
    new.keeper.startService()
    beats(clock, 2)
    assert old.usurped == 1
    assert new.usurped == 0


def test_a_usurped_process_touches_nothing_more() -> None:
    """It neither sweeps nor gives anything back."""
    clock, database = clocked()
    old, new = Instance(clock, database, boot="old"), Instance(clock, database, boot="new")
    old.keeper.startService()
    new.keeper.startService()
    new.keeper.stopService()
    new.lease()
    beats(clock, 2 * STRAY_AFTER)
    assert database.queues["sms"] == {}


def test_what_is_paused_is_passed_on_with_each_heartbeat() -> None:
    """So that a pause reaches every instance within a second, and a resume too."""
    clock, database = clocked()
    one = Instance(clock, database)
    one.keeper.startService()
    run(one.store.pause("amazing", Channel.SMS))
    beats(clock, 1)
    assert one.paused[-1] == {("amazing", Channel.SMS)}
    message = one.lease()
    run(one.store.set_aside(message, lease=""))
    beats(clock, 1)
    assert database.queues["sms"] == {}
    run(one.store.resume("amazing", Channel.SMS))
    beats(clock, 1)
    assert one.paused[-1] == frozenset()
    assert list(database.queues["sms"]) == [message.id], "what was laid aside goes on"


def test_a_lease_that_nobody_works_on_is_given_back() -> None:
    """A lost reply leaves one behind: after 3 s it is in the queue again; what is in work stays."""
    clock, database = clocked()
    one = Instance(clock, database)
    one.keeper.startService()
    one.outbox.startService()
    working, stray = one.lease(1), one.lease(2)
    one.outbox.offer(Leased(working))
    beats(clock, STRAY_AFTER - BEAT)
    assert database.queues["sms"] == {}
    beats(clock, 2 * BEAT)
    assert list(database.queues["sms"]) == [stray.id]


def test_a_stray_under_whose_lease_nothing_left_is_tried_again() -> None:
    """Redis forgot that it was put back, and kept the mark: this process knows that nothing was written."""
    clock, database = clocked()
    one = Instance(clock, database)
    one.keeper.startService()
    known, unknown = one.lease(1), one.lease(2)
    for message in (known, unknown):
        run(one.store.mark(message, "world", "hash", lease=""))
    one.marks.unwritten(known.id, "")
    beats(clock, STRAY_AFTER + BEAT)
    assert list(database.queues["sms"]) == [known.id, unknown.id]
    assert [database.rows[one_id].state for one_id in database.queues["sms"]] == [State.QUEUED, State.UNCERTAIN]


def test_parked_receipts_are_looked_up_again_and_given_up() -> None:
    """After 2, 12, 30, 60 and 300 s; after an hour nobody waits any more."""
    clock, database = clocked()
    one = Instance(clock, database)
    one.keeper.startService()
    receipt = Receipt("world", ("r1",), Event.DELIVERED)
    run(one.store.record_receipt(receipt, park=True))
    beats(clock, 1)
    assert one.evidence.looked == []
    beats(clock, 2)
    assert [found.remote_ids for found in one.evidence.looked] == [("r1",)]
    beats(clock, 7300)
    assert len(one.evidence.looked) == 5
    assert [found.remote_ids for found in one.evidence.given_up] == [("r1",)]
    assert database.parked == {}


def test_an_outage_of_the_store_is_survived() -> None:
    """Heartbeats go on when Redis is back, also where the very first one failed."""
    clock, database = clocked()
    before = Instance(clock, database, boot="before")
    message = before.lease()
    one = Instance(clock, database, boot="after")
    one.store.down = True
    one.keeper.startService()
    beats(clock, 5)
    assert database.queues["sms"] == {}
    one.store.down = False
    beats(clock, 2)
    assert list(database.queues["sms"]) == [message.id]
    assert database.beats["one"] == clock.seconds()


def test_after_an_outage_of_the_store_nobody_is_taken_for_dead_at_once() -> None:
    """No heartbeat reached the store for longer than it takes to be dead: the first one back waits for its peers'."""
    clock, database = clocked()
    one, two = Instance(clock, database, "one"), Instance(clock, database, "two")
    for each in (one, two):
        each.keeper.startService()
        each.outbox.startService()
        each.outbox.offer(Leased(each.lease(1 if each is one else 2)))
    beats(clock, 10)
    one.store.down = two.store.down = True
    beats(clock, 2 * DEAD_AFTER)
    one.store.down = False
    beats(clock, 2)
    two.store.down = False
    beats(clock, DEAD_AFTER)
    assert database.queues["sms"] == {}
    two.keeper.stopService()
    beats(clock, DEAD_AFTER + BEAT)
    assert list(database.queues["sms"]) == [f"{ID}2"]


def test_a_stopped_keeper_beats_no_more() -> None:
    """Its successor takes the name over, its peers its leases."""
    clock, database = clocked()
    one = Instance(clock, database)
    one.keeper.startService()
    last = clock.seconds()
    one.keeper.stopService()
    beats(clock, 5)
    assert database.beats["one"] == last
    assert clock.getDelayedCalls() == []


def test_receipts_that_ended_nothing_are_recorded_again_once_redis_forgot() -> None:
    """Nobody brings them again, and a long SMS would wait for them for ever. Older ones Redis has."""
    clock, database = clocked()
    one = Instance(clock, database)
    one.keeper.startService()
    old, new = (Receipt("world", (remote,), Event.DELIVERED) for remote in ("old", "new"))
    one.statuses.received(old)
    beats(clock, 60)
    one.statuses.received(new)
    database.forgot = 30.0
    beats(clock, 5)
    assert one.evidence.receipts == [new]

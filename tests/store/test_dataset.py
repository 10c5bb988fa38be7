"""A Redis that is another one, or an older one: every process learns it, and none sends again what another has sent."""

import itertools
from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from gatewayd.core.errors import LeaseLost, StoreUnavailable, TemporaryFailure
from gatewayd.core.model import Channel, Evidence, Handed, Message, Receipt, ReportJob
from gatewayd.core.status import Event, Report, State
from gatewayd.store import RedisStore
from gatewayd.store.legend import KEYS
from gatewayd.store.link import RedisLink
from redis_server import RedisServer, ShiftedClock
from store_world import on_redis, sms

_serial = itertools.count()


class Pair:
    """Two processes on one Redis, `one` and `two`, each with a link of its own."""

    def __init__(self, server: RedisServer) -> None:
        self.clock, self.prefix = ShiftedClock(), RedisStore.key_prefix(f"set{next(_serial)}:")
        self.links: list[RedisLink] = []
        self._server = server
        self.one, self.two = self.process("one"), self.process("two")

    def process(self, name: str) -> RedisStore:
        """A new one."""
        link, store = on_redis(self._server, self.clock, self.prefix, name, f"boot-{name}")
        self.links.append(link)
        return store

    async def beat(self, *stores: RedisStore) -> None:
        """A heartbeat of each, of both by default."""
        for store in stores or (self.one, self.two):
            await store.beat(first=False, dead_after=15)

    def restated(self, *stores: RedisStore) -> None:
        """Each, by default both, has said what it remembers."""
        for store in stores or (self.one, self.two):
            assert store.forgotten_since() > 0
            store.has_restated()

    async def becomes_another_server(self) -> None:
        """The next heartbeat finds another one than the one before."""
        await self.links[0].command("HSET", self.prefix + KEYS["beats"].short, "server", "abcdef")

    async def forgets_heartbeats_of(self, name: str, left: int) -> None:
        """As if the dataset were from when it had had so many."""
        await self.links[0].command("SET", f"{self.prefix}{KEYS['beaten'].short}boot-{name}.", left)

    async def leased(self, store: RedisStore, lease: str = "1") -> Message:
        """A message that is new, and this process's."""
        message = sms(self.clock)
        await store.accept(message, "print", lease=True, attempt=lease)
        store.heard(lease)
        return message


@pytest.fixture
def pair(redis_server: RedisServer) -> Iterator[Pair]:
    """Both have beaten twice."""
    found = Pair(redis_server)
    for _ in range(2):
        pytest_twisted.blockon(Deferred.fromCoroutine(found.beat()))
    yield found
    for link in found.links:
        pytest_twisted.blockon(link.stopService())


async def mark(store: RedisStore, message: Message, lease: str = "1") -> int:
    """Right before its bytes would be written."""
    return await store.mark(message, "world", "hash", lease=lease)


@pytest_twisted.ensureDeferred
async def test_who_misses_a_heartbeat_of_its_own_says_so_to_all(pair: Pair) -> None:
    """Others had beaten past it: the number alone would hide the loss, and they restate what they wrote, too."""
    await pair.forgets_heartbeats_of("one", 1)
    await pair.beat(pair.two)
    assert pair.two.forgotten_since() == 0, "of its own nothing is missing"
    await pair.beat(pair.one)
    assert pair.one.forgotten_since() > 0
    assert [one.text for one in pair.one.degraded()] == [
        "Redis came back with an older dataset: 2 heartbeats are missing"
    ]
    await pair.beat(pair.two)
    assert pair.two.forgotten_since() > 0
    await pair.beat()
    assert (pair.one.forgotten_since(), pair.two.forgotten_since()) == (0, 0), "said once"


@pytest_twisted.ensureDeferred
async def test_a_heartbeat_outlasts_a_host_that_sleeps_for_a_week(pair: Pair) -> None:
    """A virtual machine that was paused so long with its Redis must not say that Redis came back empty."""
    left = await pair.links[0].command("TTL", f"{pair.prefix}{KEYS['beaten'].short}boot-one.")
    assert left > 7 * 86400


@pytest_twisted.ensureDeferred
async def test_nothing_is_leased_or_marked_until_each_peer_could_restate(pair: Pair) -> None:
    """Another server: who beats first waits for the one that lived before, however long that takes, and 3 s more."""
    message, queued = await pair.leased(pair.one), sms(pair.clock)
    await pair.one.accept(queued, "print")
    await pair.becomes_another_server()
    for _ in range(4):
        await pair.beat(pair.one)
        assert await pair.one.lease_messages(Channel.SMS, 10) == []
        with pytest.raises(TemporaryFailure, match="restated") as caught:
            await mark(pair.one, message)
        assert not caught.value.counts
        pair.clock.advance(1.0)
    await pair.beat()
    assert await pair.one.lease_messages(Channel.SMS, 10) == []
    pair.restated()
    pair.clock.advance(3.1)
    await pair.beat()
    await pair.beat(pair.one)
    pair.clock.advance(3.1)
    await pair.beat()
    assert [leased.message.id for leased in await pair.one.lease_messages(Channel.SMS, 10)] == [queued.id]
    assert await mark(pair.one, message)


@pytest_twisted.ensureDeferred
async def test_a_clock_that_is_set_back_behind_a_restart_of_the_server_stops_nothing(pair: Pair) -> None:
    """By it the restart lies in the future, as does each heartbeat before it: nobody waits until the clock is there."""
    message, queued = await pair.leased(pair.one), sms(pair.clock)
    await pair.one.accept(queued, "print")
    await pair.becomes_another_server()
    await pair.beat()
    pair.restated()
    pair.clock.advance(1.0)
    await pair.beat()
    pair.clock.advance(-3600)
    for _ in range(5):
        await pair.beat()
        pair.clock.advance(1.0)
    await pair.one.come_forward()
    assert await mark(pair.one, message)
    assert [leased.message.id for leased in await pair.two.lease_messages(Channel.SMS, 10)] == [queued.id]


@pytest_twisted.ensureDeferred
async def test_a_peer_that_died_with_the_server_is_not_waited_for_longer_than_others_are(pair: Pair) -> None:
    """15 s after its last heartbeat it is dead."""
    message = await pair.leased(pair.one)
    await pair.becomes_another_server()
    for _ in range(19):
        await pair.beat(pair.one)
        if pair.one.forgotten_since():
            pair.one.has_restated()
        pair.clock.advance(1.0)
    assert await mark(pair.one, message)


@pytest_twisted.ensureDeferred
async def test_a_peer_that_is_slow_in_restating_is_waited_for(pair: Pair) -> None:
    """It beats, and has thousands of marks to say, or lost its connection once more: for half a minute at most."""
    message = await pair.leased(pair.one)
    for is_said in (True, False):
        await pair.becomes_another_server()
        await pair.beat()
        pair.restated(pair.one)
        for _ in range(27):
            await pair.beat()
            with pytest.raises(TemporaryFailure):
                await mark(pair.one, message)
            pair.clock.advance(1.0)
        if is_said:
            pair.restated(pair.two)
            await pair.beat(pair.two)
        for _ in range(6):
            await pair.beat()
            pair.clock.advance(1.0)
        assert await mark(pair.one, message)


@pytest_twisted.ensureDeferred
async def test_who_is_alone_waits_for_nobody(redis_server: RedisServer) -> None:
    """A Redis that was started again costs a single process no pause."""
    pair = Pair(redis_server)
    try:
        await pair.beat(pair.one)
        message = await pair.leased(pair.one)
        await pair.becomes_another_server()
        await pair.beat(pair.one)
        assert pair.one.forgotten_since() > 0, "a peer may come later"
        assert await mark(pair.one, message)
    finally:
        for link in pair.links:
            await link.stopService()


@pytest_twisted.ensureDeferred
async def test_each_of_many_servers_in_a_row_is_noticed(pair: Pair) -> None:
    """Two of them within one millisecond, too."""
    for _ in range(50):
        await pair.becomes_another_server()
        await pair.beat(pair.one)
        assert pair.one.forgotten_since() > 0


@pytest_twisted.ensureDeferred
async def test_a_process_that_begins_meanwhile_waits_with_the_others(pair: Pair) -> None:
    """It knows of no heartbeat before its first one; the dataset does."""
    await pair.becomes_another_server()
    await pair.beat(pair.one)
    three = pair.process("three")
    await pair.beat(three)
    with pytest.raises(TemporaryFailure):
        await mark(three, await pair.leased(three))


@pytest_twisted.ensureDeferred
async def test_who_leased_what_another_had_written_can_write_it_no_more(pair: Pair) -> None:
    """Less than a heartbeat was lost: the mark of one, and two leased it before one said so."""
    message = await pair.leased(pair.two)
    assert await pair.one.restate_marks([(message.id, "world", 2**50)]) == ([message.id], [])
    with pytest.raises(LeaseLost):
        await mark(pair.two, message)
    known = await pair.two.about(message.id)
    assert known is not None
    assert known.state is State.UNCERTAIN


@pytest_twisted.ensureDeferred
async def test_who_restates_what_it_holds_goes_on_holding_it(pair: Pair) -> None:
    """It waits for the answer to what it wrote, and settles that."""
    message = await pair.leased(pair.one)
    await pair.one.restate_marks([(message.id, "world", 2**50)])
    await pair.one.settle_again(message, pair.clock.seconds(), "no answer", lease="1", uncertain=True, route="world")
    pair.clock.advance(0.1)
    assert [one.message.id for one in await pair.one.lease_messages(Channel.SMS, 1)] == [message.id]


@pytest_twisted.ensureDeferred
async def test_a_mark_goes_over_no_connection_that_nobody_has_looked_at(pair: Pair) -> None:
    """Its connection is lost, and the next one may lead to another server: only a heartbeat finds that out."""
    message = await pair.leased(pair.one)
    pair.links[0].leave("a test cuts it")
    with pytest.raises(StoreUnavailable):
        await mark(pair.one, message)
    # As soon as there is one, this goes over it.
    await pair.one.queues()
    with pytest.raises(TemporaryFailure):
        await mark(pair.one, message)
    await pair.beat(pair.one)
    assert await mark(pair.one, message)


@pytest_twisted.ensureDeferred
async def test_a_mark_is_forgotten_though_the_clock_was_set_back_before_it(pair: Pair) -> None:
    """Nothing left after its first mark; Redis comes back as it was then, with a mark of a later time of day."""
    message = await pair.leased(pair.one)
    key = pair.prefix + KEYS["message"].short + message.id
    first = await mark(pair.one, message)
    await pair.one.settle_again(message, pair.clock.seconds() - 100, "no answer", lease="1")
    backup = await pair.links[0].command("DUMP", key)
    pair.clock.advance(-60)
    await pair.beat()
    [again] = await pair.one.lease_messages(Channel.SMS, 1)
    second = await pair.one.mark(again.message, "world", "hash", lease=again.lease)
    assert second > first
    await pair.links[0].command("RESTORE", key, 0, backup, "REPLACE")
    assert await pair.one.restate_marks([(message.id, "world", second)]) == ([message.id], [])
    assert await pair.one.restate_marks([(message.id, "world", second)]) == ([], [message.id]), (
        "it is known from now on"
    )
    known = await pair.two.about(message.id)
    assert known is not None
    assert known.state is State.UNCERTAIN


@pytest_twisted.ensureDeferred
async def test_reports_are_not_told_before_peers_said_what_they_told(pair: Pair) -> None:
    """An older dataset has statuses to tell that another process has told."""
    message = await pair.leased(pair.one)
    await pair.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1",)))
    await pair.becomes_another_server()
    await pair.beat()
    assert await pair.two.lease_reports(1) == []
    await pair.one.restate_heard([(message.id, "a", None, False)])
    pair.restated()
    await pair.beat()
    pair.clock.advance(3.1)
    await pair.beat()
    assert await pair.two.lease_reports(1) == []


@pytest_twisted.ensureDeferred
async def test_a_status_that_is_born_is_not_told_before_peers_said_what_they_told(pair: Pair) -> None:
    """Its proof came before, and comes again: `two` would tell at once what Redis forgot that `one` has told."""
    message, told = await pair.leased(pair.one), list[ReportJob]()
    pair.two.feed_reports(lambda: True, told.append)
    await mark(pair.one, message)
    await pair.becomes_another_server()
    await pair.beat()
    await pair.two.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn"))
    assert told == []
    await pair.one.restate_heard([(message.id, "a", None, False)])
    pair.restated()
    for _ in range(2):
        await pair.beat()
        pair.clock.advance(3.1)
    assert [job.status for job in await pair.two.lease_reports(9)] == [Report.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_status_that_was_asked_for_over_a_lost_connection_is_not_told_at_once(pair: Pair) -> None:
    """What is asked again goes over the next connection, which nobody has looked at yet; it comes as a stray."""
    message, told = await pair.leased(pair.one), list[ReportJob]()
    pair.two.feed_reports(lambda: True, told.append)
    await mark(pair.one, message)
    pair.links[1].leave("a test cuts it")
    await pair.two.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn"))
    assert told == []
    assert await pair.two.leases("reports", lambda _: False) == {}, "nor given back"
    await pair.beat()
    [(stray, lease)] = (await pair.two.leases("reports", lambda _: False)).items()
    await pair.two.release("reports", stray, lease)
    assert [job.status for job in await pair.two.lease_reports(9)] == [Report.ACCEPTED]


@pytest_twisted.ensureDeferred
async def test_what_was_being_told_as_redis_changed_is_known_as_told(pair: Pair) -> None:
    """Smartico answers `one` once that has said all it told; Redis has forgotten that there was something to tell."""
    message, told = await pair.leased(pair.one), list[ReportJob]()
    pair.one.feed_reports(lambda: True, told.append)
    await mark(pair.one, message)
    key = pair.prefix + KEYS["message"].short + message.id
    backup = await pair.links[0].command("DUMP", key)
    await pair.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1",)))
    await pair.becomes_another_server()
    await pair.links[0].command("RESTORE", key, 0, backup, "REPLACE")
    await pair.beat()
    pair.restated()
    assert await pair.one.report_heard(told[0]) is None
    await pair.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1",)))
    for _ in range(3):
        await pair.beat()
        pair.clock.advance(3.1)
    assert await pair.two.lease_reports(9) == []
    known = await pair.two.about(message.id)
    assert known is not None
    assert known.state is State.SENT


@pytest_twisted.ensureDeferred
async def test_a_receipt_resumes_no_long_sms_whose_progress_was_forgotten(pair: Pair) -> None:
    """Two segments were taken, and Redis knows the mark of the first alone: a receipt may be for either of them."""
    message = await pair.leased(pair.one)
    first = await pair.one.mark(message, "world", "hash", lease="1", segments=3)
    await pair.one.settle_again(
        message, message.deadline, "no answer", lease="1", uncertain=True, route="world", progress=()
    )
    assert await pair.two.restate_marks([(message.id, "world", first + 5)]) == ([message.id], [])
    for number in (2, 1):
        pair.clock.advance(11)
        receipt = Receipt("world", (f"r{number}",), Event.DELIVERED, number_hash="hash", came_at=pair.clock.seconds())
        result, found = await pair.one.record_receipt(receipt, park=False, by_number=True)
        assert (result, found) == ("ignored", message.id)
        assert await pair.one.lease_messages(Channel.SMS, 1) == []
    known = await pair.one.about(message.id)
    assert known is not None
    assert known.state is State.UNCERTAIN
    # What the process knows that has the connection is the truth.
    assert await pair.one.resume_from(message.id, "world", first + 5, "late", progress=("r1", "r2"))
    assert [one.progress for one in await pair.one.lease_messages(Channel.SMS, 1)] == [("r1", "r2")]

"""Clocks that differ and clocks that are set, on a real Redis whose clock the test pushes."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.logger import capturedLogs, formatEvent

from fakes import FakeEvidence
from gatewayd.core.errors import StoreUnavailable, StoreUntouched
from gatewayd.core.model import Channel, Message, Receipt, ReportJob, Sms
from gatewayd.core.status import Event, State
from gatewayd.store import RedisStore
from gatewayd.store.link import RedisLink
from gatewayd.store.moments import FOLLOW, Moments
from gatewayd.work.marks import Marks
from redis_server import RedisServer, ShiftedClock, until
from store_world import on_redis

PREFIX = RedisStore.key_prefix("clocks:")
_serial = itertools.count()


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[tuple[RedisLink, ShiftedClock]]:
    """A link whose scripts go by a clock that can be set; nothing of another test."""
    clock = ShiftedClock()
    arguments = RedisStore.script_arguments("one", 5000, 7 * 86400.0, "boot")
    client = redis_server.client()
    link = RedisLink(clock, client, jitter=lambda: 0.5, arguments=arguments, prefix=PREFIX, shift=lambda: clock.offset)
    link.startService()
    pytest_twisted.blockon(ensureDeferred(link.command("FLUSHDB")))
    yield link, clock
    pytest_twisted.blockon(link.stopService())


def sms(clock: Any) -> Message:
    """A fresh SMS."""
    number, now = next(_serial), clock.seconds()
    content = Sms("Amazing", "Hello")
    return Message(f"00000000-0000-4000-8000-{number:012d}", f"u{number}", "amazing", "p1", content, now, now + 3600)


def test_a_deadline_follows_a_jump_slowly() -> None:
    """What is stamped goes by the other clock at once; a message does not end because that clock was set on."""
    moments = Moments()
    assert moments.compared(100, 100, (140, 0)) == 0
    assert moments.theirs(100) == pytest.approx(140_000, abs=1)
    assert moments.ours(140_000) == pytest.approx(100, abs=0.001)
    assert moments.kept(200) == pytest.approx(240, abs=0.001)
    assert moments.compared(101, 101, (3741, 0)) == pytest.approx(3600, abs=0.01)
    assert moments.theirs(101) == pytest.approx(3_741_000, abs=1)
    assert moments.kept(200) == pytest.approx(240 + FOLLOW, abs=0.001)
    assert moments.read(moments.kept(200)) == pytest.approx(200)
    assert moments.compared(102, 102, (3742, 0)) == 0
    assert moments.compared(103, 103, (143, 0)) == pytest.approx(-3600, abs=0.01)


def test_a_slow_answer_moves_nothing() -> None:
    """Redis answered somewhere between: where what is known fits, it stays, so that slots of a rate keep their gaps."""
    moments = Moments()
    moments.compared(100, 100.001, (140, 500))
    known = moments.ahead
    moments.compared(101, 101.4, (141, 350_000))
    assert moments.ahead == known
    moments.compared(102, 102.002, (142, 51_000))
    assert moments.ahead == pytest.approx(40.049, abs=0.002)


class Away:
    """The clock of a host that is so many seconds off."""

    def __init__(self, clock: Any, off: float) -> None:
        self._clock = clock
        self.off = off

    def seconds(self) -> float:
        """The present moment, as that host sees it."""
        return float(self._clock.seconds()) + self.off


@pytest_twisted.ensureDeferred
async def test_hosts_whose_clocks_differ_share_their_work(redis: tuple[RedisLink, ShiftedClock]) -> None:
    """40 s apart either way: nobody is dead for another, what is due in 10 s is due in 10 s, and deadlines are one."""
    link, clock = redis
    here, late, early = (RedisStore(link, Away(clock, off), f"{off}") for off in (0.0, -40.0, 40.0))
    for _ in range(7):
        for store in (here, late, early):
            assert (await store.beat(first=False, dead_after=15))[1] == []
        clock.advance(3)
    message = sms(clock)
    await here.accept(message, "f")
    (leased,) = await late.lease_messages(Channel.SMS, 10)
    theirs = clock.seconds() - 40
    assert leased.message.deadline - theirs == pytest.approx(message.deadline - clock.seconds(), abs=0.1)
    await late.settle_again(leased.message, theirs + 10, "busy", lease=leased.lease)
    assert await early.lease_messages(Channel.SMS, 10) == []
    clock.advance(10.1)
    (leased,) = await early.lease_messages(Channel.SMS, 10)
    assert leased.first_tried == pytest.approx(clock.seconds() + 40 - 10.1, abs=0.2)


@pytest.mark.parametrize("back", [60.0, 600.0, 3600.0])
@pytest_twisted.ensureDeferred
async def test_a_clock_that_is_set_back_stops_nothing(redis: tuple[RedisLink, ShiftedClock], back: float) -> None:
    """With the next heartbeat what was due is due, leases are held, the rate goes on, and the log says it."""
    link, clock = redis
    host = Away(reactor, 0.0)
    store = RedisStore(link, host, "one")
    await store.beat(first=True, dead_after=15)
    await gatherResults([ensureDeferred(store.accept(sms(host), "f")) for _ in range(1200)])
    held = sms(host)
    await store.accept(held, "f", lease=True)
    first = await store.reserve("uk", 1, 1.0, 0.0)
    clock.advance(-back)
    with capturedLogs() as told:
        await store.beat(first=False, dead_after=15)
        await store.come_forward()
    assert any("was set back by" in formatEvent(event) for event in told)
    clock.advance(1)
    found = [one for _ in range(7) for one in await store.lease_messages(Channel.SMS, 200)]
    assert len(found) == 1200
    assert held.id in await store.leases("sms", lambda _: False)
    second = await store.reserve("uk", 1, 1.0, 0.0)
    assert first < second < host.seconds() + 5


@pytest_twisted.ensureDeferred
async def test_what_stands_in_the_future_comes_forward_though_redis_went_away_meanwhile(
    redis: tuple[RedisLink, ShiftedClock],
) -> None:
    """Its clock was set back, and its connection lost right after that: the next round does what this one could not."""
    link, clock = redis
    host = Away(reactor, 0.0)
    store = RedisStore(link, host, "one")
    await store.beat(first=True, dead_after=15)
    await store.accept(sms(host), "f")
    clock.advance(-3600)
    await store.beat(first=False, dead_after=15)
    await link.stopService()
    with pytest.raises(StoreUnavailable):
        await store.come_forward()
    link.startService()
    await until(lambda: link.up)
    await store.beat(first=False, dead_after=15)
    await store.come_forward()
    clock.advance(1)
    assert len(await store.lease_messages(Channel.SMS, 10)) == 1


@pytest.mark.parametrize("drift", [0.0007, -0.0007, 3600.0, -3600.0])
@pytest_twisted.ensureDeferred
async def test_an_uncertain_message_stays_so_whatever_the_clocks_do(
    redis: tuple[RedisLink, ShiftedClock], drift: float
) -> None:
    """It bears the mark that it bore when it was leased: nothing was written since, and no second copy may leave."""
    link, clock = redis
    store = RedisStore(link, Away(reactor, 0.0), "one")
    await store.beat(first=True, dead_after=15)
    message = sms(Away(reactor, 0.0))
    await store.accept(message, "f", lease=True)
    await store.mark(message, "uk", "hash", lease="")
    await store.settle_again(message, reactor.seconds() - 1, "lost", lease="", uncertain=True, route="uk")
    (leased,) = await store.lease_messages(Channel.SMS, 1)
    clock.advance(drift)
    await store.beat(first=False, dead_after=15)
    await store.settle_again(leased.message, reactor.seconds(), "uk is down", lease=leased.lease)
    known = await store.about(message.id)
    assert known is not None
    assert known.state is State.UNCERTAIN


class Hosts:
    """Processes on hosts whose clocks are never set, and Redis on one whose clock is."""

    def __init__(self, redis_server: RedisServer) -> None:
        self._redis_server = redis_server
        self.clock = ShiftedClock()
        self.redis_clock = ShiftedClock()
        self.links: list[RedisLink] = []

    def store(self, name: str) -> RedisStore:
        """Another process."""
        link = RedisLink(
            self.clock,
            self._redis_server.client(),
            jitter=lambda: 0.5,
            arguments=RedisStore.script_arguments(name, 5000, 7 * 86400.0, f"boot-{name}"),
            prefix=PREFIX,
            shift=lambda: self.redis_clock.offset,
        )
        link.startService()
        self.links.append(link)
        return RedisStore(link, self.clock, name)

    def passes(self, seconds: float) -> None:
        """Time goes on for all."""
        self.clock.advance(seconds)
        self.redis_clock.advance(seconds)


@pytest.fixture
def hosts(redis_server: RedisServer) -> Iterator[Hosts]:
    """Nothing of another test."""
    found = Hosts(redis_server)
    found.store("nobody")
    pytest_twisted.blockon(ensureDeferred(found.links[0].command("FLUSHDB")))
    yield found
    for link in found.links:
        pytest_twisted.blockon(link.stopService())


@pytest.mark.parametrize("jump", [-3600.0, -600.0, -60.0, 60.0, 3600.0])
@pytest_twisted.ensureDeferred
async def test_a_retry_is_as_far_away_as_it_was_said_to_be(hosts: Hosts, jump: float) -> None:
    """A process that has not heard yet that Redis' clock was set puts a message off, and a report, by five seconds.

    The peer that was told of the jump has moved everything by then.
    """
    one, two = hosts.store("one"), hosts.store("two")
    reports: list[ReportJob] = []
    two.feed_reports(lambda: True, reports.append)
    for store in (one, two):
        await store.beat(first=True, dead_after=15)
    message, ended = sms(hosts.clock), sms(hosts.clock)
    for each in (message, ended):
        await two.accept(each, "f", lease=True)
    await two.settle_final(ended, State.FAILED, "gone", "f", lease="")
    hosts.redis_clock.advance(jump)
    await one.beat(first=False, dead_after=15)
    await one.come_forward()
    await two.settle_again(message, hosts.clock.seconds() + 60, "busy", lease="")
    await two.report_again(reports[0], hosts.clock.seconds() + 60, "HTTP 500")
    assert (await one.lease_messages(Channel.SMS, 1), await one.lease_reports(1)) == ([], [])
    hosts.passes(60)
    assert len(await one.lease_messages(Channel.SMS, 1)) == len(await one.lease_reports(1)) == 1


@pytest.mark.parametrize("jump", [-3600.0, -60.0, 60.0, 3600.0])
@pytest_twisted.ensureDeferred
async def test_no_living_process_is_dead_because_the_clock_was_set(hosts: Hosts, jump: float) -> None:
    """All heartbeats are as old as the jump at once, or in the future: only who beats on keeps its leases.

    A process loses sight of no lease of its own either.
    """
    stores = one, two = [hosts.store(name) for name in ("one", "two")]
    gone = hosts.store("gone")
    for _ in range(5):
        for store in (*stores, gone):
            assert (await store.beat(first=False, dead_after=15))[1] == []
        hosts.passes(4)
    stray = sms(hosts.clock)
    await two.accept(stray, "f", lease=True)
    hosts.redis_clock.advance(jump)
    dead: list[str] = []
    for _ in range(18):
        for store in stores:
            dead += (await store.beat(first=False, dead_after=15))[1]
            await store.come_forward()
        hosts.passes(1)
    assert set(dead) == {"gone"}
    [(lost, lease)] = (await two.leases("sms", lambda _: False)).items()
    assert lost == stray.id
    await two.release("sms", lost, lease)
    assert len(await one.lease_messages(Channel.SMS, 1)) == 1


@pytest_twisted.ensureDeferred
async def test_a_clock_that_is_set_on_ends_nothing_and_looks_at_nothing_again(
    redis: tuple[RedisLink, ShiftedClock],
) -> None:
    """In an outage, or while its label is paused, a message waits for its deadline, which is as far away as before."""
    link, clock = redis
    host = Away(reactor, 0.0)
    store = RedisStore(link, host, "one")
    await store.beat(first=True, dead_after=15)
    waits, aside = sms(host), sms(host)
    await store.accept(waits, "f")
    await store.accept(aside, "f", lease=True)
    await store.pause("amazing", Channel.SMS)
    await store.set_aside(aside, lease="")
    clock.advance(10 * 86400)
    await store.beat(first=False, dead_after=15)
    assert await store.lease_overdue(Channel.SMS, 0, 10) == (1, [])
    assert await store.requeue_set_aside() == 0
    await store.accept(sms(host), "f")
    await store.resume("amazing", Channel.SMS)
    assert await store.requeue_set_aside() == 1


@pytest.mark.parametrize("jump", [-3600.0, 3600.0, 10 * 86400.0])
@pytest_twisted.ensureDeferred
async def test_a_process_that_begins_after_a_jump_reads_deadlines_as_the_others_do(
    redis: tuple[RedisLink, ShiftedClock], jump: float
) -> None:
    """It has not seen Redis' clock being set; a deploy right after that must not end what waits."""
    link, clock = redis
    host = Away(reactor, 0.0)
    old = RedisStore(link, host, "one")
    await old.beat(first=True, dead_after=15)
    before = sms(host)
    await old.accept(before, "f")
    clock.advance(jump)
    for _ in range(2):
        await old.beat(first=False, dead_after=15)
        await old.come_forward()
    after = sms(host)
    await old.accept(after, "f")
    new = RedisStore(link, host, "two")
    await new.beat(first=True, dead_after=15)
    await new.beat(first=False, dead_after=15)
    assert await new.lease_overdue(Channel.SMS, 0, 10) == (2, [])
    found = await new.lease_messages(Channel.SMS, 10)
    assert {leased.message.id: leased.message.deadline for leased in found} == {
        message.id: pytest.approx(message.deadline, abs=1.0) for message in (before, after)
    }


@pytest.mark.parametrize("beats", [0, 1])
@pytest.mark.parametrize("jump", [-3600.0, -2.5, 2.5, 3600.0, 10 * 86400.0])
@pytest_twisted.ensureDeferred
async def test_a_process_that_begins_amid_a_jump_waits_for_what_the_others_say_of_it(
    redis: tuple[RedisLink, ShiftedClock], redis_server: RedisServer, jump: float, beats: int
) -> None:
    """They hear of it at their next heartbeat, and it must not end what waits before that, nor shorten what comes."""
    link, clock = redis
    host = Away(reactor, 0.0)
    old = RedisStore(link, host, "one")
    for first in (True, False):
        await old.beat(first=first, dead_after=15)
    before = sms(host)
    await old.accept(before, "f")
    clock.advance(jump)
    for _ in range(beats):
        await old.beat(first=False, dead_after=15)
    other_link, new = on_redis(redis_server, clock, PREFIX, "two", "boot-two")
    new._clock = host
    after = sms(host)
    with suppress(StoreUntouched):
        await new.accept(after, "f")
    await new.beat(first=True, dead_after=15)
    _, ended = await new.lease_overdue(Channel.SMS, 0, 10)
    assert ended == []
    with suppress(StoreUntouched):
        await new.accept(after, "f")
    await old.beat(first=False, dead_after=15)
    await new.beat(first=False, dead_after=15)
    await old.beat(first=False, dead_after=15)
    await new.accept(after, "f")
    assert await new.lease_overdue(Channel.SMS, 0, 10) == (2, [])
    for store in (new, old):
        await store.come_forward()
    await other_link.stopService()
    found = {leased.message.id: leased.message.deadline for leased in await old.lease_messages(Channel.SMS, 10)}
    assert found[before.id] == pytest.approx(before.deadline, abs=1.0)
    assert found[after.id] >= after.deadline - 3.5


@pytest_twisted.ensureDeferred
async def test_who_begins_alone_waits_a_second_at_most_for_others_to_speak_of_the_clock(
    redis: tuple[RedisLink, ShiftedClock],
) -> None:
    """Its former self ended a minute ago, and a peer did: what they said last of deadlines counts."""
    link, clock = redis
    host = Away(reactor, 0.0)
    for name in ("two", "one"):
        old = RedisStore(link, host, name)
        await old.beat(first=True, dead_after=15)
        await old.beat(first=False, dead_after=15)
    await old.accept(sms(host), "f")
    clock.advance(60)
    host.off += 60
    new = RedisStore(link, host, "one")
    await new.beat(first=True, dead_after=15)
    await new.beat(first=False, dead_after=15)
    assert len(await new.lease_messages(Channel.SMS, 10)) == 1


@pytest.mark.parametrize("jump", [0.0, -3600.0, 3600.0])
@pytest.mark.parametrize("off", [0.0, -3600.0, 3600.0])
@pytest_twisted.ensureDeferred
async def test_a_message_that_comes_before_the_first_heartbeat_has_its_deadline(
    redis: tuple[RedisLink, ShiftedClock], jump: float, off: float
) -> None:
    """Its process has just begun, on a host whose clock is an hour off, and Redis' clock was set before: it has 1 h."""
    link, clock = redis
    here, there = Away(reactor, 0.0), Away(reactor, off)
    old = RedisStore(link, here, "one")
    await old.beat(first=True, dead_after=15)
    clock.advance(jump)
    for _ in range(2):
        await old.beat(first=False, dead_after=15)
    new = RedisStore(link, there, "two")
    message = sms(there)
    await new.accept(message, "f", until=there.seconds() + 3)
    (leased,) = await old.lease_messages(Channel.SMS, 10)
    assert leased.message.deadline == pytest.approx(message.deadline - off, abs=1.0)
    assert leased.message.accepted_at == pytest.approx(message.accepted_at - off, abs=1.0)


@pytest_twisted.ensureDeferred
async def test_a_host_that_slept_says_nothing_of_redis_clock(
    redis: tuple[RedisLink, ShiftedClock], redis_server: RedisServer
) -> None:
    """Its own clock stood still for an hour: who begins goes by the others, who saw no jump."""
    link, clock = redis
    awake, asleep = Away(reactor, 0.0), Away(reactor, 0.0)
    other_link, _ = on_redis(redis_server, clock, PREFIX, "two", "boot-two")
    one, two = RedisStore(link, awake, "one"), RedisStore(other_link, asleep, "two")
    message = sms(awake)
    for store in (one, two):
        await store.beat(first=True, dead_after=15)
    await one.accept(message, "f")
    asleep.off = -3600.0
    for store in (two, one, two, one, two):
        await store.beat(first=False, dead_after=15)
    new = RedisStore(link, awake, "three")
    await new.beat(first=True, dead_after=15)
    (leased,) = await new.lease_messages(Channel.SMS, 10)
    assert leased.message.deadline == pytest.approx(message.deadline, abs=1.0)
    await other_link.stopService()


@pytest_twisted.ensureDeferred
async def test_a_parked_receipt_is_looked_at_again_after_a_jump(redis: tuple[RedisLink, ShiftedClock]) -> None:
    """Its own moment lies in the future, when the clock was set back: its next looks come by the clock as it is."""
    link, clock = redis
    store = RedisStore(link, Away(reactor, 0.0), "one")
    await store.beat(first=True, dead_after=15)
    await store.record_receipt(Receipt("uk", ("r1",), Event.DELIVERED, "receipt"), park=True)
    clock.advance(-3600)
    await store.beat(first=False, dead_after=15)
    await store.come_forward()
    looks = 0
    for _ in range(8):
        clock.advance(5)
        looks += len((await store.parked_receipts(10))[0])
    assert looks >= 3


@pytest_twisted.ensureDeferred
async def test_no_look_at_a_parked_receipt_is_left_out_where_all_slept(redis: tuple[RedisLink, ShiftedClock]) -> None:
    """A host paused for hours, a clock set on: it may be the only word of an SMS whose process died in that moment."""
    link, clock = redis
    store = RedisStore(link, Away(reactor, 0.0), "one")
    await store.beat(first=True, dead_after=15)
    await store.record_receipt(Receipt("uk", ("r1",), Event.DELIVERED, "receipt"), park=True)
    clock.advance(5 * 3600)
    [due], orphans = await store.parked_receipts(10)
    assert (due.remote_ids, orphans) == (("r1",), [])
    assert await store.parked_receipts(10) == ([], [])
    clock.advance(61)
    due_now, [orphan] = await store.parked_receipts(10)
    assert (due_now, orphan.remote_ids) == ([], ("r1",))


@pytest.mark.parametrize("whose", ["ours", "Redis'"])
@pytest.mark.parametrize("jump", [-3600.0, -3.0, 3.0, 3600.0])
@pytest_twisted.ensureDeferred
async def test_a_mark_is_known_whatever_the_clocks_do(hosts: Hosts, jump: float, whose: str) -> None:
    """A long SMS that waits between two segments goes on with the next one; it isn't held as one that Redis forgot."""
    store = hosts.store("one")
    marks = Marks(hosts.clock, store)
    await store.beat(first=True, dead_after=15)
    message = sms(hosts.clock)
    await store.accept(message, "f", lease=True)
    stamp = await store.mark(message, "uk", "hash", lease="", segments=2)
    marks.written(message.id, Channel.SMS, "uk", stamp)
    await store.settle_again(message, hosts.clock.seconds(), "throttled", lease="", route="uk", progress=["r1"])
    (hosts.clock if whose == "ours" else hosts.redis_clock).advance(jump)
    await store.beat(first=False, dead_after=15)
    await store.come_forward()
    assert await marks.restate(60, FakeEvidence()) == 0
    # By how much a clock was set back is known to half of what an answer takes, which on a busy machine is long.
    hosts.passes(5)
    (leased,) = await store.lease_messages(Channel.SMS, 1)
    assert marks.forgotten(leased) is None
    assert leased.state is State.QUEUED


@pytest.mark.parametrize("came", ["before", "behind"])
@pytest.mark.parametrize("back", [5.0, 60.0, 3600.0])
@pytest_twisted.ensureDeferred
async def test_a_receipt_finds_its_message_by_the_number_whatever_the_clock_did(
    hosts: Hosts, back: float, came: str
) -> None:
    """Its answer was lost with its process, and Redis' clock is set back between mark and receipt, or behind both."""
    one, two = hosts.store("one"), hosts.store("two")
    for store in (one, two):
        await store.beat(first=True, dead_after=15)
    message = sms(hosts.clock)
    await one.accept(message, "f", lease=True)
    await one.mark(message, "uk", "hash", lease="")
    hosts.passes(1)
    receipt = Receipt("uk", ("r1",), Event.DELIVERED, "receipt", number_hash="hash")
    if came == "before":
        assert (await two.record_receipt(receipt, park=True))[0] == "parked"
    hosts.redis_clock.advance(-back)
    await two.beat(first=False, dead_after=15)
    await two.come_forward()
    if came == "behind":
        assert (await two.record_receipt(receipt, park=True))[0] == "parked"
    hosts.passes(16)
    await two.recover("one")
    (leased,) = await two.lease_messages(Channel.SMS, 1)
    deadline = leased.message.deadline
    await two.settle_again(leased.message, deadline, "held", lease=leased.lease, uncertain=True, route="uk")
    (due,), _ = await two.parked_receipts(10)
    assert (await two.record_receipt(due, park=False, by_number=True))[0] == "moved"


@pytest_twisted.ensureDeferred
async def test_a_receipt_is_behind_its_message_though_nobody_has_noticed_that_the_clock_was_set_on(
    hosts: Hosts,
) -> None:
    """The process that hears it still goes by the clock as it was when the message is marked by the new one."""
    one, two = hosts.store("one"), hosts.store("two")
    for store in (one, two):
        await store.beat(first=True, dead_after=15)
    message = sms(hosts.clock)
    await one.accept(message, "f", lease=True)
    hosts.redis_clock.advance(60)
    await one.mark(message, "uk", "hash", lease="")
    hosts.passes(1)
    receipt = Receipt("uk", ("r1",), Event.DELIVERED, "receipt", number_hash="hash")
    assert (await two.record_receipt(receipt, park=True))[0] == "parked"
    for store in (one, two):
        await store.beat(first=False, dead_after=15)
    hosts.passes(16)
    await one.settle_again(message, message.deadline, "held", lease="", uncertain=True, route="uk")
    (due,), _ = await two.parked_receipts(10)
    assert (await two.record_receipt(due, park=False, by_number=True))[0] == "moved"
    assert await two.parked_receipts(10) == ([], [])


@pytest_twisted.ensureDeferred
async def test_a_receipt_is_not_about_what_is_written_later_though_the_clock_was_set(hosts: Hosts) -> None:
    """It came behind the jump, long before the mark."""
    store = hosts.store("one")
    await store.beat(first=True, dead_after=15)
    hosts.redis_clock.advance(-30)
    await store.beat(first=False, dead_after=15)
    receipt = Receipt("uk", ("r1",), Event.DELIVERED, "receipt", number_hash="hash")
    assert (await store.record_receipt(receipt, park=True))[0] == "parked"
    hosts.passes(40)
    message = sms(hosts.clock)
    await store.accept(message, "f", lease=True)
    await store.mark(message, "uk", "hash", lease="")
    await store.settle_again(message, message.deadline, "held", lease="", uncertain=True, route="uk")
    (due,), _ = await store.parked_receipts(10)
    assert (await store.record_receipt(due, park=False, by_number=True))[0] == "unknown"


@pytest.mark.parametrize("jump", [-3600.0, 5 * 3600.0])
@pytest_twisted.ensureDeferred
async def test_an_acceptance_is_told_by_the_clock_as_it_is(redis: tuple[RedisLink, ShiftedClock], jump: float) -> None:
    """Deadlines follow slowly, moments at once, even before a heartbeat saw the jump; what waits knows both."""
    link, clock = redis
    host = Away(reactor, 0.0)
    store = RedisStore(link, host, "one")
    await store.beat(first=True, dead_after=15)
    before, at_once, after = sms(host), sms(host), sms(host)
    await store.accept(before, "f")
    clock.advance(jump)
    await store.accept(at_once, "f", until=host.seconds() + 3)
    for _ in range(2):
        await store.beat(first=False, dead_after=15)
        await store.come_forward()
    await store.accept(after, "f")
    for message, moved in ((before, 0.0), (at_once, jump), (after, jump)):
        trace = await store.trace([message.id])
        assert trace is not None
        assert trace.timeline[0].event == "taken"
        assert trace.timeline[0].at == pytest.approx(message.accepted_at + moved, abs=60)
    found = {leased.message.id: leased for leased in await store.lease_messages(Channel.SMS, 10)}
    for message, ago in ((before, jump), (at_once, 0.0), (after, 0.0)):
        leased = found[message.id]
        assert leased.message.accepted_at == pytest.approx(message.accepted_at, abs=60)
        assert leased.message.deadline == pytest.approx(message.deadline, abs=60)
        assert leased.taken_at == pytest.approx(message.accepted_at - ago, abs=60)

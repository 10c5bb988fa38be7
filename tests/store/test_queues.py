"""A queue: who leases, retries, puts off, pauses and ends a message."""

import pytest
import pytest_twisted

from gatewayd.core.errors import LeaseLost, TemporaryFailure
from gatewayd.core.model import Channel, Handed, Leased
from gatewayd.core.retry import RELAY
from gatewayd.core.status import Report, State
from gatewayd.store import RedisStore
from gatewayd.store.legend import FIELDS
from redis_server import RedisServer, ShiftedClock
from store_world import Holder, World, on_redis, sms, timeless, world

__all__ = ["world"]


@pytest_twisted.ensureDeferred
async def test_a_pause_counts_from_the_moment_it_is_stored(world: World) -> None:
    """A message that another instance was about to write is not marked any more, and stays queued."""
    message = await world.leased()
    await world.two.pause("amazing", Channel.SMS)
    with pytest.raises(TemporaryFailure) as failed:
        await world.one.mark(message, "world", "hash")
    assert not failed.value.counts
    assert await world.state(message) is State.QUEUED
    await world.two.resume("amazing", Channel.SMS)
    assert await world.one.mark(message, "world", "hash")


@pytest_twisted.ensureDeferred
async def test_a_leased_message_is_nobody_elses(world: World) -> None:
    """What was leased at acceptance is not taken by anybody until its instance is recovered."""
    message = await world.leased()
    assert await world.two.lease_messages(Channel.SMS, 10) == []
    with pytest.raises(LeaseLost):
        await world.two.mark(message, "world", "")
    assert await world.two.recover("one") == 1
    with pytest.raises(LeaseLost):
        await world.one.mark(message, "world", "")
    assert [timeless(leased.message) for leased in await world.two.lease_messages(Channel.SMS, 10)] == [
        timeless(message)
    ]


@pytest_twisted.ensureDeferred
async def test_what_hangs_on_the_ways_out_is_hastened(world: World) -> None:
    """What its way was too busy for, and what is uncertain: another policy may hold for it. A failed try is not."""
    busy, failed, unsure = [await world.leased(uid=uid) for uid in ("busy", "failed", "unsure")]
    later = world.clock.seconds() + 300
    await world.one.settle_again(busy, later, "busy", counts=False)
    await world.one.settle_again(failed, later, "451")
    await world.one.settle_again(unsure, later, "no answer", counts=False, uncertain=True)
    await world.one.make_due(Channel.SMS)
    taken = await world.one.lease_messages(Channel.SMS, 10)
    assert {leased.message.id for leased in taken} == {busy.id, unsure.id}
    await world.one.make_due(Channel.SMS, every=True)
    (leased,) = await world.one.lease_messages(Channel.SMS, 10)
    assert leased.message.id == failed.id


@pytest.mark.parametrize("long", [1, 10])
@pytest_twisted.ensureDeferred
async def test_a_reason_in_other_words_each_time_takes_little_memory(redis_server: RedisServer, long: int) -> None:
    """A next hop that names an id or a time in each refusal: how often it was tried is known, and no cliff comes."""
    clock, prefix = ShiftedClock(), RedisStore.key_prefix(f"words{long}:")
    link, store = on_redis(redis_server, clock, prefix, "one")
    one = Holder(store)
    message = sms(clock)
    await one.accept(message, "f", lease=True)
    for number in range(150):
        await one.mark(message, "world", "hash", segments=long)
        await one.record_segments(message.id, "world", [f"id{segment}" for segment in range(min(number, long - 1))])
        reason = f"world said try again in {number} s, " + "and a longer word of it " * (number % 3)
        await one.settle_again(message, clock.seconds() - 1, "first of all" if number % 75 == 0 else reason)
        await one.lease_messages(Channel.SMS, 1)
    key = prefix + "m:" + message.id
    assert await link.command("OBJECT", "ENCODING", key) in (b"listpack", b"ziplist")
    assert int(await link.command("MEMORY", "USAGE", key)) < 6000
    again = [event for event in (await one.trace([message.id])).timeline if event.event == "again"]
    assert sum(event.times for event in again) == 150
    assert again[0].times == 2
    assert again[-1].detail == "other reasons, in other words each time"
    await link.stopService()


@pytest_twisted.ensureDeferred
async def test_what_is_put_off_says_why_once(world: World) -> None:
    """Throttled, busy or paused: the timeline has each reason once, with when it came last and how often."""
    message = await world.leased()
    for reason in ("busy", "busy", "throttled", "busy"):
        await world.one.settle_again(message, world.clock.seconds() - 1, reason, counts=False)
        await world.one.lease_messages(Channel.SMS, 1)
    trace = await world.one.trace([message.id])
    assert trace is not None
    busy, throttled = (line for line in trace.timeline if line.event == "again")
    assert (busy.detail, busy.times, throttled.detail, throttled.times) == ("busy", 3, "throttled", 1)
    assert busy.at <= throttled.at <= busy.until
    assert throttled.until == 0


@pytest_twisted.ensureDeferred
async def test_a_message_that_is_held_for_evidence_makes_no_queue_old(world: World) -> None:
    """It counts as waiting, but it is not late: an SMS may be held for hours, and the alert wakes somebody."""
    held, late = await world.leased(), await world.leased()
    await world.one.settle_again(held, held.deadline, "no answer", uncertain=True)
    await world.one.settle_again(late, world.clock.seconds() + 1, "451")
    world.clock.advance(100)
    queue = (await world.one.queues())["sms"]
    assert (queue.waiting, queue.leased, round(queue.oldest_age)) == (2, 0, 100)
    assert [timeless(leased.message) for leased in await world.one.lease_messages(Channel.SMS, 10)] == [timeless(late)]
    await world.one.settle_final(late, State.FAILED, "gone", "f")
    queue = (await world.one.queues())["sms"]
    assert (queue.waiting, queue.oldest_age) == (1, 0.0)


@pytest_twisted.ensureDeferred
async def test_a_message_that_waits_for_the_end_of_quiet_hours_makes_no_queue_old(world: World) -> None:
    """Whoever has the alert wants to sleep as the players do; a relay that is down for long is another thing."""
    quiet = await world.leased()
    await world.one.settle_again(quiet, world.clock.seconds() + 8 * 3600, "quiet hours", counts=False)
    world.clock.advance(100)
    queue = (await world.one.queues())["sms"]
    assert (queue.waiting, queue.oldest_age) == (1, 0.0)
    late = await world.leased()
    await world.one.settle_again(late, world.clock.seconds() + RELAY.longest, "451")
    world.clock.advance(50)
    queue = (await world.one.queues())["sms"]
    assert (queue.waiting, round(queue.oldest_age)) == (2, 50)


@pytest_twisted.ensureDeferred
async def test_a_retry_is_due_later_and_counted(world: World) -> None:
    """settle_again makes it due at its time, with the attempts, the first try and the progress kept."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    await world.one.settle_again(message, world.clock.seconds() + 30, "451", route="world", progress=["r1"])
    assert await world.one.lease_messages(Channel.SMS, 10) == []
    world.clock.advance(31)
    [leased] = await world.two.lease_messages(Channel.SMS, 10)
    assert (leased.state, leased.attempts, leased.progress) == (State.QUEUED, 1, ("r1",))
    assert leased.first_tried > 0


@pytest_twisted.ensureDeferred
async def test_pacing_does_not_count(world: World) -> None:
    """settle_again with counts=False leaves the attempts alone; uncertain=True keeps the mark."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    await world.one.settle_again(message, 0, "throttled", counts=False, uncertain=True)
    [leased] = await world.one.lease_messages(Channel.SMS, 10)
    assert (leased.attempts, leased.first_tried, leased.state) == (0, 0.0, State.UNCERTAIN)


@pytest_twisted.ensureDeferred
async def test_a_final_refusal(world: World) -> None:
    """settle_final ends it once, tells its report and frees the content."""
    message = await world.leased()
    await world.one.settle_final(message, State.REJECTED, "550", "r")
    await world.one.settle_final(message, State.FAILED, "again", "f")
    assert await world.state(message) is State.REJECTED
    assert await world.told() == [Report.REJECTED]


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_a_message_that_cannot_be_read_holds_up_no_other(world: World) -> None:
    """What another version stored may be strange to this one; the rest goes out, and it ends by its deadline."""
    strange, plain = sms(world.clock), sms(world.clock)
    for message in (strange, plain):
        await world.one.accept(message, "print")
    key = world.one._key("message", strange.id)
    await world.one._link.command("HSET", key, FIELDS["envelope"].short, b'{"id": "x"}')
    assert [timeless(leased.message) for leased in await world.one.lease_messages(Channel.SMS, 10)] == [timeless(plain)]
    assert list(await world.one.held()) == [plain.id]
    for seconds in (61, 3600):
        assert await world.state(strange) is State.QUEUED
        world.clock.advance(seconds)
        assert await world.one.lease_messages(Channel.SMS, 10) == []
    assert await world.state(strange) is State.FAILED
    assert await world.told() == [Report.FAILED]


@pytest_twisted.ensureDeferred
async def test_paused_messages_wait_aside(world: World) -> None:
    """Parked messages leave the queue and come back when resumed or past their deadline."""
    await world.one.pause("amazing", Channel.SMS)
    first, second = await world.leased(), await world.leased(deadline=world.clock.seconds() + 10)
    await world.one.set_aside(first)
    await world.one.set_aside(second)
    assert await world.one.requeue_set_aside() == 0
    assert (await world.one.queues())["sms"].waiting == 2
    world.clock.advance(11)
    assert await world.one.requeue_set_aside() == 1
    assert [leased.message.id for leased in await world.two.lease_messages(Channel.SMS, 10)] == [second.id]
    assert await world.one.paused() == frozenset({("amazing", Channel.SMS)})
    await world.one.resume("amazing", Channel.SMS)
    assert await world.two.requeue_set_aside() == 1
    assert [leased.message.id for leased in await world.two.lease_messages(Channel.SMS, 10)] == [first.id]


def test_a_leased_message_prints_no_content() -> None:
    """Printing what the store gives out shows ids only."""
    message = sms(ShiftedClock())
    assert "Hello" not in repr(Leased(message))


@pytest_twisted.ensureDeferred
async def test_what_waits_for_its_next_try_is_not_on_the_wire(world: World) -> None:
    """Uncertain or not: the attempt is over, and so it is while the next one was not written."""
    for uncertain in (False, True):
        message = await world.leased()
        await world.one.mark(message, "vendor", "hash")
        due = world.clock.seconds()
        await world.one.settle_again(message, due, "500", lease="", uncertain=uncertain, route="vendor")
        known = await world.one.about(message.id)
        assert (known.state, known.is_on_the_wire) == (State.UNCERTAIN if uncertain else State.QUEUED, False)
        assert [one.message.id for one in await world.one.lease_messages(message.channel, 10)] == [message.id]
        known = await world.one.about(message.id)
        assert not known.is_on_the_wire


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_a_short_message_that_was_stored_with_a_digest_is_sent(world: World) -> None:
    """As versions before stored it: it is leased as it was, and nothing of what it said is left once it was taken."""
    message = sms(world.clock)
    await world.one.accept(message, "print")
    link, key = world.one._link, world.one._key("message", message.id)
    content, envelope = FIELDS["content"].short, FIELDS["envelope"].short
    await link.command("SET", world.one._key("content", "abc"), '["Hello €"]'.encode())
    await link.command("HSET", key, content, "abc", envelope, b'["Amazing",""]')
    assert [timeless(leased.message) for leased in await world.one.lease_messages(Channel.SMS, 10)] == [
        timeless(message)
    ]
    await world.one.mark(message, "world", "hash")
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1",)))
    assert await link.command("HMGET", key, content, envelope) == [None, None]
    assert await link.command("EXISTS", world.one._key("content", "abc")) == 0
    assert await link.command("GET", world.one._key("waiting")) == b"0"
    assert await world.told() == [Report.ACCEPTED]

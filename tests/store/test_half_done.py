"""A script that Redis ends midway, for want of a right or at a key that somebody else wrote: nothing of it is lost.

What it wrote stays written; so whatever it wrote must be in a queue, or in a set of leases, where it is found again.
"""

from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.logger import capturedLogs, formatEvent

from gatewayd.core.errors import StoreUnavailable, StoreUntouched
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Handed, Receipt
from gatewayd.core.status import Event, Report
from gatewayd.store import RedisStore
from gatewayd.store.legend import FIELDS, KEYS
from gatewayd.store.link import RedisLink
from redis_server import RedisServer
from store_world import World, sms, spoilable

PREFIX = RedisStore.key_prefix("half:")


@pytest.fixture
def half() -> Iterator[tuple[World, RedisLink]]:
    """A world on a Redis of its own, whose rights and keys a test may spoil, and a link to it."""
    with spoilable(RedisServer(), PREFIX) as found:
        yield found


SPOILT = {
    "no SADD": (("ACL", "SETUSER", "default", "-sadd"), ("ACL", "SETUSER", "default", "+sadd")),
    "no HINCRBY": (("ACL", "SETUSER", "default", "-hincrby"), ("ACL", "SETUSER", "default", "+hincrby")),
    "no INCRBY": (("ACL", "SETUSER", "default", "-incrby"), ("ACL", "SETUSER", "default", "+incrby")),
    "counts": (("SET", PREFIX + KEYS["counts"].short, "x"), ("DEL", PREFIX + KEYS["counts"].short)),
    "leases": (
        ("SET", PREFIX + KEYS["leases"].short + "sms:one", "x"),
        ("DEL", PREFIX + KEYS["leases"].short + "sms:one"),
    ),
}


@pytest.mark.parametrize("what", SPOILT)
@pytest_twisted.ensureDeferred
async def test_a_message_that_was_stored_by_half_is_found_again(half: tuple[World, RedisLink], what: str) -> None:
    """Its caller comes again with its uid, hears that it is there, and it was in no queue and no set: never sent."""
    world, link = half
    spoil, mend = SPOILT[what]
    await link.command(*spoil)
    message = sms(world.clock)
    with pytest.raises(StoreUnavailable) as failed:
        await world.one.accept(message, "print", lease=True)
    assert not isinstance(failed.value, StoreUntouched), "whoever is told that nothing was stored must take it back"
    await link.command(*mend)
    assert await world.one.accept(message, "print", lease=True) == (Acceptance.SAME, message.id)
    await world.two.recover("one")
    [found] = await world.two.lease_messages(Channel.SMS, 10)
    assert found.message.id == message.id


@pytest.mark.parametrize("what", ["no SADD", "no HINCRBY"])
@pytest_twisted.ensureDeferred
async def test_a_status_that_was_queued_by_half_is_told(half: tuple[World, RedisLink], what: str) -> None:
    """The SMSC brings its receipt again, which changes nothing any more: the status was in no queue and no set."""
    world, link = half
    message = await world.leased()
    await world.one.mark(message, "world", "hash", segments=1)
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1",)))
    assert await world.told() == [Report.ACCEPTED]
    world.one.feed_reports(lambda: True, lambda job: None)
    spoil, mend = SPOILT[what]
    await link.command(*spoil)
    receipt = Receipt("world", ("r1",), Event.DELIVERED)
    with pytest.raises(StoreUnavailable):
        await world.one.record_receipt(receipt, park=True)
    await link.command(*mend)
    await world.one.record_receipt(receipt, park=True)
    await world.two.recover("one")
    assert await world.told(world.two) == [Report.DELIVERED]


WRITTEN = {
    f"{name} {how}": (name, words)
    for name in ("accepted_at", "who", "content", "fingerprint", "heard_by")
    for how, words in {
        "gone": ("HDEL",),
        "empty": ("HSET", ""),
        "junk": ("HSET", "junk{["),
        "bytes": ("HSET", "\x01|;é" * 20),
    }.items()
}


@pytest.mark.parametrize("what", WRITTEN)
@pytest_twisted.ensureDeferred
async def test_a_record_that_cannot_be_read_holds_up_no_other_and_ends(
    half: tuple[World, RedisLink], what: str
) -> None:
    """Whatever became of a field of it: those that were leased with it are sent, and it is final by its deadline."""
    world, link = half
    bad, good = sms(world.clock), sms(world.clock)
    for message in (bad, good):
        await world.one.accept(message, "print")
    name, (verb, *value) = WRITTEN[what]
    await link.command(verb, PREFIX + KEYS["message"].short + bad.id, FIELDS[name].short, *value)
    found = await world.one.lease_messages(Channel.SMS, 10)
    assert good.id in [leased.message.id for leased in found]
    for leased in found:
        await world.one.mark(leased.message, "world", "hash")
        await world.one.settle_sent(leased.message.id, Channel.SMS, Handed("world", (f"r{leased.message.id}",)))
    world.clock.advance(4000)
    await world.one.lease_messages(Channel.SMS, 10)
    for message in (bad, good):
        key = PREFIX + KEYS["message"].short + message.id
        state, queued, _ = (await link.command("HGET", key, FIELDS["state"].short)).split(b"|")
        assert (state, queued) in ((b"sent", b"a"), (b"failed", b"f"))
    assert {kind: (one.waiting, one.leased) for kind, one in (await world.one.queues()).items()}["sms"] == (0, 0)


@pytest.mark.parametrize("rank", [-1, 0])
@pytest_twisted.ensureDeferred
async def test_a_record_that_another_program_wrote_holds_up_no_other(half: tuple[World, RedisLink], rank: int) -> None:
    """Its queue goes on, the log names it, and it is looked at again a minute later."""
    world, link = half
    bad, good = sms(world.clock), sms(world.clock)
    for message in (bad, good):
        await world.one.accept(message, "print")
    await link.command("SET", PREFIX + KEYS["message"].short + bad.id, "theirs")
    with capturedLogs() as events:
        if rank < 0:
            found = await world.one.lease_messages(Channel.SMS, 10)
        else:
            world.clock.advance(4000)
            _, found = await world.one.lease_overdue(Channel.SMS, rank, 10)
    assert [leased.message.id for leased in found] == [good.id]
    assert [formatEvent(event) for event in events if bad.id in formatEvent(event)] == [
        f"another program wrote Redis' key of {bad.id}, which waits"
    ]
    assert await world.one.lease_messages(Channel.SMS, 10) == []
    world.clock.advance(61)
    with capturedLogs() as events:
        assert await world.one.lease_messages(Channel.SMS, 10) == []
    assert any(bad.id in formatEvent(event) for event in events)


BESIDE = {
    "paused": ("SADD", "other|rcs"),
    "counts": ("HSET", "other|rcs|accepted", "1"),
    "parked": ("ZADD", "1", "theirs"),
    "dead": ("ZADD", "1", "theirs|z"),
}


@pytest.mark.parametrize("key", BESIDE)
@pytest_twisted.ensureDeferred
async def test_what_another_version_wrote_hides_nothing_that_stands_beside_it(
    half: tuple[World, RedisLink], key: str
) -> None:
    """A channel or a form that this one does not know: no heartbeat, no chore and no figure fails for it."""
    world, link = half
    one = world.one
    verb, *words = BESIDE[key]
    await link.command(verb, PREFIX + KEYS[key].short, *words)
    await one.pause("amazing", Channel.SMS)
    await one.record_receipt(Receipt("world", ("r9",), Event.DELIVERED), park=True)
    world.clock.advance(3)
    with capturedLogs() as events:
        _, _, paused = await one.beat(first=True, dead_after=15)
        due, _ = await one.parked_receipts(10)
        counts, letters = await one.counts(), await one.dead_letters(10)
    assert paused == await one.paused() == {("amazing", Channel.SMS)}
    assert [receipt.remote_ids for receipt in due] == [("r9",)]
    assert (set(counts.values()), letters) == (set(), [])
    assert any("can't be read" in formatEvent(event) for event in events)


@pytest.mark.parametrize("words", [("HDEL",), ("HSET", ""), ("HSET", "junk{[")])
@pytest_twisted.ensureDeferred
async def test_a_status_of_nobody_knows_whom_holds_up_no_other(
    half: tuple[World, RedisLink], words: tuple[str, ...]
) -> None:
    """It was leased first each time, and no status of anybody was told any more."""
    world, link = half
    bad, good = await world.sent("r1"), await world.sent("r2")
    verb, *value = words
    await link.command(verb, PREFIX + KEYS["message"].short + bad.id, FIELDS["label"].short, *value)
    for message in (bad, good):
        await link.command("ZADD", PREFIX + KEYS["queue"].short + "reports", 1, message.id)
    with capturedLogs() as events:
        jobs = await world.one.lease_reports(10)
    assert [job.message_id for job in jobs] == [good.id]
    assert [formatEvent(event) for event in events if bad.id in formatEvent(event)] == [
        f"whose message {bad.id} is can't be read: its status waits"
    ]
    assert await world.one.lease_reports(10) == []

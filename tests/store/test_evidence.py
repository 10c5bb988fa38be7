"""Receipts, bounces and other evidence: each finds its message, before or after the answer, and counts once."""

import pytest_twisted

from gatewayd.core.model import Channel, Evidence, Handed, Receipt
from gatewayd.core.status import Event, Report, State
from gatewayd.store.link import RedisLink
from gatewayd.store.scripts import all_scripts
from store_world import World, alone, world

__all__ = ["alone", "world"]


@pytest_twisted.ensureDeferred
async def test_a_receipt_after_the_answer(world: World) -> None:
    """A receipt finds its message by SMSC and id; the second of the same kind changes nothing."""
    message = await world.sent("id1")
    receipt = Receipt("world", ("x", "id1"), Event.DELIVERED)
    assert await world.two.record_receipt(receipt, park=True) == ("moved", message.id)
    assert await world.one.record_receipt(receipt, park=True) == ("ignored", message.id)
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_receipt_before_the_answer(world: World) -> None:
    """A receipt without a message is parked, comes back with the answer, and is no orphan afterwards."""
    receipt = Receipt("world", ("early", "0early"), Event.DELIVERED)
    assert (await world.one.record_receipt(receipt, park=True))[0] == "parked"
    message = await world.leased()
    await world.one.mark(message, "world", "")
    [parked] = (await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("early",)))).parked
    assert await world.one.record_receipt(parked, park=False) == ("moved", message.id)
    world.clock.advance(20)
    assert await world.one.parked_receipts(10) == ([], [])
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_an_orphaned_receipt(world: World) -> None:
    """A parked receipt is looked up again after 2, 12, 30, 60 and 300 s, and given up after an hour."""
    await world.one.record_receipt(Receipt("world", ("nobody",), Event.FAILED), park=True)
    assert await world.one.parked_receipts(10) == ([], [])
    for seconds in (2.5, 10, 18, 30, 240):
        world.clock.advance(seconds)
        [due], orphans = await world.one.parked_receipts(10)
        assert orphans == []
        assert await world.one.record_receipt(due, park=False) == ("unknown", "")
        world.clock.advance(0.1)
        assert await world.one.parked_receipts(10) == ([], [])
    world.clock.advance(3600)
    due_now, [orphan] = await world.one.parked_receipts(10)
    assert (due_now, orphan.remote_ids) == ([], ("nobody",))


@pytest_twisted.ensureDeferred
async def test_foreign_receipts_are_bounded(alone: tuple[World, RedisLink, str]) -> None:
    """Past a number those that were looked up most often are orphans at once: what is new finds its message soon."""
    world, link, prefix = alone
    parked = all_scripts()["look_at_parked_receipts"]
    for number in range(120):
        await world.one.record_receipt(Receipt("world", (f"old{number}",), Event.FAILED), park=True)
    world.clock.advance(3)
    given_up = 0
    for _ in range(6):
        _, orphans = await link.run(parked, (20, 3_600_000, 50))
        given_up += len(orphans)
    assert given_up == 70
    assert await link.command("ZCARD", f"{prefix}parked") == 50


@pytest_twisted.ensureDeferred
async def test_evidence_of_a_waiting_message_settles_it(world: World) -> None:
    """A DSN that overtakes the relay's answer is told in order, and the answer adds nothing."""
    message = await world.leased()
    await world.one.mark(message, "main", "hash")
    assert await world.two.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn")) == "moved"
    await world.one.settle_sent(message.id, Channel.SMS, Handed("main"))
    assert await world.state(message) is State.DELIVERED
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]
    assert (await world.one.queues())["sms"].leased == 0


@pytest_twisted.ensureDeferred
async def test_evidence_stops_a_retry(world: World) -> None:
    """Evidence that settles a message waiting for its retry takes it out of the queue."""
    message = await world.leased()
    await world.one.mark(message, "main", "hash")
    await world.one.settle_again(message, world.clock.seconds(), "lost", uncertain=True, route="main")
    await world.one.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn"))
    assert await world.two.lease_messages(Channel.SMS, 10) == []
    assert (
        await world.one.record_evidence(Evidence("00000000-0000-4000-8000-ffffffffffff", Event.OPENED, "open"))
        == "unknown"
    )


@pytest_twisted.ensureDeferred
async def test_a_late_bounce(world: World) -> None:
    """A bounce after delivery fails the message within five days, and not after."""
    early, late = await world.sent("b1"), await world.sent("b2")
    for message in (early, late):
        await world.one.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn"))
    assert await world.one.record_evidence(Evidence(early.id, Event.BOUNCED, "dsn")) == "moved"
    world.clock.advance(5 * 86400 + 60)
    assert await world.one.record_evidence(Evidence(late.id, Event.BOUNCED, "dsn")) == "ignored"
    assert await world.state(early) is State.FAILED
    assert await world.state(late) is State.DELIVERED

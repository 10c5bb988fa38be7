"""What processes have in common: heartbeats, what a dead one held, rates."""

import pytest
import pytest_twisted

from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Message
from store_world import World, sms, timeless, world

__all__ = ["world"]


async def between_segments(world: World, taken: int) -> Message:
    """A long SMS of three, so many of whose segments were taken; the next one waits."""
    message = await world.leased()
    for segment in range(taken):
        await world.one.mark(message, "world", "numberhash", segments=3)
        await world.one.record_segments(message.id, "world", [f"r{number}" for number in range(1, segment + 2)])
    return message


@pytest_twisted.ensureDeferred
async def test_what_another_took_over_is_no_more_marked_as_taken(world: World) -> None:
    """Its lease is gone: what it is now is its new holder's business."""
    message = await between_segments(world, 1)
    await world.two.recover("one")
    await world.two.lease_messages(Channel.SMS, 1)
    await world.one.record_segments(message.id, "world", ["r1", "r2"])
    await world.one.recover("two")
    [leased] = await world.two.lease_messages(Channel.SMS, 1)
    assert leased.progress == ("r1",)


@pytest_twisted.ensureDeferred
async def test_a_successor_keeps_what_it_leased_itself(world: World) -> None:
    """Recovery gives back what the process before it leased, and nothing that itself did."""
    before = await world.leased()
    await world.successor.beat(first=True, dead_after=15)
    own = sms(world.clock)
    assert await world.successor.accept(own, "print", lease=True) == (Acceptance.LEASED, own.id)
    assert await world.successor.recover("one") == 1
    assert [timeless(leased.message) for leased in await world.two.lease_messages(Channel.SMS, 10)] == [
        timeless(before)
    ]


@pytest_twisted.ensureDeferred
async def test_strays_are_given_back(world: World) -> None:
    """What an instance holds and does not work on is listed, and a release puts it back."""
    working, stray = await world.leased(), await world.leased()
    found = await world.one.store.leases("sms", working.id.__eq__)
    assert list(found) == [stray.id]
    await world.one.release("sms", stray.id, found[stray.id])
    assert list(await world.one.held()) == [working.id]
    assert len(await world.two.lease_messages(Channel.SMS, 10)) == 1


@pytest_twisted.ensureDeferred
async def test_heartbeats(world: World) -> None:
    """A peer without a beat is reported dead; an older process of the same name learns that it lost the name."""
    assert await world.one.beat(first=True, dead_after=15) == (True, [], frozenset())
    assert await world.two.beat(first=True, dead_after=15) == (True, [], frozenset())
    for _ in range(5):
        world.clock.advance(3.1)
        beaten = await world.two.beat(first=False, dead_after=15)
    assert beaten == (True, ["one"], frozenset())
    assert (await world.successor.beat(first=True, dead_after=15))[0]
    assert not (await world.one.beat(first=False, dead_after=15))[0]


@pytest_twisted.ensureDeferred
async def test_after_a_gap_of_all_heartbeats_nobody_is_dead_yet(world: World) -> None:
    """An outage, or a clock that was set on by minutes: the first one back finds every peer late."""
    await world.one.beat(first=True, dead_after=15)
    await world.two.beat(first=True, dead_after=15)
    world.clock.advance(60)
    assert await world.two.beat(first=False, dead_after=15) == (True, [], frozenset())
    assert await world.one.beat(first=False, dead_after=15) == (True, [], frozenset())


@pytest_twisted.ensureDeferred
async def test_rates_are_shared(world: World) -> None:
    """Places follow each other evenly whichever instance asks, and unused time does not pile up."""
    now = world.clock.seconds()
    first = await world.one.reserve("smsc", 5, 0.1, 0.0)
    second = await world.two.reserve("smsc", 1, 0.1, 0.0)
    assert abs(first - now) < 1
    assert second - first == pytest.approx(0.5, abs=0.01)
    world.clock.advance(60)
    assert await world.one.reserve("smsc", 1, 0.1, 0.0) == pytest.approx(world.clock.seconds(), abs=1)


@pytest_twisted.ensureDeferred
async def test_a_place_far_away_is_not_taken(world: World) -> None:
    """Whoever can't wait for it leaves it to others, and hears when to come again."""
    taken, first = await world.one.reserve_soon("relay", 2.0, 3.0)
    assert taken
    assert await world.two.reserve_soon("relay", 2.0, 3.0) == (True, pytest.approx(first + 2, abs=0.002))
    for store in (world.one, world.two):
        assert await store.reserve_soon("relay", 2.0, 3.0) == (False, pytest.approx(first + 4, abs=0.002))
    world.clock.advance(4)
    taken, _ = await world.one.reserve_soon("relay", 2.0, 3.0)
    assert taken

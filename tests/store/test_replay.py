"""Statuses that are told again are found by the minute in which they were heard, however much is kept."""

import uuid

import msgspec
import pytest
import pytest_twisted

from gatewayd.core.status import Report
from gatewayd.operators.orders import Span
from gatewayd.store.legend import KEYS
from gatewayd.store.link import RedisLink
from store_world import World, alone

__all__ = ["alone"]


async def replayed(world: World, label: str, start: float, end: float) -> tuple[int, int]:
    """How many statuses are queued again, and by how many steps."""
    cursor, queued, steps = "0", 0, 0
    while True:
        cursor, some = await world.one.replay_some(cursor, label, start, end)
        queued, steps = queued + some, steps + 1
        if cursor == "0":
            return queued, steps


async def lists(link: RedisLink, prefix: str) -> list[str]:
    """The lists of what was heard."""
    head = prefix + KEYS["heard_in"].short
    return sorted(key.decode() for key in await link.command("KEYS", "*") if key.decode().startswith(head))


@pytest_twisted.ensureDeferred
async def test_a_long_list_is_read_in_steps(alone: tuple[World, RedisLink, str]) -> None:
    """A thousand messages in a minute, most of them kept no more; the last of them is found."""
    world, link, prefix = alone
    await world.one.beat(first=True, dead_after=15)
    start = world.clock.seconds() - 60
    await world.sent("r1")
    await world.told()
    [key] = await lists(link, prefix)
    theirs = await link.command("GET", key)
    await link.command("SET", key, b"".join(uuid.uuid4().bytes for _ in range(1200)) + theirs)
    assert await replayed(world, "amazing", start, world.clock.seconds() + 1) == (1, 3)
    assert await world.told() == [Report.ACCEPTED]


@pytest_twisted.ensureDeferred
async def test_what_was_told_again_meanwhile_is_not_once_more(alone: tuple[World, RedisLink, str]) -> None:
    """A message stands twice in a long list, and is told before the next step comes to it; another replay has it."""
    world, link, prefix = alone
    await world.one.beat(first=True, dead_after=15)
    start = world.clock.seconds() - 60
    await world.sent("r1")
    await world.told()
    [key] = await lists(link, prefix)
    theirs = await link.command("GET", key)
    strangers = b"".join(uuid.uuid4().bytes for _ in range(1200))
    await link.command("SET", key, theirs + strangers + theirs + strangers)
    for _ in range(2):
        world.clock.advance(1)
        end, cursor, queued = world.clock.seconds() + 1, "0", []
        while not queued or cursor != "0":
            cursor, some = await world.one.replay_some(cursor, "amazing", start, end)
            queued.append(some)
            msgspec.convert({"since": start, "until": end, "cursor": cursor}, Span)
            world.clock.advance(0.1)
            assert len(await world.told()) == some
        assert queued == [1, 0, 0, 0, 0]


@pytest_twisted.ensureDeferred
async def test_what_is_remembered_of_many_hearings_is_short(alone: tuple[World, RedisLink, str]) -> None:
    """The first, and the latest that fit into 64 bytes: a longer value would double what the message costs."""
    world, link, prefix = alone
    await world.one.beat(first=True, dead_after=15)
    message = await world.sent("r1")
    times = []
    for _ in range(15):
        world.clock.advance(3600)
        times.append(world.clock.seconds())
        assert await world.told() == [Report.ACCEPTED]
        world.clock.advance(1)
        assert (await replayed(world, "amazing", times[0] - 1, world.clock.seconds()))[0] == 1
    await world.told()
    kept = await link.command("HGETALL", prefix + KEYS["message"].short + message.id)
    assert max(map(len, kept[1::2])) <= 64
    for at in (times[-1], times[-2], times[-3], times[0]):
        assert (await replayed(world, "amazing", at - 1, at + 1))[0] == 1
        await world.told()
    assert (await replayed(world, "amazing", times[1] - 1, times[1] + 1))[0] == 0


@pytest_twisted.ensureDeferred
async def test_one_list_a_minute_and_label_which_goes(alone: tuple[World, RedisLink, str]) -> None:
    """Whoever asks for one label reads nothing of the others; a list goes a day after what it names."""
    world, link, prefix = alone
    await world.one.beat(first=True, dead_after=15)
    start = world.clock.seconds() - 60
    for label in ("amazing", "other"):
        await world.sent("r" + label, label=label)
    await world.told()
    keys = await lists(link, prefix)
    assert {key.rpartition(":")[2] for key in keys} == {"amazing", "other"}
    for key in keys:
        assert 7 * 86400 < await link.command("TTL", key) <= 8 * 86400 + 60
    assert await replayed(world, "other", start, world.clock.seconds() + 1) == (1, 1)
    await world.told()
    queued, _ = await replayed(world, "", start, world.clock.seconds() + 1)
    assert queued == 2, "of all labels, each status once"


@pytest.mark.parametrize("days", [1.5, 0.5])
@pytest_twisted.ensureDeferred
async def test_what_the_version_before_heard_is_found_among_all(
    alone: tuple[World, RedisLink, str], days: float
) -> None:
    """It listed nothing, and goes on doing so on another host for a day at most."""
    world, link, prefix = alone
    await world.sent("r0")
    await world.told()
    for key in await lists(link, prefix):
        await link.command("DEL", key)
    await world.one.beat(first=True, dead_after=15)
    assert (await replayed(world, "amazing", world.clock.seconds() - 60, world.clock.seconds() + 1))[0] == 1
    await world.told()
    world.clock.advance(days * 86400)
    start = world.clock.seconds() - 60
    await world.sent("r2")
    await world.told()
    queued, steps = await replayed(world, "amazing", start, world.clock.seconds() + 1)
    assert (queued, steps == 1) == (1, days > 1), "a look-up only where nothing can be missing"

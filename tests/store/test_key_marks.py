"""A process whose secret key is not the one that Redis' stops and uids were stored under says so."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest_twisted
from twisted.logger import capturedLogs, formatEvent

from gatewayd.core.tokens import Keys
from gatewayd.store import RedisStore
from gatewayd.store.key_marks import KeyMarks, KnownKeys, unknown_keys, why_unknown
from gatewayd.store.link import RedisLink
from redis_server import RedisServer, ShiftedClock
from store_world import on_redis

YEAR = 365 * 86400.0
OLD, NEW = b"o" * 32, b"n" * 32


def known(secret: bytes, *previous: bytes) -> KnownKeys:
    """The keys of a configuration with these."""
    return KnownKeys(Keys(secret, previous).marks, YEAR)


@asynccontextmanager
async def redis(server: RedisServer, name: str) -> AsyncIterator[RedisLink]:
    """A link, under whose prefix one message was counted."""
    prefix = RedisStore.key_prefix(f"marks:{name}:")
    link, _ = on_redis(server, ShiftedClock(), prefix, "one")
    try:
        await link.command("HSET", prefix + "counts", "amazing|sms|accepted", 1)
        yield link
    finally:
        await link.command("FLUSHALL")
        await link.stopService()


@pytest_twisted.ensureDeferred
async def test_two_processes_with_a_key_each_both_say_so(redis_server: RedisServer) -> None:
    """A second host for which installation made a key: it sent each uid again, and wrote to who was stopped."""
    async with redis(redis_server, "two") as link:
        one, two = (KeyMarks(link, name, known(key)) for name, key in (("one", OLD), ("two", NEW)))
        await one.look()
        assert one.degraded() == ()
        assert "last by one" in await unknown_keys(link, known(NEW))
        with capturedLogs() as events:
            for _ in range(2):
                await two.look()
                await one.look()
        (of_one,), (of_two,) = one.degraded(), two.degraded()
        assert (of_one.kind, of_one.name) == ("redis", "secret_key")
        assert "last by two" in of_one.text
        assert "last by one" in of_two.text
        assert sorted(formatEvent(event) for event in events) == sorted([of_one.text, of_two.text])


@pytest_twisted.ensureDeferred
async def test_a_rotated_key_that_is_still_listed_is_known(redis_server: RedisServer) -> None:
    """To the process that has both; the one that was not started again yet knows nothing of the new one."""
    async with redis(redis_server, "rotated") as link:
        before, after = KeyMarks(link, "one", known(OLD)), KeyMarks(link, "two", known(NEW, OLD))
        for _ in range(2):
            await before.look()
            await after.look()
        assert after.degraded() == ()
        assert before.degraded() != ()
        # Started again with both, too.
        again = KeyMarks(link, "one", known(NEW, OLD))
        await again.look()
        assert again.degraded() == ()


@pytest_twisted.ensureDeferred
async def test_a_mark_is_written_anew_once_an_hour(redis_server: RedisServer) -> None:
    """Not with each look: all of it goes into the append-only file."""
    async with redis(redis_server, "hourly") as link:
        mine = known(OLD)
        marks = KeyMarks(link, "one", mine)
        key, mark = link.prefix + "key-marks", mine.marks[0]
        for stored, stays in (("0|earlier", False), ("9999999999|earlier", True)):
            await link.command("HSET", key, mark, stored)
            await marks.look()
            assert ((await link.command("HGET", key, mark)).decode() == stored) is stays


@pytest_twisted.ensureDeferred
async def test_before_the_first_message_a_key_may_be_changed(redis_server: RedisServer) -> None:
    """Whoever tries it out, or puts the other hosts' key in place of the one that installation made, is not accused."""
    async with redis(redis_server, "fresh") as link:
        await link.command("DEL", link.prefix + "counts")
        await KeyMarks(link, "one", known(OLD)).look()
        assert await unknown_keys(link, known(NEW)) == ""
        assert not await link.command("EXISTS", link.prefix + "key-marks")


def test_what_nothing_is_left_of_is_not_missed() -> None:
    """A key is taken out of the file after suppress_for: then its stops have run out, and its uids are forgotten."""
    (mark,) = Keys(OLD).marks
    assert why_unknown({mark: (1000, "one")}, known(NEW), 1000 + int(YEAR) - 1)
    assert why_unknown({mark: (1000, "one")}, known(NEW), 1000 + int(YEAR)) == ""

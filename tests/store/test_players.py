"""What is left of a player whom an erasure forgot."""

from collections.abc import Iterator

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from gatewayd.store import RedisStore
from gatewayd.store.link import RedisLink
from redis_server import RedisServer, ShiftedClock, until
from store_world import PLAYERS, on_redis, sms

SLOW = 300_000
"""Microseconds that Redis takes for each key when it writes its file anew."""


@pytest.fixture
def alone() -> Iterator[tuple[RedisServer, RedisLink, RedisStore, ShiftedClock]]:
    """A store on a Redis that nobody else uses."""
    server, clock = RedisServer(), ShiftedClock()
    pytest_twisted.blockon(Deferred.fromCoroutine(server.start()))
    link, store = on_redis(server, clock, RedisStore.key_prefix("players:"), "one")
    yield server, link, store, clock
    pytest_twisted.blockon(link.stopService())
    server.remove()


@pytest_twisted.ensureDeferred
async def test_the_file_is_written_anew_behind_an_erasure_though_redis_is_at_it(
    alone: tuple[RedisServer, RedisLink, RedisStore, ShiftedClock],
) -> None:
    """The one that runs began before it, and has what was erased: for a second label, or for the next player."""
    server, link, store, clock = alone
    message = sms(clock)
    await store.accept(message, "print", player_hash=PLAYERS["player-1"])
    await link.command("CONFIG", "SET", "rdb-key-save-delay", SLOW)
    await link.command("BGREWRITEAOF")
    await until(lambda: is_rewriting(link))
    _, erased = await store.erase_some("0", "amazing", "player-1", hashes=[PLAYERS["player-1"]])
    assert erased.removed == 1
    await link.command("CONFIG", "SET", "rdb-key-save-delay", 0)
    await until(lambda: not is_in_the_file(server))


async def is_rewriting(link: RedisLink) -> bool:
    """Whether Redis is writing its file anew."""
    return b"aof_rewrite_in_progress:1" in await link.command("INFO", "persistence")


def is_in_the_file(server: RedisServer) -> bool:
    """Whether the player's id stands in any file of Redis'."""
    found = False
    for path in server.directory.rglob("*"):
        try:
            found = found or (path.is_file() and b"player-1" in path.read_bytes())
        except FileNotFoundError:
            # It was taken away between the two.
            continue
    return found

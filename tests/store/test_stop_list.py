"""The contract of the stop list, run on the fake and on real Redis."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from fakes import FakeStopList, FakeStore
from gatewayd.core.model import Channel, Stop
from gatewayd.store import RedisStore
from gatewayd.store.link import RedisLink
from gatewayd.store.stop_list import StopList

_serial = itertools.count()
ARGUMENTS = RedisStore.script_arguments("a", 10, 60, "boot")
SMS, EMAIL = Channel.SMS, Channel.EMAIL


class World:
    """A stop list, and the store that looks at it."""

    def __init__(self, store: Any, stops: Any, link: RedisLink | None, prefix: str) -> None:
        self.store, self.stops, self.link, self.prefix = store, stops, link, prefix

    async def all(self, channel: Channel = SMS, since: float = 0.0) -> dict[str, Any]:
        """The whole list by keyed hash."""
        found, cursor = {}, "0"
        while True:
            cursor, some = await self.stops.some("amazing", channel, cursor, since)
            found |= {stop.keyed_hash: stop for stop in some}
            if cursor == "0":
                return found

    async def on_it(self, *hashes: str, channel: Channel = SMS) -> bool:
        """Whether a message would be stopped."""
        return await self.store.stopped("amazing", channel, list(hashes)) is not None


@pytest.fixture(params=["fake", "redis"])
def world(request: Any) -> Iterator[World]:
    """The fake, or Redis with a prefix of its own."""
    if request.param == "fake":
        store = FakeStore(reactor)
        yield World(store, FakeStopList(store), None, "")
        return
    server = request.getfixturevalue("redis_server")
    prefix = f"stops{next(_serial)}:"
    link = RedisLink(reactor, server.client(), jitter=lambda: 0.5, arguments=ARGUMENTS, prefix=prefix)
    link.startService()
    yield World(RedisStore(link, reactor, "a"), StopList(link), link, prefix)
    pytest_twisted.blockon(link.stopService())


@pytest_twisted.ensureDeferred
async def test_who_is_stopped_is_known_with_all_that_was_said(world: World) -> None:
    """Since when, until when, why and who; on this label and channel only."""
    before = time.time()
    assert await world.stops.put("amazing", SMS, "aa", 60, user="p|1", reason="stopped by inbound")
    await world.stops.put("amazing", EMAIL, "bb", 60, reason="bounced by dsn", of_address=True, owner="aa")
    [found] = (await world.all()).values()
    assert (found.user, found.reason, found.of_address) == ("p|1", "stopped by inbound", False)
    assert before - 1 <= found.since <= time.time() + 1
    assert found.until - found.since == pytest.approx(60, abs=1)
    assert await world.on_it("aa")
    assert not await world.on_it("bb")
    [found] = (await world.all(EMAIL)).values()
    assert (found.of_address, found.user) == (True, "")
    assert await world.on_it("aa", channel=EMAIL), "by the player whose address it is"
    await world.store.unsuppress("amazing", SMS, ["aa"])
    assert await world.stops.put("amazing", SMS, "aa", 60), "on it no more"


@pytest_twisted.ensureDeferred
async def test_a_stop_becomes_neither_shorter_nor_older(world: World) -> None:
    """Of two the later beginning and the later end count; whose it is stays known."""
    now = time.time()
    await world.stops.put("amazing", SMS, "aa", 600, user="p1", since=now - 100)
    assert not await world.stops.put("amazing", SMS, "aa", 60, since=now - 200), "on it already"
    [found] = (await world.all()).values()
    assert found.since == pytest.approx(now - 100, abs=1)
    assert found.until == pytest.approx(now + 600, abs=2)
    assert found.user == "p1"
    await world.stops.put("amazing", SMS, "aa", 60, since=now + 900)
    [found] = (await world.all()).values()
    assert found.since == pytest.approx(now, abs=2), "nothing begins in the future"


@pytest_twisted.ensureDeferred
async def test_a_newer_consent_lifts_an_older_stop(world: World) -> None:
    """With the addresses on the player's account; a newer stop stays, and a consent in the future lifts nothing."""
    now = time.time()
    await world.stops.put("amazing", SMS, "old", 600, since=now - 100)
    await world.stops.put("amazing", SMS, "address", 600, of_address=True, owner="old", since=now - 90)
    await world.stops.put("amazing", SMS, "new", 600, since=now - 10)
    assert await world.stops.lift("amazing", SMS, ["old", "new", "none"], now + 3600) == 0
    assert await world.stops.lift("amazing", SMS, ["old", "new", "none"], now - 50) == 2
    assert set(await world.all()) == {"new"}
    assert not await world.on_it("old", "address")
    assert await world.on_it("new")


@pytest_twisted.ensureDeferred
async def test_an_erased_player_is_stopped_still_and_named_no_more(world: World) -> None:
    """The id goes, of the addresses on their account too; the stop holds."""
    await world.stops.put("amazing", SMS, "aa", 600, user="p1", reason="operator")
    await world.stops.put("amazing", SMS, "bb", 600, user="p1", of_address=True, owner="aa")
    await world.stops.put("amazing", SMS, "cc", 600, user="p2")
    assert await world.stops.forget("amazing", SMS, ["aa"]) == 2
    assert await world.stops.forget("amazing", SMS, ["aa"]) == 0
    found = await world.all()
    assert {name: stop.user for name, stop in found.items()} == {"aa": "", "bb": "", "cc": "p2"}
    assert found["aa"].reason == "operator"
    assert found["aa"].until == pytest.approx(time.time() + 600, abs=2)


@pytest_twisted.ensureDeferred
async def test_a_part_of_the_list_by_time(world: World) -> None:
    """Those that began then or later, in steps, each at least once."""
    now = time.time()
    count = 1200 if world.link else 7
    for number in range(count):
        await world.stops.put("amazing", SMS, f"{number:04x}", 600, since=now - 1000 + number / 2)
    assert len(await world.all()) == (1200 if world.link else 7)
    assert set(await world.all(since=now - 998.2)) == {
        f"{number:04x}" for number in range(4, 1200 if world.link else 7)
    }


@pytest_twisted.ensureDeferred
async def test_many_at_once(world: World) -> None:
    """By the rule of one: neither shorter nor older; what begins never in the future, and lasts a second at least."""
    now = time.time()
    await world.stops.put("amazing", SMS, "aa", 600, user="p1", since=now - 100)
    given = [
        Stop("amazing", SMS, "aa", now - 200, now + 60, reason="imported"),
        Stop("amazing", SMS, "bb", 0.0, now + 60, True, "a|b", "p|2"),
        *(
            Stop("amazing", SMS, f"{number:04x}", now - 50, now + 600, False, "r", f"q{number}")
            for number in range(450)
        ),
    ]
    await world.stops.put_all(given)
    await world.stops.put_all(given)
    await world.stops.put_all([])
    found = await world.all()
    assert len(found) == 452
    assert (found["aa"].user, found["aa"].reason) == ("p1", "imported")
    assert found["aa"].since == pytest.approx(now - 100, abs=1)
    assert found["aa"].until == pytest.approx(now + 600, abs=2)
    assert (found["bb"].user, found["bb"].of_address) == ("p|2", True)
    assert found["bb"].since == pytest.approx(now, abs=2)
    assert found["bb"].until == pytest.approx(now + 60, abs=2)
    assert await world.on_it("01c1")


@pytest_twisted.ensureDeferred
async def test_an_address_among_many_has_its_owner(world: World) -> None:
    """Whoever takes the player off takes it off, too."""
    now = time.time()
    await world.stops.put_all([Stop("amazing", SMS, "bb", now - 50, now + 600, True, "r", "p1", owner="aa")])
    assert await world.store.unsuppress("amazing", SMS, ["aa"])
    assert not await world.on_it("bb")


@pytest_twisted.ensureDeferred
async def test_each_is_given_once_whatever_goes_meanwhile(world: World) -> None:
    """In the order of their beginning, many at the same moment; the one that was given last may go or begin anew."""
    now = time.time()
    count = 1203 if world.link else 7
    names = [f"{number:04x}" for number in range(count)]
    await world.stops.put_all([Stop("amazing", SMS, name, now - 100, now + 600) for name in reversed(names)])
    given, cursor = [], "0"
    while True:
        cursor, some = await world.stops.some("amazing", SMS, cursor)
        given += [stop.keyed_hash for stop in some]
        if cursor == "0":
            break
        await world.store.unsuppress("amazing", SMS, [given[0], given[-1]])
        # Once each: begun anew a second time, in a later millisecond, it would be given a third time.
        if given.count(given[-2]) == 1:
            await world.stops.put("amazing", SMS, given[-2], 600)
    again = given[given.index(names[-1]) + 1 :]
    assert given[: len(given) - len(again)] == names
    assert len(again) == len(set(again)) == (2 if world.link else 3), "those that began anew"


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_a_stop_of_the_first_version_holds(world: World) -> None:
    """It is known neither when it began nor whose it is: no consent lifts it, and it is not listed."""
    assert world.link is not None
    await world.link.command("SET", f"{world.prefix}stop:amazing:sms:aa", "1", "EX", 600)
    assert await world.on_it("aa")
    assert await world.stops.lift("amazing", SMS, ["aa"], time.time() - 1) == 0
    await world.stops.forget("amazing", SMS, ["aa"])
    assert await world.all() == {}
    await world.stops.put("amazing", SMS, "aa", 60, user="p1")
    [found] = (await world.all()).values()
    assert found.until == pytest.approx(time.time() + 600, abs=3)


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_the_index_ends_with_the_list(world: World) -> None:
    """What has run out or was taken off is not listed, and is dropped when it is met."""
    assert world.link is not None
    for name in ("aa", "bb", "cc"):
        await world.stops.put("amazing", SMS, name, 600)
        await world.store.unsuppress("amazing", SMS, [name])
    assert await world.all() == {}
    assert await world.link.command("ZCARD", f"{world.prefix}stops:amazing:sms") == 0
    await world.stops.put("amazing", SMS, "dd", 600)
    await world.store.unsuppress("amazing", SMS, ["dd"])
    await world.stops.put("amazing", SMS, "ee", 600)
    assert await world.link.command("ZCARD", f"{world.prefix}stops:amazing:sms") == 1

"""Three real Redis, three real Sentinels: who the master is, and what a promise waits for."""

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from fair_clock import Stretch
from outside_ports import free_port
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import capturedLogs, formatEvent

from gatewayd.check.redis import look
from gatewayd.config import parse
from gatewayd.core.errors import NotReplicated, StoreUnavailable, StoreUntouched
from gatewayd.store.access import known_keys, redis_link
from gatewayd.store.calls import Script
from gatewayd.store.link import PATIENCE, RedisLink
from gatewayd.store.sentinel import Master, chosen
from redis_server import until
from redis_trio import HOST, NAME, Trio, ask

CODA = "local out = {}\nfor i = 7, #ARGV do out[i - 6] = each(cmsgpack.unpack(ARGV[i])) end\nreturn out\n"
COUNT = Script("count", "local function each(key, by) return redis.call('INCRBY', KEYS[1] .. key, by) end\n" + CODA)


@pytest.fixture
def trio() -> Iterator[Trio]:
    """Six processes for one test."""
    trio = Trio()
    try:
        pytest_twisted.blockon(ensureDeferred(trio.start()))
        yield trio
    finally:
        trio.remove()


@pytest.fixture(scope="module")
def whole() -> Iterator[Trio]:
    """Six processes for all that hurt none of them for good: the first server stays the master, however busy it is."""
    trio = Trio(down_after=600_000)
    try:
        pytest_twisted.blockon(ensureDeferred(trio.start()))
        yield trio
    finally:
        trio.remove()


@asynccontextmanager
async def linked(trio: Trio, **keys: Any) -> AsyncIterator[RedisLink]:
    """The daemon's own link, as [redis] with `keys` configures it."""
    table = {"sentinels": trio.sentinels, "master": NAME} | keys
    config = parse({"gatewayd": {"secret_key": "k" * 32}, "redis": table}, {})
    clock: Any = reactor
    link = redis_link(clock, config.redis, "gw1", 60.0, "boot", lambda: 0.5)
    link.startService()
    try:
        yield link
    finally:
        await link.stopService()


async def counted(link: RedisLink) -> int:
    """The counter's value once it can be counted up again. Sentinels that choose nobody choose again after 10 s."""
    found: list[int] = []

    async def count() -> bool:
        try:
            found.append(await link.run(COUNT, ["n", 1]))
        except StoreUnavailable:
            return False
        return True

    await until(count)
    return found[-1]


@pytest_twisted.ensureDeferred
async def test_a_failover_is_followed(trio: Trio) -> None:
    """The master dies: calls go on with the one that the Sentinels made; the old one returns as a replica.

    No promise waits for replicas here, and on a busy machine the Sentinels choose more than once: what was counted
    between two choices may be forgotten by the second. What all three held before, whoever is chosen has.
    """
    async with linked(trio) as link:
        await until(lambda: all_have_counted(link, trio))
        old = await the_master(trio)
        trio.kill(old)
        assert await counted(link) >= 2
        # The link may have believed another Sentinel than the first.
        await until(lambda: is_followed_by_another(trio, old))
        await trio.start_again(old)
        await until(lambda: has_one_master(trio))
        assert await counted(link) >= 2


async def all_have_counted(link: RedisLink, trio: Trio) -> bool:
    """Count, and say whether all three hold the counter."""
    await counted(link)
    return [await ask(port, "DBSIZE") for port in trio.ports] == [1, 1, 1]


async def has_one_master(trio: Trio) -> bool:
    """Whether two of the three take themselves for replicas."""
    return sorted([await trio.role(index) for index in range(3)]) == [b"master", b"slave", b"slave"]


async def the_master(trio: Trio) -> int:
    """The index of the one that takes itself for the master and that a Sentinel names, once it is the only one."""

    async def agreed() -> bool:
        return await has_one_master(trio) and await trio.role(await trio.master()) == b"master"

    await until(agreed)
    return await trio.master()


async def is_followed_by_another(trio: Trio, index: int) -> bool:
    """Whether the Sentinels name another master."""
    return await trio.master() != index


@pytest_twisted.ensureDeferred
async def test_a_switch_is_heard_while_the_old_master_stands(trio: Trio) -> None:
    """The old master hangs, and says neither yes nor no: the Sentinels' word is enough, without its calls' time-out."""
    async with linked(trio) as link:
        await until(lambda: all_have_counted(link, trio))
        old = await the_master(trio)
        with capturedLogs() as told:
            trio.servers[old].signal(signal.SIGSTOP)
            await until(lambda: any("name another master" in formatEvent(event) for event in told))
            assert await counted(link) >= 2
        trio.servers[old].signal(signal.SIGCONT)


@pytest_twisted.ensureDeferred
async def test_a_connection_needs_one_sentinel(trio: Trio) -> None:
    """One is stopped and hangs, one is dead: the third is believed, within the second that they all have."""
    trio.signal_sentinel(0, signal.SIGSTOP)
    trio.signal_sentinel(1, signal.SIGKILL)
    async with linked(trio) as link:
        stretch = Stretch()
        assert await link.run(COUNT, ["n", 1]) == 1
        assert stretch.seconds() < PATIENCE
    trio.signal_sentinel(0, signal.SIGCONT)


@pytest_twisted.ensureDeferred
async def test_that_nobody_knows_the_master_is_said_of_each(whole: Trio) -> None:
    """A wrong name, and a port where nobody listens."""
    nobody = f"{HOST}:{free_port()}"
    async with linked(whole, master="other", sentinels=[whole.sentinels[0], nobody]) as link:
        with pytest.raises(StoreUnavailable, match=r"knows no master other.*refused"):
            await link.run(COUNT, ["n", 1])


@pytest_twisted.ensureDeferred
async def test_a_sentinel_that_asks_for_a_password_gets_its_own() -> None:
    """With user and password it answers; with a wrong one the reason says so, and shows none."""
    lines = ("requirepass sentinel-secret", "sentinel sentinel-pass sentinel-secret")
    trio = Trio(sentinel_lines=lines)
    await trio.start_again(0)
    trio.start_sentinel(0)
    await until(lambda: answers(trio.sentinel_ports[0]))
    try:
        async with linked(trio, sentinels=trio.sentinels[:1], sentinel_password="sentinel-secret") as link:
            assert await link.run(COUNT, ["n", 1]) == 1
        user = {"sentinel_username": "default", "sentinel_password": "sentinel-secret"}
        async with linked(trio, sentinels=trio.sentinels[:1], **user) as link:
            assert await link.run(COUNT, ["n", 1]) == 2
        async with linked(trio, sentinels=trio.sentinels[:1], sentinel_password="wrong-secret") as link:
            with pytest.raises(StoreUnavailable, match="refuses our sentinel_password") as caught:
                await link.run(COUNT, ["n", 1])
            assert "wrong-secret" not in str(caught.value)
    finally:
        trio.remove()


async def answers(port: int) -> bool:
    """Whether somebody speaks Redis there."""
    return bool(await ask(port, "PING"))


def test_the_latest_failover_counts_and_then_the_most_voices() -> None:
    """A Sentinel that was away names the old master still."""
    old, new, other = Master("a", 1, 3), Master("b", 1, 4), Master("c", 1, 4)
    assert chosen([old, old, new]) == new
    assert chosen([other, new, new]) == new
    assert chosen(["no answer", old]) == old
    assert chosen(["no answer"]) is None


class _Babble(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest_twisted.ensureDeferred
async def test_what_is_no_sentinel_is_said(whole: Trio) -> None:
    """A port of something else: one line of why, and the others are believed."""
    factory = Factory.forProtocol(_Babble)
    factory.noisy = False
    port = free_port()
    listening: Any = reactor.listenTCP(port, factory, interface=HOST)
    async with linked(whole, sentinels=[f"{HOST}:{port}"]) as link:
        with pytest.raises(StoreUnavailable, match="speaks no Redis"):
            await link.run(COUNT, ["n", 1])
    async with linked(whole, sentinels=[f"{HOST}:{port}", *whole.sentinels[:2]]) as link:
        assert await link.run(COUNT, ["n", 1]) == 1
    await listening.stopListening()


# Replicas


@pytest_twisted.ensureDeferred
async def test_a_promise_waits_for_the_replicas(whole: Trio) -> None:
    """It is confirmed where one has it; where none answers it is not, and none is begun until they are back."""
    async with linked(whole, replicas=1) as link:
        await counted(link)
        await until(lambda: promises(link))
        others = [index for index in range(3) if index != 0]
        for index in others:
            whole.servers[index].signal(signal.SIGSTOP)
        await link.run(COUNT, ["n", 1])
        with pytest.raises(NotReplicated, match="0 of 1 replicas have what was written"):
            await link.confirmed()
        assert link.missing_replicas() == "0 of 1 replicas have what was written"
        with pytest.raises(StoreUntouched, match="0 of 1 replicas"):
            link.check_replicas()
        for index in others:
            whole.servers[index].signal(signal.SIGCONT)

        def back() -> bool:
            try:
                link.check_replicas()
            except StoreUntouched:
                return False
            return True

        await until(back)
        await until(lambda: promises(link))


async def promises(link: RedisLink) -> bool:
    """Whether the replicas confirm; not at once where a Sentinel of a busy machine does not answer."""
    try:
        await link.confirmed()
    except StoreUnavailable:
        return False
    return True


@pytest_twisted.ensureDeferred
async def test_nothing_is_confirmed_by_another_server_than_was_told(trio: Trio) -> None:
    """The master dies after its answer and before the replicas': what the next one has is not known."""
    async with linked(trio, replicas=1) as link:
        await counted(link)
        await until(lambda: promises(link))
        master = await the_master(trio)
        others = [index for index in range(3) if index != master]
        for index in others:
            trio.servers[index].signal(signal.SIGSTOP)
        await link.run(COUNT, ["n", 1])
        waiting = ensureDeferred(link.confirmed())
        trio.kill(master)
        for index in others:
            trio.servers[index].signal(signal.SIGCONT)
        with pytest.raises(StoreUnavailable) as lost:
            await waiting
        assert "Traceback" not in str(lost.value)


@pytest_twisted.ensureDeferred
async def test_many_promises_share_a_round(whole: Trio) -> None:
    """A thousand that are asked for at once cost two WAITs at most."""
    async with linked(whole, replicas=1) as link:
        await counted(link)
        await until(lambda: promises(link))
        before = await waits(link)
        asked: list[Deferred[None]] = [ensureDeferred(link.confirmed()) for _ in range(1000)]
        for each in asked:
            await each
        assert await waits(link) - before <= 2


async def waits(link: RedisLink) -> int:
    """How many WAITs the master was asked."""
    info = (await link.command("INFO", "commandstats")).decode()
    lines = [line for line in info.splitlines() if line.startswith("cmdstat_wait:")]
    return int(lines[0].partition("calls=")[2].partition(",")[0]) if lines else 0


@pytest_twisted.ensureDeferred
async def test_check_says_a_line_of_each_sentinel(whole: Trio) -> None:
    """Who answers and names the master, and who does not."""
    nobody = f"{HOST}:{free_port()}"
    table = {"sentinels": [*whole.sentinels, nobody], "master": NAME, "replicas": 1}
    config = parse({"gatewayd": {"secret_key": "k" * 32}, "redis": table}, {})
    found = {finding.what: finding for finding in await look(reactor, config.redis, known_keys(config))}
    assert [found[f"sentinel {name}"].word for name in whole.sentinels] == ["ok"] * 3
    assert found[f"sentinel {nobody}"].word == "FAIL"
    assert found["redis replicas"].word == found["clock"].word == "ok"

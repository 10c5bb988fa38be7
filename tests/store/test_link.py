"""The link to Redis on a real Redis: batches, outages of every kind, and that nobody waits for longer than promised."""

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from fair_clock import Stretch
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure

from gatewayd.core.errors import StoreUnavailable, StoreUntouched
from gatewayd.store import RedisStore
from gatewayd.store.calls import Script
from gatewayd.store.link import PATIENCE, RedisLink
from little_memory import MUCH, no_more_memory
from redis_server import RedisServer, later, until

CODA = "local out = {}\nfor i = 7, #ARGV do out[i - 6] = each(cmsgpack.unpack(ARGV[i])) end\nreturn out\n"
ECHO = Script("echo", "local function each(text) return text end\n" + CODA)
COUNT = Script("count", "local function each(key, by) return redis.call('INCRBY', KEYS[1] .. key, by) end\n" + CODA)
BROKEN = Script("broken", "local function each() return redis.call('NONSENSE') end\n" + CODA)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    """A Redis of its own for a test that hurts it."""
    server = RedisServer()
    pytest_twisted.blockon(ensureDeferred(server.start()))
    yield server
    server.remove()


@asynccontextmanager
async def linked(server: RedisServer, **options: Any) -> AsyncIterator[RedisLink]:
    """A started link."""
    link = RedisLink(reactor, server.client(), jitter=lambda: 0.5, prefix="t:", **options)
    link.startService()
    try:
        yield link
    finally:
        await link.stopService()


def together(link: RedisLink, script: Script, items: list[Any]) -> Deferred[Any]:
    """Run all of `items` in one turn of the reactor."""
    asked = [ensureDeferred(link.run(script, item)) for item in items]
    return DeferredList(asked, fireOnOneErrback=True, consumeErrors=True)


async def unavailable(link: RedisLink) -> tuple[str, float]:
    """Why a call failed with StoreUnavailable, and after how many seconds."""
    stretch = Stretch()
    with pytest.raises(StoreUnavailable) as failed:
        await link.run(COUNT, ["n", 1])
    return str(failed.value), stretch.seconds()


async def calls(link: RedisLink, command: str) -> int:
    """How often the server was asked for `command`."""
    info = (await link.command("INFO", "commandstats")).decode()
    lines = [line for line in info.splitlines() if line.startswith(f"cmdstat_{command}:")]
    return int(lines[0].partition("calls=")[2].partition(",")[0]) if lines else 0


@pytest_twisted.ensureDeferred
async def test_items_of_one_turn_share_a_call(server: RedisServer) -> None:
    """Fifty items asked for in one turn are one EVALSHA, and each gets its own reply, in order."""
    async with linked(server) as link:
        await link.run(ECHO, ["first"])
        before = await calls(link, "evalsha")
        replies = await together(link, ECHO, [[f"item {number}"] for number in range(50)])
        assert [reply for _, reply in replies] == [f"item {number}".encode() for number in range(50)]
        assert await calls(link, "evalsha") == before + 1


@pytest_twisted.ensureDeferred
async def test_large_batches_are_split(server: RedisServer) -> None:
    """Five hundred items go in three calls, and none is lost or mixed up."""
    async with linked(server) as link:
        await link.run(ECHO, ["first"])
        before = await calls(link, "evalsha")
        replies = await together(link, ECHO, [[number] for number in range(500)])
        assert [reply for _, reply in replies] == list(range(500))
        assert await calls(link, "evalsha") == before + 3


@pytest_twisted.ensureDeferred
async def test_values_come_back_as_they_were(server: RedisServer) -> None:
    """Bytes stay bytes: ids of digits keep their zeros, numbers with a plus stay text."""
    async with linked(server) as link:
        assert await link.run(ECHO, ["000024"]) == b"000024"
        await link.command("SET", "t:x", "+4520123456")
        assert await link.command("GET", "t:x") == b"+4520123456"


@pytest_twisted.ensureDeferred
async def test_a_forgotten_script_is_taught_again(server: RedisServer) -> None:
    """After SCRIPT FLUSH, as after a failover, a call succeeds as before."""
    async with linked(server) as link:
        assert await link.run(COUNT, ["n", 1]) == 1
        await link.command("SCRIPT", "FLUSH")
        assert await link.run(COUNT, ["n", 1]) == 2


@pytest_twisted.ensureDeferred
async def test_a_fault_in_a_script_is_no_outage(server: RedisServer) -> None:
    """An error that is ours is raised as it is: nobody tries it again."""
    async with linked(server) as link:
        with pytest.raises(Exception, match=r"NONSENSE|[Uu]nknown (Redis )?command"):
            await link.run(BROKEN, ["x"])
        assert await link.run(ECHO, ["x"]) == b"x"


@pytest_twisted.ensureDeferred
async def test_a_call_survives_a_restart_within_its_patience(server: RedisServer) -> None:
    """Redis is killed with a call on the wire and comes back after a second: the caller notices a delay only."""
    async with linked(server) as link:
        await link.run(ECHO, ["x"])
        server.signal(signal.SIGSTOP)
        asked = ensureDeferred(link.run(ECHO, ["mid-call"]))
        await later(0.1)
        server.kill()
        waiting = ensureDeferred(link.run(ECHO, ["while away"]))
        await later(1.0)
        await server.start()
        assert await asked == b"mid-call"
        assert await waiting == b"while away"


@pytest_twisted.ensureDeferred
async def test_an_outage_is_told_in_time(server: RedisServer) -> None:
    """A call on the wire and one begun later both fail PATIENCE seconds after they were made."""
    async with linked(server) as link:
        await link.run(ECHO, ["x"])
        server.kill()
        began = reactor.seconds()
        early = ensureDeferred(unavailable(link))
        await later(1.0)
        late = ensureDeferred(unavailable(link))
        for number, (reason, seconds) in enumerate((await early, await late)):
            assert seconds < 4
            assert reactor.seconds() - began >= PATIENCE + number - 0.1
            assert "Redis" in reason
        assert not link.up


@pytest_twisted.ensureDeferred
async def test_a_hanging_redis_is_told_in_time(server: RedisServer) -> None:
    """A stopped process takes connections and says nothing: calls fail within 5 s whenever they were made."""
    async with linked(server) as link:
        await link.run(ECHO, ["x"])
        server.signal(signal.SIGSTOP)
        asked = []
        for _ in range(4):
            asked.append(ensureDeferred(unavailable(link)))
            await later(0.9)
        for waiting in asked:
            _, seconds = await waiting
            assert seconds < 5
        server.signal(signal.SIGCONT)
        assert await link.run(ECHO, ["x"]) == b"x"


@pytest_twisted.ensureDeferred
async def test_a_redis_that_hangs_from_the_start_is_said_to(server: RedisServer) -> None:
    """As of gatewayctl check: that it was not connected yet would be no reason."""
    server.signal(signal.SIGSTOP)
    try:
        async with linked(server) as link:
            assert "no answer in" in (await unavailable(link))[0]
    finally:
        server.signal(signal.SIGCONT)


@pytest_twisted.ensureDeferred
async def test_only_a_call_that_was_on_the_wire_may_have_been_run(server: RedisServer) -> None:
    """Who told a caller that nothing was stored must know whether that is sure."""
    async with linked(server) as link:
        await link.run(ECHO, ["x"])
        server.signal(signal.SIGSTOP)
        on_the_wire = ensureDeferred(link.run(ECHO, ["x"]))
        await later(1.0)
        server.signal(signal.SIGKILL)
        with pytest.raises(StoreUnavailable) as caught:
            await on_the_wire
        assert not isinstance(caught.value, StoreUntouched)
        with pytest.raises(StoreUntouched):
            await link.run(ECHO, ["x"])


@pytest_twisted.ensureDeferred
async def test_it_connects_again_soon(server: RedisServer) -> None:
    """After an outage of 8 s calls are answered within 2.5 s of Redis' return."""
    async with linked(server) as link:
        await link.run(ECHO, ["x"])
        server.kill()
        await later(8.0)
        await server.start()
        stretch = Stretch()
        await until(lambda: link.up, 5)
        assert await link.run(ECHO, ["x"]) == b"x"
        assert stretch.seconds() < 2.5


@pytest_twisted.ensureDeferred
async def test_a_redis_that_never_was_there_is_waited_for(server: RedisServer) -> None:
    """A daemon that starts before its Redis serves as soon as it comes."""
    server.kill()
    async with linked(server) as link:
        asked = ensureDeferred(link.run(ECHO, ["x"]))
        await later(0.5)
        await server.start()
        assert await asked == b"x"


@pytest_twisted.ensureDeferred
async def test_a_loading_redis_is_not_there_yet(server: RedisServer) -> None:
    """While Redis reads its file, and says so, the link is down; then calls succeed, with what was stored."""
    async with linked(server) as link:
        await link.run_all(COUNT, [[f"n{number}", number] for number in range(20_000)])
        server.kill()
        # It answers between each thousand of them, which is every half second, for ten seconds.
        starting = ensureDeferred(server.start("--key-load-delay", "500"))
        await until(lambda: "LOADING" in link.trouble, log=lambda: link.trouble)
        assert not link.up
        # Version 6.2 can't be told while it reads to be quicker.
        server.kill()
        await server.start()
        await starting
        await until(lambda: link.up, log=lambda: link.trouble)
        assert await link.run(COUNT, ["n19999", 0]) == 19_999


@pytest_twisted.ensureDeferred
async def test_what_redis_cannot_do_now_is_unavailable(server: RedisServer) -> None:
    """Full memory, rights taken away, too few replicas: StoreUnavailable at once, with Redis' word."""
    async with linked(server) as link:
        await link.command("CONFIG", "SET", "min-replicas-to-write", "1")
        reason, seconds = await unavailable(link)
        assert "NOREPLICAS" in reason
        assert seconds < 1
        await link.command("CONFIG", "SET", "min-replicas-to-write", "0")
        await link.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await link.command("CONFIG", "SET", "maxmemory", "1")
        reason, _ = await unavailable(link)
        assert "OOM" in reason
        await link.command("CONFIG", "SET", "maxmemory", "0")
        await link.command("ACL", "SETUSER", "default", "-eval", "-evalsha")
        reason, _ = await unavailable(link)
        assert "NOPERM" in reason
        await link.command("ACL", "SETUSER", "default", "+eval", "+evalsha", "-@write")
        reason, _ = await unavailable(link)
        assert "can't run this command" in reason or "ACL failure in script" in reason
        await link.command("ACL", "SETUSER", "default", "+@all", "resetkeys", "~t:")
        reason, _ = await unavailable(link)
        assert "can't access" in reason or "NOPERM" in reason or "ACL failure in script" in reason
        await link.command("ACL", "SETUSER", "default", "~*")
        assert await link.run(COUNT, ["n", 1]) == 1


class Name:
    """A name or virtual address: an endpoint that leads to the server that it stands for now."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server

    def connect(self, factory: Any) -> Deferred[Any]:
        """To that one."""
        return self.server.client().connect(factory)


@pytest_twisted.ensureDeferred
async def test_a_demoted_master_is_left_for_the_new_one(server: RedisServer) -> None:
    """Its living connection says READONLY: the call that heard it is answered by whom the name leads to by now."""
    other = RedisServer()
    await other.start()
    name = Name(server)
    link = RedisLink(reactor, name, jitter=lambda: 0.5, prefix="t:")
    link.startService()
    try:
        assert await link.run(COUNT, ["n", 1]) == 1
        await tell(server, "REPLICAOF", "127.0.0.1", "1")
        name.server = other
        assert await link.run(COUNT, ["n", 5]) == 5
    finally:
        await link.stopService()
        other.remove()


@pytest_twisted.ensureDeferred
async def test_a_replica_is_no_redis_of_ours(server: RedisServer) -> None:
    """Calls fail in time with the reason, and nothing of them is done; promoted, it serves within 2.5 s."""
    async with linked(server) as link:
        await link.run(ECHO, ["x"])
        await tell(server, "REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(StoreUntouched, match="replica"):
            await link.run(COUNT, ["n", 1])
        assert not link.up
        await tell(server, "REPLICAOF", "NO", "ONE")
        stretch = Stretch()
        assert await link.run(COUNT, ["n", 1]) == 1
        assert stretch.seconds() < 2.5


async def tell(server: RedisServer, *words: str) -> None:
    """One command over a connection of its own."""
    endpoint: Any = server.client()
    done: Deferred[bytes] = Deferred()
    protocol: Any = await endpoint.connect(Factory.forProtocol(Protocol))
    protocol.dataReceived = done.callback
    protocol.transport.write((" ".join(words) + "\r\n").encode())
    assert await done == b"+OK\r\n"
    protocol.transport.loseConnection()


@pytest_twisted.ensureDeferred
async def test_a_call_holds_a_megabyte_at_most(server: RedisServer) -> None:
    """Ten items of 400 KB go two by two: what else Redis is asked for comes between them."""
    async with linked(server) as link:
        await link.run(ECHO, ["first"])
        before = await calls(link, "evalsha")
        replies = await together(link, ECHO, [["x" * 400_000] for _ in range(10)])
        assert [len(reply) for _, reply in replies] == [400_000] * 10
        assert await calls(link, "evalsha") == before + 5


@pytest_twisted.ensureDeferred
async def test_a_redis_that_takes_no_writes_counts_as_away(server: RedisServer) -> None:
    """From the next heartbeat on a ping says Redis' own reason, the log says it once, and both say when it is over."""
    arguments = RedisStore.script_arguments("one", 20, 7 * 86400.0, "boot")
    async with linked(server, arguments=arguments) as link:
        store = RedisStore(link, reactor, "one")
        await store.beat(first=True, dead_after=15)
        assert await store.ping() < 1
        await link.command("CONFIG", "SET", "min-replicas-to-write", "1")
        with capturedLogs() as told:
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await store.beat(first=False, dead_after=15)
            with pytest.raises(StoreUnavailable, match=r"Redis says NOREPLICAS Not enough good replicas to write\.$"):
                await store.ping()
            await link.command("CONFIG", "SET", "min-replicas-to-write", "0")
            await store.beat(first=False, dead_after=15)
            assert await store.ping() < 1
        lines = [formatEvent(event) for event in told]
        assert [line.partition(":")[0] for line in lines] == ["Redis takes no writes", "Redis takes writes again"]


@pytest_twisted.ensureDeferred
async def test_a_ping_says_that_memory_is_full(server: RedisServer) -> None:
    """The heartbeat passes, and all that sends; but no new message is taken on. The log says so once, and its end."""
    arguments = RedisStore.script_arguments("one", 20, 7 * 86400.0, "boot")
    async with linked(server, arguments=arguments) as link:
        store = RedisStore(link, reactor, "one")
        await link.command("CONFIG", "SET", "maxmemory", "1")
        await store.beat(first=True, dead_after=15)
        with capturedLogs() as told:
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match=r"Redis says OOM command not allowed .*'maxmemory'\.$"):
                    await store.ping()
                await store.beat(first=False, dead_after=15)
            await link.command("CONFIG", "SET", "maxmemory", "0")
            assert await store.ping() < 1
        lines = [formatEvent(event) for event in told]
        assert lines[0].startswith("Redis takes no writes: Redis says OOM command not allowed")
        assert lines[1:] == ["Redis takes writes again"]


@pytest_twisted.ensureDeferred
async def test_a_ping_says_at_once_why_redis_is_away(server: RedisServer) -> None:
    """Nobody who asks how things stand waits for a connection that is not there."""
    async with linked(server) as link:
        store = RedisStore(link, reactor, "one")
        await link.command("PING")
        server.kill()
        await until(lambda: "cannot be reached" in link.trouble)
        stretch = Stretch()
        with pytest.raises(StoreUnavailable, match=r"Redis cannot be reached: .*(refused|No such file)"):
            await store.ping()
        assert stretch.seconds() < 0.2


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_named_and_not_shown(server: RedisServer) -> None:
    """Calls fail with Redis' reason, which holds no password; with the right one they succeed, on their database."""
    async with linked(server) as link:
        await link.command("CONFIG", "SET", "requirepass", "right-password")
    async with linked(server, password="wrong-password") as link:
        reason, _ = await unavailable(link)
        assert "WRONGPASS" in reason or "invalid password" in reason
        assert "wrong-password" not in reason
    async with linked(server, password="right-password", database=3) as link:
        await link.run(COUNT, ["n", 1])
        assert b"db3:keys=1" in await link.command("INFO", "keyspace")
    async with linked(server, username="default", password="right-password") as link:
        assert await link.run(ECHO, ["x"]) == b"x"


@pytest_twisted.ensureDeferred
async def test_stopping_fails_those_who_wait(server: RedisServer) -> None:
    """stopService ends at once; a call that waits for a connection, or for an answer, gets StoreUnavailable."""
    async with linked(server) as link:
        await link.run(ECHO, ["x"])
        server.signal(signal.SIGSTOP)
        on_the_wire = ensureDeferred(unavailable(link))
        await later(0.05)
    server.kill()
    async with linked(server) as link:
        waits = ensureDeferred(unavailable(link))
        await later(0.05)
    for waiting in (on_the_wire, waits):
        _, seconds = await waiting
        assert seconds < 1


@pytest_twisted.ensureDeferred
async def test_a_call_may_be_cancelled(server: RedisServer) -> None:
    """Who gives up waiting disturbs nobody: not its own batch, and not the link."""
    async with linked(server) as link:
        await link.run(ECHO, ["x"])
        given_up = ensureDeferred(link.run(ECHO, ["a"]))
        kept = ensureDeferred(link.run(ECHO, ["b"]))
        given_up.cancel()
        failures: list[Failure] = []
        given_up.addErrback(failures.append)
        assert await kept == b"b"
        assert len(failures) == 1
        assert await link.run(ECHO, ["c"]) == b"c"


class _Late(Protocol):
    """A Redis that lets one in after 3.5 s and then never answers again."""

    def dataReceived(self, data: bytes) -> None:
        if b"ROLE" in data and self.transport is not None:
            self.transport.write(b"*1\r\n$6\r\nmaster\r\n")
        if b"PING" in data and self.transport is not None:
            reactor.callLater(max(_Late.opens - reactor.seconds(), 0.0), self.transport.write, b"+PONG\r\n")

    opens = 0.0


@pytest_twisted.ensureDeferred
async def test_a_connection_that_comes_late_does_not_prolong_a_call(server: RedisServer) -> None:
    """When the connection comes at the end of a call's patience and then hangs, the call still ends in time."""
    server.kill()
    server.socket.unlink(missing_ok=True)
    _Late.opens = reactor.seconds() + 2.5
    factory = Factory.forProtocol(_Late)
    factory.noisy = False
    port: Any = await UNIXServerEndpoint(reactor, str(server.socket)).listen(factory)
    async with linked(server) as link:
        asked = ensureDeferred(unavailable(link))
        await until(lambda: link.up, 5)
        _, seconds = await asked
        assert seconds < 5
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_a_call_for_which_there_is_no_memory_was_not_made(server: RedisServer) -> None:
    """Nor does anybody wait for ever who asked in the same turn; and it is an outage, not a bug."""
    async with linked(server) as link:
        assert await link.run(COUNT, ["n", 1]) == 1
        large = ensureDeferred(link.run(ECHO, [b"x" * MUCH]))
        small = ensureDeferred(link.run(COUNT, ["n", 1]))
        with no_more_memory():
            for asked in (large, small):
                with pytest.raises(StoreUntouched, match="no memory left to ask Redis"):
                    await asked
        assert await link.run(COUNT, ["n", 1]) == 2

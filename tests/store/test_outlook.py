"""Whether the master stays the master: Sentinels that say what the test tells them, and three real Redis."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import hiredis
import pytest
import pytest_twisted
from outside_ports import free_port
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from gatewayd.config import parse
from gatewayd.core.errors import NotReplicated, StoreUnavailable
from gatewayd.store.access import redis_link
from gatewayd.store.calls import Script
from gatewayd.store.sentinel import Outlook, Sentinels
from redis_server import until
from redis_trio import HOST, NAME, Trio, ask

ECHO = Script("echo", "local out = {}\nfor i = 7, #ARGV do out[i - 6] = 1 end\nreturn out\n")
UNDER_WAY = "master,failover_in_progress"


class Said:
    """What one Sentinel says; `named` is where it leads to, `own` the port in its fields: the old one's for a while."""

    def __init__(self, named: int, own: int = 0, flags: str = "master", epoch: int = 1) -> None:
        self.named = named
        self.own = own or named
        self.flags = flags
        self.epoch = epoch
        self.may_say_more = True


class _Sentinel(Protocol):
    def __init__(self, said: Said) -> None:
        self._said = said
        self._reader = hiredis.Reader()

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self._reader.feed(data)
        while words := self._reader.gets():
            self.transport.write(self._answer([word.decode() for word in words]))

    def _answer(self, words: list[str]) -> bytes:
        said = self._said
        if "GET-MASTER-ADDR-BY-NAME" in words:
            return _array(HOST, str(said.named))
        if "MASTER" in words and said.may_say_more:
            fields = {"ip": HOST, "port": str(said.own), "flags": said.flags, "config-epoch": str(said.epoch)}
            return _array(*(part for field in fields.items() for part in field))
        return b"-NOPERM this user may not\r\n"


def _array(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words)


@asynccontextmanager
async def listening(*said: Said) -> AsyncIterator[list[int]]:
    """The ports of Sentinels that say so."""
    ports: list[Any] = []
    for each in said:
        factory = Factory.forProtocol(lambda each=each: _Sentinel(each))  # type: ignore[misc]
        factory.noisy = False
        listen: Any = reactor.listenTCP(0, factory, interface=HOST)  # type: ignore[attr-defined]
        ports.append(listen)
    try:
        yield [port.getHost().port for port in ports]
    finally:
        for port in ports:
            await port.stopListening()


@pytest.fixture
def servers() -> Iterator[Trio]:
    """A master and two replicas, and no Sentinel."""
    trio = Trio()

    async def start() -> None:
        for index in range(3):
            await trio.start_again(index, master=trio.ports[0] if index else None)
        await until(trio_is_whole)

    async def trio_is_whole() -> bool:
        found = await ask(trio.ports[0], "INFO", "replication")
        return isinstance(found, bytes) and found.count(b"state=online") == 2

    try:
        pytest_twisted.blockon(ensureDeferred(start()))
        yield trio
    finally:
        trio.remove()


@pytest_twisted.ensureDeferred
async def test_a_master_whose_successor_was_made_before_we_came_promises_nothing(servers: Trio) -> None:
    """All name it, it takes itself for the master, and one replica confirms: what it takes is thrown away with it."""
    said = [Said(servers.ports[0]) for _ in range(3)]
    said[2].flags = UNDER_WAY
    await ask(servers.ports[1], "REPLICAOF", "NO", "ONE")
    async with listening(*said) as ports:
        table = {"sentinels": [f"{HOST}:{port}" for port in ports], "master": NAME, "replicas": 1}
        config = parse({"gatewayd": {"secret_key": "k" * 32}, "redis": table}, {})
        link = redis_link(reactor, config.redis, "gw1", 60.0, "boot", lambda: 0.5)
        link.startService()
        try:
            await link.run(ECHO, ["n"])
            with pytest.raises(NotReplicated, match="making another server the master"):
                await link.confirmed()
            assert link.missing_replicas() == "the Sentinels are making another server the master"
            said[2].flags = "master"

            async def promises() -> bool:
                try:
                    await link.confirmed()
                except StoreUnavailable:
                    return False
                return True

            await until(promises)
        finally:
            await link.stopService()


OLD, NEW = 1, 2
OUTLOOKS: dict[str, tuple[list[Said], Outlook]] = {
    "all name it": ([Said(OLD), Said(OLD), Said(OLD)], Outlook.STAYS),
    "one looks for another": ([Said(OLD), Said(OLD, flags=UNDER_WAY), Said(OLD)], Outlook.LEAVES),
    "one has made this one": ([Said(OLD), Said(OLD, own=NEW, flags=UNDER_WAY), Said(OLD)], Outlook.STAYS),
    "one has made another": ([Said(OLD), Said(OLD), Said(NEW, own=OLD, epoch=2, flags=UNDER_WAY)], Outlook.LEAVES),
    "all name another": ([Said(NEW, epoch=2), Said(NEW, epoch=2), Said(NEW, epoch=2)], Outlook.LEAVES),
    "one has not heard of it": ([Said(OLD, epoch=2), Said(OLD, epoch=2), Said(NEW)], Outlook.UNKNOWN),
    "it is down, and nobody does anything": ([Said(OLD, flags="s_down,o_down,master")], Outlook.STAYS),
}


@pytest.mark.parametrize("what", OUTLOOKS)
@pytest_twisted.ensureDeferred
async def test_the_outlook_is_what_all_sentinels_say(what: str) -> None:
    """Who names it and replaces it by no other; one that has found its successor names that one."""
    said, outlook = OUTLOOKS[what]
    assert await _outlook(*said) is outlook


@pytest_twisted.ensureDeferred
async def test_a_sentinel_that_does_not_tell_leaves_it_open() -> None:
    """One is not there, or its rights let us ask for the address alone: it may have made another one the master."""
    assert await _outlook(Said(OLD), Said(OLD), nobody=True) is Outlook.UNKNOWN
    silent = Said(OLD, epoch=0)
    silent.may_say_more = False
    assert await _outlook(Said(OLD), Said(OLD), silent) is Outlook.UNKNOWN
    assert await _outlook(nobody=True) is Outlook.UNKNOWN


async def _outlook(*said: Said, nobody: bool = False) -> Outlook:
    """Of one who is connected to OLD, whatever that is."""
    first = Said(OLD)
    async with listening(first, *said) as (port, *ports):
        endpoints = {"first": TCP4ClientEndpoint(reactor, HOST, port)}
        sentinels = Sentinels(
            reactor, endpoints, NAME, lambda host, _: TCP4ClientEndpoint(reactor, host, port), jitter=lambda: 0.5
        )
        protocol: Any = await sentinels.connect(Factory.forProtocol(Protocol))
        protocol.transport.abortConnection()
        endpoints.clear()
        endpoints.update({str(each): TCP4ClientEndpoint(reactor, HOST, each) for each in ports})
        if nobody:
            endpoints["nobody"] = TCP4ClientEndpoint(reactor, HOST, free_port())
        return await sentinels.outlook()

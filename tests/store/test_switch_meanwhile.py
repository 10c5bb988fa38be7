"""A failover that the Sentinels tell of while a connection is being opened: it does not stay with the old master."""

from collections.abc import Callable
from typing import Any

import hiredis
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from gatewayd.store.link import RedisLink
from gatewayd.store.sentinel import Sentinels

OLD, NEW = 6001, 6002


class Side(StringTransport):
    """One connection: what is written to it is answered in the clock's next turn, by words."""

    def __init__(self, clock: Clock, protocol: Any, answer: Callable[[list[str]], bytes]) -> None:
        super().__init__()
        self._clock, self._protocol, self._answer = clock, protocol, answer
        self._reader = hiredis.Reader()

    def write(self, data: bytes) -> None:
        """Twisted: so many commands."""
        self._reader.feed(data)
        while (words := self._reader.gets()) is not False:
            self.says(self._answer([word.decode() for word in words]))

    def says(self, octets: bytes) -> None:
        """They are there soon."""
        self._clock.callLater(0, lambda: self.disconnecting or self._protocol.dataReceived(octets))

    def abortConnection(self) -> None:
        """Twisted: close at once."""
        if not self.disconnecting:
            self.disconnecting = True
            self._clock.callLater(0, self._protocol.connectionLost, Failure(ConnectionDone()))

    loseConnection = abortConnection


class Peer:
    """An endpoint; `connections` are those that it was asked for."""

    def __init__(self, clock: Clock, answer: Callable[[list[str]], bytes]) -> None:
        self._clock, self._answer = clock, answer
        self.connections: list[Side] = []

    def connect(self, factory: Factory) -> Deferred[IProtocol]:
        """Twisted: connected at once."""
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        side = Side(self._clock, protocol, self._answer)
        self.connections.append(side)
        protocol.makeConnection(side)
        made: Deferred[IProtocol] = Deferred()
        made.callback(protocol)
        return made


class World:
    """A Sentinel, two servers that both take themselves for the master, and a link. `at` is when the switch is told."""

    def __init__(self, at: str, *, knows: int = NEW) -> None:
        self.clock = Clock()
        self.master, self._at, self._knows = OLD, at, knows
        self.sentinel = Peer(self.clock, self._sentinel_says)
        self.servers = {port: Peer(self.clock, self._server_says) for port in (OLD, NEW)}
        sentinels = Sentinels(
            self.clock, {"s": self.sentinel}, "gateway", lambda _, port: self.servers[port], jitter=lambda: 0.5
        )
        self.link = RedisLink(self.clock, sentinels, jitter=lambda: 0.5)
        sentinels.on_switch = self.link.leave
        sentinels.startService()
        self.link.startService()

    def pass_seconds(self, seconds: float) -> None:
        """Real time that goes by."""
        self.clock.pump([0.01] * int(seconds * 100))

    def _told(self, at: str) -> None:
        if self._at == at:
            self._at, self.master = "", NEW
            words = f"gateway h {OLD} h {NEW}"
            message = f"*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n${len(words)}\r\n{words}\r\n"
            self.sentinel.connections[0].says(message.encode())

    def _sentinel_says(self, words: list[str]) -> bytes:
        if words[1] == "GET-MASTER-ADDR-BY-NAME":
            self._told("asked")
            return f"*2\r\n$1\r\nh\r\n$4\r\n{OLD if self._knows == OLD else self.master}\r\n".encode()
        if words[1] == "MASTER":
            self._knows = NEW
        return b"*0\r\n"

    def _server_says(self, words: list[str]) -> bytes:
        if words == ["ROLE"]:
            self._told("opened")
            return b"*1\r\n$6\r\nmaster\r\n"
        return b"+OK\r\n"


@pytest.mark.parametrize(("at", "before"), [("opened", [True]), ("asked", [])])
def test_a_switch_while_connecting_is_heeded(at: str, before: list[bool]) -> None:
    """The old master says still that it is one, and a Sentinel named it a moment ago: the link is to the new one."""
    world = World(at, knows=OLD)
    world.pass_seconds(2)
    assert world.link.up
    assert [side.disconnecting for side in world.servers[OLD].connections] == before
    assert [side.disconnecting for side in world.servers[NEW].connections] == [False]


def test_a_switch_that_the_answers_know_already_costs_nothing() -> None:
    """It came while the Sentinels were asked, and they name the new master."""
    world = World("asked")
    world.pass_seconds(2)
    assert world.link.up
    assert (len(world.servers[OLD].connections), len(world.servers[NEW].connections)) == (0, 1)

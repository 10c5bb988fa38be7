"""Where many have spoken at once a turn reads a part of them, and who has waited longest is read first."""

import socket
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from gatewayd.http.connection import SLOW
from gatewayd.http.crowd import NEW, Crowd
from gatewayd.http.door import Answer
from gatewayd.http.kernel import has_spoken
from gatewayd.http.portions import LEAST, PARTS, Portions, read_in_portions
from gatewayd.http.site import Site

READABLE = 1
STORE = 7
FIRST_CALLER = 100
REQUEST = b"GET / HTTP/1.1\r\nHost: gw\r\n\r\n"
MORE = 50


class Poller:
    """An epoll object with as many callers who have spoken as is wanted, and a store that has replied."""

    def __init__(self) -> None:
        self.spoken: list[int] = []
        self.now = 1000.0
        self.registered: list[int] = []

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """All that can be read: the store is the last."""
        return [(descriptor, READABLE) for descriptor in [*self.spoken, STORE]]

    def register(self, descriptor: int) -> None:
        """Look at it, too."""
        self.registered.append(descriptor)


class World:
    """Portions of callers who all have spoken."""

    def __init__(self, callers: int) -> None:
        self.poller = Poller()
        self.callers = list(range(FIRST_CALLER, FIRST_CALLER + callers))
        self.poller.spoken = list(self.callers)
        self.portions = Portions(self.poller, lambda: set(self.callers), lambda: self.poller.now)

    def turn(self) -> list[int]:
        """Whom this turn reads."""
        found = [descriptor for descriptor, _ in self.portions.poll(0, 9999)]
        assert found.pop() == STORE
        return found


def test_few_are_read_in_one_turn() -> None:
    """Nobody is put off where a turn can read them all."""
    world = World(LEAST)
    assert world.turn() == world.callers


@pytest.mark.parametrize("callers", [LEAST + 1, LEAST * PARTS + PARTS, LEAST * PARTS * 3])
def test_of_many_a_turn_reads_a_part_and_all_others_of_the_process(callers: int) -> None:
    """The store's reply waits for nobody; a part is larger where more have spoken."""
    world = World(callers)
    assert world.turn() == world.callers[: max(LEAST, callers // PARTS)]


def test_who_has_waited_longest_is_read_first() -> None:
    """The kernel names first, time and again, who asks again as soon as they are answered: they wait for all others."""
    world = World(2 * LEAST)
    first, second = world.callers[:LEAST], world.callers[LEAST:]
    assert [world.turn(), world.turn(), world.turn()] == [first, second, first]


def test_it_is_known_since_when_who_was_put_off_has_waited() -> None:
    """In the turn that reads them, and not in a later one, when they have spoken again."""
    world = World(LEAST + 1)
    last = world.callers[-1]
    world.turn()
    world.poller.now += 3
    assert last in world.turn()
    assert (world.portions.put_off_since(last), world.portions.put_off_since(world.callers[0])) == (1000.0, None)
    world.poller.spoken = [last]
    assert world.turn() == [last]
    assert world.portions.put_off_since(last) is None


def test_all_else_is_the_epoll_objects_own() -> None:
    """And a reactor without one is left as it is."""
    world = World(0)
    world.portions.register(5)
    assert world.poller.registered == [5]
    assert read_in_portions(object(), set, float) is None


class Callers:
    """Real connections to a real port of a site, whose reactor goes on turn by turn."""

    def __init__(self, count: int) -> None:
        self.reactor = EPollReactor()
        self.site = Site(self.reactor, lambda _: Answer(b"yes"), most=count)
        self.port: Any = self.reactor.listenTCP(0, self.site, interface="127.0.0.1")
        self.sockets: dict[int, socket.socket] = {}
        for _ in range(count):
            caller = socket.create_connection(("127.0.0.1", self.port.getHost().port), 60)
            self.sockets[caller.getsockname()[1]] = caller
            while len(self.site.crowd.connections) < len(self.sockets):
                self.reactor.iterate(0)

    def ask(self, callers: Iterable[int]) -> None:
        """Each of these asks, and the kernel has it."""
        asking = set(callers)
        for caller in asking:
            self.sockets[caller].sendall(REQUEST)
        for connection in self.site.crowd.connections:
            while connection.transport.getPeer().port in asking and not has_spoken(connection.bare):
                pass

    def answered(self) -> dict[int, int]:
        """How often each was answered."""
        return {one.transport.getPeer().port: one.served for one in self.site.crowd.connections}

    def close(self) -> None:
        """All of it."""
        self.port.stopListening()
        for connection in self.site.crowd.connections:
            connection.abort()
        while self.site.crowd.connections or self.port.connected:
            self.reactor.iterate(0)
        for caller in self.sockets.values():
            caller.close()
        for reader in self.reactor.removeAll():
            reader.connectionLost(Failure(ConnectionDone()))
        self.reactor._poller.close()


def test_a_site_with_many_callers_reads_them_in_portions() -> None:
    """Each who asks again at once is answered again after everybody has been answered."""
    with closing(Callers(LEAST + MORE)) as callers:
        callers.ask(callers.sockets)
        while not all(callers.answered().values()):
            callers.reactor.iterate(0)
        callers.ask(callers.sockets)
        callers.reactor.iterate(0)
        first = [caller for caller, count in callers.answered().items() if count > 1]
        assert len(first) == LEAST
        callers.ask(first)
        callers.reactor.iterate(0)
        assert sorted(callers.answered().values()) == [2] * (2 * MORE) + [3] * (LEAST - MORE)


class Known:
    """What a crowd asks of a connection."""

    def __init__(self, bare: socket.socket, *, served: int, connected_at: float) -> None:
        self.bare, self.served, self.deadline = bare, served, connected_at + SLOW


def test_who_has_just_connected_is_not_put_off() -> None:
    """They have waited in the listening socket's queue, and are read with those who came with them."""
    clock = Clock()
    crowd: Any = Crowd(clock, "api", most=9, most_from=None, max_body=9)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        crowd.connections = {Known(ours, served=0, connected_at=0.0), Known(theirs, served=1, connected_at=0.0)}
        assert crowd.descriptors() == {theirs.fileno()}
        clock.advance(NEW + 0.1)
        assert crowd.descriptors() == {ours.fileno(), theirs.fileno()}

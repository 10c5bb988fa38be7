"""Where many have spoken at once a turn reads a part of them, and who has waited longest is read first."""

import socket
from contextlib import closing
from typing import Any

import pytest
from twisted.internet.task import Clock

from gatewayd.http.connection import SLOW
from gatewayd.http.crowd import NEW, Crowd
from gatewayd.http.portions import LEAST, PARTS, Portions
from own_reactor import OwnReactor

READABLE = 1
STORE = 7
FIRST_CALLER = 100
MORE = 50


class World:
    """Portions of callers who all have spoken, and a store that has replied."""

    def __init__(self, callers: int) -> None:
        self.callers = list(range(FIRST_CALLER, FIRST_CALLER + callers))
        self.portions = Portions(lambda: set(self.callers))

    def turn(self) -> list[int]:
        """Whom this turn reads."""
        found = [*self.callers, STORE]
        later = self.portions.later([(descriptor, READABLE) for descriptor in found])
        read = [descriptor for descriptor in found if descriptor not in later]
        assert read.pop() == STORE
        return read


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


def test_a_site_with_many_callers_reads_them_in_portions() -> None:
    """Each who asks again at once is answered again after everybody has been answered."""
    with closing(OwnReactor()) as own:
        callers = own.callers(LEAST + MORE)
        callers.all_are_answered()
        callers.ask(callers.sockets)
        own.reactor.iterate(0)
        first = [caller for caller, count in callers.answered().items() if count > 1]
        assert len(first) == LEAST
        callers.ask(first)
        own.reactor.iterate(0)
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

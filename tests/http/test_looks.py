"""Between a reactor and its epoll object stands one object, for all who need to, and for as long as they do."""

import select
from collections.abc import Collection, Iterable
from contextlib import closing
from itertools import permutations, product
from typing import Any

import pytest
from twisted.internet.task import Clock

from gatewayd.http.looks import Events, Looks, leave, measure, put_off
from gatewayd.http.portions import LEAST
from own_reactor import OwnReactor

READABLE = 1
FOUND = [(7, READABLE), (8, READABLE), (9, READABLE)]
MOST = 50


class Epoll:
    """An epoll object, and its reactor's time: it takes a second for an answer that it has to wait for."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.has: list[Events] = []
        self.asked: list[tuple[float, int]] = []
        self.registered: list[int] = []

    def poll(self, timeout: float, most: int) -> Events:
        """What is there in its turn."""
        self.asked.append((timeout, most))
        if timeout:
            self.clock.advance(1)
        return self.has.pop(0)

    def register(self, descriptor: int) -> None:
        """Look at it, too."""
        self.registered.append(descriptor)


class Reactor:
    """As much of one as matters here."""

    def __init__(self) -> None:
        self.epoll = Epoll()
        self._poller: Any = self.epoll
        self.seconds = self.epoll.clock.seconds

    def look(self, *has: Events, timeout: float = 3.0) -> Events:
        """One look, where the epoll object has this."""
        self.epoll.has += has
        found: Events = self._poller.poll(timeout, MOST)
        assert not self.epoll.has
        return found


class Part:
    """Measures, or puts off some."""

    def __init__(self, *puts_off: int) -> None:
        self.puts_off = puts_off
        self.found: list[Events] = []
        self.heard: list[tuple[float, float, float]] = []
        self.heard_left: list[set[int]] = []

    def looked(self, asked: float, slept: float, returned: float) -> None:
        """See Measuring."""
        self.heard.append((asked, slept, returned))

    def left(self, descriptors: Iterable[int]) -> None:
        """See Measuring."""
        self.heard_left.append(set(descriptors))

    def later(self, found: Events) -> Collection[int]:
        """See PuttingOff."""
        self.found.append(found)
        return self.puts_off


def test_who_measures_hears_of_each_look_whether_anything_was_there_when_it_began() -> None:
    """How long the kernel took does not say that, where this process had to wait for the processor."""
    reactor, part = Reactor(), Part()
    assert measure(reactor, part)
    assert reactor.look(FOUND) == FOUND
    assert reactor.look([], FOUND) == FOUND
    assert reactor.look([], timeout=0) == []
    assert part.heard == [(0.0, 0.0, 0.0), (0.0, 3.0, 1.0), (1.0, 0.0, 1.0)]
    assert reactor.epoll.asked == [(0, MOST), (0, MOST), (3.0, MOST), (0, MOST)]


def test_where_nobody_measures_the_kernel_is_asked_once() -> None:
    """As the reactor asks."""
    reactor = Reactor()
    assert put_off(reactor, Part())
    assert reactor.look(FOUND) == FOUND
    assert reactor.epoll.asked == [(3.0, MOST)]


def test_in_which_order_they_come_and_go_does_not_matter() -> None:
    """Each who puts off sees all that was found, who measures hears of all that is put off, and one object stands."""
    for coming, going in product(permutations(range(4)), repeat=2):
        reactor, parts = Reactor(), [Part(), Part(), Part(7), Part(9)]
        for number in coming:
            assert (measure if number < 2 else put_off)(reactor, parts[number])
            assert reactor._poller.poller is reactor.epoll
        for gone, number in enumerate(going):
            there = [parts[one] for one in going[gone:]]
            later = {descriptor for part in there for descriptor in part.puts_off}
            assert reactor.look(FOUND) == [event for event in FOUND if event[0] not in later]
            for part in parts[:2]:
                assert part not in there or not later or part.heard_left[-1] == later
            leave(reactor, parts[number])
        assert [len(part.heard) for part in parts[:2]] == [going.index(0) + 1, going.index(1) + 1]
        assert [part.found for part in parts[2:]] == [[FOUND] * (going.index(number) + 1) for number in (2, 3)]
        assert reactor._poller is reactor.epoll


def test_all_else_is_the_epoll_objects_own() -> None:
    """Such as which descriptors it looks at."""
    reactor = Reactor()
    measure(reactor, Part())
    reactor._poller.register(5)
    assert reactor.epoll.registered == [5]


def test_who_is_not_there_can_leave() -> None:
    """Nothing changes, whether somebody else is there or not."""
    reactor, part = Reactor(), Part()
    leave(reactor, part)
    assert reactor._poller is reactor.epoll
    measure(reactor, part)
    leave(reactor, Part())
    assert isinstance(reactor._poller, Looks)


def test_a_reactor_without_an_epoll_object_is_left_as_it_is() -> None:
    """And who came hears that they hear nothing."""
    reactor: Any = Clock()
    assert not measure(reactor, Part())
    assert not put_off(reactor, Part())
    leave(reactor, Part())
    assert not hasattr(reactor, "_poller")


def test_a_poll_object_is_asked_in_other_words_and_left_alone() -> None:
    """`twistd -r poll` could not turn once: the object between them was not asked for a number."""
    reactor: Any = Clock()
    reactor._poller = poller = select.poll()
    assert not measure(reactor, Part())
    assert not put_off(reactor, Part())
    leave(reactor, Part())
    assert reactor._poller is poller


@pytest.mark.parametrize("first", [0, 1])
def test_sites_with_many_callers_share_one_that_goes_with_the_last(first: int) -> None:
    """Also where one of them stops and another takes its place, whichever of them that is."""
    many = LEAST + 1
    with closing(OwnReactor()) as own:
        sites = [own.callers(many), own.callers(many)]
        standing = own.reactor._poller
        assert isinstance(standing, Looks)
        sites.pop(first).close()
        sites.append(own.callers(many))
        assert own.reactor._poller is standing
        assert standing.poller is own.epoll
        for callers in sites:
            callers.all_are_answered()
            assert own.reactor._poller is standing
            callers.close()
        assert own.reactor._poller is own.epoll

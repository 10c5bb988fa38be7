"""How long what is found readable on a unix socket may have waited: by when the reactor looked before."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from gatewayd.http.polls import AT_ONCE, OVERSLEPT, Polls, watch_polls


class Poller:
    """An epoll object whose answer takes its time."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.takes = 0.0
        self.registered: list[int] = []

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        """One thing can be read."""
        self.clock.advance(self.takes)
        return [(most, 1)]

    def register(self, descriptor: int) -> None:
        """Look at it, too."""
        self.registered.append(descriptor)


def waited(*turns: tuple[float, float, float]) -> float:
    """Seconds after some turns of the reactor, each: the time-out, what the kernel took, what the turn took then."""
    poller = Poller()
    polls = Polls(poller, poller.clock.seconds)
    longest = 0.0
    for timeout, takes, turn in turns:
        poller.takes = takes
        assert polls.poll(timeout, 7) == [(7, 1)]
        longest = polls.longest_wait()
        poller.clock.advance(turn)
    return longest


@pytest.mark.parametrize(
    ("turns", "longest"),
    [
        # It was there when the kernel was asked, so it came in the turn before.
        ([(1, 0.5, 2.0), (0, 0.0, 0)], 2.0),
        ([(1, 0.5, 2.0), (0.3, AT_ONCE / 2, 0)], 2.0 + AT_ONCE / 2),
        ([(1, 0.5, 2.0), (0, 0.2, 0)], 2.2),
        # We waited for it.
        ([(1, 0.5, 2.0), (1, 0.9, 0)], 0.0),
        ([(1, 0.5, 2.0), (1, 1.0 + OVERSLEPT, 0)], 0.0),
        ([(1, 0.5, 2.0), (-1, 900.0, 0)], 0.0),
        # The kernel would have answered by its time-out, had we not been stopped.
        ([(1, 0.5, 2.0), (1, 9.0, 0)], 8.0),
    ],
)
def test_what_is_read_may_have_waited_since_the_kernel_was_asked_before(
    turns: list[tuple[float, float, float]], longest: float
) -> None:
    """Or since the reactor's wait for it ended, or should have."""
    assert waited(*turns) == pytest.approx(longest)


def test_everything_else_is_asked_of_the_epoll_object() -> None:
    """One stands in between, however many listeners there are; a reactor without one is left alone."""

    class Reactor:
        def __init__(self, poller: Any) -> None:
            self._poller = poller
            self.seconds = Clock().seconds

    poller = Poller()
    reactor = Reactor(poller)
    polls = watch_polls(reactor)
    assert watch_polls(reactor) is polls is reactor._poller
    reactor._poller.register(5)
    assert poller.registered == [5]
    assert watch_polls(Reactor(None)) is None

"""How long what is found readable on a unix socket may have waited: by when the reactor looked before."""

from collections.abc import Sequence

import pytest

from gatewayd.http.polls import OVERSLEPT, Polls

NOW = 1000.0
PORT, NEWCOMER, CALLER = 3, 4, 5

Turn = tuple[float, float, float]
"""For how long the kernel was to wait for something, what that took, and what the turn took then: in seconds."""


class World:
    """Polls of a reactor whose turns take what they take."""

    def __init__(self) -> None:
        self.now = NOW
        self.polls = Polls(self.now)

    def look(self, slept: float, took: float) -> None:
        """One look of the reactor."""
        asked, self.now = self.now, self.now + took
        self.polls.looked(asked, slept, self.now)

    def waited(self, descriptor: int = CALLER) -> float:
        """Seconds for which what is read now may have waited."""
        return pytest.approx(self.now - self.polls.came_at(descriptor))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("turns", "longest"),
    [
        # It was there when the kernel was asked, so it came in the turn before.
        ([(1, 0.5, 2.0), (0, 0.0, 0)], 2.0),
        ([(1, 0.5, 2.0), (0, 0.2, 0)], 2.2),
        ([(1, 0.5, 2.0), (0, 9.0, 0)], 11.0),
        ([(1, 0.5, 0.1), (0, 9.0, 0.1), (0, 0.0, 0)], 9.1),
        # We waited for it.
        ([(1, 0.5, 2.0), (1, 0.9, 0)], 0.0),
        ([(1, 0.5, 2.0), (1, 0.002, 0)], 0.0),
        ([(1, 0.5, 2.0), (1, 1.0 + OVERSLEPT, 0)], 0.0),
        ([(1, 0.5, 2.0), (-1, 900.0, 0)], 0.0),
        # The kernel would have answered by its time-out, had we not been stopped: here, or with nothing, and now.
        ([(1, 0.5, 2.0), (1, 9.0, 0)], 9.0),
        ([(1, 9.0, 0.1), (0, 0.0, 0)], 9.1),
        ([(1, 9.0, 0.1), (0, 0.0, 0.3), (0, 0.0, 0)], 0.3),
    ],
)
def test_what_is_read_may_have_waited_since_the_kernel_was_asked_before(turns: Sequence[Turn], longest: float) -> None:
    """Or since the reactor's wait for it ended, but where that was cut short by a stop."""
    world = World()
    for slept, took, turn in turns:
        world.look(slept, took)
        found = world.waited()
        world.now += turn
    assert found == longest


def test_who_is_left_keeps_their_time() -> None:
    """For the turn that reads them, and not for a later one, when they have spoken again."""
    world = World()
    world.now += 3
    world.look(0, 0)
    world.polls.left([CALLER])
    world.now += 1
    world.look(0, 0)
    assert (world.waited(), world.waited(PORT)) == (4.0, 1.0)
    world.polls.left([CALLER])
    world.look(0, 0)
    assert (world.waited(), world.waited(PORT)) == (4.0, 0.0)
    world.look(0, 0)
    assert world.waited() == 0.0


def test_what_a_newcomer_said_may_be_as_old_as_what_their_port_was_found_by() -> None:
    """The look that finds it is the first one after they were fetched, in whichever turn that was."""
    world = World()
    world.now += 3
    world.look(0, 0)
    world.polls.left([PORT])
    world.look(0, 0)
    assert world.now - world.polls.fetched(NEWCOMER, PORT) == 3.0
    assert world.waited(NEWCOMER) == 0.0
    world.look(0, 0)
    assert (world.waited(NEWCOMER), world.waited(PORT)) == (3.0, 0.0)
    world.look(0, 0)
    assert world.waited(NEWCOMER) == 0.0

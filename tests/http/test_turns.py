"""Requests that can't all be begun in one turn: first come, first begun, and nobody waits past the site's patience."""

from twisted.internet.task import Clock

from gatewayd.http.turns import FEW, PRESSED, SHARE, Turns

PATIENCE = 2.5
NOW = 1_790_000_000.0
MANY = FEW + 1


class World:
    """Turns by a clock that only beginning a request moves on."""

    def __init__(self, cost: float = SHARE / 4) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.cost = cost
        self.turns = Turns(self.clock, PATIENCE)
        self.begun: list[str] = []
        self.sent_away: list[str] = []

    def ask(self, name: str, in_flight: int = MANY, age: float = 0.0) -> None:
        """One more request."""
        self.turns.in_flight = in_flight - 1
        self.turns.join(Asked(self, name, self.clock.seconds() - age))

    def a_turn_later(self, seconds: float = 0.0) -> None:
        """The reactor's next turn."""
        self.clock.advance(seconds)


class Asked:
    """A request whose beginning takes its time."""

    def __init__(self, world: World, name: str, came_at: float) -> None:
        self.came_at = came_at
        self._world = world
        self._name = name

    def begin(self) -> None:
        """See InLine."""
        self._world.begun.append(self._name)
        self._world.clock.rightNow += self._world.cost

    def turn_away(self) -> None:
        """See InLine."""
        self._world.sent_away.append(self._name)


def test_a_turn_begins_what_it_has_time_for_and_the_next_goes_on_in_order() -> None:
    """Nobody overtakes who waits already."""
    world = World()
    for name in "abcdef":
        world.ask(name)
    assert world.begun == list("abcd")
    world.ask("g", in_flight=1)
    assert world.begun == list("abcd")
    world.a_turn_later()
    assert world.begun == list("abcdefg")
    assert world.sent_away == []


def test_where_little_is_in_flight_nobody_looks_at_the_time() -> None:
    """And no timer is set."""
    world = World(cost=SHARE)
    for name in "abc":
        world.ask(name, in_flight=FEW - 1)
    assert world.begun == list("abc")
    assert world.clock.getDelayedCalls() == []


def test_who_has_waited_for_too_long_is_turned_away_unbegun() -> None:
    """In the kernel's queue or in ours."""
    world = World()
    world.ask("old", in_flight=1, age=PATIENCE + 0.1)
    assert (world.begun, world.sent_away) == ([], ["old"])
    for name in "abcdef":
        world.ask(name)
    world.a_turn_later(PATIENCE + 0.1)
    assert (world.begun, world.sent_away) == (list("abcd"), ["old", "e", "f"])


def test_nobody_joins_a_line_in_which_they_would_wait_for_too_long() -> None:
    """They are told at once; the line goes on, and takes newcomers again."""
    world = World(cost=SHARE)
    for name in "abc":
        world.ask(name)
    world.clock.rightNow += PATIENCE * PRESSED + 0.01
    assert world.turns.are_pressed(world.clock.seconds())
    world.ask("late", in_flight=1)
    assert (world.begun, world.sent_away) == (["a"], ["late"])
    world.a_turn_later()
    world.a_turn_later()
    assert world.begun == list("abc")
    assert not world.turns.are_pressed(world.clock.seconds())
    world.ask("d", in_flight=1)
    assert world.begun == list("abcd")

"""Requests that can't all be begun in one turn: first come, first begun, and nobody waits past the site's patience."""

import pytest
from twisted.internet.task import Clock

from gatewayd.http.turns import FEW, LONG, MOST_A_TURN, PRESSED, SHARE, TURNS_TO_ANSWER, TURNS_TO_BEGIN, Turns

PATIENCE = 2.5
NOW = 1_790_000_000.0
MANY = FEW + 1


class World:
    """Turns by a clock that only beginning a request moves on."""

    def __init__(self, cost: float = SHARE / 4, refusal: float = 0.0) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.cost, self.refusal = cost, refusal
        self.turns = Turns(self.clock, PATIENCE)
        self.begun: list[str] = []
        self.sent_away: list[str] = []

    def ask(self, name: str, in_flight: int = MANY, age: float = 0.0) -> None:
        """One more request."""
        self.turns.in_flight = in_flight - 1
        self.turns.join(Asked(self, name, self.clock.seconds() - age))

    def a_long_turn(self, seconds: float, *asked: "Asked") -> list[str]:
        """One that took so long, at whose end these stand in the line; who of them was begun."""
        before = len(self.begun)
        self.turns._line.extend(asked)
        self.turns._turn_ends = self.clock.seconds() + SHARE - seconds
        self.turns._next()
        self.clock.calls.clear()
        return self.begun[before:]

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
        self._world.clock.rightNow += self._world.refusal


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


def test_all_who_have_waited_for_too_long_are_turned_away_in_one_turn() -> None:
    """However long that takes: where thousands are connected a turn is long, and each of them has waited already."""
    world = World(refusal=SHARE)
    for name in "abcdefgh":
        world.ask(name)
    world.a_turn_later(PATIENCE + 0.1)
    assert (world.begun, world.sent_away) == (list("abcd"), list("efgh"))


def test_a_turn_begins_no_more_than_can_be_ended_soon() -> None:
    """Beginning is the least part of what each of them takes."""
    world = World(cost=0.0)
    for number in range(MOST_A_TURN + 5):
        world.ask(str(number))
    assert len(world.begun) == MOST_A_TURN
    world.a_turn_later()
    assert len(world.begun) == MOST_A_TURN + 5


def test_where_turn_after_turn_is_long_nobody_is_begun_who_could_not_be_answered_in_time() -> None:
    """What is begun needs some turns more: there is no time for who has waited already. One long turn is a burst."""
    world = World()
    turn = LONG + PATIENCE / (2 * TURNS_TO_BEGIN)
    for age in (PATIENCE / 2 + 0.1, PATIENCE / 2 - 0.1):
        asked = [Asked(world, name, NOW) for name in ("burst", "old")]
        for one in asked:
            one.came_at = world.clock.seconds() - age
        world.turns.in_flight = MANY
        assert (world.a_long_turn(turn, asked[0]), world.turns.late) == (["burst"], 0)
        late = world.a_long_turn(turn, asked[1])
        assert late == (["old"] if age < PATIENCE / 2 else [])
        assert world.turns.late == pytest.approx(TURNS_TO_ANSWER * (turn - LONG))
        world.a_long_turn(0.0)
        assert world.turns.late == 0

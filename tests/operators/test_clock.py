"""The daemon's clock, on a wall clock and a monotonic one that the test sets."""

import pytest
from twisted.internet.base import ReactorBase
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from gatewayd.operators.clock import FOLLOW, SteadyClock, WallWatch, set_clock


class Clocks:
    """Both, as the operating system has them."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.monotonic = 50.0
        self.steady = SteadyClock(lambda: self.monotonic, lambda: self.wall)

    def passes(self, seconds: float) -> None:
        """Time goes on for both."""
        self.wall += seconds
        self.monotonic += seconds


@pytest.mark.parametrize("jump", [-3600.0, -60.0, 60.0, 3600.0])
def test_a_wall_clock_that_is_set_changes_no_time_span(jump: float) -> None:
    """Ten seconds are ten seconds; the jump is told once, and followed by a twentieth of what passes."""
    clocks = Clocks()
    assert clocks.steady.seconds() == 1_000_000
    clocks.passes(1)
    assert clocks.steady.follow() == 0
    clocks.wall += jump
    before = clocks.steady.seconds()
    assert clocks.steady.follow() == pytest.approx(jump)
    jumps = []
    for _ in range(10):
        clocks.passes(1)
        jumps.append(clocks.steady.follow())
    assert jumps == [0] * 10
    went = clocks.steady.seconds() - before
    assert went == pytest.approx(10 + FOLLOW * 10 * (1 if jump > 0 else -1), abs=0.11)
    for _ in range(100_000):
        clocks.passes(1)
        clocks.steady.follow()
    assert clocks.steady.seconds() == pytest.approx(clocks.wall)


def test_it_never_goes_back() -> None:
    """Not even where the monotonic clock does."""
    clocks = Clocks()
    clocks.passes(10)
    before = clocks.steady.seconds()
    clocks.monotonic -= 5
    assert clocks.steady.seconds() == before
    clocks.monotonic += 1
    assert clocks.steady.seconds() == before + 1


def test_a_reactors_timers_go_by_it() -> None:
    """The wall clock is set back by an hour: what was to come in a second comes in a second."""
    clocks = Clocks()
    reactor = _Reactor()
    set_clock(reactor, clocks.steady)
    fired: list[str] = []
    reactor.callLater(1.0, fired.append, "it")
    clocks.wall -= 3600
    clocks.passes(1.01)
    reactor.runUntilCurrent()
    assert fired == ["it"]


class _Reactor(ReactorBase):
    """Twisted's own timers, without sockets."""

    def installWaker(self) -> None:
        """There is nobody to wake."""


def test_a_jump_is_in_the_log_once() -> None:
    """With its direction and size; and what goes by the time of day is told once."""
    clocks, clock = Clocks(), Clock()
    heard: list[float] = []
    watch = WallWatch(clock, clocks.steady, lambda: heard.append(clocks.wall))
    with capturedLogs() as told:
        watch.startService()
        clocks.wall -= 600
        clock.pump([1.0] * 5)
        watch.stopService()
    lines = [formatEvent(event) for event in told]
    assert lines == ["this host's clock was set back by 600.0 s: timers go on as before"]
    assert heard == [1_000_000 - 600]
    assert clock.getDelayedCalls() == []

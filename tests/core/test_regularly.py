"""What is done every few seconds for as long as we run."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from gatewayd.core.regularly import Regularly


def test_one_at_a_time_and_none_after_the_end() -> None:
    """The next waits for the one before; the end cancels what is under way, and leaves no timer."""
    clock = Clock()
    begun: list[Deferred[None]] = []

    async def look() -> None:
        begun.append(Deferred())
        await begun[-1]

    looks = Regularly(clock, 5.0, look, "looking")
    looks.startService()
    clock.pump([5.0] * 3)
    assert len(begun) == 1
    begun[0].callback(None)
    clock.pump([5.0] * 3)
    assert len(begun) == 2
    looks.stopService()
    assert begun[1].called
    clock.pump([5.0] * 3)
    assert len(begun) == 2
    assert clock.getDelayedCalls() == []


def test_what_is_to_be_finished_is_waited_for() -> None:
    """The end comes with the end of what is under way, and nothing is begun behind it."""
    clock = Clock()
    begun: list[Deferred[None]] = []

    async def keep() -> None:
        begun.append(Deferred())
        await begun[-1]

    keeps = Regularly(clock, 5.0, keep, "keeping", finishes=True)
    keeps.startService()
    ended: list[None] = []
    keeps.stopService().addCallback(ended.append)
    clock.pump([5.0] * 3)
    assert ended == []
    begun[0].callback(None)
    assert ended == [None]
    clock.pump([5.0] * 3)
    assert len(begun) == 1


def test_what_need_not_be_done_at_once_is_done_after_the_first_interval() -> None:
    """And plain functions may be done so, too."""
    clock = Clock()
    done: list[float] = []
    chores = Regularly(clock, 5.0, lambda: done.append(clock.seconds()), "chores", at_once=False)
    chores.startService()
    clock.pump([1.0] * 11)
    chores.stopService()
    assert done == [5, 10]


def test_a_failure_is_said_once_and_ends_nothing() -> None:
    """What the work did not answer for: it is done again, and what fails anew after it has worked is said anew."""
    clock = Clock()
    looked: list[float] = []

    async def look() -> None:
        looked.append(clock.seconds())
        if clock.seconds() in (0, 5, 15):
            raise ValueError("odd")

    looks = Regularly(clock, 5.0, look, "looking at Redis")
    with capturedLogs() as events:
        looks.startService()
        clock.pump([5.0] * 4)
        looks.stopService()
    assert looked == [0, 5, 10, 15, 20]
    words = "a bug: looking at Redis failed; it goes on every 5 s; said once until it works again"
    assert [formatEvent(event) for event in events] == [words, words]
    assert events[0]["log_failure"].type is ValueError

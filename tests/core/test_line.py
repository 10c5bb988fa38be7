"""The one queue of Deferreds: order, time limit, and an exception for each who waits."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from gatewayd.core.line import Line


class Late(Exception):
    """Waited too long."""


def line(clock: Clock) -> Line[int]:
    """A line whose patience is five seconds."""
    return Line(clock, 5.0, Late)


def ended(waiting: Deferred[int]) -> list[type[BaseException]]:
    """Will hold the kind of exception that it ends with."""
    seen: list[type[BaseException]] = []
    waiting.addErrback(lambda failure: seen.append(failure.type))
    return seen


def test_the_first_to_come_is_served_first() -> None:
    """In the order of asking, those who ask ahead before all others, each once; then nobody waits."""
    queue, got = line(Clock()), []
    for name, ahead in (("a", False), ("b", False), ("c", True), ("d", True)):
        queue.join(ahead=ahead).addCallback(lambda thing, name=name: got.append((name, thing)))
    assert len(queue) == 4
    assert [queue.serve(number) for number in range(5)] == [True] * 4 + [False]
    assert got == [("c", 0), ("d", 1), ("a", 2), ("b", 3)]


def test_who_is_cancelled_has_left() -> None:
    """A cancelled waiter is not counted any more, and what is served goes to the next."""
    queue = line(Clock())
    gone, stays = queue.join(), queue.join()
    end = ended(gone)
    gone.cancel()
    assert end == [CancelledError]
    assert len(queue) == 1
    assert queue.serve(7)
    assert stays.result == 7


def test_nobody_waits_longer_than_the_limit() -> None:
    """Each is sent away at their own moment, to the second, whoever was served or left before them."""
    clock = Clock()
    queue = line(clock)
    served, first = queue.join(), ended(queue.join())
    clock.advance(2)
    second, ahead = ended(queue.join()), queue.join(ahead=True)
    assert queue.serve(1)
    assert ahead.result == 1
    assert queue.serve(2)
    assert served.result == 2
    clock.advance(2.9)
    assert first == []
    clock.advance(0.2)
    assert (first, second) == ([Late], [])
    clock.advance(2)
    assert second == [Late]
    assert clock.getDelayedCalls() == []


def test_without_a_limit_no_timer_runs() -> None:
    """A line without patience leaves the clock alone."""
    clock = Clock()
    queue: Line[int] = Line(clock)
    queue.join()
    assert clock.getDelayedCalls() == []


def test_each_who_is_sent_away_has_an_exception_of_their_own() -> None:
    """What one of them writes into it, none of the others reads."""
    queue, seen = line(Clock()), []
    for _ in range(3):
        queue.join().addErrback(lambda failure: seen.append(failure.value))
    queue.fail(lambda: Late("gone"))
    assert len({id(error) for error in seen}) == 3
    assert len(queue) == 0


def test_who_is_sent_away_may_come_again() -> None:
    """Who joins anew while others are being sent away, or in the moment of a time-out, waits the full time again."""
    clock = Clock()
    queue, again = line(clock), []
    queue.join().addErrback(lambda _: again.append(queue.join()))
    queue.fail(Late)
    assert len(queue) == 1
    clock.advance(4)
    second = ended(queue.join())
    again[0].addErrback(lambda _: again.append(queue.join()))
    clock.advance(1.1)
    third = ended(again[1])
    clock.advance(3.9)
    assert (second, third) == ([Late], [])
    clock.advance(1.2)
    assert third == [Late]
    assert clock.getDelayedCalls() == []


def test_one_of_those_sent_away_cancels_another() -> None:
    """Then that one has ended already, and is left alone."""
    for send_away in (lambda queue, clock: queue.fail(Late), lambda queue, clock: clock.advance(6)):
        clock = Clock()
        queue = line(clock)
        first, second = queue.join(), queue.join()
        first.addErrback(lambda _, second=second: second.cancel())
        end = ended(second)
        send_away(queue, clock)
        assert end == [CancelledError]

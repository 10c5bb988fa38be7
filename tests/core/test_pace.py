"""The pace of one SMSC, on a clock."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.pace import Pace
from smpp_world import Rates


class Course:
    """Runs a pace on a clock and notes when each place was given."""

    def __init__(self, rate: float, clock: Clock | None = None, rates: Rates | None = None) -> None:
        self.clock = clock or Clock()
        if clock is None:
            self.clock.advance(1000.0)
        self.rates = rates or Rates(self.clock)
        self.pace = Pace(self.clock, "smsc:x", rate, self.rates.reserve, lambda: 0.5)
        self.given: list[float] = []
        self.failures: list[TemporaryFailure] = []

    def ask(self, count: int) -> None:
        """Ask for places."""
        for _ in range(count):
            self.pace.moment().addCallbacks(
                lambda _: self.given.append(self.clock.seconds()), lambda failure: self.failures.append(failure.value)
            )

    def advance(self, seconds: float, step: float = 0.001) -> None:
        """Let time pass."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)


def most_in_a_second(moments: list[float], seconds: float = 1.0) -> int:
    """The fullest second (or other time), wherever it begins."""
    first = most = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_places_are_even() -> None:
    """At 100/s with all the world waiting, places are about ten milliseconds apart, and a second holds about 99."""
    course = Course(100)
    course.ask(1000)
    course.advance(5.0)
    assert 490 <= len(course.given) <= 503
    spaces = [later - earlier for earlier, later in pairwise(course.given[5:])]
    assert min(spaces) > 0.0085
    assert max(spaces) < 0.0125
    assert course.rates.calls <= 5.0 / 0.05 + 5


def test_a_late_process_does_not_make_up_for_it_at_once() -> None:
    """After a stall of half a second no second holds more than 110 %, and the rate goes on."""
    course = Course(100)
    course.ask(2000)
    course.advance(2.0)
    course.clock.advance(0.5)
    course.advance(3.0)
    assert most_in_a_second(course.given) <= 110
    assert len(course.given) > 480
    # A limiter with a small bucket sees three at once, and then one every nine milliseconds.
    assert most_in_a_second(course.given, 0.0085) <= 3


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from([50, 20, 10, 9, 5, 3, 1]),
    st.lists(st.tuples(st.integers(0, 40), st.floats(0.001, 0.4)), min_size=1, max_size=40),
)
def test_no_second_holds_more_than_110_per_cent(rate: int, bursts: list[tuple[int, float]]) -> None:
    """However demand and stalls come, the fullest second is within a tenth of the rate: under 10/s, it is the rate."""
    course = Course(rate)
    for count, pause in bursts:
        course.ask(count)
        course.clock.advance(pause / 2)
        course.advance(pause / 2, step=0.002)
    assert most_in_a_second(course.given) <= rate * 11 // 10


def test_two_processes_share_one_rate() -> None:
    """Two paces on one sequence give the rate together, and each its part."""
    one = Course(100)
    two = Course(100, one.clock, one.rates)
    one.ask(1000)
    two.ask(1000)
    one.advance(5.0)
    assert 480 <= len(one.given) + len(two.given) <= 506
    assert min(len(one.given), len(two.given)) > 150
    assert most_in_a_second(sorted(one.given + two.given)) <= 110


def test_without_a_rate_nobody_waits() -> None:
    """Rate 0 is no limit, and costs no question to the store."""
    course = Course(0)
    course.ask(500)
    assert len(course.given) == 500
    assert course.rates.calls == 0


def test_one_throttling_out_of_the_calm_is_a_hiccup() -> None:
    """A tenth of a second of pause and nine tenths of the rate: within ten seconds it costs two per cent."""
    course = Course(100)
    course.ask(10_000)
    course.advance(2.0)
    given = len(course.given)
    until = course.pace.throttled(course.clock.seconds())
    assert until == pytest.approx(course.clock.seconds() + 0.1)
    assert course.pace.rate_now() == pytest.approx(90)
    course.advance(10.0)
    assert course.pace.rate_now() == 100
    assert len(course.given) - given >= 965


def test_throttled_again_pauses_halves_and_recovers_slowly() -> None:
    """One second of pause, half the rate, two per cent of it won back each second; the rate is whole again in time."""
    course = Course(100)
    course.ask(10_000)
    course.advance(1.0)
    course.pace.throttled(course.clock.seconds())
    course.advance(1.3)
    assert course.pace.rate_now() == 100
    until = course.pace.throttled(course.clock.seconds())
    given = len(course.given)
    assert until == pytest.approx(course.clock.seconds() + 1.0)
    course.advance(0.99)
    assert len(course.given) == given
    course.advance(1.01)
    assert 44 <= len(course.given) - given <= 58
    assert course.pace.rate_now() == pytest.approx(52, abs=1)
    course.advance(26.0, step=0.005)
    assert course.pace.rate_now() == 100


def test_answers_to_submits_from_before_the_pause_say_nothing_new() -> None:
    """A window full of RTHROTTLED slows down once."""
    course = Course(100)
    course.ask(1)
    now = course.clock.seconds()
    until = course.pace.throttled(now)
    for _ in range(19):
        assert course.pace.throttled(now - 0.01) == until
    assert course.pace.rate_now() == pytest.approx(90)
    assert course.pace.throttles == 20


def test_throttled_again_and_again_doubles_the_pause_up_to_thirty_seconds() -> None:
    """0.1, then 1, 2, 4, 8 seconds in the first minute, later 16 and 30; after a calm while it begins anew."""
    course = Course(100)
    pauses = []
    for _ in range(13):
        now = course.clock.seconds()
        pauses.append(course.pace.throttled(now) - now)
        course.clock.advance(pauses[-1] + 0.5)
    assert pauses == pytest.approx([0.1, 1, 2, 4, 8, 8, 8, 8, 8, 8, 16, 30, 30])
    course.clock.advance(60)
    now = course.clock.seconds()
    assert course.pace.throttled(now) - now == pytest.approx(0.1)


def test_a_pause_after_which_something_was_taken_does_not_grow() -> None:
    """A carrier that throttles one in ten wants a lower rate; only one that takes nothing wants a longer silence."""
    course = Course(100)
    pauses = []
    for _ in range(4):
        now = course.clock.seconds()
        pauses.append(course.pace.throttled(now) - now)
        course.pace.accepted(now - 1)
        course.clock.advance(pauses[-1] + 0.5)
        if len(pauses) > 2:
            course.pace.accepted(course.clock.seconds() - 0.1)
    assert pauses == pytest.approx([0.1, 1, 2, 1])


def test_without_a_rate_throttling_finds_one() -> None:
    """Nine tenths of what went out in the last second become the limit, and it is given up as the SMSC bears more."""
    course = Course(0)
    for _ in range(100):
        course.ask(2)
        course.clock.advance(0.01)
    course.pace.throttled(course.clock.seconds())
    assert course.pace.rate_now() == pytest.approx(180, abs=4)
    course.clock.advance(25)
    assert course.pace.rate_now() == 0


def test_an_idle_way_that_was_throttled_for_a_moment_carries_a_campaign_at_once() -> None:
    """Three refusals of one message, and then three hundred more wait: eight seconds later all are written."""
    course = Course(0)
    for _ in range(3):
        course.ask(1)
        until = course.pace.throttled(course.clock.seconds())
        course.advance(until - course.clock.seconds() + 0.01, step=0.01)
    course.ask(300)
    assert course.pace.trouble().startswith("throttled: 2 a second")
    course.advance(8.0, step=0.005)
    assert len(course.given) == 303
    course.advance(5.0, step=0.1)
    assert course.pace.trouble() == ""


def test_the_log_names_a_next_hop_that_means_it() -> None:
    """Once a minute, with how far its pace is down; a hiccup is not worth a line."""
    course = Course(100)
    with capturedLogs() as logs:
        for count in range(8):
            course.pace.throttled(course.clock.seconds())
            course.clock.advance(4.0)
            assert len(logs) == min(count, 1)
    assert formatEvent(logs[0]) == 'smsc:x says "slow down": throttled: 50 of 100 a second, paused for 1.0 s'


def test_who_asks_to_go_ahead_goes_before_all_who_wait() -> None:
    """In the order of asking among themselves; the pace stays what it is."""
    course = Course(10)
    order: list[str] = []
    for name, ahead in (("a", False), ("b", False), ("first", True), ("second", True)):
        course.pace.moment(ahead=ahead).addCallback(lambda _, name=name: order.append(name))
    assert course.pace.waiting == 4 - len(order)
    course.advance(1.0)
    assert order in (["first", "second", "a", "b"], ["a", "first", "second", "b"])
    assert course.pace.waiting == 0


def test_who_waits_can_be_sent_away() -> None:
    """A failure reaches everyone who waits, and nobody twice."""
    course = Course(1)
    course.ask(5)
    course.advance(0.5)
    course.pace.fail_waiting(lambda: TemporaryFailure("stop"))
    assert (len(course.given), len(course.failures)) == (1, 4)
    course.pace.stop()
    assert course.clock.getDelayedCalls() == []


def test_a_store_that_is_down_sends_them_away() -> None:
    """Whoever waits when the store gives no place is told when to come again."""
    course = Course(100)
    course.rates.down = True
    course.ask(3)
    assert [failure.counts for failure in course.failures] == [False] * 3
    course.rates.down = False
    course.ask(1)
    course.advance(0.1)
    assert len(course.given) == 1


def test_a_slow_store_does_not_slow_the_pace() -> None:
    """With 20 ms for each question the rate is still met: the next places are asked for before they are needed."""
    course = Course(100)
    quick = course.rates.reserve

    async def slow(bucket: str, slots: int, interval: float, burst: float) -> float:
        first = await quick(bucket, slots, interval, burst)
        waiting: Deferred[None] = Deferred()
        course.clock.callLater(0.02, waiting.callback, None)
        await waiting
        return first

    course.pace._reserve = slow
    course.ask(1000)
    course.advance(5.0)
    assert 480 <= len(course.given) <= 503

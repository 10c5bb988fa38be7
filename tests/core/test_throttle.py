"""How far a pace is down after "slow down", and how soon it is back: pure, against a next hop that counts."""

from collections import deque

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gatewayd.core.found_pace import FoundPace
from gatewayd.core.throttle import Throttle

START = 1000.0
STEP = 0.005


class Hop:
    """A next hop that bears `limit` a second, with `latency` and ten at a time, asked as fast as the throttle lets."""

    def __init__(self, limit: float, latency: float, rate: float = 0.0) -> None:
        self.throttle = Throttle(rate)
        self.accepted = self.refused = 0
        self._limit = limit
        self._latency = latency
        self._under_way: deque[tuple[float, bool]] = deque()
        self._written: deque[float] = deque()
        self._tokens, self._next, self.now = 1.0, START, START

    def ask(self, seconds: float) -> None:
        """For so long there is always something to send."""
        end = self.now + seconds
        while self.now < end:
            self._hear()
            rate = self.throttle.rate_now(self.now)
            self._tokens = min(max(1.0, self._limit / 10), self._tokens + STEP * self._limit)
            while self.now >= max(self.throttle.paused_until, self._next) and len(self._under_way) < 10:
                self._write()
                if rate:
                    self._next = self.now + 1 / rate
            self.now += STEP

    def _write(self) -> None:
        takes = self._tokens >= 1.0
        self._tokens -= takes
        self._under_way.append((self.now, takes))
        self._written.append(self.now)

    def _hear(self) -> None:
        while self._under_way and self._under_way[0][0] <= self.now - self._latency:
            written_at, taken = self._under_way.popleft()
            self.accepted += taken
            self.refused += not taken
            if taken:
                self.throttle.accepted(written_at)
            else:
                self.throttle.slow_down(self.now, written_at, self._in_last_second(), 0.5)

    def _in_last_second(self) -> int:
        while self._written and self._written[0] <= self.now - 1.0:
            self._written.popleft()
        return len(self._written)


def seconds_until(throttle: Throttle, now: float, rate: float) -> float:
    """How long it takes from `now` on until the limit is `rate` or none, if nothing more is refused."""
    for tenths in range(2000):
        limit = throttle.rate_now(now + tenths / 10)
        if not limit or limit >= rate:
            return tenths / 10
    raise AssertionError(limit)


def refused_on_an_idle_way(throttle: Throttle, times: int) -> float:
    """One message is refused so often, each time that the throttle lets it go; the moment of the last pause's end."""
    now = START
    for _ in range(times):
        throttle.slow_down(now, now, 1, 0.5)
        now = throttle.paused_until
    return now


@pytest.mark.parametrize("times", range(1, 6))
def test_a_few_refusals_of_an_idle_way_are_no_limit(times: int) -> None:
    """What an idle way carried lately was nothing: three hundred are away within seven seconds of the last pause."""
    throttle = Throttle(0.0)
    now = refused_on_an_idle_way(throttle, times)
    assert sum(throttle.rate_now(now + tenths / 10) / 10 for tenths in range(70)) >= 300
    assert seconds_until(throttle, now, 100.0) <= 6.0
    assert throttle.rate_now(now + 10.0) == 0.0


def test_a_loaded_way_goes_on_just_below_what_it_carried() -> None:
    """Refused at three hundred a second, it goes on at nine tenths; nothing accepted since, it begins small."""
    throttle = Throttle(0.0)
    throttle.slow_down(START, START, 300, 0.5)
    assert throttle.rate_now(START + 0.1) == pytest.approx(270)
    throttle.slow_down(START + 0.2, START + 0.15, 320, 0.5)
    assert throttle.rate_now(throttle.paused_until) == 2.0
    assert 5.0 < seconds_until(throttle, throttle.paused_until, 270.0) < 9.0


def test_no_pause_is_above_ten_seconds_during_the_first_minute() -> None:
    """It doubles up to eight, and after a minute in which nothing was accepted up to thirty."""
    throttle, now, pauses = Throttle(0.0), START, []
    while len(pauses) < 14:
        throttle.slow_down(now, now, 1, 1.0)
        pauses.append((now - START, throttle.paused_until - now))
        now = throttle.paused_until
    assert all(pause <= 10.0 for since, pause in pauses if since < 60.0)
    assert pauses[-1][1] == pytest.approx(37.5)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0]),
    st.sampled_from([0.02, 0.1, 0.5, 2.0]),
)
@example(5.0, 0.02)
@example(0.5, 0.5)
def test_what_bears_less_is_not_flooded(limit: float, latency: float) -> None:
    """In two minutes under load fewer than a hundred are refused, and what it bears goes to it, latency allowing."""
    hop = Hop(limit, latency)
    hop.ask(120.0)
    assert hop.refused < 100
    assert hop.accepted / 120.0 >= 0.4 * min(limit, 10.0 / latency)


def test_who_waits_is_told_by_the_pace_as_it_will_be() -> None:
    """Forty behind a pace of two a second, which doubles, wait five seconds and not twenty; none changes for asking."""
    throttle = Throttle(0.0)
    throttle.slow_down(START, START, 40, 0.5)
    throttle.slow_down(START + 0.2, START + 0.15, 40, 0.5)
    assert throttle.rate_now(START + 1.2) == 2.0
    assert 4.0 < throttle.seconds_for(START + 1.2, 40) < 6.5
    assert throttle.seconds_for(START + 0.2, 40) == pytest.approx(throttle.seconds_for(START + 1.2, 40) + 1.0)
    assert throttle.seconds_for(START + 1.2, 100_000) < 40.0
    assert throttle.rate_now(START + 1.2) == 2.0
    rated = Throttle(10.0)
    rated.slow_down(START, START, 10, 0.5)
    assert rated.seconds_for(START + 0.1, 100) == pytest.approx(10.0, abs=0.3)
    assert rated.rate_now(START + 0.1) == pytest.approx(9.0)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.floats(0.0, 40.0), st.floats(0.0, 3.0), st.integers(0, 3000), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_whatever_came_before_the_pace_is_back(history: list[tuple[float, float, int, bool]]) -> None:
    """After the last refusal's pause there is no limit any more within forty seconds, and it never falls meanwhile."""
    throttle, now = Throttle(0.0), START
    for wait, latency, carried, accepted in history:
        now = max(now, throttle.paused_until) + wait
        if accepted:
            throttle.accepted(now)
        throttle.slow_down(now + latency, now, carried, 0.5)
        now += latency
    end = throttle.paused_until
    limits = [throttle.rate_now(end + second) for second in range(41)]
    assert limits[-1] == 0.0
    while_limited = [limit for limit in limits if limit]
    assert while_limited == sorted(while_limited)


@settings(deadline=None, max_examples=30)
@given(st.floats(0.1, 1000.0), st.integers(1, 30))
def test_a_configured_rate_is_back_within_fifty_seconds(rate: float, times: int) -> None:
    """However often it was refused, and no moment is reserved longer than five seconds ahead where the rate allows."""
    throttle = Throttle(rate)
    now = refused_on_an_idle_way(throttle, times)
    assert throttle.rate_now(now) >= min(rate, 0.2) * 0.999
    assert seconds_until(throttle, now, rate) <= 50.0


def test_a_pace_that_was_found_is_kept_near_for_a_while() -> None:
    """For twenty seconds it climbs by two per cent each; then the limit is taken for gone, and it doubles."""
    found = FoundPace()
    found.refused(0.0, 40, accepted=True, share=0.5, climb=0.02)
    assert [round(found.now(0.0, at)) for at in (0.0, 10.0, 20.0, 21.0, 23.0)] == [20, 24, 28, 56, 224]
    assert found.now(0.0, 30.0) == 0.0

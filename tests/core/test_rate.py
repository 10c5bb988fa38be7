"""The rates of relays and of recipient domains: who waits, who is turned away, and that no moment is lost."""

from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gatewayd.core.rate import LATEST, NotNow, OwnSequence, Rate


class Shared:
    """IStore.reserve_soon in memory."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.next = 0.0
        self.asked = 0

    async def reserve(self, bucket: str, interval: float, patience: float) -> tuple[bool, float]:
        """A place, or none."""
        self.asked += 1
        first = max(self.next, self.clock.seconds())
        near = first - self.clock.seconds() <= patience
        if near:
            self.next = first + interval
        return near, first


class Crowd:
    """Messages that come again when they are told to; when each went."""

    def __init__(self, clock: Clock, rate: Rate) -> None:
        self.clock = clock
        self.rate = rate
        self.went: list[float] = []
        self.tries = 0
        self.most = 0
        self._inside = 0

    def come(self) -> None:
        """One message's attempt."""
        self.tries += 1
        self._inside += 1
        self.most = max(self.most, self._inside)
        Deferred.fromCoroutine(self._attempt()).addErrback(self._turned_away)

    async def _attempt(self) -> None:
        try:
            with self.rate.line() as turn:
                await turn()
        finally:
            self._inside -= 1
        self.went.append(self.clock.seconds())

    def _turned_away(self, failure: Any) -> None:
        failure.trap(NotNow)
        self.clock.callLater(failure.value.not_before - self.clock.seconds(), self.come)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("per_second", [0.02, 0.3, 1.0, 7.0, 50.0])
@pytest.mark.parametrize("count", [2, 40, 150])
def test_a_backlog_goes_at_the_rate_and_no_place_is_lost(shared: bool, per_second: float, count: int) -> None:
    """However many come at once, one goes in each place; few wait, and the others do not come again all the time."""
    clock = Clock()
    store = Shared(clock)
    crowd = Crowd(clock, Rate(clock, "relay:x", per_second, 5.0, store.reserve if shared else None))
    for _ in range(count):
        crowd.come()
    step = min(0.5, 0.25 / per_second)
    # A message may be told to come some seconds after the place that it could have had.
    limit = count / per_second * 1.1 + LATEST + 10
    while len(crowd.went) < count:
        clock.advance(step)
        assert clock.seconds() < limit, (len(crowd.went), count)
    gaps = [later - sooner for sooner, later in zip(crowd.went, crowd.went[1:], strict=False)]
    assert all(gap >= 1 / per_second - step - 1e-6 for gap in gaps)
    assert crowd.most <= per_second * 5 + 3
    assert crowd.tries <= count * (3 + count / per_second / 20)


@pytest_twisted.ensureDeferred
async def test_who_is_turned_away_asks_nobody() -> None:
    """While no place is near the store is not asked, and who goes away leaves his place in line."""
    clock = Clock()
    store = Shared(clock)
    rate = Rate(clock, "relay:x", 0.1, 5.0, store.reserve)
    with rate.line() as turn:
        await turn()
    assert store.asked == 1
    for expected in (10.0, 20.0, 30.0):
        with pytest.raises(NotNow) as caught, rate.line() as turn:
            await turn()
        assert caught.value.not_before == pytest.approx(expected, abs=6)
    assert store.asked == 2
    clock.advance(10)
    with rate.line():
        pass
    with rate.line() as turn:
        await turn()


def test_no_limit() -> None:
    """An empty rate lets everybody pass."""
    rate = Rate(Clock(), "relay:x", 0.0, 5.0, None)
    assert not rate.limited
    rate.check()


@pytest_twisted.ensureDeferred
async def test_a_sequence_of_our_own_is_even() -> None:
    """Moments lie one interval apart; whoever would wait longer than their patience uses none."""
    clock = Clock()
    clock.advance(100)
    own = OwnSequence(clock)
    assert [await own.reserve("", 0.1, 1.0) for _ in range(3)] == [
        (True, pytest.approx(100.0)),
        (True, pytest.approx(100.1)),
        (True, pytest.approx(100.2)),
    ]
    assert await own.reserve("", 0.1, 0.25) == (False, pytest.approx(100.3))
    clock.advance(100)
    assert await own.reserve("", 0.1, 0.0) == (True, 200.0)
    assert await own.reserve("", 0.1, 0.0) == (False, pytest.approx(200.1))


@pytest_twisted.ensureDeferred
async def test_a_burst_is_made_up_for() -> None:
    """So many at once as had piled up unused, and then one in each interval."""
    clock = Clock()
    clock.advance(100)
    own = OwnSequence(clock, burst=5)
    assert [reserved for reserved, _ in [await own.reserve("", 6.0, 0.0) for _ in range(7)]] == [True] * 5 + [False] * 2
    clock.advance(6)
    assert [reserved for reserved, _ in [await own.reserve("", 6.0, 0.0) for _ in range(2)]] == [True, False]

"""Back-off, by values and for any input: CONTRACT.md (Times)."""

from hypothesis import given
from hypothesis import strategies as st

from gatewayd.core.retry import (
    CALLBACK,
    LINK,
    RELAY,
    RELAY_BROKEN,
    RELAY_LASTING,
    SMSC,
    STORE,
    Backoff,
    RetryPolicy,
)

JITTER = st.floats(0, 1, exclude_max=True)


@given(st.sampled_from([RELAY, SMSC, CALLBACK, LINK, STORE]), JITTER)
def test_the_first_new_try_comes_within_5_s(policy: RetryPolicy, jitter: float) -> None:
    """Whatever failed, the second attempt is due within five seconds of the first."""
    assert 0 < policy.next_due(1, 100.0, 100.0, jitter) - 100.0 <= 5 + 1e-6


@given(st.integers(1, 60), st.floats(0, 59.9), JITTER)
def test_no_wait_of_the_first_minute_is_longer_than_10_s(attempt: int, age: float, jitter: float) -> None:
    """During the first minute after the first try, waits stay at or under ten seconds."""
    assert CALLBACK.next_due(attempt, 0.0, age, jitter) - age <= 10 + 1e-6


@given(st.integers(1, 10_000), st.floats(60, 1e6), JITTER)
def test_waits_grow_up_to_the_longest(attempt: int, now: float, jitter: float) -> None:
    """Later waits never pass the policy's longest one: 5 min for relays, 60 s for links, an hour for callbacks."""
    for policy, longest in ((RELAY, 300), (SMSC, 60), (LINK, 60), (CALLBACK, 3600)):
        assert policy.next_due(attempt, 0.0, now, jitter) - now <= longest + 1e-6
    assert CALLBACK.next_due(40, 0.0, now + 3600, 0.0) - (now + 3600) >= 1799


@given(st.sampled_from([RELAY, SMSC, CALLBACK, LINK, STORE]), st.integers(1, 60), st.floats(0, 1e5), JITTER)
def test_the_last_moment_is_never_before_the_next_try(
    policy: RetryPolicy, attempt: int, age: float, jitter: float
) -> None:
    """What the other side asks for may put a try off, within the same limits: 5 s, 10 s, and then the longest."""
    last = policy.last_due(attempt, 0.0, age) - age
    assert last >= policy.next_due(attempt, 0.0, age, jitter) - age - 1e-6
    assert last <= (5 if attempt == 1 else 10 if age < 60 else policy.longest) + 1e-6


@given(st.integers(1, 60), st.floats(60, 1e5), JITTER)
def test_no_wait_is_longer_than_what_has_passed(attempt: int, age: float, jitter: float) -> None:
    """After the first minute the next try comes before the time since the first one has doubled."""
    assert CALLBACK.next_due(attempt, 0.0, age, jitter) <= 2 * age + 1e-6


def test_pauses_of_what_fails_in_memory_grow_and_begin_anew() -> None:
    """First within 5 s, none over 10 s in the first minute, then up to the longest; a success forgets them all."""
    backoff, now = Backoff(RELAY_LASTING, lambda: 1.0), 1000.0
    delays = []
    for _ in range(20):
        due = backoff.failed(now)
        delays.append(due - now)
        now = due
    assert delays[0] <= 5
    assert all(delay <= 10 for delay in delays[:6])
    assert max(delays) == 300
    backoff.worked()
    assert backoff.until == 0
    assert backoff.failed(now) - now <= 5


def test_a_relay_that_may_be_back_is_tried_every_8_seconds_at_most() -> None:
    """However long it has been away."""
    backoff, now = Backoff(RELAY_BROKEN, lambda: 1.0), 1000.0
    for _ in range(100):
        due = backoff.failed(now)
        assert due - now <= 8
        now = due


def test_a_pause_grows_to_its_step_and_no_further() -> None:
    """What fails in the middle of work is soon tried again, however often that happens."""
    backoff, now = Backoff(LINK, lambda: 1.0), 1000.0
    for _ in range(100):
        due = backoff.failed(now, most=3)
        assert due - now <= 4
        now = due
    assert backoff.failures == 3


@given(JITTER)
def test_what_only_a_person_can_mend_is_left_alone_for_long_at_once(jitter: float) -> None:
    """For three quarters of the longest pause at least; and it counts as a failure like others."""
    backoff = Backoff(LINK, lambda: jitter)
    assert 45 <= backoff.failed(1000.0, lasting=True) - 1000.0 <= 60
    assert backoff.failures == 1

"""Threads for look-ups: few, shared, and never held up by one that is stuck."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from gatewayd.core.errors import TemporaryFailure
from gatewayd.directories.threads import MOST_STUCK, SOON, StillAtWork, Threads
from redis_server import later, until


class Blocker:
    """Jobs that hold their thread until let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def job(self, context: object) -> str:
        """Blocks."""
        assert self.let_go.wait(30)
        return "done"


class OwnTime:
    """A reactor of which only the timers are another's."""

    def __init__(self, timers: Any) -> None:
        self.callLater = timers.callLater
        self.callFromThread = reactor.callFromThread


def threads(
    size: int, made: list[int] | None = None, gone: list[int] | None = None, timers: Any = reactor
) -> Threads[int]:
    """Threads whose contexts are counted."""
    made = [] if made is None else made
    gone = [] if gone is None else gone

    def make() -> int:
        made.append(len(made))
        return made[-1]

    return Threads(OwnTime(timers), "test", size, make, gone.append)


@pytest_twisted.ensureDeferred
async def test_threads_are_reused_and_bounded() -> None:
    """Many jobs, few threads, each with one context; at the end they all give it back."""
    made: list[int] = []
    gone: list[int] = []
    pool = threads(3, made, gone)
    results = await gatherResults([pool.run(lambda context: context) for _ in range(50)])
    assert set(results) <= {0, 1, 2}
    assert len(made) <= 3
    pool.close()
    await until(lambda: sorted(gone) == sorted(made))
    with pytest.raises(TemporaryFailure):
        pool.run(lambda context: context)


@pytest_twisted.ensureDeferred
async def test_a_thread_may_take_the_last_job_at_any_moment() -> None:
    """Threads look for work by themselves while others are woken: each job is done once, and no thread is lost."""
    made: list[int] = []
    gone: list[int] = []
    pool = threads(4, made, gone)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with capturedLogs() as told:
            for _ in range(150):
                jobs = [pool.run(lambda context: None) for _ in range(12)]
                await later(0.001)
                await gatherResults(jobs)
    finally:
        sys.setswitchinterval(interval)
    pool.close()
    await until(lambda: sorted(gone) == sorted(made))
    assert [event for event in told if "log_failure" in event] == []


def takes_jobs(pool: Threads[int]) -> bool:
    """Whether a thread has come back to a pool that was full of stuck ones."""
    try:
        pool.run(lambda context: None)
    except TemporaryFailure:
        return False
    return True


@pytest_twisted.ensureDeferred
async def test_a_stuck_thread_frees_its_asker_and_its_place() -> None:
    """Cancelling returns at once, and the next job gets a thread though the first is stuck for ever."""
    pool = threads(1)
    blocker = Blocker()
    stuck = pool.run(blocker.job)
    waiting = pool.run(lambda context: "next")
    stuck.cancel()
    with pytest.raises(CancelledError):
        await stuck
    assert await waiting == "next"
    blocker.let_go.set()
    assert await pool.run(lambda context: "still well") == "still well"
    pool.close()


@pytest_twisted.ensureDeferred
async def test_who_gives_up_hears_when_the_thread_is_back() -> None:
    """Until then the database is at work for a job that nobody waits for; one that was not begun has no such end."""
    pool = threads(1)
    blocker = Blocker()
    begun, waits = pool.run(blocker.job), pool.run(lambda context: None)
    await later(0)
    waits.cancel()
    begun.cancel()
    with pytest.raises(CancelledError) as not_begun:
        await waits
    assert not isinstance(not_begun.value, StillAtWork)
    with pytest.raises(StillAtWork) as at_work:
        await begun
    assert not at_work.value.end.called
    blocker.let_go.set()
    await at_work.value.end
    pool.close()


@pytest_twisted.ensureDeferred
async def test_too_many_stuck_threads_fail_at_once() -> None:
    """No thread is made without end for a database that swallows them; when they come back all is well."""
    pool = threads(2)
    blocker = Blocker()
    for _ in range(MOST_STUCK):
        job = pool.run(blocker.job)
        job.addErrback(lambda failure: failure.trap(CancelledError) and None)
        await later(0)
        job.cancel()
    with pytest.raises(TemporaryFailure):
        pool.run(blocker.job)
    blocker.let_go.set()
    await until(lambda: takes_jobs(pool))
    assert await pool.run(lambda context: "well") == "well"
    pool.close()


@pytest_twisted.ensureDeferred
async def test_a_crowd_that_gives_up_at_once_gets_no_thread_each() -> None:
    """Look-ups that wait in line are not begun one after the other while a black hole's time runs out for all."""
    pool = threads(2)
    blocker = Blocker()
    begun: list[int] = []
    reasons: list[object] = []

    def job(context: object) -> object:
        begun.append(1)
        return blocker.job(context)

    crowd = [pool.run(job) for _ in range(100)]
    for one in crowd:
        one.addErrback(lambda failure: reasons.append(failure.type))
    await later(0)
    for one in crowd:
        one.cancel()
    assert reasons.count(TemporaryFailure) == 100 - MOST_STUCK
    blocker.let_go.set()
    await until(lambda: takes_jobs(pool) and len(begun) >= MOST_STUCK)
    assert await pool.run(lambda context: "well") == "well"
    assert len(begun) == MOST_STUCK
    pool.close()


@pytest_twisted.ensureDeferred
async def test_a_job_that_waits_can_be_cancelled_and_is_never_run() -> None:
    """It leaves the line."""
    pool = threads(1)
    blocker = Blocker()
    ran: list[int] = []
    first, second = pool.run(blocker.job), pool.run(ran.append)
    second.addErrback(lambda failure: failure.trap(CancelledError) and None)
    second.cancel()
    blocker.let_go.set()
    assert await first == "done"
    assert await pool.run(lambda context: "after") == "after"
    assert not ran
    pool.close()


@pytest_twisted.ensureDeferred
async def test_quick_jobs_of_a_moment_share_a_thread() -> None:
    """To wake one costs more than a quick query does: the others sleep on, while no time goes by."""
    made: list[int] = []
    timers = Clock()
    pool = threads(8, made, timers=timers)

    def moment() -> list[Deferred[int]]:
        """Three that wait at once, of which the thread has taken the last before it is asked what it brings."""
        all_wait, last_taken = threading.Event(), threading.Event()

        def first(context: int) -> int:
            assert all_wait.wait(30)
            return context

        def last(context: int) -> int:
            last_taken.set()
            return context

        jobs = [pool.run(first), pool.run(lambda context: context), pool.run(last)]
        timers.advance(0)
        all_wait.set()
        assert last_taken.wait(30)
        return jobs

    for _ in range(20):
        assert await gatherResults(moment()) == [0, 0, 0]
    assert made == [0]
    pool.close()


@pytest_twisted.ensureDeferred
async def test_a_thread_is_woken_once_all_of_a_turn_wait() -> None:
    """Woken for the first, it would take Python's lock from the reactor for each that comes behind it."""
    made: list[int] = []
    timers = Clock()
    pool = threads(8, made, timers=timers)
    jobs = [pool.run(lambda context: context) for _ in range(3)]
    assert made == []
    timers.advance(0)
    assert await gatherResults(jobs) == [0, 0, 0]
    pool.close()


@pytest_twisted.ensureDeferred
async def test_slow_jobs_of_a_moment_get_a_thread_each() -> None:
    """None waits for the one before it, where there is a thread for it."""
    pool = threads(3)
    together = threading.Barrier(3)
    assert sorted(await gatherResults([pool.run(lambda context: together.wait(30)) for _ in range(3)])) == [0, 1, 2]
    pool.close()


@pytest_twisted.ensureDeferred
async def test_as_many_threads_again_are_woken_while_more_waits_than_is_done() -> None:
    """One, two, four: a look-up that takes long has help soon, and a quick one leaves the others asleep."""
    made: list[int] = []
    timers = Clock()
    pool = threads(5, made, timers=timers)
    blocker = Blocker()
    jobs = [pool.run(blocker.job) for _ in range(8)]
    timers.advance(0)
    for count in (1, 2, 4, 5):
        await until(lambda count=count: len(made) == count)  # type: ignore[misc]
        timers.advance(SOON)
    blocker.let_go.set()
    assert await gatherResults(jobs) == ["done"] * 8
    assert len(made) == 5
    pool.close()


@pytest_twisted.ensureDeferred
async def test_a_thread_that_is_stuck_holds_up_nobody_who_waits() -> None:
    """What waited for it is done by others, all of it."""
    pool = threads(2)
    blocker = Blocker()
    stuck = pool.run(blocker.job)
    assert await gatherResults([pool.run(lambda context: "done") for _ in range(20)]) == ["done"] * 20
    blocker.let_go.set()
    assert await stuck == "done"
    pool.close()


@contextmanager
def no_thread_can_be_started() -> Iterator[None]:
    """As where the host allows no more tasks, or has no memory: none gets a stack of 64 TiB."""
    usual = threading.stack_size(1 << 46)
    try:
        yield
    finally:
        threading.stack_size(usual)


@pytest_twisted.ensureDeferred
async def test_look_ups_go_on_once_threads_can_be_started_again() -> None:
    """Meanwhile each is told at once why not, none waits for ever, and as many threads as before may work later."""
    pool = threads(1)
    with no_thread_can_be_started():
        for _ in range(MOST_STUCK + 1):
            with pytest.raises(TemporaryFailure, match="no thread for the look-up: can't start new thread"):
                await pool.run(lambda context: context)
    assert await pool.run(lambda context: context) == 0
    pool.close()


@pytest_twisted.ensureDeferred
async def test_a_thread_that_is_at_work_does_what_no_other_can_be_started_for() -> None:
    """It waits for that one, however late."""
    timers, blocker = Clock(), Blocker()
    pool = threads(2, timers=timers)
    first = pool.run(blocker.job)
    timers.advance(0)
    second = pool.run(lambda context: context)
    with no_thread_can_be_started():
        timers.advance(SOON)
    blocker.let_go.set()
    assert await first == "done"
    assert await second == 0
    pool.close()


@pytest_twisted.ensureDeferred
async def test_who_gives_up_is_free_though_nobody_can_be_started_to_interrupt() -> None:
    """The thread comes back by itself."""
    blocker = Blocker()
    begun = threading.Event()

    def job(context: int) -> str:
        begun.set()
        return blocker.job(context)

    pool: Threads[int] = Threads(reactor, "test", 1, lambda: 0, lambda context: None, lambda context: None)
    waiting = pool.run(job)
    await until(begun.is_set)
    with no_thread_can_be_started():
        waiting.cancel()
    with pytest.raises(StillAtWork) as lost:
        await waiting
    blocker.let_go.set()
    await lost.value.end
    assert await pool.run(lambda context: context) == 0
    pool.close()

"""Threads that block on an operator's database, of which any may be stuck for ever.

A job whose caller gave up writes its thread off: another may start in its place, until too many are stuck. Twisted's
ThreadPool would be full after as many black-holed queries as it has threads.
"""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gatewayd.core.errors import TemporaryFailure

T = TypeVar("T")
C = TypeVar("C")

MOST_STUCK = 16
MOST_WAITING = 1000

_ALL_STUCK = "the directory's threads are stuck in its database"


class Threads(Generic[C]):
    """Up to `size` threads at work, each with a context of its own.

    `make` gives a context and `discard` gets it back, both inside the thread.
    """

    def __init__(self, reactor: Any, name: str, size: int, make: Callable[[], C], discard: Callable[[C], None]) -> None:
        self._reactor = reactor
        self._name = name
        self._size = size
        self._make = make
        self._discard = discard
        self._waiting: deque[_Job[C]] = deque()
        self._idle: list[_Thread[C]] = []
        self._busy = 0
        self._stuck = 0
        self._closed = False

    @property
    def stuck(self) -> int:
        """Threads whose callers gave up, and that have not come back."""
        return self._stuck

    def run(self, work: Callable[[C], T]) -> Deferred[T]:
        """What `work` gives in a thread; cancelling frees the caller at once. Raises TemporaryFailure when overrun."""
        if self._closed:
            raise TemporaryFailure("the directory is closed")
        if self._stuck >= MOST_STUCK:
            raise TemporaryFailure(_ALL_STUCK)
        if len(self._waiting) >= MOST_WAITING:
            raise TemporaryFailure("too many look-ups are waiting for the directory")
        job: _Job[C] = _Job(self, work)
        self._waiting.append(job)
        self._next()
        return job.done

    def close(self) -> None:
        """No more jobs; idle threads end now, busy ones when they come back. Waiting jobs fail."""
        self._closed = True
        idle, self._idle = self._idle, []
        for thread in idle:
            thread.inbox.put(None)
        self._send_away("the directory is closed")

    def given_up(self, job: "_Job[C]") -> None:
        """The caller of `job` does not wait any more."""
        if job.thread is None:
            self._waiting.remove(job)
            return
        job.thread.lost = True
        self._busy -= 1
        self._stuck += 1
        if self._stuck < MOST_STUCK:
            self._next()
        else:
            # Whoever waits would only be stuck as well, each in a thread of their own.
            self._send_away(_ALL_STUCK)

    def _send_away(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            job.done.errback(TemporaryFailure(reason))

    def _next(self) -> None:
        while self._waiting and (self._idle or self._busy < self._size):
            thread = self._idle.pop() if self._idle else _Thread(self._name, self._make, self._discard)
            job = self._waiting.popleft()
            job.thread = thread
            self._busy += 1
            thread.inbox.put((job.work, partial(self._reactor.callFromThread, self._back, job)))

    def _back(self, job: "_Job[C]", result: Any) -> None:
        thread = job.thread
        assert thread is not None
        if thread.lost:
            self._stuck -= 1
            thread.inbox.put(None)
            return
        self._busy -= 1
        if self._closed:
            thread.inbox.put(None)
        else:
            self._idle.append(thread)
        job.thread = None
        job.done.callback(result)
        self._next()


class _Job(Generic[C]):
    def __init__(self, threads: Threads[C], work: Callable[[C], Any]) -> None:
        self.work = work
        self.thread: _Thread[C] | None = None
        self.done: Deferred[Any] = Deferred(lambda _: threads.given_up(self))


class _Thread(Generic[C]):
    """One daemon thread: a process that ends does not wait for a database that never answers."""

    def __init__(self, name: str, make: Callable[[], C], discard: Callable[[C], None]) -> None:
        self.inbox: SimpleQueue[tuple[Callable[[C], Any], Callable[[Any], None]] | None] = SimpleQueue()
        self.lost = False
        self._make = make
        self._discard = discard
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        context = self._make()
        while (job := self.inbox.get()) is not None:
            work, give = job
            try:
                result = work(context)
            except BaseException:
                result = Failure()
            give(result)
            del job, work, give, result
        self._discard(context)

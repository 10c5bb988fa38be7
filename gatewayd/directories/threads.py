"""Threads that block on an operator's database, of which any may be stuck for ever.

A job whose caller gave up writes its thread off: another may start in its place, until too many are stuck; and what the
thread does is ended from outside where its database lets us. Twisted's ThreadPool would be full after as many
black-holed queries as it has threads. To wake a thread, and to be woken by it,
costs more than a quick query, and each more of them that wants Python's lock costs all of them: one thread does what
comes, and brings back what it has done of a moment in one call; while that is too slow, others help.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, repeat
from queue import SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from gatewayd.core.errors import TemporaryFailure

T = TypeVar("T")
C = TypeVar("C")

MOST_STUCK = 16
MOST_WAITING = 1000

SOON = 0.01
"""Seconds between two looks at whether more jobs wait than were done since the last; a thread may wait half of that for
Python's lock, so that less would say nothing of the database."""

INTERRUPTED_AGAIN = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between two tries to end what a thread is stuck in; the last ones go on."""

_ALL_STUCK = "the directory's threads are stuck in its database"


class StillAtWork(CancelledError):
    """The caller gave up, and the thread did not: `end` fires when it comes back, which may be never."""

    def __init__(self) -> None:
        super().__init__()
        self.end: Deferred[None] = Deferred()
        self.is_back = threading.Event()
        """The same, for other threads."""


class Threads(Generic[C]):
    """Up to `size` threads at work, each with a context of its own.

    `make` gives a context and `discard` gets it back, both inside the thread. `interrupt` ends what is done with it for
    a caller who gave up, in another thread, and again while that was in vain; it may not raise. It meets nobody else's
    job.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        size: int,
        make: Callable[[], C],
        discard: Callable[[C], None],
        interrupt: Callable[[C], None] | None = None,
    ) -> None:
        self._reactor = reactor
        self._name = name
        self._size = size
        self._make = make
        self._discard = discard
        self._interrupt = interrupt
        self._waiting: deque[_Job[C]] = deque()  # the threads take from it, too
        self._done: deque[_Done[C]] = deque()  # what the threads bring
        self._called = False  # `_collect` is on its way
        self._begins = False  # and `_begin`
        self._idle: list[_Thread[C]] = []
        self._busy = 0  # threads at work for somebody who waits
        self._stuck = 0  # threads whose callers gave up, and that have not come back
        self._ended = 0  # jobs that threads have brought back
        self._timer: IDelayedCall | None = None
        self._closed = False

    def run(self, work: Callable[[C], T]) -> Deferred[T]:
        """What `work` gives in a thread. Raises TemporaryFailure when overrun.

        Cancelling frees the caller at once: with StillAtWork where a thread had begun.
        """
        if self._closed:
            raise TemporaryFailure("the directory is closed")
        if self._stuck >= MOST_STUCK:
            raise TemporaryFailure(_ALL_STUCK)
        if len(self._waiting) >= MOST_WAITING:
            raise TemporaryFailure("too many look-ups are waiting for the directory")
        job: _Job[C] = _Job(self, work)
        self._waiting.append(job)
        if self._busy:
            self._see_to_it()
        elif not self._begins:
            # Once all that come in this turn wait: else thread and reactor take the lock from each other for each.
            self._begins = True
            self._reactor.callLater(0, self._begin)
        return job.done

    def close(self) -> None:
        """No more jobs; idle threads end now, busy ones when they come back. Waiting jobs fail."""
        self._closed = True
        idle, self._idle = self._idle, []
        for thread in idle:
            thread.inbox.put(None)
        self._send_away("the directory is closed")
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def given_up(self, job: "_Job[C]") -> None:
        """The caller of `job` does not wait any more."""
        try:
            self._waiting.remove(job)
            return
        except ValueError:
            pass
        job.lost = StillAtWork()
        self._busy -= 1
        self._stuck += 1
        if self._stuck < MOST_STUCK:
            self._see_to_it()
        else:
            # Whoever waits would only be stuck as well, each in a thread of their own.
            self._send_away(_ALL_STUCK)
        if self._interrupt is not None:
            # In a thread of its own, since it may have to reach the database; there are no more of them than stuck.
            name = f"{self._name}-interrupts"
            interrupter = threading.Thread(
                target=job.interrupt, args=(job.lost, self._interrupt), name=name, daemon=True
            )
            # Without one, which the host may have none to give for, the thread comes back when its database answers.
            with suppress(RuntimeError, MemoryError):
                interrupter.start()
        job.done.errback(job.lost)

    def following(self) -> "_Job[C] | None":
        """What a thread does next, asked inside it."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def give(self, done: "_Done[C]") -> None:
        """What a thread has done, told inside it."""
        self._done.append(done)
        if not self._called:
            self._called = True
            self._reactor.callFromThread(self._collect)

    def _send_away(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            job.done.errback(TemporaryFailure(reason))

    def _begin(self) -> None:
        self._begins = False
        self._see_to_it()

    def _see_to_it(self) -> None:
        """Somebody waits, perhaps: a thread is at work, and looked after."""
        if not self._busy:
            self._wake()
        if self._timer is None and self._waiting:
            self._timer = self._reactor.callLater(SOON, self._help, self._ended)

    def _help(self, ended_before: int) -> None:
        """Where those at work do less than is to do, as many again are woken."""
        self._timer = None
        if len(self._waiting) > self._ended - ended_before:
            for _ in range(max(self._busy, 1)):
                self._wake()
        self._see_to_it()

    def _wake(self) -> None:
        """Have one more thread begin with the first who waits, if there is one for it."""
        if not (self._idle or self._busy < self._size):
            return
        # A thread that has just done its own may take the last one in any moment: nothing is asked before it is ours.
        job = self.following()
        if job is None:
            return
        try:
            thread = self._idle.pop() if self._idle else _Thread(self, self._name, self._make, self._discard)
        except (RuntimeError, MemoryError) as error:
            self._no_thread_for(job, error)
            return
        self._busy += 1
        thread.inbox.put(job)

    def _no_thread_for(self, job: "_Job[C]", error: Exception) -> None:
        """The host has none to give now: those at work do it, and where nobody is, nobody does."""
        if self._busy:
            self._waiting.appendleft(job)
        else:
            job.done.errback(TemporaryFailure(f"no thread for the look-up: {error}"))

    def _collect(self) -> None:
        # Before the first is taken: what comes from now on is called for once more.
        self._called = False
        while self._done:
            job, result, thread, is_idle, has_ended = self._done.popleft()
            self._ended += 1
            if job.lost:
                self._stuck -= 1
                # It was given up in the moment in which it was done: the thread is well.
                self._busy += not has_ended
            if is_idle and not has_ended:
                self._rest(thread)
            if job.lost:
                job.lost.is_back.set()
                job.lost.end.callback(None)
            else:
                job.done.callback(result)
        self._see_to_it()

    def _rest(self, thread: "_Thread[C]") -> None:
        self._busy -= 1
        if self._closed or self._busy + len(self._idle) >= self._size:
            thread.inbox.put(None)
        else:
            self._idle.append(thread)


class _Job(Generic[C]):
    """`lost`: nobody waits for it any more, its thread is written off, and this is what its caller heard."""

    def __init__(self, threads: Threads[C], work: Callable[[C], Any]) -> None:
        self.work = work
        self.lost: StillAtWork | None = None
        self.done: Deferred[Any] = Deferred(lambda _: threads.given_up(self))
        self.thread: _Thread[C] | None = None
        """In which it has begun."""

    def interrupt(self, lost: StillAtWork, interrupt: Callable[[C], None]) -> None:
        """Have the thread come back. Again and again: what comes before its query has begun ends nothing."""
        for wait in chain(INTERRUPTED_AGAIN, repeat(INTERRUPTED_AGAIN[-1])):
            if self.thread is not None:
                self.thread.interrupt(self, interrupt)
            if lost.is_back.wait(wait):
                return


class _Done(NamedTuple, Generic[C]):
    job: _Job[C]
    result: Any
    thread: "_Thread[C]"
    is_idle: bool
    has_ended: bool


class _Thread(Generic[C]):
    """One daemon thread: a process that ends does not wait for a database that never answers."""

    def __init__(self, threads: Threads[C], name: str, make: Callable[[], C], discard: Callable[[C], None]) -> None:
        self.inbox: SimpleQueue[_Job[C] | None] = SimpleQueue()
        self._threads = threads
        self._make = make
        self._discard = discard
        self._job: _Job[C] | None = None
        self._context: C | None = None
        self._over = threading.Lock()
        """Whoever has it knows that the job does not end meanwhile, so that no other begins."""
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def interrupt(self, job: "_Job[C]", interrupt: Callable[[C], None]) -> None:
        """Call it in the calling thread, if this one is at `job`."""
        with self._over:
            if self._job is job and self._context is not None:
                interrupt(self._context)

    def _run(self) -> None:
        context = self._context = self._make()
        while (job := self.inbox.get()) is not None:
            if self._work(job, context):
                break
            del job
        self._discard(context)

    def _work(self, first: _Job[C], context: C) -> bool:
        """Do `first` and whatever waits; true where this thread was written off meanwhile, and ends."""
        job: _Job[C] | None = first
        while job is not None:
            self._job, job.thread = job, self
            try:
                result: Any = job.work(context)
            except BaseException:
                result = Failure()
            with self._over:
                self._job = None
            has_ended = job.lost is not None
            following = None if has_ended else self._threads.following()
            self._threads.give(_Done(job, result, self, following is None, has_ended))
            if has_ended:
                return True
            job = following
        return False

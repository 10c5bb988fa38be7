"""Who waits for one thing: in order, nobody longer than is right, and each with an exception of their own.

Owns the order and the time limit. What is waited for, and when there is some of it, is said by whoever serves.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

T = TypeVar("T")


class Line(Generic[T]):
    """A queue of Deferreds. Who waits `patience` seconds gets the exception that `too_long` makes at that moment.

    Whoever is cancelled has left the line by then: what is served goes to somebody who still waits, or to nobody.
    """

    def __init__(
        self, clock: IReactorTime, patience: float = math.inf, too_long: Callable[[], Exception] = TimeoutError
    ) -> None:
        self._clock = clock
        self._patience = patience
        self._too_long = too_long
        self._ahead: OrderedDict[Deferred[T], float] = OrderedDict()
        self._behind: OrderedDict[Deferred[T], float] = OrderedDict()
        self._timer: IDelayedCall | None = None
        self._serving = False

    def __len__(self) -> int:
        """How many wait."""
        return len(self._ahead) + len(self._behind)

    def join(self, *, ahead: bool = False) -> Deferred[T]:
        """Fires with what is served, in the order of asking; `ahead` comes before all who asked without it.

        To be awaited at once: what has fired and is not looked at is lost to the others.
        """
        queue = self._ahead if ahead else self._behind

        def left(waiter: Deferred[T]) -> None:
            # It may be one of those who are being sent away in this moment.
            queue.pop(waiter, None)

        mine: Deferred[T] = Deferred(left)
        queue[mine] = self._clock.seconds()
        if self._timer is None and self._patience < math.inf:
            self._timer = self._clock.callLater(self._patience, self._look)
        return mine

    def serve(self, thing: T) -> bool:
        """Give `thing` to the first in the line; False where nobody waits."""
        queue = self._ahead or self._behind
        if not queue:
            return False
        first, _ = queue.popitem(last=False)
        first.callback(thing)
        return True

    def serve_from(self, take_now: Callable[[], T | None]) -> bool:
        """Serve in order, as long as somebody waits and `take_now` has some; False where that is being done already.

        Who is served may give it back at once, and whoever gets that may do so, too: that comes here again, and is
        served by the loop that runs. A stack for each of them ended in RecursionError, and what was given was lost.
        """
        if self._serving:
            return False
        self._serving = True
        try:
            while self and (thing := take_now()) is not None:
                self.serve(thing)
        finally:
            self._serving = False
        return True

    def fail(self, why: Callable[[], Exception]) -> None:
        """Send all away who wait now, each with what `why` makes: who catches an exception may write into it."""
        gone = [*self._ahead, *self._behind]
        self._ahead.clear()
        self._behind.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiter in gone:
            # One of those sent away before it may have cancelled it.
            if not waiter.called:
                waiter.errback(why())

    def _look(self) -> None:
        """The timer is set for the first to come, who is gone by now more often than not: cheaper than to move it."""
        self._timer = None
        now = self._clock.seconds()
        late: list[Deferred[T]] = []
        for queue in (self._ahead, self._behind):
            while queue and next(iter(queue.values())) + self._patience <= now:
                late.append(queue.popitem(last=False)[0])
        first = min((next(iter(queue.values())) for queue in (self._ahead, self._behind) if queue), default=None)
        if first is not None:
            self._timer = self._clock.callLater(first + self._patience - now, self._look)
        # Last, because whoever is sent away may join again.
        for waiter in late:
            if not waiter.called:
                waiter.errback(self._too_long())

"""How long a caller waits for one step, and what becomes of a step that takes longer."""

from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd.core.errors import Refused, StoreUnavailable, TemporaryFailure

log = Logger()
T = TypeVar("T")

ON_THE_WAY = 0.25
"""Seconds kept for the store's answer: what it stored in the last moment, its caller shall still hear of."""

OVERSLEPT = 0.5
"""Seconds that a timer may be late: later than that, this process was paused, or starved."""

_EXPECTED = (Refused, StoreUnavailable, TemporaryFailure, CancelledError)


def within(clock: IReactorTime, seconds: float, work: Coroutine[Any, Any, T]) -> Deferred[T]:
    """What `work` gives, or TimeoutError after `seconds`; the work itself goes on to its end, unheard."""
    doing = Deferred.fromCoroutine(work)
    if doing.called:
        return doing
    waiting: Deferred[T] = Deferred()
    doing.addBoth(_Patience(clock, waiting, max(seconds, 0)).done)
    return waiting


class _Patience(Generic[T]):
    """One wait. Not closures: a function that names itself is memory that only a search for cycles finds."""

    __slots__ = ("_clock", "_due", "_timer", "_waiting")

    def __init__(self, clock: IReactorTime, waiting: Deferred[T], seconds: float) -> None:
        self._clock = clock
        self._waiting = waiting
        self._wait(seconds)

    def _wait(self, seconds: float) -> None:
        self._due = self._clock.seconds() + seconds
        self._timer: Any = self._clock.callLater(seconds, self._too_late)

    def done(self, result: T | Failure) -> None:
        """The work has ended, in time or not."""
        if self._timer.active():
            self._timer.cancel()
        if not self._waiting.called:
            self._waiting.callback(result)
        elif isinstance(result, Failure) and not result.check(*_EXPECTED):
            log.failure("a bug: a step of a request failed after its caller was answered", result)

    def _too_late(self) -> None:
        if self._waiting.called:
            return
        if self._clock.seconds() - self._due > OVERSLEPT:
            # The answer may have been here for long: it is read after the timers of this turn. Refused now, it would
            # have to be taken back, and a peer that took this process for dead may have sent it by then.
            self._wait(ON_THE_WAY)
        else:
            self._waiting.errback(TimeoutError())

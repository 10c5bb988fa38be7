"""How long a caller waits for one step, and what becomes of a step that takes longer."""

from collections.abc import Coroutine
from typing import Any, TypeVar

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
    timer: Any = None

    def done(result: T | Failure) -> None:
        if timer.active():
            timer.cancel()
        if not waiting.called:
            waiting.callback(result)
        elif isinstance(result, Failure) and not result.check(*_EXPECTED):
            log.failure("a bug: a step of a request failed after its caller was answered", result)

    def too_late(due: float) -> None:
        nonlocal timer
        now = clock.seconds()
        if waiting.called:
            return
        if now - due > OVERSLEPT:
            # The answer may have been here for long: it is read after the timers of this turn. Refused now, it would
            # have to be taken back, and a peer that took this process for dead may have sent it by then.
            timer = clock.callLater(ON_THE_WAY, too_late, now + ON_THE_WAY)
        else:
            waiting.errback(TimeoutError())

    timer = clock.callLater(max(seconds, 0), too_late, clock.seconds() + max(seconds, 0))
    doing.addBoth(done)
    return waiting

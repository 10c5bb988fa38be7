"""Waiting with a limit, while the process ends. Knows nothing of what is waited for."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gatewayd.core.lateness import overslept

LOOK = 0.5
"""Seconds between two looks at the clock: a pause shows by a look that comes late, and not by the limit alone."""


async def has_ended(waited: Deferred[Any], clock: IReactorTime, seconds: float) -> bool:
    """Wait for `waited`, and `seconds` at most: then it is cancelled, and this is false.

    Time for which the process was stopped does not count: what peers said meanwhile lies in the sockets, and what they
    let us write now has its answer still to come.
    """
    until = clock.seconds() + seconds
    timer: IDelayedCall | None = None
    is_over = False

    def look() -> None:
        nonlocal timer, until, is_over
        now = clock.seconds()
        if timer is not None and overslept(timer, now):
            until += now - timer.getTime()
        if now < until:
            timer = clock.callLater(min(until - now, LOOK), look)
        else:
            is_over = True
            waited.cancel()

    look()
    try:
        await waited
    except CancelledError:
        if not is_over:
            raise
    finally:
        if timer is not None and timer.active():
            timer.cancel()
    return not is_over

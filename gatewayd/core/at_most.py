"""Waiting with a limit, while the process ends. Knows nothing of what is waited for."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gatewayd.core.lateness import overslept


async def has_ended(waited: Deferred[Any], clock: IReactorTime, seconds: float) -> bool:
    """Wait for `waited`, and `seconds` at most: then it is cancelled, and this is false.

    Where the process was stopped until the limit had passed, it begins anew: what peers said meanwhile lies in the
    sockets, and what they let us write now has its answer still to come.
    """
    timer: IDelayedCall | None = None
    is_over = False

    def over() -> None:
        nonlocal timer, is_over
        if overslept(timer, clock.seconds()):
            timer = clock.callLater(seconds, over)
            return
        is_over = True
        waited.cancel()

    timer = clock.callLater(seconds, over)
    try:
        await waited
    except CancelledError:
        if not is_over:
            raise
    finally:
        if timer.active():
            timer.cancel()
    return not is_over

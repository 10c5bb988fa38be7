"""Waiting with a limit, while the process ends. Knows nothing of what is waited for."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gatewayd.core.lateness import READING, overslept


async def has_ended(waited: Deferred[Any], clock: IReactorTime, seconds: float, *, reading: float = READING) -> bool:
    """Wait for `waited`, and `seconds` at most: then it is cancelled, and this is false.

    Where the process was stopped until the limit had passed, `reading` seconds more: what peers said meanwhile lies in
    the sockets, and counts.
    """
    timer: IDelayedCall | None = None
    is_over = False

    def over() -> None:
        nonlocal timer, is_over
        if overslept(timer, clock.seconds()):
            timer = clock.callLater(reading, over)
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

"""Timers that fire late: the process was stopped or busy meanwhile, and what its peers said lies unread in the sockets.

Pure. Whoever judges a peer by the clock asks here first: an answer that came in time must not pass for none.
"""

from typing import Protocol

LATE = 1.0
"""Seconds behind its moment at which a timer says that we were away."""

READING = 0.1
"""Seconds for reading what came while we were away."""


class _Timer(Protocol):
    def getTime(self) -> float:
        """The moment for which it was set."""


def overslept(timer: _Timer | None, now: float) -> bool:
    """Whether `timer`, which fired at `now`, fired too late to judge by before `READING` more seconds."""
    return timer is not None and now - timer.getTime() > LATE

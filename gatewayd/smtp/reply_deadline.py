"""Until when a peer may take for its next reply. Knows no replies."""

from collections.abc import Callable
from typing import Any

from gatewayd.core.lateness import READING, overslept

_TICK = 15.0  # seconds between two looks at the deadline, at most


class ReplyDeadline:
    """One timer serves all replies: it looks at `moment` when it fires, and calls `on_late` where that has passed.

    It rests while `is_waiting` says that no reply is due. `moment` is in seconds since the epoch.
    """

    __slots__ = ("_clock", "_is_waiting", "_on_late", "_timer", "moment")

    def __init__(self, clock: Any, is_waiting: Callable[[], bool], on_late: Callable[[], None]) -> None:
        self.moment = 0.0
        self._clock = clock
        self._is_waiting = is_waiting
        self._on_late = on_late
        self._timer: Any = None

    def allow(self, seconds: float) -> None:
        """The peer has so many seconds from now."""
        self.moment = self._clock.seconds() + seconds
        if self._timer is None:
            self._timer = self._clock.callLater(min(seconds, _TICK), self._look)
        elif seconds < _TICK and self._timer.getTime() > self.moment:
            self._timer.reset(seconds)

    def stop(self) -> None:
        """Nobody waits any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        timer, self._timer = self._timer, None
        if not self._is_waiting():
            return
        now = self._clock.seconds()
        left = self.moment - now
        if left <= 0 and overslept(timer, now):
            self._timer = self._clock.callLater(READING, self._look)
        elif left <= 0:
            self._on_late()
        else:
            self._timer = self._clock.callLater(min(left, _TICK), self._look)

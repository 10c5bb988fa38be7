"""Our moments and Redis': what processes share is timed by Redis' clock, and everything else of a process by its own.

A clock may be off, or be set while we run. What stands in Redis is put there and read through here. Pure.
"""

from collections.abc import Sequence

JUMP = 2.0
"""Seconds by which two comparisons may differ before one of the clocks was set."""

RESOLUTION = 0.001
"""Seconds by which the moment that a script tells is cut off."""

SAID_FOR = 2.0
"""Seconds for which it counts what was said of the lag of deadlines: each second it is said anew."""

FOLLOW = 0.05
"""Seconds of a jump that are followed in a second for deadlines: a clock that is set on an hour ends no message."""


class Moments:
    """How far Redis' clock is before ours, in seconds, by the latest comparison; 0 before the first one."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._followed = 0.0
        self._compared_at: float | None = None
        self._has_joined = False

    @property
    def has_joined(self) -> bool:
        """Whether deadlines can be kept so that others read them as they were meant."""
        return self._has_joined

    @property
    def behind(self) -> float | None:
        """By how many seconds deadlines lag behind Redis' clock, which was set; None before that is known."""
        return self.ahead - self._followed if self._has_joined else None

    def join(self, behind: float) -> None:
        """Read deadlines as those do that have seen what we have not: Redis' clock was set before we began."""
        self.suppose(behind)
        self._has_joined = True

    def suppose(self, behind: float) -> None:
        """As `join`, until somebody has said more: what was said last may be from before the clock was set."""
        if not self._has_joined:
            self._followed = self.ahead - behind

    def compared(self, began: float, ended: float, theirs: Sequence[int]) -> float:
        """Redis answered TIME with `theirs` between `began` and `ended`. How far the difference has jumped, or 0."""
        seconds, microseconds = theirs
        now = seconds + microseconds / 1e6
        before, last = self.ahead, self._compared_at
        # What is known stays where this comparison allows it: a slow answer must not move the slots of a rate. Before
        # the first one that is 0: most hosts have the time from one source.
        least, most = now - ended, now + RESOLUTION - began
        ahead = min(max(before, least), most)
        self.ahead, self._compared_at = ahead, ended
        apart = ahead - self._followed
        if last is None or abs(apart) <= JUMP:
            self._followed = ahead
        else:
            step = FOLLOW * max(ended - last, 0.0)
            self._followed += max(-step, min(apart, step))
        return ahead - before if last is not None and abs(ahead - before) > JUMP else 0.0

    def theirs(self, moment: float) -> int:
        """A moment of ours in milliseconds of Redis' clock; 0 for none."""
        return round((moment + self.ahead) * 1000) if moment else 0

    def ours(self, stamp: float) -> float:
        """What Redis' clock stamped, in milliseconds, as a moment of ours; 0 for none."""
        return stamp / 1000 - self.ahead if stamp else 0.0

    def kept(self, deadline: float) -> float:
        """A deadline of ours as it is kept, in seconds."""
        return deadline + self._followed

    def read(self, deadline: float) -> float:
        """A deadline that is kept, as a moment of ours."""
        return deadline - self._followed

"""Since when what is read may have waited: for unix sockets, of which the kernel does not say it.

What is found readable now was not the time before. So it came since then, or later where the reactor waited for it.
Must not know who is read.
"""

from collections.abc import Iterable

OVERSLEPT = 0.5
"""Seconds that the kernel's answer may come later than it was asked for: later than that, this process was stopped."""


class Polls:
    """What one listener knows of its reactor's looks; `now` is the moment of the first (see looks.measure)."""

    def __init__(self, now: float) -> None:
        self._since = self._looked = now
        self._older: dict[int, float] = {}  # of those who may have come before that, and are read in this turn
        self._left: dict[int, float] = {}  # the same of those who are read in the next one

    def looked(self, asked: float, slept: float, returned: float) -> None:
        """See looks.Measuring."""
        self._older, self._left = self._left, {}
        if not slept:
            self._since, self._looked = self._looked, asked
        elif 0 < slept < returned - asked - OVERSLEPT:
            # We were stopped. What came meanwhile may be here, or come with the next look: the kernel's wait is cut
            # short then, with nothing found.
            self._since = self._looked = asked
        else:
            self._since = self._looked = returned

    def left(self, descriptors: Iterable[int]) -> None:
        """See looks.Measuring: they are not younger for that."""
        for descriptor in descriptors:
            self._left[descriptor] = self.came_at(descriptor)

    def fetched(self, descriptor: int, listening: int) -> float:
        """Since when a newcomer may have waited: as long as their port; only the next look finds what they said."""
        self._left[descriptor] = at = self.came_at(listening)
        return at

    def came_at(self, descriptor: int) -> float:
        """The moment since when what is read now may have been there, at most but for OVERSLEPT."""
        return self._older.get(descriptor, self._since)

"""Callers are read in portions: where thousands have spoken at once, replies and timers come between them.

A turn of the reactor that reads them all takes seconds on a slow machine, and what is begun for some of them needs
several turns. Who has waited longest is read first: the kernel names those again first who ask again at once. Must not
know what a caller says.
"""

from collections.abc import Callable, Collection

from gatewayd.http.looks import Events

LEAST = 150
"""Callers who are all read in one turn; nobody looks who they are."""

PARTS = 6
"""Of more, a turn reads one part in so many: few turns must be enough for all, and a part short against a turn."""


class Portions:
    """Those of one listener; `callers` gives the file descriptors of those who may be put off."""

    def __init__(self, callers: Callable[[], set[int]]) -> None:
        self._callers = callers
        self._put_off: list[int] = []  # who has waited longest is the first

    def later(self, found: Events) -> Collection[int]:
        """See looks.PuttingOff."""
        self._put_off = self._too_many(found) if len(found) > LEAST else []
        return self._put_off

    def _too_many(self, found: Events) -> list[int]:
        callers = self._callers()
        spoken = dict.fromkeys(descriptor for descriptor, _ in found if descriptor in callers)
        line = list(dict.fromkeys(one for one in self._put_off if one in spoken) | spoken)
        return line[max(LEAST, len(line) // PARTS) :]

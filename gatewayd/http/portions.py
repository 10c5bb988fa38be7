"""Callers are read in portions: where thousands have spoken at once, replies and timers come between them.

A turn of the reactor that reads them all takes seconds on a slow machine, and what is begun for some of them needs
several turns. Who has waited longest is read first: the kernel names those again first who ask again at once. Must not
know what a caller says.
"""

from collections.abc import Callable
from typing import Any

LEAST = 150
"""Callers who are all read in one turn; nobody looks who they are."""

PARTS = 6
"""Of more, a turn reads one part in so many: few turns must be enough for all, and a part short against a turn."""

Events = list[tuple[int, int]]
"""File descriptors, and what can be done with each."""


class Portions:
    """Stands between the reactor and its epoll object.

    `callers` gives the file descriptors of those who may be put off, `came_at` the reactor's time since when what the
    kernel names for the first time may be there.
    """

    def __init__(self, poller: Any, callers: Callable[[], set[int]], came_at: Callable[[], float]) -> None:
        self._poller = poller
        self._callers = callers
        self._came_at = came_at
        self._since: dict[int, float] = {}  # of those who were put off, and may be read in this turn
        self._put_off: dict[int, float] = {}  # the same of those who are in a later one

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float, most: int) -> Events:
        """See select.epoll. Who is put off can be read still, and so is named again the next time."""
        found: Events = self._poller.poll(timeout, most)
        self._since, self._put_off = self._put_off, {}
        if len(found) > LEAST:
            self._put_off = self._too_many(found)
            return [event for event in found if event[0] not in self._put_off]
        return found

    def put_off_since(self, descriptor: int) -> float | None:
        """When this caller, who is read in this turn, may have spoken; None for who was not put off."""
        return self._since.get(descriptor)

    def _too_many(self, found: Events) -> dict[int, float]:
        callers, came_at = self._callers(), self._came_at()
        spoken = dict.fromkeys((descriptor for descriptor, _ in found if descriptor in callers), came_at)
        before = {descriptor: at for descriptor, at in self._since.items() if descriptor in spoken}
        since = before | spoken | before  # these are the first, and keep their time
        later = list(since)[max(LEAST, len(since) // PARTS) :]
        return {descriptor: since[descriptor] for descriptor in later}


def read_in_portions(reactor: Any, callers: Callable[[], set[int]], came_at: Callable[[], float]) -> Portions | None:
    """From now on; None where this reactor has no epoll object."""
    poller = getattr(reactor, "_poller", None)
    if poller is None:
        return None
    # Twisted has no other place to stand.
    portions = reactor._poller = Portions(poller, callers, came_at)
    return portions

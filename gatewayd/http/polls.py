"""When the reactor asked the kernel what can be read: for unix sockets, of which the kernel does not say since when.

What is found readable now was not the time before. So it came since then, or later where the reactor waited for it.
"""

from collections.abc import Callable
from typing import Any

AT_ONCE = 0.001
"""Seconds within which the kernel answers where there is something to read already."""

OVERSLEPT = 0.5
"""Seconds that the kernel's answer may come later than it was asked for: later than that, this process was stopped."""


class Polls:
    """Stands between the reactor and its epoll object."""

    def __init__(self, poller: Any, seconds: Callable[[], float]) -> None:
        self._poller = poller
        self._seconds = seconds
        self._since = self._returned = seconds()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poller, name)

    def poll(self, timeout: float, most: int) -> Any:
        """See select.epoll."""
        asked = self._seconds()
        found = self._poller.poll(timeout, most)
        returned = self._seconds()
        took = returned - asked
        if not timeout or took < AT_ONCE:
            self._since = self._returned
        elif 0 < timeout < took - OVERSLEPT:
            self._since = asked + timeout
        else:
            self._since = returned
        self._returned = returned
        return found

    def longest_wait(self) -> float:
        """Seconds that what is read now may have waited, at most but for what came right before we were stopped."""
        return self._seconds() - self._since


def watch_polls(reactor: Any) -> Polls | None:
    """Those of this reactor, from now on; None where it has no epoll object."""
    poller = getattr(reactor, "_poller", None)
    if poller is not None and not isinstance(poller, Polls):
        # Twisted has no other place to look.
        poller = reactor._poller = Polls(poller, reactor.seconds)
    return poller

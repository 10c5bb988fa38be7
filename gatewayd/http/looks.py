"""The one place between a reactor and its epoll object: for who must know when the kernel was asked what can be read,
and for who puts off what can.

Owns that there is one such place in a reactor, as long as anybody needs it. Must not know what is read, or by whom.
"""

import select
from collections.abc import Callable, Collection, Iterable
from typing import Any, Protocol

Events = list[tuple[int, int]]
"""File descriptors, and what can be done with each."""

_POLL = type(select.poll())
"""What `twistd -r poll` has in an epoll object's place, and asks in other words."""


class Measuring(Protocol):
    """Who must know when the kernel was asked."""

    def looked(self, asked: float, slept: float, returned: float) -> None:
        """The kernel was asked, and has answered: both by the reactor's time.

        It was to wait for `slept` seconds at most, for ever where that is below 0: nothing was there when it was
        asked. 0 where it was not to wait, or had something at once.
        """

    def left(self, descriptors: Iterable[int]) -> None:
        """These can be read, and are left for the next look."""


class PuttingOff(Protocol):
    """Who leaves some of what can be read for a later turn."""

    def later(self, found: Events) -> Collection[int]:
        """The file descriptors of those; the kernel names them again the next time."""


class Looks:
    """Stands between a reactor and its epoll object, and asks that. See `measure` and `put_off`."""

    def __init__(self, poller: Any, seconds: Callable[[], float]) -> None:
        self.poller = poller
        self.measuring: list[Measuring] = []
        self.putting_off: list[PuttingOff] = []
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self.poller, name)

    def poll(self, timeout: float, most: int) -> Events:
        """See select.epoll."""
        found = self._measured(timeout, most) if self.measuring else self.poller.poll(timeout, most)
        later = {descriptor for one in self.putting_off for descriptor in one.later(found)}
        if not later:
            return found
        for one in self.measuring:
            one.left(later)
        return [event for event in found if event[0] not in later]

    def _measured(self, timeout: float, most: int) -> Events:
        asked = self._seconds()
        # A look of its own: how long the kernel takes says nothing where others keep this process from running.
        found: Events = self.poller.poll(0, most)
        slept = 0.0 if found else timeout
        if slept:
            found = self.poller.poll(slept, most)
        returned = self._seconds()
        for one in self.measuring:
            one.looked(asked, slept, returned)
        return found


def measure(reactor: Any, who: Measuring) -> bool:
    """Tell `who` of each look of this reactor's, from the next one on; False where it has no epoll object."""
    looks = _standing_in(reactor)
    if looks is not None:
        looks.measuring.append(who)
    return looks is not None


def put_off(reactor: Any, who: PuttingOff) -> bool:
    """Let `who` put off what this reactor finds, from its next look on; False where it has no epoll object."""
    looks = _standing_in(reactor)
    if looks is not None:
        looks.putting_off.append(who)
    return looks is not None


def leave(reactor: Any, who: Measuring | PuttingOff) -> None:
    """As if `who` had never come; the last one leaves the reactor as it was."""
    looks = getattr(reactor, "_poller", None)
    if isinstance(looks, Looks):
        looks.measuring = [one for one in looks.measuring if one is not who]
        looks.putting_off = [one for one in looks.putting_off if one is not who]
        if not (looks.measuring or looks.putting_off):
            reactor._poller = looks.poller


def _standing_in(reactor: Any) -> Looks | None:
    poller = getattr(reactor, "_poller", None)
    if isinstance(poller, _POLL):
        return None
    if poller is not None and not isinstance(poller, Looks):
        # Twisted has no other place to stand.
        poller = reactor._poller = Looks(poller, reactor.seconds)
    return poller

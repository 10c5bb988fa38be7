"""What goes wrong time after time, and never well between: only then is it no matter of the single one.

Owns the count, and for how long it counts. What goes wrong, and what is said of it, whoever counts knows.
"""

from collections.abc import Iterator

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime

_COUNTS_FOR = 3600.0
"""Seconds since the latest for which it counts: providers repeat what was refused, and a campaign comes again; what
somebody tried once does not, and must not be told all night.
"""

NOT_ARRIVED = 100
"""So many different messages in a row that did not arrive are a trouble of who carries them: phones are off, and
numbers given up, but hardly so many at a time.
"""


class Run(Struct, frozen=True):
    """Of one name: how many in a row, why the latest, and when that was (seconds of the clock).

    `whose` are those whom it went wrong with, where only different ones count.
    """

    count: int = 0
    why: str = ""
    latest: float = 0.0
    whose: frozenset[str] = frozenset()


_NONE = Run()


class InARow:
    """By name. `enough` in a row say that something is wrong."""

    def __init__(self, clock: IReactorTime, enough: int) -> None:
        self._clock = clock
        self._enough = enough
        self._runs: dict[str, Run] = {}

    def failed(self, name: str, why: str = "", whose: str = "") -> None:
        """Once more; with `whose` it counts once for each of them, up to enough."""
        before, now = self._runs.get(name, _NONE), self._clock.seconds()
        if not whose:
            self._runs[name] = Run(before.count + 1, why, now)
        elif whose in before.whose or before.count >= self._enough:
            self._runs[name] = Run(before.count, why, now, before.whose)
        else:
            self._runs[name] = Run(before.count + 1, why, now, before.whose | {whose})

    def worked(self, name: str) -> None:
        """Once: all before it counts no more."""
        self._runs.pop(name, None)

    def forget(self) -> None:
        """The file has been read again: what was wrong may be right now."""
        self._runs.clear()

    def found(self) -> Iterator[tuple[str, Run]]:
        """Where something is wrong."""
        for name, run in list(self._runs.items()):
            if self._clock.seconds() - run.latest > _COUNTS_FOR:
                del self._runs[name]
            elif run.count >= self._enough:
                yield name, run

"""Posts of providers that were refused: where all are, a secret or a key of theirs is not what our file has.

Owns what counts as such. Who posts them is known by a secret path or a signed token, so no stranger is counted.
"""

from collections.abc import Iterator

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime

from gatewayd.core.model import Degraded

AT_LEAST = 3
"""So many in a row, and none that was good, say that something is wrong."""

KEPT = 3600.0
"""Seconds since the latest one for which it is said: providers repeat what was refused."""


class _RefusedInARow(Struct):
    """Of one table of the file: how many in a row, why the latest, and when that was (seconds of our clock)."""

    in_a_row: int
    why: str
    latest: float


class RefusedPosts:
    """`source` is the table's name: esp.sendgrid, providers.twilio."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._refused: dict[str, _RefusedInARow] = {}

    def refused(self, source: str, why: str) -> None:
        """A post of this one was not taken."""
        before = self._refused.get(source)
        in_a_row = before.in_a_row + 1 if before is not None else 1
        self._refused[source] = _RefusedInARow(in_a_row, why, self._clock.seconds())

    def good(self, source: str) -> None:
        """One was."""
        self._refused.pop(source, None)

    def forget(self) -> None:
        """The file has been read again: what was wrong may be right now."""
        self._refused.clear()

    def degraded(self) -> Iterator[Degraded]:
        """See SaysDegraded."""
        for source, found in list(self._refused.items()):
            if self._clock.seconds() - found.latest > KEPT:
                del self._refused[source]
            elif found.in_a_row >= AT_LEAST:
                text = f"{source}: its latest {found.in_a_row} posts were refused: {found.why}"
                yield Degraded("events", source, f"{text}; what became of its messages nobody hears")

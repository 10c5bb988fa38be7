"""Posts of providers that were refused: where all are, a secret or a key of theirs is not what our file has.

Owns what counts as such. Who posts them is known by a secret path or a signed token, so no stranger is counted.
"""

from collections.abc import Iterator

from twisted.internet.interfaces import IReactorTime

from gatewayd.core.in_a_row import InARow
from gatewayd.core.model import Degraded

AT_LEAST = 3
"""So many in a row, and none that was good, say that something is wrong."""


class RefusedPosts:
    """`source` is the table's name: esp.sendgrid, providers.twilio."""

    def __init__(self, clock: IReactorTime) -> None:
        self._refused = InARow(clock, AT_LEAST)

    def refused(self, source: str, why: str) -> None:
        """A post of this one was not taken."""
        self._refused.failed(source, why)

    def good(self, source: str) -> None:
        """One was."""
        self._refused.worked(source)

    def forget(self) -> None:
        """The file has been read again."""
        self._refused.forget()

    def degraded(self) -> Iterator[Degraded]:
        """See SaysDegraded."""
        for source, run in self._refused.found():
            text = f"{source}: its latest {run.count} posts were refused: {run.why}"
            yield Degraded("events", source, f"{text}; what became of its messages nobody hears")

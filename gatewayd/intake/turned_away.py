"""Labels of which nothing is taken: by what Smartico sends, or by what our file allows, every request is refused.

Owns what counts as such. Refusals for a player's sake, or for the moment's, show that the rest is right.
"""

from collections.abc import Iterator

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime

from gatewayd.core.errors import ErrorCode
from gatewayd.core.model import Degraded

IN_A_ROW = 20
"""So many requests of a label that were refused, and none that was not, say that something is wrong."""

KEPT = 3600.0
"""Seconds since the latest one for which it is said: a campaign comes again, somebody's try does not."""

_WRONG = frozenset(
    {
        ErrorCode.INVALID_REQUEST,
        ErrorCode.NOT_AUTHORISED,
        ErrorCode.SENDER_NOT_ALLOWED,
        ErrorCode.CALLBACK_NOT_ALLOWED,
        ErrorCode.TOO_LARGE,
        ErrorCode.INTERNAL,
    }
)


class _Turned(Struct):
    """Of one label: how many in a row, why the latest, and when that was (seconds of our clock)."""

    in_a_row: int
    why: str
    latest: float


class TurnedAway:
    """What becomes of each label's requests; not of those of callers that the label is not open to."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._labels: dict[str, _Turned] = {}

    def answered(self, label: str, code: ErrorCode, why: str = "") -> None:
        """A request was answered so."""
        if code is ErrorCode.TRY_AGAIN:
            return
        if code not in _WRONG:
            self._labels.pop(label, None)
            return
        before = self._labels.get(label)
        in_a_row = before.in_a_row + 1 if before is not None else 1
        self._labels[label] = _Turned(in_a_row, f"code {code.value}, {why}", self._clock.seconds())

    def forget(self) -> None:
        """The file has been read again: what was wrong may be right now."""
        self._labels.clear()

    def degraded(self) -> Iterator[Degraded]:
        """See SaysDegraded."""
        for label, found in list(self._labels.items()):
            if self._clock.seconds() - found.latest > KEPT:
                del self._labels[label]
            elif found.in_a_row >= IN_A_ROW:
                text = f"label {label}: its latest {found.in_a_row} requests were refused, the last with {found.why}"
                yield Degraded("requests", label, text)

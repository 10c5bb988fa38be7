"""Labels of which nothing of a channel is taken: by what Smartico sends, or by what our file allows, all is refused.

Owns what counts as such. Each channel is counted by itself: mails that are taken show nothing of SMS. Refusals for a
player's sake, or for the moment's, show that the rest is right.
"""

from collections.abc import Iterator

from twisted.internet.interfaces import IReactorTime

from gatewayd.core.errors import ErrorCode
from gatewayd.core.in_a_row import InARow
from gatewayd.core.model import Channel, Degraded

IN_A_ROW = 20
"""So many requests of a label and channel that were refused, and none that was not, say that something is wrong."""

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


class TurnedAway:
    """What becomes of each label's requests; not of those of callers that the label is not open to."""

    def __init__(self, clock: IReactorTime) -> None:
        self._scopes = InARow(clock, IN_A_ROW)

    def answered(self, label: str, channel: Channel, code: ErrorCode, why: str = "") -> None:
        """A request was answered so."""
        if code in _WRONG:
            self._scopes.failed(f"{label}/{channel}", f"code {code.value}, {why}")
        elif code is not ErrorCode.TRY_AGAIN:
            self._scopes.worked(f"{label}/{channel}")

    def forget(self) -> None:
        """The file has been read again."""
        self._scopes.forget()

    def degraded(self) -> Iterator[Degraded]:
        """See SaysDegraded."""
        for scope, run in self._scopes.found():
            text = f"{scope}: its latest {run.count} requests were refused, the last with {run.why}"
            yield Degraded("requests", scope, text)

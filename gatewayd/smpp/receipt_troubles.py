"""Whether no SMS of an SMSC arrives, or none becomes delivered for the words of its receipts, which nobody knows.

Owns what counts. What a word means, receipt.py's table says, and the operator's receipt_states over it.
"""

from twisted.internet.interfaces import IReactorTime

from gatewayd.core.in_a_row import NOT_ARRIVED, InARow
from gatewayd.core.status import Event
from gatewayd.smpp.receipt import ReceiptText

ENOUGH = 3
"""Receipts since the last one that said "delivered": a few odd ones among many that do are no trouble of all SMS."""

_FAILURES = frozenset({Event.FAILED, Event.REJECTED})
_IT = ""  # there is one SMSC to count for


class ReceiptTroubles:
    """The receipts of one SMSC since one of them said that an SMS was delivered."""

    def __init__(self, clock: IReactorTime) -> None:
        self._unknown = InARow(clock, ENOUGH)
        self._failed = InARow(clock, NOT_ARRIVED)

    def came(self, said: ReceiptText) -> None:
        """A receipt says this."""
        if said.event is Event.DELIVERED:
            self.forget()
        elif not said.is_known:
            self._unknown.failed(_IT, named(said))
        elif said.event in _FAILURES:
            self._failed.failed(_IT, f"{said.state or said.event}", said.ids[0] if said.ids else "")

    def forget(self) -> None:
        """One arrived, or the configuration was changed."""
        self._unknown.forget()
        self._failed.forget()

    def words(self, *, delivered_are_told: bool) -> str:
        """For people; empty where nothing is wrong. Some SMSCs are asked for the receipts of failed SMS alone."""
        for _, run in self._unknown.found():
            return f"{run.count} receipts, and none that says delivered, name {run.why}; its SMS stay accepted"
        for _, run in self._failed.found() if delivered_are_told else ():
            return (
                f"{run.count} receipts, and none that says delivered, the latest {run.why}: does it block the sender?"
            )
        return ""


def named(said: ReceiptText) -> str:
    """What it says, and what is to be done."""
    if not said.state:
        return "no state"
    return f"a state that nobody knows, {said.state}: say in receipt_states what it means"

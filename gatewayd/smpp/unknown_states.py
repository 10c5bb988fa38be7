"""Whether an SMSC's receipts say words that nobody knows, so that its SMS never become delivered.

Owns what counts. What a word means, receipt.py's table says, and the operator's receipt_states over it.
"""

from twisted.internet.interfaces import IReactorTime

from gatewayd.core.in_a_row import InARow
from gatewayd.core.status import Event
from gatewayd.smpp.receipt import ReceiptText

ENOUGH = 3
"""Receipts since the last one that said "delivered": a few odd ones among many that do are no trouble of all SMS."""

_IT = ""  # there is one SMSC to count for


class UnknownStates:
    """The receipts of one SMSC since one of them said that an SMS was delivered."""

    def __init__(self, clock: IReactorTime) -> None:
        self._unknown = InARow(clock, ENOUGH)

    def came(self, said: ReceiptText) -> None:
        """A receipt says this."""
        if said.event is Event.DELIVERED:
            self.forget()
        elif not said.is_known:
            self._unknown.failed(_IT, named(said))

    def forget(self) -> None:
        """Some are known, or the configuration was changed."""
        self._unknown.forget()

    def words(self) -> str:
        """For people; empty where nothing is wrong."""
        for _, run in self._unknown.found():
            return f"{run.count} receipts, and none that says delivered, name {run.why}; its SMS stay accepted"
        return ""


def named(said: ReceiptText) -> str:
    """What it says, and what is to be done."""
    if not said.state:
        return "no state"
    return f"a state that nobody knows, {said.state}: say in receipt_states what it means"

"""Whether an SMSC's receipts say words that nobody knows, so that its SMS never become delivered.

Owns the count. What a word means, receipt.py's table says, and the operator's receipt_states over it.
"""

from gatewayd.core.status import Event
from gatewayd.smpp.receipt import ReceiptText

ENOUGH = 3
"""Receipts since the last one that said "delivered": a few odd ones among many that do are no trouble of all SMS."""


class UnknownStates:
    """The receipts of one SMSC since one of them said that an SMS was delivered."""

    def __init__(self) -> None:
        self._count = 0
        self._latest = ""

    def came(self, said: ReceiptText) -> None:
        """A receipt says this."""
        if said.event is Event.DELIVERED:
            self.forget()
        elif not said.is_known:
            self._count += 1
            self._latest = named(said)

    def forget(self) -> None:
        """Some are known, or the configuration was changed."""
        self._count = 0

    def words(self) -> str:
        """For people; empty where nothing is wrong."""
        if self._count < ENOUGH:
            return ""
        return f"{self._count} receipts, and none that says delivered, name {self._latest}; its SMS stay accepted"


def named(said: ReceiptText) -> str:
    """What it says, and what is to be done."""
    if not said.state:
        return "no state"
    return f"a state that nobody knows, {said.state}: say in receipt_states what it means"

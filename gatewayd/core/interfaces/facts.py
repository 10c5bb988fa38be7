"""What evidence asks of the store: whose a fact is, and what it changes. Others ask the former, too.

Times are seconds since the epoch.
"""

from collections.abc import Sequence

from zope.interface import Interface

from gatewayd.core.model import Evidence, Known, Receipt


class IAbout(Interface):
    """What is known of a message beside its content. May raise StoreUnavailable."""

    async def about(message_id: str) -> Known | None:
        """What is kept of one message: whose it is, where it went and when."""


class IFacts(IAbout):
    """Outside facts about messages. Each method is one atomic step; any may raise StoreUnavailable."""

    async def record_evidence(evidence: Evidence) -> str:
        """Apply the transition table; "moved", "ignored", or "unknown" where the message is not kept any more."""

    async def record_receipt(receipt: Receipt, *, park: bool, by_number: bool = False) -> tuple[str, str]:
        """Match and fold one receipt: "moved", "sent" (it shows that all was taken), "ignored", or
        "parked"/"unknown" where no id matches; and the message. One that has no id is unknown.

        An uncertain message that went to the receipt's number on that SMSC is taken for it, and with `by_number`, once
        the receipt has waited 10 s, the latest one to it whose answer is awaited still. Of several messages to that
        number that were given its id on one day, it is about the oldest one whose end is not known; brought again in
        the same `wording`, about that one still. Where the ends of all are known it waits for the answer of another
        one to that number that is on the wire, if any is.
        """

    async def parked_receipts(limit: int) -> tuple[list[Receipt], list[Receipt]]:
        """Parked receipts to look up again now, and those given up as orphans."""

    async def latest_to(number_hashes: Sequence[str]) -> str | None:
        """The id of the latest message that went to a number, by any of its names; or to any of several numbers."""

"""Where everything that is learnt about messages which have left is brought."""

from typing import Protocol

from gatewayd.core.model import Evidence, Inbound, Receipt


class EvidenceSink(Protocol):
    """Where channels, listeners and work bring what they learn about messages that have left.

    Each `record` returns once the fact is durable, so that the next hop may be told that we took it, and raises
    StoreUnavailable where it could not be made so; `record_late_answer` and `resume_from` ask the store until it
    answers, because nobody brings their facts again.
    """

    async def record(self, evidence: Evidence) -> None:
        """One fact about one message."""

    async def record_receipt(self, receipt: Receipt) -> None:
        """A delivery receipt: matched, or parked until the submit's answer comes."""

    async def record_inbound(self, inbound: Inbound) -> None:
        """A text from a player; a stop word unsubscribes."""

    async def record_late_answer(self, message_id: str, route: str, remote_ids: tuple[str, ...]) -> None:
        """All submits of a message that was declared uncertain were taken."""

    async def resume_from(
        self, message_id: str, route: str, stamp: int, remote_ids: tuple[str, ...], reason: str
    ) -> None:
        """What `route` has of a message that is uncertain since its mark of that `stamp` is known now.

        It is the segments of `remote_ids` and no more: the rest may be sent.
        """

    async def record_simulated(self, message_id: str) -> None:
        """A message of a label in test mode was not really sent: it counts as delivered."""

    async def record_hard_failure(self, message_id: str) -> None:
        """The next hop says that the address does not exist."""

    async def look_again(self, receipt: Receipt) -> None:
        """A parked receipt is due to be matched once more."""

    async def give_up(self, receipt: Receipt) -> None:
        """A parked receipt waited for long enough: unless its last look finds a message, none of ours bears its id."""

"""A tracker that keeps what it is told."""

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import (
    Evidence,
    Inbound,
    Receipt,
)


class FakeEvidence:
    """EvidenceSink that keeps what it is brought. `down = True` makes every record raise StoreUnavailable."""

    def __init__(self) -> None:
        self.facts: list[Evidence] = []
        self.receipts: list[Receipt] = []
        self.inbound: list[Inbound] = []
        self.late: list[tuple[str, str, tuple[str, ...]]] = []
        self.resumed: list[tuple[str, str, int, tuple[str, ...], str]] = []
        self.simulated: list[str] = []
        self.hard: list[str] = []
        self.looked: list[Receipt] = []
        self.given_up: list[Receipt] = []
        self.down = False

    def _check_up(self) -> None:
        if self.down:
            raise StoreUnavailable("the fake is down")

    async def record(self, evidence: Evidence) -> None:
        """See EvidenceSink."""
        self._check_up()
        self.facts.append(evidence)

    async def record_receipt(self, receipt: Receipt) -> None:
        """See EvidenceSink."""
        self._check_up()
        self.receipts.append(receipt)

    async def record_inbound(self, inbound: Inbound) -> None:
        """See EvidenceSink."""
        self._check_up()
        self.inbound.append(inbound)

    async def record_late_answer(self, message_id: str, route: str, remote_ids: tuple[str, ...]) -> None:
        """See EvidenceSink."""
        self.late.append((message_id, route, remote_ids))

    async def resume_from(
        self, message_id: str, route: str, stamp: int, remote_ids: tuple[str, ...], reason: str
    ) -> None:
        """See EvidenceSink."""
        self.resumed.append((message_id, route, stamp, remote_ids, reason))

    async def record_simulated(self, message_id: str) -> None:
        """See EvidenceSink."""
        self._check_up()
        self.simulated.append(message_id)

    async def record_hard_failure(self, message_id: str) -> None:
        """See EvidenceSink."""
        self._check_up()
        self.hard.append(message_id)

    async def look_again(self, receipt: Receipt) -> None:
        """See EvidenceSink."""
        self.looked.append(receipt)

    async def give_up(self, receipt: Receipt) -> None:
        """See EvidenceSink."""
        self.given_up.append(receipt)

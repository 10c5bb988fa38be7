"""Receipts that match no message of ours: where nearly all of an SMSC's do, its ids are read by a wrong rule.

Owns the count of the last minute. One foreign receipt is nobody's fault; none that matches is an operator's to mend.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

from twisted.logger import Logger

from gatewayd.core.model import Degraded

SPAN = 60.0
"""Seconds of which the receipts are counted."""

PATIENCE = 20.0
"""Seconds that a receipt may come before its submit's answer: as long it is no stranger."""

AT_LEAST = 3
"""So many strangers, and ten for each receipt that matches, say that something is wrong."""

FOR_EACH = 10

MOST_COUNTED = 10_000
"""Receipts of one SMSC that are counted one by one: more of them in a minute say no more than these."""


class UnmatchedReceipts:
    """Counts by SMSC; `degraded` says which of them tell of messages that nobody knows."""

    log = Logger()

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._strangers: dict[str, deque[float]] = {}
        self._matched: dict[str, deque[float]] = {}
        self._said: set[str] = set()

    def matched(self, smsc: str) -> None:
        """A receipt of this SMSC was about a message of ours."""
        self._note(self._matched, smsc)

    def stranger(self, smsc: str, came_at: float) -> None:
        """A receipt that came then was looked up once more and matches nothing; said again, it counts once.

        It is called each time that it is looked up: only when the time is over in which its answer may still come.
        """
        if came_at + PATIENCE <= self._clock.seconds() < came_at + 2 * PATIENCE:
            self._note(self._strangers, smsc)

    def degraded(self) -> Iterator[Degraded]:
        """See SaysDegraded."""
        for smsc in self._strangers:
            strangers, matched = self._lately(self._strangers, smsc), self._lately(self._matched, smsc)
            if strangers < AT_LEAST or strangers < FOR_EACH * matched:
                self._said.discard(smsc)
                continue
            text = (
                f"{strangers} receipts of {smsc} in the last minute match no message, {matched} do: is its message_ids "
                "right (gatewayctl smpp-probe), of a provider its reports.id, or does another system use the account? "
                "No SMS of it becomes delivered"
            )
            if smsc not in self._said:
                self._said.add(smsc)
                self.log.warn("{text}", text=text, smsc=smsc)
            yield Degraded("receipts", smsc, text)

    def _note(self, counts: dict[str, deque[float]], smsc: str) -> None:
        counts.setdefault(smsc, deque(maxlen=MOST_COUNTED)).append(self._clock.seconds())

    def _lately(self, counts: dict[str, deque[float]], smsc: str) -> int:
        moments = counts.get(smsc)
        if not moments:
            return 0
        while moments and moments[0] <= self._clock.seconds() - SPAN:
            moments.popleft()
        return len(moments)

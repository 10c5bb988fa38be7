"""What was refused and what did not arrive lately, in this process: the lists of the dashboard.

Kept in memory and short: for a person who asks "what is going wrong just now". The audit log is the lasting record.
"""

from collections import deque

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime

from gatewayd.core.interfaces import Decided
from gatewayd.core.model import Decision

KEPT = 50
"""Decisions kept of each kind; the newest count."""

_DID_NOT_ARRIVE = frozenset({"failed", "rejected", "bounced"})


class DatedDecision(Struct, frozen=True):
    """One decision, and when it was made (seconds since the epoch)."""

    at: float
    decision: Decision


class RecentTroubles:
    """Hears each decision on its way to `further` (the audit log)."""

    def __init__(self, clock: IReactorTime, further: Decided) -> None:
        self._clock = clock
        self._further = further
        self._refused: deque[DatedDecision] = deque(maxlen=KEPT)
        self._failed: deque[DatedDecision] = deque(maxlen=KEPT)

    def record(self, decision: Decision) -> None:
        """Keep what went wrong, and pass everything on."""
        if decision.what == "refused":
            self._refused.append(DatedDecision(self._clock.seconds(), decision))
        elif decision.what in _DID_NOT_ARRIVE:
            self._failed.append(DatedDecision(self._clock.seconds(), decision))
        self._further(decision)

    def refused(self, limit: int) -> list[DatedDecision]:
        """The latest requests that were refused, the newest first."""
        return list(self._refused)[: -limit - 1 : -1]

    def failed(self, limit: int) -> list[DatedDecision]:
        """The latest messages that did not arrive, the newest first."""
        return list(self._failed)[: -limit - 1 : -1]

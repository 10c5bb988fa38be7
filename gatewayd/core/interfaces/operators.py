"""What operators are told: counts, decisions for the audit log, and what does not work at this moment."""

from collections.abc import Callable, Iterable

from zope.interface import Interface

from gatewayd.core.errors import ErrorCode
from gatewayd.core.model import Channel, Decision, Degraded
from gatewayd.core.status import Report

SaysDegraded = Callable[[], Iterable[Degraded]]
"""What of a part does not work for somebody at this moment; empty where all is well.

Asked every few seconds and at each look at /readyz: it does no I/O, takes no time and raises nothing.
"""

Decided = Callable[[Decision], None]
"""Where the verbs say what they decided, for the audit log."""


def unrecorded(decision: Decision) -> None:
    """For an installation without an audit log."""


class IMeter(Interface):
    """Where the verbs count; names and units of the figures are declared in metrics.py."""

    def intake(label: str, channel: Channel, result: ErrorCode, seconds: float) -> None:
        """A request was answered."""

    def settled(label: str, channel: Channel, outcome: str, seconds: float) -> None:
        """An attempt ended: sent, again, uncertain, failed, rejected, set_aside. `seconds` since acceptance."""

    def reported(label: str, status: Report, result: str, seconds: float) -> None:
        """A callback ended: told, again, dead. `seconds` since the status was queued."""

    def evidence(source: str, event: str, result: str) -> None:
        """Evidence came: matched, parked, orphaned or ignored."""

    def mailed(label: str, route: str) -> None:
        """A relay took an email of this label."""

    def complained(label: str, route: str) -> None:
        """A recipient complained about an email of this label that went by this relay, for the first time."""

"""IMeter that keeps what it is told."""

from zope.interface import implementer

from gatewayd.core.errors import ErrorCode
from gatewayd.core.interfaces import IMeter
from gatewayd.core.model import (
    Channel,
)
from gatewayd.core.status import Report


@implementer(IMeter)
class FakeMeter:
    """IMeter that keeps what it was told."""

    def __init__(self) -> None:
        self.intakes: list[tuple[str, Channel, ErrorCode]] = []
        self.outcomes: list[tuple[str, Channel, str]] = []
        self.reports: list[tuple[str, Report, str]] = []
        self.facts: list[tuple[str, str, str]] = []
        self.mails: list[tuple[str, str]] = []
        self.complaints: list[tuple[str, str]] = []

    def intake(self, label: str, channel: Channel, result: ErrorCode, seconds: float) -> None:
        self.intakes.append((label, channel, result))

    def settled(self, label: str, channel: Channel, outcome: str, seconds: float) -> None:
        self.outcomes.append((label, channel, outcome))

    def reported(self, label: str, status: Report, result: str, seconds: float) -> None:
        self.reports.append((label, status, result))

    def mailed(self, label: str, route: str) -> None:
        self.mails.append((label, route))

    def complained(self, label: str, route: str) -> None:
        self.complaints.append((label, route))

    def evidence(self, source: str, event: str, result: str) -> None:
        self.facts.append((source, event, result))

"""A tracker in small: the fake store, a test clock, and one message."""

from typing import Any

from twisted.internet.task import Clock

from at_once import run
from fakes import FakeMeter, FakeStopList, FakeStore
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import (
    Channel,
    Decision,
    Email,
    Evidence,
    Handed,
    Message,
    Receipt,
    Resolved,
    Sms,
    WhyNot,
)
from gatewayd.core.status import Event, State
from gatewayd.core.tokens import Keys
from gatewayd.evidence.track import Tracker
from labels import label

KEYS = Keys(b"k" * 32)
ID = "00000000-0000-4000-8000-000000000001"
NUMBER = KEYS.number_hashes("+447700900123")[0]
ADDRESS = KEYS.address_hashes("anna@players.example")[0]
USER = KEYS.user_hashes("amazing", "p1")[0]


class Store(FakeStore):
    """A store that can go away between two steps."""

    evidence_down = False

    async def record_evidence(self, evidence: Evidence) -> str:
        """As IStore, or away."""
        if self.evidence_down:
            raise StoreUnavailable("away")
        return await super().record_evidence(evidence)


class Directory:
    """IRecipients of one player, whom it spells P1; it can be down."""

    is_down = False
    known = "anywhere"

    async def address(self, label: str, user: str, channel: Channel, *, fresh: bool = False) -> Resolved:
        """See IRecipients."""
        return Resolved(user, why_not=WhyNot.UNAVAILABLE) if self.is_down else Resolved(user.upper(), self.known)

    def patience(self, label: str) -> float:
        """See IRecipients."""
        return 0.0


class Bench:
    """A tracker over a fake store with one message."""

    def __init__(
        self,
        channel: Channel = Channel.SMS,
        audited: bool = False,
        directory: Directory | None = None,
        activity_type: str = "",
        **changed: Any,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.store = Store(self.clock)
        self.meter = FakeMeter()
        labels = {"amazing": label(**{"suppress_for": "30d"} | changed)}
        self.received: list[Receipt] = []
        self.decisions: list[Decision] = []
        self.tracker = Tracker(
            self.clock,
            self.store,
            FakeStopList(self.store),
            KEYS,
            labels,
            self.meter,
            decided=self.decisions.append,
            audited=audited,
            received=self.received.append,
            recipients=directory,
        )
        now = self.clock.seconds()
        content = Sms("A", "b") if channel is Channel.SMS else Email("a@amazing.co", "s")
        self.message = Message(ID, "u1", "amazing", "p1", content, now, now + 3600, activity_type=activity_type)
        self.address = NUMBER if channel is Channel.SMS else ADDRESS
        run(self.store.accept(self.message, "f", lease=True))

    def marked(self, segments: int = 1) -> int:
        """It is on the wire; the mark's stamp."""
        return run(self.store.mark(self.message, "world", self.address, lease="", segments=segments))

    @property
    def audit(self) -> list[tuple[str, str]]:
        """What the audit log hears, and why."""
        return [(one.what, one.reason) for one in self.decisions if one.message_id == ID and one.uid == "u1"]

    def sent(self, *remote_ids: str) -> None:
        """The next hop took it."""
        self.marked()
        run(self.store.settle_sent(ID, self.message.channel, Handed("world", remote_ids)))

    def take(self, event: Event, *, hard: bool = False, message_id: str = ID) -> None:
        """Evidence from a DSN."""
        run(self.tracker.record(Evidence(message_id, event, "dsn", hard=hard)))

    @property
    def state(self) -> State:
        """What the store holds."""
        return self.store.db.rows[ID].state

    @property
    def told(self) -> str:
        """The letters of the reports queued."""
        return self.store.db.rows[ID].queued

    def stopped(self, name: str) -> bool:
        """Whether a keyed hash is on the stop list of the message's channel."""
        found = run(self.store.stopped("amazing", self.message.channel, [name]))
        return found is not None and found.until > 0

"""What all instances of FakeStore share: the fake's Redis."""

from dataclasses import dataclass, field

from gatewayd.core.model import (
    AuditHead,
    Channel,
    DeadLetter,
    Message,
    Receipt,
    Stop,
    TracedEvent,
)
from gatewayd.core.status import State
from gatewayd.store.unheard import Unheard


@dataclass
class Row:
    """What is kept of one message."""

    message: Message | None
    fingerprint: str
    label: str
    channel: Channel
    callback_url: str
    user: str
    uid: str
    activity: str
    accepted_at: float
    deadline: float
    heard: list[tuple[str, str]] = field(default_factory=list)
    state: State = State.QUEUED
    queued: str = ""
    pending: str = ""
    report_born: float = 0.0
    report_tries: int = 0
    report_first: float = 0.0
    tries: int = 0
    first: float = 0.0
    route: str = ""
    marked: float = 0.0
    address: str = ""
    sent_at: float = 0.0
    ended: float = 0.0
    segments: str = ""
    progress: tuple[str, ...] = ()
    lost_progress: tuple[int, float] | None = None
    copies: int = 0
    lease: tuple[str, str] | None = None
    marked_since: bool = False
    report_lease: tuple[str, str] | None = None
    wording: dict[int, str] = field(default_factory=dict)
    hearings: list[tuple[str, float]] = field(default_factory=list)
    timeline: list[TracedEvent] = field(default_factory=list)
    erased: tuple[TracedEvent, ...] = ()


class Database:
    """What all instances of FakeStore share: the fake's Redis."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.queues: dict[str, dict[str, float]] = {"email": {}, "sms": {}, "im": {}, "reports": {}}
        self.leases: dict[tuple[str, str], dict[str, float]] = {}
        self.aside: dict[tuple[str, Channel], dict[str, float]] = {}
        self.paused: set[tuple[str, Channel]] = set()
        self.stop: dict[tuple[str, Channel, str], float] = {}
        self.stops: dict[tuple[str, Channel, str], Stop] = {}
        self.stop_owners: dict[tuple[str, Channel, str], str] = {}
        self.memory: dict[str, float] = {}
        self.remote: dict[bytes, list[tuple[str, int, str]]] = {}
        self.parked: dict[Receipt, float] = {}
        self.latest: dict[str, str] = {}
        self.audit_heads: dict[str, AuditHead] = {}
        self.lost: dict[str, dict[str, None]] = {}
        self.dead: dict[tuple[str, str], DeadLetter] = {}
        self.counts: dict[tuple[str, Channel, str], int] = {}
        self.rates: dict[str, float] = {}
        self.beats: dict[str, float] = {}
        self.seen: dict[str, float] = {}
        self.steady: tuple[float, float] | None = None
        self.forgot = 0.0
        self.boots: dict[str, str] = {}
        self.unheard: dict[str, Unheard] = {}

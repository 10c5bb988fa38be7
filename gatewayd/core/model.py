"""The things that cross module boundaries: frozen, typed, and safe to print.

Stored values are msgspec structs because the store writes them as they are. Nothing here does I/O or asks the clock.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Literal

from msgspec import Struct

from gatewayd.core.status import Event, Report, State


class Channel(StrEnum):
    """A way out; the words of the public paths and commands.

    An instant message goes out as an SMS (SMARTICO.md 2) unless its label has ways of their own for it.
    """

    EMAIL = "email"
    SMS = "sms"
    IM = "im"


class Email(Struct, frozen=True, tag="email"):
    """The content of one email, in the caller's own field names."""

    from_email_address: str
    subject: str
    reply_to_email_address: str = ""
    body: str = ""
    text_body: str = ""


class Sms(Struct, frozen=True, tag="sms"):
    """The content of one SMS; `from_number` is already the label's default where the request had none."""

    from_number: str
    body: str


class Im(Struct, frozen=True, tag="im"):
    """The content of one instant message; `from_number` is empty where neither request nor label names a sender."""

    from_number: str
    body: str


Content = Email | Sms | Im
CHANNEL_OF: Mapping[type, Channel] = {Email: Channel.EMAIL, Sms: Channel.SMS, Im: Channel.IM}
"""The channel that each content goes out on."""


class Message(Struct, frozen=True):
    """One email or SMS that we took on. Holds the player's id, never the player's address.

    `callback_url` is empty where the label's own counts. `sealed_to` is a preview's `to_email_address`, encrypted
    with the installation's key (tokens.Keys.seal), so that no address rests in Redis. Times are seconds since the
    epoch.
    """

    id: str
    uid: str
    label: str
    ext_user_id: str
    content: Content
    accepted_at: float
    deadline: float
    callback_url: str = ""
    activity_type: str = ""
    sealed_to: str = ""

    @property
    def channel(self) -> Channel:
        """The channel that this content goes out on."""
        return CHANNEL_OF[type(self.content)]

    def __repr__(self) -> str:
        return f"<Message {self.id} {self.label}/{self.channel}>"


class Recipient(Struct, frozen=True):
    """What the operator's directory says of a player. Printing it shows no address.

    `im` is None where the directory has no such column: then the player's id is the address there. `id` is the
    database's own spelling of the player's id, "" where it gives none; `consented_at` is when the player last agreed to
    be written to (seconds since the epoch, 0 where that is not known).
    """

    email: str = ""
    phone: str = ""
    im: str | None = None
    opted_out: bool = False
    email_opted_out: bool = False
    sms_opted_out: bool = False
    im_opted_out: bool = False
    excluded: bool = False
    id: str = ""
    consented_at: float = 0.0

    def __repr__(self) -> str:
        has = [name for name, value in (("email", self.email), ("phone", self.phone), ("im", self.im)) if value]
        return f"<Recipient with {' and '.join(has) or 'no address'}>"

    def may_be_contacted(self, channel: Channel) -> bool:
        """False for an excluded player, one who opted out of everything, or of this channel."""
        out_of = {
            Channel.EMAIL: self.email_opted_out,
            Channel.SMS: self.sms_opted_out,
            Channel.IM: self.im_opted_out,
        }
        return not (self.opted_out or self.excluded or out_of[channel])


class WhyNot(StrEnum):
    """Why nobody is written to, of whom a message would be for."""

    UNKNOWN = "unknown"
    MAY_NOT = "may not be contacted"
    NO_ADDRESS = "no address"
    UNAVAILABLE = "unavailable"


class Resolved(Struct, frozen=True):
    """What the directory says of one player for one channel: `address`, in the form that the channel takes, or why not.

    `user` is the player's id, in the directory's own spelling where it has one; `consented_at` when the player last
    agreed to be written to. UNAVAILABLE is the directory's own trouble: `reason` says it without anything of a player,
    `not_before` when it may be asked again. Times are seconds since the epoch, 0 where they are not known.
    """

    user: str
    address: str = ""
    why_not: WhyNot | None = None
    reason: str = ""
    not_before: float = 0.0
    consented_at: float = 0.0

    def __repr__(self) -> str:
        return f"<Resolved {self.why_not or 'with an address'}>"


class Order(Struct, frozen=True):
    """What a channel is asked to do once: this message, to this address, by the first of `routes` that is up.

    `address` is a checked email address, a number in E.164 form with its plus, or any text (im). `routes` are names of
    relays, SMSCs or providers in order of preference. `progress` holds the remote ids of segments that an earlier
    attempt got taken, by `begun_on` where that is known: an id means nothing to another SMSC. `lease` is the name of
    the message's lease.
    """

    message: Message
    address: str
    routes: tuple[str, ...]
    progress: tuple[str, ...] = ()
    attempt: int = 1
    begun_on: str = ""
    lease: str = ""
    copies: int = 0

    def __repr__(self) -> str:
        return f"<Order {self.message.id} attempt {self.attempt}>"


class Handed(Struct, frozen=True):
    """The next hop took the message: `route` is its name, `remote_ids` one id for each segment, `detail` its words.

    An SMSC's remote ids are in the form under which its receipts are looked up (smpp/receipt.py normalises both).
    """

    route: str
    remote_ids: tuple[str, ...] = ()
    detail: str = ""


def part_of(message_id: str, remote_id: str) -> str:
    """A provider's id of one part of a message, as a remote id: no other message's report can name it."""
    return f"{message_id}/{remote_id}"


class Leased(Struct, frozen=True):
    """A message that this process holds, with what earlier attempts left behind. Times: seconds since the epoch.

    `lease` is this very lease's name: after it was given back, who held it can neither mark nor settle the message.
    `copies` counts those that may have been taken.
    """

    message: Message
    state: State = State.QUEUED
    attempts: int = 0
    first_tried: float = 0.0
    route: str = ""
    marked_at: float = 0.0
    progress: tuple[str, ...] = ()
    lease: str = ""
    copies: int = 0


class ReportJob(Struct, frozen=True):
    """The next status to tell about a message. `first_tried` is 0 before the first try."""

    message_id: str
    label: str
    channel: Channel
    status: Report
    callback_url: str
    queued_at: float
    attempts: int = 0
    first_tried: float = 0.0
    lease: str = ""


class Evidence(Struct, frozen=True):
    """An outside fact about one message of ours.

    `source` names where it came from (dsn, arf, open, unsubscribe, an ESP's name); `detail` is the raw words,
    redacted, for the support engineer. `hard` marks an address that does not exist. `label` and `user_hash` say whose
    it is where the evidence itself knows: an unsubscribe link outlives what is kept of its message. So does `channel`,
    where the source is about one alone.
    """

    message_id: str
    event: Event
    source: str
    detail: str = ""
    hard: bool = False
    label: str = ""
    user_hash: str = ""
    channel: Channel | None = None


class Receipt(Struct, frozen=True):
    """A delivery receipt from an SMSC or provider. `event` is None where it settles nothing (ENROUTE, UNKNOWN, ...).

    `remote_ids` are the forms under which the submit's id may have been stored, best first; `number_hash` is the
    keyed hash of a number in it (first of tokens.Keys.number_hashes), empty where the receipt names none, and
    `earlier_hashes` are those of its other number and those under previous keys: the submit may be older than today's
    key. The store sets `parked_at`, by its own clock, on one that waits for its message, and `came_at`, the same by
    ours, where it gives it back. A provider's report names its message by itself (`message_id`); from `whole_after` on
    one whose id nobody knows is about the whole of it.
    """

    smsc: str
    remote_ids: tuple[str, ...]
    event: Event | None
    detail: str = ""
    number_hash: str = ""
    parked_at: float = 0.0
    earlier_hashes: tuple[str, ...] = ()
    message_id: str = ""
    whole_after: float = 0.0
    came_at: float = 0.0

    @property
    def number_hashes(self) -> tuple[str, ...]:
        """Every name that the number may be known by; none where the receipt names no number."""
        return (self.number_hash, *self.earlier_hashes) if self.number_hash else ()


class Inbound(Struct, frozen=True):
    """A text that a player sent to us (mobile originated), the number only as its keyed hash.

    `earlier_hashes` are those under previous keys: it may answer a message that is older than today's key.
    """

    smsc: str
    number_hash: str
    text: str
    earlier_hashes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Inbound on {self.smsc}>"


class Trace(Struct, frozen=True):
    """The timeline of one message as `/messages/<id>` shows it; no address in it."""

    ext_message_id: str
    uid: str
    label: str
    channel: Channel
    ext_user_id: str
    state: State
    reports: tuple["TracedReport", ...] = ()
    timeline: tuple["TracedEvent", ...] = ()


class TracedReport(Struct, frozen=True):
    """One status that was queued for Smartico; `answered_at` is 0 while it was not yet heard."""

    status: Report
    at: float
    answered_at: float = 0.0


class TracedEvent(Struct, frozen=True):
    """One step in a message's life; `detail` is free text without addresses.

    What came again stands once: first `at`, last `until` (0 where it came once), `times` in all.
    """

    at: float
    event: str
    detail: str = ""
    until: float = 0.0
    times: int = 1


class Waiting(Struct, frozen=True):
    """A message in its queue: when it is tried next, and its deadline (seconds since the epoch)."""

    due: float
    deadline: float


class Known(Struct, frozen=True):
    """What the store keeps of a message beside its content.

    `sent_at` is when the next hop took it; before its answer is known, when the bytes were written; before that, 0.
    `queued_reports` has the letters (status.LETTERS) of the reports that were ever queued, `route` is the way of its
    latest copy.
    """

    message_id: str
    uid: str
    label: str
    channel: Channel
    ext_user_id: str
    state: State
    activity_type: str = ""
    address_hash: str = ""
    sent_at: float = 0.0
    queued_reports: str = ""
    route: str = ""


class Erased(Struct, frozen=True):
    """How much an erasure removed: messages looked at, messages removed, and of these the ones that still waited.

    `ended` names the latter, with their channel: they are failed now.
    """

    seen: int = 0
    removed: int = 0
    ended: tuple[tuple[str, Channel], ...] = ()

    @property
    def waiting(self) -> int:
        """How many still waited."""
        return len(self.ended)


class Kept(Struct, frozen=True):
    """All that is stored of one message, for the player whose it is; `waiting` is the message itself while it waits.

    `address_hash` is the keyed hash of where it went, `route` the relay or SMSC. Times are seconds since the epoch, 0
    for what has not happened.
    """

    trace: Trace
    accepted_at: float
    deadline: float
    sent_at: float = 0.0
    activity_type: str = ""
    address_hash: str = ""
    route: str = ""
    attempts: int = 0
    callback_url: str = ""
    waiting: Message | None = None


class Stopped(Struct, frozen=True):
    """A player's place on a stop list: until when (0: the player's own id is not on it), and how many addresses."""

    until: float
    addresses: int


class Stop(Struct, frozen=True):
    """One entry of a stop list: a player, or with `of_address` an address, by its keyed hash.

    `user` is the player's id, "" where nobody knows it or it was erased; `reason` says what put them there. Times are
    seconds since the epoch.
    """

    label: str
    channel: Channel
    keyed_hash: str
    since: float
    until: float
    of_address: bool = False
    reason: str = ""
    user: str = ""


class DeadLetter(Struct, frozen=True):
    """A status that Smartico did not take, kept for a person; `reason` says after how long, how many tries, and why."""

    message_id: str
    label: str
    status: Report
    given_up_at: float
    reason: str


class QueueState(Struct, frozen=True):
    """Figures of one queue: members that wait, that are leased, and the age of the oldest, in seconds.

    A message that is held as uncertain waits, but has no part in the age.
    """

    waiting: int
    leased: int
    oldest_age: float


class BindState(Struct, frozen=True):
    """One bind of an SMSC: `phase` says where it stands (bound, binding, waiting, ...), `since` when it came there.

    `reconnects`, `handed` (taken by the SMSC) and `unanswered` count since the process started; `latency` is the
    smoothed time of an answer in seconds.
    """

    smsc: str
    number: int
    mode: str
    phase: str
    since: float
    window: int = 0
    in_flight: int = 0
    reconnects: int = 0
    handed: int = 0
    unanswered: int = 0
    latency: float = 0.0
    last_error: str = ""


class WayState(Struct, frozen=True):
    """How one relay or SMSC stands, for the people who look after it (a channel's optional `states()`, by name).

    `word` says it in a word (up, down, bound, backing-off, ...), `reason` why, redacted; `since` is seconds since the
    epoch. `rate` is the configured limit per second (0: none), `in_flight` of `window` are unanswered now, `handed`
    and `throttled` count since the process started: taken by the next hop, and asked by it to slow down. `binds` are
    those of an SMSC, of which `unreadable` receipts and texts came.
    """

    up: bool
    word: str = ""
    reason: str = ""
    since: float = 0.0
    in_flight: int = 0
    window: int = 0
    rate: float = 0.0
    handed: int = 0
    throttled: int = 0
    binds: tuple[BindState, ...] = ()
    unreadable: int = 0


class Degraded(Struct, frozen=True, order=True):
    """Something that does not work for somebody at this moment, though the process runs.

    `kind` is what it is about (label, relay, smsc, provider, directory, redis, clock, reload, callbacks, ...), `name`
    which one: the two are the labels of a metric, so there are few. `text` is one line that names whom it hits, with
    no address and no secret in it.
    """

    kind: str
    name: str
    text: str


class AuditHead(Struct, frozen=True):
    """Where an audit log's chain stands, and after how many lines of its file."""

    chain: str
    lines: int


def some_names(names: Iterable[str], limit: int = 5) -> str:
    """Names as a text has them: the first few, and how many more there are; "no label" where there is none."""
    known = list(names)
    more = f" and {len(known) - limit} more" if len(known) > limit else ""
    return (", ".join(known[:limit]) or "no label") + more


class Decision(Struct, frozen=True):
    """One line for the audit log: what was decided about a message, and why. No address, no content."""

    what: str
    label: str
    channel: Channel | Literal[""]
    message_id: str = ""
    uid: str = ""
    ext_user_id: str = ""
    reason: str = ""


Json = dict[str, Any]

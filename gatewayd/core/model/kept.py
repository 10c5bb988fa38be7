"""What the store keeps of messages and stops, as support, an erasure or the player is shown it. No address in it."""

from msgspec import Struct

from gatewayd.core.model.message import Channel, Message
from gatewayd.core.status import Report, State


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
    latest copy, `parts` how many segments are told apart, 0 for one. `is_on_the_wire` while an attempt that has written
    its bytes goes on: an answer may still come.
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
    parts: int = 0
    is_on_the_wire: bool = False


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

    `address_hash` is the keyed hash of where it went, `route` the relay, SMSC or provider. Times are seconds since the
    epoch, 0 for what has not happened.
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
    """How a player stands on a stop list: until when (0: the player's own id is not on it), and how many addresses."""

    until: float
    addresses: int


class Stop(Struct, frozen=True):
    """One entry of a stop list: a player, or with `of_address` an address, by its keyed hash.

    `user` is the player's id, "" where nobody knows it or it was erased; `reason` says what put them there. `owner` is
    the keyed hash of the player whose address it is, and is said of one that is to be put there only. Times are seconds
    since the epoch.
    """

    label: str
    channel: Channel
    keyed_hash: str
    since: float
    until: float
    of_address: bool = False
    reason: str = ""
    user: str = ""
    owner: str = ""


class DeadLetter(Struct, frozen=True):
    """A status that Smartico did not take, kept for a person; `reason` says after how long, how many tries, and why.

    `waited` are the seconds from when it was queued until it was given up; None, as `tries`, where 0.1 gave it up.
    """

    message_id: str
    label: str
    status: Report
    given_up_at: float
    reason: str
    waited: float | None = None
    tries: int | None = None

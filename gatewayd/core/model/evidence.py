"""What others tell us about messages that have left: evidence, receipts, and texts of players."""

from msgspec import UNSET, Struct, UnsetType

from gatewayd.core.model.message import Channel
from gatewayd.core.status import Event


class Evidence(Struct, frozen=True):
    """An outside fact about one message of ours.

    `source` names where it came from (dsn, arf, open, unsubscribe, an ESP's name); `detail` is the raw words,
    redacted, for the support engineer. `hard` marks an address that does not exist. `label` and `user_hash` say whose
    it is where the evidence itself knows: an unsubscribe link outlives what is kept of its message. So does `channel`,
    where the source is about one alone. `at` is when it happened, where the source says that and tells it later
    (seconds since the epoch, by the source's clock).
    """

    message_id: str
    event: Event
    source: str
    detail: str = ""
    hard: bool = False
    label: str = ""
    user_hash: str = ""
    channel: Channel | None = None
    at: float = 0.0


class Receipt(Struct, frozen=True):
    """A delivery receipt from an SMSC or provider. `event` is None where it settles nothing (ENROUTE, UNKNOWN, ...).

    `remote_ids` are the forms under which the submit's id may have been stored, best first; `number_hash` is the
    keyed hash of a number in it (first of tokens.Keys.number_hashes), empty where the receipt names none, and
    `earlier_hashes` are those of its other number and those under previous keys: the submit may be older than today's
    key. Where the store gives back one that waits for its message it sets `parked_at`, since when it does by its own
    clock, `came_at`, the same by ours, and `parked_as`, how it is kept there to the letter. A provider's report names
    its message by itself (`message_id`); from `whole_after` on one whose id nobody knows is about the whole of it.
    `wording` is the same for a receipt that is brought again, and another for the next one, of which the SMSC says as
    much; UNSET, where nobody can say, leaves no trace in what is parked.
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
    parked_as: str = ""
    wording: str | UnsetType = UNSET

    @property
    def number_hashes(self) -> tuple[str, ...]:
        """Every name that the number may be known by; none where the receipt names no number."""
        return (self.number_hash, *self.earlier_hashes) if self.number_hash else ()


BEFORE_THE_ANSWER = "its receipts came before the last answer"
"""Why a message is delivered at once as it is sent."""


class SettledSent(Struct, frozen=True):
    """What the store says of a message that a next hop took.

    `parked` are the receipts that waited for its ids: the caller tracks them now. `has_arrived`: it is delivered.
    """

    parked: tuple[Receipt, ...] = ()
    has_arrived: bool = False


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

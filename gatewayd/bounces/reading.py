"""What a mail that came back says: the closed vocabulary between the readers and whoever acts on it. Pure."""

from enum import StrEnum

from msgspec import Struct

from gatewayd.core.addresses import ADDRESS


class Kind(StrEnum):
    """What a returned mail is. Only `failed`, `delivered`, `relayed`, `complained` and `unsubscribed` are facts."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    AUTO_REPLY = "auto-reply"
    NONE = "none"


class BounceReading(Struct, frozen=True):
    """What one returned mail says of one recipient.

    `status` is an enhanced code (RFC 3463) or empty, `action` the DSN's own word in lower case, `diagnostic` the raw
    words of the far end, bounded but not redacted. `parsed` is true where a machine-readable block (RFC 3464, 5965)
    said it, false where prose did. `hard` says that the address itself is at fault. `others` is what the same report
    says of further recipients. Printing it shows no address.
    """

    kind: Kind = Kind.NONE
    status: str = ""
    action: str = ""
    recipient: str = ""
    diagnostic: str = ""
    hard: bool = False
    parsed: bool = False
    remote_mta: str = ""
    reporting_mta: str = ""
    envelope_id: str = ""
    will_retry_until: str = ""
    feedback_type: str = ""
    others: tuple["BounceReading", ...] = ()

    def __repr__(self) -> str:
        return f"<BounceReading {self.kind} {self.status or '-'}{' hard' if self.hard else ''}>"


def first_address(text: str) -> str:
    """The first address in `text`, empty where there is none."""
    match = ADDRESS.search(text)
    return match.group(1).strip(".'") if match else ""

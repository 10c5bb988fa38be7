"""A message, its content, and whom it is for.

Stored values are msgspec structs because the store writes them as they are.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


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


class Recipient(Struct, frozen=True, gc=False):
    """What the operator's directory says of a player. Printing it shows no address.

    `im` is None where the directory has no such column: then the player's id is the address there. `id` is the
    database's own spelling of the player's id, "" where it gives none; `consented_at` is when the player last agreed to
    be written to (seconds since the epoch, 0 where that is not known), and `consent_is_unreadable` where the database
    says something there that is no moment.
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
    consent_is_unreadable: bool = False

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

"""What a session tells: values, in the order in which things happened on the wire."""

from msgspec import Struct

from gatewayd.smpp.codec import pdu as smpp


class Bound(Struct, frozen=True):
    """The peer took our bind."""

    system_id: bytes
    interface_version: int


class BindRefused(Struct, frozen=True):
    """The peer did not take our bind; `Closed` follows."""

    status: int


class SubmitAnswered(Struct, frozen=True):
    """A submit_sm_resp or generic_nack to the submit that `token` names.

    `late`: it was declared unanswered before. `seconds`: how long it took.
    """

    token: object
    status: int
    message_id: bytes = b""
    late: bool = False
    seconds: float = 0.0


class SubmitUnanswered(Struct, frozen=True):
    """The submit went to the wire and no answer came: its outcome is unknown."""

    token: object
    reason: str


class RequestCame(Struct, frozen=True):
    """A receipt or a text for us; it waits for `SmppSession.answer`. `flaw`: what is wrong with its octets, or ""."""

    pdu: smpp.DeliverSm | smpp.DataSm
    flaw: str = ""


class PeerUnbinds(Struct, frozen=True):
    """The peer says good-bye: nothing more may be submitted, answers may still come."""


class Noticed(Struct, frozen=True):
    """Something harmless that a support engineer would like to know of."""

    what: str


class Closed(Struct, frozen=True):
    """The session is over: write what is outgoing and close the connection. `clean` after an orderly unbind."""

    reason: str
    clean: bool = False


Event = Bound | BindRefused | SubmitAnswered | SubmitUnanswered | RequestCame | PeerUnbinds | Noticed | Closed

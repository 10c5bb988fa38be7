"""How the sandbox's SMSC behaves, and the receipts that it writes accordingly. Pure."""

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct

from gatewayd.sandbox import sms
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Status, Tag

DELIVRD = "DELIVRD"
FAILURES_ONLY = 2
"""Of the two lowest bits of registered_delivery: a receipt is wanted only where a message did not arrive."""
_STATES = {
    "ENROUTE": 1,
    "DELIVRD": 2,
    "EXPIRED": 3,
    "DELETED": 4,
    "UNDELIV": 5,
    "ACCEPTD": 6,
    "UNKNOWN": 7,
    "REJECTD": 8,
}


class Behaviour(Struct, frozen=True):
    """How this SMSC behaves. Times in seconds; the defaults are a friendly, quick SMSC.

    Its ids count on from `ids_from`. `reset_every`, `garbage_after` and `mute_after` count submits of the whole SMSC; 0
    is never. `judge` gives each submit its command_status; `receipt_word` each taken one its receipt's word, "" for
    none. With `one_pdu_a_segment` it drops what came behind the first PDU of what it read.
    """

    system_id: str = ""
    password: str = ""
    bind_status: int = 0
    bind_mute: bool = False
    answer_delay: float = 0.0
    submit_mute: bool = False
    receipt_delay: float = 0.1
    receipt_before_answer: bool = False
    receipt_copies: int = 1
    receipt_form: Literal["text", "tlv", "both", "capitals", "payload"] = "both"
    receipt_by: Literal["deliver_sm", "data_sm"] = "deliver_sm"
    receipt_on_other_bind: bool = False
    receipt_retry: float = 0.3
    intermediate: bool = False
    submit_ids: Literal["decimal", "hex", "zeros", "text", "none"] = "decimal"
    ids_from: int = 8_000_000
    receipt_ids: Literal["same", "decimal", "hex"] = "same"
    rate: float = 0.0
    bucket: float = 10.0
    throttle_status: int = Status.RTHROTTLED
    reset_every: int = 0
    reset_takes: bool = True
    garbage_after: int = 0
    mute_after: int = 0
    fragment: int = 0
    one_pdu_a_segment: bool = False
    enquire_every: float = 0.0
    unbind_after: int = 0
    judge: Callable[[smpp.SubmitSm], int] | None = None
    judge_bind: Callable[[smpp.Bind], int] | None = None
    receipt_word: Callable[[smpp.SubmitSm], str] | None = None


ID_FORMS: dict[str, Callable[[int], str]] = {
    "decimal": str,
    "hex": lambda number: f"{number:X}",
    "zeros": lambda number: f"{number:020d}",
    "text": lambda number: f"smsc-{number:x}-a",
    "none": lambda number: "",
}
RECEIPT_IDS: dict[str, Callable[[str], str]] = {
    "same": lambda remote_id: remote_id,
    "decimal": lambda remote_id: str(int(remote_id, 16)),
    "hex": lambda remote_id: f"{int(remote_id):X}",
}


def receipt_for(
    behaviour: Behaviour, request: smpp.SubmitSm, told_id: str, word: str, now: float
) -> smpp.DeliverSm | smpp.DataSm:
    """The receipt on `request`, in the form that `behaviour` has."""
    form = behaviour.receipt_form
    stamp = sms.date(now)
    text = (
        f"id:{told_id} sub:001 dlvrd:001 submit date:{stamp} done date:{stamp} stat:{word} err:000 text:"
        f"{sms.part_of(request).text[:20]}"
    )
    if form == "capitals":
        text = f"ID:{told_id} SUB:001 DLVRD:001 SUBMIT DATE:{stamp} DONE DATE:{stamp} STAT:{word} ERR:000"
    octets = text.encode("latin-1", "replace")
    tlvs: list[tuple[int, bytes]] = []
    if form in ("tlv", "both"):
        tlvs.append((Tag.RECEIPTED_MESSAGE_ID, told_id.encode() + b"\0"))
        tlvs.append((Tag.MESSAGE_STATE, bytes([_STATES.get(word, 7)])))
    if form == "payload" or (behaviour.receipt_by == "data_sm" and form != "tlv"):
        tlvs.append((Tag.MESSAGE_PAYLOAD, octets))
        octets = b""
    elif form == "tlv":
        octets = b""
    addresses: dict[str, Any] = {
        "source_addr_ton": request.dest_addr_ton,
        "source_addr_npi": request.dest_addr_npi,
        "source_addr": request.destination_addr,
        "dest_addr_ton": request.source_addr_ton,
        "dest_addr_npi": request.source_addr_npi,
        "destination_addr": request.source_addr,
    }
    esm_class = 0x20 if word == "ENROUTE" else 0x04
    if behaviour.receipt_by == "data_sm":
        return smpp.DataSm(0, esm_class=esm_class, tlvs=tuple(tlvs), **addresses)
    return smpp.DeliverSm(0, esm_class=esm_class, short_message=octets, tlvs=tuple(tlvs), **addresses)

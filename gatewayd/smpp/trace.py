"""One PDU as a line for the support engineer: its header and its flags, never what is said or to whom.

Pure. A password is masked; of a number, a name and a text only the length is told; of a receipt its id and state. Ids
are shown as they are, but for one that holds the number: they are what an engineer and the SMSC's operator compare.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gatewayd.core.number_readings import digits
from gatewayd.core.redact import redact
from gatewayd.smpp import receipt
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import BodyError, Tag
from gatewayd.smpp.remote_ids import holds_number

_SHOWN_TLVS = frozenset(
    {
        Tag.SAR_MSG_REF_NUM,
        Tag.SAR_TOTAL_SEGMENTS,
        Tag.SAR_SEGMENT_SEQNUM,
        Tag.SC_INTERFACE_VERSION,
        Tag.USER_MESSAGE_REFERENCE,
        Tag.MS_AVAILABILITY_STATUS,
        Tag.NETWORK_ERROR_CODE,
        Tag.DELIVERY_FAILURE_REASON,
        Tag.MESSAGE_STATE,
    }
)
"""TLVs whose value is a number of the protocol's own; of all others only the length is told."""

_LONGEST_ID = 65


def words(octets: bytes, number: str = "") -> str:
    """What may be told of one whole PDU; `number` is whom the submit was for that it answers. Never raises."""
    command_id, status, sequence = (int.from_bytes(octets[at : at + 4], "big") for at in (4, 8, 12))
    said = [smpp.command_name(command_id), str(sequence)]
    if status or command_id & smpp.RESPONSE:
        said.append(smpp.status_name(status))
    try:
        pdu = smpp.decode(octets)
    except BodyError:
        said.append(f"unreadable, {len(octets)} octets")
    else:
        said += _message_resp(pdu, number) if isinstance(pdu, _ANSWERS) else _BODIES.get(type(pdu), _nothing)(pdu)
        said += _tlvs(getattr(pdu, "tlvs", ()))
    return " ".join(said)


def _nothing(_: object) -> Iterator[str]:
    yield from ()


def _bind(pdu: smpp.Bind) -> Iterator[str]:
    yield f"system_id={_printable(pdu.system_id)} password={'***' if pdu.password else ''}"
    yield f"system_type={_printable(pdu.system_type)} interface_version=0x{pdu.interface_version:02x}"


def _bind_resp(pdu: smpp.BindResp) -> Iterator[str]:
    yield f"system_id={_printable(pdu.system_id)}"


def _message(pdu: Any) -> Iterator[str]:
    yield f"source={pdu.source_addr_ton}/{pdu.source_addr_npi}/{_length(pdu.source_addr)}"
    yield f"destination={pdu.dest_addr_ton}/{pdu.dest_addr_npi}/{_length(pdu.destination_addr)}"
    yield f"esm_class=0x{pdu.esm_class:02x} data_coding=0x{pdu.data_coding:02x}"
    yield f"registered_delivery=0x{pdu.registered_delivery:02x}"
    if getattr(pdu, "validity_period", b""):
        yield f"validity_period={_printable(pdu.validity_period)}"
    if hasattr(pdu, "short_message"):
        yield f"short_message={len(pdu.short_message)} octets"


def _incoming(pdu: Any) -> Iterator[str]:
    yield from _message(pdu)
    said = receipt.read(pdu)
    if said is not None:
        numbers = (digits(pdu.source_addr), digits(pdu.destination_addr))
        yield f"receipt id={','.join(_id(one, numbers) for one in said.ids)} {said.detail}".rstrip()


def _message_resp(pdu: Any, number: str) -> Iterator[str]:
    message_id = pdu.message_id.decode("latin-1")
    # An answer to nothing that we asked, or too late, may name anybody.
    is_somebodys = not number and redact(message_id) != message_id
    yield f"message_id={'***' if is_somebodys else _id(message_id, (number,))}"


def _id(message_id: str, numbers: Iterable[str]) -> str:
    return "***" if holds_number(message_id, numbers) else _clean(message_id)


_BODIES: dict[type, Callable[[Any], Iterator[str]]] = {
    smpp.Bind: _bind,
    smpp.BindResp: _bind_resp,
    smpp.SubmitSm: _message,
    smpp.DeliverSm: _incoming,
    smpp.DataSm: _incoming,
}
_ANSWERS = (smpp.SubmitSmResp, smpp.DeliverSmResp, smpp.DataSmResp)


def _tlvs(tlvs: smpp.Tlvs) -> Iterator[str]:
    for tag, value in tlvs:
        known = tag in _SHOWN_TLVS and len(value) <= 4
        yield f"0x{tag:04x}={value.hex()}" if known else f"0x{tag:04x}={len(value)} octets"


def _length(address: bytes) -> str:
    kind = "digits" if address.lstrip(b"+").isdigit() else "octets"
    return f"{len(address)} {kind}"


def _printable(value: bytes) -> str:
    return _clean(value.decode("latin-1"))


def _clean(text: str) -> str:
    return "".join(char if " " < char < "\x7f" else "?" for char in text[:_LONGEST_ID])

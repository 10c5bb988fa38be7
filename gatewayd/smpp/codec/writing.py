"""From a PDU's value to its octets: only what the specification allows.

Every length but a password's is the specification's; no C-string may hold a NUL, so that no value can shift the fields
behind it.
"""

import struct
from collections.abc import Callable

from gatewayd.smpp.codec.codes import RESPONSE, Command, Tag
from gatewayd.smpp.codec.frames import HEADER
from gatewayd.smpp.codec.shapes import (
    AlertNotification,
    Bind,
    BindResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    Raw,
    SubmitSm,
    SubmitSmResp,
    Tlvs,
    Unbind,
    UnbindResp,
)

MAX_SHORT_MESSAGE = 254
LONGEST_PASSWORD = 128
"""Octets, of which the specification has room for PASSWORD_ROOM: there are carriers that give out longer ones."""

_HEAD = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")


class EncodeError(ValueError):
    """A value that SMPP has no place for; `field` names it. The value itself is not in the text."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


def encode(pdu: Pdu) -> bytes:
    """The PDU's octets.

    Raises EncodeError, which names the field, for what SMPP 3.4 does not allow: a NUL in a C-string (it would shift
    every later field), a value over its length or range, more than 254 octets of short_message, or both
    short_message and message_payload. The body of a Raw is written as it is.
    """
    command_id, body = _WRITERS[type(pdu)](pdu)
    try:
        return _HEAD.pack(HEADER + len(body), command_id, pdu.status, pdu.sequence) + body
    except struct.error:
        raise _outside(pdu, ("status", "sequence", "command_id")) from None


def _outside(pdu: Pdu, fields: tuple[str, ...]) -> EncodeError:
    """Names the integer that did not fit its one octet, or four in the header."""
    limit = 0xFFFFFFFF if fields[0] == "status" else 0xFF
    wrong = next(field for field in fields if not 0 <= getattr(pdu, field) <= limit)
    return EncodeError(wrong, f"not within 0 and {limit}")


def _string(field: str, value: bytes, size: int) -> bytes:
    """A C-string of at most `size` octets with its NUL."""
    if len(value) >= size:
        raise EncodeError(field, f"{len(value)} octets, the specification allows {size - 1}")
    if 0 in value:
        raise EncodeError(field, "holds a NUL")
    return value + b"\0"


def _write_tlvs(tlvs: Tlvs) -> bytes:
    if not tlvs:
        return b""
    parts: list[bytes] = []
    for tag, value in tlvs:
        if not 0 <= tag <= 0xFFFF or len(value) > 0xFFFF:
            raise EncodeError("tlvs", f"tag {tag} with {len(value)} octets")
        parts.append(_TLV.pack(tag, len(value)))
        parts.append(value)
    return b"".join(parts)


def _write_bind(pdu: Bind) -> tuple[int, bytes]:
    if pdu.kind not in _BINDS:
        raise EncodeError("kind", "not the command_id of a bind")
    fields = ("interface_version", "addr_ton", "addr_npi")
    try:
        numbers = bytes([pdu.interface_version, pdu.addr_ton, pdu.addr_npi])
    except ValueError:
        raise _outside(pdu, fields) from None
    body = (
        _string("system_id", pdu.system_id, 16),
        _string("password", pdu.password, LONGEST_PASSWORD + 1),
        _string("system_type", pdu.system_type, 13),
        numbers,
        _string("address_range", pdu.address_range, 41),
    )
    return pdu.kind, b"".join(body)


def _write_bind_resp(pdu: BindResp) -> tuple[int, bytes]:
    if pdu.kind not in _BINDS:
        raise EncodeError("kind", "not the command_id of a bind")
    return pdu.kind | RESPONSE, _resp_body("system_id", pdu.status, pdu.system_id, 16, pdu.tlvs)


def _resp_body(field: str, status: int, value: bytes, size: int, tlvs: Tlvs) -> bytes:
    if status and not value and not tlvs:
        return b""
    return _string(field, value, size) + _write_tlvs(tlvs)


def _write_outbind(pdu: Outbind) -> tuple[int, bytes]:
    return Command.OUTBIND, _string("system_id", pdu.system_id, 16) + _string("password", pdu.password, 9)


def _write_header_only(command_id: int) -> Callable[[Pdu], tuple[int, bytes]]:
    return lambda _: (command_id, b"")


_SM_NUMBERS = (
    "source_addr_ton",
    "source_addr_npi",
    "dest_addr_ton",
    "dest_addr_npi",
    "esm_class",
    "protocol_id",
    "priority_flag",
    "registered_delivery",
    "replace_if_present_flag",
    "data_coding",
    "sm_default_msg_id",
)
_DATA_NUMBERS = (
    "source_addr_ton",
    "source_addr_npi",
    "dest_addr_ton",
    "dest_addr_npi",
    "esm_class",
    "registered_delivery",
    "data_coding",
)


def _write_short_message(command_id: int) -> Callable[[SubmitSm | DeliverSm], tuple[int, bytes]]:
    def write(pdu: SubmitSm | DeliverSm) -> tuple[int, bytes]:
        text = pdu.short_message
        tlvs = pdu.tlvs
        if len(text) > MAX_SHORT_MESSAGE:
            raise EncodeError("short_message", f"{len(text)} octets, the specification allows {MAX_SHORT_MESSAGE}")
        if text and tlvs and pdu.tlv(Tag.MESSAGE_PAYLOAD) is not None:
            raise EncodeError("short_message", "there is a message_payload too")
        try:
            body = (
                _string("service_type", pdu.service_type, 6),
                _TWO(pdu.source_addr_ton, pdu.source_addr_npi),
                _string("source_addr", pdu.source_addr, 21),
                _TWO(pdu.dest_addr_ton, pdu.dest_addr_npi),
                _string("destination_addr", pdu.destination_addr, 21),
                _THREE(pdu.esm_class, pdu.protocol_id, pdu.priority_flag),
                _string("schedule_delivery_time", pdu.schedule_delivery_time, 17),
                _string("validity_period", pdu.validity_period, 17),
                _FIVE(
                    pdu.registered_delivery,
                    pdu.replace_if_present_flag,
                    pdu.data_coding,
                    pdu.sm_default_msg_id,
                    len(text),
                ),
                text,
                _write_tlvs(tlvs),
            )
        except struct.error:
            raise _outside(pdu, _SM_NUMBERS) from None
        return command_id, b"".join(body)

    return write


def _write_data_sm(pdu: DataSm) -> tuple[int, bytes]:
    try:
        body = (
            _string("service_type", pdu.service_type, 6),
            _TWO(pdu.source_addr_ton, pdu.source_addr_npi),
            _string("source_addr", pdu.source_addr, 65),
            _TWO(pdu.dest_addr_ton, pdu.dest_addr_npi),
            _string("destination_addr", pdu.destination_addr, 65),
            _THREE(pdu.esm_class, pdu.registered_delivery, pdu.data_coding),
            _write_tlvs(pdu.tlvs),
        )
    except struct.error:
        raise _outside(pdu, _DATA_NUMBERS) from None
    return Command.DATA_SM, b"".join(body)


def _write_message_resp(command_id: int) -> Callable[[SubmitSmResp | DeliverSmResp | DataSmResp], tuple[int, bytes]]:
    return lambda pdu: (command_id, _resp_body("message_id", pdu.status, pdu.message_id, 65, pdu.tlvs))


def _write_alert(pdu: AlertNotification) -> tuple[int, bytes]:
    try:
        body = (
            _TWO(pdu.source_addr_ton, pdu.source_addr_npi),
            _string("source_addr", pdu.source_addr, 65),
            _TWO(pdu.esme_addr_ton, pdu.esme_addr_npi),
            _string("esme_addr", pdu.esme_addr, 65),
            _write_tlvs(pdu.tlvs),
        )
    except struct.error:
        raise _outside(pdu, ("source_addr_ton", "source_addr_npi", "esme_addr_ton", "esme_addr_npi")) from None
    return Command.ALERT_NOTIFICATION, b"".join(body)


_TWO = struct.Struct("BB").pack
_THREE = struct.Struct("BBB").pack
_FIVE = struct.Struct("BBBBB").pack
_BINDS = frozenset({Command.BIND_RECEIVER, Command.BIND_TRANSMITTER, Command.BIND_TRANSCEIVER})
_WRITERS: dict[type, Callable[..., tuple[int, bytes]]] = {
    Bind: _write_bind,
    BindResp: _write_bind_resp,
    Outbind: _write_outbind,
    Unbind: _write_header_only(Command.UNBIND),
    UnbindResp: _write_header_only(Command.UNBIND_RESP),
    EnquireLink: _write_header_only(Command.ENQUIRE_LINK),
    EnquireLinkResp: _write_header_only(Command.ENQUIRE_LINK_RESP),
    GenericNack: _write_header_only(Command.GENERIC_NACK),
    SubmitSm: _write_short_message(Command.SUBMIT_SM),
    DeliverSm: _write_short_message(Command.DELIVER_SM),
    SubmitSmResp: _write_message_resp(Command.SUBMIT_SM_RESP),
    DeliverSmResp: _write_message_resp(Command.DELIVER_SM_RESP),
    DataSm: _write_data_sm,
    DataSmResp: _write_message_resp(Command.DATA_SM_RESP),
    AlertNotification: _write_alert,
    Raw: lambda pdu: (pdu.command_id, pdu.body),
}

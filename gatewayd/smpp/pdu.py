"""The SMPP 3.4 codec: a byte stream into PDUs and back.

Owns the wire form only: bytes stay bytes, enumerations stay integers, unknown TLVs and commands are kept. It reads
whatever the field is known to send and writes only what the specification allows. It knows no connection, clock,
alphabet or receipt. The numbers (codes.py) and the PDUs (shapes.py) can be had from here too.
"""

import struct
from collections.abc import Callable

from gatewayd.smpp.codes import (
    DISPOSITIONS,
    RESPONSE,
    Command,
    Disposition,
    Status,
    Tag,
    command_name,
    disposition,
    status_name,
)
from gatewayd.smpp.shapes import (
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

__all__ = [
    "DISPOSITIONS",
    "HEADER",
    "MAX_LENGTH",
    "MAX_SHORT_MESSAGE",
    "RESPONSE",
    "AlertNotification",
    "Bind",
    "BindResp",
    "BodyError",
    "Command",
    "DataSm",
    "DataSmResp",
    "DeliverSm",
    "DeliverSmResp",
    "Disposition",
    "EncodeError",
    "EnquireLink",
    "EnquireLinkResp",
    "Framer",
    "FramingError",
    "GenericNack",
    "Outbind",
    "Pdu",
    "Raw",
    "Status",
    "SubmitSm",
    "SubmitSmResp",
    "Tag",
    "Tlvs",
    "Unbind",
    "UnbindResp",
    "command_name",
    "decode",
    "disposition",
    "encode",
    "status_name",
]

HEADER = 16
MAX_LENGTH = 65536
MAX_SHORT_MESSAGE = 254

_U32 = struct.Struct(">I")
_HEAD = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")


class FramingError(ValueError):
    """The stream is not SMPP (any more): answer generic_nack and close. `whole` are the PDUs before the trouble."""

    def __init__(self, reason: str, whole: tuple[bytes, ...] = ()) -> None:
        super().__init__(reason)
        self.whole = whole


class BodyError(ValueError):
    """The body of one request cannot be read; the stream is still in step.

    `status` is the command_status to answer it with.
    """

    def __init__(self, command_id: int, sequence: int, status: int, reason: str) -> None:
        super().__init__(f"{command_name(command_id)} {sequence}: {reason}")
        self.command_id = command_id
        self.sequence = sequence
        self.status = status


class EncodeError(ValueError):
    """A value that SMPP has no place for; `field` names it. The value itself is not in the text."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class Framer:
    """Cuts a byte stream into PDUs, however it was split on its way."""

    def __init__(self, max_length: int = MAX_LENGTH) -> None:
        self._max_length = max_length
        self._rest = bytearray()

    @property
    def pending(self) -> int:
        """How many bytes of a PDU that is not whole yet are held."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """The PDUs that `data` completes. Raises FramingError for a command_length under 16 or over the maximum."""
        rest = self._rest
        if rest:
            rest += data
        # Nearly every call brings whole PDUs: these are cut from `data` itself.
        source: bytes | bytearray = rest or data
        size = len(source)
        whole: list[bytes] = []
        at = 0
        while size - at >= 4:
            (length,) = _U32.unpack_from(source, at)
            if not HEADER <= length <= self._max_length:
                raise FramingError(f"command_length {length}", tuple(whole))
            if size - at < length:
                break
            whole.append(bytes(source[at : at + length]))
            at += length
        if source is rest:
            del rest[:at]
        else:
            rest += data[at:]
        return whole


class _BadTlvs(ValueError):
    pass


def decode(pdu: bytes) -> Pdu:
    """One whole PDU as the Framer gives it.

    Raises FramingError where its length is not what it says, BodyError where the body of a request ends inside a
    field. A response is never refused: what is missing from its body reads as empty, so that its status is kept.
    """
    if len(pdu) < HEADER:
        raise FramingError(f"{len(pdu)} octets are no PDU")
    length, command_id, status, sequence = _HEAD.unpack_from(pdu)
    if length != len(pdu):
        raise FramingError(f"command_length {length} on {len(pdu)} octets")
    reader = _READERS.get(command_id)
    if reader is None:
        return Raw(sequence, status, command_id, pdu[HEADER:])
    try:
        return reader(pdu, sequence, status, command_id)
    except _BadTlvs:
        raise BodyError(command_id, sequence, Status.RINVPARLEN, "a TLV is longer than the PDU") from None
    except (ValueError, IndexError):
        raise BodyError(command_id, sequence, Status.RSYSERR, "the body ends inside a field") from None


def _read_tlvs(pdu: bytes, at: int) -> Tlvs:
    size = len(pdu)
    if at >= size:
        return ()
    tlvs: list[tuple[int, bytes]] = []
    # One to three octets behind the last TLV are padding that some SMSCs add.
    while size - at >= 4:
        tag, length = _TLV.unpack_from(pdu, at)
        end = at + 4 + length
        if end > size:
            raise _BadTlvs
        tlvs.append((tag, pdu[at + 4 : end]))
        at = end
    return tuple(tlvs)


def _read_string_and_tlvs(pdu: bytes) -> tuple[bytes, Tlvs]:
    """The body of a response: perhaps nothing, perhaps without its NUL, perhaps with broken TLVs behind it."""
    if len(pdu) == HEADER:
        return b"", ()
    end = pdu.find(0, HEADER)
    if end < 0:
        return pdu[HEADER:], ()
    try:
        return pdu[HEADER:end], _read_tlvs(pdu, end + 1)
    except _BadTlvs:
        return pdu[HEADER:end], ()


def _read_bind(pdu: bytes, sequence: int, status: int, command_id: int) -> Pdu:
    a = pdu.index(0, HEADER)
    b = pdu.index(0, a + 1)
    c = pdu.index(0, b + 1)
    d = pdu.index(0, c + 4)
    return Bind(
        sequence,
        status,
        command_id,
        pdu[HEADER:a],
        pdu[a + 1 : b],
        pdu[b + 1 : c],
        pdu[c + 1],
        pdu[c + 2],
        pdu[c + 3],
        pdu[c + 4 : d],
    )


def _read_bind_resp(pdu: bytes, sequence: int, status: int, command_id: int) -> Pdu:
    system_id, tlvs = _read_string_and_tlvs(pdu)
    return BindResp(sequence, status, command_id & ~RESPONSE, system_id, tlvs)


def _read_outbind(pdu: bytes, sequence: int, status: int, command_id: int) -> Pdu:
    a = pdu.index(0, HEADER)
    b = pdu.index(0, a + 1)
    return Outbind(sequence, status, pdu[HEADER:a], pdu[a + 1 : b])


def _header_only(
    form: type[Unbind | UnbindResp | EnquireLink | EnquireLinkResp | GenericNack],
) -> Callable[[bytes, int, int, int], Pdu]:
    def read(pdu: bytes, sequence: int, status: int, command_id: int) -> Pdu:
        return form(sequence, status)

    return read


def _short_message(form: type[SubmitSm | DeliverSm]) -> Callable[[bytes, int, int, int], Pdu]:
    def read(pdu: bytes, sequence: int, status: int, command_id: int) -> Pdu:
        index = pdu.index
        a = index(0, HEADER)
        b = index(0, a + 3)
        c = index(0, b + 3)
        d = index(0, c + 4)
        e = index(0, d + 1)
        text = e + 6
        end = text + pdu[e + 5]
        if end > len(pdu):
            raise IndexError
        return form(
            sequence,
            status,
            pdu[HEADER:a],
            pdu[a + 1],
            pdu[a + 2],
            pdu[a + 3 : b],
            pdu[b + 1],
            pdu[b + 2],
            pdu[b + 3 : c],
            pdu[c + 1],
            pdu[c + 2],
            pdu[c + 3],
            pdu[c + 4 : d],
            pdu[d + 1 : e],
            pdu[e + 1],
            pdu[e + 2],
            pdu[e + 3],
            pdu[e + 4],
            pdu[text:end],
            _read_tlvs(pdu, end),
        )

    return read


def _read_data_sm(pdu: bytes, sequence: int, status: int, command_id: int) -> Pdu:
    a = pdu.index(0, HEADER)
    b = pdu.index(0, a + 3)
    c = pdu.index(0, b + 3)
    return DataSm(
        sequence,
        status,
        pdu[HEADER:a],
        pdu[a + 1],
        pdu[a + 2],
        pdu[a + 3 : b],
        pdu[b + 1],
        pdu[b + 2],
        pdu[b + 3 : c],
        pdu[c + 1],
        pdu[c + 2],
        pdu[c + 3],
        _read_tlvs(pdu, c + 4),
    )


def _message_resp(form: type[SubmitSmResp | DeliverSmResp | DataSmResp]) -> Callable[[bytes, int, int, int], Pdu]:
    def read(pdu: bytes, sequence: int, status: int, command_id: int) -> Pdu:
        message_id, tlvs = _read_string_and_tlvs(pdu)
        return form(sequence, status, message_id, tlvs)

    return read


def _read_alert(pdu: bytes, sequence: int, status: int, command_id: int) -> Pdu:
    a = pdu.index(0, HEADER + 2)
    b = pdu.index(0, a + 3)
    return AlertNotification(
        sequence,
        status,
        pdu[HEADER],
        pdu[HEADER + 1],
        pdu[HEADER + 2 : a],
        pdu[a + 1],
        pdu[a + 2],
        pdu[a + 3 : b],
        _read_tlvs(pdu, b + 1),
    )


_READERS: dict[int, Callable[[bytes, int, int, int], Pdu]] = {
    Command.BIND_RECEIVER: _read_bind,
    Command.BIND_TRANSMITTER: _read_bind,
    Command.BIND_TRANSCEIVER: _read_bind,
    Command.BIND_RECEIVER_RESP: _read_bind_resp,
    Command.BIND_TRANSMITTER_RESP: _read_bind_resp,
    Command.BIND_TRANSCEIVER_RESP: _read_bind_resp,
    Command.OUTBIND: _read_outbind,
    Command.UNBIND: _header_only(Unbind),
    Command.UNBIND_RESP: _header_only(UnbindResp),
    Command.ENQUIRE_LINK: _header_only(EnquireLink),
    Command.ENQUIRE_LINK_RESP: _header_only(EnquireLinkResp),
    Command.GENERIC_NACK: _header_only(GenericNack),
    Command.SUBMIT_SM: _short_message(SubmitSm),
    Command.SUBMIT_SM_RESP: _message_resp(SubmitSmResp),
    Command.DELIVER_SM: _short_message(DeliverSm),
    Command.DELIVER_SM_RESP: _message_resp(DeliverSmResp),
    Command.DATA_SM: _read_data_sm,
    Command.DATA_SM_RESP: _message_resp(DataSmResp),
    Command.ALERT_NOTIFICATION: _read_alert,
}


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
        _string("password", pdu.password, 9),
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

"""From one PDU's octets to its value: whatever the field is known to send.

Bytes stay bytes, enumerations stay integers, unknown TLVs and commands are kept.
"""

import struct
from collections.abc import Callable

from gatewayd.smpp.codec.codes import RESPONSE, Command, Status, command_name
from gatewayd.smpp.codec.frames import HEADER, FramingError
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

_HEAD = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")


class BodyError(ValueError):
    """The body of one request cannot be read; the stream is still in step.

    `status` is the command_status to answer it with.
    """

    def __init__(self, command_id: int, sequence: int, status: int, reason: str) -> None:
        super().__init__(f"{command_name(command_id)} {sequence}: {reason}")
        self.command_id = command_id
        self.sequence = sequence
        self.status = status


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
    return BindResp(sequence, status, command_id & ~RESPONSE, system_id, tlvs=tlvs)


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
        if 0 < len(pdu) - end < 4 and pdu[end:].strip(b"\0"):
            # No padding, which is of NULs: the text goes on behind its length.
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
            tlvs=_read_tlvs(pdu, end),
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
        tlvs=_read_tlvs(pdu, c + 4),
    )


def _message_resp(form: type[SubmitSmResp | DeliverSmResp | DataSmResp]) -> Callable[[bytes, int, int, int], Pdu]:
    def read(pdu: bytes, sequence: int, status: int, command_id: int) -> Pdu:
        message_id, tlvs = _read_string_and_tlvs(pdu)
        return form(sequence, status, message_id, tlvs=tlvs)

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
        tlvs=_read_tlvs(pdu, b + 1),
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

"""The SMPP 3.4 codec: a byte stream into PDUs and back, and what the command statuses mean.

Owns the wire form only: bytes stay bytes, enumerations stay integers, unknown TLVs and commands are kept. It reads
whatever the field is known to send and writes only what the specification allows. It knows no connection, clock,
alphabet or receipt.
"""

import struct
from collections.abc import Callable
from enum import Enum, IntEnum

from msgspec import Struct

Tlvs = tuple[tuple[int, bytes], ...]

HEADER = 16
MAX_LENGTH = 65536
MAX_SHORT_MESSAGE = 254

_U32 = struct.Struct(">I")
_HEAD = struct.Struct(">IIII")
_TLV = struct.Struct(">HH")


class Command(IntEnum):
    """command_id (SMPP 3.4, 5.1.2.1)."""

    GENERIC_NACK = 0x80000000
    BIND_RECEIVER = 0x00000001
    BIND_TRANSMITTER = 0x00000002
    SUBMIT_SM = 0x00000004
    DELIVER_SM = 0x00000005
    UNBIND = 0x00000006
    BIND_TRANSCEIVER = 0x00000009
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER_RESP = 0x80000002
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM_RESP = 0x80000005
    UNBIND_RESP = 0x80000006
    BIND_TRANSCEIVER_RESP = 0x80000009
    ENQUIRE_LINK_RESP = 0x80000015
    DATA_SM_RESP = 0x80000103


RESPONSE = 0x80000000


class Status(IntEnum):
    """command_status (SMPP 3.4, 5.1.3), names without ESME_."""

    ROK = 0x00
    RINVMSGLEN = 0x01
    RINVCMDLEN = 0x02
    RINVCMDID = 0x03
    RINVBNDSTS = 0x04
    RALYBND = 0x05
    RINVPRTFLG = 0x06
    RINVREGDLVFLG = 0x07
    RSYSERR = 0x08
    RINVSRCADR = 0x0A
    RINVDSTADR = 0x0B
    RINVMSGID = 0x0C
    RBINDFAIL = 0x0D
    RINVPASWD = 0x0E
    RINVSYSID = 0x0F
    RCANCELFAIL = 0x11
    RREPLACEFAIL = 0x13
    RMSGQFUL = 0x14
    RINVSERTYP = 0x15
    RINVNUMDESTS = 0x33
    RINVDLNAME = 0x34
    RINVDESTFLAG = 0x40
    RINVSUBREP = 0x42
    RINVESMCLASS = 0x43
    RCNTSUBDL = 0x44
    RSUBMITFAIL = 0x45
    RINVSRCTON = 0x48
    RINVSRCNPI = 0x49
    RINVDSTTON = 0x50
    RINVDSTNPI = 0x51
    RINVSYSTYP = 0x53
    RINVREPFLAG = 0x54
    RINVNUMMSGS = 0x55
    RTHROTTLED = 0x58
    RINVSCHED = 0x61
    RINVEXPIRY = 0x62
    RINVDFTMSGID = 0x63
    RX_T_APPN = 0x64
    RX_P_APPN = 0x65
    RX_R_APPN = 0x66
    RQUERYFAIL = 0x67
    RINVOPTPARSTREAM = 0xC0
    ROPTPARNOTALLWD = 0xC1
    RINVPARLEN = 0xC2
    RMISSINGOPTPARAM = 0xC3
    RINVOPTPARAMVAL = 0xC4
    RDELIVERYFAILURE = 0xFE
    RUNKNOWNERR = 0xFF


class Tag(IntEnum):
    """TLV tags (SMPP 3.4, 5.3.2) that we send or read."""

    SOURCE_PORT = 0x020A
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MESSAGE_STATE = 0x0427


class Disposition(Enum):
    """What a submit_sm_resp status asks of us."""

    TAKEN = "taken"
    RETRY = "retry"
    LIMITED = "retry a limited number of times"
    THROTTLED = "pause the link, then send the same again"
    SESSION = "the session is at fault: bind again"
    CONFIGURATION = "the account is at fault: stop it, tell the operator, try slowly"
    PERMANENT = "this message will never be taken"
    OUR_FAULT = "we sent what the peer cannot read: tell loudly"


DISPOSITIONS: dict[int, Disposition] = {
    Status.ROK: Disposition.TAKEN,
    Status.RMSGQFUL: Disposition.THROTTLED,
    Status.RTHROTTLED: Disposition.THROTTLED,
    Status.RSYSERR: Disposition.RETRY,
    Status.RX_T_APPN: Disposition.RETRY,
    Status.RDELIVERYFAILURE: Disposition.RETRY,
    Status.RSUBMITFAIL: Disposition.LIMITED,
    Status.RUNKNOWNERR: Disposition.LIMITED,
    Status.RINVBNDSTS: Disposition.SESSION,
    Status.RALYBND: Disposition.SESSION,
    Status.RBINDFAIL: Disposition.SESSION,
    Status.RINVPASWD: Disposition.CONFIGURATION,
    Status.RINVSYSID: Disposition.CONFIGURATION,
    Status.RINVSYSTYP: Disposition.CONFIGURATION,
    Status.RINVMSGLEN: Disposition.PERMANENT,
    Status.RINVPRTFLG: Disposition.PERMANENT,
    Status.RINVREGDLVFLG: Disposition.PERMANENT,
    Status.RINVSRCADR: Disposition.PERMANENT,
    Status.RINVDSTADR: Disposition.PERMANENT,
    Status.RINVMSGID: Disposition.PERMANENT,
    Status.RINVSERTYP: Disposition.PERMANENT,
    Status.RINVNUMDESTS: Disposition.PERMANENT,
    Status.RINVDLNAME: Disposition.PERMANENT,
    Status.RINVDESTFLAG: Disposition.PERMANENT,
    Status.RINVSUBREP: Disposition.PERMANENT,
    Status.RINVESMCLASS: Disposition.PERMANENT,
    Status.RCNTSUBDL: Disposition.PERMANENT,
    Status.RINVSRCTON: Disposition.PERMANENT,
    Status.RINVSRCNPI: Disposition.PERMANENT,
    Status.RINVDSTTON: Disposition.PERMANENT,
    Status.RINVDSTNPI: Disposition.PERMANENT,
    Status.RINVREPFLAG: Disposition.PERMANENT,
    Status.RINVNUMMSGS: Disposition.PERMANENT,
    Status.RINVSCHED: Disposition.PERMANENT,
    Status.RINVEXPIRY: Disposition.PERMANENT,
    Status.RINVDFTMSGID: Disposition.PERMANENT,
    Status.RX_P_APPN: Disposition.PERMANENT,
    Status.RX_R_APPN: Disposition.PERMANENT,
    Status.RINVOPTPARSTREAM: Disposition.PERMANENT,
    Status.ROPTPARNOTALLWD: Disposition.PERMANENT,
    Status.RINVPARLEN: Disposition.PERMANENT,
    Status.RMISSINGOPTPARAM: Disposition.PERMANENT,
    Status.RINVOPTPARAMVAL: Disposition.PERMANENT,
    Status.RINVCMDLEN: Disposition.OUR_FAULT,
    Status.RINVCMDID: Disposition.OUR_FAULT,
}


def disposition(status: int) -> Disposition:
    """What a submit_sm_resp `status` asks of us; what the table does not list (vendors' codes) is LIMITED."""
    return DISPOSITIONS.get(status, Disposition.LIMITED)


_STATUS_NAMES: dict[int, str] = {status.value: f"ESME_{status.name}" for status in Status}
_COMMAND_NAMES: dict[int, str] = {command.value: command.name.lower() for command in Command}


def status_name(status: int) -> str:
    """For logs: `ESME_RTHROTTLED`, or `0x00000400` for what the specification does not name."""
    return _STATUS_NAMES.get(status) or f"0x{status:08x}"


def command_name(command_id: int) -> str:
    """For logs: `submit_sm_resp`, or `0x00010200` for what the specification does not name."""
    return _COMMAND_NAMES.get(command_id) or f"0x{command_id:08x}"


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


class _Pdu(Struct, frozen=True, gc=False):
    # Every value is an int, bytes or a tuple of these: no cycles, so the collector need not know them.
    sequence: int
    status: int = 0

    def __repr__(self) -> str:
        """Names the PDU; addresses, content and passwords must not reach a log by way of a repr."""
        return f"<{type(self).__name__} {self.sequence} {status_name(self.status)}>"


class _WithTlvs(_Pdu, frozen=True, gc=False):
    def tlv(self, tag: int) -> bytes | None:
        """The value of the first TLV with this tag."""
        for have, value in self._tlvs():
            if have == tag:
                return value
        return None

    def tlv_int(self, tag: int) -> int | None:
        """A TLV's value as an unsigned integer; None where it is absent, empty or longer than 4 octets."""
        value = self.tlv(tag)
        return int.from_bytes(value, "big") if value and len(value) <= 4 else None

    def tlv_string(self, tag: int) -> bytes | None:
        """A TLV's value as a C-string, with or without its NUL."""
        value = self.tlv(tag)
        return None if value is None else value.partition(b"\0")[0]

    def _tlvs(self) -> Tlvs:
        raise NotImplementedError


class Bind(_Pdu, frozen=True, gc=False):
    """bind_receiver, bind_transmitter or bind_transceiver (4.1); `kind` is its command_id."""

    kind: int = Command.BIND_TRANSCEIVER
    system_id: bytes = b""
    password: bytes = b""
    system_type: bytes = b""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: bytes = b""


class BindResp(_WithTlvs, frozen=True, gc=False):
    """The answer to a bind; `kind` is the request's command_id."""

    kind: int = Command.BIND_TRANSCEIVER
    system_id: bytes = b""
    tlvs: Tlvs = ()

    def _tlvs(self) -> Tlvs:
        return self.tlvs


class Outbind(_Pdu, frozen=True, gc=False):
    """outbind (4.1.7)."""

    system_id: bytes = b""
    password: bytes = b""


class Unbind(_Pdu, frozen=True, gc=False):
    """unbind (4.2)."""


class UnbindResp(_Pdu, frozen=True, gc=False):
    """unbind_resp (4.2.2)."""


class EnquireLink(_Pdu, frozen=True, gc=False):
    """enquire_link (4.11)."""


class EnquireLinkResp(_Pdu, frozen=True, gc=False):
    """enquire_link_resp (4.11.2)."""


class GenericNack(_Pdu, frozen=True, gc=False):
    """generic_nack (4.3)."""


class _ShortMessage(_WithTlvs, frozen=True, gc=False):
    service_type: bytes = b""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: bytes = b""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: bytes = b""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: bytes = b""
    validity_period: bytes = b""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""
    tlvs: Tlvs = ()

    def _tlvs(self) -> Tlvs:
        return self.tlvs

    @property
    def user_data(self) -> bytes:
        """message_payload where there is one, else short_message (SMPP 3.4, 3.2.3); a UDH is still in it."""
        return self.tlv(Tag.MESSAGE_PAYLOAD) or self.short_message


class SubmitSm(_ShortMessage, frozen=True, gc=False):
    """submit_sm (4.4)."""


class DeliverSm(_ShortMessage, frozen=True, gc=False):
    """deliver_sm (4.6)."""


class DataSm(_WithTlvs, frozen=True, gc=False):
    """data_sm (4.7), in either direction."""

    service_type: bytes = b""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: bytes = b""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: bytes = b""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0
    tlvs: Tlvs = ()

    def _tlvs(self) -> Tlvs:
        return self.tlvs

    @property
    def user_data(self) -> bytes:
        """The message_payload; a UDH is still in it."""
        return self.tlv(Tag.MESSAGE_PAYLOAD) or b""


class _MessageResp(_WithTlvs, frozen=True, gc=False):
    message_id: bytes = b""
    tlvs: Tlvs = ()

    def _tlvs(self) -> Tlvs:
        return self.tlvs


class SubmitSmResp(_MessageResp, frozen=True, gc=False):
    """submit_sm_resp (4.4.2)."""


class DeliverSmResp(_MessageResp, frozen=True, gc=False):
    """deliver_sm_resp (4.6.2); its message_id is unused and written empty."""


class DataSmResp(_MessageResp, frozen=True, gc=False):
    """data_sm_resp (4.7.2)."""


class AlertNotification(_WithTlvs, frozen=True, gc=False):
    """alert_notification (4.12.1)."""

    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: bytes = b""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: bytes = b""
    tlvs: Tlvs = ()

    def _tlvs(self) -> Tlvs:
        return self.tlvs


class Raw(_Pdu, frozen=True, gc=False):
    """A command that we have no form for. Writing one is also how a test sends what the codec would refuse."""

    command_id: int = 0
    body: bytes = b""

    def __repr__(self) -> str:
        return f"<Raw {command_name(self.command_id)} {self.sequence} {status_name(self.status)}>"


Pdu = (
    Bind
    | BindResp
    | Outbind
    | Unbind
    | UnbindResp
    | EnquireLink
    | EnquireLinkResp
    | GenericNack
    | SubmitSm
    | SubmitSmResp
    | DeliverSm
    | DeliverSmResp
    | DataSm
    | DataSmResp
    | AlertNotification
    | Raw
)


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
        raise _outside(pdu, ("status", "sequence")) from None


def _outside(pdu: Pdu, fields: tuple[str, ...]) -> EncodeError:
    """Names the integer that did not fit its one octet, or four in the header."""
    limit = 0xFFFFFFFF if fields[0] == "status" else 0xFF
    for field in fields:
        if not 0 <= getattr(pdu, field) <= limit:
            return EncodeError(field, f"not within 0 and {limit}")
    raise AssertionError("every integer fits")


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

"""The PDUs of SMPP 3.4 as frozen values, fields in the order of the specification and under its names.

Owns what a PDU holds and what may be printed of it; reading.py and writing.py know how each lies on the wire. Give all
but `sequence` and `status` by keyword.
"""

from msgspec import Struct

from gatewayd.smpp.codec.codes import Command, Tag, command_name, status_name

Tlvs = tuple[tuple[int, bytes], ...]


class _Pdu(Struct, frozen=True, gc=False):
    # Every value is an int, bytes or a tuple of these: no cycles, so the collector need not know them.
    sequence: int
    status: int = 0

    def __repr__(self) -> str:
        """Names the PDU; addresses, content and passwords must not reach a log by way of a repr."""
        return f"<{type(self).__name__} {self.sequence} {status_name(self.status)}>"


class _WithTlvs(_Pdu, frozen=True, gc=False, kw_only=True):
    # By keyword, so that it stands behind the fields of whatever has it.
    tlvs: Tlvs = ()

    def tlv(self, tag: int) -> bytes | None:
        """The value of the first TLV with this tag."""
        for have, value in self.tlvs:
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

    @property
    def user_data(self) -> bytes:
        """The message_payload; a UDH is still in it."""
        return self.tlv(Tag.MESSAGE_PAYLOAD) or b""


class _MessageResp(_WithTlvs, frozen=True, gc=False):
    message_id: bytes = b""


class SubmitSmResp(_MessageResp, frozen=True, gc=False):
    """submit_sm_resp (4.4.2)."""


class DeliverSmResp(_MessageResp, frozen=True, gc=False):
    """deliver_sm_resp (4.6.2); its message_id is unused and written empty."""


class DataSmResp(_MessageResp, frozen=True, gc=False):
    """data_sm_resp (4.7.2)."""


def response_to(request: DeliverSm | DataSm, status: int) -> DeliverSmResp | DataSmResp:
    """The answer to a receipt or text."""
    return (DeliverSmResp if isinstance(request, DeliverSm) else DataSmResp)(request.sequence, status)


class AlertNotification(_WithTlvs, frozen=True, gc=False):
    """alert_notification (4.12.1)."""

    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: bytes = b""
    esme_addr_ton: int = 0
    esme_addr_npi: int = 0
    esme_addr: bytes = b""


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

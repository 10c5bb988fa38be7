"""How the sandbox's SMSC reads a submit: which part of which message it is, and its text.

Owns the way back from segments to text; knows no socket. It reads what the specifications say, not what gatewayd
writes: header elements in any order, 8 and 16 bit references, SAR TLVs, message_payload.
"""

from datetime import UTC, datetime

from msgspec import Struct

from gatewayd.smpp.codec.gsm import UnencodableError, encode_gsm
from gatewayd.smpp.codec.pdu import SubmitSm, Tag
from gatewayd.smpp.incoming import decode


class SmsPart(Struct, frozen=True):
    """One segment's number and text; a message that stands alone is part 1 of 1."""

    reference: int
    total: int
    number: int
    text: str


def part_of(request: SubmitSm) -> SmsPart:
    """What one submit carries."""
    octets = request.user_data
    reference, total, number = 0, 1, 1
    if request.tlv(Tag.SAR_TOTAL_SEGMENTS) is not None:
        reference = request.tlv_int(Tag.SAR_MSG_REF_NUM) or 0
        total = request.tlv_int(Tag.SAR_TOTAL_SEGMENTS) or 1
        number = request.tlv_int(Tag.SAR_SEGMENT_SEQNUM) or 1
    elif request.esm_class & 0x40 and octets:
        header, octets = octets[1 : 1 + octets[0]], octets[1 + octets[0] :]
        reference, total, number = _concatenation(header)
    return SmsPart(reference, total, number, decode(octets, request.data_coding))


def _concatenation(header: bytes) -> tuple[int, int, int]:
    """Reference, total and number in a user data header (3GPP TS 23.040, 9.2.3.24.1 and .8)."""
    at = 0
    while at + 1 < len(header):
        kind, length = header[at], header[at + 1]
        value = header[at + 2 : at + 2 + length]
        if kind == 0x00 and length == 3:
            return value[0], value[1], value[2]
        if kind == 0x08 and length == 4:
            return value[0] << 8 | value[1], value[2], value[3]
        at += 2 + length
    return 0, 1, 1


def encode(content: str) -> tuple[int, bytes]:
    """data_coding and octets of a short text; one that is too long is cut."""
    try:
        return 0, encode_gsm(content)[:160]
    except UnencodableError:
        return 8, content.encode("utf-16-be")[:140]


def date(now: float) -> str:
    """A receipt's date, to the minute (SMPP 3.4, appendix B)."""
    return datetime.fromtimestamp(now, UTC).strftime("%y%m%d%H%M")

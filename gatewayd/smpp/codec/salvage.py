"""What can be read of a receipt or text whose lengths lie; reading.py refuses such a request.

An SMSC that writes one length wrongly writes it so in every receipt, and brings what is refused again and again. So as
much is read as makes sense, the text above all, and said in words what is wrong.
"""

import struct
from typing import Any, TypeVar

from msgspec.structs import fields, replace

from gatewayd.smpp.codec.codes import Command, Tag
from gatewayd.smpp.codec.frames import HEADER
from gatewayd.smpp.codec.reading import BodyError, decode
from gatewayd.smpp.codec.shapes import DataSm, DeliverSm, Pdu, Tlvs

_TLV = struct.Struct(">HH")
_PRINTABLE = bytes({*range(0x20, 0x7F), *b"\t\r\n"})
_TAGS = frozenset(Tag)


class _Octets:
    """Reads on behind whatever is missing: what is not there reads as empty or 0. `flaw` is the first trouble."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.at = HEADER
        self.flaw = ""

    @property
    def rest(self) -> bytes:
        """What is not read yet."""
        return self.octets[self.at :]

    def blame(self, flaw: str) -> None:
        """Note what is wrong; the first trouble is the cause of the others."""
        self.flaw = self.flaw or flaw

    def text(self, name: str) -> bytes:
        """A C-string."""
        end = self.octets.find(0, self.at)
        if end < 0:
            self.blame(f"{name} does not end")
            end = len(self.octets)
        value, self.at = self.octets[self.at : end], end + 1
        return value

    def octet(self, name: str) -> int:
        """A number of one octet."""
        if self.at >= len(self.octets):
            self.blame(f"it ends before {name}")
            return 0
        self.at += 1
        return self.octets[self.at - 1]

    def tlvs(self) -> list[tuple[int, bytes]]:
        """All TLVs; the value of one that promises more than there is, as far as it goes.

        One that counts its NUL and does not write it, or the other way round, ends where the next one begins.
        """
        found, octets, size = [], self.octets, len(self.octets)
        while size - self.at >= 4:
            tag, length = _TLV.unpack_from(octets, self.at)
            begin = self.at + 4
            end = begin + length
            if not self._is_tag(end):
                end = next((beside for beside in (end - 1, end + 1) if self._is_tag(beside)), end)
            value = octets[begin:end]
            if len(value) != length:
                self.blame(f"TLV 0x{tag:04x} promises {length} octets and has {len(value)}")
            found.append((tag, value))
            self.at = end
        return found

    def _is_tag(self, at: int) -> bool:
        """Whether the tag of a TLV that we know stands there."""
        return int.from_bytes(self.octets[at : at + 2], "big") in _TAGS


def read(octets: bytes) -> tuple[Pdu, str]:
    """A PDU, and what is wrong with it: a receipt or text is read as far as it goes; refused it is brought for ever.

    Raises BodyError for others that can't be read.
    """
    try:
        return decode(octets), ""
    except BodyError as error:
        if error.command_id not in (Command.DELIVER_SM, Command.DATA_SM):
            raise
    return salvage(octets)


def salvage(octets: bytes) -> tuple[DeliverSm | DataSm, str]:
    """A whole deliver_sm or data_sm as far as it can be read, and what is wrong with it. Never raises."""
    body = _Octets(octets)
    if int.from_bytes(octets[4:8], "big") == Command.DATA_SM:
        return replace(_head(body, DataSm), tlvs=tuple(body.tlvs())), body.flaw
    head = _head(body, DeliverSm)
    text, tlvs = _text_and_tlvs(body)
    return replace(head, short_message=text, tlvs=tlvs), body.flaw


_Form = TypeVar("_Form", DataSm, DeliverSm)


def _head(body: _Octets, form: type[_Form]) -> _Form:
    """The PDU up to its text and TLVs: C-strings and single octets, in the order of its fields."""
    status, sequence = (int.from_bytes(body.octets[at : at + 4], "big") for at in (8, 12))
    found: dict[str, Any] = {
        one.name: body.text(one.name) if one.type is bytes else body.octet(one.name)
        for one in fields(form)
        if one.name not in ("sequence", "status", "short_message", "tlvs")
    }
    return form(sequence, status, **found)


def _text_and_tlvs(body: _Octets) -> tuple[bytes, Tlvs]:
    length = body.octet("sm_length")
    behind = body.rest
    text = behind[:length]
    if len(text) < length:
        body.blame(f"sm_length promises {length} octets and there are {len(text)}")
    body.at += length
    tlvs: list[tuple[int, bytes]] = []
    if body.rest and not body.rest.strip(_PRINTABLE):
        # No TLV begins with a letter: the text goes on behind its length, which may be written in two octets.
        body.blame(f"sm_length promises {length} octets and there are {len(behind)}")
        text = behind[1:] if not length and behind[0] == len(behind) - 1 else behind
    else:
        tlvs = body.tlvs()
    payload = b"".join(value for tag, value in tlvs if tag == Tag.MESSAGE_PAYLOAD)
    if not _speaks(text) and not _speaks(payload) and _speaks(body.octets):
        # A field before it is longer or shorter than it says; a receipt is a receipt wherever it stands.
        text, tlvs = body.octets[body.octets.lower().index(b"id:") :].partition(b"\0")[0], []
    if _speaks(text):
        # Among TLVs of which one length is wrong an id may be cut; the text's is whole.
        tlvs = [(tag, value) for tag, value in tlvs if tag != Tag.RECEIPTED_MESSAGE_ID]
    return text, tuple(tlvs)


def _speaks(octets: bytes) -> bool:
    """Whether a receipt's text stands in there (SMPP 3.4, appendix B)."""
    lower = octets.lower()
    return b"id:" in lower and b"stat" in lower

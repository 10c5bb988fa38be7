"""The text of an SMS: which alphabet it is written in, how many segments it takes, and where it is cut.

Owns the choice of the alphabet by content and concatenation (3GPP TS 23.040 9.2.3.24.1 and .8; SMPP 3.4 5.3.2.22-24).
It knows no account and sends nothing. No exception here holds any of the text.
"""

import re
import struct
import unicodedata
from enum import StrEnum
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from gatewayd.core.gsm_alphabet import CHARACTERS
from gatewayd.smpp.codec.gsm import decode_gsm, encode_gsm, needs_filler, pack
from gatewayd.smpp.codec.pdu import Tag, Tlvs
from gatewayd.smpp.typography import INVISIBLE, TYPOGRAPHY

DefaultAlphabet = Literal["gsm", "gsm-packed", "latin1", "ascii"]
LongMessages = Literal["udh", "udh16", "sar", "payload"]
Surrogates = Literal["send", "strip"]

MAX_SEGMENTS = 255
_REMEMBERED = 256
UDHI = 0x40

_ASCII = frozenset(char for char in CHARACTERS if char.isascii())
# What UCS-2 has not, with joiners and variation selectors around: these are nothing without the emoji.
_EMOJI_AND_JOINERS = re.compile("[\u200d\ufe0e\ufe0f\U00010000-\U0010ffff]+")

# In the categories of a text: more marks on one letter than any script has (UAX 15, 13).
_HEAP_OF_MARKS = re.compile("(?:M.){31}")
_LONG = 1000
"""Characters; to bring the marks of so many in order takes a few milliseconds, and that of more the square of that."""


class Alphabet(StrEnum):
    """How the characters of one message are written."""

    GSM = "gsm"
    GSM_PACKED = "gsm-packed"
    LATIN1 = "latin1"
    ASCII = "ascii"
    UCS2 = "ucs2"


# Octets of user data in a message that stands alone, and in a segment with the 8 and with the 16 bit reference. A GSM
# septet takes an octet in SMPP; on the air 160 of them fit 140 octets, less a header of 6 or 7. What goes packed or in
# ASCII is counted and cut as septets: so it is written on the air.
_SEPTETS = (160, 153, 152)
_ROOM: dict[Alphabet, tuple[int, int, int]] = {
    Alphabet.GSM: _SEPTETS,
    Alphabet.GSM_PACKED: _SEPTETS,
    Alphabet.ASCII: _SEPTETS,
    Alphabet.LATIN1: (140, 134, 133),
    Alphabet.UCS2: (140, 134, 132),
}


# Octets of the header before each segment of a long text.
_HEADER: dict[LongMessages, int] = {"udh": 6, "udh16": 7, "sar": 0, "payload": 0}


class TooLongError(ValueError):
    """The text takes more segments than a concatenated message can have."""


class Form(Struct, frozen=True):
    """How one SMSC wants its texts, as [smscs.NAME] says.

    `default_alphabet` is what it takes `default_coding` for; `surrogates` "strip" leaves out what UCS-2 proper has not.
    """

    default_alphabet: DefaultAlphabet = "gsm"
    long_messages: LongMessages = "udh"
    surrogates: Surrogates = "send"
    default_coding: int = 0
    ucs2_coding: int = 8


PLAIN = Form()
"""What is taken for granted of an SMSC of which nothing is said."""


class Plan(Struct, frozen=True):
    """A text made ready: `segments` are user data without headers, in order; never empty.

    Of packed text they are the septets, as yet unpacked. `whole`: one segment, for message_payload.
    """

    alphabet: Alphabet
    data_coding: int
    long_messages: LongMessages
    segments: tuple[bytes, ...]
    whole: bool = False

    def __repr__(self) -> str:
        return f"<Plan {self.alphabet} in {len(self.segments)}>"


class Part(Struct, frozen=True):
    """The fields of one submit_sm that carry its segment; `esm_class` is only the UDH indicator."""

    esm_class: int
    short_message: bytes
    tlvs: Tlvs = ()

    def __repr__(self) -> str:
        return f"<Part of {len(self.short_message)} octets>"


def plain(text: str, form: Form = PLAIN) -> str:
    """`text` with typographic characters replaced, where that spares it UCS-2 or saves a segment; else unchanged.

    Only quotes, dashes, spaces, dots and the like are replaced; a text that needs UCS-2 for its letters keeps them.
    """
    if _fits(text, form.default_alphabet):
        return text
    if len(text) > _LONG and _HEAP_OF_MARKS.search("".join(map(unicodedata.category, text))):
        # No alphabet has what such marks would be composed to.
        return text
    composed = unicodedata.normalize("NFC", text)
    simple = composed.translate(TYPOGRAPHY)
    if _fits(simple, form.default_alphabet):
        return simple
    shorter = composed.translate(INVISIBLE)
    if len(shorter) < len(text) and _count(_ucs2(shorter), Alphabet.UCS2) < _count(_ucs2(text), Alphabet.UCS2):
        return shorter
    return text


def sendable(text: str, form: Form = PLAIN, *, transliterate: bool = False) -> str:
    """What of `text` is sent to an SMSC of this form; "" where nothing of it can be."""
    if form.surrogates == "strip" and not text.isascii():
        text = _EMOJI_AND_JOINERS.sub(lambda run: "" if max(run[0]) > "\uffff" else run[0], text)
    return plain(text, form) if transliterate else text


def plan(text: str, form: Form = PLAIN, *, transliterate: bool = False) -> Plan:
    """Choose the alphabet by content and cut the text, never inside an escape or a surrogate pair.

    Raises TooLongError past 255 segments.
    """
    alphabet, data = _encoded(sendable(text, form, transliterate=transliterate), form.default_alphabet)
    alone = _ROOM[alphabet][0]
    data_coding = form.ucs2_coding if alphabet is Alphabet.UCS2 else form.default_coding
    if len(data) <= alone:
        return Plan(alphabet, data_coding, form.long_messages, (_written(data, alphabet),))
    cuts = _cuts(data, alphabet, form.long_messages)
    if len(cuts) > MAX_SEGMENTS:
        raise TooLongError(f"{len(cuts)} segments, {MAX_SEGMENTS} are possible")
    if form.long_messages == "payload":
        return Plan(alphabet, data_coding, form.long_messages, (_written(data, alphabet),), whole=True)
    starts = (0, *cuts)
    pieces = (data[a:b] for a, b in zip(starts, cuts, strict=False))
    return Plan(alphabet, data_coding, form.long_messages, tuple(_written(piece, alphabet) for piece in pieces))


def parts(plan: Plan, reference: int) -> tuple[Part, ...]:
    """What the submits of this plan carry. `reference` ties the segments together: its low 8 bits, or 16, count."""
    segments = plan.segments
    total = len(segments)
    packed = plan.alphabet is Alphabet.GSM_PACKED
    if total == 1:
        (data,) = segments
        if packed:
            data = pack(data)
        return (Part(0, b"", ((Tag.MESSAGE_PAYLOAD.value, data),)) if plan.whole else Part(0, data),)
    if plan.long_messages == "sar":
        low16 = (reference & 0xFFFF).to_bytes(2, "big")
        return tuple(
            Part(
                0,
                pack(data) if packed else data,
                (
                    (Tag.SAR_MSG_REF_NUM.value, low16),
                    (Tag.SAR_TOTAL_SEGMENTS.value, bytes([total])),
                    (Tag.SAR_SEGMENT_SEQNUM.value, bytes([n])),
                ),
            )
            for n, data in enumerate(segments, 1)
        )
    if plan.long_messages == "udh16":
        before = struct.pack(">BBBH", 6, 8, 4, reference & 0xFFFF)
    else:
        before = bytes([5, 0, 3, reference & 0xFF])
    size = len(before) + 2
    return tuple(
        Part(UDHI, before + bytes([total, n]) + (pack(data, size) if packed else data))
        for n, data in enumerate(segments, 1)
    )


def segments(text: str, form: Form = PLAIN, *, transliterate: bool = False) -> int:
    """How many segments `text` takes; any number, at least 1. Those of a message_payload are counted as on the air."""
    alphabet, data = _encoded(sendable(text, form, transliterate=transliterate), form.default_alphabet)
    return _count(data, alphabet, form.long_messages)


_FITTING: dict[DefaultAlphabet, frozenset[str]] = {"gsm": CHARACTERS, "gsm-packed": CHARACTERS, "ascii": _ASCII}


def _fits(text: str, default_alphabet: DefaultAlphabet) -> bool:
    if default_alphabet == "latin1":
        return not text or max(text) <= "\xff"
    return _FITTING[default_alphabet].issuperset(text)


@lru_cache(maxsize=_REMEMBERED)
def _encoded(text: str, default_alphabet: DefaultAlphabet) -> tuple[Alphabet, bytes]:
    """The alphabet, and the octets in which the text is counted and cut.

    Asked when a message is taken on, when it is marked, and when it is written: soon after each other.
    """
    if not _fits(text, default_alphabet):
        return Alphabet.UCS2, _ucs2(text)
    if default_alphabet == "latin1":
        return Alphabet.LATIN1, text.encode("latin-1")
    return Alphabet(default_alphabet), encode_gsm(text)


def _written(data: bytes, alphabet: Alphabet) -> bytes:
    """One segment's octets as they are sent; packing waits for the header's length."""
    return decode_gsm(data).encode("ascii") if alphabet is Alphabet.ASCII else data


def _ucs2(text: str) -> bytes:
    # Half a surrogate pair, which JSON can bring, has no meaning: it becomes a question mark.
    return text.encode("utf-16-be", "replace")


def _count(data: bytes, alphabet: Alphabet, method: LongMessages = "udh") -> int:
    return 1 if len(data) <= _ROOM[alphabet][0] else len(_cuts(data, alphabet, method))


def _cuts(data: bytes, alphabet: Alphabet, method: LongMessages) -> list[int]:
    """Where each segment ends."""
    room = _ROOM[alphabet][2 if method == "udh16" else 1]
    cuts: list[int] = []
    size = len(data)
    end = 0
    while end < size:
        start, end = end, end + room
        if end >= size:
            end = size
        elif alphabet is Alphabet.UCS2:
            if 0xD8 <= data[end - 2] <= 0xDB:
                end -= 2
        elif alphabet is not Alphabet.LATIN1 and data[end - 1] == 0x1B:
            end -= 1
            if alphabet is Alphabet.GSM_PACKED and needs_filler(end - start, _HEADER[method]):
                # The carriage return would stand amid the text: one character more goes into the next segment.
                end -= 2 if data[end - 2] == 0x1B else 1
        cuts.append(end)
    return cuts

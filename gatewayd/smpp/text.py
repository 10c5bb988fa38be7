"""The text of an SMS: alphabets, how many segments it takes, and where it is cut.

Owns GSM 03.38 (3GPP TS 23.038), Latin-1 and UCS-2, the choice between them by content, concatenation (3GPP TS 23.040
9.2.3.24.1 and .8; SMPP 3.4 5.3.2.22-24) and the way back from incoming octets. It knows no account and sends nothing.
No exception here holds any of the text.
"""

import codecs
import re
import struct
import unicodedata
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from gatewayd.smpp.pdu import DataSm, DeliverSm, Tag, Tlvs

DefaultAlphabet = Literal["gsm", "latin1"]
LongMessages = Literal["udh", "udh16", "sar", "payload"]

MAX_SEGMENTS = 255
UDHI = 0x40

_ESCAPE = "\x1b"
_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
_TO_GSM = {ord(char): chr(code) for code, char in enumerate(_BASIC) if char != _ESCAPE} | {
    ord(char): _ESCAPE + chr(code) for code, char in _EXTENSION.items()
}
_GSM = frozenset(map(chr, _TO_GSM))
# Octets over 0x7F have no place in the alphabet; who sends them means Latin-1.
_FROM_GSM = _BASIC + bytes(range(0x80, 0x100)).decode("latin-1")
_FROM_ESCAPED = {_BASIC[code]: char for code, char in _EXTENSION.items()} | {_ESCAPE: " ", "": ""}
_ESCAPED = re.compile(_ESCAPE + "(.?)", re.DOTALL)

# What typesetting adds to a text that a keyboard of the GSM alphabet has too. Letters are not here: dropping an accent
# changes words.
_TYPOGRAPHY: dict[int, str] = {
    ord(char): plain
    for chars, plain in (
        ("\u2018\u2019\u201a\u201b\u2039\u203a\u2032\u2035\u02bc\u02b9\u00b4\u0060", "'"),
        ("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u2036\u02ba", '"'),
        ("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043", "-"),
        ("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\t", " "),
        ("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff", ""),
        ("\u2028\u2029", "\n"),
        ("\u2026", "..."),
        ("\u2025", ".."),
        ("\u2022\u2023\u25cf\u25e6\u2219", "*"),
        ("\u00b7\u2024", "."),
        ("\u00d7", "x"),
        ("\u2044\u2215", "/"),
        ("\u00a6", "|"),
        ("\u2122", "TM"),
        ("\u00ae", "(R)"),
        ("\u00a9", "(C)"),
        ("\u2116", "No"),
        ("\u00bc", "1/4"),
        ("\u00bd", "1/2"),
        ("\u00be", "3/4"),
        ("\ufb00", "ff"),
        ("\ufb01", "fi"),
        ("\ufb02", "fl"),
        ("\ufb03", "ffi"),
        ("\ufb04", "ffl"),
    )
    for char in chars
}
# In any script these two show nothing (a joiner or a zero width space may).
_INVISIBLE: dict[int, str] = {0x00AD: "", 0xFEFF: ""}


class Alphabet(StrEnum):
    """How the characters of one message are written."""

    GSM = "gsm"
    LATIN1 = "latin1"
    UCS2 = "ucs2"


# Octets of user data in a message that stands alone, and in a segment with the 8 and with the 16 bit reference. A GSM
# septet takes an octet in SMPP; on the air 160 of them fit 140 octets, less a header of 6 or 7.
_ROOM: dict[Alphabet, tuple[int, int, int]] = {
    Alphabet.GSM: (160, 153, 152),
    Alphabet.LATIN1: (140, 134, 133),
    Alphabet.UCS2: (140, 134, 132),
}


class UnencodableError(ValueError):
    """The text has a character that is not in the alphabet asked for."""


class TooLongError(ValueError):
    """The text takes more segments than a concatenated message can have."""


class Plan(Struct, frozen=True):
    """A text made ready: `segments` are user data without headers, in order; never empty."""

    alphabet: Alphabet
    data_coding: int
    long_messages: LongMessages
    segments: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"<Plan {self.alphabet} in {len(self.segments)}>"


class Part(Struct, frozen=True):
    """The fields of one submit_sm that carry its segment; `esm_class` is only the UDH indicator."""

    esm_class: int
    short_message: bytes
    tlvs: Tlvs = ()

    def __repr__(self) -> str:
        return f"<Part of {len(self.short_message)} octets>"


def encode_gsm(text: str) -> bytes:
    """GSM 03.38, an octet for a septet. Raises UnencodableError."""
    if not _GSM.issuperset(text):
        raise UnencodableError("not all of the text is in GSM 03.38")
    return text.translate(_TO_GSM).encode("latin-1")


def decode_gsm(data: bytes) -> str:
    """The text in unpacked GSM 03.38, whatever the octets are.

    An escape before a code without a meaning of its own gives that code's plain character (TS 23.038 6.2.1.1); a
    doubled one gives a space, one at the end nothing.
    """
    text = codecs.charmap_decode(data, "strict", _FROM_GSM)[0]
    if _ESCAPE not in text:
        return text
    return _ESCAPED.sub(lambda found: _FROM_ESCAPED.get(found[1], found[1]), text)


def septets(text: str) -> int:
    """How many septets `text` takes in GSM 03.38, where {}[]~\\|^€ take two. Raises UnencodableError."""
    return len(encode_gsm(text))


def plain(text: str, default_alphabet: DefaultAlphabet = "gsm") -> str:
    """`text` with typographic characters replaced, where that spares it UCS-2 or saves a segment; else unchanged.

    Only quotes, dashes, spaces, dots and the like are replaced; a text that needs UCS-2 for its letters keeps them.
    """
    if _fits(text, default_alphabet):
        return text
    composed = unicodedata.normalize("NFC", text)
    simple = composed.translate(_TYPOGRAPHY)
    if _fits(simple, default_alphabet):
        return simple
    shorter = composed.translate(_INVISIBLE)
    if len(shorter) < len(text) and _count(_ucs2(shorter), Alphabet.UCS2) < _count(_ucs2(text), Alphabet.UCS2):
        return shorter
    return text


def plan(
    text: str,
    *,
    default_alphabet: DefaultAlphabet = "gsm",
    long_messages: LongMessages = "udh",
    transliterate: bool = False,
) -> Plan:
    """Choose the alphabet by content and cut the text, never inside an escape or a surrogate pair.

    `default_alphabet` is what the SMSC takes data_coding 0 for. Raises TooLongError past 255 segments.
    """
    alphabet, data = _encoded(plain(text, default_alphabet) if transliterate else text, default_alphabet)
    alone, short, long = _ROOM[alphabet]
    data_coding = 8 if alphabet is Alphabet.UCS2 else 0
    if len(data) <= alone:
        return Plan(alphabet, data_coding, long_messages, (data,))
    cuts = _cuts(data, long if long_messages == "udh16" else short, alphabet)
    if len(cuts) > MAX_SEGMENTS:
        raise TooLongError(f"{len(cuts)} segments, {MAX_SEGMENTS} are possible")
    if long_messages == "payload":
        return Plan(alphabet, data_coding, long_messages, (data,))
    starts = (0, *cuts)
    return Plan(alphabet, data_coding, long_messages, tuple(data[a:b] for a, b in zip(starts, cuts, strict=False)))


def parts(plan: Plan, reference: int) -> tuple[Part, ...]:
    """What the submits of this plan carry. `reference` ties the segments together: its low 8 bits, or 16, count."""
    segments = plan.segments
    total = len(segments)
    if total == 1:
        (data,) = segments
        if len(data) > _ROOM[plan.alphabet][0]:
            return (Part(0, b"", ((Tag.MESSAGE_PAYLOAD.value, data),)),)
        return (Part(0, data),)
    match plan.long_messages:
        case "udh16":
            header = struct.Struct(">BBBHBB")
            low = reference & 0xFFFF
            return tuple(Part(UDHI, header.pack(6, 8, 4, low, total, n) + data) for n, data in enumerate(segments, 1))
        case "sar":
            low16 = (reference & 0xFFFF).to_bytes(2, "big")
            return tuple(
                Part(
                    0,
                    data,
                    (
                        (Tag.SAR_MSG_REF_NUM.value, low16),
                        (Tag.SAR_TOTAL_SEGMENTS.value, bytes([total])),
                        (Tag.SAR_SEGMENT_SEQNUM.value, bytes([n])),
                    ),
                )
                for n, data in enumerate(segments, 1)
            )
        case _:
            low = reference & 0xFF
            return tuple(Part(UDHI, bytes([5, 0, 3, low, total, n]) + data) for n, data in enumerate(segments, 1))


def segments(
    text: str,
    transliterate: bool = False,
    *,
    default_alphabet: DefaultAlphabet = "gsm",
    long_messages: LongMessages = "udh",
) -> int:
    """How many segments `text` takes; any number, at least 1. Those of a message_payload are counted as on the air."""
    alphabet, data = _encoded(plain(text, default_alphabet) if transliterate else text, default_alphabet)
    return _count(data, alphabet, 2 if long_messages == "udh16" else 1)


def _fits(text: str, default_alphabet: DefaultAlphabet) -> bool:
    if default_alphabet == "gsm":
        return _GSM.issuperset(text)
    return not text or max(text) <= "\xff"


def _encoded(text: str, default_alphabet: DefaultAlphabet) -> tuple[Alphabet, bytes]:
    if not _fits(text, default_alphabet):
        return Alphabet.UCS2, _ucs2(text)
    if default_alphabet == "gsm":
        return Alphabet.GSM, text.translate(_TO_GSM).encode("latin-1")
    return Alphabet.LATIN1, text.encode("latin-1")


def _ucs2(text: str) -> bytes:
    # Half a surrogate pair, which JSON can bring, has no meaning: it becomes a question mark.
    return text.encode("utf-16-be", "replace")


def _count(data: bytes, alphabet: Alphabet, header: int = 1) -> int:
    """`header` is the place in _ROOM: 1 for the 8 bit reference, 2 for that of 16."""
    room = _ROOM[alphabet]
    return 1 if len(data) <= room[0] else len(_cuts(data, room[header], alphabet))


def _cuts(data: bytes, room: int, alphabet: Alphabet) -> list[int]:
    """Where each segment ends."""
    cuts: list[int] = []
    size = len(data)
    end = 0
    while end < size:
        end += room
        if end >= size:
            end = size
        elif alphabet is Alphabet.GSM:
            if data[end - 1] == 0x1B:
                end -= 1
        elif alphabet is Alphabet.UCS2 and 0xD8 <= data[end - 2] <= 0xDB:
            end -= 2
        cuts.append(end)
    return cuts


# SMPP 3.4 5.2.19. What is not listed below 0x10 is read as Latin-1: right for ASCII, harmless for the rest.
_CODECS: dict[int, str] = {
    5: "shift_jis",
    6: "iso8859-5",
    7: "iso8859-8",
    8: "utf-16-be",
    10: "iso2022_jp",
    13: "euc_jp",
    14: "euc_kr",
}


def codec_of(data_coding: int, default_alphabet: DefaultAlphabet = "gsm") -> str:
    """How octets under this data_coding are read: "gsm" or the name of a Python codec; 8 bit data as "latin-1".

    Values below 0x10 are SMPP's own, those above are TS 23.038 section 4's groups.
    """
    default = "gsm" if default_alphabet == "gsm" else "latin-1"
    if data_coding == 0:
        return default
    if data_coding < 0x10:
        return _CODECS.get(data_coding, "latin-1")
    group = data_coding >> 4
    if group < 8:
        # General data coding: bit 5 says compressed, bits 3 and 2 the alphabet.
        coding = "latin-1" if data_coding & 0x20 else ("gsm", "latin-1", "utf-16-be", "gsm")[data_coding >> 2 & 3]
    elif group == 0xE:
        coding = "utf-16-be"
    elif group == 0xF:
        coding = "latin-1" if data_coding & 4 else "gsm"
    else:
        coding = "gsm"
    return default if coding == "gsm" else coding


def decode(data: bytes, data_coding: int, default_alphabet: DefaultAlphabet = "gsm") -> str:
    """The text in incoming octets without their UDH; never fails, unreadable octets become U+FFFD."""
    codec = codec_of(data_coding, default_alphabet)
    if codec == "gsm":
        return decode_gsm(data)
    if codec == "utf-16-be":
        if data[:2] == b"\xff\xfe":
            codec = "utf-16-le"
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            data = data[2:]
    return data.decode(codec, "replace")


def without_udh(data: bytes, esm_class: int) -> bytes:
    """User data behind its header, where `esm_class` says that there is one and its length can be true."""
    if esm_class & UDHI and data and data[0] < len(data):
        return data[1 + data[0] :]
    return data


def incoming(pdu: DeliverSm | DataSm, default_alphabet: DefaultAlphabet = "gsm") -> str:
    """The text that a player sent, from short_message or message_payload."""
    return decode(without_udh(pdu.user_data, pdu.esm_class), pdu.data_coding, default_alphabet)

"""GSM 03.38, the alphabet of SMS (3GPP TS 23.038, 6.2.1), an octet for a septet and packed.

Owns both directions; the tables are core's. It knows no length limit and no PDU. No exception here holds any of the
text.
"""

import codecs
import re

from gatewayd.core.gsm_alphabet import BASIC, CHARACTERS, EXTENSION

_ESCAPE = "\x1b"
_TO_GSM = {ord(char): chr(code) for code, char in enumerate(BASIC) if char != _ESCAPE} | {
    ord(char): _ESCAPE + chr(code) for code, char in EXTENSION.items()
}
# Octets over 0x7F have no place in the alphabet; who sends them means Latin-1.
_FROM_GSM = BASIC + bytes(range(0x80, 0x100)).decode("latin-1")
_FROM_ESCAPED = {BASIC[code]: char for code, char in EXTENSION.items()} | {_ESCAPE: " ", "": ""}
_ESCAPED = re.compile(_ESCAPE + "(.?)", re.DOTALL)

# TS 23.038, 6.1.2.3.1: what fills seven bits that would else read as an at sign.
_FILLER = 0x0D

_PIECE = 64
"""Octets, and septets, which are fewer bits: so many of these are in so many of those, wherever the first begins."""


class UnencodableError(ValueError):
    """The text has a character that is not in the alphabet asked for."""


def encode_gsm(text: str) -> bytes:
    """GSM 03.38, an octet for a septet. Raises UnencodableError."""
    if not CHARACTERS.issuperset(text):
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


def pack(data: bytes, header: int = 0) -> bytes:
    """Septets in octets, low bits first (TS 23.038, 6.1.2.1), to stand behind `header` octets of UDH.

    They begin at a septet's boundary, counted from the header's first bit. Seven bits left over are a carriage return:
    SMPP counts octets, and nobody could tell them from an at sign.
    """
    fill = -8 * header % 7
    if needs_filler(len(data), header):
        data += bytes([_FILLER])
    bits = 0
    for septet in reversed(data):
        bits = bits << 7 | septet & 0x7F
    return (bits << fill).to_bytes((fill + 7 * len(data) + 7) // 8, "little")


def needs_filler(count: int, header: int = 0) -> bool:
    """Whether so many septets behind `header` octets leave seven bits over, which `pack` fills with one more."""
    return (-8 * header % 7 + 7 * count) % 8 == 1


def unpack(octets: bytes, header: int = 0) -> bytes:
    """The septets in `octets`, which stood behind `header` octets of UDH, without what only fills the last octet."""
    fill = -8 * header % 7
    count, spare = divmod(8 * len(octets) - fill, 7)
    septets = bytearray()
    while len(septets) < count:
        # A piece at a time: to shift a number as long as the text for each septet costs the square of its length.
        at, shift = divmod(fill + 7 * len(septets), 8)
        bits = int.from_bytes(octets[at : at + _PIECE], "little") >> shift
        septets += bytes(bits >> 7 * number & 0x7F for number in range(min(_PIECE, count - len(septets))))
    return bytes(septets[:-1] if not spare and septets[-1:] == bytes([_FILLER]) else septets)

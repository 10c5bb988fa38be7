"""Texts that come in: from octets, data_coding and a UDH back to characters.

Never fails: a peer's octets are what they are. Knows what the SMSC means by data_coding 0 from whoever asks.
"""

from gatewayd.config.data_coding import SMSC_DEFAULT, alphabet_of
from gatewayd.core.gsm_alphabet import LOCKED
from gatewayd.smpp.codec.gsm import decode_gsm, unpack
from gatewayd.smpp.codec.pdu import DataSm, DeliverSm
from gatewayd.smpp.text import UDHI, DefaultAlphabet

# What is not here is read as Latin-1: right for ASCII, harmless for the rest.
_CODECS: dict[str, str] = {
    "JIS": "shift_jis",
    "Cyrillic": "iso8859-5",
    "Hebrew": "iso8859-8",
    "UCS-2": "utf-16-be",
    "ISO-2022-JP": "iso2022_jp",
    "extended Kanji": "euc_jp",
    "KS C 5601": "euc_kr",
}

_LOCKING_SHIFT = 0x25
"""The element of a header that names the language whose table all of the text is in (3GPP TS 23.040, 9.2.3.24.16)."""

_HIGHEST_ROW = 0x08
"""The first octet of letters up to Arabic's in UCS-2."""


def codec_of(data_coding: int, default_alphabet: DefaultAlphabet = "gsm") -> str:
    """How octets under this data_coding are read: "gsm", "gsm-packed" or the name of a Python codec; 8 bit data, and
    what is compressed, as "latin-1".
    """
    if data_coding & 0xA0 == 0x20:
        return "latin-1"
    alphabet = alphabet_of(data_coding)
    if alphabet == SMSC_DEFAULT or (alphabet is None and data_coding > 0xF):
        return default_alphabet if default_alphabet in ("gsm", "gsm-packed") else "latin-1"
    return _CODECS.get(alphabet or "", "latin-1")


def decode(
    data: bytes, data_coding: int, default_alphabet: DefaultAlphabet = "gsm", *, header: int = 0, language: int = 0
) -> str:
    """The text in incoming octets that stood behind `header` octets of UDH; unreadable ones become U+FFFD.

    `language` is that of the table in which GSM 03.38 is written, 0 for its own.
    """
    codec = codec_of(data_coding, default_alphabet)
    if codec != "gsm-packed":
        codec = _order_of(data) or codec
    if codec in ("gsm", "latin-1") and (text := _utf_8(data)):
        return text
    if codec in ("gsm", "gsm-packed"):
        septets = data if codec == "gsm" else unpack(data, header)
        return decode_gsm(septets).translate(LOCKED.get(language, {}))
    if codec == "utf-16-be":
        if data[:2] == b"\xff\xfe":
            codec = "utf-16-le"
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            data = data[2:]
    return data.decode(codec, "replace")


def _order_of(data: bytes) -> str:
    """The codec of octets that are letters in UCS-2, whatever is said of them, or an empty string.

    Nobody writes one of @£$¥èéùìò, or a control character, before each letter, or after it.
    """
    if len(data) % 2 or len(data) < 4:
        return ""
    even, odd = data[::2], data[1::2]
    if max(even) <= _HIGHEST_ROW and all(odd):
        return "utf-16-be"
    return "utf-16-le" if max(odd) <= _HIGHEST_ROW and all(even) else ""


def _utf_8(data: bytes) -> str:
    """The text of octets that are UTF-8, whatever is said of them, and no ASCII; else an empty string.

    Pairs such as Ã© are no text in Latin-1, and GSM 03.38 has no octets over 0x7F.
    """
    try:
        return "" if data.isascii() else data.decode()
    except UnicodeDecodeError:
        return ""


def without_udh(data: bytes, esm_class: int) -> bytes:
    """User data behind its header, where `esm_class` says that there is one and there is.

    SMSCs copy the esm_class of a long text's segment into its receipt, which has none: what a header is, its elements
    show, which fill it to its last octet (3GPP TS 23.040, 9.2.3.24).
    """
    return data[1 + data[0] :] if esm_class & UDHI and _elements(data) else data


def _elements(data: bytes) -> dict[int, bytes]:
    """The elements of the header that `data` begins with, by their identifiers; none where it begins with no header."""
    end = 1 + data[0] if data else 0
    found: dict[int, bytes] = {}
    at = 1
    while at + 2 <= end <= len(data):
        size = data[at + 1]
        found[data[at]] = data[at + 2 : at + 2 + size]
        at += 2 + size
    return found if at == end else {}


def text_of(pdu: DeliverSm | DataSm, default_alphabet: DefaultAlphabet = "gsm") -> str:
    """The text that a player sent, from short_message or message_payload."""
    whole = pdu.user_data
    data = without_udh(whole, pdu.esm_class)
    shift = _elements(whole).get(_LOCKING_SHIFT) if len(data) < len(whole) else None
    language = shift[0] if shift else 0
    return decode(data, pdu.data_coding, default_alphabet, header=len(whole) - len(data), language=language)

"""Which alphabet a value of data_coding names (SMPP 3.4 5.2.19, TS 23.038 section 4), and what follows for an SMSC.

Pure: of the file as it stands. What goes out under a value must be in the alphabet that the value names, or every text
arrives as garbage.
"""

from collections.abc import Iterator, Mapping
from typing import Any

SMSC_DEFAULT = ""
"""The value names no alphabet but the SMSC's own, as 0 does."""

_OWN: Mapping[int, str] = {
    0: SMSC_DEFAULT,
    1: "ascii",
    2: "binary",
    3: "latin1",
    4: "binary",
    5: "JIS",
    6: "Cyrillic",
    7: "Hebrew",
    8: "UCS-2",
    9: "pictograms",
    10: "ISO-2022-JP",
    13: "extended Kanji",
    14: "KS C 5601",
}
"""SMPP's own values; those that it reserves are a carrier's, and nobody knows what they name."""

_GENERAL = (SMSC_DEFAULT, "binary", "UCS-2", SMSC_DEFAULT)
"""By bits 3 and 2 in the general group of TS 23.038."""

_FITS: Mapping[str, frozenset[str]] = {
    "ascii": frozenset({"ascii"}),
    "latin1": frozenset({"latin1", "ascii"}),
}
"""Which default_alphabet may go out under a value that names an alphabet; under SMSC_DEFAULT, any."""


def alphabet_of(data_coding: int) -> str | None:
    """The alphabet that a value names: "latin1", "UCS-2", ..., SMSC_DEFAULT; None where nobody can say."""
    if data_coding < 0x10:
        return _OWN.get(data_coding)
    group = data_coding >> 4
    if group < 8:
        return _GENERAL[data_coding >> 2 & 3]
    if group == 0xE:
        return "UCS-2"
    if group == 0xF:
        return "binary" if data_coding & 4 else SMSC_DEFAULT
    return SMSC_DEFAULT if group > 0xB else None


def following(smsc: Mapping[str, Any]) -> dict[str, Any]:
    """default_alphabet, where the table does not name one and data_codings.default does; else nothing."""
    named = _named(smsc, "default")
    return {"default_alphabet": named} if named in _FITS and "default_alphabet" not in smsc else {}


def coding_contradictions(at: str, smsc: Mapping[str, Any]) -> Iterator[str]:
    """What data_codings of the table `at` name, and the texts under them are not."""
    named, alphabet = _named(smsc, "default"), smsc.get("default_alphabet", "gsm")
    value = _value(smsc, "default")
    if named and alphabet not in _FITS.get(named, ()):
        yield f"{at}.data_codings.default: {value} names {named}, and default_alphabet is {alphabet}"
    named = _named(smsc, "ucs2")
    if named is not None and named != "UCS-2":
        words = named or "the SMSC's default alphabet"
        yield f"{at}.data_codings.ucs2: {_value(smsc, 'ucs2')} names {words}, and not UCS-2"


def _value(smsc: Mapping[str, Any], key: str) -> object:
    codings = smsc.get("data_codings")
    return codings.get(key) if isinstance(codings, Mapping) else None


def _named(smsc: Mapping[str, Any], key: str) -> str | None:
    value = _value(smsc, key)
    return alphabet_of(value) if isinstance(value, int) and 0 <= value <= 0xFF else None

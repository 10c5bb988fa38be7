"""Texts that come in: which alphabet data_coding names, with or without a header, and whatever the octets are."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import FUZZ_EXAMPLES
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.gsm import pack
from gatewayd.smpp.incoming import codec_of, decode, text_of, without_udh
from gatewayd.smpp.text import UDHI, DefaultAlphabet
from smpp_texts import DEFAULTS

FUZZ = settings(max_examples=FUZZ_EXAMPLES, deadline=None)
VECTORS: dict[str, bytes] = {
    name: bytes.fromhex(octets)
    for name, octets in json.loads((Path(__file__).parent / "data" / "smpp-vectors.json").read_text()).items()
}


@pytest.mark.parametrize(
    ("data_coding", "codec"),
    [
        *((0, "gsm"), (1, "latin-1"), (2, "latin-1"), (3, "latin-1"), (4, "latin-1"), (6, "iso8859-5")),
        *((8, "utf-16-be"), (0x0F, "latin-1"), (0x10, "gsm"), (0x11, "gsm"), (0x14, "latin-1"), (0x18, "utf-16-be")),
        *((0x20, "latin-1"), (0x48, "utf-16-be"), (0xC8, "gsm"), (0xD0, "gsm"), (0xE0, "utf-16-be")),
        *((0xF0, "gsm"), (0xF1, "gsm"), (0xF4, "latin-1"), (0xF5, "latin-1")),
    ],
)
def test_data_coding_names_the_alphabet(data_coding: int, codec: str) -> None:
    """SMPP's own values below 0x10, the groups of TS 23.038 section 4 above."""
    assert codec_of(data_coding) == codec
    assert codec_of(data_coding, "latin1") == ("latin-1" if codec == "gsm" else codec)
    assert codec_of(data_coding, "gsm-packed") == ("gsm-packed" if codec == "gsm" else codec)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("udh8", "part one"),
        ("udh16", "part one"),
        ("udh_unknown_ie", "body"),
        ("sar", "part"),
        ("ucs2_emoji", "hi 😀 ž"),
        ("gsm_ext_bytes", "€ @_["),
        ("dcs_11_class1", "flash"),
        ("latin1_dcs3", "??èé"),
        ("payload_only", "long " * 80),
        ("data_sm", "hi"),
    ],
)
def test_incoming_texts_of_the_field_are_read(name: str, text: str) -> None:
    """Headers off, by data_coding, from short_message or message_payload."""
    pdu = smpp.decode(VECTORS[name])
    assert isinstance(pdu, smpp.DeliverSm | smpp.DataSm)
    assert text_of(pdu) == text


def test_byte_order_marks_are_believed() -> None:
    """Some handsets send UCS-2 the wrong way round and say so."""
    assert decode("\ufeffSTOP".encode("utf-16-be"), 8) == "STOP"
    assert decode("\ufeffSTOP".encode("utf-16-le"), 8) == "STOP"


@pytest.mark.parametrize("data_coding", [0, 1, 3, 4, 8, 0x10, 0xF1])
@pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le"])
def test_plain_letters_in_ucs2_are_read_as_such_whatever_is_said_of_them(data_coding: int, order: str) -> None:
    """As receipts are: an SMSC that mixes up octets or data_coding keeps no STOP from us."""
    assert decode("STOP!".encode(order), data_coding) == "STOP!"


@pytest.mark.parametrize("word", ["ARRÊT", "СТОП", "ΤΕΛΟΣ", "İPTAL", "توقف", "הסר"])
@pytest.mark.parametrize("data_coding", [0, 1, 3, 4, 0xF1])
def test_stop_words_of_other_letters_are_read_whatever_is_said_of_them(word: str, data_coding: int) -> None:
    """In UTF-8, as gateways that know HTTP only hand texts on, and in UCS-2."""
    for codec in ("utf-8", "utf-16-be", "utf-16-le"):
        assert decode(word.encode(codec), data_coding) == word
        assert decode(word.encode(codec), data_coding, "latin1") == word


def test_a_text_of_letters_that_have_no_zeros_is_read_by_data_coding() -> None:
    """An @ or two make no UCS-2."""
    assert decode(b"\0STOP", 0) == "@STOP"
    assert decode(b"\0S\0\0", 0) == "@S@@"
    assert decode("一".encode("utf-16-be"), 8) == "一"
    assert decode("СТОП".encode("utf-16-be"), 8) == "СТОП"


def test_a_header_is_what_its_elements_fill() -> None:
    """All else is read as text: a header longer than its message, none at all, one whose elements end elsewhere."""
    assert without_udh(b"\x03a\x01babc", UDHI) == b"abc"
    assert without_udh(b"\x02a\x00", UDHI) == b""
    assert without_udh(b"\x03a\x01babc", 0) == b"\x03a\x01babc"
    for text in (b"", b"\x09abc", b"\x04abc", b"\x03abc", b"\x02a", b"\x01abc", b"STOP", b"\x03a\x05babc"):
        assert without_udh(text, UDHI) == text


@pytest.mark.parametrize("word", ["STOP", "СТОП", "Stop " * 30])
def test_a_text_without_the_header_that_is_said_of_it_is_read_whole(word: str) -> None:
    """In UCS-2 its first letter would be the header's length."""
    pdu = smpp.DeliverSm(1, short_message=word.encode("utf-16-be"), data_coding=8, esm_class=UDHI)
    assert text_of(pdu) == word


@FUZZ
@given(st.binary(max_size=160), st.integers(0, 255), st.integers(0, 255), st.sampled_from(DEFAULTS))
def test_any_octets_are_read_as_some_text(
    data: bytes, data_coding: int, esm_class: int, default: DefaultAlphabet
) -> None:
    """What a handset or SMSC sends never raises."""
    pdu = smpp.DeliverSm(1, short_message=data, data_coding=data_coding, esm_class=esm_class)
    assert isinstance(text_of(pdu, default), str)


def test_packed_texts_are_read_from_a_septet_boundary() -> None:
    """Where the SMSC packs its default alphabet; a header of six octets moves the text by a bit."""
    for header in (b"", b"\x05\x00\x03\x07\x02\x01"):
        octets = header + pack(b"STOP it", len(header))
        pdu = smpp.DeliverSm(1, short_message=octets, esm_class=UDHI if header else 0)
        assert text_of(pdu, "gsm-packed") == "STOP it"


@pytest.mark.parametrize(
    ("language", "octets", "word"),
    [
        (1, b"\x40PTAL", "İPTAL"),
        (1, b"\x09IKI\x1c", "ÇIKIŞ"),
        (1, b"iptal \x07\x0b\x0c\x1d\x60\x04", "iptal ıĞğşç€"),
        (3, b"N\x5bO", "NÃO"),
        (3, b"\x0e\x13\x14\x5c\x0b\x1e", "ÁÇÀÕÔÊ"),
        (2, b"\x40PTAL", "¡PTAL"),
        (99, b"STOP", "STOP"),
    ],
)
@pytest.mark.parametrize("default", ["gsm", "gsm-packed"])
def test_a_phone_that_writes_its_own_languages_table_is_read(
    language: int, octets: bytes, word: str, default: DefaultAlphabet
) -> None:
    """A Turkish phone's İPTAL is a stop word that no accent hides; Spanish has no such table, others we know not."""
    header = bytes([3, 0x25, 1, language])
    packed = pack(octets, len(header)) if default == "gsm-packed" else octets
    pdu = smpp.DeliverSm(1, short_message=header + packed, esm_class=UDHI)
    assert text_of(pdu, default) == word
    assert text_of(smpp.DeliverSm(1, short_message=octets), "gsm") != word or language in (2, 99)

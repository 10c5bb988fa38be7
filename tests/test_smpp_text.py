"""SMS text: the alphabets by their published codes, segments by the published limits, and every text there and back."""

import json
import unicodedata
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conftest import FUZZ_EXAMPLES
from gatewayd.smpp import pdu as smpp
from gatewayd.smpp.text import (
    UDHI,
    Alphabet,
    DefaultAlphabet,
    LongMessages,
    Part,
    Plan,
    TooLongError,
    UnencodableError,
    codec_of,
    decode,
    decode_gsm,
    encode_gsm,
    incoming,
    parts,
    plain,
    plan,
    segments,
    septets,
    without_udh,
)

FUZZ = settings(max_examples=FUZZ_EXAMPLES, deadline=None)
VECTORS: dict[str, bytes] = {
    name: bytes.fromhex(octets)
    for name, octets in json.loads((Path(__file__).parent / "data" / "smpp-vectors.json").read_text()).items()
}
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = "\f^{}\\[~]|€"
GSM = st.text(st.sampled_from(BASIC + EXTENSION), max_size=700)
LATIN1 = st.text(st.characters(max_codepoint=0xFF), max_size=700)
ANY = st.text(max_size=500) | st.text(st.sampled_from("aя€😀👩🏽‍🚀é\u0301“…"), max_size=700) | GSM | LATIN1
METHODS: list[LongMessages] = list(get_args(LongMessages))
DEFAULTS: list[DefaultAlphabet] = list(get_args(DefaultAlphabet))
ALONE = {Alphabet.GSM: 160, Alphabet.LATIN1: 140, Alphabet.UCS2: 140}
EACH: dict[tuple[Alphabet, str], int] = {
    (Alphabet.GSM, "udh"): 153,
    (Alphabet.GSM, "udh16"): 152,
    (Alphabet.GSM, "sar"): 153,
    (Alphabet.LATIN1, "udh"): 134,
    (Alphabet.LATIN1, "udh16"): 133,
    (Alphabet.LATIN1, "sar"): 134,
    (Alphabet.UCS2, "udh"): 134,
    (Alphabet.UCS2, "udh16"): 132,
    (Alphabet.UCS2, "sar"): 134,
}


@pytest.mark.parametrize(
    ("char", "code"),
    [
        *(("@", "00"), ("£", "01"), ("$", "02"), ("è", "04"), ("Ç", "09"), ("\n", "0a"), ("\r", "0d"), ("å", "0f")),
        *(("Δ", "10"), ("_", "11"), ("Φ", "12"), ("Γ", "13"), ("Ω", "15"), ("Ξ", "1a"), ("Æ", "1c"), ("É", "1f")),
        *((" ", "20"), ("¤", "24"), ("?", "3f"), ("¡", "40"), ("A", "41"), ("Z", "5a"), ("Ä", "5b"), ("§", "5f")),
        *(("¿", "60"), ("a", "61"), ("z", "7a"), ("ä", "7b"), ("ö", "7c"), ("ñ", "7d"), ("ü", "7e"), ("à", "7f")),
        *(("\f", "1b0a"), ("^", "1b14"), ("{", "1b28"), ("}", "1b29"), ("\\", "1b2f"), ("[", "1b3c"), ("~", "1b3d")),
        *(("]", "1b3e"), ("|", "1b40"), ("€", "1b65")),
    ],
)
def test_characters_have_the_codes_of_3gpp_ts_23_038(char: str, code: str) -> None:
    """Tables 6.2.1 and 6.2.1.1, at their edges and where libraries are wrong."""
    assert encode_gsm(char).hex() == code
    assert decode_gsm(bytes.fromhex(code)) == char


def test_the_alphabet_has_137_characters() -> None:
    """127 of the basic table, which has the escape too, and 10 of the extension."""
    assert len(set(BASIC)) == 127
    assert encode_gsm(BASIC) == bytes([*range(0x1B), *range(0x1C, 0x80)])
    assert septets(BASIC + EXTENSION) == 127 + 20


@pytest.mark.parametrize("text", ["`", "ç", "\x1b", "я", "😀", "\t", "Α", "\x00", "ё" * 3])
def test_what_is_not_in_the_alphabet_is_refused_without_being_quoted(text: str) -> None:
    """No silent question marks, and no content in the exception; look-alikes of Greek capitals don't pass."""
    for function in (encode_gsm, septets):
        with pytest.raises(UnencodableError) as caught:
            function(text)
        assert text not in str(caught.value)


@given(GSM)
def test_gsm_text_comes_back(text: str) -> None:
    """decode undoes encode; an extension character takes two septets."""
    assert decode_gsm(encode_gsm(text)) == text
    assert septets(text) == len(text) + sum(text.count(char) for char in EXTENSION)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"a\x1b", "a"),
        (b"a\x1bb", "ab"),
        (b"\x1b\x1be", " e"),
        (b"\x1be", "€"),
        (b"caf\xe9", "café"),
        (b"", ""),
        (b"\x1b\n", "\f"),
        (b"a\x1b\r", "a\r"),
    ],
)
def test_odd_septets_are_read_leniently(octets: bytes, text: str) -> None:
    """Escapes that mean nothing give the plain character, and octets over 0x7F are somebody's Latin-1."""
    assert decode_gsm(octets) == text


@pytest.mark.parametrize(
    ("text", "default", "alphabet", "data_coding"),
    [
        ("Hello €", "gsm", Alphabet.GSM, 0),
        ("", "gsm", Alphabet.GSM, 0),
        ("ΓΔ", "gsm", Alphabet.GSM, 0),
        ("façade", "gsm", Alphabet.UCS2, 8),
        ("Привет", "gsm", Alphabet.UCS2, 8),
        ("façade", "latin1", Alphabet.LATIN1, 0),
        ("Hello €", "latin1", Alphabet.UCS2, 8),
        ("ΓΔ", "latin1", Alphabet.UCS2, 8),
        ("[]", "latin1", Alphabet.LATIN1, 0),
    ],
)
def test_the_content_chooses_the_alphabet(
    text: str, default: DefaultAlphabet, alphabet: Alphabet, data_coding: int
) -> None:
    """data_coding 0 where the SMSC's own alphabet has every character, else UCS-2."""
    made = plan(text, default_alphabet=default)
    assert (made.alphabet, made.data_coding, len(made.segments)) == (alphabet, data_coding, 1)


@pytest.mark.parametrize(
    ("char", "method", "default", "alone", "each"),
    [
        ("a", "udh", "gsm", 160, 153),
        ("a", "udh16", "gsm", 160, 152),
        ("a", "sar", "gsm", 160, 153),
        ("€", "udh", "gsm", 80, 76),
        ("€", "udh16", "gsm", 80, 76),
        ("я", "udh", "gsm", 70, 67),
        ("я", "udh16", "gsm", 70, 66),
        ("😀", "udh", "gsm", 35, 33),
        ("😀", "udh16", "gsm", 35, 33),
        ("é", "udh", "latin1", 140, 134),
        ("é", "udh16", "latin1", 140, 133),
        ("я", "udh", "latin1", 70, 67),
    ],
)
def test_segments_end_where_the_specifications_say(
    char: str, method: LongMessages, default: DefaultAlphabet, alone: int, each: int
) -> None:
    """160/153/152 septets, 140/134/133 octets, 70/67/66 characters, fewer where a pair would be cut."""

    def count(characters: int) -> int:
        return len(plan(char * characters, default_alphabet=default, long_messages=method).segments)

    assert [count(alone), count(alone + 1)] == [1, 2]
    assert [count(2 * each), count(2 * each + 1)] == [2, 3]
    assert [count(7 * each), count(7 * each + 1)] == [7, 8]


def test_an_escape_at_the_edge_moves_to_the_next_segment() -> None:
    """The pair of a euro sign stays whole, and so does a surrogate pair."""
    made = plan("a" * 152 + "€" + "b" * 20)
    assert made.segments[0] == b"a" * 152
    assert made.segments[1] == b"\x1be" + b"b" * 20
    for pair in "😀\U00010000\U0010ffff":
        made = plan("я" * 66 + pair + "я" * 10)
        assert [len(segment) for segment in made.segments] == [132, 24]


def test_headers_are_those_of_3gpp_ts_23_040() -> None:
    """8 bit and 16 bit references, total and number, with the indicator in esm_class."""
    text = "x" * 306
    assert parts(plan(text), 0x1234)[1] == Part(UDHI, b"\x05\x00\x03\x34\x02\x02" + b"x" * 153)
    made = parts(plan(text, long_messages="udh16"), 0x51234)
    assert [part.short_message[:7] for part in made] == [
        b"\x06\x08\x04\x12\x34\x03\x01",
        b"\x06\x08\x04\x12\x34\x03\x02",
        b"\x06\x08\x04\x12\x34\x03\x03",
    ]
    assert {part.esm_class for part in made} == {UDHI}


def test_sar_puts_the_same_into_tlvs() -> None:
    """sar_msg_ref_num, sar_total_segments and sar_segment_seqnum; nothing in esm_class."""
    first, second = parts(plan("x" * 200, long_messages="sar"), 0x1234)
    assert first == Part(0, b"x" * 153, ((0x20C, b"\x12\x34"), (0x20E, b"\x02"), (0x20F, b"\x01")))
    assert second == Part(0, b"x" * 47, ((0x20C, b"\x12\x34"), (0x20E, b"\x02"), (0x20F, b"\x02")))


def test_message_payload_carries_a_long_text_whole() -> None:
    """A text that fits one message stays in short_message, where every SMSC takes it."""
    assert parts(plan("x" * 160, long_messages="payload"), 1) == (Part(0, b"x" * 160),)
    assert parts(plan("x" * 161, long_messages="payload"), 1) == (Part(0, b"", ((0x424, b"x" * 161),)),)


@pytest.mark.parametrize("method", METHODS)
def test_more_than_255_segments_are_refused(method: LongMessages) -> None:
    """The total is one octet on the air; segments() counts on, so that a limit can be told."""
    most = 255 * (152 if method == "udh16" else 153)
    assert len(plan("x" * most, long_messages=method).segments) == (1 if method == "payload" else 255)
    with pytest.raises(TooLongError):
        plan("x" * (most + 1), long_messages=method)
    assert segments("x" * 153 * 300) == 300


def read_parts(made: Plan, reference: int) -> list[str]:
    """Each part as a handset reads it alone, with its header checked."""
    texts: list[str] = []
    whole = parts(made, reference)
    for number, part in enumerate(whole, 1):
        # The codec takes it: at most 254 octets, one place for the text.
        sent = smpp.SubmitSm(
            1,
            esm_class=part.esm_class,
            short_message=part.short_message,
            tlvs=part.tlvs,
            data_coding=made.data_coding,
        )
        got = smpp.decode(smpp.encode(sent))
        assert isinstance(got, smpp.SubmitSm)
        if len(whole) > 1 and made.long_messages == "sar":
            assert got.tlv_int(smpp.Tag.SAR_MSG_REF_NUM) == reference & 0xFFFF
            assert got.tlv_int(smpp.Tag.SAR_TOTAL_SEGMENTS) == len(whole)
            assert got.tlv_int(smpp.Tag.SAR_SEGMENT_SEQNUM) == number
        elif len(whole) > 1:
            size = got.user_data[0]
            assert got.esm_class == UDHI
            assert got.user_data[size - 1 : size + 1] == bytes([len(whole), number])
        else:
            assert got.esm_class == 0
        data = without_udh(got.user_data, got.esm_class)
        texts.append(decode(data, got.data_coding, "latin1" if made.alphabet is Alphabet.LATIN1 else "gsm"))
    return texts


@given(ANY, st.sampled_from(METHODS), st.sampled_from(DEFAULTS), st.integers(0, 1 << 40))
@example("a" * 152 + "€" * 200, "udh", "gsm", 7)
@example("я" * 66 + "😀" * 100, "udh16", "gsm", 7)
@example("\U0010ffff" * 100, "udh16", "gsm", 7)
@example("\ufeffя", "udh", "gsm", 7)
def test_a_text_arrives_as_it_was_sent(
    text: str, method: LongMessages, default: DefaultAlphabet, reference: int
) -> None:
    """Read part by part and joined, nothing is lost, doubled or cut in two, and no part is longer than allowed."""
    made = plan(text, default_alphabet=default, long_messages=method)
    if text.startswith("\ufeff"):
        # A leading byte order mark shows nothing and tells the octets' order.
        text = text[1:]
    assert "".join(read_parts(made, reference)) == text
    if len(made.segments) > 1:
        room = EACH[made.alphabet, method]
        # A pair at the edge moves on: never more than that is left free.
        slack = 2 if made.alphabet is Alphabet.UCS2 else 1 if made.alphabet is Alphabet.GSM else 0
        assert all(room - slack <= len(segment) <= room for segment in made.segments[:-1])
        assert 0 < len(made.segments[-1]) <= room
    elif method != "payload":
        assert len(made.segments[0]) <= ALONE[made.alphabet]


@given(ANY, st.booleans())
def test_segments_counts_what_plan_makes(text: str, transliterate: bool) -> None:
    """The count at acceptance is the count on the wire."""
    assert segments(text, transliterate) == len(plan(text, transliterate=transliterate).segments)


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        ("It’s “here” – now…", 'It\'s "here" - now...'),
        ("5\u00a0€ — «deal»\u202f!", '5 € - "deal" !'),
        ("soft\u00adhyphen\u200b", "softhyphen"),
        ("e\u0301te\u0300 `x´", "étè 'x'"),
        ("• one\t½", "* one 1/2"),
        ("plain [text]", "plain [text]"),
    ],
)
def test_typography_becomes_what_the_alphabet_has(text: str, replaced: str) -> None:
    """A smart quote does not triple the price."""
    assert plain(text) == replaced
    assert plan(text, transliterate=True).alphabet is Alphabet.GSM


@pytest.mark.parametrize(
    "text", ["“Привет” – мир…", "ça c’est “bon”", "ไทย\u200bไทย", "👩\u200d🚀 “hi”", "日本\u3000語"]
)
def test_a_text_that_needs_its_letters_keeps_its_typography(text: str) -> None:
    """Where UCS-2 is needed anyway, nothing is gained and nothing changed."""
    assert plain(text) == text


def test_a_text_in_latin_1_keeps_what_latin_1_has() -> None:
    """Quotes are replaced for an SMSC of Latin-1 too, but «» and é are in it."""
    assert plain("« déjà »", "latin1") == "« déjà »"
    assert plain("ça c’est bon", "latin1") == "ça c'est bon"


def test_invisible_characters_go_where_that_saves_a_segment() -> None:
    """A soft hyphen that makes a UCS-2 text one segment longer is dropped, else it stays."""
    assert plain("я" * 70 + "\u00ad") == "я" * 70
    assert plain("я" * 60 + "\u00ad") == "я" * 60 + "\u00ad"


@given(ANY, st.sampled_from(DEFAULTS))
def test_transliteration_never_costs_and_never_touches_letters(text: str, default: DefaultAlphabet) -> None:
    """Never more segments; every letter of the text is still there."""

    def letters(of: str) -> str:
        kept = unicodedata.normalize("NFC", of)
        return "".join(char for char in kept if unicodedata.category(char) in ("Lu", "Ll", "Lo", "Mn"))

    changed = plain(text, default)
    before = plan(text, default_alphabet=default)
    after = plan(text, default_alphabet=default, transliterate=True)
    assert len(after.segments) <= len(before.segments)
    if changed != text and not any(char in text for char in "™®©№\ufb00\ufb01\ufb02\ufb03\ufb04×"):
        assert letters(changed) == letters(text)


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    """JSON can bring one; no SMSC could show it."""
    assert plan("я\ud83d").segments == ("я?".encode("utf-16-be"),)


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
    assert incoming(pdu) == text


def test_byte_order_marks_are_believed() -> None:
    """Some handsets send UCS-2 the wrong way round and say so."""
    assert decode("\ufeffSTOP".encode("utf-16-be"), 8) == "STOP"
    assert decode("\ufeffSTOP".encode("utf-16-le"), 8) == "STOP"


def test_a_header_longer_than_its_message_is_no_header() -> None:
    """Then the whole is read as text."""
    assert without_udh(b"\x09abc", UDHI) == b"\x09abc"
    assert without_udh(b"\x04abc", UDHI) == b"\x04abc"
    assert without_udh(b"\x03abc", UDHI) == b""
    assert without_udh(b"", UDHI) == b""
    assert without_udh(b"\x01abc", 0) == b"\x01abc"


@FUZZ
@given(st.binary(max_size=160), st.integers(0, 255), st.integers(0, 255), st.sampled_from(DEFAULTS))
def test_any_octets_are_read_as_some_text(
    data: bytes, data_coding: int, esm_class: int, default: DefaultAlphabet
) -> None:
    """What a handset or SMSC sends never raises."""
    pdu = smpp.DeliverSm(1, short_message=data, data_coding=data_coding, esm_class=esm_class)
    assert isinstance(incoming(pdu, default), str)


@given(ANY)
def test_nothing_prints_the_text(text: str) -> None:
    """Plans and parts show sizes."""
    made = plan(text)
    assert repr(made) == f"<Plan {made.alphabet} in {len(made.segments)}>"
    for part in parts(made, 1):
        assert repr(part) == f"<Part of {len(part.short_message)} octets>"

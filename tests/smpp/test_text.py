"""SMS text: the alphabet chosen by content, segments by the published limits, and every text there and back."""

import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.incoming import decode, without_udh
from gatewayd.smpp.text import (
    UDHI,
    Alphabet,
    DefaultAlphabet,
    Form,
    LongMessages,
    Part,
    Plan,
    TooLongError,
    parts,
    plain,
    plan,
    segments,
    sendable,
)
from smpp_texts import ANY, DEFAULTS, METHODS

_SEPTETS = (Alphabet.GSM, Alphabet.GSM_PACKED, Alphabet.ASCII)
ALONE = {Alphabet.LATIN1: 140, Alphabet.UCS2: 140} | dict.fromkeys(_SEPTETS, 160)
EACH: dict[tuple[Alphabet, str], int] = {
    (Alphabet.LATIN1, "udh"): 134,
    (Alphabet.LATIN1, "udh16"): 133,
    (Alphabet.LATIN1, "sar"): 134,
    (Alphabet.UCS2, "udh"): 134,
    (Alphabet.UCS2, "udh16"): 132,
    (Alphabet.UCS2, "sar"): 134,
} | {(alphabet, method): room for alphabet in _SEPTETS for method, room in (("udh", 153), ("udh16", 152), ("sar", 153))}


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
        ("Hello €", "gsm-packed", Alphabet.GSM_PACKED, 0),
        ("Hello [you]", "ascii", Alphabet.ASCII, 0),
        ("Hello €", "ascii", Alphabet.UCS2, 8),
        ("back`tick", "ascii", Alphabet.UCS2, 8),
    ],
)
def test_the_content_chooses_the_alphabet(
    text: str, default: DefaultAlphabet, alphabet: Alphabet, data_coding: int
) -> None:
    """data_coding 0 where the SMSC's own alphabet has every character, else UCS-2."""
    made = plan(text, Form(default))
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
        return len(plan(char * characters, Form(default, method)).segments)

    assert [count(alone), count(alone + 1)] == [1, 2]
    assert [count(2 * each), count(2 * each + 1)] == [2, 3]
    assert [count(7 * each), count(7 * each + 1)] == [7, 8]


def test_ascii_is_cut_as_the_septets_that_it_becomes() -> None:
    """A bracket is one octet in ASCII and two septets on the air."""
    made = plan("[" * 80 + "x", Form("ascii"))
    assert made.segments == (b"[" * 76, b"[" * 4 + b"x")
    assert plan("[" * 80, Form("ascii")).segments == (b"[" * 80,)


@pytest.mark.parametrize(("method", "header"), [("udh", 6), ("udh16", 7), ("sar", 0)])
@pytest.mark.parametrize("before", range(146, 154))
@pytest.mark.parametrize("escaped", ["€", "€€", "[x]", "]a€"])
def test_packed_text_is_cut_without_a_filler(before: int, escaped: str, method: LongMessages, header: int) -> None:
    """What can't be told from a septet stands at the end of the text only: else a phone shows it as a new line."""
    made = plan("a" * before + escaped + "b" * 200, Form("gsm-packed", method))
    for part, septets in zip(parts(made, 1)[:-1], made.segments, strict=False):
        assert len(septets) >= 148
        octets = part.short_message[header:]
        assert (8 * len(octets) - (-8 * header % 7)) // 7 == len(septets) <= 153
    assert b"".join(made.segments).decode("latin-1").count("\x1b") == sum(escaped.count(char) for char in "€[]")


def test_packed_segments_fill_140_octets() -> None:
    """160 septets alone, 153 behind a header of 6 octets and a bit, 152 behind one of 7."""
    for method, count, first in (("udh", 160, 140), ("udh", 161, 140), ("udh16", 161, 140), ("sar", 161, 134)):
        made = parts(plan("x" * count, Form("gsm-packed", method)), 1)
        assert len(made[0].short_message) == first
        assert len(made) == (1 if count == 160 else 2)
    (whole,) = parts(plan("x" * 200, Form("gsm-packed", "payload")), 1)
    assert len(whole.tlvs[0][1]) == 175


def test_the_operator_names_the_data_codings() -> None:
    """0x10 and 0x18 are flash messages (TS 23.038 section 4): nothing else about the text changes."""
    form = Form(default_coding=0x10, ucs2_coding=0x18)
    assert plan("Hello", form).data_coding == 0x10
    assert plan("Привет", form).data_coding == 0x18
    assert plan("Привет", form).segments == plan("Привет").segments


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Hi 🎉 you", "Hi  you"),
        ("👨\u200d👩\u200d👧 a", " a"),
        ("Ok 👍🏽", "Ok "),
        ("♥\ufe0f я", "♥\ufe0f я"),
        ("\u200bไทย\u200d", "\u200bไทย\u200d"),
        ("🎉", ""),
        ("plain", "plain"),
    ],
)
def test_what_ucs2_has_not_is_left_out_where_the_smsc_refuses_it(text: str, sent: str) -> None:
    """Emoji go with their joiners, so that the rest may fit a cheaper alphabet; all else stays."""
    assert sendable(text, Form(surrogates="strip")) == sent
    assert sendable(text) == text
    if sent.isascii():
        assert plan(text, Form(surrogates="strip")).alphabet is Alphabet.GSM


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
    made = parts(plan(text, Form(long_messages="udh16")), 0x51234)
    assert [part.short_message[:7] for part in made] == [
        b"\x06\x08\x04\x12\x34\x03\x01",
        b"\x06\x08\x04\x12\x34\x03\x02",
        b"\x06\x08\x04\x12\x34\x03\x03",
    ]
    assert {part.esm_class for part in made} == {UDHI}


def test_sar_puts_the_same_into_tlvs() -> None:
    """sar_msg_ref_num, sar_total_segments and sar_segment_seqnum; nothing in esm_class."""
    first, second = parts(plan("x" * 200, Form(long_messages="sar")), 0x1234)
    assert first == Part(0, b"x" * 153, ((0x20C, b"\x12\x34"), (0x20E, b"\x02"), (0x20F, b"\x01")))
    assert second == Part(0, b"x" * 47, ((0x20C, b"\x12\x34"), (0x20E, b"\x02"), (0x20F, b"\x02")))


def test_message_payload_carries_a_long_text_whole() -> None:
    """A text that fits one message stays in short_message, where every SMSC takes it."""
    assert parts(plan("x" * 160, Form(long_messages="payload")), 1) == (Part(0, b"x" * 160),)
    assert parts(plan("x" * 161, Form(long_messages="payload")), 1) == (Part(0, b"", ((0x424, b"x" * 161),)),)


@pytest.mark.parametrize("method", METHODS)
def test_more_than_255_segments_are_refused(method: LongMessages) -> None:
    """The total is one octet on the air; segments() counts on, so that a limit can be told."""
    most = 255 * (152 if method == "udh16" else 153)
    assert len(plan("x" * most, Form(long_messages=method)).segments) == (1 if method == "payload" else 255)
    with pytest.raises(TooLongError):
        plan("x" * (most + 1), Form(long_messages=method))
    assert segments("x" * 153 * 300) == 300


def read_parts(made: Plan, reference: int, default: DefaultAlphabet) -> list[str]:
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
        header = len(got.user_data) - len(data)
        texts.append(decode(data, got.data_coding, default, header=header))
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
    if default == "gsm-packed":
        # Nobody can tell one at the end of the last octet from what fills it.
        text = text.replace("\r", "")
    made = plan(text, Form(default, method))
    if text.startswith("\ufeff"):
        # A leading byte order mark shows nothing and tells the octets' order.
        text = text[1:]
    assert "".join(read_parts(made, reference, default)) == text
    if len(made.segments) > 1:
        room = EACH[made.alphabet, method]
        # A pair at the edge moves on: never more than that is left free, and in packed text what needs no filler then.
        slack = {Alphabet.UCS2: 2, Alphabet.LATIN1: 0, Alphabet.GSM_PACKED: 3}.get(made.alphabet, 1)
        assert all(room - slack <= len(segment) <= room for segment in made.segments[:-1])
        assert 0 < len(made.segments[-1]) <= room
    elif method != "payload":
        assert len(made.segments[0]) <= ALONE[made.alphabet]


@given(ANY, st.booleans())
def test_segments_counts_what_plan_makes(text: str, transliterate: bool) -> None:
    """The count at acceptance is the count on the wire."""
    assert segments(text, transliterate=transliterate) == len(plan(text, transliterate=transliterate).segments)


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
    assert plain("« déjà »", Form("latin1")) == "« déjà »"
    assert plain("ça c’est bon", Form("latin1")) == "ça c'est bon"


def test_invisible_characters_go_where_that_saves_a_segment() -> None:
    """A soft hyphen that makes a UCS-2 text one segment longer is dropped, else it stays."""
    assert plain("я" * 70 + "\u00ad") == "я" * 70
    assert plain("я" * 60 + "\u00ad") == "я" * 60 + "\u00ad"


@pytest.mark.parametrize("marks", ["\u0301\u0323", "\u0323\u0301", "\u0f73", "\u0344\u0316"])
def test_a_heap_of_marks_costs_no_more_than_other_texts(marks: str) -> None:
    """A letter with 40,000 of them took seconds to bring in order."""
    began = time.thread_time()
    heap = "a" + marks * 20_000
    assert plain(heap) == heap
    assert time.thread_time() - began < 0.5


@given(ANY, st.sampled_from(DEFAULTS))
def test_transliteration_never_costs_and_never_touches_letters(text: str, default: DefaultAlphabet) -> None:
    """Never more segments; every letter of the text is still there."""

    def letters(of: str) -> str:
        kept = unicodedata.normalize("NFC", of)
        return "".join(char for char in kept if unicodedata.category(char) in ("Lu", "Ll", "Lo", "Mn"))

    changed = plain(text, Form(default))
    before = plan(text, Form(default))
    after = plan(text, Form(default), transliterate=True)
    assert len(after.segments) <= len(before.segments)
    if changed != text and not any(char in text for char in "™®©№\ufb00\ufb01\ufb02\ufb03\ufb04×"):
        assert letters(changed) == letters(text)


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    """JSON can bring one; no SMSC could show it."""
    assert plan("я\ud83d").segments == ("я?".encode("utf-16-be"),)


@given(ANY)
def test_nothing_prints_the_text(text: str) -> None:
    """Plans and parts show sizes."""
    made = plan(text)
    assert repr(made) == f"<Plan {made.alphabet} in {len(made.segments)}>"
    for part in parts(made, 1):
        assert repr(part) == f"<Part of {len(part.short_message)} octets>"

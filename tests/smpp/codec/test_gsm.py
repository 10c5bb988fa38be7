"""GSM 03.38 by its published codes, unpacked and packed, and every text there and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.smpp.codec.gsm import UnencodableError, decode_gsm, encode_gsm, pack, septets, unpack
from smpp_texts import BASIC, EXTENSION, GSM


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
    ("text", "octets"),
    [
        ("hellohello", "e8329bfd4697d9ec37"),
        ("1234567", "31d98c56b3dd1a"),
        ("12345678", "31d98c56b3dd70"),
        ("€", "9b32"),
        ("", ""),
    ],
)
def test_septets_are_packed_low_bits_first(text: str, octets: str) -> None:
    """TS 23.038, 6.1.2.1; seven bits left over hold a carriage return and no at sign."""
    assert pack(encode_gsm(text)).hex() == octets
    assert decode_gsm(unpack(bytes.fromhex(octets))) == text


def test_packed_text_begins_at_a_septet_behind_its_header() -> None:
    """A header of 6 octets is followed by one bit of filling, one of 7 by none (TS 23.040, 9.2.3.24)."""
    assert pack(b"\x01", 6).hex() == "02"
    assert pack(b"\x01", 7).hex() == "01"
    assert len(pack(b"x" * 160)) == 140
    assert len(pack(b"x" * 153, 6)) == 134
    assert len(pack(b"x" * 152, 7)) == 133


@given(GSM, st.sampled_from([0, 6, 7]))
def test_packed_text_comes_back(text: str, header: int) -> None:
    """In the octets that its septets need; only a carriage return on the last octet's edge is taken for filling."""
    data = encode_gsm(text)
    octets = pack(data, header)
    fill = -8 * header % 7
    assert len(octets) == -(-(7 * len(data) + fill) // 8)
    full = data and (7 * len(data) + fill) % 8 == 0
    assert unpack(octets, header) == (data[:-1] if full and data[-1:] == b"\r" else data)


@given(st.binary(max_size=140), st.sampled_from([0, 6, 7]))
def test_any_octets_can_be_unpacked(octets: bytes, header: int) -> None:
    """What a handset sends never raises, and no septet is over 0x7F."""
    assert all(septet < 0x80 for septet in unpack(octets, header))

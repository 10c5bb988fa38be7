"""What words say once they are decoded."""

from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoded_ways import LINK, WAYS, in_base64
from gatewayd.core.addresses import addresses_in
from gatewayd.core.encoded import decodings, text_of

JANE = "jane.player@players.example"
NUMBER = "+447700900184"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("words", [JANE, NUMBER])
def test_each_way_is_undone(way: str, words: str) -> None:
    """With words before and behind it, and each character is known for where it came from."""
    written = WAYS[way](words)
    text = f"550 5.1.1 <{written}> not here"
    found = next(decoded for decoded in decodings(text) if words in decoded.text)
    at = found.text.index(words)
    start, end = found.place(at, at + len(words))
    assert text[start:end] == written.removeprefix(LINK)


def test_what_is_not_encoded_has_no_decoding() -> None:
    """Nearly all words are so, and cost no more than a look."""
    for words in ("", "250 2.0.0 Ok: queued as 4F1A2B3C4D", "550 5.1.1 no such user, 100 % sure & 1+1=2", "1\\2"):
        assert list(decodings(words)) == []


@given(st.text(max_size=200), st.lists(st.sampled_from(["=?utf-8?B?", "?=", "%40", "=3D", "\\x{", "&#64;", "+2B"])))
def test_no_words_are_too_strange(words: str, signs: list[str]) -> None:
    """Whatever they are, each character of a decoding came from somewhere in them, in their order."""
    text = words.join(signs) + escape(words)
    for decoded in decodings(text):
        assert len(decoded.text) == len(decoded.came_from)
        assert all(0 <= start < end <= len(text) for start, end in decoded.came_from)
        assert decoded.came_from == sorted(decoded.came_from)


def test_an_address_is_found_in_an_encoded_word() -> None:
    """As the header of a mail that came back names it."""
    assert addresses_in(f"rfc822;{in_base64(JANE)}") == [JANE]
    assert addresses_in(f"Jane <{JANE}>, {JANE}") == [JANE]
    assert addresses_in("nobody") == []


@pytest.mark.parametrize(
    "text",
    [
        "Die Zustellung schlug endg\xfcltig fehl",
        "hyv\xe4\xe4 p\xe4iv\xe4\xe4, y\xf6\xf6n",
        "\xe9t\xe9",
    ],
)
def test_what_names_no_charset_and_is_not_russian_stays_byte_by_byte(text: str) -> None:
    """Single letters beyond ASCII, or two."""
    assert text_of(text.encode("latin-1")) == text


@pytest.mark.parametrize("charset", ["", "utf-8", "us-ascii", "iso-8859-1", "windows-1252", "of nobody"])
def test_utf_8_that_was_cut_lacks_what_was_cut(charset: str) -> None:
    """Whatever it calls itself: what returns a mail cuts it after so many octets."""
    for whole in ("приветы", "届けられません"):
        cut = whole.encode()[:-1]
        assert text_of(cut, charset) == whole[:-1] + "\ufffd"

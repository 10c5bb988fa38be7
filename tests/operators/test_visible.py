"""Controls that others put into their texts are seen, and do nothing."""

import json

import pytest

from gatewayd.operators.visible import visible, visible_json, visible_lines

BAD = [0x00, 0x1B, 0x7F, 0x85, 0x9B, 0x61C, 0x200E, 0x200F, 0x2028, 0x202A, 0x202E, 0x2066, 0x2069]
BAD += [0xAD, 0x34F, 0x115F, 0x180E, 0x200B, 0x200C, 0x200D, 0x2060, 0x2063, 0x206A, 0x3164, 0xFE0F, 0xFEFF]
BAD += [0xFFA0, 0xFFF9, 0x1D173, 0xE0041]


@pytest.mark.parametrize("code", BAD)
def test_a_control_is_written_as_an_escape(code: int) -> None:
    """C0, DEL, C1, separators, the bidirectional controls, and what has no width, behind a letter that needs none."""
    for before in ("a", "é", ""):
        shown = visible(f"{before}{chr(code)}b")
        assert chr(code) not in shown
        assert f"{code:02x}" in shown


@pytest.mark.parametrize("text", ["ünï çødé", "שלום", "مرحبا", "👩‍👧", "日本", "می\u200cخواهم", "❤\ufe0f"])
def test_letters_of_any_language_stay(text: str) -> None:
    """Right-to-left letters and joined emoji are no controls."""
    assert visible(text) == text


def test_json_reads_back_as_it_was_and_holds_no_control() -> None:
    """The lines that JSON itself is laid out in stay."""
    value = {"id": "x" + "".join(f"{chr(code)}x" for code in BAD) + "y", "n": [1, "ok"]}
    text = visible_json(json.dumps(value, indent=2, ensure_ascii=False))
    assert json.loads(text) == value
    assert not any(chr(code) in text for code in BAD)
    assert text.count("\n") > 3


def test_lines_stay_lines() -> None:
    """Of a text that has several on purpose."""
    assert visible_lines("a\nb\x1b") == "a\nb\\x1b"

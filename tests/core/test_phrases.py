"""Phrases: each is looked for as if it were alone."""

import re

import pytest

from gatewayd.core.phrases import Phrases

PHRASES = (r"\bone|\b(?:two|three\|) words?", r"[|)]x|\(four\b", r"(?<!not )\bfive|f[^\]|]ve", "ünf", r"\bde\b")


@pytest.mark.parametrize(
    "text",
    [
        *("one", "gone", "two word", "three| words", "|x", ")x", "(four", "(fourth"),
        *("five", "not five", "f|ve", "f.ve", "Fünf", "unf", "de", "under", "nothing of it"),
    ],
)
def test_a_text_has_what_any_phrase_finds_in_it(text: str) -> None:
    """However they are put together for the search: bars in groups and sets are no ends of a phrase."""
    alone = [re.search(phrase.replace("ü", "u"), text.replace("ü", "u"), re.IGNORECASE) for phrase in PHRASES]
    together = Phrases(PHRASES).search(text.replace("ü", "u"))
    first = min((found.start() for found in alone if found), default=None)
    assert first == (None if together is None else together.start())

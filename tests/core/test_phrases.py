"""Phrases: each is looked for as if it were alone."""

import re
from types import ModuleType

import pytest

from gatewayd.bounces import again, blame, subjects, wording
from gatewayd.core import enhanced_codes
from gatewayd.core.phrases import Phrases

PHRASES = (
    *(r"\bone|\b(?:two|three\|) words?", r"[|)]x|\(four\b", r"(?<!not )\bfive|f[^\]|]ve", "ünf", r"\bde\b"),
    *(r"\bon?to\b|\bonce|o*nly", r"(?<!no )(?<!nor )\bsix|\bsı\w+ςt", r"не|нет\b|遅延|遅れ?た", r"\bкасни|\bκα"),
)


@pytest.mark.parametrize(
    "text",
    [
        *("one", "gone", "two word", "three| words", "|x", ")x", "(four", "(fourth"),
        *("five", "not five", "f|ve", "f.ve", "Fünf", "unf", "de", "under", "nothing of it"),
        *("ONE", "Into", "oto", "on to", "once", "nly", "Six", "nor six", "no six", "SISSΣT", "sıxςt", "sixſt"),
        *("НЕТ", "gar НЕ", "xне", "遅れる", "遅た", "遅延", "Касни", "xкасни", "ΚΑΛΑ", "İİ one", "ﬁ Two Words"),
    ],
)
def test_a_text_has_what_any_phrase_finds_in_it(text: str) -> None:
    """However they are put together for the search, and in capitals too; bars in groups and sets end no phrase."""
    alone = [re.search(phrase.replace("ü", "u"), text.replace("ü", "u"), re.IGNORECASE) for phrase in PHRASES]
    together = Phrases(PHRASES).search(text.replace("ü", "u"))
    first = min((found.start() for found in alone if found), default=None)
    assert first == (None if together is None else together.start())


@pytest.mark.parametrize("table", [again, blame, enhanced_codes, subjects, wording])
def test_every_phrase_is_in_small_letters(table: ModuleType) -> None:
    """A capital in a table would never be found, but for those of escapes."""
    for phrases in vars(table).values():
        if isinstance(phrases, Phrases):
            words = re.sub(r"\\.", "", phrases._pattern.pattern)
            assert words == words.lower()

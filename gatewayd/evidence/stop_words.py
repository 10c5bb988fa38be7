"""Which texts of players are stop words, as phones and people write them. Pure."""

import re
import unicodedata
from collections.abc import Iterable

EVERYWHERE = frozenset(
    {
        *("stop", "end", "cancel", "unsubscribe", "quit"),
        *("stopall", "stop all", "optout", "opt-out", "opt out", "revoke"),
    }
)
"""What every label takes for one, beside its own `stop_words`: the words of the CTIA, carriers and the FCC (47 CFR
64.1200).
"""

_LETTER = re.compile(r"\w")
# Capitals lose their accents, and many write small letters without (ΤΕΛΟΣ is τέλος, İPTAL iptal); a phone writes Greek
# capitals in GSM 03.38 as the Latin ones that look alike, of which that alphabet has no others.
_AS_TYPED = dict.fromkeys(range(0x300, 0x370)) | str.maketrans("ıαβεζηικμνορτυχ", "iabezhikmnoptyx")
_LONGEST = 500
"""Characters of a text that may be a stop word, with what is around it; Unicode's forms of longer ones take long."""


def is_stop_word(word: str, own: Iterable[str]) -> bool:
    """Whether `word`, a text as `plain` gives it, stops what a label sends whose `own` stop words these are."""
    return bool(word) and (word in EVERYWHERE or word in map(plain, own))


def plain(text: str) -> str:
    """Words as they are compared: in any letter case and Unicode form, with and without accents, whatever blanks,
    quotes and dots are around; "" for what is too long to be one.
    """
    if len(text) > _LONGEST:
        return ""
    letters = unicodedata.normalize("NFKD", text).casefold().translate(_AS_TYPED)
    word = " ".join(unicodedata.normalize("NFC", letters).split())
    first, last = _LETTER.search(word), _LETTER.search(word[::-1])
    return word[first.start() : len(word) - last.start()] if first and last else word

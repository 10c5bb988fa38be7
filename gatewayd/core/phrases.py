"""Phrases that are looked for in what mail systems write, in many languages. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property

_PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", re.DOTALL)
"""What a pattern is made of: an escaped character, a set, or any other character."""


def plain(text: str) -> str:
    """`text` as phrases expect it: white space collapsed, accents gone (many systems write without them)."""
    if text.isascii():
        return " ".join(text.split())
    words = " ".join(text.replace("’", "'").split())
    # Marks that stand alone go before, not only after: to sort a long row of them takes the square of its length.
    marked = unicodedata.normalize("NFD", "".join(char for char in words if not _is_mark(char)))
    return unicodedata.normalize("NFC", "".join(char for char in marked if not unicodedata.combining(char)))


def _is_mark(char: str) -> bool:
    return char > "\u02ff" and unicodedata.category(char) == "Mn"


def _alternatives(pattern: str) -> list[str]:
    """What stands between the bars of `pattern` that are in no group and no set."""
    pieces = _PIECE.findall(pattern)
    depth, found = 0, [""]
    for piece in pieces:
        depth += (piece == "(") - (piece == ")")
        if piece == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += piece
    return found


def _first_letter(pattern: str) -> str:
    """The letter that whatever `pattern` finds begins with; "" where that is not so simple."""
    first, after = (*_PIECE.findall(pattern), "", "")[:2]
    return first if first.isalpha() and after not in tuple("?*+{") else ""


def _by_first_letter(alternatives: Sequence[str]) -> list[str]:
    """The same in fewer: one for all that begin with the same letter."""
    together: dict[str, list[str]] = {}
    for one in alternatives:
        letter = _first_letter(one)
        together.setdefault(letter or one, []).append(one.removeprefix(letter))
    return [rests[0] if key == rests[0] else f"{key}(?:{'|'.join(rests)})" for key, rests in together.items()]


_TWINS = (("İ", "i"), ("ı", "i"), ("Σ", "σ"), ("ς", "σ"), ("ſ", "s"))
"""Letters that differ as capital and small ones do, where `lower` does not say so, or makes two letters of one."""


def _without_twins(text: str) -> str:
    for one, other in _TWINS:
        text = text.replace(one, other)
    return text


def _small(text: str) -> str:
    """`text` in small letters, as many as it has."""
    return text.lower() if text.isascii() else _without_twins(text).lower()


_AT_A_WORD = re.compile(r"((?:\(\?<![^()]*\))*)\\b")
"""Where a phrase begins with a word, but not after others."""


class Phrases:
    """Any of several phrases, in small letters, whatever the text's are.

    They are compiled when first looked for: most processes never read a bounce.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        self._phrases = phrases

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        every = [one for phrase in self._phrases for one in _alternatives(_without_twins(plain(phrase)))]
        at_a_word = [_AT_A_WORD.sub(r"\1", one, count=1) for one in every if _AT_A_WORD.match(one)]
        others = [one for one in every if not _AT_A_WORD.match(one)]
        foreign = [one for one in others if not _first_letter(one).isascii()]
        others = [one for one in others if _first_letter(one).isascii()]
        # Asked once for all of them: whether a word begins or ends, then its first letter, which tells most apart.
        # And without IGNORECASE a search is twice as quick.
        together = [
            f"{before}(?:{'|'.join(_by_first_letter(some))})"
            for before, some in ((r"\b", at_a_word), (r"(?=[^\x00-\x7f])", foreign))
            if some
        ]
        return re.compile("|".join(together + _by_first_letter(others)))

    def search(self, text: str) -> re.Match[str] | None:
        """Where one of them stands in `text`."""
        return self._pattern.search(_small(text))

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Whether `text` goes on with one of them at `start`."""
        return self._pattern.match(_small(text), start)

    def without(self, text: str) -> str:
        """`text`, in small letters, with a space in place of each."""
        return self._pattern.sub(" ", _small(text))

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


class Phrases:
    """Any of several phrases. They are compiled when first looked for: most processes never read a bounce."""

    def __init__(self, phrases: Sequence[str]) -> None:
        self._phrases = phrases

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        every = [one for phrase in self._phrases for one in _alternatives(plain(phrase))]
        at_a_word = [one.removeprefix(r"\b") for one in every if one.startswith(r"\b")]
        others = [one for one in every if not one.startswith(r"\b")]
        # Whether a word begins or ends is asked once for all of them, and then their first letters tell most apart:
        # a search takes half as long.
        together = [rf"\b(?:{'|'.join(at_a_word)})"] if at_a_word else []
        return re.compile("|".join(together + others), re.IGNORECASE)

    def search(self, text: str) -> re.Match[str] | None:
        """Where one of them stands in `text`."""
        return self._pattern.search(text)

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Whether `text` goes on with one of them at `start`."""
        return self._pattern.match(text, start)

    def without(self, text: str) -> str:
        """`text` with a space in place of each."""
        return self._pattern.sub(" ", text)

"""What a vendor's answer means, by the table of its configuration. Pure: status and body in, a reading out.

Nothing here raises, whatever came; no word of the body gets out but the vendor's ids, what the table itself names, and
a code where the table looks for one.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from gatewayd.config.providers import ProviderAnswer, ProviderMatch
from gatewayd.core import half_pairs, paths

MOST_IDS = 255
"""As many as an SMS has segments; `LONGEST_ID` is in characters."""

LONGEST_ID = 200

_CODE = re.compile(r"[0-9]{1,6}|(?!.*[0-9]{7})[A-Z][A-Z0-9_]{1,47}", re.ASCII)
"""What a vendor calls a reason: no number of a person, and no word that one would write."""

_CODE_IN_FRONT = re.compile(r"(?:[A-Z]{1,10}[ :=|_-]{0,3})?[0-9]{1,6}(?![0-9])", re.ASCII)
"""With what an answer in words begins: 1025, ERR: 301."""

_UNREADABLE = object()
"""Stands for an answer that is no JSON: no path leads anywhere in it."""


class Verdict(StrEnum):
    """What becomes of the message."""

    TAKEN = "taken"
    REJECTED = "rejected"
    THROTTLED = "throttled"
    TEMPORARY = "temporary"
    UNREADABLE = "unreadable"
    """It may have been taken: a success whose text can't be read, though the table needs to look into it."""


class Reading(Struct, frozen=True):
    """`ids` are the vendor's, in its order, each once.

    `why` is the value of the table that fitted, if it has any; of what fits none, the code that stands there instead.
    """

    verdict: Verdict
    ids: tuple[str, ...] = ()
    why: str = ""


def read(table: ProviderAnswer, status: int, body: bytes | None) -> Reading:
    """The first of taken, rejected, throttled that has a match which fits; what is read and fits none is temporary.

    `body` is None where a success came whose text is not known: only its status counts.
    """
    if body is None:
        is_taken = any(match.has_status(str(status)) and not match.path and not match.values for match in table.taken)
        return Reading(Verdict.TAKEN if is_taken else Verdict.UNREADABLE)
    data = _decoded(body, half_pairs.decoded)
    is_clear = data is not _UNREADABLE
    if not is_clear:
        # A sentence of the vendor's in Latin-1, or the SMS with its line breaks, beside plain words and ids: what those
        # say counts, what they don't say does not.
        data = _decoded(body, half_pairs.decoded_anyway)
    for verdict, matches in (
        (Verdict.TAKEN, table.taken),
        (Verdict.REJECTED, table.rejected),
        (Verdict.THROTTLED, table.throttled),
    ):
        for match in matches:
            fit = _fits(match, status, data, body)
            if fit is not None:
                return Reading(verdict, _ids(table.ids, data) if verdict is Verdict.TAKEN else (), fit)
    if not is_clear and 200 <= status < 300 and any(match.path for match in table.taken):
        # A copy of what was taken must not leave, and this says neither that it was nor that it was not: whatever
        # success the table expected, a 204 may be this vendor's.
        return Reading(Verdict.UNREADABLE)
    return Reading(Verdict.TEMPORARY, why=next(_codes(table, data, body), ""))


def _codes(table: ProviderAnswer, data: Any, body: bytes) -> Iterator[str]:
    """What stands where the table looks for a reason, first for a refusal: it may be that the money ran out."""
    for match in (*table.rejected, *table.throttled, *table.taken):
        if match.path and match.values:
            yield from filter(_CODE.fullmatch, paths.texts(data, match.path).values())
        elif match.values and (found := _CODE_IN_FRONT.match(_text(body))):
            yield found[0]


def _fits(match: ProviderMatch, status: int, data: Any, body: bytes) -> str | None:
    """None where it does not; else the value that did, or "" where no value was asked for."""
    if not match.has_status(str(status)):
        return None
    if not match.path:
        return _among([_text(body)], match.values) if match.values else ""
    if not match.values:
        return "" if any(True for _ in paths.nodes(data, match.path)) else None
    return _among(paths.texts(data, match.path).values(), match.values)


def _text(body: bytes) -> str:
    return body.decode("utf-8-sig", "replace").strip()


def _among(texts: Iterable[str], values: tuple[str, ...]) -> str | None:
    """The first of `values` that fits a text; a * at its end, or its beginning, stands for whatever follows there."""
    return next((value for text in texts for value in values if _is(text, value)), None)


def _is(text: str, value: str) -> bool:
    before, after = value.startswith("*"), value.endswith("*")
    said = value.removeprefix("*").removesuffix("*")
    if before and after:
        return said in text
    return text.endswith(said) if before else text.startswith(said) if after else text == value


def _ids(path: str, data: Any) -> tuple[str, ...]:
    if not path:
        return ()
    found = dict.fromkeys(text.strip() for text in paths.texts(data, path).values())
    return tuple(text for text in found if text and len(text) <= LONGEST_ID)[:MOST_IDS]


def _decoded(body: bytes, how: Callable[[bytes], Any]) -> Any:
    try:
        return how(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _UNREADABLE

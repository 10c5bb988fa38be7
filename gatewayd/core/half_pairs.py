r"""JSON with half a surrogate pair in it, as "\ud83d" of a cut emoji: its grammar allows what no encoding has.

Owns how it is found and what stands for it. RFC 8259 8.2 leaves open what a reader makes of it; ours refuses the whole.
A byte order mark before the JSON, as programs in PHP or on Windows write it, 8.1 lets a reader leave out.

Owns as well how far one goes to meet those who write what is nearly JSON.
"""

import codecs
import json as loose
import re
from math import isfinite
from typing import Any

import msgspec

SIGN = "\ufffd".encode()
"""What stands for a half in a text from `marked`, and for nothing else: one that was there is written as an escape."""

MOST_LOOSE = 65_536
"""Octets of what is read by the slower way: a stranger's megabyte of brackets would take it half a second."""

_HALF = rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_PAIR = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# Many escapes are one match: a call for each of a million took too long. Nothing follows, so that none is tried twice.
_PIECE = re.compile(
    rb"(?:[^\\\xef]+|%b|\\(?!%b).|\xef(?!\xbf\xbd)){1,500}|(%b)|\xef\xbf\xbd" % (_PAIR, _HALF[2:], _HALF), re.DOTALL
)
_ANY = re.compile(_HALF)


def is_utf_8(json: bytes) -> bool:
    """Whether its octets are characters. By which error msgspec says that they are not differs by its version."""
    try:
        json.decode()
    except UnicodeDecodeError:
        return False
    return True


def marked(json: bytes) -> bytes | None:
    """The same JSON with `SIGN` for each half; None where there is none, as far as a look can tell."""
    return _PIECE.sub(_piece, json) if _ANY.search(json) else None


def decoded(json: bytes) -> Any:
    """What it says, with U+FFFD for each half, and without the byte order mark that it may begin with.

    Raises msgspec.DecodeError, UnicodeDecodeError, RecursionError.
    """
    try:
        return msgspec.json.decode(json)
    except msgspec.DecodeError:
        bare = json.removeprefix(codecs.BOM_UTF8)
        other = marked(bare) or (bare if bare is not json else None)
        if other is None:
            raise
    return msgspec.json.decode(other)


def decoded_anyway(json: bytes) -> Any:
    """The same of what is JSON but for how it is written: what is not to be read of it hides nothing beside it.

    In Latin-1 or UTF-16; with line breaks and other control characters in its texts, as who pastes an SMS into his
    answer has them; with NaN or another number that JSON has not, for which None stands. Octets that are no character
    are U+FFFD.

    Raises what `decoded` does.
    """
    try:
        return decoded(json)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = json.decode(loose.detect_encoding(json), "replace").encode()
    if len(text) > MOST_LOOSE:
        return decoded(text)
    try:
        return loose.loads(marked(text) or text, strict=False, parse_float=_finite, parse_constant=_finite)
    except ValueError:
        raise msgspec.DecodeError("no JSON, however it is read") from None


def _finite(number: str) -> float | None:
    found = float(number)
    return found if isfinite(found) else None


def _piece(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return SIGN
    return rb"\ufffd" if match[0] == SIGN else match[0]

r"""JSON with half a surrogate pair in it, as "\ud83d" of a cut emoji: its grammar allows what no encoding has.

Owns how it is found and what stands for it. RFC 8259 8.2 leaves open what a reader makes of it; ours refuses the whole.
A byte order mark before the JSON, as programs in PHP or on Windows write it, 8.1 lets a reader leave out.
"""

import codecs
import re
from typing import Any

import msgspec

SIGN = "\ufffd".encode()
"""What stands for a half in a text from `marked`, and for nothing else: one that was there is written as an escape."""

_HALF = rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
_PAIR = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# Many escapes are one match: a call for each of a million took too long. Nothing follows, so that none is tried twice.
_PIECE = re.compile(
    rb"(?:[^\\\xef]+|%b|\\(?!%b).|\xef(?!\xbf\xbd)){1,500}|(%b)|\xef\xbf\xbd" % (_PAIR, _HALF[2:], _HALF), re.DOTALL
)
_ANY = re.compile(_HALF)


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
    """The same, with U+FFFD for octets that are not UTF-8 as well: somebody's sentence in Latin-1 beside plain words.

    Raises what `decoded` does.
    """
    try:
        return decoded(json)
    except (msgspec.DecodeError, UnicodeDecodeError):
        other = json.decode("utf-8", "replace").encode()
        if other == json:
            raise
    return decoded(other)


def _piece(match: re.Match[bytes]) -> bytes:
    if match[1]:
        return SIGN
    return rb"\ufffd" if match[0] == SIGN else match[0]

"""What a reader of a log, a page or a terminal must see of text that others wrote. Pure.

Controls move a cursor, start a line, or turn the reading order round, and what has no width is not seen, so that one id
looks like another: they are written as escapes.
"""

import json
import re

_CONTROLS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""C0, DEL, C1, line and paragraph separators, and the bidirectional controls (UAX 9), as the inside of a class."""

_UNSEEN = "\xad\u034f\u115f-\u1160\u17b4\u17b5\u180e\u200b\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
"""What takes no room, or looks like a blank: soft hyphens, spaces of no width, fillers, byte order marks."""

_JOINED = "\u180b-\u180d\u200c\u200d\ufe00-\ufe0f\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
"""Joiners, selectors and tags belong to the letters of some scripts and to emoji. Behind others they are not seen."""

_INVISIBLE = f"[{_CONTROLS}{_UNSEEN}]|(?<![\u0600-\U0010ffff])[{_JOINED}]"
_ANY = re.compile(_INVISIBLE)
_ANY_IN_JSON = re.compile(f"(?!\n)(?:{_INVISIBLE})")


def visible(text: str) -> str:
    r"""`text` with each of them as \xNN, \uNNNN or \UNNNNNNNN."""
    return _ANY.sub(lambda match: _escape(match[0]), text)


def visible_lines(text: str) -> str:
    """As `visible`, of a text of several lines."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(text: str) -> str:
    r"""JSON as it is, but with those of them that stand in its strings as \uNNNN; line ends between them stay."""
    return _ANY_IN_JSON.sub(lambda match: _in_json(match[0]), text)


def _in_json(char: str) -> str:
    return json.dumps(char)[1:-1] if char > "\xff" else f"\\u{ord(char):04x}"


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

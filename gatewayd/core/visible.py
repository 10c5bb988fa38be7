"""What a reader of a log, a page or a terminal must see of text that others wrote. Pure.

Controls move a cursor, start a line, or turn the reading order round, so that one id looks like another: they are
written as escapes.
"""

import re

_INVISIBLE = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""C0, DEL, C1, line and paragraph separators, and the bidirectional controls (UAX 9), as the inside of a class."""

_ANY = re.compile(f"[{_INVISIBLE}]")
_ANY_IN_JSON = re.compile(f"(?!\n)[{_INVISIBLE}]")


def visible(text: str) -> str:
    r"""`text` with each of them as \xNN or \uNNNN."""
    return _ANY.sub(lambda match: _escape(match[0]), text)


def visible_lines(text: str) -> str:
    """As `visible`, of a text of several lines."""
    return "\n".join(map(visible, text.split("\n")))


def visible_json(text: str) -> str:
    r"""JSON as it is, but with those of them that stand in its strings as \uNNNN; line ends between them stay."""
    return _ANY_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"

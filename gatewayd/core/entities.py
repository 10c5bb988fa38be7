"""HTML's character references as the characters that they stand for. Pure.

html.unescape raises ValueError for a number of more digits than Python reads, and whoever writes to us may send one.
"""

import re
from html import unescape as _unescape

# No character's number has more digits; with more zeros in front than this, nobody meant one.
_ENDLESS = re.compile(r"&#(?:[0-9]{64,}|[xX][0-9a-fA-F]{64,});?")


def unescape(text: str) -> str:
    """`text` with its references replaced; a number beyond all characters becomes U+FFFD, as browsers do it."""
    return _unescape(_ENDLESS.sub("\ufffd", text)) if "&" in text else text

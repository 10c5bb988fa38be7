"""What an id of a caller's may be: a player's, a message's. Pure."""

import re

LONGEST = 998
"""Characters of an id, a sender or a subject; a line of a mail must not be longer (RFC 5322 2.1.1)."""

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What could be read as the end of a line or field."""


def why_no_id(text: str) -> str:
    """What is wrong with an id, as the end of a sentence about its field; "" for nothing."""
    if not text or text.isspace():
        return "is missing"
    if CONTROL.search(text):
        return "has control characters"
    return "is too long" if len(text) > LONGEST else ""

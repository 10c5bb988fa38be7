"""Whose addresses a returned mail names: its words are kept without them, however they are written there. Pure.

More than the one address that a verdict is about: that of before a forwarding, and all that the original went to.
"""

import re

from gatewayd.bounces import wording
from gatewayd.bounces.parts import Mail
from gatewayd.bounces.reading import ADDRESS, BounceReading

_MOST = 20
_LONGEST_VALUE = 1000  # characters
_FIELDS = re.compile(
    r"^[ \t>]{0,8}(?:final-recipient|original-recipient|x-failed-recipients|x-actual-recipient|original-rcpt-to|"
    r"removal-recipient|x-original-rcpt-to|x-hmxmroriginalrecipient)[ \t]*:(.*(?:\n[ \t].*)?)",
    re.IGNORECASE | re.MULTILINE,
)
_OF_THE_ORIGINAL = re.compile(
    r"^[ \t>]{0,8}(?:to|cc|delivered-to|x-original-to|envelope-to|x-failed-recipients|final-recipient|"
    r"original-recipient|x-hmxmroriginalrecipient)[ \t]*:(.*(?:\n[ \t].*)?)",
    re.IGNORECASE | re.MULTILINE,
)
_HEADERS = ("x-failed-recipients", "x-hmxmroriginalrecipient", "x-actual-recipient")


def recipients_named(mail: Mail, verdict: BounceReading) -> tuple[str, ...]:
    """The addresses of players that `mail` names, each once; `verdict` is how it was read.

    Where one is beyond ASCII, as the words are compared (see wording.plain), too.
    """
    values = [value for name in _HEADERS for value in mail.values(name)]
    for part in mail.parts:
        values += _FIELDS.findall(part.text)[:_MOST]
    values += _OF_THE_ORIGINAL.findall(mail.returned)[:_MOST]
    found = {one.recipient: None for one in (verdict, *verdict.others)}
    for value in values[: 2 * _MOST]:
        found |= dict.fromkeys(ADDRESS.findall(value[:_LONGEST_VALUE]))
    found.pop("", None)
    names = tuple(found)[:_MOST]
    return (*names, *(wording.plain(name) for name in names if not name.isascii()))

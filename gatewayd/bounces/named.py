"""Whose addresses a returned mail names: its words are kept without them, however they are written there. Pure.

More than the one address that a verdict is about: that of before a forwarding, and all that the original went to.
"""

import re

from gatewayd.bounces.parts import Mail
from gatewayd.bounces.reading import BounceReading
from gatewayd.core.addresses import addresses_in
from gatewayd.core.phrases import plain

_MOST = 20
_LONGEST_VALUE = 1000  # characters
_OF_FAILED_ONES = ("x-failed-recipients", "x-actual-recipient", "x-hmxmroriginalrecipient")
"""These are fields of a mail's header, too."""
_OF_REPORTS = (
    *("final-recipient", "original-recipient", "original-rcpt-to", "removal-recipient", "x-original-rcpt-to"),
    *_OF_FAILED_ONES,
)
_OF_THE_ORIGINAL = ("to", "cc", "delivered-to", "x-original-to", "envelope-to")
_FIELDS = re.compile(
    rf"^[ \t>]{{0,8}}(?:{'|'.join((*_OF_REPORTS, *_OF_THE_ORIGINAL))})[ \t]*:(.*(?:\n[ \t].*)?)",
    re.IGNORECASE | re.MULTILINE,
)


def recipients_named(mail: Mail, verdict: BounceReading) -> tuple[str, ...]:
    """The addresses of players that `mail` names, each once; `verdict` is how it was read.

    Where one is beyond ASCII, as the words are compared (see core.phrases), too.
    """
    values = [value for name in _OF_FAILED_ONES for value in mail.values(name)]
    for text in (*(part.text for part in mail.parts), mail.returned):
        values += _FIELDS.findall(text)[:_MOST]
    found = {one.recipient: None for one in (verdict, *verdict.others)}
    for value in values[: 2 * _MOST]:
        found |= dict.fromkeys(addresses_in(value[:_LONGEST_VALUE]))
    found.pop("", None)
    names = tuple(found)[:_MOST]
    return (*names, *(plain(name) for name in names if not name.isascii()))

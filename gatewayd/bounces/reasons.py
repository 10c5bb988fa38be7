"""Enhanced status codes (RFC 3463): finding them in free text, and which of them blame the address. Pure."""

import re

from gatewayd.bounces import blame
from gatewayd.core.enhanced_codes import HARD, spares_the_address

UNSPECIFIC = re.compile(r"|5\.[015]\.0")
"""Codes that give no reason: the words have to."""

_BY_WORDS = {
    "5.4.4": blame.NO_DOMAIN,
    "5.4.1": blame.NOBODY_BEHIND,
    "5.1.351": blame.UNKNOWN_USER,
}
"""Codes that blame the address where the words do."""

_REPLY_CODE = re.compile(r"(?<!\d)[45]\d\d[ -]['\"#(]{0,2}([45])\.([0-7])\.(\d{1,3})(?![\d@-]|\.\d)")
_CODE = re.compile(r"(?<![\w.,/@-])(?:[245]\d\d-)?#?([245])\.([0-7])\.(\d{1,3})(?![\d@-]|\.\d)")


def code_in(text: str) -> str:
    """The first enhanced code in free text of those that say most."""
    after_reply = [match.groups() for match in _REPLY_CODE.finditer(text)]
    anywhere = [match.groups() for match in _CODE.finditer(text)]
    codes = [".".join(str(int(number)) for number in groups) for groups in after_reply + anywhere]
    codes = [code for code in codes if not code.startswith("2.")]
    return max(codes, key=precision, default="")


def precision(code: str) -> int:
    """How much an enhanced code says: 0 for none, 1 for x.0.0, 2 for "other" of its kind (x.y.0), 3 for a reason."""
    if not code:
        return 0
    return 1 if code.endswith(".0.0") else 2 if code.endswith(".0") else 3


def is_hard(status: str, words: str) -> bool:
    """Whether the address is at fault: by the code, and by the words only where the code says nothing in particular.

    Where the far end's own words name another reason (a full box, policy), the address is not blamed.
    """
    own = code_in(words)
    if own and own not in HARD and not UNSPECIFIC.fullmatch(own) and own != status:
        return False
    if spares_the_address(words):
        return False
    if status in _BY_WORDS:
        return _BY_WORDS[status].search(words) is not None
    if status in HARD:
        return True
    vague = bool(UNSPECIFIC.fullmatch(status))
    return vague and bool(blame.UNKNOWN_USER.search(words) or blame.NO_DOMAIN.search(words))

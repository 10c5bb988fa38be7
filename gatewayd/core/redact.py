"""Taking addresses out of other people's words. Pure.

A last line of defence: what we write ourselves names ids only. Remote answers and exception texts may quote the
address back to us, and go into timelines, dead letters and logs.
"""

import re
from collections.abc import Iterable

_SHOWN = "[redacted]"
_SHORT = 2  # characters of a local part that is found in many words

_AT = r"(?: @ | %40 | =40 | \uff20 | &\#0{0,3}64; | &\#x0{0,3}40; | &commat; )"  # as mail, links and pages write it
_ADDRESS = r"""
        "(?: [^"\\\r\n] | \\. ){1,128}" @ (?: \[[^\]\s]{1,64}\]? | [^\s<>"'(),;=\[\]{}|]{1,320} )     # "a b"@c
      | [^\s<>"(),:;\[\]{}|\uff1c]{1,320} AT (?: \[[^\]\s]{1,64}\]? | [^\s<>"'(),;=\[\]{}|\uff1e]{1,320} )  # a@b, a@[c]
""".replace("AT", _AT)
_ADDRESSES = re.compile(_ADDRESS, re.VERBOSE | re.IGNORECASE)
_ID = r"""
      (?P<keep> (?: \b (?:[0-9a-f]{16}-)? [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} (?:-\d{6})? \b  # UUIDs
                   | \b (?=\d*[a-f]) [0-9a-f]{20,64} \b               # digests and queue ids: no number has letters
                   | \b queued [ ] as [ ] (?=\d*[a-z]) [0-9a-z]{6,20} \b  # short queue ids, to be found in logs
                   | \b id= [0-9a-z]{6} - [0-9a-z]{6,11} - [0-9a-z]{2,4} \b  # Exim's
                   | \b0x[0-9a-f]{1,32}\b )
          (?! [^\s<>"(),:;]{0,320} AT )                               # unless it is somebody's local part
      )
""".replace("AT", _AT)
_NUMBER = r"""
        \+ \d (?: [ ()./-]{0,3} \d ){6,}                             # +44 (7700) 900-123
      | (?<!\w) (?<!\d[.-]) (?:
            0\d{2,5} (?: [ ./-] \d{3,4} ){2}                         # 07700 900 123
          | 0[1-9]\d{1,4} (?: \)[ ]? | [ ./-] ) \d{6,8}              # 07700-900184, (0161) 4960000
          | 0[1-9] (?: [ .-] \d\d ){4}                               # 06 12 34 56 78
          | 00 [ -]? [1-9]\d{0,2} (?: [ -] \d{2,7} ){2,4}            # 0044 7700 900184
          | [1-9]\d{0,2} (?: [ -] \d{3,4} ){3}                       # 1-415-555-2671
          | [1-9]\d{0,2} [ -] \d{3,5} [ -] \d{5,8}                   # 44 7700 900184
          | [2-9]\d\d (?: \)[ ]? | [ .-] ) \d{3} - \d{4}             # (415) 555-2671
        ) (?!\w)
      | \d{7,}
"""
_WITH_ADDRESSES = re.compile(f"{_ID} | {_ADDRESS} | {_NUMBER}", re.VERBOSE | re.IGNORECASE)
# What any of them begins with is looked for first: most letters of a text are none of these.
_WITHOUT_ADDRESSES = re.compile(rf"(?=[\da-fqi+]) (?: {_ID} | {_NUMBER} )", re.VERBOSE | re.IGNORECASE)
_LIKE_A_NUMBER = re.compile(r"\+\d|0\d\d|\d{7}|0\d[ .-]\d\d[ .-]|00[ -]\d|\d[) .-]{1,2}\d{3,5}[ -]\d{3}")


def _may_hold_address(text: str) -> bool:
    """To look for an address itself takes the longer the more words there are: most that next hops say have none."""
    return "@" in text or "%40" in text or "=40" in text or "&" in text or "\uff20" in text


def redact(text: str, limit: int = 0, about: Iterable[str] = ()) -> str:
    """`text` without whatever looks like an email address or a phone number; ids of many hexadecimal digits stay.

    With `limit`, control characters become spaces and no more than so many characters are kept. `about` are the
    addresses that the words are known to be about: nothing of their local parts stays, however it is written.
    """
    clean = text
    if _may_hold_address(text):
        clean = _WITH_ADDRESSES.sub(_kept_or_blotted, text)
    elif _LIKE_A_NUMBER.search(text):
        clean = _WITHOUT_ADDRESSES.sub(_kept_or_blotted, text)
    for address in about:
        clean = without_local_part(clean, address)
    if not limit:
        return clean
    if not clean.isprintable():
        clean = "".join(char if char.isprintable() else " " for char in clean)
    return clean[:limit].strip()


def without_local_part(text: str, address: str) -> str:
    """`text` without the local part of `address`, which may stand alone or have other signs before its domain.

    So with what stands before its plus. One of two letters goes only where the domain follows.
    """
    local, _, domain = address.rpartition("@")
    stem = local.partition("+")[0] or local
    # Looked for first: a pattern of its own for every message would cost more than the rest of it.
    if stem.strip('"').lower() not in text.lower():
        return text
    for name in dict.fromkeys((local.strip('"'), stem.strip('"'))):
        if name:
            where = "" if len(name) > _SHORT else rf"(?=\W{{1,8}}(?:at\W{{1,3}})?{re.escape(domain)})"
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w){where}", _SHOWN, text, flags=re.IGNORECASE)
    return text


def without_addresses(text: str) -> str:
    """`text` without email addresses, and with all numbers: for words that are about nobody, such as a relay's id."""
    return _ADDRESSES.sub(_SHOWN, text) if _may_hold_address(text) else text


def _kept_or_blotted(match: re.Match[str]) -> str:
    return match[0] if match["keep"] else _SHOWN

"""Taking addresses out of other people's words. Pure.

A last line of defence: what we write ourselves names ids only. Remote answers and exception texts may quote the
address back to us, and go into timelines, dead letters and logs.
"""

import re

_SHOWN = "[redacted]"

_ADDRESS = r"""
        "(?: [^"\\\r\n] | \\. ){1,128}" @ (?: \[[^\]\s]{1,64}\]? | [^\s<>"'(),;=\[\]{}|]{1,320} )     # "a b"@c
      | [^\s<>"(),:;\[\]{}|]{1,320} (?:@|%40|=40) (?: \[[^\]\s]{1,64}\]? | [^\s<>"'(),;=\[\]{}|]{1,320} )  # a@b, a@[c]
"""
_ADDRESSES = re.compile(_ADDRESS, re.VERBOSE | re.IGNORECASE)
_ID = r"""
      (?P<keep> (?: \b (?:[0-9a-f]{16}-)? [0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12} (?:-\d{6})? \b  # UUIDs
                   | \b (?=\d*[a-f]) [0-9a-f]{20,64} \b               # digests and queue ids: no number has letters
                   | \b queued [ ] as [ ] (?=\d*[a-z]) [0-9a-z]{6,20} \b  # short queue ids, to be found in logs
                   | \b id= [0-9a-z]{6} - [0-9a-z]{6,11} - [0-9a-z]{2,4} \b  # Exim's
                   | \b0x[0-9a-f]{1,32}\b )
          (?! [^\s<>"(),:;]{0,320} (?:@|%40|=40) )                     # unless it is somebody's local part
      )
"""
_NUMBER = r"""
        \+ \d (?: [ ().-]{0,2} \d ){6,}                              # +44 (7700) 900-123
      | \b 0\d{2,5} (?: [ -] \d{3,4} ){2} \b                         # 07700 900 123
      | \d{7,}
"""
_WITH_ADDRESSES = re.compile(f"{_ID} | {_ADDRESS} | {_NUMBER}", re.VERBOSE | re.IGNORECASE)
# What any of them begins with is looked for first: most letters of a text are none of these.
_WITHOUT_ADDRESSES = re.compile(rf"(?=[\da-fqi+]) (?: {_ID} | {_NUMBER} )", re.VERBOSE | re.IGNORECASE)
_LIKE_A_NUMBER = re.compile(r"\+\d|0\d\d|\d{7}")


def _may_hold_address(text: str) -> bool:
    """To look for an address itself takes the longer the more words there are: most that next hops say have none."""
    return "@" in text or "%40" in text or "=40" in text


def redact(text: str, limit: int = 0) -> str:
    """`text` without whatever looks like an email address or a phone number; ids of many hexadecimal digits stay.

    With `limit`, control characters become spaces and no more than so many characters are kept.
    """
    clean = text
    if _may_hold_address(text):
        clean = _WITH_ADDRESSES.sub(_kept_or_blotted, text)
    elif _LIKE_A_NUMBER.search(text):
        clean = _WITHOUT_ADDRESSES.sub(_kept_or_blotted, text)
    if not limit:
        return clean
    if not clean.isprintable():
        clean = "".join(char if char.isprintable() else " " for char in clean)
    return clean[:limit].strip()


def without_addresses(text: str) -> str:
    """`text` without email addresses, and with all numbers: for words that are about nobody, such as a relay's id."""
    return _ADDRESSES.sub(_SHOWN, text) if _may_hold_address(text) else text


def _kept_or_blotted(match: re.Match[str]) -> str:
    return match[0] if match["keep"] else _SHOWN

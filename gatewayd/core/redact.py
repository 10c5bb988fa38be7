"""Taking addresses out of other people's words. Pure.

A last line of defence: what we write ourselves names ids only. Remote answers and exception texts may quote the
address back to us, and go into timelines, dead letters and logs.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from gatewayd.core.encoded import DecodedWords, decodings

_SHOWN = "[redacted]"
_SHORT = 2  # characters of a local part that is found in many words
_LONG_WORD = 8  # characters
_LEAST_DIGITS = 7  # of a number that is known by its end
_NO_DIGITS = re.compile("[^0-9]+")

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
        \+ \s{0,2} \d (?: [\s()./_'-]{0,3} \d ){6,}                  # +44 (7700) 900-123
      | (?<![^\W_]) (?<!\d[.-]) (?:
            0\d{2,5} (?: [ ./-] \d{3,4} ){2}                         # 07700 900 123
          | 0[1-9]\d{1,4} (?: \)[ ]? | [ ./-] ) \d{6,8}              # 07700-900184, (0161) 4960000
          | 0[1-9] (?: [ .-] \d\d ){4}                               # 06 12 34 56 78
          | 00 [ -]? [1-9]\d{0,2} (?: [ -] \d{2,7} ){2,4}            # 0044 7700 900184
          | 00 [1-9]\d{0,2} \( \d{2,5} \) \d{5,7}                    # 0044(7700)900184
          | [1-9]\d{0,2} (?: [ -] \d{3,4} ){3}                       # 1-415-555-2671
          | [1-9]\d{0,2} [ -] \d{3,5} [ -] \d{5,8}                   # 44 7700 900184
          | [2-9]\d\d (?: \)[ ]? | [ .-] ) \d{3} - \d{4}             # (415) 555-2671
          | (?: \d\d )? \d{4} [\s_-] \d{6}                           # 447700 900184
          # Ten digits and more that are grouped by one sign, but no date, host or code.
          | (?<! \d[:/,] )
            (?! (?:19|20)\d\d (?P<dash>[\s./-]{1,2}) [01]?\d (?P=dash) [0-3]?\d (?!\d)
                | [0-3]?\d (?P<dot>[./-]) [0-3]?\d (?P=dot) (?:19|20)\d\d (?!\d)
                | OCTET (?: \. OCTET ){3} (?![\d.]) )
            (?= \d{1,6} (?P<same> [\s().,/_'*-]{1,3} ) \d ) (?= \d (?: (?P=same)? \d ){9,14} (?!\d) )
            \d{1,6} (?: (?P=same) (?: \d{2,7} ) ){2,5}               # 4477 0090 0184, 447,700,900,184
          | \d (?P<between> [\s.,_-]{1,2} ) \d (?: (?P=between) \d ){8,13}                  # 4 4 7 7 0 0 9 0 0 1 8 4
        ) (?![^\W_])
      | \d{7,}
""".replace("OCTET", r"(?: 25[0-5] | 2[0-4]\d | 1?\d?\d )")
_WITH_ADDRESSES = re.compile(f"{_ID} | {_ADDRESS} | {_NUMBER}", re.VERBOSE | re.IGNORECASE)
# What any of them begins with is looked for first: most letters of a text are none of these.
_WITHOUT_ADDRESSES = re.compile(rf"(?=[\da-fqi+]) (?: {_ID} | {_NUMBER} )", re.VERBOSE | re.IGNORECASE)
_GAPS = (
    dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " ")
    | dict.fromkeys((*range(0x2010, 0x2016), 0x2212), "-")
    | {0xB7: "."}
)
"""Blanks and dashes of typeset pages: so numbers are copied into a player's row, which a driver quotes."""
_LIKE_A_NUMBER = re.compile(r"\+\s{0,2}\d|0\d\d|\d{7}|00[ -]\d|\d[\s().,/_'*-]{1,3}\d")


def _may_hold_address(text: str) -> bool:
    """To look for an address itself takes the longer the more words there are: most that next hops say have none."""
    return "@" in text or "%40" in text or "=40" in text or "&" in text or "\uff20" in text


def redact(text: str, limit: int = 0, about: Iterable[str] = ()) -> str:
    """`text` without whatever looks like an email address or a phone number; ids of many hexadecimal digits stay.

    So with what looks like one once it is decoded (see encoded.py). With `limit`, control characters become spaces and
    no more than so many characters are kept; what is far beyond them is not looked at. `about` are the addresses that
    the words are known to be about: nothing of their local parts stays, however it is written. So with numbers, and
    with whatever else is named there, such as a secret.
    """
    if limit:
        # Who says 60 kB of what may be encoded would keep us busy for a second.
        text = whole_words(text, 8 * limit)
    clean = _without(text, tuple(about), numbers=True)
    if not limit:
        return clean
    if not clean.isprintable():
        clean = "".join(char if char.isprintable() else " " for char in clean)
    return clean[:limit].strip()


def without_addresses(text: str, about: Iterable[str] = ()) -> str:
    """As `redact`, but with all numbers: for words that are about nobody, such as a relay's id."""
    return _without(text, tuple(about), numbers=False)


def whole_words(text: str, limit: int) -> str:
    """No more than the first `limit` characters of `text`, without half a word at the end.

    What is left of an address would not be known again: words are cut so before they are redacted.
    """
    if len(text) <= limit:
        return text
    return text[: limit + 1].rpartition(" ")[0] or text[:limit]


_Place = tuple[int, int]


def _without(text: str, about: tuple[str, ...], *, numbers: bool) -> str:
    if not text.isascii():
        text = text.translate(_GAPS)
    hidden = [place for decoded in decodings(text) for place in _in_decoded(decoded, about, numbers=numbers)]
    known = list(_known(text, about))
    if hidden or known:
        # What only shows once it is decoded, or is known, may stand in or beside what shows as it is: they go in one.
        seen = _seen(text, numbers=numbers)
        return _blotted(text, [*_beside_ids(text, hidden, numbers=numbers), *known, *seen])
    pattern = _pattern(text, numbers=numbers)
    return pattern.sub(_kept_or_blotted, text) if pattern else text


def _pattern(text: str, *, numbers: bool) -> re.Pattern[str] | None:
    """What to look for in `text`; None where there can be none of it."""
    if _may_hold_address(text):
        return _WITH_ADDRESSES if numbers else _ADDRESSES
    return _WITHOUT_ADDRESSES if numbers and _LIKE_A_NUMBER.search(text) else None


def _seen(text: str, *, numbers: bool) -> Iterator[_Place]:
    """Where that stands which goes, whoever's it is."""
    if pattern := _pattern(text, numbers=numbers):
        yield from (match.span() for match in pattern.finditer(text) if not _is_kept(match))


def _known(text: str, about: tuple[str, ...]) -> Iterator[_Place]:
    """Where that stands which is known to be somebody's."""
    for name in chain.from_iterable(_names(text, address) for address in about):
        yield from (match.span() for match in name.finditer(text))


def _in_decoded(decoded: DecodedWords, about: tuple[str, ...], *, numbers: bool) -> Iterator[_Place]:
    for start, end in chain(_seen(decoded.text, numbers=numbers), _known(decoded.text, about)):
        yield decoded.place(start, end)


def _beside_ids(text: str, places: list[_Place], *, numbers: bool) -> Iterator[_Place]:
    """`places` but for those within an id that stays: decoded, half of it may look like anything."""
    ids = [match.span() for match in _WITH_ADDRESSES.finditer(text) if match["keep"]] if numbers else []
    for start, end in places:
        if not any(first <= start and end <= last and (first, last) != (start, end) for first, last in ids):
            yield start, end


def _blotted(text: str, places: list[_Place]) -> str:
    words: list[str] = []
    at = 0
    for start, end in sorted(places):
        if start >= at:
            words += text[at:start], _SHOWN
        at = max(at, end)
    return "".join((*words, text[at:]))


def _names(text: str, address: str) -> Iterator[re.Pattern[str]]:
    """Patterns of the local part of `address`, which may stand alone or have other signs before its domain.

    So with what stands before its plus. One of two letters goes only where the domain follows. None where it does not
    stand in `text` at all. What has no domain goes as it is, and a number however it is grouped.
    """
    if "@" not in address:
        yield from _as_it_is(text, address)
        return
    local, _, domain = address.rpartition("@")
    stem = local.partition("+")[0] or local
    # Looked for first: a pattern of its own for every message would cost more than the rest of it.
    if stem.strip('"').lower() not in text.lower():
        return
    for name in dict.fromkeys((local.strip('"'), stem.strip('"'))):
        if name:
            where = "" if len(name) > _SHORT else rf"(?=[\W_]{{1,8}}(?:at[\W_]{{1,3}})?{re.escape(domain)})"
            # An underscore is no letter of it: a folder may be called by name and domain, joined so.
            yield re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_]){where}", re.IGNORECASE)


def _as_it_is(text: str, known: str) -> Iterator[re.Pattern[str]]:
    digits = re.sub(r"\D", "", known)
    if len(digits) >= _LEAST_DIGITS and not re.search(r"[^\W\d_]", known):
        # Countries and networks write what a number begins with as they like.
        tail = digits[-_LEAST_DIGITS:]
        if tail.isascii() and tail not in _NO_DIGITS.sub("", text):
            return
        end = r"[\W_]{0,3}".join(tail)
        yield re.compile(rf"\+?(?:\d[\W_]{{0,3}}){{0,8}}{end}(?!\d)", re.ASCII)
    elif known and known.lower() in text.lower():
        # A long one may stand within other letters; a short one would be found in many words.
        around = ("", "") if len(known) >= _LONG_WORD else (r"(?<![^\W_])", r"(?![^\W_])")
        yield re.compile(re.escape(known).join(around), re.IGNORECASE)


def _is_kept(match: re.Match[str]) -> bool:
    return match.re is not _ADDRESSES and bool(match["keep"])


def _kept_or_blotted(match: re.Match[str]) -> str:
    return match[0] if _is_kept(match) else _SHOWN

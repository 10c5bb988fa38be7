r"""What words say once they are decoded, as mails, links, pages and programs encode them. Pure.

For whoever looks for something in other people's words: encoded words (RFC 2047), xtext (RFC 3461), \x{..} (RFC 6533),
percent, quoted-printable, UTF-7, entities and tags of HTML, escapes of JSON, C, CSS, LDAP and DNS, base64, base32,
octets as numbers, signs that look like others or like none. It decides nothing about them.
"""

import base64
import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from html import unescape

from msgspec import Struct

_Way = tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]]
"""A sign without which nothing is written so, how it is written, and what it says; as it stands, if that is nothing."""

_DEEP = 3
"""So many times one after the other is what was encoded several times decoded."""

_CHARSET = re.compile(
    r"utf-?8|us-ascii|ascii|latin-?1|iso[-_]?8859[-_]?\d{1,2}|windows-?125\d|cp\d{3,4}|koi8-[ru]|iso-?2022-?(jp|kr)(-\w+)?"
    r"|shift[-_]?jis|sjis|euc-?(jp|kr|tw)|gb2312|gbk|gb18030|big5(-?hkscs)?|utf-?16(le|be)?|tis-620|macintosh"
)
_LATIN = re.compile(r"latin-?1|iso[-_]?8859[-_]?1|windows-?1252|cp1252")
"""What programs call that of which they know no name."""

_JAPANESE = b"\x1b$"
"""In nothing but ISO-2022-JP, which is of ASCII's octets: some do not say that it is that."""

_WIDE = {
    name: codec
    for codec, names in {
        "gb18030": "gb2312 gbk gb18030 x-gbk gb_2312-80 euc-cn cp936 windows-936",
        "hz": "hz-gb-2312",
        "utf-7": "utf-7 unicode-1-1-utf-7",
        "big5hkscs": "big5 big5-hkscs x-x-big5 cn-big5 cp950",
        "cp949": "euc-kr ks_c_5601-1987 ks_c_5601 ksc5601 windows-949 cp949",
        "cp932": "shift_jis shift-jis sjis x-sjis windows-31j ms_kanji cp932",
        "iso2022_jp_ext": "iso-2022-jp iso-2022-jp-ms cp50220",
        "cp1255": "iso-8859-8-i iso-8859-8-e iso-8859-8",
        "cp874": "windows-874 tis-620 iso-8859-11",
        "cp866": "ibm866 cp866",
        "cp1251": "cp-1251 win-1251 windows1251",
        "mac_cyrillic": "x-mac-cyrillic",
    }.items()
    for name in names.split()
}
"""Names that mails give a charset, to the codec that reads them: what is written under such a name often needs the
wider one of its kind."""

_FOREIGN_WORD = re.compile(rb"[\xc0-\xff]{3,}")
_BEYOND_ASCII = re.compile(rb"[\x00-\x7f]+")
_ASCII = re.compile(r"[\x00-\x7f]+")

_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


class DecodedWords(Struct, frozen=True):
    """`text` is what words say once decoded; `came_from` has, for each of its characters, where in the words that of
    which it was made begins and ends."""

    text: str
    came_from: list[tuple[int, int]]

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where in the words that stands, of which the characters from `start` up to `end` were made."""
        return self.came_from[start][0], self.came_from[end - 1][1]


def decodings(words: str) -> Iterator[DecodedWords]:
    """`words` with one more way to encode undone in each; none where nothing in them is encoded."""
    if not _may_be_encoded(words):
        return
    found: DecodedWords | None = None
    for _ in range(_DEEP):
        before = found
        for sign, written, decode in _WAYS:
            text = words if found is None else found.text
            if sign in text and (steps := _steps(text, written, decode)):
                found = _undone(found or DecodedWords(words, [(at, at + 1) for at in range(len(words))]), steps)
                yield found
        if found is before:
            return


def text_of(raw: bytes, charset: str = "") -> str:
    """`raw` decoded as it says, else as UTF-8, else byte by byte. Codecs beyond the list may cost quadratic time."""
    name = charset.strip().lower()
    is_latin = _LATIN.fullmatch(name) is not None
    if _JAPANESE in raw and (is_latin or name in ("", "us-ascii", "utf-8")):
        name = "iso-2022-jp"
    elif is_latin and (guess := _guessed(raw)) != "latin-1":
        return raw.decode(guess, "replace")
    wide = _WIDE.get(name, "")
    if wide or _CHARSET.fullmatch(name):
        with suppress(UnicodeError, LookupError):
            return raw.decode(wide or name)
    guess = _guessed(raw)
    # One character that was cut, or that the charset lacks, leaves the others as they are.
    return raw.decode(wide if wide and guess != "utf-8" else guess, "replace")


def _guessed(raw: bytes) -> str:
    """The charset of what names none: UTF-8, or one of the Russian two where words are wholly of such letters.

    It is UTF-8 with a few characters that were cut, too. In the Russian two the letters are the last 64 octets; the
    small ones, which are most, are not in the same half.
    """
    text = raw.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if not broken or len(_ASCII.sub("", text)) > 2 * broken:
        return "utf-8"
    words = b"".join(_FOREIGN_WORD.findall(raw))
    if 4 * len(words) < 3 * len(_BEYOND_ASCII.sub(b"", raw)):
        return "latin-1"
    small = len(words.translate(None, bytes(range(0xE0))))
    return "cp1251" if 2 * small > len(words) else "koi8-r"


def from_base64(body: bytes) -> bytes:
    """What `body` says in base64, without what is none in it, and without an end that lacks something."""
    clean = body.translate(None, _NOT_BASE64)
    clean = clean[:-1] if len(clean) % 4 == 1 else clean
    return base64.b64decode(clean + b"=" * (-len(clean) % 4))


def _may_be_encoded(words: str) -> bool:
    """Most words are not, and to try each way takes many times as long."""
    return (
        any(sign in words for sign in "=%\\+&")
        or not words.isascii()
        or "\0" in words
        or _LONG.search(words) is not None
    )


def _steps(text: str, written: re.Pattern[str], decode: Callable[[re.Match[str]], str]) -> list[tuple[int, int, str]]:
    """Where in `text` something is written so, and what it says."""
    found = ((match, decode(match)) for match in written.finditer(text))
    return [(*match.span(), said) for match, said in found if said != match[0]]


def _undone(before: DecodedWords, steps: list[tuple[int, int, str]]) -> DecodedWords:
    words: list[str] = []
    came_from: list[tuple[int, int]] = []
    at = 0
    for start, end, said in steps:
        words += before.text[at:start], said
        came_from += before.came_from[at:start]
        came_from += [before.place(start, end)] * len(said)
        at = end
    return DecodedWords("".join((*words, before.text[at:])), came_from + before.came_from[at:])


# --- each way to encode ----------------------------------------------------------------------------------------------

# One that was cut lacks its end; blanks before the next one are none of the text.
_ENCODED_WORD = r"=\?([\w.:-]{1,40})(?:\*[\w-]{0,20})?\?([BbQq])\?([^?\s]{0,1000})(?:\?=?|(?=\s)|\Z)(?:\s{1,8}(?==\?))?"
_QUOTED = re.compile(r"=([0-9A-Fa-f]{2})")
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")
_LONG = re.compile(
    r"[\w+/-]{14}| @ |[\[({ ](?i:at|dot)[\])} ]|</?[a-z]{1,6}[\s/>]|<!--"
    r"|(?:[0-9A-Fa-f]{2,16}\)?[ ,:.;|-]{1,3}(?:0x|CHA?R\()?){3}",
    re.ASCII,
)
_CODES = re.compile(r"\d+")
_DUMPED_WORD = re.compile(r"(?<![0-9A-Za-z])(?:0x)?((?:[0-9A-Fa-f]{2})+)")
_SOMEBODY = re.compile(rb"[\w.+-]{2,64}@[\w-]{2,64}(?:\.[\w-]{2,64})+|(?:\d ?){9,15}")
_LEAST_WORDS = 0.8
"""How much of what octets say must be letters and signs: words that stood beside them may look like some."""


def _encoded_word(match: re.Match[str]) -> str:
    if match[2] in "Bb":
        said = from_base64(match[3].encode("ascii", "ignore"))
    else:
        said = _QUOTED.sub(lambda pair: chr(int(pair[1], 16)), match[3].replace("_", " ")).encode("latin-1", "replace")
    # Octets of zero: UTF-16 and UTF-32 under a name that we don't know.
    return text_of(said, match[1]).replace("\0", "")


def _pairs(match: re.Match[str]) -> str:
    """Octets of two hexadecimal digits each, whatever stands between them."""
    return _said(bytes.fromhex("".join(_HEX_PAIR.findall(match[0].replace("\\x", " ").replace("0x", " ")))), match[0])


def _dumped(match: re.Match[str]) -> str:
    """Octets in hexadecimal, as a dump shows them."""
    return _mostly_words(bytes.fromhex("".join(_DUMPED_WORD.findall(match[0])))) or match[0]


def _codes(match: re.Match[str]) -> str:
    """Octets as decimal numbers, as arrays are printed, and texts by databases. Pairs of digits may be hexadecimal."""
    codes = _CODES.findall(match[0])
    said = _mostly_words(bytes(min(int(code), 255) for code in codes))
    is_decimal = any(len(code) > 2 for code in codes) or _SOMEBODY.search(said.encode())
    return said if said and is_decimal else match[0]


def _mostly_words(octets: bytes) -> str:
    """What octets say, without a few at the ends that say nothing; "" where that is most of them."""
    said = "".join(chr(octet) if 0x20 <= octet < 0x7F else " " for octet in octets)
    return said if len(said) - said.count(" ") >= _LEAST_WORDS * len(octets) else ""


def _number(match: re.Match[str]) -> str:
    code = int(match[match.lastindex or 1], 16)
    return chr(code) if 0x20 <= code < 0x110000 and not 0xD800 <= code < 0xE000 else match[0]


def _named(match: re.Match[str]) -> str:
    try:
        return unicodedata.lookup(match[1])
    except KeyError:
        return match[0]


def _backslashed(match: re.Match[str]) -> str:
    r"""Digits behind backslashes: octal, but for a sign by itself, which the files of DNS write in decimal (\064)."""
    codes = _CODES.findall(match[0])
    if len(codes) == 1 and chr(int(codes[0])) in "@+.-":
        return chr(int(codes[0]))
    return _said(bytes(int(code, 8) for code in codes), match[0])


def _spelled(match: re.Match[str]) -> str:
    """An address whose signs are words. What is only at some host is no address."""
    said = _SPELLED_DOT.sub(".", match[0])
    if said == match[0] and _SAID_AT.search(said):
        return said
    return _SPELLED_AT.sub("@", said)


def _utf7(match: re.Match[str]) -> str:
    try:
        said = match[0].encode().decode("utf-7")
    except UnicodeDecodeError:
        return match[0]
    return said if said.isascii() and said.isprintable() else match[0]


def _base32(match: re.Match[str]) -> str:
    digits = match[0].rstrip("=").upper()
    try:
        return _said(base64.b32decode(digits + "=" * (-len(digits) % 8)), match[0])
    except ValueError:
        return match[0]


@lru_cache(maxsize=1024)
def _plain_sign(sign: str) -> str:
    """What a sign beyond ASCII is a form of, such as a wide or a small one; "" for one that is not seen."""
    if sign == "\0" or unicodedata.category(sign) in ("Cf", "Mn", "Me"):
        return ""
    digit = unicodedata.decimal(sign, None)
    plain = unicodedata.normalize("NFKC", sign) if digit is None else str(digit)
    return plain if plain.isascii() else sign


def _base64(match: re.Match[str]) -> str:
    return _said(from_base64(match[0].replace("-", "+").replace("_", "/").encode()), match[0])


def _said(octets: bytes, written: str) -> str:
    """`written` where they are no words: most that looks like it is an id. Octets of zero: UTF-16 and UTF-32."""
    plain = octets.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").replace(b"\0", b"")
    with suppress(UnicodeDecodeError):
        if (said := plain.decode()).isprintable():
            return said
    # Words among octets of another kind: a record of some program's.
    return (
        "".join(chr(octet) if 0x20 <= octet < 0x7F else " " for octet in octets)
        if _SOMEBODY.search(octets)
        else written
    )


def _way(sign: str, written: str, decode: Callable[[re.Match[str]], str]) -> _Way:
    return sign, re.compile(written, re.ASCII), decode


_INLINE = (
    "a|abbr|b|bdi|bdo|big|cite|code|del|em|font|i|ins|kbd|label|mark|nobr|q|s|samp|small|span|strong|su[bp]|tt|u|var"
    "|wbr"
)
"""Tags that stand within a word: what is left of them and what is right of them are one."""

_AT = r"(?:\s{0,2}[\[({<]\s?(?:at|a)\s?[\])}>]\s{0,2}|\s{1,2}@\s{0,2}|@\s{1,2}|\sat\s)"
_DOT = r"(?:\s{0,2}[\[({<]\s?dot\s?[\])}>]\s{0,2}|\sdot\s|\.)"
_CODE = r"(?:CHA?R\()?\d{2,3}\)?"
_DUMPED = "(?:0x)?(?:[0-9A-Fa-f]{2}){1,8}"

_SPELLED_DOT = re.compile(_DOT, re.IGNORECASE | re.ASCII)
_SPELLED_AT = re.compile(_AT, re.IGNORECASE | re.ASCII)
_SAID_AT = re.compile(r"\sat\s", re.IGNORECASE)

# What says least by itself comes last: it may take the signs of another way for its own.
_WAYS = (
    _way("", r"[^\x01-\x7f]", lambda match: _plain_sign(match[0])),
    _way("<", rf"(?i:</?(?:{_INLINE})(?:\s[^<>]{{0,200}})?/?>|<!--[^<>]{{0,200}}-->)", lambda match: ""),
    _way(
        "",
        rf"(?i:(?<![\w.+-])[\w.+-]{{1,64}}(?:{_DOT}[\w+-]{{1,64}}){{0,5}}{_AT}(?:[\w-]{{1,63}}{_DOT}){{1,5}}[a-z][\w-]{{1,62}})",
        _spelled,
    ),
    _way("=?", _ENCODED_WORD, _encoded_word),
    _way("+", r"\+[A-Za-z0-9+/]{0,60}-", _utf7),
    _way("", rf"(?<![\w.]){_CODE}(?:[ ,;|]{{1,3}}{_CODE}){{6,400}}(?!\w)", _codes),
    _way("", rf"(?<![\w.]){_DUMPED}(?:[ ,:.;-]{{1,2}}{_DUMPED}){{3,400}}(?!\w)", _dumped),
    _way("", r"(?<![A-Za-z0-9])(?:[A-Z2-7]{14,2000}|[a-z2-7]{14,2000})={0,6}(?![A-Za-z0-9])", _base32),
    _way("", r"(?<![\w+/])[A-Za-z0-9+/]{14,2000}={0,2}", _base64),
    _way("", r"(?<![\w-])[\w-]{14,2000}={0,2}", _base64),
    _way("", r"(?<![0-9A-Fa-f])(?:0x)?(?:[0-9A-Fa-f]{2}){7,1000}(?![0-9A-Fa-f])", _pairs),
    _way("\\x{", r"\\x\{([0-9A-Fa-f]{1,6})\}", _number),
    _way("\\", r"\\u([0-9A-Fa-f]{4})|\\u\{([0-9A-Fa-f]{1,6})\}|\\U([0-9A-Fa-f]{8})", _number),
    _way("\\N{", r"\\N\{([A-Z -]{2,60})\}", _named),
    _way("\\x", r"(?:\\x[0-9A-Fa-f]{2}){1,1000}", _pairs),
    _way("\\0", r"\\0{2,4}([2-7][0-9A-Fa-f]) ?", _number),
    _way("\\", r"(?:\\[0-3][0-7]{2}){1,1000}|\\0[0-9]{2}", _backslashed),
    _way("\\", r"\\([2-7][0-9A-Fa-f]) ?", _number),
    _way("&", r"&(?:#[0-9]{1,10};?|#[xX][0-9A-Fa-f]{1,8};?|\w{1,10};)", lambda match: unescape(match[0])),
    _way("%u", r"%u([0-9A-Fa-f]{4})", _number),
    _way("U+", r"U\+([0-9A-Fa-f]{4,6})(?: (?=U\+))?", _number),
    _way("%", r"(?:%[0-9A-Fa-f]{2}){1,1000}", _pairs),
    _way("=", r"=\r?\n", lambda match: ""),
    _way("=", r"(?:=[0-9A-Fa-f]{2}){1,1000}", _pairs),
    _way("+", r"(?:\+[0-9A-Fa-f]{2}){1,1000}", _pairs),
)

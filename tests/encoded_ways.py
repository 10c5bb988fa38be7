"""Ways to write the same words so that no reader of a line sees them: a table for the tests of whoever keeps words."""

import base64
import binascii
from collections.abc import Callable
from urllib.parse import quote

LINK = "https://x.test/r/"


def in_base64(words: str, charset: str = "utf-8") -> str:
    """An encoded word of RFC 2047."""
    return f"=?{charset}?B?{base64.b64encode(words.encode(charset)).decode()}?="


def each(form: str) -> Callable[[str], str]:
    """Every octet in `form`."""
    return lambda words: "".join(form.format(octet) for octet in words.encode())


def signs(form: str) -> Callable[[str], str]:
    """Only what is no letter and no digit in `form`, as most write it."""
    return lambda words: "".join(char if char.isalnum() else form.format(ord(char)) for char in words)


WAYS: dict[str, Callable[[str], str]] = {
    "base64 word": in_base64,
    "base64 word of another charset": lambda words: in_base64(words, "utf-16-le"),
    "base64 word with a language": lambda words: in_base64(words).replace("utf-8?", "utf-8*en?"),
    "base64 word, cut": lambda words: in_base64(words).removesuffix("="),
    "base64 words": lambda words: f"{in_base64(words[:5])} {in_base64(words[5:])}",
    "base64 words, folded": lambda words: f"{in_base64(words[:7])}\r\n {in_base64(words[7:])}",
    "quoted word": lambda words: f"=?us-ascii?Q?{signs('={:02X}')(words)}?=",
    "quoted word, whole": lambda words: f"=?ISO-8859-1?q?{each('={:02x}')(words)}?=",
    "xtext": signs("+{:02X}"),
    "xtext, whole": each("+{:02X}"),
    "utf-8 xtext": signs("\\x{{{:X}}}"),
    "utf-8 xtext, whole": each("\\x{{{:02x}}}"),
    "percent": signs("%{:02X}"),
    "percent, whole": each("%{:02x}"),
    "percent, twice": lambda words: quote(signs("%{:02X}")(words)),
    "quoted-printable": each("={:02X}"),
    "entities": each("&#{};"),
    "entities, hexadecimal": each("&#x{:x};"),
    "JSON": each("\\u{:04x}"),
    "Python": each("\\x{:02x}"),
    "base64": lambda words: base64.b64encode(words.encode()).decode(),
    "base64 in a link": lambda words: LINK + base64.urlsafe_b64encode(words.encode()).decode(),
    "base64 of UTF-16": lambda words: base64.b64encode(words.encode("utf-16-le")).decode(),
    "base64 of UTF-16 with its mark": lambda words: base64.b64encode(words.encode("utf-16")).decode(),
    "hexadecimal of UTF-16": lambda words: words.encode("utf-16-be").hex(),
    "hexadecimal": lambda words: binascii.hexlify(words.encode()).decode(),
    "UTF-7": lambda words: words.replace("@", "+AEA-").replace("+4", "+-4"),
    "UTF-7 word": lambda words: f"=?utf-7?Q?{words.replace('@', '+AEA-').replace('+4', '+-4').replace(' ', '_')}?=",
    "octal": each("\\{:03o}"),
    "octal signs": lambda words: words.replace("@", "\\100").replace("+", "\\053").replace(" ", "\\040"),
    "a zone file's": lambda words: words.replace("@", "\\064").replace("+", "\\043"),
    "LDAP": lambda words: words.replace("@", "\\40").replace("+", "\\2b"),
    "CSS": lambda words: words.replace("@", "\\40 ").replace("+", "\\2b "),
    "PostgreSQL": lambda words: words.replace("@", "\\0040").replace("+", "\\002b"),
    "Python, beyond all": each("\\U{:08x}"),
    "Python, braces": each("\\u{{{:x}}}"),
    "Python, by name": lambda words: words.replace("@", "\\N{COMMERCIAL AT}").replace("+", "\\N{PLUS SIGN}"),
    "escape()": each("%u{:04x}"),
    "code points": lambda words: each("U+{:04X} ")(words).strip(),
    "entities, unended": each("&#{}"),
    "base32": lambda words: base64.b32encode(words.encode()).decode(),
    "base32, small": lambda words: base64.b32encode(words.encode()).decode().lower().rstrip("="),
    "a dump": lambda words: words.encode().hex(" "),
    "a dump of pairs": lambda words: words.encode().hex(" ", 2),
    "a dump of C's": lambda words: ", ".join(f"0x{octet:02X}" for octet in words.encode()),
    "a fingerprint": lambda words: words.encode().hex(":").upper(),
    "a literal of SQL": lambda words: f"0x{words.encode().hex()}",
    "an array": lambda words: ", ".join(str(octet) for octet in words.encode()),
    "Oracle's": lambda words: "||".join(f"CHR({octet})" for octet in words.encode()),
    "wide signs": lambda words: "".join(chr(ord(char) + 0xFEE0) if char > " " else char for char in words),
    "signs that are not seen": lambda words: "\u200b".join(words),
    "hyphens that are not seen": lambda words: "\u00ad".join(words),
    "UTF-16, read as Latin-1": lambda words: words.encode("utf-16-be").decode("latin-1").lstrip("\0"),
    "tags": lambda words: "<b>".join(words),
    "places to break": lambda words: words[:5] + "<wbr/>" + words[5:],
    "percent in a base64 word": lambda words: in_base64(signs("%{:02X}")(words)),
}

RECORDS: dict[str, Callable[[str], str]] = {
    "a record in base64": lambda words: base64.b64encode(b"\x08\x96\x01\x12" + words.encode() + b"\xff").decode(),
    "a record in hexadecimal": lambda words: (b"\x01\xff" + words.encode() + b"\xff\x01").hex(),
}
"""Words among octets of another kind, which only show where they are somebody's address."""

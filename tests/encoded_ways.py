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
    "percent in a base64 word": lambda words: in_base64(signs("%{:02X}")(words)),
}

"""One mailbox, as callers write it in From and Reply-To. Pure.

The standard library's parser cuts ``Amazing, Inc. <a@b.co>`` short and silently takes the first of two addresses; this
one reads exactly one mailbox or refuses, and never decides by guessing. What it refuses, it refuses by naming a rule:
no address is in the reason.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import idna

LOCAL_LIMIT, ADDRESS_LIMIT = 64, 254
"""Octets of a local part and of a whole address on the wire (RFC 5321 4.5.3.1)."""

NAME_LIMIT = 200
TEXT_LIMIT = 1000
"""Characters of all of it, quotes and escapes included."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u00a1-\U0010ffff-]"
_LOCAL = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
_LABEL = r"(?!-)[A-Za-z0-9\u00a1-\U0010ffff-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ASCII_DOMAIN = re.compile(r"[A-Za-z0-9.-]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_IN_BRACKETS = re.compile(r"<[^<>]*@[^<>]*>")
# What a reader may take for an address, in the full-width forms of @ and dot too.
_LOOKS_LIKE = re.compile(r"[^\s<>\"'(),;:]+[@\ufe6b\uff20]([^\s<>\"'(),;:]+[.\u3002\uff0e\uff61][^\s<>\"'(),;:]+)")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name (may be empty, never encoded) and an address; printing it shows neither."""

    name: str
    address: str

    @property
    def local(self) -> str:
        """What is before the at sign."""
        return self.address.rpartition("@")[0]

    @property
    def domain(self) -> str:
        """The domain in A-labels and lower case, as it is compared and sent."""
        return ascii_domain(self.address.rpartition("@")[2])

    def __repr__(self) -> str:
        return "<Mailbox>"


@lru_cache(maxsize=1024)
def parse(text: str) -> Mailbox:
    """The one mailbox in ``addr``, ``<addr>``, ``name <addr>`` or ``"name" <addr>``; the last ``<...>`` is the address.

    A name may hold whatever people type (commas, brackets, quotes, at signs, emoji), but must not look like an address
    of another domain; it is for whoever writes it to quote or encode it. Raises ValueError, with a reason that holds no
    address, for several mailboxes, groups, control characters, bidirectional controls, and for whatever is no address.
    """
    if len(text) > TEXT_LIMIT:
        raise ValueError("too long")
    if _CONTROL.search(text):
        raise ValueError("control characters")
    text = text.strip()
    if not text:
        raise ValueError("empty")
    if not text.endswith(">"):
        return Mailbox("", _bare(text))
    before, opened, inside = text[:-1].rpartition("<")
    if not opened or ">" in inside:
        raise ValueError("unbalanced angle brackets")
    mailbox = Mailbox(_name(before.strip()), _address(inside.strip()))
    for match in _LOOKS_LIKE.finditer(mailbox.name):
        if _plainly(match[1]) not in (mailbox.domain, mailbox.address.rpartition("@")[2].lower()):
            raise ValueError("the display name looks like an address of another domain")
    return mailbox


def _plainly(domain: str) -> str:
    return domain.rstrip(".").translate({0x3002: ".", 0xFF0E: ".", 0xFF61: "."}).lower()


def ascii_domain(domain: str) -> str:
    """`domain` in A-labels (IDNA 2008 with UTS 46 mapping), lower case. Raises ValueError where it is no domain."""
    if _ASCII_DOMAIN.fullmatch(domain):
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        raise ValueError("the domain is not a valid internationalised name") from None


def _bare(text: str) -> str:
    if text.endswith(";"):
        raise ValueError("a group instead of one mailbox")
    if "," in text or ";" in text:
        raise ValueError("more than one mailbox")
    if "<" in text or ">" in text:
        raise ValueError("text after the address")
    return _address(text)


def _name(text: str) -> str:
    whole = _QUOTED.fullmatch(text)
    name = re.sub(r"\\(.)", r"\1", whole[1]) if whole else text
    if not whole and (_IN_BRACKETS.search(text) or _before_comma(text)):
        raise ValueError("more than one mailbox")
    if _BIDI.search(name):
        raise ValueError("bidirectional control characters in the display name")
    name = " ".join(name.split())
    if len(name) > NAME_LIMIT:
        raise ValueError("the display name is too long")
    return name


def _before_comma(text: str) -> bool:
    """Whether an address stands before a comma; "Bet@Home, Ltd" is none."""
    return any(text[found.end() :].lstrip()[:1] in (",", ";") for found in _LOOKS_LIKE.finditer(text))


def _address(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not at:
        raise ValueError("no address")
    if "@" in local:
        raise ValueError("more than one at sign")
    if not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain) or _BIDI.search(text):
        raise ValueError("not a valid address")
    plain = ascii_domain(domain)
    if len(local.encode()) > LOCAL_LIMIT or len(local.encode()) + 1 + len(plain) > ADDRESS_LIMIT:
        raise ValueError("the address is too long")
    return f"{local}@{domain}"

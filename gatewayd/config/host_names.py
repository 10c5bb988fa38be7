"""Internationalised host names in the one spelling in which they are compared and looked up: A-labels ("xn--...").

A host written in Unicode and one written in A-labels are the same host. A name that is ASCII stays as it is.
"""

import re

import idna

_LONGEST = 4096  # characters of a URL that is looked into
_IN_URL = re.compile(r"(https?://)([^\s/?#@:\\\[\]]+)(.*)", re.IGNORECASE | re.DOTALL)
_PATTERN = re.compile(r"[a-z0-9*-]+(?:\.[a-z0-9*-]+)*\.?")


def ascii_host(name: str) -> str:
    """`name` in A-labels (IDNA 2008 with UTS 46 mapping). Raises ValueError where it is not ASCII, and no host name."""
    if name.isascii():
        return name
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:
        raise ValueError("is not a host name") from None


def ascii_pattern(pattern: str) -> str:
    """`pattern` with each of its labels in A-labels; `*` may stand in those only that are ASCII. Raises ValueError."""
    if pattern.isascii():
        return pattern
    try:
        labels = idna.uts46_remap(pattern, std3_rules=False).split(".")
        plain = ".".join(ascii_host(label) for label in labels)
    except ValueError:
        plain = ""
    if not _PATTERN.fullmatch(plain):
        raise ValueError("is not a host name, and no pattern of one: where it is not ASCII, * stands between dots")
    return plain


def ascii_url(url: str) -> str:
    """`url` with its host in A-labels. Raises ValueError where that is not ASCII, and no host name."""
    found = None if url.isascii() or len(url) > _LONGEST else _IN_URL.fullmatch(url)
    return found[1] + ascii_host(found[2]) + found[3] if found else url

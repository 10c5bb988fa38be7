"""Posted forms, urlencoded or multipart, as pairs of name and value; nothing here raises on a form that is broken.

Multipart is split by hand and not nested: a general MIME parser can be made to recurse by whoever posts.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

_FIELDS = 200
# No form of ours has a longer head; without a limit a stranger's would cost the square of its length.
_HEAD = 1000
_BOUNDARY = re.compile(r';\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_DISPOSITION = re.compile(rb"content-disposition:[^\r\n]*", re.IGNORECASE)
_NAME = re.compile(rb';\s*name=(?:"([^"\r\n]*)"|([^\s;"]+))', re.IGNORECASE)
_BLANK = re.compile(rb"\r?\n\r?\n")


def is_compressed(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a posted body is in a coding that is not read here. Header names are lower case."""
    return bool(body) and headers.get("content-encoding", "").strip().lower() not in ("", "identity")


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form."""
    return content_type.strip().lower().startswith(("multipart/form-data", "application/x-www-form-urlencoded"))


def pairs(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """The fields in their order, at most 200 of them; what cannot be read as a form has none."""
    if content_type.strip().lower().startswith("multipart/form-data"):
        return _multipart(content_type, body)
    # Some end it with a new line, as if it were a text file; one in a value would be encoded.
    text = body.rstrip(b"\r\n").decode("utf-8", "replace")
    try:
        return parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return []


def _multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """RFC 7578 4.1: parts between lines of two dashes and the boundary, each a head, a blank line and a value."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return []
    line = b"\n--" + (found[1] or found[2]).encode("latin-1", "replace")
    fields: list[tuple[str, str]] = []
    for part in (b"\n" + body).split(line, _FIELDS + 1)[1:-1]:
        # From the rest of the boundary's own line on, so that a head of no lines has its blank line too.
        split = _BLANK.split(part, maxsplit=1)
        line_of_name = _DISPOSITION.search(split[0][:_HEAD]) if len(split) == 2 else None
        name = _NAME.search(line_of_name[0]) if line_of_name is not None else None
        if name is not None:
            value = split[1].removesuffix(b"\r")
            fields.append(((name[1] or name[2] or b"").decode("utf-8", "replace"), value.decode("utf-8", "replace")))
    return fields

"""Posted forms, urlencoded or multipart, as pairs of name and value; nothing here raises on a form that is broken."""

from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from urllib.parse import parse_qsl

_FIELDS = 200


def pairs(content_type: str, body: bytes) -> list[tuple[str, str]]:
    """The fields in their order, at most 200 of them; what cannot be read as a form has none."""
    if content_type.strip().lower().startswith("multipart/form-data"):
        return _multipart(content_type, body)
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        return []


def _multipart(content_type: str, body: bytes) -> list[tuple[str, str]]:
    head = content_type.encode("latin-1", "replace").replace(b"\r", b"").replace(b"\n", b"")
    message = BytesParser(policy=compat32).parsebytes(b"Content-Type: " + head + b"\r\n\r\n" + body)
    parts = message.get_payload()
    if not isinstance(parts, list):
        return []
    found: list[tuple[str, str]] = []
    for part in parts[:_FIELDS]:
        if not isinstance(part, Message):
            continue
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str):
            found.append((name, _value(part)))
    return found


def _value(part: "Message[str, str]") -> str:
    raw = part.get_payload(decode=True)
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""

"""Taking a mail apart that nobody promised to be well formed: headers, text parts, where the returned original begins.

Pure, never raises, and bounded in time and memory whatever the bytes are: the limits below hold for every mail. It
knows MIME; it knows nothing of bounces beyond where a mail stops speaking for itself and starts to quote another.
"""

import binascii
import re
from email.errors import HeaderParseError
from email.header import decode_header
from functools import cached_property, lru_cache

from msgspec import Struct

from gatewayd.bounces import wording
from gatewayd.bounces.html_words import readable
from gatewayd.core.encoded import from_base64, text_of
from gatewayd.core.phrases import plain

MAX_MAIL = 1 << 20
MAX_HEADER = 64 << 10
MAX_FIELDS = 500
MAX_VALUE = 4 << 10
MAX_TEXT = 64 << 10
MAX_REPORT = 64 << 10
MAX_PROSE = 16 << 10
MAX_PARTS = 100
MAX_DEPTH = 10
MAX_RETURNED = 16 << 10
MAX_LINES = 1000
"""Octets of a mail, of a header, fields in it, octets of one; of what is said to people, of its reports, of what is
searched for phrases; parts, how deep they nest; octets of the returned original, and lines that may look like a
boundary. Real reports stay far below each. Together they bound the time of a mail that was made to take long."""

_MAX_VALUES = 20
_USUAL_HEAD = 512  # octets of a part's header, at most, that is remembered as it was read
_BLANKS = " \t\n\r\v\f"

# It begins with the line break itself, which a search finds quickly; the carriage return before it is the head's.
_HEADER_END = re.compile(rb"\n[ \t]*\r?\n")
_FIELD = re.compile(r"([!-9;-~]{1,128})[ \t]*:(.*)", re.DOTALL)
_TYPE = re.compile(r"\s*([\w.+-]+/[\w.+-]+)")
_PARAMETER = re.compile(r"""[;\s]([\w-]+)\s*=\s*(?:"([^"]{0,500})"|([^\s;"]{1,500}))""")
_MARKS = re.compile(
    r"(?:\s*[\[{(<*]+\s*(?:[\w:]{1,20}[ -])?(?:spam|externa?l?|externer?|extern[eo]|ext|bulk|junk|phishing)\b"
    r"[?!:\d. ]{0,8}(?:e-?mail|sender|message)?\s*[\]})>*]+\s*:?)+\s*",
    re.IGNORECASE,
)
"""What a filter in front of us sets before a subject: it is nothing that the writer says."""

_LOOKS_LIKE_REPORT = re.compile(
    r"\s*(?:reporting-mta|final-recipient|original-recipient|feedback-type|user-agent)[ \t]*:", re.IGNORECASE
)

REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_ORIGINALS = frozenset(
    {
        "message/rfc822",
        "message/global",
        "message/rfc822-headers",
        "message/global-headers",
        "text/rfc822-headers",
        "text/rfc822-header",
        "message/partial",
        "message/news",
    }
)


class MailPart(Struct, frozen=True):
    """One leaf: its type in lower case, and its decoded text with bare line feeds."""

    type: str
    text: str


class Mail(Struct, frozen=True, dict=True):
    """A mail taken apart: `fields` are its header in order, names in lower case, values unfolded; `parts` its leaves.

    `first` has the first field of each name.
    `text` is what it says to a person: its plain text parts, or its HTML where it has no other. `embedded` is the
    original that came as a part of its own (at least its headers), or empty. What most reports need not is made when
    it is asked for.
    """

    type: str
    parameters: dict[str, str]
    fields: tuple[tuple[str, str], ...]
    first: dict[str, str]
    parts: tuple[MailPart, ...]
    text: str
    embedded: str

    @cached_property
    def subject(self) -> str:
        """The subject as the tables of phrases want it, without the marks of filters."""
        stated = plain(self.header("subject") or "")
        marks = _MARKS.match(stated)
        return stated[marks.end() :] if marks else stated

    @cached_property
    def story(self) -> str:
        """The text up to where it shows the mail that it is about."""
        before = self.text[: self._cut.start()] if self._cut else ""
        return before if before.strip() else self.text

    @cached_property
    def flat(self) -> str:
        """The beginning of the story as the tables of phrases want it."""
        return plain(self.story[:MAX_PROSE])

    @cached_property
    def returned(self) -> str:
        """The original, from a part of its own or from where the text shows it; it is in no part."""
        return self.embedded or (self.text[self._cut.start() :].partition("\n")[2] if self._cut else "")

    @cached_property
    def _cut(self) -> re.Match[str] | None:
        return wording.ORIGINAL.search(self.text)

    def header(self, name: str) -> str | None:
        """The first value under `name` (lower case), decoded; None where there is none."""
        value = self.first.get(name)
        return None if value is None else decoded(value)

    def values(self, name: str) -> list[str]:
        """The values under `name`, decoded, as many of them as a real mail may have."""
        return [decoded(value) for key, value in self.fields if key == name][:_MAX_VALUES]

    def count(self, name: str) -> int:
        """How often `name` is there."""
        return sum(key == name for key, _ in self.fields)


def take_apart(raw: bytes) -> Mail:
    """The parts of `raw`, of which the first MAX_MAIL bytes count."""
    raw = raw[:MAX_MAIL].lstrip(b"\r\n\t ")
    head, body = _split(raw)
    fields = _fields(head)
    first = dict(reversed(fields))
    top, parameters = _content_type(first)
    walk = _Walk()
    walk.go(top, parameters, first, body)
    return Mail(top, parameters, tuple(fields), first, tuple(walk.parts), _text_of(walk.parts), walk.returned)


def header_fields(text: str) -> list[tuple[str, str]]:
    """The header fields that `text` begins with, decoded."""
    head, _ = _split(text[:MAX_RETURNED].lstrip().encode("utf-8", "replace"))
    return [(name, decoded(value)) for name, value in _fields(head)]


def decoded(value: str) -> str:
    """A header value with its encoded words (RFC 2047) decoded, as far as they can be."""
    if "=?" not in value:
        return value
    try:
        pieces = decode_header(value)
    except (ValueError, HeaderParseError):
        return value
    return "".join(text_of(piece, charset or "") if isinstance(piece, bytes) else piece for piece, charset in pieces)


def _text_of(parts: list[MailPart]) -> str:
    plain = "\n".join(part.text for part in parts if _is_plain(part.type))
    return plain if plain.strip() else "\n".join(readable(part.text) for part in parts if part.type == "text/html")


def _is_plain(kind: str) -> bool:
    return kind.startswith(("text/", "message/")) and kind != "text/html"


class _Walk:
    """The leaves of one mail, until a limit is met."""

    def __init__(self) -> None:
        self.parts: list[MailPart] = []
        self.returned = ""
        self._left = {True: MAX_REPORT, False: MAX_TEXT}
        self._lines = MAX_LINES
        self._seen = 0

    def go(self, kind: str, parameters: dict[str, str], fields: dict[str, str], body: bytes, depth: int = 0) -> None:
        self._seen += 1
        if self._seen > MAX_PARTS or depth > MAX_DEPTH:
            return
        if kind in _ORIGINALS:
            if not self.returned:
                self.returned = self._leaf(parameters, fields, body, MAX_HEADER)
            return
        if kind.startswith("multipart/"):
            sections = self._sections(body, parameters.get("boundary", ""))
            if sections is not None:
                for section in sections:
                    if self._seen <= MAX_PARTS:
                        self._section(section, depth)
                return
            kind = "text/plain"
        if not kind.startswith(("text/", "message/")) and self._looks_like_report(parameters, fields, body):
            kind = "message/delivery-status"
        if kind.startswith(("text/", "message/")) or depth == 0:
            # Words for people, however many, leave the report its own room.
            for_machines = kind.startswith("message/")
            text = self._leaf(parameters, fields, body, self._left[for_machines])
            self._left[for_machines] -= len(text)
            self.parts.append(MailPart(type=kind, text=text))

    def _section(self, section: bytes, depth: int) -> None:
        raw_head, body = _split(section)
        head = _read_head(raw_head) if len(raw_head) > _USUAL_HEAD else _usual_head(raw_head)
        if head.says_nothing:
            # A part without headers whose blank line is missing, too: the whole of it is text. Or an original
            # that was attached without saying so: it begins with the headers of a mail.
            if "received" in head.fields or "message-id" in head.fields:
                self.go("message/rfc822", {}, {}, section, depth + 1)
            else:
                self.go("text/plain", {}, {}, section, depth + 1)
            return
        self.go(head.type, head.parameters, head.fields, body, depth + 1)

    def _sections(self, body: bytes, boundary: str) -> list[bytes] | None:
        """What lies between the delimiter lines; None where there is no such line (then all of it is text)."""
        if not boundary:
            return None
        delimiter = b"\n--" + boundary.rstrip().encode("utf-8", "replace")
        pieces: list[bytes] = []
        # Now the first line begins like all others: after a line break.
        body = b"\n" + body
        at = 1
        start = body.find(delimiter)
        while start >= 0 and self._lines > 0 and len(pieces) < MAX_PARTS:
            self._lines -= 1
            end = body.find(b"\n", start + len(delimiter))
            end = len(body) if end < 0 else end
            if body[start + len(delimiter) : min(end, start + len(delimiter) + 80)].strip() in (b"", b"--"):
                pieces.append(body[at:start].removesuffix(b"\r"))
                at = end
            start = body.find(delimiter, end)
        if not pieces:
            return None if self._lines > 0 else []
        pieces.append(body[at:])
        # The line break after the delimiter goes: what follows is the part's header, or an empty line for none.
        sections = [piece.removeprefix(b"\n") for piece in pieces]
        filled = [section for section in sections[1:] if not section.isspace() and section]
        return filled or [b"\n" + sections[0]]

    def _looks_like_report(self, parameters: dict[str, str], fields: dict[str, str], body: bytes) -> bool:
        return _LOOKS_LIKE_REPORT.match(self._leaf(parameters, fields, body[:400], 200)) is not None

    def _leaf(self, parameters: dict[str, str], fields: dict[str, str], body: bytes, limit: int) -> str:
        encoding = fields.get("content-transfer-encoding", "").strip().lower()
        if encoding.startswith("base64"):
            body = from_base64(body[: 2 * limit])
        elif encoding.startswith("quoted"):
            body = binascii.a2b_qp(body[: 3 * limit])
        return text_of(body[:limit], parameters.get("charset", "")).replace("\r\n", "\n").replace("\r", "\n")


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Header and body. A part that begins with an empty line has no header."""
    if raw.startswith((b"\n", b"\r\n")):
        return b"", raw.lstrip(b"\r\n")
    end = _HEADER_END.search(raw, 0, MAX_HEADER)
    start, after = end.span() if end else (MAX_HEADER, len(raw))
    # Some write carriage returns alone.
    bare = raw.find(b"\r\r", 0, start + 1 if end else MAX_HEADER)
    if bare >= 0:
        start, after = bare, bare + 2
    elif end is None:
        return raw[:MAX_HEADER], b""
    return raw[: start - raw.endswith(b"\r", 0, start)], raw[after:]


class _PartHead(Struct, frozen=True):
    """The header of a part: the first field of each name, and its type. `says_nothing`: none is of its content."""

    fields: dict[str, str]
    type: str
    parameters: dict[str, str]
    says_nothing: bool


def _read_head(head: bytes) -> _PartHead:
    fields = dict(reversed(_fields(head)))
    says_nothing = bool(head.strip()) and not any(name.startswith("content-") for name in fields)
    return _PartHead(fields, *_content_type(fields), says_nothing)


_usual_head = lru_cache(maxsize=256)(_read_head)
"""A mail system heads the parts of all its reports alike. What it gives is not changed by anybody."""


def _fields(head: bytes) -> list[tuple[str, str]]:
    fields: list[list[str]] = []
    # An octet a character until a value is whole: only then it can be told what it is beyond ASCII.
    lines = head.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n").split("\n", MAX_LINES)
    for line in lines[:MAX_LINES]:
        match = _FIELD.match(line)
        if match:
            if len(fields) == MAX_FIELDS:
                break
            fields.append([match[1].lower(), match[2].strip(_BLANKS)])
        elif fields and line.startswith((" ", "\t")) and len(fields[-1][1]) < MAX_VALUE:
            fields[-1][1] += " " + line.strip(_BLANKS)
    if head.isascii():
        return [(name, value[:MAX_VALUE].strip()) for name, value in fields]
    return [(name, text_of(value[:MAX_VALUE].encode("latin-1")).strip()) for name, value in fields]


def _content_type(fields: dict[str, str]) -> tuple[str, dict[str, str]]:
    value = fields.get("content-type", "")[:4096]
    match = _TYPE.match(value)
    if match is None:
        return "text/plain", {}
    parameters = {m.group(1).lower(): m.group(2) or m.group(3) or "" for m in _PARAMETER.finditer(value, match.end())}
    return match.group(1).lower(), parameters

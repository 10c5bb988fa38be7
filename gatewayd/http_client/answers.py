"""The reading half of a small HTTP/1.1 client: bytes in, one bounded answer out (RFC 9112).

Owns the framing of an answer to a GET or POST. Knows no socket, no clock and no URL.
"""

import re
import zlib
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache

from msgspec import Struct

MAX_HEAD = 16_384
MAX_BODY = 65_536

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: |$)")
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")
_KEEP_FOR = re.compile(rb"(?:^|[,;\s])timeout=(\d{1,6})\b", re.IGNORECASE)
_LONGEST_CHUNK_LINE = 1_024
_SECONDS = re.compile(r"[0-9]{1,300}(?:\.[0-9]{1,9})?", re.ASCII)
_EITHER_WRAPPING = zlib.MAX_WBITS + 32
_WRAPPINGS = {
    b"gzip": (_EITHER_WRAPPING,),
    b"x-gzip": (_EITHER_WRAPPING,),
    b"deflate": (_EITHER_WRAPPING, -zlib.MAX_WBITS),  # many leave out the zlib format around it (RFC 9110 8.4.1.2)
}
"""Content codings that are read, and what may be around the deflate stream; the first that fits counts."""

LONGEST_WAIT = 3_600.0
"""Seconds that a Retry-After counts for at most."""


class BadAnswer(Exception):
    """What came is not an HTTP/1.1 answer, or larger than we read. The text holds nothing of it."""


class TooLarge(BadAnswer):
    """An answer whose head is well, and whose body is larger than we read."""


def asked_for(retry_after: str, now: float) -> float | None:
    """When to come again, from a Retry-After in seconds or as a date (RFC 9110 10.2.3); None where it says nothing.

    Some count parts of a second as well.
    """
    if _SECONDS.fullmatch(retry_after):
        wait = float(retry_after)
    else:
        try:
            when = parsedate_to_datetime(retry_after)
        except (ValueError, OverflowError):
            return None
        wait = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now
    return now + min(max(wait, 0.0), LONGEST_WAIT)


class _Head(Struct, frozen=True):
    """What an answer's head says that concerns us; of an interim answer no more than its status."""

    status: int
    keep: bool = False
    length: bytes | None = None
    coding: bytes | None = None
    retry_after: str = ""
    keep_for: float | None = None
    wrappings: tuple[int, ...] = ()


@lru_cache(maxsize=64)
def _read_head(head: bytes) -> _Head:
    """Remembered: within a second most answers of one host are the same to the letter, but for their bodies.

    Raises BadAnswer.
    """
    first, *lines = head.splitlines() or [b""]
    status = _STATUS.match(first)
    if status is None:
        raise BadAnswer("it does not speak HTTP/1.1")
    code = int(status[2])
    if code == 101:
        raise BadAnswer("it wants another protocol")
    return _fields(code, status[1] == b"1", lines) if code >= 200 else _Head(code)


def _fields(status: int, modern: bool, lines: list[bytes]) -> _Head:
    """`modern` is HTTP/1.1."""
    keep, retry_after, keep_for = modern, "", None
    length: bytes | None = None
    coding: bytes | None = None
    wrappings: tuple[int, ...] = ()
    for line in lines:
        name, _, value = line.partition(b":")
        name, value = name.rstrip().lower(), value.strip()
        if name == b"content-length":
            # What a proxy joined of several that agree is one (RFC 9112 6.3).
            said = {one.strip() for one in value.split(b",")} | ({length} if length is not None else set())
            length = said.pop()
            if said or not length.isdigit():
                raise BadAnswer("its length is unclear")
        elif name == b"transfer-encoding":
            coding = value.lower() if value.lower() != b"identity" else coding
        elif name == b"connection":
            options = value.lower()
            keep = b"close" not in options and (modern or b"keep-alive" in options)
        elif name == b"retry-after":
            retry_after = value.decode("latin-1")
        elif name == b"keep-alive" and (found := _KEEP_FOR.search(value)):
            keep_for = float(found[1])
        elif name == b"content-encoding":
            wrappings = _WRAPPINGS.get(value.lower(), ())
    return _Head(status, keep, length, coding, retry_after, keep_for, wrappings)


def _unpacked(body: bytes, wrappings: tuple[int, ...]) -> bytes:
    """What was compressed, though we ask for no such thing: some servers, and proxies before them, always do.

    What can't be unpacked, or is larger than we read, stays as it came: nobody will take it for a text.
    """
    for wrapping in wrappings:
        unpacking = zlib.decompressobj(wrapping)
        try:
            text = unpacking.decompress(body, MAX_BODY)
        except zlib.error:
            continue
        return text if unpacking.eof else body
    return body


class AnswerReader:
    """Reads one answer. `status`, `body`, `keep` (the connection may serve again) count once `complete` is true.

    `keep_for`: the seconds for which the other side keeps the connection, where it says so.
    """

    __slots__ = (
        "_body",
        "_buffer",
        "_head_is_in",
        "_heads",
        "_step",
        "_wanted",
        "_wrappings",
        "body",
        "complete",
        "keep",
        "keep_for",
        "retry_after",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.body = b""
        self.keep = False
        self.complete = False
        self.retry_after = ""
        self.keep_for: float | None = None
        self._buffer = b""
        self._body = bytearray()
        self._head_is_in = False
        self._heads = 0
        self._wrappings: tuple[int, ...] = ()
        self._wanted = 0
        # A function and not a method: one that an object keeps of itself is memory that only a search for cycles finds.
        self._step: Callable[[AnswerReader], bool] = AnswerReader._head

    def received(self, data: bytes) -> bool:
        """Take the next bytes; true once the answer is complete. Raises BadAnswer."""
        self._buffer = self._buffer + data if self._buffer else data
        while not self.complete and self._step(self):
            pass
        if self.complete and self._buffer:
            # Nobody asked for more: whatever follows must not become the answer to the next request.
            self.keep = False
        return self.complete

    def closed(self) -> bool:
        """The peer closed the connection; true where that is how this answer ends, or all of its body had come."""
        if not self.complete and self._step in (AnswerReader._until_closed, AnswerReader._trailer):
            self._finish(bytes(self._body))
        return self.complete

    @property
    def begun(self) -> bool:
        """Whether any byte of an answer came."""
        return self.complete or bool(self._buffer) or self._step is not AnswerReader._head

    @property
    def is_no_success(self) -> bool:
        """Whether its head is in and says so: whatever is missing of its body can't make it one."""
        return self._head_is_in and not 200 <= self.status < 300

    def _finish(self, body: bytes) -> bool:
        self.body = _unpacked(body, self._wrappings)
        self.complete = True
        return False

    def _head(self) -> bool:
        end = _END_OF_HEAD.search(self._buffer)
        if end is None or end.start() > MAX_HEAD:
            if len(self._buffer) > MAX_HEAD:
                raise BadAnswer("its head is too long")
            return False
        self._count_head(end.end())
        head = _read_head(self._buffer[: end.start()])
        self._buffer = self._buffer[end.end() :]
        self.status = head.status
        if head.status < 200:
            return True
        self._head_is_in = True
        self.keep, self.keep_for, self.retry_after = head.keep, head.keep_for, head.retry_after
        self._wrappings = head.wrappings
        self._framing(head.length, head.coding)
        return not self.complete

    def _framing(self, length: bytes | None, coding: bytes | None) -> None:
        """How the end of the body is known (RFC 9112 6.3)."""
        if self.status in (204, 304):
            self._finish(b"")
        elif coding is not None:
            if coding != b"chunked":
                raise BadAnswer("its transfer coding is unknown")
            # Beside a length the coding counts; who says both may mean something else by what follows (RFC 9112 6.3).
            self.keep = self.keep and length is None
            self._step = AnswerReader._chunk_line
        elif length is not None:
            self._wanted = int(length[:10])
            if self._wanted > MAX_BODY:
                raise TooLarge("it is too large")
            self._step = AnswerReader._counted
        else:
            self.keep = False
            self._step = AnswerReader._until_closed

    def _counted(self) -> bool:
        if len(self._buffer) < self._wanted:
            return False
        body, self._buffer = self._buffer[: self._wanted], self._buffer[self._wanted :]
        return self._finish(body)

    def _until_closed(self) -> bool:
        self._consume(len(self._buffer))
        return False

    def _chunk_line(self) -> bool:
        line = self._line()
        if line is None:
            return False
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise BadAnswer("its chunks are unreadable")
        self._wanted = int(match[1], 16)
        self._step = AnswerReader._chunk if self._wanted else AnswerReader._trailer
        return True

    def _chunk(self) -> bool:
        ready = min(self._wanted, len(self._buffer))
        self._consume(ready)
        self._wanted -= ready
        if self._wanted:
            return False
        self._step = AnswerReader._chunk_end
        return True

    def _chunk_end(self) -> bool:
        line = self._line()
        if line:
            raise BadAnswer("its chunks are unreadable")
        self._step = AnswerReader._chunk_line if line is not None else AnswerReader._chunk_end
        return line is not None

    def _trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        self._count_head(len(line))
        return bool(line) or self._finish(bytes(self._body))

    def _count_head(self, size: int) -> None:
        # Interim answers and trailers may go on for ever, and cost a core for as long as they are read.
        self._heads += size
        if self._heads > MAX_HEAD:
            raise BadAnswer("its head is too long")

    def _line(self) -> bytes | None:
        line, newline, rest = self._buffer.partition(b"\n")
        if len(line) > _LONGEST_CHUNK_LINE:
            raise BadAnswer("its chunks are unreadable")
        if not newline:
            return None
        self._buffer = rest
        return line.removesuffix(b"\r")

    def _consume(self, size: int) -> None:
        self._body += self._buffer[:size]
        self._buffer = self._buffer[size:]
        if len(self._body) > MAX_BODY:
            raise TooLarge("it is too large")

"""Bytes to HTTP/1.1 requests, with tight limits on what is no body. No I/O: whoever has a connection feeds it.

The framing is httptools', which is llhttp. Must not know who is answered, or how.
"""

import re
from collections.abc import Callable

import httptools

from gatewayd.http.request import Request

MAX_HEADERS = 100
MAX_HEADER_BYTES = 16384
FRUITLESS = 24576
"""Bytes that the parser may be fed with while nothing comes of them: a header, a trailer, a chunk's extension."""

MANY_CHUNKS = 2000
SMALL_CHUNK = 64
"""Chunks of a body whose mean size must not be less octets than that: each costs as much as its own read."""

_FRAMING = (b"content-length", b"transfer-encoding")

_REQUEST_LINE = re.compile(rb"(\S{1,1000}) (\S{1,8192}) HTTP/\d\.\d\r?$")


class NotHttp(Exception):
    """What came is not HTTP, or has more headers than we read; `request` is as far as it could be read."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self.request = request


class NoMemory(NotHttp):
    """There was no memory to read the request into: it is not its fault."""


class _TooMuch(Exception):
    """More headers than we read."""


class RequestReader:
    """Calls `on_head(request)` once a head is in, `on_piece(request, data)` for the body, `on_end(request)` at its end.

    `body_left` is what is known to come still of the body that is being read, 0 where nothing is known.
    """

    def __init__(
        self,
        new_request: Callable[[], Request],
        *,
        on_head: Callable[[Request], None],
        on_piece: Callable[[Request, bytes], None],
        on_end: Callable[[Request], None],
    ) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._new_request = new_request
        self._on_head = on_head
        self._on_piece = on_piece
        self._on_end = on_end
        self.request: Request | None = None
        self.body_left = 0
        self._head_is_in = False
        self._is_offer = False  # the request in hand offers another protocol, and has a body
        self._head_bytes = 0
        self._chunks = 0
        self._body_bytes = 0
        self._fruitless = 0
        self._line = b""  # the beginning of a request line
        self._ended = 0

    @property
    def has_begun(self) -> bool:
        """A request has begun, and is not in."""
        return self.request is not None or bool(self._line)

    def feed(self, data: bytes) -> bool:
        """Read `data`; False where what follows is of another protocol, to which we do not change. Raises NotHttp."""
        at_start = self.request is None
        if at_start:
            # llhttp gives up at the first letter of a method that it does not know: it gets whole request lines.
            data, self._line = self._line + data, b""
            if b"\n" not in data.lstrip(b"\r\n") and len(data) <= MAX_HEADER_BYTES:
                self._line = data
                return True
        self._fruitless += len(data)
        ended = self._ended
        try:
            goes_on = self._parse(data)
            if self._fruitless > FRUITLESS:
                raise _TooMuch
        except (httptools.HttpParserError, _TooMuch, MemoryError) as error:
            line = data if at_start and ended == self._ended else b""
            # httptools says of whatever a callback raised that its callback failed.
            kind = NoMemory if MemoryError in (type(error), type(error.__context__)) else NotHttp
            raise kind(self._as_far_as_read(line)) from None
        return goes_on

    def _parse(self, data: bytes) -> bool:
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if not self._is_offer:
                    return False
                data = data[offer.args[0] :]
                self._pass_over_offer()
            else:
                return True

    def _pass_over_offer(self) -> None:
        """Read the body of a request that offers another protocol, as if it did not (RFC 9110, 7.8).

        httptools takes such a request's head for its end. Another parser reads on, which knows of it how its body ends.
        """
        request, self.request = self.request, None
        self._parser = httptools.HttpRequestParser(self)
        try:
            if request is not None:
                framing = [b"%s: %s\r\n" % header for header in request.headers if header[0] in _FRAMING]
                close = b"" if request.keep_alive else b"connection: close\r\n"
                self._head_bytes = 0
                self._parser.feed_data(b"POST / HTTP/1.1\r\n" + close + b"".join(framing) + b"\r\n")
        finally:
            self._is_offer = False
            self.request = request

    def end(self) -> None:
        """Nothing more is read. Reader, parser and who is called name each other: garbage that must be searched for."""
        del self._parser, self._new_request, self._on_head, self._on_piece, self._on_end

    def _as_far_as_read(self, data: bytes) -> Request:
        """The request, by its first line where the parser did not come so far; the path is b"" where there is none."""
        request = self.request or self._new_request()
        found = _REQUEST_LINE.match(data.lstrip(b"\r\n").partition(b"\n")[0]) if not request.uri else None
        if found:
            request.method, request.uri = found[1], found[2]
        request.locate()
        return request

    # The parser's callbacks ----------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._is_offer:
            return
        self.request = self._new_request()
        self.body_left = self._head_bytes = self._fruitless = self._chunks = self._body_bytes = 0
        self._head_is_in = False

    def on_url(self, part: bytes) -> None:
        """A part of the request line's target."""
        if self.request is not None:
            self.request.uri += part
            self._count_head(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; or one trailer of a chunked body, which is not kept."""
        self._count_head(len(name) + len(value) + 4)
        if self.request is not None and not self._head_is_in:
            headers = self.request.headers
            # llhttp leaves off the blanks before it, and not those behind it.
            headers.append((name.lower(), value.rstrip(b" \t")))
            if len(headers) > MAX_HEADERS:
                raise _TooMuch

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEADER_BYTES:
            raise _TooMuch

    def on_headers_complete(self) -> None:
        """The head is in."""
        request = self.request
        if request is None:
            return
        self._head_is_in, self._fruitless = True, 0
        request.method = self._parser.get_method()
        request.keep_alive = self._parser.should_keep_alive()
        request.locate()
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            raise _TooMuch
        self.body_left = int(request.header(b"content-length") or 0)
        if self._parser.should_upgrade() and request.method != b"CONNECT":
            self._is_offer = bool(self.body_left) or request.header(b"transfer-encoding") is not None
        # Who speaks HTTP/1.0 would take a 100 for the answer (RFC 9110, 10.1.1).
        expected = request.header(b"expect") if self._parser.get_http_version() == "1.1" else None
        request.expects_100 = expected is not None and expected.lower() == b"100-continue"
        self._on_head(request)

    def on_chunk_header(self) -> None:
        """The body's next chunk begins."""
        if self._chunks >= MANY_CHUNKS and self._body_bytes < self._chunks * SMALL_CHUNK:
            raise _TooMuch
        self._chunks += 1

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._fruitless = 0
        self._body_bytes += len(data)
        self.body_left -= len(data)
        if self.request is not None:
            self._on_piece(self.request, data)

    def on_message_complete(self) -> None:
        """The request is in."""
        if self._is_offer:
            return
        request, self.request = self.request, None
        self.body_left = self._fruitless = 0
        self._ended += 1
        if request is not None:
            self._on_end(request)

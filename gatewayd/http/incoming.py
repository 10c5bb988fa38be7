"""What one caller sends: bytes to requests that wait for their turn, and the refusal that is the last answer.

Owns what has come and is not looked at yet, the limits on what comes, and the memory of it. Must not know when a
request is answered, or by what means.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from twisted.logger import Logger

from gatewayd.http.door import Answer
from gatewayd.http.reader import NoMemory, NotHttp, RequestReader
from gatewayd.http.request import Request

if TYPE_CHECKING:
    from gatewayd.http.site import Site

log = Logger()

SLICE = 8192
"""Bytes that are looked at in one go: what is pipelined in them is parsed at once, and answered a request a turn."""

TOGETHER = 0.05
"""Seconds within which bytes are kept as having come at one moment."""

AHEAD = 65536
"""Bytes that a caller may send before the answers to what came earlier; then their socket is not read."""

NOBODYS = Answer(status=400)
"""To what names no path."""


class WaitingRequest(NamedTuple):
    """A request that waits for its turn; `answer` is the door's. The last one's answer ends the connection."""

    request: Request
    answer: Answer | None = None
    is_last: bool = False


class IncomingRequests:
    """What comes on one connection, until it `is_over`.

    `waiting` are the requests that wait for their turn. `held` counts the bytes of bodies in memory, with that of the
    request which is being answered. `go_ahead` is called where a caller waits for our word to send a body.
    """

    def __init__(self, site: "Site", new_request: Callable[[], Request], go_ahead: Callable[[], None]) -> None:
        self.waiting: deque[WaitingRequest] = deque()
        self.held = 0
        self.is_over = False
        self.refused = False  # the answer that ends the connection is decided, before its request was in
        self.refused_is_in = False  # the rest of that request has come
        self._site = site
        self._go_ahead = go_ahead
        self._reader = RequestReader(
            new_request, on_head=self._head_came, on_piece=self._piece_came, on_end=self._end_came
        )
        self._unread: deque[tuple[float, bytes]] = deque()  # since when each piece is here
        self._unread_size = 0
        self._now_read_came_at = 0.0
        self._turned_away: Answer | None = None  # the door's answer to the request that comes in, which has no body

    @property
    def receiving(self) -> bool:
        """A request has begun, and is not in."""
        return self._reader.has_begun

    @property
    def has_more(self) -> bool:
        """There are requests to answer, or bytes to look at."""
        return bool(self.waiting or self._unread)

    @property
    def is_ahead(self) -> bool:
        """So much is not looked at yet that no more should be read."""
        return self._unread_size > AHEAD

    @property
    def may_be_refused(self) -> Request | None:
        """The request that comes in, while its answer is not decided."""
        return None if self.refused else self._reader.request

    def add(self, data: bytes, came_at: float) -> None:
        """Keep it until it is looked at; `came_at` is when it reached this host."""
        unread = self._unread
        self._unread_size += len(data)
        if unread and came_at - unread[-1][0] < TOGETHER:
            came_at, before = unread.pop()
            data = before + data
        unread.append((came_at, data))

    def read(self) -> None:
        """Look at what came until a request waits for its turn."""
        while self._unread and not self.waiting:
            # Of a body that is known to be this long nothing else can be in these bytes.
            self._feed(max(SLICE, self._reader.body_left))

    def read_rest(self) -> None:
        """Throw away what came of the request that was refused."""
        while self._unread:
            self._feed(AHEAD)

    def refuse(self, request: Request, answer: Answer | None) -> None:
        """This answer is the connection's last, and given before the rest of its request is in.

        None is for what names no path, and so is nobody's: it gets 400 without a word.
        """
        self.refused = True
        request.keep_alive = False
        request.drop_body()
        self.waiting.append(WaitingRequest(request, answer or NOBODYS, is_last=True))

    def release(self) -> None:
        """Nobody needs the bodies that came any more."""
        self._site.hold(-self.held)
        self.held = 0

    def stop(self) -> None:
        """Nothing more is listened to, and what waits gets no answer."""
        self._listen_no_more()
        self.waiting.clear()

    def end(self) -> None:
        """The connection is gone. It and what calls it name each other: garbage that must be searched for."""
        self.stop()
        self.release()
        self._reader.end()
        del self._go_ahead

    def _listen_no_more(self) -> None:
        self.is_over = True
        self._unread.clear()
        self._unread_size = 0

    def _feed(self, size: int) -> None:
        self._now_read_came_at, data = self._unread.popleft()
        if len(data) > size:
            self._unread.appendleft((self._now_read_came_at, data[size:]))
            data = data[:size]
        self._unread_size -= len(data)
        try:
            if not self._reader.feed(data):
                self._listen_no_more()
                if self.waiting:
                    self.waiting[-1].request.keep_alive = False
        except NotHttp as fault:
            self._listen_no_more()
            if not self.refused:
                door = self._site.door
                says = door.not_http
                if isinstance(fault, NoMemory):
                    says = door.busy
                    log.critical("a caller was told to come again: there was no memory for it", log_limited=True)
                self._refuse(fault.request, says(fault.request) if fault.request.path else None)

    def _refuse(self, request: Request, answer: Answer | None) -> None:
        """While bytes are looked at nothing is being answered."""
        self.release()
        self.refuse(request, answer)

    def _head_came(self, request: Request) -> None:
        """Ask the door, and whether so much may come."""
        if self.refused:
            return
        door = self._site.door
        answer = door.admit(request)
        if answer is None and self._reader.body_left > request.most_body:
            answer = door.too_large(request)
        if answer is not None and (self._reader.body_left or request.header(b"transfer-encoding") is not None):
            self._refuse(request, answer)
        elif answer is not None:
            self._turned_away = answer
        elif not self.waiting and request.expects_100:
            self._go_ahead()

    def _piece_came(self, request: Request, data: bytes) -> None:
        """Keep it, unless the answer is decided."""
        if self.refused:
            return
        if request.size + len(data) > request.most_body:
            self._refuse(request, self._site.door.too_large(request))
            return
        request.add(data)
        self.held += len(data)
        self._site.hold(len(data))

    def _end_came(self, request: Request) -> None:
        if self.refused:
            self.refused_is_in = True
            self._listen_no_more()
        else:
            request.came_at = self._now_read_came_at
            self.waiting.append(WaitingRequest(request, self._turned_away))
            self._turned_away = None

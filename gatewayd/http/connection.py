"""One caller's connection: bytes to requests, one answered at a time, and no caller's turn longer than another's.

Owns the turns, the limits on time and memory, and what becomes of a caller who drips, floods, or does not read. Must
not know what is asked for: that is its site's door and routes.
"""

from collections import deque
from collections.abc import Callable
from socket import socket
from typing import Any, NamedTuple
from typing import Protocol as Interface

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gatewayd.http.door import Answer, Door, as_bytes
from gatewayd.http.eager import write_now
from gatewayd.http.kernel import waited
from gatewayd.http.reader import NotHttp, RequestReader
from gatewayd.http.request import Request
from gatewayd.http.turns import Turns
from gatewayd.http.unread import Unread

SLOW = 60.0
"""Seconds that a caller has for one request, from its first byte to its last, and to stay idle between two."""

LINGER = 30.0
"""Seconds for which the rest of a refused request is read and thrown away: closing at once would reset the
connection, and the caller might never see the answer."""

FOREVER = float("inf")

SLICE = 8192
"""Bytes that are looked at in one go: what is pipelined in them is parsed at once, and answered a request a turn."""

AHEAD = 65536
"""Bytes that a caller may send before the answers to what came earlier; then their socket is not read."""

_NOBODYS = Answer(status=400)
_BARE_REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Listening(Interface):
    """What a connection asks of its listener, and tells it (site.Site, which explains them)."""

    reactor: Any
    door: Door
    answer: Callable[[Request], Answer | Deferred[Answer]]
    max_body: int
    turns: Turns
    draining: bool

    def opened(self, connection: "ServerConnection") -> None:
        """It is there."""

    def closed(self, connection: "ServerConnection") -> None:
        """It is gone."""

    def hold(self, size: int) -> None:
        """So many bytes more, or less, are in memory for it."""

    def date(self) -> bytes:
        """For the header of that name."""


class _Asked(NamedTuple):
    """A request that waits for its turn; `answer` is the door's. The last one's answer ends the connection."""

    request: Request
    answer: Answer | None = None
    is_last: bool = False


@implementer(IHalfCloseableProtocol, IPushProducer)
class ServerConnection(Protocol):
    """HTTP/1.1 with tight limits, known to its site from open to closed.

    `deadline` is when the site ends it: a timer for each connection and request cost more than a look at all of them
    from time to time. `came_at` is when what is asked reached this host. `held` counts the bytes of bodies that it
    keeps in memory. With `beyond` it is one more than the site wants: it gets one answer, which says so.
    """

    transport: Any

    def __init__(self, site: Listening) -> None:
        self._site = site
        self._reader = RequestReader(
            self._new_request, on_head=self._head_came, on_piece=self._piece_came, on_end=self._end_came
        )
        self.deadline = FOREVER
        self.peer = ""
        self.held = 0
        self.came_at = 0.0
        self.beyond = False
        self.served = 0
        self.bare: socket | None = None  # what the kernel is asked about
        self._unread_answers = Unread(None)
        self._unread = b""
        self._asked: deque[_Asked] = deque()
        self._turned_away: Answer | None = None  # the door's answer to the request that comes in, which has no body
        self._answering: Request | None = None
        self._turn_comes = False
        self._refused = False  # the answer that ends the connection is decided, before its request was in
        self._refused_is_in = False  # the rest of that request has come
        self._reads_no_more = False  # nothing more is listened to
        self._not_reading = False  # the caller does not read what we say
        self._heard_all = False  # the caller has closed its side
        self._closing = False
        self._lost = False

    # From Twisted --------------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """A caller connected."""
        self.transport.registerProducer(self, True)
        self.peer = getattr(self.transport.getPeer(), "host", "")
        self.bare = getattr(self.transport, "socket", None)
        self._unread_answers = Unread(self.bare)
        self.deadline = self._site.reactor.seconds() + SLOW
        self._site.opened(self)

    def dataReceived(self, data: bytes) -> None:
        """Bytes came. They do not prolong the time of a request that has begun, so that nobody can drip one in."""
        if self._reads_no_more:
            return
        now = self._site.reactor.seconds()
        if self.idle:
            self.deadline = now + SLOW
        self._unread = self._unread + data if self._unread else data
        if not self._is_occupied:
            self.came_at = now - waited(self.bare)
            self._go_on()
        if len(self._unread) > AHEAD:
            self.transport.pauseProducing()

    def readConnectionLost(self) -> None:
        """The caller has sent all that it wants to send; what is being answered is answered still."""
        self._heard_all = True
        if not self._is_occupied:
            self.close()

    def writeConnectionLost(self) -> None:
        """We have said all that we want to say: see `_linger`."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; what was begun for it goes on to its end, and its answer is dropped."""
        self._lost = self._reads_no_more = True
        self._asked.clear()
        if self._answering is not None:
            self._site.turns.ended()
        self._answering = None
        self._reader.end()
        self._release()
        self._site.closed(self)

    def pauseProducing(self) -> None:
        """The caller does not read what we say: nothing more of theirs is read or answered, or it fills our memory."""
        self._not_reading = True
        self.transport.pauseProducing()
        self.deadline = self._unread_answers.begins(self._site.reactor.seconds(), closing=self._closing)

    def resumeProducing(self) -> None:
        """The caller has read: go on where we stood."""
        self._not_reading = False
        self.deadline = self._site.reactor.seconds() + SLOW
        self._read_on()
        self._take_turn()

    def stopProducing(self) -> None:
        """The transport is closing."""

    def _new_request(self) -> Request:
        return Request(self.peer, self._site.max_body)

    # Bytes to requests ---------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """No request is being received or answered."""
        return not (self.receiving or self._is_occupied or self._unread)

    @property
    def receiving(self) -> bool:
        """A request has begun, and is not in."""
        return self._reader.has_begun

    @property
    def _is_occupied(self) -> bool:
        """Answers are due before more is looked at."""
        return bool(self._asked) or self._answering is not None or self._not_reading

    def give_way(self) -> None:
        """All callers together have sent more than we keep: of the requests that come in, this one is the largest."""
        request = self._reader.request
        if request is not None and not self._refused:
            self._refuse(request, self._site.door.busy(request))
            self._answer_next()

    def _go_on(self) -> None:
        """Look at what came until a request is complete, and begin its answer."""
        while self._unread and not self._asked and not self._reads_no_more:
            # Of a body that is known to be this long nothing else can be in these bytes.
            size = max(SLICE, self._reader.body_left)
            piece, self._unread = self._unread[:size], self._unread[size:]
            self._feed(piece)
        self._answer_next()
        if self._refused and not self._asked and self._answering is None:
            while self._unread and not self._reads_no_more:
                piece, self._unread = self._unread[:AHEAD], self._unread[AHEAD:]
                self._feed(piece)
            if self._refused_is_in and not self._closing:
                self.close()
        if self._reads_no_more:
            self._unread = b""

    def _feed(self, data: bytes) -> None:
        try:
            if not self._reader.feed(data):
                self._reads_no_more = True
                if self._asked:
                    self._asked[-1].request.keep_alive = False
        except NotHttp as fault:
            self._reads_no_more = True
            if not self._refused:
                self._refuse(fault.request, self._site.door.not_http(fault.request) if fault.request.path else None)

    def _head_came(self, request: Request) -> None:
        """Ask the door, and whether so much may come."""
        if self._refused:
            return
        door = self._site.door
        answer = door.admit(request)
        if answer is None and self._reader.body_left > request.most_body:
            answer = door.too_large(request)
        if answer is not None and (self._reader.body_left or request.header(b"transfer-encoding") is not None):
            self._refuse(request, answer)
        elif answer is not None:
            self._turned_away = answer
        elif not self._is_occupied and (request.header(b"expect") or b"").lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _piece_came(self, request: Request, data: bytes) -> None:
        """Keep it, unless the answer is decided."""
        if self._refused:
            return
        if request.size + len(data) > request.most_body:
            self._refuse(request, self._site.door.too_large(request))
            return
        request.add(data)
        self.held += len(data)
        self._site.hold(len(data))

    def _end_came(self, request: Request) -> None:
        if self._refused:
            self._refused_is_in = self._reads_no_more = True
        else:
            self._asked.append(_Asked(request, self._turned_away))
            self._turned_away = None

    def _refuse(self, request: Request, answer: Answer | None) -> None:
        """This answer is the connection's last, and given before the rest of its request is in.

        None is for what names no path, and so is nobody's: it gets 400 without a word.
        """
        self._refused = True
        request.keep_alive = False
        request.drop_body()
        if self._answering is None:
            self._release()
        self._asked.append(_Asked(request, answer or _NOBODYS, is_last=True))

    # Requests to answers -------------------------------------------------------------------------------------------

    def _take_turn(self) -> None:
        """Come again in a turn of the reactor's own, after everybody else's: who pipelines keeps nobody waiting."""
        if not self._turn_comes and (self._asked or self._unread) and not self._lost:
            self._turn_comes = True
            self._site.reactor.callLater(0, self._turn)

    def _turn(self) -> None:
        self._turn_comes = False
        if self._lost or self._closing or self._answering is not None or self._not_reading:
            return
        self._go_on()
        if self._heard_all and not self._is_occupied and not self._closing:
            self.close()
        self._read_on()

    def _read_on(self) -> None:
        if len(self._unread) <= AHEAD and not (self._not_reading or self._lost or self._closing):
            self.transport.resumeProducing()

    def _answer_next(self) -> None:
        if not self._asked or self._answering is not None or self._not_reading:
            return
        request, answer, is_last = self._asked.popleft()
        site = self._site
        if answer is not None:
            if not is_last:
                self._answered(answer, request)
                return
            if answer is _NOBODYS:
                self.transport.write(_BARE_REFUSAL)
            else:
                self._write(request, answer)
            if self._refused_is_in:
                self.close()
            else:
                self._linger()
            return
        if self.beyond:
            request.keep_alive = False
            self._answered(site.door.busy(request), request)
            return
        self._answering = request
        self.deadline = FOREVER  # from here on it is we who are slow
        request.came_at = self.came_at
        site.turns.take(self)

    def begin(self) -> None:
        """See turns.Waiting. Of who has hung up in the line nothing is begun."""
        request = self._answering
        if request is None:
            return
        answering = self._site.answer(request)
        if isinstance(answering, Deferred):
            answering.addCallback(self._answered, request)
        else:
            self._answered(answering, request)

    def turn_away(self) -> None:
        """See turns.Waiting."""
        request = self._answering
        if request is not None:
            self._answered(self._site.door.busy(request), request)

    def _answered(self, answer: Answer, request: Request) -> None:
        if self._lost:
            return
        if self._answering is not None:
            self._answering = None
            self._site.turns.ended()
        self.served += 1
        if self._site.draining:
            request.keep_alive = False
        self.came_at = self._site.reactor.seconds()  # of what was sent ahead: it waited for its own caller's
        self.deadline = self.came_at + SLOW
        self._write(request, answer)
        if not self.receiving:
            self._release()
        if not request.keep_alive or (self._heard_all and not (self._asked or self._unread)):
            self.close()
        else:
            self._take_turn()

    def _release(self) -> None:
        self._site.hold(-self.held)
        self.held = 0

    def _write(self, request: Request, answer: Answer) -> None:
        if self._site.draining:
            request.keep_alive = False
        write_now(self.transport, as_bytes(answer, request, self._site.date()))

    # Ends ----------------------------------------------------------------------------------------------------------

    def _linger(self) -> None:
        """The answer is out before the request was in: what still comes has LINGER seconds."""
        self.deadline = self._site.reactor.seconds() + LINGER
        if hasattr(self.transport, "loseWriteConnection") and not ISSLTransport.providedBy(self.transport):
            # Who reads until we close need not wait so long.
            self.transport.loseWriteConnection()

    def close(self) -> None:
        """Close once all is written; nothing more is answered."""
        self._reads_no_more = self._closing = True
        self._asked.clear()
        self._unread = b""
        self.deadline = self._unread_answers.begins(self._site.reactor.seconds(), closing=True)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def end(self) -> None:
        """Too slow, or idle for too long: close, and cut off who does not close or read."""
        if not (self._closing or self._not_reading):
            self.close()
        elif more := self._unread_answers.goes_on(self._site.reactor.seconds()):
            self.deadline = more
        else:
            self.abort()

    def abort(self) -> None:
        """Cut it off."""
        self.transport.abortConnection()

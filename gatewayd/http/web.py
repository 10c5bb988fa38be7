"""What every HTTP listener of ours shares: a lean site that can refuse before a body is read, and drain.

Owns the limits on requests (headers, body, time), the answers' form on the wire, and the ports. Must not know what
is asked for: paths, labels and error codes belong to api, public and admin.
"""

# Twisted's HTTP classes have few annotations, and most of what is here extends them.
# mypy: disallow-untyped-calls=False

from email.utils import formatdate
from io import BytesIO
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.http import RESPONSES, HTTPChannel, parse_qs
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import implementer

from gatewayd.http.door import Answer, Door, OpenDoor

# The listener's other half; who serves a site starts here.
from gatewayd.http.ports import Listener as Listener
from gatewayd.http.ports import listen as listen

log = Logger()

SLOW = 60.0
"""Seconds that a caller has for one request, from its first byte to its last, and to stay idle between two."""

LINGER = 30.0
"""Seconds for which the rest of a refused request is read and thrown away: closing at once would reset the
connection, and the caller might never see the answer."""

LAST_WORDS = 0.5
"""Seconds for which a draining site still listens to idle connections: under load the next request is on its way or in
the kernel's buffer already, and closing would throw it away unanswered."""

ABORT = 15.0
SWEEP = 1.0
FOREVER = float("inf")
MAX_HEADERS = 100
MAX_HEADER_BYTES = 16384


def respond(request: Any, answer: Answer) -> None:
    """Write `answer` and finish the request; nothing happens where the caller has hung up."""
    if request.finished or request._disconnected:
        return
    if isinstance(request, LeanRequest):
        request.respond(answer)
        return
    request.setResponseCode(answer.status)
    request.setHeader(b"Content-Type", answer.content_type)
    request.setHeader(b"Content-Length", b"%d" % len(answer.body))
    for name, value in answer.headers:
        request.setHeader(name, value)
    request.write(answer.body)
    request.finish()


class LeanRequest(Request):
    """A request without form parsing and resource walk, that the site's door may refuse when its head is in."""

    channel: Any
    site: Any
    content: Any
    _refused = False
    _received = 0
    _counted = False

    def gotLength(self, length: int | None) -> None:
        """The head is complete (`length` is None for a chunked body): ask the door."""
        site = self._take_head()
        answer = site.door.admit(self)
        if answer is None and length is not None and length > site.max_body:
            answer = site.door.too_large(self)
        if answer is not None:
            self._refuse(answer)

    def refuse_not_http(self) -> None:
        """What follows is not HTTP: say so, unless the answer is given already."""
        if not self._refused:
            self._refuse(self._take_head().door.not_http(self))

    def _take_head(self) -> "LeanSite":
        channel = self.channel
        self.site = site = cast("LeanSite", channel.site)
        self.content = BytesIO()
        self.method, uri, self.clientproto = channel._command, channel._path, channel._version
        self.uri = uri
        if not uri.startswith(b"/") and b"://" in uri:
            # RFC 9112 3.2.2: absolute-form must be understood by every server.
            uri = b"/" + uri.partition(b"://")[2].partition(b"/")[2]
        self.path, _, query = uri.partition(b"?")
        self.args = parse_qs(query, True) if query else {}
        return site

    def handleContentChunk(self, data: bytes) -> None:
        """Part of the body came: keep it, count it, or drop it where the answer is already given."""
        if self._refused:
            return
        self._received += len(data)
        if self._received > self.site.max_body:
            self._refuse(self.site.door.too_large(self))
        else:
            self.content.write(data)

    def _refuse(self, answer: Answer) -> None:
        """Answer now; `requestReceived` or the channel's time-out ends the request once its rest was thrown away."""
        self._refused = True
        self.requestHeaders.removeHeader(b"Expect")
        self.channel.persistent = False
        self._write(answer)
        self.channel.linger()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """The whole request is in."""
        if self._refused:
            if not self._disconnected:
                self.finish()
            return
        self.content.seek(0)
        self.process()

    def process(self) -> None:
        """Render the site's one resource."""
        site = self.site
        self._counted = True
        site.in_flight += 1
        if site.draining:
            self.channel.persistent = False
        self.prepath = []
        self.postpath = list(map(unquote_to_bytes, self.path[1:].split(b"/")))
        try:
            self.render(site.resource)
        except Exception:
            self.processingFailed(Failure())

    def write(self, data: bytes) -> None:
        """As in Request, with our own Date and without a Server header."""
        if not self.startedWriting:
            self.responseHeaders.setRawHeaders(b"Date", [self.site.date()])
            if not self.channel.persistent:
                self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        super().write(data)

    def respond(self, answer: Answer) -> None:
        """Write `answer` in one piece, and finish."""
        self._write(answer)
        self.finish()

    def _write(self, answer: Answer) -> None:
        channel = self.channel
        if self.site.draining:
            channel.persistent = False
        reason = RESPONSES.get(answer.status, b"")
        head = [
            b"HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
            % (answer.status, reason, self.site.date(), answer.content_type, len(answer.body))
        ]
        head.extend(b"%s: %s\r\n" % pair for pair in answer.headers)
        head.append(b"\r\n" if channel.persistent else b"Connection: close\r\n\r\n")
        if self.method != b"HEAD":
            head.append(answer.body)
        self.code, self.startedWriting, self.sentLength = answer.status, 1, len(answer.body)
        channel.write(b"".join(head))

    def _cleanup(self) -> None:
        self._uncount()
        super()._cleanup()

    def connectionLost(self, reason: Failure) -> None:
        """The caller hung up."""
        self._uncount()
        super().connectionLost(reason)

    def _uncount(self) -> None:
        if self._counted:
            self._counted = False
            self.site.in_flight -= 1


@implementer(IHalfCloseableProtocol)
class LeanChannel(HTTPChannel):
    """One connection: HTTP/1.1 with tight limits, known to its site from open to closed."""

    maxHeaders = MAX_HEADERS
    totalHeadersSize = MAX_HEADER_BYTES
    site: "LeanSite"
    transport: Any
    timeOut = None
    # When the site ends it; a timer for each connection and request cost more than a look at all of them at times.
    deadline = FOREVER
    _ending = False
    _deaf = False
    _heard_all = False
    _unread: Request | None = None  # answered, but the caller has not read so far

    def connectionMade(self) -> None:
        """A caller connected."""
        super().connectionMade()
        # Every request asks for both, and the transport asks the kernel each time.
        self._peer, self._host = self.transport.getPeer(), self.transport.getHost()
        self.deadline = self.site.reactor.seconds() + SLOW
        self.site.opened(self)

    def getPeer(self) -> Any:
        """Who called."""
        return self._peer

    def getHost(self) -> Any:
        """Where they called."""
        return self._host

    def dataReceived(self, data: bytes) -> None:
        """Bytes came. They do not prolong the time of a request that has begun, so that nobody can drip one in."""
        if self._deaf:
            return
        if self.idle:
            self.deadline = self.site.reactor.seconds() + SLOW
        LineReceiver.dataReceived(self, data)

    def headerReceived(self, line: bytes) -> bool:
        """One header. Twisted reads a length with int(), which raises for thousands of digits."""
        try:
            return bool(super().headerReceived(line))
        except ValueError:
            self._respondToBadRequestAndDisconnect()
            return False

    def lineLengthExceeded(self, line: bytes) -> None:
        """A header that is too long is no HTTP of ours either."""
        self._respondToBadRequestAndDisconnect()

    def _respondToBadRequestAndDisconnect(self) -> None:
        # Twisted's one word for whatever is not HTTP. Closing at once could cost the caller the answer.
        self._deaf = True
        self.clearLineBuffer()
        if hasattr(self, "_path"):
            self.requests[-1].refuse_not_http()
        else:
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.linger()

    def linger(self) -> None:
        """The answer is out before the request was in: what still comes has LINGER seconds."""
        self.deadline = self.site.reactor.seconds() + LINGER
        if hasattr(self.transport, "loseWriteConnection") and not ISSLTransport.providedBy(self.transport):
            # Who reads until we close need not wait so long.
            self.transport.loseWriteConnection()

    def readConnectionLost(self) -> None:
        """The caller has sent all that it wants to send; what is being answered is answered still."""
        self._heard_all = True
        if not self._handlingRequest:
            self.loseConnection()

    def writeConnectionLost(self) -> None:
        """We have said all that we want to say: see `linger`."""

    def allContentReceived(self) -> None:
        """From here on it is we who are slow."""
        self.deadline = FOREVER
        super().allContentReceived()

    def requestDone(self, request: Request) -> None:
        """An answer is written; while the site drains it was the last one on this connection."""
        if self.site.draining:
            self.persistent = False
        self.deadline = self.site.reactor.seconds() + SLOW
        if self._waitingForTransport and self.persistent:
            self._unread = request
        else:
            self._go_on(request)

    def _go_on(self, request: Request) -> None:
        super().requestDone(request)
        if self._heard_all and not self._handlingRequest:
            self.loseConnection()

    def pauseProducing(self) -> None:
        """The caller does not read what we say: nothing more of theirs is read or answered, or it fills our memory.

        Twisted stops only the answer that is being written, and reads and answers whatever is pipelined behind it.
        """
        super().pauseProducing()
        self._networkProducer.pauseProducing()

    def resumeProducing(self) -> None:
        """The caller has read: go on where we stood."""
        super().resumeProducing()
        request, self._unread = self._unread, None
        if request is not None:
            self._go_on(request)

    @property
    def idle(self) -> bool:
        """No request is being received or answered."""
        return not (self.requests or self._buffer)

    def end(self, now: float) -> None:
        """Too slow, or idle for too long: close, and cut off what does not close."""
        if self._ending:
            self.transport.abortConnection()
        else:
            self._ending, self.deadline = True, now + ABORT
            self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self.site.closed(self)
        super().connectionLost(reason)


class LeanSite(Site):
    """A listener's factory without access log, sessions, form parsing and HTTP/2.

    `max_body` is in bytes; `door` decides on each request's head.
    """

    protocol: Any = LeanChannel
    requestFactory = LeanRequest
    noisy = False

    def __init__(self, reactor: Any, resource: IResource, *, max_body: int = 65536, door: Door | None = None) -> None:
        super().__init__(resource, timeout=None, reactor=reactor, parsePOSTFormSubmission=False)
        self.max_body = max_body
        self.door: Door = door or OpenDoor()
        self.in_flight = 0
        self.draining = False
        self.channels: set[LeanChannel] = set()
        self._emptied: list[Deferred[None]] = []
        self._sweeping: Any = None
        self._date = (0, b"")

    def startFactory(self) -> None:
        """No access log: no clock for its lines either."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: object) -> None:
        """No access log: accept tells of messages in one event of its own, and this one cost as much as the rest."""

    def acceptableProtocols(self) -> list[bytes]:
        """HTTP/1.1 only."""
        return [b"http/1.1"]

    def date(self) -> bytes:
        """Now, as the Date header wants it; made once a second."""
        now = int(self.reactor.seconds())
        if now != self._date[0]:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]

    async def drain(self, limit: float) -> None:
        """Let running requests be answered, close idle connections, and return once the last answer has left.

        What still comes within LAST_WORDS is answered, too. After `limit` seconds what is left is cut off.
        """
        self.draining = True
        if not self.channels:
            return
        done: Deferred[None] = Deferred()
        self._emptied.append(done)
        timers = [
            self.reactor.callLater(LAST_WORDS, self._close_idle),
            self.reactor.callLater(limit, self._cut_off),
        ]
        await done
        for timer in timers:
            if timer.active():
                timer.cancel()

    def _close_idle(self) -> None:
        for channel in [channel for channel in self.channels if channel.idle]:
            channel.loseConnection()

    def _cut_off(self) -> None:
        log.warn("{count} connections did not end in time and were cut off", count=len(self.channels))
        for channel in list(self.channels):
            channel.transport.abortConnection()

    def opened(self, channel: LeanChannel) -> None:
        """A connection is there."""
        self.channels.add(channel)
        if self._sweeping is None:
            self._sweeping = self.reactor.callLater(SWEEP, self._sweep)

    def closed(self, channel: LeanChannel) -> None:
        """A connection is gone."""
        self.channels.discard(channel)
        if self.channels:
            return
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        waiting, self._emptied = self._emptied, []
        for done in waiting:
            done.callback(None)

    def _sweep(self) -> None:
        self._sweeping = self.reactor.callLater(SWEEP, self._sweep)
        now = self.reactor.seconds()
        for channel in [channel for channel in self.channels if channel.deadline <= now]:
            channel.end(now)

"""One caller's connection: requests are answered one at a time, and no caller's turn is longer than another's.

Owns the turns, the limits on time, and what becomes of a caller who drips, floods, or does not read. Must not know
what is asked for: that is its site's door and routes.
"""

from socket import socket
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, ISSLTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.haproxy._wrapper import HAProxyProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from gatewayd.http.door import Answer, as_bytes
from gatewayd.http.eager import write_now
from gatewayd.http.incoming import NOBODYS, IncomingRequests
from gatewayd.http.kernel import has_spoken
from gatewayd.http.request import Request
from gatewayd.http.unread import Unread

if TYPE_CHECKING:
    from gatewayd.http.site import Site

SLOW = 60.0
"""Seconds that a caller has for one request, from its first byte to its last, and to stay idle between two."""

LINGER = 30.0
"""Seconds for which the rest of a refused request is read and thrown away: closing at once would reset the
connection, and the caller might never see the answer."""

AT_ONCE = 50
"""Requests of one caller that are told in one turn that they have waited for too long."""

FOREVER = float("inf")

_BARE_REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@implementer(IHalfCloseableProtocol, IPushProducer)
class ServerConnection(Protocol):
    """HTTP/1.1 with tight limits, known to its site from open to closed.

    `deadline` is when the site ends it: a timer for each connection and request cost more than a look at all of them
    from time to time. `came_at` is when what is being answered reached this host. With `beyond` it is one more than the
    site wants: it gets one answer, which says so.
    """

    transport: Any

    def __init__(self, site: "Site") -> None:
        self._site = site
        self._incoming = IncomingRequests(site, self._new_request, self._go_ahead)
        self.deadline = FOREVER
        self.peer = ""
        self.came_at = 0.0
        self.beyond = False
        self.served = 0
        self.bare: socket | None = None  # what the kernel is asked about
        self._unread_answers = Unread(None)
        self._answering: Request | None = None
        self._turn_comes = False
        self._was_turned_away = False  # the latest answer was that there is no time for it
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
        incoming = self._incoming
        if incoming.is_over:
            return
        now = self._site.reactor.seconds()
        if self.idle:
            self.deadline = now + SLOW
        incoming.add(data, now - self._site.waited(self.bare))
        if not self._is_occupied:
            self._go_on()
        if incoming.is_ahead:
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
        self._lost = True
        if self._answering is not None:
            self._site.turns.ended()
        self._answering = None
        self._incoming.end()
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
        peer = self.peer
        if isinstance(self.transport, HAProxyProtocolWrapper):
            # Behind "haproxy:" the caller's address comes with the first bytes, and not with the connection.
            peer = getattr(self.transport.getPeer(), "host", "")
        return Request(peer, self._site.max_body)

    def _go_ahead(self) -> None:
        self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # What comes in -------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """No request is being received or answered."""
        return not (self.receiving or self._incoming.has_more or self._answering is not None or self._not_reading)

    @property
    def receiving(self) -> bool:
        """A request has begun, and is not in."""
        return self._incoming.receiving

    @property
    def is_answered(self) -> bool:
        """All that was to be said is with the kernel, and the connection is about to close."""
        return self._closing and not self._not_reading

    @property
    def held(self) -> int:
        """Bytes of bodies in memory."""
        return self._incoming.held

    @property
    def _is_occupied(self) -> bool:
        """Answers are due before more is looked at."""
        return bool(self._incoming.waiting) or self._answering is not None or self._not_reading

    def give_way(self) -> None:
        """All callers together have sent more than we keep: of the requests that come in, this one is the largest."""
        incoming = self._incoming
        request = incoming.may_be_refused
        if request is not None:
            if self._answering is None:
                incoming.release()
            incoming.refuse(request, self._site.door.busy(request))
            self._answer_next()

    def _go_on(self) -> None:
        """Look at what came until a request is complete, and begin its answer."""
        incoming = self._incoming
        incoming.read()
        self._answer_next()
        if incoming.refused and not incoming.waiting and self._answering is None:
            incoming.read_rest()
            if incoming.refused_is_in and not self._closing:
                self.close()

    # Requests to answers -------------------------------------------------------------------------------------------

    def _take_turn(self) -> None:
        """Come again in a turn of the reactor's own, after everybody else's: who pipelines keeps nobody waiting."""
        if not self._turn_comes and self._incoming.has_more and not self._lost:
            self._turn_comes = True
            self._site.reactor.callLater(0, self._turn)

    def _turn(self) -> None:
        self._turn_comes = False
        for _ in range(AT_ONCE):
            if self._lost or self._closing or self._answering is not None or self._not_reading:
                return
            self._was_turned_away = False
            self._go_on()
            if not (self._was_turned_away and self._incoming.has_more):
                break
        if self._heard_all and not self._is_occupied and not self._closing:
            self.close()
        self._read_on()

    def _read_on(self) -> None:
        if not (self._incoming.is_ahead or self._not_reading or self._lost or self._closing):
            self.transport.resumeProducing()

    def _answer_next(self) -> None:
        incoming = self._incoming
        if not incoming.waiting or self._answering is not None or self._not_reading:
            return
        request, answer, is_last = incoming.waiting.popleft()
        site = self._site
        if answer is not None:
            if not is_last:
                self._answered(answer, request)
                return
            if answer is NOBODYS:
                self.transport.write(_BARE_REFUSAL)
            else:
                self._write(request, answer)
            if incoming.refused_is_in:
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
        self.came_at = request.came_at
        site.turns.join(self)

    def begin(self) -> None:
        """See turns.InLine. Of who has hung up in the line nothing is begun."""
        request = self._answering
        if request is None:
            return
        request.came_at -= self._site.turns.late
        answering = self._site.answer(request)
        if isinstance(answering, Deferred):
            answering.addCallback(self._answered, request)
        else:
            self._answered(answering, request)

    def turn_away(self) -> None:
        """See turns.InLine."""
        request = self._answering
        if request is not None:
            self._was_turned_away = True
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
        self.deadline = self._site.reactor.seconds() + SLOW
        self._write(request, answer)
        if not self.receiving:
            self._incoming.release()
        if not request.keep_alive or (self._heard_all and not self._incoming.has_more):
            self.close()
        else:
            self._take_turn()

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
        self._closing = True
        self._incoming.stop()
        self.deadline = self._unread_answers.begins(self._site.reactor.seconds(), closing=True)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def close_idle(self) -> bool:
        """Close it where it is idle; False where something came that nobody has read: see `end`."""
        if self._closing or not self.idle:
            return True
        if has_spoken(self.bare):
            return False
        self.close()
        return True

    def end(self) -> None:
        """Too slow, or idle for too long: close, and cut off who does not close or read.

        What came while this process had no CPU lies unread when its timers ring: it is answered before anything ends.
        """
        if not (self._closing or self._not_reading):
            if not self.idle:
                self.close()
            else:
                self.close_idle()
        elif more := self._unread_answers.next_look(self._site.reactor.seconds()):
            self.deadline = more
        else:
            self.abort()

    def abort(self) -> None:
        """Cut it off."""
        self.transport.abortConnection()

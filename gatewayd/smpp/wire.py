"""One connection to an SMSC: octets between the transport and the session, and the session's one timer.

Owns nothing that outlives the connection. It knows no message, no account and no other connection.
"""

from collections.abc import Callable
from typing import Any, Protocol

from msgspec import structs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure

from gatewayd.core import tls
from gatewayd.core.lateness import READING, overslept
from gatewayd.core.unread import LONGEST, UnreadGuard
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.dial import Dialled
from gatewayd.smpp.events import Bound, Closed, Event
from gatewayd.smpp.session import SmppSession

ABORT_AFTER = 2.0
"""Seconds that a peer has to take our close; then the connection is cut."""

REQUESTS_AT_ONCE = 2000
"""Receipts and texts of one connection that are being stored: nothing more is read of it until half of them are.

Refused for now, they would be lost of an SMSC that brings none again.
"""


class Holder(Protocol):
    """Whom a wire tells."""

    def opened(self, wire: "Wire") -> None:
        """The connection is there, and the bind is about to be written."""

    def happened(self, wire: "Wire", event: Event) -> None:
        """One event of the session."""

    def room(self, wire: "Wire") -> None:
        """The peer reads again, and more may be written."""

    def lost(self, wire: "Wire") -> None:
        """The connection is gone; why, the session's last event said."""


class Wire(Dialled):
    """One connection: carries bytes between the transport and the session, and ticks it."""

    transport: Any

    def __init__(self, clock: IReactorTime, session: SmppSession, request: smpp.Bind, holder: Holder) -> None:
        super().__init__()
        self.session = session
        self.gone: Deferred[None] = Deferred()
        self.bound_for = 0.0
        self.node = ""  # whom we reached, where an account has several hosts or a name several addresses
        self._clock = clock
        self._request = request
        self._holder = holder
        self._bound_at: float | None = None
        self._timer: IDelayedCall | None = None
        self._abort: IDelayedCall | None = None
        self._unread: UnreadGuard | None = None
        self._requests = 0  # of the peer, that are being stored
        self._is_busy = False  # with so many that nothing more is read

    @property
    def congested(self) -> bool:
        """The peer does not read what we wrote: nothing new is to be written."""
        return self._unread is not None and self._unread.full

    def connectionMade(self) -> None:
        """Twisted: connected; the bind goes out at once."""
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.node = str(self.transport.getPeer())
        self.session.bind(self._request, self._clock.seconds())
        self._holder.opened(self)
        self._done([])

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes."""
        if self._unread is None:
            # Not before: in its handshake TLS pauses us while it waits to read.
            self._unread = UnreadGuard(self._clock, self.transport, self._give_up, on_room=self._read_again)
            self._unread.begin()
        self._done(self.session.received(data, self._clock.seconds()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: gone, by whomever."""
        for timer in (self._timer, self._abort):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._abort = None
        if self._unread is not None:
            self._unread.end()
        # It ends in one way or the other by chance, and a bind that is refused so is one trouble, and one line.
        hung_up = "the other side hung up" if reason.check(ConnectionClosed) else type(reason.value).__name__
        text = f"connection lost: {tls.fault(reason.value) or self.in_full(hung_up)}"[:200]
        for event in self.session.connection_lost(text):
            self._holder.happened(self, event)
        if self._bound_at is not None:
            self.bound_for = self._clock.seconds() - self._bound_at
        self._holder.lost(self)
        self.gone.callback(None)

    def leave(self, *, at_once: bool = True) -> None:
        """Unbind first, then close; as SmppSession.unbind."""
        self.session.unbind(self._clock.seconds(), at_once=at_once)
        self._done([])

    def hang_up(self) -> None:
        """Close without a word, as an unbound session does."""
        if self._unread is not None:
            self._unread.end()
        self.transport.loseConnection()
        self._abort_later()

    def begin_request(self) -> None:
        """A receipt or text begins to be stored."""
        self._requests += 1
        if self._requests >= REQUESTS_AT_ONCE and not self._is_busy:
            self._is_busy = True
            self.transport.pauseProducing()

    def end_request(self) -> None:
        """It is stored, or can't be."""
        self._requests -= 1
        if self._is_busy and self._requests <= REQUESTS_AT_ONCE // 2:
            self._is_busy = False
            if not self.congested:
                self.transport.resumeProducing()

    def answer(self, request: smpp.DeliverSm | smpp.DataSm, status: int) -> None:
        """Answer a receipt or text, where the session still lives."""
        events = self.session.answer(request, status, self._clock.seconds())
        if events:
            self._done(events)
        else:
            self._write()

    def submit(self, octets: bytes, token: object, now: float) -> None:
        """Put an encoded submit_sm on the wire in this very call, as SmppSession.submit."""
        self.session.submit(octets, token, now)
        self._write()
        # Its answer is all that is new to wait for, and seldom what the timer has to ring for first.
        if self._timer is None or self._timer.getTime() > now + self.session.timers.response:
            self.schedule()

    def _write(self) -> None:
        octets = self.session.outgoing()
        if octets:
            self.transport.write(octets)

    def schedule(self) -> None:
        """Keep one timer, at or before the session's moment: it is cheaper to wake early than to move it often."""
        when = self.session.when()
        if when is None:
            return
        if self._timer is not None:
            if self._timer.getTime() <= when:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(max(0.0, when - self._clock.seconds()), self._tick)

    def _tick(self) -> None:
        timer, self._timer = self._timer, None
        now = self._clock.seconds()
        if overslept(timer, now) or self.congested or self._is_busy:
            # What the peer said may lie unread: it is not judged by the clock before that is read.
            self._timer = self._clock.callLater(READING, self._tick)
            return
        when = self.session.when()
        self._done(self.session.tick(now) if when is not None and now >= when else [])

    def _done(self, events: list[Event]) -> None:
        closed = False
        for event in events:
            if isinstance(event, Bound):
                self._bound_at = self._clock.seconds()
            if isinstance(event, Closed):
                closed, event = True, structs.replace(event, reason=self.in_full(event.reason))
            self._holder.happened(self, event)
        self._write()
        self.schedule()
        if closed:
            self.hang_up()

    def _give_up(self) -> None:
        """The peer has not read for long: cut it, with whatever it has not read."""
        for event in self.session.connection_lost(f"the peer did not read what we wrote for {LONGEST:.0f} s"):
            self._holder.happened(self, event)
        self.transport.abortConnection()

    def _read_again(self) -> None:
        if self._is_busy:
            self.transport.pauseProducing()
        self._holder.room(self)

    def _abort_later(self) -> None:
        if self._abort is None:
            self._abort = self._clock.callLater(ABORT_AFTER, self.transport.abortConnection)


class WireFactory(Factory):
    """Makes the one wire of one try to connect."""

    noisy = False

    def __init__(
        self, clock: IReactorTime, session: Callable[[], SmppSession], request: smpp.Bind, holder: Holder
    ) -> None:
        self._clock = clock
        self._session = session
        self._request = request
        self._holder = holder

    def buildProtocol(self, addr: object) -> "Wire":
        """Twisted: connected, nearly."""
        return Wire(self._clock, self._session(), self._request, self._holder)

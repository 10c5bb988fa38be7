"""One kept HTTP/1.1 connection: a request, its answer, the next one. Knows no URL, host or back-off.

Pipelining is left out on purpose: a lost connection would leave several answers unknown, and one slow answer would
hold up all behind it.
"""

from socket import MSG_DONTWAIT, MSG_PEEK
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IHandshakeListener, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gatewayd.core import tls
from gatewayd.core.lateness import READING, overslept
from gatewayd.http.eager import write_now
from gatewayd.http_client.answers import AnswerReader, BadAnswer

if TYPE_CHECKING:
    from gatewayd.http_client.origin import Origin

IDLE = 50.0
"""Seconds that a connection is kept unused: shorter than the 60 s of many servers, so that they seldom close first."""

SPARE = 1.0
"""Seconds before the moment at which the other side said it would close, so that it never closes first."""

HASTY = 1.0
"""Seconds after its answer: who closes a kept connection so soon, and did not say so, does it with each."""

ONCE_FOR = 60.0
"""Seconds for which the connections to such a one are used once: what was written to one that closes may be there."""

_TICK = 0.5  # seconds between two looks at what is late
_LOOK = MSG_PEEK | MSG_DONTWAIT


class TooLate(Exception):
    """The answer did not come in time."""


class Stale(Exception):
    """A kept connection was closed by the peer just as we used it again."""


class CertificateRefused(SSL.Error):
    """The other side ended the handshake for want of a certificate of ours that it likes: no request was read.

    In TLS 1.3 our own handshake is complete by then, and a request written: its Finished and whatever follows are read
    after our certificate only (RFC 8446 4.4.2.4, 6.2).
    """


@implementer(IHandshakeListener)
class ClientConnection(Protocol):
    """One connection: a request, its answer, and so on. One timer looks after whatever is due.

    It enters and leaves its owner's collections by itself. It is kept `idle` seconds unused, or for as long as the
    other side's Keep-Alive says, if that is shorter; not at all while its owner's are used once.
    """

    def __init__(self, clock: Any, owner: "Origin", idle: float = IDLE) -> None:
        self.until = 0.0  # when the answer is too late, or the idle connection is closed
        self._clock = clock
        self._owner = owner
        self._idle = idle
        self._waiting: Deferred[AnswerReader] | None = None
        self._reader = AnswerReader()
        self._answered = False  # ever, whatever became of it then
        self._served = False
        self._answered_at = 0.0
        self._ended_here = False
        self._handshaken = False
        self._securing: Deferred[None] | None = None
        self._closed: Deferred[None] = Deferred()
        self._timer: Any = None

    def connectionMade(self) -> None:
        """Begin to look after time."""
        assert self.transport is not None
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        self._owner.connections.add(self)
        self._timer = self._clock.callLater(_TICK, self._tick)

    @property
    def alive(self) -> bool:
        """Whether what is written now may still arrive, as far as this machine has heard."""
        return self in self._owner.connections and not _is_ended(self.transport)

    @property
    def has_served(self) -> bool:
        """Whether an answer came on it: only then its end, while it was kept, is nobody's fault."""
        return self._served

    @property
    def so_far(self) -> AnswerReader:
        """What came of the latest answer, where that did not come whole."""
        return self._reader

    @property
    def is_spoken_to(self) -> bool:
        """Whether anything came since it was asked last."""
        return self._reader.begun

    def handshakeCompleted(self) -> None:
        """Twisted: TLS stands."""
        self._handshaken = True
        waiting, self._securing = self._securing, None
        if waiting is not None:
            waiting.callback(None)

    def secured(self) -> Deferred[None]:
        """Fires once TLS stands; errs with why it never will. To be asked for once, of a connection with TLS."""
        if self._handshaken:
            return succeed(None)
        waiting = self._securing = Deferred(self._give_up_handshake)
        return waiting

    def rest(self) -> None:
        """Keep it for the next request, unless it is gone or serves one only."""
        now = self._clock.seconds()
        if now < self._owner.used_once_until:
            self.abandon()
        elif self.alive:
            self.until = now + self._idle
            self._owner.idle.append(self)

    def ask(self, request: bytes, until: float) -> Deferred[AnswerReader]:
        """Send `request`; the answer must be complete at `until`. Cancelling closes the connection."""
        assert self.transport is not None
        self._reader = AnswerReader()
        self.until = until
        waiting = self._waiting = Deferred(self._cancelled)
        write_now(self.transport, request)
        return waiting

    def abandon(self) -> Deferred[None]:
        """Close at once; fires when closed."""
        assert self.transport is not None
        self._ended_here = True
        if self in self._owner.idle:
            self._owner.idle.remove(self)
        cast(ITCPTransport, self.transport).abortConnection()
        return self._closed

    def dataReceived(self, data: bytes) -> None:
        """The next bytes of the answer; bytes that nobody asked for end the connection."""
        if self._waiting is None:
            self.abandon()
            return
        try:
            complete = self._reader.received(data)
        except BadAnswer as problem:
            self._give_up(problem)
            return
        if complete:
            self._answer()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone, which may be how the answer ends; else whoever waits hears of it."""
        self._timer.cancel()
        now = self._clock.seconds()
        if answered := self._waiting is not None and self._reader.closed():
            self._is_answered()
        elif not self._answered and not self._ended_here:
            self._owner.addresses.led_nowhere(self.transport)
        if self._served and not self._ended_here and now < self._answered_at + HASTY:
            self._owner.used_once_until = max(self._owner.used_once_until, now + ONCE_FOR)
        self._owner.connections.discard(self)
        if self in self._owner.idle:
            self._owner.idle.remove(self)
        securing, self._securing = self._securing, None
        if securing is not None:
            securing.errback(reason)
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            if answered:
                waiting.callback(self._reader)
            elif self._served and not self._reader.begun:
                waiting.errback(Failure(Stale()))
            elif not self._reader.begun and _is_about_our_certificate(reason.value):
                waiting.errback(Failure(CertificateRefused(*reason.value.args)))
            else:
                waiting.errback(reason)
        self._closed.callback(None)

    def _answer(self) -> None:
        assert self._waiting is not None
        assert self.transport is not None
        waiting, self._waiting = self._waiting, None
        self._is_answered()
        if self._reader.keep:
            self._served = True
            self._answered_at = self._clock.seconds()
            kept = self._reader.keep_for
            self.rest()
            if kept is not None:
                self.until = min(self.until, self._clock.seconds() + kept - SPARE)
        else:
            self.transport.loseConnection()
            self.until = self._clock.seconds() + _TICK
        waiting.callback(self._reader)

    def _is_answered(self) -> None:
        if not self._answered:
            self._answered = True
            self._owner.addresses.led_there(self.transport)

    def _tick(self) -> None:
        now = self._clock.seconds()
        left = self.until - now if self.until else _TICK
        if left <= 0 and overslept(self._timer, now):
            left = READING
        # Re-armed before giving up: connectionLost may come at once, and cancels the timer.
        self._timer = self._clock.callLater(min(_TICK, left) if left > 0 else _TICK, self._tick)
        if left <= 0:
            self._is_too_late()

    def _is_too_late(self) -> None:
        was_asked = self._waiting is not None
        self._give_up(TooLate())
        if was_asked:
            self._owner.addresses.led_nowhere(self.transport)
            # An address that is gone ends no connection: each that is kept would cost another request its time.
            for kept in list(self._owner.idle):
                kept.abandon()

    def _give_up(self, problem: Exception) -> None:
        waiting, self._waiting = self._waiting, None
        self.abandon()
        if waiting is not None:
            waiting.errback(Failure(problem))

    def _give_up_handshake(self, _: Deferred[None]) -> None:
        self._securing = None
        self.abandon()

    def _cancelled(self, _: Deferred[AnswerReader]) -> None:
        self._waiting = None
        self.abandon()


def _is_about_our_certificate(problem: BaseException | None) -> TypeGuard[SSL.Error]:
    return isinstance(problem, SSL.Error) and any(fault.endswith(tls.OURS_REFUSED) for fault in tls.faults(problem))


def _is_ended(transport: Any) -> bool:
    """Whether the peer's end of the connection lies unread in the socket: the reactor would tell it a turn later."""
    # Under TLS the socket is the inner transport's; in memory there is none.
    socket = getattr(getattr(transport, "transport", transport), "socket", None)
    if socket is None:
        return False
    try:
        return not socket.recv(1, _LOOK)
    except BlockingIOError:
        return False
    except OSError:
        return True

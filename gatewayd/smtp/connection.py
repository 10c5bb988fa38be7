"""One connection to a relay up to the point where mail can be sent, and what goes on for as long as it lasts.

Owns reading replies in order, NOOP, QUIT and every end. What is said before mail can be sent knows negotiation.py, how
long a reply may take reply_deadline.py. Knows nothing of messages: client.py adds the transactions.
"""

import socket
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import ISSLTransport
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from gatewayd.config.clear_text import beyond_loopback
from gatewayd.core import tls
from gatewayd.http.eager import write_now
from gatewayd.smtp.negotiation import Login, Negotiation, RelayTrouble
from gatewayd.smtp.replies import LINE_LIMIT, BadReply, Reply, ReplyReader, Stage, cleaned
from gatewayd.smtp.reply_deadline import ReplyDeadline
from gatewayd.smtp.timeouts import Timeouts

UNHEARD = 60_000
"""Milliseconds for which the relay's host may leave unheard what we wrote, before the connection is lost: an address
that is gone must not hold mail for the five and ten minutes that a relay which is there may think about it."""


class RelayConnection(LineOnlyReceiver, ABC):
    """A conversation with one relay. `ready` fires with it once mail can be sent, or fails with RelayTrouble.

    `on_lost` is called once with the connection when it is gone, whatever the reason.
    """

    delimiter = b"\n"
    """Some relays end a line so; the carriage return before it, where there is one, is no part of the line."""

    MAX_LENGTH = LINE_LIMIT
    transport: Any

    def __init__(
        self,
        clock: Any,
        login: Login,
        *,
        timeouts: Timeouts | None = None,
        on_lost: Callable[[Any], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._timeouts = timeouts or Timeouts()
        self._on_lost = on_lost
        self.ready: Deferred[Any] = Deferred(lambda _: self.drop("given up"))
        self.negotiation = Negotiation(login)
        self.pipelining = False
        self.alive = False  # mail can be sent
        self.chores = 0
        """Commands so far that bring no mail, which relays count."""
        self.last_reply = 0.0  # seconds since the epoch
        self.timed_out = False  # it ended because a reply did not come
        self.why = ""  # it ended, in words
        self._reader = ReplyReader()
        self._expected: deque[Stage] = deque()  # whose replies are due, in order
        self._noop: Deferred[bool] | None = None
        self._deadline = ReplyDeadline(clock, self._is_waiting, self._is_late)  # of the first reply that is due
        self._leaving = False  # QUIT was written
        self._parted = False  # QUIT was answered, and the connection is closing
        self._dropped = False  # nothing that still comes is read

    # -- for callers --------------------------------------------------------------------------------------------

    def probe(self) -> Deferred[bool]:
        """NOOP on an idle connection; fires with whether it was answered well."""
        noop: Deferred[bool] = Deferred()
        self._noop = noop
        self.chores += 1
        self._send(b"NOOP\r\n", Stage.NOOP)
        return noop

    def quit(self) -> None:
        """Take leave as soon as nothing is under way; it is not `alive` from now on."""
        self.alive = False
        self._leave_if_idle()

    def drop(self, why: str) -> None:
        """Close the connection at once."""
        self.why = self.why or why
        self.alive = False
        self._dropped = True
        if self.transport is not None:
            self.transport.abortConnection()

    # -- for client.py ------------------------------------------------------------------------------------------

    @abstractmethod
    def _replied(self, stage: Stage, reply: Reply) -> None:
        """A reply to a command of a transaction came."""

    def _all_read(self) -> None:
        """All whole lines that came have been read."""

    def _was_reset(self) -> None:
        """RSET was answered well."""

    def _went_away(self, stage: Stage, reply: Reply) -> None:
        """421 came; the connection is closed next, nothing may be written any more."""

    def _ended(self, stage: Stage) -> None:
        """The connection is gone; `stage` is the reply that it owed."""

    def _leave_if_idle(self) -> None:
        if not self._expected and not self._leaving and not self._dropped:
            self._leaving = True
            self._send(b"QUIT\r\n", Stage.QUIT)

    # -- what Twisted calls -------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """The peer speaks first."""
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
            _end_if_unheard(self.transport)
        self.negotiation.connected(
            _literal(self.transport.getHost()),
            secure=ISSLTransport.providedBy(self.transport),
            loopback=_is_loopback(self.transport.getPeer()),
        )
        self._expect(Stage.CONNECT)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Whatever waits is told."""
        self.alive = False
        self._dropped = True
        self._deadline.stop()
        self.why = self.why or _why_lost(reason)
        stage = self._expected[0] if self._expected else Stage.CONNECT
        # First: whoever is told next may look for another connection, and must not find this one.
        self._on_lost(self)
        self._ended(stage)
        noop, self._noop = self._noop, None
        if noop is not None:
            noop.callback(False)
        if not self.ready.called:
            self.ready.errback(RelayTrouble(f"{self.why} ({stage})"))

    def dataReceived(self, data: bytes) -> None:
        """As the base class, but nothing that came in the clear may pass as said inside TLS."""
        LineOnlyReceiver.dataReceived(self, data)
        self._all_read()
        if self.negotiation.switching and not self._dropped:
            if self._buffer:
                self.drop("text after the answer to STARTTLS")
                return
            try:
                context = self.negotiation.tls_context()
            except RelayTrouble as trouble:
                self._fail(trouble)
                return
            self.transport.startTLS(context)
            self._send(*self.negotiation.under_tls())

    def lineReceived(self, line: bytes) -> None:
        """One line of a reply."""
        if self._dropped:
            return
        if self.negotiation.switching:
            self.drop("text after the answer to STARTTLS")
            return
        try:
            reply = self._reader.add(line.removesuffix(b"\r"))
        except BadReply as error:
            self.drop(str(error))
            return
        if reply is None:
            return
        self.last_reply = self._clock.seconds()
        reply = self.negotiation.without_secrets(reply)
        if not self._expected:
            # Unasked: a relay that says good-bye (421), or a peer that does not speak SMTP.
            self.drop(cleaned(f"{reply.code} {reply.text}"))
            return
        stage = self._expected.popleft()
        if self._expected:
            self._deadline.moment = self.last_reply + self._timeouts.of(self._expected[0])
        if reply.code == 421 and stage is not Stage.QUIT:
            self.why = cleaned(f"{reply.code} {reply.text}")
            self.alive = False
            self._dropped = True
            self._went_away(stage, reply)
            self.drop(self.why)
        elif stage in _IN_TRANSACTION:
            self._replied(stage, reply)
        elif stage in _OPENING:
            self._opened_further(stage, reply)
        else:
            self._OUTSIDE[stage](self, reply)

    def lineLengthExceeded(self, line: bytes) -> None:
        """No relay has that much to say."""
        self.drop("a reply line without end")

    # -- replies outside a transaction --------------------------------------------------------------------------

    def _opened_further(self, stage: Stage, reply: Reply) -> None:
        try:
            command = self.negotiation.next_command(stage, reply)
        except RelayTrouble as trouble:
            self._fail(trouble)
            return
        if command is not None:
            self._send(*command)
        elif not self.negotiation.switching:
            self._is_ready()

    def _is_ready(self) -> None:
        self.pipelining = "PIPELINING" in self.negotiation.offer
        self.alive = True
        if not self.ready.called:
            self.ready.callback(self)

    def _reset(self, reply: Reply) -> None:
        if reply.code != 250:
            self.drop("it does not take RSET")
        else:
            self._was_reset()

    def _nooped(self, reply: Reply) -> None:
        noop, self._noop = self._noop, None
        if noop is not None:
            noop.callback(200 <= reply.code < 300)

    def _quitted(self, reply: Reply) -> None:
        # Under TLS closing waits for the peer's own end, which may never come.
        self._parted = True
        self._deadline.allow(self._timeouts.quit)
        self.transport.loseConnection()

    def _fail(self, trouble: RelayTrouble) -> None:
        if not self.ready.called:
            self.ready.errback(trouble)
        self.drop(trouble.reason)

    # -- writing and waiting ------------------------------------------------------------------------------------

    def _send(self, line: bytes, stage: Stage) -> None:
        self._expect(stage)
        write_now(self.transport, line)

    def _expect(self, stage: Stage) -> None:
        self._expected.append(stage)
        if len(self._expected) == 1:
            self._deadline.allow(self._timeouts.of(stage))

    def _is_waiting(self) -> bool:
        return bool(self._expected) or self._parted

    def _is_late(self) -> None:
        self.timed_out = not self._parted
        self.drop("no answer in time")

    _OUTSIDE: ClassVar[dict[Stage, Callable[[Any, Reply], None]]] = {
        Stage.RSET: _reset,
        Stage.NOOP: _nooped,
        Stage.QUIT: _quitted,
    }


_OPENING = frozenset({Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH})
_IN_TRANSACTION = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT})


def _why_lost(reason: Failure | None) -> str:
    """A closed connection in our words: TLS tells what it disliked, and none of it holds an address."""
    if reason is None or reason.check(ConnectionClosed):
        return "the connection was lost"
    return tls.fault(reason.value) or f"the connection was lost ({type(reason.value).__name__})"


def _end_if_unheard(transport: Any) -> None:
    # Under TLS the socket is the inner transport's; in memory there is none. Not every system has the option.
    inner = getattr(getattr(transport, "transport", transport), "socket", None)
    if inner is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD)


def _literal(address: Any) -> str:
    host = getattr(address, "host", "127.0.0.1")
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"


def _is_loopback(address: Any) -> bool:
    host = getattr(address, "host", None)
    return type(address).__name__ == "UNIXAddress" if host is None else not beyond_loopback(host)

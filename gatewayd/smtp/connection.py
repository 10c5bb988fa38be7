"""One connection to a relay up to the point where mail can be sent, and what goes on for as long as it lasts.

Owns reading replies in order, time-outs, EHLO, STARTTLS, AUTH, NOOP and QUIT. Knows nothing of messages: client.py
adds the transactions.
"""

import base64
import ipaddress
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import ISSLTransport
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from gatewayd.core import tls
from gatewayd.core.lateness import READING, overslept
from gatewayd.http.eager import write_now
from gatewayd.smtp.commands import Offer, read_offer
from gatewayd.smtp.replies import LINE_LIMIT, BadReply, Reply, ReplyReader, Stage, cleaned
from gatewayd.smtp.timeouts import Timeouts

_TICK = 15.0  # seconds between two looks at the deadline, at most


@dataclass(frozen=True, slots=True)
class Login:
    """How to begin a session. `tls` makes the context for STARTTLS or raises RelayTrouble; None where none is wanted.

    `name` is what EHLO says; without one, the address literal of our end.
    """

    tls: Callable[[], Any] | None = None
    username: str = ""
    password: str = ""
    name: str = ""

    def __repr__(self) -> str:
        return "<Login>"


class RelayTrouble(Exception):
    """The relay can't be used now. `lasting` where only a person can mend it (a refused log-in)."""

    def __init__(self, reason: str, *, lasting: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.lasting = lasting


class RelayConnection(LineOnlyReceiver, ABC):
    """A conversation with one relay. `ready` fires with it once mail can be sent, or fails with RelayTrouble.

    `on_lost` is called once with the connection when it is gone, whatever the reason.
    """

    delimiter = b"\r\n"
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
        self._login = login
        self._timeouts = timeouts or Timeouts()
        self._on_lost = on_lost
        self.ready: Deferred[Any] = Deferred(lambda _: self.drop("given up"))
        self.offer = Offer({})  # the answer to EHLO
        self.pipelining = False
        self.secure = False  # under TLS
        self.alive = False  # mail can be sent
        self.chores = 0
        """Commands so far that bring no mail, which relays count."""
        self.last_reply = 0.0  # seconds since the epoch
        self.timed_out = False  # it ended because a reply did not come
        self.why = ""  # it ended, in words
        self._reader = ReplyReader()
        self._expected: deque[Stage] = deque()  # whose replies are due, in order
        self._said_helo = False
        self._switching = False  # STARTTLS was answered, and TLS has not begun
        self._steps: list[bytes] = []  # of AUTH LOGIN, the next one at the end
        self._noop: Deferred[bool] | None = None
        self._deadline = 0.0  # of the first reply that is due
        self._timer: Any = None
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
        self.secure = ISSLTransport.providedBy(self.transport)
        self._expect(Stage.CONNECT)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Whatever waits is told."""
        self.alive = False
        self._dropped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
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
        if self._switching and not self._dropped:
            self._switching = False
            if self._buffer:
                self.drop("text after the answer to STARTTLS")
                return
            assert self._login.tls is not None
            try:
                context = self._login.tls()
            except RelayTrouble as trouble:
                self._fail(trouble)
                return
            self.transport.startTLS(context)
            self.secure = True
            self._hello()

    def lineReceived(self, line: bytes) -> None:
        """One line of a reply."""
        if self._dropped:
            return
        if self._switching:
            self.drop("text after the answer to STARTTLS")
            return
        try:
            reply = self._reader.add(line)
        except BadReply as error:
            self.drop(str(error))
            return
        if reply is None:
            return
        self.last_reply = self._clock.seconds()
        if not self._expected:
            # Unasked: a relay that says good-bye (421), or a peer that does not speak SMTP.
            self.drop(cleaned(f"{reply.code} {reply.text}"))
            return
        stage = self._expected.popleft()
        if self._expected:
            self._deadline = self.last_reply + self._timeouts.of(self._expected[0])
        if reply.code == 421 and stage is not Stage.QUIT:
            self.why = cleaned(f"{reply.code} {reply.text}")
            self.alive = False
            self._dropped = True
            self._went_away(stage, reply)
            self.drop(self.why)
        elif stage in _IN_TRANSACTION:
            self._replied(stage, reply)
        else:
            self._OUTSIDE[stage](self, reply)

    def lineLengthExceeded(self, line: bytes) -> None:
        """No relay has that much to say."""
        self.drop("a reply line without end")

    # -- opening ------------------------------------------------------------------------------------------------

    def _greeted(self, reply: Reply) -> None:
        if reply.code == 220:
            self._hello()
        else:
            self._refused(Stage.CONNECT, reply)

    def _hello(self) -> None:
        self._send(f"EHLO {self._login.name or self._literal()}\r\n".encode(), Stage.EHLO)

    def _literal(self) -> str:
        host = getattr(self.transport.getHost(), "host", "127.0.0.1")
        return f"[IPv6:{host}]" if ":" in host else f"[{host}]"

    def _offered(self, reply: Reply) -> None:
        plain = self._login.tls is None and not self._login.username
        if reply.code in (500, 502) and plain and not self._said_helo:
            # Older than ESMTP, but whatever takes mail is a relay (RFC 5321 3.2).
            self._said_helo = True
            self._send(f"HELO {self._login.name or self._literal()}\r\n".encode(), Stage.EHLO)
            return
        if reply.code != 250:
            self._refused(Stage.EHLO, reply)
            return
        self.offer = read_offer(reply.lines or (reply.text,))
        self.pipelining = "PIPELINING" in self.offer
        if self._login.tls is not None and not self.secure:
            if "STARTTLS" in self.offer:
                self._send(b"STARTTLS\r\n", Stage.STARTTLS)
            else:
                self._fail(RelayTrouble("it does not offer STARTTLS"))
        elif self._login.username:
            self._log_in()
        else:
            self._is_ready()

    def _may_switch(self, reply: Reply) -> None:
        if reply.code == 220:
            self._switching = True
        else:
            self._refused(Stage.STARTTLS, reply)

    def _log_in(self) -> None:
        if not self.secure and not _is_loopback(self.transport.getPeer()):
            self._fail(RelayTrouble("a log-in without TLS goes to loopback only", lasting=True))
            return
        username, password = self._login.username.encode(), self._login.password.encode()
        mechanisms = self.offer.mechanisms
        if "PLAIN" in mechanisms:
            secret = base64.b64encode(b"\0" + username + b"\0" + password)
            self._send(b"AUTH PLAIN " + secret + b"\r\n", Stage.AUTH)
        elif "LOGIN" in mechanisms:
            self._steps = [base64.b64encode(password), base64.b64encode(username)]
            self._send(b"AUTH LOGIN\r\n", Stage.AUTH)
        else:
            self._fail(RelayTrouble("it offers neither AUTH PLAIN nor AUTH LOGIN"))

    def _logged_in(self, reply: Reply) -> None:
        if reply.code == 334 and self._steps:
            self._send(self._steps.pop() + b"\r\n", Stage.AUTH)
        elif reply.code == 235:
            self._is_ready()
        else:
            # What a relay says to a refused log-in may repeat the user name or more: only its code is kept.
            code = f"{reply.code} {reply.enhanced}".strip()
            wrong = f"log-in refused: check username and password ({code}, AUTH)"
            self._fail(RelayTrouble(wrong if reply.code >= 500 else f"{code} (AUTH)", lasting=reply.code >= 500))

    def _is_ready(self) -> None:
        self._steps = []
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
        self._allow(self._timeouts.quit)
        self.transport.loseConnection()

    def _refused(self, stage: Stage, reply: Reply) -> None:
        self._fail(RelayTrouble(cleaned(f"{reply.code} {reply.text} ({stage})")))

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
            self._allow(self._timeouts.of(stage))

    def _allow(self, seconds: float) -> None:
        """The peer has so many seconds from now. One timer serves all: it looks at the deadline when it fires."""
        self._deadline = self._clock.seconds() + seconds
        if self._timer is None:
            self._timer = self._clock.callLater(min(seconds, _TICK), self._tick)
        elif seconds < _TICK and self._timer.getTime() > self._deadline:
            self._timer.reset(seconds)

    def _tick(self) -> None:
        timer, self._timer = self._timer, None
        if not self._expected and not self._parted:
            return
        now = self._clock.seconds()
        left = self._deadline - now
        if left <= 0 and overslept(timer, now):
            self._timer = self._clock.callLater(READING, self._tick)
        elif left <= 0:
            self.timed_out = not self._parted
            self.drop("no answer in time")
        else:
            self._timer = self._clock.callLater(min(left, _TICK), self._tick)

    _OUTSIDE: ClassVar[dict[Stage, Callable[[Any, Reply], None]]] = {
        Stage.CONNECT: _greeted,
        Stage.EHLO: _offered,
        Stage.STARTTLS: _may_switch,
        Stage.AUTH: _logged_in,
        Stage.RSET: _reset,
        Stage.NOOP: _nooped,
        Stage.QUIT: _quitted,
    }


_IN_TRANSACTION = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT})


def _why_lost(reason: Failure | None) -> str:
    """A closed connection in our words: TLS tells what it disliked, and none of it holds an address."""
    if reason is None or reason.check(ConnectionClosed):
        return "the connection was lost"
    return tls.fault(reason.value) or f"the connection was lost ({type(reason.value).__name__})"


def _is_loopback(address: Any) -> bool:
    host = getattr(address, "host", None)
    if host is None:
        return type(address).__name__ == "UNIXAddress"
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""The receiving side of LMTP (RFC 2033): one session, bounded in everything.

Owns bytes and time: when something is read, answered and hung up on. What a command means knows lmtp_commands.py; what
a recipient is and what becomes of a mail is asked of two callables. No mail is ever sent from here, TLS and AUTH are
not offered, and only CRLF.CRLF ends a mail, so that nothing can be smuggled.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic

from msgspec import Struct
from twisted.internet import protocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gatewayd.bounces.incoming import IncomingMail
from gatewayd.bounces.lmtp_commands import LmtpCommands, LmtpLimits, R, Then
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.log import Logger
from gatewayd.core.unread import UnreadGuard
from gatewayd.http.eager import write_now


class Arrived(Struct, Generic[R], frozen=True):
    """A mail that came in whole: for whom, whether MAIL FROM was empty, and the first bytes of it."""

    recipient: R
    null_sender: bool
    raw: bytes


_SAID = 4096
"""Octets of replies that are kept to be written in one go."""


class LmtpSession(protocol.Protocol, Generic[R]):
    """One connection. `find` gives the recipient behind an address, or None where we have no such one.

    `record` returns once the mail is dealt with for good; until then the peer has no answer. Where it raises
    StoreUnavailable, or anything else, the peer is asked to come again.
    """

    log = Logger()
    transport: Any
    _unread: UnreadGuard

    def __init__(
        self,
        clock: IReactorTime,
        limits: LmtpLimits,
        *,
        find: Callable[[str], R | None],
        record: Callable[[Arrived[R]], Awaitable[None]],
        over: Callable[["LmtpSession[R]"], None],
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._commands = LmtpCommands(limits, find)
        self._record = record
        self._over = over
        self._buffer = bytearray()  # what is not looked at yet
        self._replies = b""  # of what is looked at together, until they are written at once
        self._mail: IncomingMail | None = None  # the one that is coming in
        self._timers: dict[str, IDelayedCall] = {}
        self._expired = ""  # why it is to end after the answer that is due
        self._closing = False
        self.busy = False  # a mail is being stored, and its answer is due

    # --- what Twisted calls ---------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Greet, and start to count time."""
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        self._unread = UnreadGuard(
            self._clock, self.transport, self._does_not_read, self._limits.unread, on_room=self._read_again
        )
        self._unread.begin()
        self._timer("session", self._limits.session, lambda: self.expire("4.4.2 session too long"))
        self._timer("idle", self._limits.idle, self._idle)
        self._answer(self._commands.greeting())
        self._say()

    def connectionLost(self, reason: Any = protocol.connectionDone) -> None:
        """A mail that is being stored goes on; its answer has nowhere to go."""
        self._closing = True
        self._unread.end()
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        self._buffer.clear()
        self._mail = None
        self._over(self)

    def dataReceived(self, data: bytes) -> None:
        """Bytes, cut anywhere."""
        if self._closing:
            return
        self._touch()
        if self._mail is not None and not self.busy:
            data = self._mail_data(self._mail, data)
        self._buffer += data
        self._work()
        self._say()
        self._read_no_more()

    def _read_no_more(self) -> None:
        """No more than one piece of what comes while a mail is being stored: the rest waits in the kernel."""
        if self.busy and self._buffer:
            self.transport.pauseProducing()

    def _read_again(self) -> None:
        """The peer has read our replies: hear more commands."""
        if self.busy:
            self._read_no_more()
        elif not self._closing:
            self._go_on()

    # --- time -----------------------------------------------------------------------------------------------------

    def expire(self, why: str) -> None:
        """Hang up with a 421, after the answer to a mail that is being stored."""
        self._expired = why
        if not self.busy and not self._closing:
            self._hang_up(f"421 {why}\r\n")

    def _idle(self) -> None:
        """Waiting for us is not idling."""
        if self.busy:
            self._timer("idle", self._limits.idle, self._idle)
        else:
            self.expire("4.4.2 idle for too long")

    def _does_not_read(self) -> None:
        """A mail that is being stored goes on; its answer would have been read by nobody."""
        self._closing = True
        self.transport.abortConnection()

    def _timer(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        self._timers[name] = self._clock.callLater(seconds, then)

    def _touch(self) -> None:
        timer = self._timers.get("idle")
        if timer is not None and timer.active():
            timer.reset(self._limits.idle)

    def _hang_up(self, lines: str) -> None:
        self._answer(lines)
        self._say()
        self._closing = True
        self._buffer.clear()
        self._unread.end()
        self.transport.loseConnection()
        # A peer that does not read would keep the connection half open for ever.
        self._timer("abort", 5.0, self.transport.abortConnection)

    # --- bytes ----------------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Run what came meanwhile, and read more unless that holds another mail to be stored."""
        self._work()
        self._say()
        if not (self.busy and self._buffer) and not self._unread.full and not self._closing:
            self.transport.resumeProducing()

    def _work(self) -> None:
        """Run what the buffer holds, in order, until a mail is being stored or more bytes are needed."""
        while not self.busy and not self._unread.full and not self._closing:
            if self._mail is not None:
                if not self._buffer:
                    return
                # Out of the buffer first: a mail that is dealt with at once comes back here before this returns.
                data = bytes(self._buffer)
                self._buffer.clear()
                self._buffer += self._mail_data(self._mail, data)
                continue
            end = self._buffer.find(b"\r\n")
            if end < 0:
                if len(self._buffer) > self._limits.buffer:
                    self._hang_up("500 5.5.2 line too long\r\n")
                return
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            self._line(line)
        if len(self._buffer) > 8 * self._limits.buffer:
            self._hang_up("421 4.7.0 too much input\r\n")

    def _mail_data(self, mail: IncomingMail, data: bytes) -> bytes:
        """Feed the mail that is coming in; what follows its end is given back."""
        rest = mail.feed(data)
        if rest is None:
            if mail.size > 4 * self._limits.max_size:
                self._hang_up("552 5.3.4 message too big\r\n")
            return b""
        self._mail = None
        self._mail_ended(mail)
        return rest

    def _line(self, line: bytes) -> None:
        answer = self._commands.answer(line)
        if answer.then is Then.NOTHING:
            self._hang_up(answer.lines)
            return
        if answer.then is Then.MAIL:
            self._mail = IncomingMail(self._limits.kept)
        self._answer(answer.lines)

    def _answer(self, lines: str) -> None:
        """Replies to what came in one piece go out in one, too."""
        if not self._closing:
            self._replies += lines.encode()
            if len(self._replies) > _SAID:
                self._say()

    def _say(self) -> None:
        replies, self._replies = self._replies, b""
        if replies:
            write_now(self.transport, replies)

    # --- the mail -------------------------------------------------------------------------------------------------

    def _mail_ended(self, mail: IncomingMail) -> None:
        recipient, null_sender = self._commands.mail_ended()
        if mail.size > self._limits.max_size:
            self._answer("552 5.3.4 message too big\r\n")
            return
        self.busy = True
        arrived = Arrived(recipient=recipient, null_sender=null_sender, raw=mail.content())
        self.log.debug("mail of {size} bytes came back", size=mail.size)
        Deferred.fromCoroutine(self._store(arrived)).addErrback(self._broken)

    async def _store(self, arrived: Arrived[R]) -> None:
        try:
            await self._record(arrived)
        except CancelledError:
            raise
        except StoreUnavailable:
            answer = "451 4.3.0 cannot store it now\r\n"
        except Exception:
            self.log.failure("a bug: returned mail could not be read; its sender was told 451, and brings it again")
            answer = "451 4.3.0 cannot deal with it now\r\n"
        else:
            answer = "250 2.0.0 ok\r\n"
        self._stored(answer)

    def _stored(self, answer: str) -> None:
        self.busy = False
        if self._closing:
            self._over(self)
            return
        self._answer(answer)
        if self._expired:
            self._hang_up(f"421 {self._expired}\r\n")
            return
        self._touch()
        self._go_on()

    def _broken(self, failure: Any) -> None:
        """Cancelled, or a bug above: the peer must not take silence for success."""
        if not failure.check(CancelledError):
            self.log.failure("a bug: an LMTP session is cut off; its sender brings the mail again", failure=failure)
        self.busy = False
        self.transport.abortConnection()
        self._over(self)

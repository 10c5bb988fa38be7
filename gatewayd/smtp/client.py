"""Messages over one connection to a relay: ESMTP transactions, pipelined.

Owns MAIL, RCPT, DATA and the dot. Must not know routes, pools, labels or what becomes of a message; says only how a
transaction ended.

Up to two messages are on a connection at once: the commands of the second follow the content of the first in one
write (RFC 2920). The content of the first was all written by then, so that a lost connection makes one message
ambiguous at most.
"""

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from zope.interface import implementer

from gatewayd.http.eager import write_now
from gatewayd.smtp.commands import Envelope, mail_and_rcpt, stuffed
from gatewayd.smtp.connection import RelayConnection
from gatewayd.smtp.negotiation import refused
from gatewayd.smtp.replies import RelayAnswer, Reply, Stage, answer_of

CHUNK = 65536
GRACE = 10.0
"""Seconds for which the answer to a dot that was written before `Envelope.until` may still come after it."""

_LATE = "its deadline passed"
_COMMANDS = (Stage.MAIL, Stage.RCPT, Stage.DATA)


class _Transaction:
    """`ended` once its dot was written: from there on the commands of another may follow."""

    __slots__ = ("content", "done", "ended", "failed", "mail", "rcpt", "recipient", "timer", "until")

    def __init__(
        self, mail: bytes, rcpt: bytes, envelope: Envelope, content: bytes, done: Deferred[RelayAnswer]
    ) -> None:
        self.mail = mail
        self.rcpt = rcpt
        self.recipient = envelope.recipient
        self.until = envelope.until
        self.content = content
        self.done = done
        self.failed: RelayAnswer | None = None
        self.ended = False
        self.timer: Any = None

    def settle(self, answer: RelayAnswer) -> None:
        """Tell whoever waits for it, once."""
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        if not self.done.called:
            self.done.callback(answer)


@implementer(IPullProducer)
class RelaySession(RelayConnection):
    """A connection that takes messages, two at a time."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.started = 0
        self.accepted = 0
        self.swallows = False
        """It ended because no answer came to commands that stood behind MAIL in one write, though MAIL had its own."""
        self._transactions: deque[_Transaction] = deque()
        self._waiting: _Transaction | None = None
        self._granted: _Transaction | None = None
        """Its DATA was just answered by 354."""
        self._needs_reset = False
        self._unsent = memoryview(b"")

    def submit(self, envelope: Envelope, content: bytes, *, bare: bool = False) -> Deferred[RelayAnswer]:
        """Send one message; fires with its RelayAnswer and fails only if cancelled, which drops the connection.

        `content` is the whole message in CRLF lines. With `bare` no parameter is used but SMTPUTF8. Raises ValueError
        where an address or the content could break out of its command.
        """
        done: Deferred[RelayAnswer] = Deferred(lambda _: self.drop("given up"))
        content = stuffed(content)
        mail, rcpt = mail_and_rcpt(envelope, self.negotiation.offer, len(content), bare=bare)
        if not self.alive:
            done.callback(RelayAnswer(Stage.CONNECT, 0, "", self.why or "the connection was lost"))
            return done
        self.started += 1
        transaction = _Transaction(mail, rcpt, envelope, content, done)
        left = envelope.until - self._clock.seconds()
        # Most have a day left: no timer for them.
        if left < self._timeouts.dot:
            transaction.timer = self._clock.callLater(max(left, 0.0), self._too_late, transaction)
        if self._may_begin():
            self._begin(transaction, b"")
        else:
            assert self._waiting is None, "more than two messages"
            self._waiting = transaction
        return done

    def _may_begin(self) -> bool:
        if not self._transactions:
            return True
        return self.pipelining and len(self._transactions) == 1 and self._transactions[0].ended

    def _begin(self, transaction: _Transaction, before: bytes) -> None:
        """Write the commands of `transaction` behind `before`, the content of the message ahead of it."""
        self._transactions.append(transaction)
        if self._needs_reset:
            self._needs_reset = False
            self.chores += 1
            self._expected.append(Stage.RSET)
            before += b"RSET\r\n"
            if not self.pipelining:
                self._write(before)
                return
        if self.pipelining:
            self._expected.extend(_COMMANDS)
            self._write(before + transaction.mail + transaction.rcpt + b"DATA\r\n")
        else:
            self._expected.append(Stage.MAIL)
            self._write(before + transaction.mail)

    def _next(self, content: bytes) -> None:
        """Write `content`, and in the same write the commands of the message that waits, if one does."""
        waiting = self._waiting
        if waiting is not None and self._may_begin():
            self._waiting = None
            self._begin(waiting, content)
        elif content:
            self._write(content)
        if not self.alive:
            self._leave_if_idle()

    def _write(self, data: bytes) -> None:
        self._deadline.allow(self._timeouts.of(self._expected[0]))
        write_now(self.transport, data)

    def _was_reset(self) -> None:
        if not self.pipelining:
            self._send(self._transactions[0].mail, Stage.MAIL)

    # -- replies ------------------------------------------------------------------------------------------------

    def _replied(self, stage: Stage, reply: Reply) -> None:
        transaction = self._transactions[0]
        if stage is Stage.DOT:
            self._dot_answered(transaction, reply)
            return
        if self.pipelining and reply.code == 250 and stage is not Stage.DATA:
            return
        good = reply.code == 354 if stage is Stage.DATA else 200 <= reply.code < 300
        if not good and transaction.failed is None:
            transaction.failed = answer_of(stage, reply, transaction.recipient)
        if stage is Stage.DATA:
            if reply.code == 354:
                self._granted = transaction
            else:
                self._give_up(transaction)
        elif not self.pipelining:
            if transaction.failed is not None:
                self._give_up(transaction)
            elif stage is Stage.MAIL:
                self._send(transaction.rcpt, Stage.RCPT)
            else:
                self._send(b"DATA\r\n", Stage.DATA)

    def _give_up(self, transaction: _Transaction) -> None:
        """It was refused before any content."""
        assert transaction.failed is not None
        self._needs_reset = transaction.failed.stage is not Stage.MAIL
        self._transactions.popleft()
        self._settle(transaction, transaction.failed)

    def _all_read(self) -> None:
        """Now content may go: what lay behind the 354, where nothing was due, would pass for the dot's answer."""
        transaction, self._granted = self._granted, None
        if transaction is None or self._dropped:
            return
        if self._buffer:
            self.drop("text behind the answer to DATA")
        else:
            self._send_content(transaction)

    def _send_content(self, transaction: _Transaction) -> None:
        if self._clock.seconds() >= transaction.until:
            self.drop(_LATE)
            return
        self._expected.append(Stage.DOT)
        if transaction.failed is not None:
            # DATA was taken although MAIL or RCPT was refused: nothing for nobody (RFC 2920 3.1).
            transaction.ended = True
            self._next(b".\r\n")
        elif len(transaction.content) <= CHUNK:
            transaction.ended = True
            self._next(transaction.content + b".\r\n")
        else:
            self._unsent = memoryview(transaction.content + b".\r\n")
            self.transport.registerProducer(self, False)

    def _dot_answered(self, transaction: _Transaction, reply: Reply) -> None:
        if 300 <= reply.code < 400:
            self.drop("a reply that makes no sense at the end of data")
            return
        self._transactions.popleft()
        if not transaction.ended:
            # It answered before it had it all (too large, say). What it still reads as content, nobody knows.
            reply = reply if reply.code >= 400 else Reply(451, "an answer before the end of data")
            self.drop("an answer before the end of data")
        answer = transaction.failed or answer_of(Stage.DOT, reply, transaction.recipient)
        self.accepted += answer.accepted
        self._settle(transaction, answer)

    def _settle(self, transaction: _Transaction, answer: RelayAnswer) -> None:
        # The one that waits goes first: whoever hears of this answer may submit another at once.
        if not self._dropped:
            self._next(b"")
        transaction.settle(answer)

    def _too_late(self, transaction: _Transaction) -> None:
        if transaction is self._waiting:
            self._waiting = None
            transaction.settle(RelayAnswer(Stage.MAIL, 0, "", _LATE))
        elif transaction is not self._transactions[0]:
            # The connection is still needed for the answer to another's dot.
            transaction.timer = self._clock.callLater(1.0, self._too_late, transaction)
        elif transaction.ended:
            transaction.timer = self._clock.callLater(GRACE, self.drop, _LATE)
        else:
            self.drop(_LATE)

    def _is_late(self) -> None:
        self.swallows = self.pipelining and bool(self._expected) and self._expected[0] in (Stage.RCPT, Stage.DATA)
        super()._is_late()

    def _went_away(self, stage: Stage, reply: Reply) -> None:
        if not self.ready.called:
            self._fail(refused(stage, reply))
        if self._transactions:
            transaction = self._transactions.popleft()
            where = stage if stage in (*_COMMANDS, Stage.DOT) else Stage.MAIL
            self._settle(transaction, transaction.failed or answer_of(where, reply, transaction.recipient))

    def _ended(self, stage: Stage) -> None:
        pending = [*self._transactions, *([self._waiting] if self._waiting else [])]
        self._transactions.clear()
        self._waiting = None
        self._unsent = memoryview(b"")
        for position, transaction in enumerate(pending):
            ambiguous = transaction.ended and transaction.failed is None
            first = position == 0 and stage in (*_COMMANDS, Stage.DOT)
            where = stage if first else Stage.MAIL
            transaction.settle(transaction.failed or RelayAnswer(where, 0, "", self.why, ambiguous))

    # -- big content, piece by piece ----------------------------------------------------------------------------

    def resumeProducing(self) -> None:
        """The transport took what it was given: the next piece. The dot goes with the last one."""
        if not self._unsent or self._dropped:
            return
        piece, self._unsent = bytes(self._unsent[:CHUNK]), self._unsent[CHUNK:]
        if self._unsent:
            self._deadline.allow(self._timeouts.block)
            self.transport.write(piece)
        else:
            self.transport.unregisterProducer()
            self._transactions[0].ended = True
            self._next(piece)

    def stopProducing(self) -> None:
        """The connection is gone; connectionLost says so too."""
        self._unsent = memoryview(b"")

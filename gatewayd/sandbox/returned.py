"""Returned mail as a relay makes it: success reports (RFC 3464), and the LMTP client that hands them over."""

from email.utils import formatdate
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from gatewayd.sandbox.conversation import Taken


class LmtpClient(LineOnlyReceiver):
    """Hands DSNs to an LMTP server, one at a time, envelope and DATA in one write as mail servers do (RFC 2920)."""

    delimiter = b"\r\n"
    transport: Any

    def __init__(self) -> None:
        """`greeted` fires with the server's first line."""
        self.alive = True
        self.greeted: Deferred[list[bytes]] = Deferred()
        self._answer: Deferred[list[bytes]] | None = self.greeted
        self._lines: list[bytes] = []
        self._wanted = 1
        self._ended: Deferred[None] | None = None
        self._said_hello = False

    def lineReceived(self, line: bytes) -> None:
        """The last lines of as many replies as are wanted answer what was asked."""
        if line[3:4] == b"-":
            return
        self._lines.append(line)
        answer = self._answer
        if answer is not None and len(self._lines) == self._wanted:
            self._answer = None
            answer.callback(self._lines)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Whoever waits is told."""
        self.alive = False
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.errback(reason or Failure(ConnectionDone()))
        if self._ended is not None:
            self._ended.callback(None)

    def close(self) -> Deferred[None]:
        """Cut the connection; fires when it is gone."""
        if not self.alive:
            return succeed(None)
        self._ended = Deferred()
        self.transport.abortConnection()
        return self._ended

    async def send(self, recipient: str, content: bytes) -> None:
        """Raises RuntimeError with the reply where the server does not take it."""
        if not self._said_hello:
            await self._ask(b"LHLO relay.sandbox\r\n", b"250")
            self._said_hello = True
        envelope = f"MAIL FROM:<>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
        await self._ask(envelope.encode(), b"250", b"250", b"354")
        await self._ask(content.replace(b"\r\n.", b"\r\n..") + b".\r\n", b"250")

    async def _ask(self, commands: bytes, *wanted: bytes) -> None:
        answer: Deferred[list[bytes]] = Deferred()
        self._answer, self._lines, self._wanted = answer, [], len(wanted)
        self.transport.write(commands)
        for line, code in zip(await answer, wanted, strict=True):
            if not line.startswith(code):
                self.transport.loseConnection()
                raise RuntimeError(line.decode("utf-8", "replace"))


def success_dsn(mail: Taken, reporter: str, action: str = "delivered") -> bytes:
    """A success report on `mail` (RFC 3464), as a relay sends it to the envelope sender."""
    boundary = f"{mail.queue_id}/{reporter}"
    status = {"delivered": "2.0.0", "relayed": "2.0.0", "failed": "5.1.1", "delayed": "4.4.1"}.get(action, "2.0.0")
    original = mail.content.partition(b"\r\n\r\n")[0].decode("utf-8", "replace")
    blocks = []
    for recipient, parameters in zip(mail.recipients, mail.rcpt_parameters, strict=True):
        orcpt = f"Original-Recipient: {parameters['ORCPT']}\r\n" if "ORCPT" in parameters else ""
        blocks.append(
            f"Final-Recipient: rfc822; {recipient}\r\n{orcpt}Action: {action}\r\nStatus: {status}\r\n"
            f"Diagnostic-Code: smtp; 250 {status} delivered to mailbox\r\n"
        )
    envelope_id = mail.mail_parameters.get("ENVID", "")
    return (
        f"Return-Path: <>\r\nDate: {formatdate()}\r\nFrom: MAILER-DAEMON@{reporter} (Mail Delivery System)\r\n"
        f"To: {mail.sender}\r\nSubject: Successful Mail Delivery Report\r\nAuto-Submitted: auto-replied\r\n"
        f"Message-ID: <{mail.queue_id}.dsn@{reporter}>\r\nMIME-Version: 1.0\r\n"
        f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"\r\n\r\n'
        f"This is a MIME-encapsulated message.\r\n\r\n--{boundary}\r\n"
        "Content-Description: Notification\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
        f"This is the mail system at host {reporter}.\r\n\r\nYour message was successfully delivered.\r\n\r\n"
        f"--{boundary}\r\nContent-Description: Delivery report\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; {reporter}\r\n"
        + (f"Original-Envelope-Id: {envelope_id}\r\n" if envelope_id else "")
        + f"X-Queue-ID: {mail.queue_id}\r\n\r\n"
        + "\r\n".join(blocks)
        + f"\r\n--{boundary}\r\nContent-Description: Message Headers\r\nContent-Type: text/rfc822-headers\r\n\r\n"
        f"{original}\r\n\r\n--{boundary}--\r\n"
    ).encode()

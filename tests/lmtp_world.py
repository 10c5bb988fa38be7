"""A peer that brings returned mail, over memory."""

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from fakes import FakeEvidence
from gatewayd.bounces.inbound import ReturnedMail
from gatewayd.bounces.lmtp_commands import LmtpLimits
from gatewayd.core.model import Channel, Known
from gatewayd.core.status import State
from returned_mail import DOMAIN, ID, KEYS, address


class Transport(StringTransport):
    """Adds what a TCP transport has."""

    aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing to delay here."""

    def abortConnection(self) -> None:
        """Remember it."""
        self.aborted = True


class Peer:
    """A client of a listener, over memory. `taken` is the evidence that was handed on."""

    def __init__(
        self, *, limits: LmtpLimits | None = None, record: Any = None, sent_to: str = "", **options: Any
    ) -> None:
        self.clock = Clock()
        self.evidence = FakeEvidence()
        self.taken = self.evidence.facts
        if record is not None:
            self.evidence.record = record

        async def about(message_id: str) -> Known | None:
            name = KEYS.address_hashes(sent_to)[0]
            return Known(ID, "", "amazing", Channel.EMAIL, "", State.SENT, address_hash=name) if sent_to else None

        async def at_once(octets: int, call: Callable[..., Any], *args: Any) -> Any:
            return call(*args)

        self.listener = ReturnedMail(
            self.clock,
            keys=KEYS,
            domains=[DOMAIN],
            evidence=self.evidence,
            about=about,
            in_thread=at_once,
            limits=limits,
            **options,
        )
        self.connect()

    def connect(self) -> None:
        """Open one more connection; it is the one spoken on from now on."""
        self.session = self.listener.buildProtocol(None)
        assert self.session is not None
        self.transport = Transport()
        self.session.makeConnection(self.transport)
        self.greeting = self.heard()

    def heard(self) -> str:
        """What came since the last time."""
        said = self.transport.value().decode()
        self.transport.clear()
        return str(said)

    def say(self, *lines: str) -> str:
        """Send lines, return the answers."""
        assert self.session is not None
        for line in lines:
            self.session.dataReceived(line.encode() + b"\r\n")
        return self.heard()

    def send(self, content: bytes, to: str = "", sender: str = "") -> str:
        """One whole transaction; the answer to the mail."""
        assert self.session is not None
        answers = self.say("LHLO me", f"MAIL FROM:<{sender}>", f"RCPT TO:<{to or address()}>", "DATA")
        assert "\r\n354 " in answers, answers
        stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
        self.session.dataReceived(stuffed + (b"" if stuffed.endswith(b"\r\n") else b"\r\n") + b".\r\n")
        return self.heard()

"""What is said on a new connection to a relay until mail can be sent: EHLO, STARTTLS, AUTH.

Takes replies and gives commands; the connection writes them, and puts TLS under both. Pure; knows no messages.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gatewayd.smtp.commands import Offer, read_offer
from gatewayd.smtp.replies import Reply, Stage, cleaned

Command = tuple[bytes, Stage]
"""A line with its end, and where its reply belongs."""


_LEAST_SECRET = 4
"""Characters. What is shorter stands in many words."""


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


class Negotiation:
    """One opening. Whatever is asked raises RelayTrouble where no mail can be sent."""

    def __init__(self, login: Login) -> None:
        self.offer = Offer({})  # the latest answer to EHLO
        self.secure = False  # under TLS
        self.switching = False  # STARTTLS was answered, and TLS has not begun
        self._login = login
        self._name = login.name
        self._loopback = False  # the relay is on this machine
        self._said_helo = False
        self._steps: list[bytes] = []  # what a 334 asks for, the next one at the end
        self._secrets: tuple[str, ...] = ()  # in all forms in which they were written to the relay

    def connected(self, literal: str, *, secure: bool, loopback: bool) -> None:
        """The relay speaks next. `literal` is the address literal of our end, for who has no name."""
        self.secure = secure
        self._name = self._name or literal
        self._loopback = loopback

    def next_command(self, stage: Stage, reply: Reply) -> Command | None:
        """What to say after this reply; None where TLS is to begin now (`switching`), or mail can be sent."""
        match stage:
            case Stage.CONNECT if reply.code == 220:
                return self._hello()
            case Stage.EHLO:
                return self._offered(reply)
            case Stage.STARTTLS if reply.code == 220:
                self.switching = True
                return None
            case Stage.AUTH:
                return self._log_in_answered(reply)
        raise refused(stage, reply)

    def tls_context(self) -> Any:
        """What TLS begins with."""
        assert self._login.tls is not None
        self.switching = False
        return self._login.tls()

    def under_tls(self) -> Command:
        """What to say first once TLS was begun."""
        self.secure = True
        return self._hello()

    def without_secrets(self, reply: Reply) -> Reply:
        """`reply`, which may repeat what we logged in with, without it."""
        text = reply.text
        for secret in self._secrets:
            if len(secret) >= _LEAST_SECRET:
                text = text.replace(secret, "***")
        return reply if text == reply.text else Reply(reply.code, text, reply.lines)

    def _hello(self) -> Command:
        return f"EHLO {self._name}\r\n".encode(), Stage.EHLO

    def _offered(self, reply: Reply) -> Command | None:
        plain = self._login.tls is None and not self._login.username
        if reply.code in (500, 502) and plain and not self._said_helo:
            # Older than ESMTP, but whatever takes mail is a relay (RFC 5321 3.2).
            self._said_helo = True
            return f"HELO {self._name}\r\n".encode(), Stage.EHLO
        if reply.code != 250:
            raise refused(Stage.EHLO, reply)
        self.offer = read_offer(reply.lines or (reply.text,))
        if self._login.tls is not None and not self.secure:
            if "STARTTLS" not in self.offer:
                raise RelayTrouble("it does not offer STARTTLS")
            return b"STARTTLS\r\n", Stage.STARTTLS
        return self._log_in() if self._login.username else None

    def _log_in(self) -> Command:
        if not self.secure and not self._loopback:
            raise RelayTrouble("a log-in without TLS goes to loopback only", lasting=True)
        username, password = self._login.username.encode(), self._login.password.encode()
        self._secrets = (
            base64.b64encode(b"\0" + username + b"\0" + password).decode(),
            base64.b64encode(password).decode(),
            self._login.password,
        )
        mechanisms = self.offer.mechanisms
        if "PLAIN" in mechanisms:
            secret = base64.b64encode(b"\0" + username + b"\0" + password)
            # Who knows AUTH without an initial response only asks for it (334), as RFC 4954 4 has it for one left out.
            self._steps = [secret]
            return b"AUTH PLAIN " + secret + b"\r\n", Stage.AUTH
        if "LOGIN" in mechanisms:
            self._steps = [base64.b64encode(password), base64.b64encode(username)]
            return b"AUTH LOGIN\r\n", Stage.AUTH
        raise RelayTrouble("it offers neither AUTH PLAIN nor AUTH LOGIN")

    def _log_in_answered(self, reply: Reply) -> Command | None:
        if reply.code == 334 and self._steps:
            return self._steps.pop() + b"\r\n", Stage.AUTH
        if reply.code == 235:
            self._steps = []
            return None
        # What a relay says to a refused log-in may repeat the user name or more: only its code is kept.
        code = f"{reply.code} {reply.enhanced}".strip()
        wrong = f"log-in refused: check username and password ({code}, AUTH)"
        raise RelayTrouble(wrong if reply.code >= 500 else f"{code} (AUTH)", lasting=reply.code >= 500)


def refused(stage: Stage, reply: Reply) -> RelayTrouble:
    """That it did not answer as one does who wants mail."""
    return RelayTrouble(cleaned(f"{reply.code} {reply.text} ({stage})"))

"""One client's conversation with the relay in a box: ESMTP as a server speaks it, and what it takes.

Owns commands, envelopes and dots. What is answered instead of the usual, the relay decides.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message as Parsed
from email.parser import BytesHeaderParser
from enum import Enum
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from gatewayd.sandbox.relay import SimulatedRelay


class Act(Enum):
    """What a relay may do instead of answering."""

    DROP = "close the connection"
    HANG = "say nothing"


RelayAnswer = bytes | Act


@dataclass(frozen=True, slots=True)
class RelayStep:
    """One thing that happened: the step, what the client said, what was answered. For showing and for waiting."""

    connection: int
    step: str
    argument: str
    answer: str


@dataclass(frozen=True, slots=True)
class Taken:
    """One mail that was taken: its envelope with parameters, and its content without the dots that were doubled."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    queue_id: str
    mail_parameters: Mapping[str, str] = field(default_factory=dict)
    rcpt_parameters: tuple[Mapping[str, str], ...] = ()
    tls: bool = False
    user: str = ""

    @property
    def headers(self) -> Parsed:
        """The header of the mail."""
        return BytesHeaderParser().parsebytes(self.content)


class Conversation(Protocol):
    """One client's connection."""

    transport: Any

    def __init__(self, relay: "SimulatedRelay") -> None:
        self._relay = relay
        self._buffer = b""
        self._in_data = False
        self._hung = False
        self._secure = False
        self._login: list[str] = []
        self._number = 0
        self._ended: Deferred[None] | None = None
        self.user = ""
        self._out: list[bytes] = []
        self._reset()

    def _reset(self) -> None:
        self._sender: str | None = None
        self._mail_parameters: dict[str, str] = {}
        self._recipients: list[str] = []
        self._rcpt_parameters: list[dict[str, str]] = []

    def connectionMade(self) -> None:
        """Twisted: connected; a server speaks first."""
        self.transport.setTcpNoDelay(True)
        self._number = self._relay.opened(self)
        self._answer("connect", "", f"220 {self._relay.name} ESMTP".encode())
        self._flush()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Twisted: gone."""
        self._relay.closed(self)
        if self._ended is not None:
            self._ended.callback(None)

    def close(self) -> Deferred[None]:
        """Cut it; fires once it is gone."""
        self._ended = Deferred()
        self.transport.abortConnection()
        return self._ended

    def cut(self) -> None:
        """Close it at once."""
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes."""
        self._buffer += data
        while not self._hung and not self.transport.disconnecting and self._step():
            pass
        self._flush()

    def _step(self) -> bool:
        """Deal with one command, or one mail; False where it is not all here."""
        if self._in_data:
            end = 0 if self._buffer.startswith(b".\r\n") else self._buffer.find(b"\r\n.\r\n") + 2
            if end == 1:
                return False
            content, self._buffer = self._buffer[:end], self._buffer[end + 3 :]
            self._in_data = False
            self._dot(content)
            return True
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            return False
        self._buffer = rest
        self._command(line.decode("utf-8", "surrogateescape"))
        return True

    def _command(self, line: str) -> None:
        if self._login:
            self._log_in_step(line)
            return
        verb, _, argument = line.partition(" ")
        verb = verb.upper()
        step = {"HELO": "EHLO", "LHLO": "EHLO"}.get(verb, verb)
        if verb == "STARTTLS" and self._relay.tls is not None:
            if self._answer(step, "", b"220 2.0.0 Go ahead"):
                self._start_tls()
            return
        self._answer(step, argument, _VERBS.get(verb, Conversation._unknown)(self, argument))

    def _answer(self, step: str, argument: str, usual: bytes) -> bool:
        """Answer a step as told, or as usual; whether the answer is the usual one."""
        instead = self._relay.answer_instead(step, argument)
        said = usual if instead is None else instead
        shown = said.name if isinstance(said, Act) else said.decode("utf-8", "replace")
        if said is Act.DROP:
            self.transport.abortConnection()
        elif said is Act.HANG:
            self._hung = True
        elif isinstance(said, bytes):
            self._out.append(said + b"\r\n")
            if said.startswith(b"421") or step == "QUIT":
                self._flush()
                self.transport.loseConnection()
        refused = instead is not None and shown[:1] not in "23"
        if refused:
            self._undo(step)
        self._relay.happened(RelayStep(self._number, step, argument, shown))
        return not refused

    def _undo(self, step: str) -> None:
        if step == "MAIL":
            self._reset()
        elif step == "RCPT" and self._recipients:
            self._recipients.pop()
            self._rcpt_parameters.pop()
        elif step == "DATA":
            self._in_data = False

    def _flush(self) -> None:
        if self._out:
            out, self._out = b"".join(self._out), []
            self.transport.write(out)

    # -- commands -----------------------------------------------------------------------------------------------

    def _ehlo(self, argument: str) -> bytes:
        self._reset()
        offer = [self._relay.name, *self._relay.extensions]
        if self._relay.tls is not None and not self._secure:
            offer.append("STARTTLS")
        if self._relay.users:
            offer.append(f"AUTH {self._relay.mechanisms}")
        return b"\r\n".join(
            b"250" + (b" " if number == len(offer) - 1 else b"-") + word.encode() for number, word in enumerate(offer)
        )

    def _helo(self, argument: str) -> bytes:
        self._reset()
        return b"250 " + self._relay.name.encode()

    def _mail(self, argument: str) -> bytes:
        if self._relay.users and not self.user:
            return b"530 5.7.0 Authentication required"
        if self._sender is not None:
            return b"503 5.5.1 Nested MAIL command"
        match = _PATH.fullmatch(argument)
        if match is None or not argument.upper().startswith("FROM:"):
            return b"501 5.1.7 Bad sender address syntax"
        self._sender, self._mail_parameters = match["path"], _parameters(match["rest"])
        return b"250 2.1.0 Ok"

    def _rcpt(self, argument: str) -> bytes:
        if self._sender is None:
            return b"503 5.5.1 Need MAIL command"
        match = _PATH.fullmatch(argument)
        if match is None or not match["path"] or not argument.upper().startswith("TO:"):
            return b"501 5.1.3 Bad recipient address syntax"
        self._recipients.append(match["path"])
        self._rcpt_parameters.append(_parameters(match["rest"]))
        return b"250 2.1.5 Ok"

    def _data(self, argument: str) -> bytes:
        if not self._recipients:
            return b"554 5.5.1 No valid recipients" if self._sender is not None else b"503 5.5.1 Need RCPT command"
        self._in_data = True
        return b"354 End data with <CR><LF>.<CR><LF>"

    def _dot(self, content: bytes) -> None:
        queue_id = self._relay.new_id()
        plain = content[1:] if content.startswith(b".") else content
        mail = Taken(
            self._sender or "",
            tuple(self._recipients),
            plain.replace(b"\r\n..", b"\r\n."),
            queue_id,
            self._mail_parameters,
            tuple(self._rcpt_parameters),
            self._secure,
            self.user,
        )
        self._reset()
        if self._answer("dot", queue_id, f"250 2.0.0 Ok: queued as {queue_id}".encode()):
            self._relay.accept(mail)
            self._relay.happened(RelayStep(self._number, "taken", queue_id, ""))

    def _rset(self, argument: str) -> bytes:
        self._reset()
        return b"250 2.0.0 Ok"

    def _noop(self, argument: str) -> bytes:
        return b"250 2.0.0 Ok"

    def _quit(self, argument: str) -> bytes:
        return b"221 2.0.0 Bye"

    def _starttls(self, argument: str) -> bytes:
        return b"502 5.5.1 No TLS here"

    def _start_tls(self) -> None:
        self._flush()
        self._buffer = b""
        self._secure = True
        self.transport.startTLS(self._relay.tls)
        self._reset()

    def _auth(self, argument: str) -> bytes:
        mechanism, _, initial = argument.partition(" ")
        if mechanism.upper() == "PLAIN" and initial:
            _, name, password = base64.b64decode(initial).decode().split("\0")
            return self._checked(name, password)
        if mechanism.upper() == "LOGIN":
            self._login = ["LOGIN"]
            return b"334 VXNlcm5hbWU6"
        return b"504 5.5.4 Unrecognized authentication type"

    def _log_in_step(self, line: str) -> None:
        self._login.append(base64.b64decode(line).decode())
        if len(self._login) == 2:
            self._out.append(b"334 UGFzc3dvcmQ6\r\n")
            return
        _, name, password = self._login
        self._login = []
        self._answer("AUTH", "LOGIN", self._checked(name, password))

    def _checked(self, name: str, password: str) -> bytes:
        if self._relay.users.get(name) != password:
            return b"535 5.7.8 Authentication failed"
        self.user = name
        return b"235 2.7.0 Authentication successful"

    def _unknown(self, argument: str) -> bytes:
        return b"502 5.5.2 Command not recognized"


_PATH = re.compile(r"[^:]+:\s*<(?P<path>[^>]*)>(?P<rest>(?: .*)?)")
_VERBS: dict[str, Callable[[Conversation, str], bytes]] = {
    "EHLO": Conversation._ehlo,
    "LHLO": Conversation._ehlo,
    "HELO": Conversation._helo,
    "STARTTLS": Conversation._starttls,
    "AUTH": Conversation._auth,
    "MAIL": Conversation._mail,
    "RCPT": Conversation._rcpt,
    "DATA": Conversation._data,
    "RSET": Conversation._rset,
    "NOOP": Conversation._noop,
    "QUIT": Conversation._quit,
}


def _parameters(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.split())
    return {name.upper(): value for name, _, value in pairs}

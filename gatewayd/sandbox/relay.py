"""A relay in a box: an ESMTP server on a real socket that takes mail, answers as it is told, and sends real DSNs.

For `gatewayctl sandbox` and for tests. Owns no policy of gatewayd's: it speaks the protocol as a well-behaved (or, when
told so, a hostile) relay would, and keeps what it took.
"""

import base64
import re
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message as Parsed
from email.parser import BytesHeaderParser
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd.sandbox.returned import LmtpClient, success_dsn

STEPS = ("connect", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "dot", "RSET", "NOOP", "QUIT")
EXTENSIONS = ("PIPELINING", "SIZE 10485760", "DSN", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")

DSN_RETRY = 1.0
"""Seconds after which a report that was not taken is handed over again."""


class Act(Enum):
    """What a relay may do instead of answering."""

    DROP = "close the connection"
    HANG = "say nothing"


Said = bytes | Act


@dataclass(frozen=True, slots=True)
class Step:
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


class SimulatedRelay:
    """The server. Answers come from `script` (by step, each used once), then from `decide`, then are good ones.

    With `dsn_to` (a client endpoint that speaks LMTP) each mail whose MAIL FROM is not empty and whose NOTIFY has
    SUCCESS is reported there as `action`, `dsn_delay` seconds after it was taken. With `tls` (a context factory)
    STARTTLS is offered; with `users` (name to password) AUTH is, and needed.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        *,
        name: str = "relay.sandbox",
        extensions: tuple[str, ...] = EXTENSIONS,
        on_step: Callable[[Step], None] = lambda _: None,
        dsn_to: Any = None,
        dsn_delay: float = 0.3,
        action: str = "delivered",
        tls: Any = None,
        users: Mapping[str, str] | None = None,
        keep: int = 10_000,
    ) -> None:
        self.reactor = reactor
        self.name = name
        self.extensions = extensions
        self.on_step = on_step
        self.tls = tls
        self.users = dict(users or {})
        self.mechanisms = "PLAIN LOGIN"
        self.taken: deque[Taken] = deque(maxlen=keep)
        self.count = 0
        self.script: dict[str, deque[Said]] = defaultdict(deque)
        self.decide: Callable[[str, str], Said | None] = lambda step, argument: None
        self.action = action
        self.reported = 0
        self._dsn_to = dsn_to
        self._dsn_delay = dsn_delay
        self._connections: set[_Conversation] = set()
        self._made = 0
        self._timers: set[Any] = set()
        self._reports: set[Deferred[Any]] = set()
        self._waiters: list[tuple[Callable[[], bool], Deferred[None]]] = []
        self._port: Any = None
        self._resting: deque[LmtpClient] = deque()
        # A mail server's own limit (Postfix: lmtp_destination_concurrency_limit): the rest waits its turn.
        self._lmtp_places = DeferredSemaphore(20)

    # -- for tests and the sandbox ------------------------------------------------------------------------------

    async def listen(self, endpoint: Any) -> int:
        """Listen on a server endpoint; the port number, 0 where there is none."""
        factory = Factory.forProtocol(lambda: _Conversation(self))
        factory.noisy = False
        self._port = await endpoint.listen(factory)
        return int(getattr(self._port.getHost(), "port", 0))

    async def stop(self) -> None:
        """Close the port and all connections, and forget DSNs that were not sent yet."""
        if self._port is not None:
            await self._port.stopListening()
            self._port = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for report in list(self._reports):
            report.cancel()
        closing = [conversation.close() for conversation in list(self._connections)]
        closing += [lmtp.close() for lmtp in list(self._resting)]
        await DeferredList(closing)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def connections_made(self) -> int:
        """How many connections there were."""
        return self._made

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Fires after a step or a DSN that makes `condition` true."""
        done: Deferred[None] = Deferred()
        self._waiters.append((condition, done))
        self._look()
        return done

    def drop_all(self) -> None:
        """Cut all connections."""
        for conversation in list(self._connections):
            conversation.cut()

    # -- for its connections ------------------------------------------------------------------------------------

    def opened(self, conversation: "_Conversation") -> int:
        """A client connected; its number."""
        self._connections.add(conversation)
        self._made += 1
        return self._made

    def closed(self, conversation: "_Conversation") -> None:
        """A client is gone."""
        self._connections.discard(conversation)
        self._look()

    def told(self, step: str, argument: str) -> Said | None:
        """What the script says to a step, if anything."""
        waiting = self.script.get(step)
        return waiting.popleft() if waiting else self.decide(step, argument)

    def happened(self, step: Step) -> None:
        """Show a step."""
        self.on_step(step)
        if self._waiters:
            self._look()

    def take(self, mail: Taken) -> None:
        """A mail is ours now."""
        self.count += 1
        self.taken.append(mail)
        wanted = any("SUCCESS" in one.get("NOTIFY", "").upper() for one in mail.rcpt_parameters)
        if self._dsn_to is not None and wanted and mail.sender:
            timer = self.reactor.callLater(self._dsn_delay, self._report_later, mail)
            self._timers.add(timer)

    def new_id(self) -> str:
        """A queue id, as Postfix makes them."""
        return f"4Zq{self.count + 1:06d}w"

    def _look(self) -> None:
        for waiter in list(self._waiters):
            if waiter[0]():
                self._waiters.remove(waiter)
                waiter[1].callback(None)

    # -- reports ------------------------------------------------------------------------------------------------

    def _report_later(self, mail: Taken) -> None:
        self._timers = {timer for timer in self._timers if timer.active()}
        report: Deferred[Any] = self._lmtp_places.run(lambda: Deferred.fromCoroutine(self._report(mail)))
        self._reports.add(report)
        report.addErrback(self._not_reported, mail)
        report.addBoth(lambda _: self._reports.discard(report))

    async def _report(self, mail: Taken) -> None:
        while self._resting:
            lmtp = self._resting.popleft()
            if lmtp.alive:
                break
        else:
            lmtp = await connectProtocol(self._dsn_to, LmtpClient())
            await lmtp.greeted
        await lmtp.send(mail.sender, success_dsn(mail, self.name, self.action))
        self._resting.append(lmtp)
        self.reported += 1
        self.happened(Step(0, "DSN", mail.sender, self.action))

    def _not_reported(self, failure: Failure, mail: Taken) -> None:
        error = type(failure.value).__name__
        if self._port is not None and not str(failure.value).startswith("5"):
            # Who should take it is down or busy: kept and tried again, as any relay would.
            self._timers.add(self.reactor.callLater(DSN_RETRY, self._report_later, mail))
        self._log.warn("a DSN could not be handed over: {error}", error=error)
        self.happened(Step(0, "DSN", "", f"not handed over: {error}"))


class _Conversation(Protocol):
    """One client's connection."""

    transport: Any

    def __init__(self, relay: SimulatedRelay) -> None:
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
        self.transport.setTcpNoDelay(True)
        self._number = self._relay.opened(self)
        self._answer("connect", "", f"220 {self._relay.name} ESMTP".encode())
        self._flush()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._relay.closed(self)
        if self._ended is not None:
            self._ended.callback(None)

    def close(self) -> Deferred[None]:
        self._ended = Deferred()
        self.transport.abortConnection()
        return self._ended

    def cut(self) -> None:
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
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
        self._answer(step, argument, _VERBS.get(verb, _Conversation._unknown)(self, argument))

    def _answer(self, step: str, argument: str, usual: bytes) -> bool:
        """Answer a step as told, or as usual; whether the answer is the usual one."""
        told = self._relay.told(step, argument)
        said = usual if told is None else told
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
        refused = told is not None and shown[:1] not in "23"
        if refused:
            self._undo(step)
        self._relay.happened(Step(self._number, step, argument, shown))
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
            b"250" + (b" " if place == len(offer) - 1 else b"-") + word.encode() for place, word in enumerate(offer)
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
            self._relay.take(mail)
            self._relay.happened(Step(self._number, "taken", queue_id, ""))

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
_VERBS: dict[str, Callable[[_Conversation, str], bytes]] = {
    "EHLO": _Conversation._ehlo,
    "LHLO": _Conversation._ehlo,
    "HELO": _Conversation._helo,
    "STARTTLS": _Conversation._starttls,
    "AUTH": _Conversation._auth,
    "MAIL": _Conversation._mail,
    "RCPT": _Conversation._rcpt,
    "DATA": _Conversation._data,
    "RSET": _Conversation._rset,
    "NOOP": _Conversation._noop,
    "QUIT": _Conversation._quit,
}


def _parameters(text: str) -> dict[str, str]:
    pairs = (word.partition("=") for word in text.split())
    return {name.upper(): value for name, _, value in pairs}

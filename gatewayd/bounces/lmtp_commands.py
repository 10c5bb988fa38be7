"""The commands of LMTP (RFC 2033): one line in, its answer out. Pure.

Owns which command may follow which, for whom the next mail is, and how much a client may use of us. Knows no bytes of
a mail, no connection and no time; of parameters SIZE (RFC 1870), BODY (RFC 6152) and SMTPUTF8 (RFC 6531).
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import Any, Generic, TypeVar

from msgspec import Struct

R = TypeVar("R")

_QUOTED = r'"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"'
_PATH = re.compile(rf"(FROM|TO):\s?<((?:[^\"<>\x00-\x20\x7f]|{_QUOTED})*)>((?: [^\x00-\x20\x7f]+)*) *", re.IGNORECASE)
"""A quoted part of an address may hold blanks and brackets, and the mail server passes on what the world sends."""

_NAME = "gatewayd"
"""What we call ourselves: nobody looks us up by it."""

_BODIES = frozenset({"7BIT", "8BITMIME"})


class LmtpLimits(Struct, frozen=True):
    """What one session, and all of them together, may use. Seconds and bytes.

    Of a mail the first `kept` bytes are kept; the rest is read, counted and thrown away. A peer that leaves our replies
    unread for `unread` is hung up on.
    """

    max_size: int = 5_242_880
    kept: int = 1 << 20
    line: int = 2048
    buffer: int = 16 << 10
    errors: int = 5
    connections: int = 50
    idle: float = 60.0
    session: float = 600.0
    unread: float = 10.0


class Then(Enum):
    """What the client may send after an answer."""

    COMMAND = "another command"
    MAIL = "a mail, up to CRLF.CRLF"
    NOTHING = "it is hung up on"


class LmtpAnswer(Struct, frozen=True):
    """Whole lines, and what follows them."""

    lines: str
    then: Then = Then.COMMAND


def _answer(code: int, text: str) -> LmtpAnswer:
    return LmtpAnswer(f"{code} {text}\r\n")


_SENDER_OK = _answer(250, "2.1.0 ok")
_RECIPIENT_OK = _answer(250, "2.1.5 ok")
_GO_ON = LmtpAnswer("354 go on, end with CRLF.CRLF\r\n", Then.MAIL)


class LmtpCommands(Generic[R]):
    """Those of one session. `find` gives the recipient behind an address, or None where we have no such one."""

    def __init__(self, limits: LmtpLimits, find: Callable[[str], R | None]) -> None:
        self._limits = limits
        self._find = find
        self._faults = 0  # commands that no correct client gives
        self._greeted = False  # LHLO was given
        self._sender: str | None = None
        self._recipient: R | None = None

    def greeting(self) -> str:
        """The line that begins a session."""
        return f"220 {_NAME} LMTP gatewayd\r\n"

    def answer(self, line: bytes) -> LmtpAnswer:
        """To one line, without its end."""
        if len(line) > self._limits.line or b"\n" in line or b"\r" in line or b"\0" in line:
            return self._fault(500, "5.5.2 bad line")
        verb, _, rest = line.partition(b" ")
        command = _COMMANDS.get(verb.upper())
        if command is None:
            return self._fault(500, "5.5.1 unknown command")
        try:
            return command(self, rest.decode("utf-8"))
        except UnicodeDecodeError:
            return self._fault(501, "5.5.2 not UTF-8")

    def mail_ended(self) -> tuple[R, bool]:
        """For whom the mail was, and whether MAIL FROM was empty; the next one begins with MAIL."""
        recipient, sender = self._recipient, self._sender
        self._reset()
        assert recipient is not None
        return recipient, sender == ""

    def _fault(self, code: int, text: str) -> LmtpAnswer:
        """The answer to what no correct client sends; a few of them end the session."""
        self._faults += 1
        if self._faults > self._limits.errors:
            return LmtpAnswer("421 4.7.0 too many errors\r\n", Then.NOTHING)
        return _answer(code, text)

    def _reset(self) -> None:
        self._sender = self._recipient = None

    def _lhlo(self, rest: str) -> LmtpAnswer:
        if not rest.strip():
            return self._fault(501, "5.5.4 LHLO needs a name")
        self._greeted = True
        self._reset()
        offers = ("PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8")
        lines = [f"250-{name}\r\n" for name in (_NAME, *offers)]
        return LmtpAnswer("".join([*lines, f"250 SIZE {self._limits.max_size}\r\n"]))

    def _not_lmtp(self, _: str) -> LmtpAnswer:
        return self._fault(500, "5.5.1 this is LMTP")

    def _mail_from(self, rest: str) -> LmtpAnswer:
        path = _read_path("FROM", rest)
        if not self._greeted or self._sender is not None:
            return self._fault(503, "5.5.1 bad sequence of commands")
        if path is None:
            return self._fault(501, "5.1.7 bad sender")
        sender, parameters = path
        refusal = _refused_parameters(parameters, self._limits.max_size)
        if refusal is not None:
            return _answer(*refusal)
        self._sender = sender
        return _SENDER_OK

    def _rcpt_to(self, rest: str) -> LmtpAnswer:
        path = _read_path("TO", rest)
        if self._sender is None:
            return self._fault(503, "5.5.1 need MAIL first")
        if path is None:
            return self._fault(501, "5.1.3 bad recipient")
        if path[1]:
            return _answer(555, "5.5.4 unknown parameter")
        if (found := self._find(path[0])) is None:
            # No fault of the client's: a mail server passes on what the world sends to it.
            return _answer(550, "5.1.1 no such recipient")
        if self._recipient is not None:
            # One recipient a mail, so that one reply is always right.
            return _answer(452, "4.5.3 one recipient at a time")
        self._recipient = found
        return _RECIPIENT_OK

    def _data(self, rest: str) -> LmtpAnswer:
        if rest.strip():
            return self._fault(501, "5.5.4 DATA takes no argument")
        if self._recipient is None:
            return self._fault(503, "5.5.1 no valid recipient")
        return _GO_ON

    def _rset(self, _: str) -> LmtpAnswer:
        self._reset()
        return _answer(250, "2.0.0 ok")

    def _noop(self, _: str) -> LmtpAnswer:
        return _answer(250, "2.0.0 ok")

    def _vrfy(self, _: str) -> LmtpAnswer:
        return _answer(252, "2.5.2 send some mail, I will try")

    def _refuse(self, _: str) -> LmtpAnswer:
        return self._fault(502, "5.5.1 not offered")

    def _quit(self, _: str) -> LmtpAnswer:
        return LmtpAnswer("221 2.0.0 bye\r\n", Then.NOTHING)


_COMMANDS: dict[bytes, Callable[[LmtpCommands[Any], str], LmtpAnswer]] = {
    b"LHLO": LmtpCommands._lhlo,
    b"EHLO": LmtpCommands._not_lmtp,
    b"HELO": LmtpCommands._not_lmtp,
    b"MAIL": LmtpCommands._mail_from,
    b"RCPT": LmtpCommands._rcpt_to,
    b"DATA": LmtpCommands._data,
    b"RSET": LmtpCommands._rset,
    b"NOOP": LmtpCommands._noop,
    b"VRFY": LmtpCommands._vrfy,
    b"QUIT": LmtpCommands._quit,
    b"EXPN": LmtpCommands._refuse,
    b"HELP": LmtpCommands._refuse,
    b"AUTH": LmtpCommands._refuse,
    b"ETRN": LmtpCommands._refuse,
    b"BDAT": LmtpCommands._refuse,
    b"STARTTLS": LmtpCommands._refuse,
}


def _read_path(word: str, rest: str) -> tuple[str, list[str]] | None:
    """The address and the parameters behind `word` (FROM or TO); None where that is not what `rest` has."""
    path = _PATH.fullmatch(rest)
    if path is None or path[1].upper() != word:
        return None
    return path[2], path[3].split()


def _refused_parameters(parameters: list[str], max_size: int) -> tuple[int, str] | None:
    """Code and text for the first parameter of MAIL that can't be met; None where there is none."""
    for parameter in parameters:
        name, _, value = parameter.upper().partition("=")
        if name == "SIZE" and value.isdecimal() and len(value) <= 20:
            if int(value) > max_size:
                return 552, "5.3.4 message too big"
        elif (name, value) != ("SMTPUTF8", "") and not (name == "BODY" and value in _BODIES):
            return 555, "5.5.4 unknown parameter"
    return None

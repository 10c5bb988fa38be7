"""Whether an SMSC takes our bind: bind, enquire_link, unbind, in the configured way (SMPP 3.4, 4.1, 4.11, 4.2)."""

from collections import deque
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from gatewayd import config
from gatewayd.check.finding import FAIL, OK, WARN, Finding
from gatewayd.check.neighbours import words
from gatewayd.smpp import pdu as smpp
from gatewayd.smpp.codes import status_name
from gatewayd.smpp.dial import endpoint_of
from gatewayd.smpp.pdu import Command, Framer, Status

_BINDS = {
    "transceiver": (Command.BIND_TRANSCEIVER,),
    "transmitter+receiver": (Command.BIND_TRANSMITTER, Command.BIND_RECEIVER),
}
_TAKEN: tuple[int, ...] = (Status.RALYBND,)
"""What an SMSC says where the account has all the binds that it may have: the running daemon holds them."""

_CREDENTIALS: dict[int, str] = {
    Status.RINVPASWD: "password",
    Status.RINVSYSID: "system_id",
    Status.RINVSYSTYP: "system_type",
}


class _Ended(Exception):
    """The connection is gone before the answer."""


class _Talk(Protocol):
    """One question at a time. Receipts that come meanwhile are put off: the daemon must get them, not we."""

    transport: Any

    def __init__(self) -> None:
        self._framer = Framer()
        self._waiting: deque[Deferred[Any]] = deque()

    def ask(self, request: Any) -> Deferred[Any]:
        """The next response."""
        answer: Deferred[Any] = Deferred()
        self._waiting.append(answer)
        self.transport.write(smpp.encode(request))
        return answer

    def dataReceived(self, data: bytes) -> None:
        """Octets came."""
        try:
            whole = [smpp.decode(octets) for octets in self._framer.feed(data)]
        except ValueError as error:
            self._fail(_Ended(f"does not speak SMPP: {error}"))
            self.transport.abortConnection()
            return
        for pdu in whole:
            match pdu:
                case smpp.DeliverSm():
                    self.transport.write(smpp.encode(smpp.DeliverSmResp(pdu.sequence, Status.RX_T_APPN)))
                case smpp.DataSm():
                    self.transport.write(smpp.encode(smpp.DataSmResp(pdu.sequence, Status.RX_T_APPN)))
                case smpp.EnquireLink():
                    self.transport.write(smpp.encode(smpp.EnquireLinkResp(pdu.sequence)))
                case smpp.BindResp() | smpp.EnquireLinkResp() | smpp.UnbindResp() | smpp.GenericNack():
                    if self._waiting:
                        self._waiting.popleft().callback(pdu)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Gone."""
        self._fail(_Ended("closes the connection without an answer"))

    def _fail(self, error: Exception) -> None:
        while self._waiting:
            self._waiting.popleft().errback(error)


async def look(reactor: Any, name: str, table: config.Smsc) -> list[Finding]:
    """A finding for each kind of bind that is configured."""
    return [await _bind(reactor, f"smsc {name}", table, command) for command in _BINDS[table.bind]]


async def _bind(reactor: Any, what: str, table: config.Smsc, command: Command) -> Finding:
    where = f"{table.host}:{table.port}: {command.name.lower()}"
    talk = _Talk()
    try:
        await endpoint_of(reactor, table).connect(Factory.forProtocol(lambda: talk))
        bound = await talk.ask(_request(table, command))
        if bound.status:
            return _refused(what, where, bound.status)
        begun = reactor.seconds()
        alive = await talk.ask(smpp.EnquireLink(2))
        took = (reactor.seconds() - begun) * 1000
        if alive.status:
            return Finding(FAIL, what, f"{where}, but enquire_link gets {status_name(alive.status)}")
        await talk.ask(smpp.Unbind(3))
    except CancelledError:
        raise
    except Exception as error:
        return Finding(FAIL, what, f"{where}: {words(error)}")
    finally:
        if talk.transport is not None:
            talk.transport.loseConnection()
    secure = "TLS with a good certificate, " if table.tls else ""
    return Finding(OK, what, f"{where} taken, {secure}enquire_link {took:.0f} ms, unbind")


def _refused(what: str, where: str, status: int) -> Finding:
    if status in _TAKEN:
        text = f"{where}: {status_name(status)}: no bind is left for this account, perhaps as gatewayd holds them"
        return Finding(WARN, what, text)
    wrong = _CREDENTIALS.get(status)
    hint = f": the {wrong} is wrong" if wrong else ""
    return Finding(FAIL, what, f"{where} refused, {status_name(status)}{hint}")


def _request(table: config.Smsc, command: Command) -> smpp.Bind:
    return smpp.Bind(
        1,
        kind=command,
        system_id=table.system_id.encode("latin-1", "replace"),
        password=table.password.reveal().encode("latin-1", "replace"),
        system_type=table.system_type.encode("latin-1", "replace"),
    )

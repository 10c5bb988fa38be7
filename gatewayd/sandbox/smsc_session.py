"""One ESME's connection to the simulated SMSC: its bind, and what is sent to and fro, in whatever pieces.

It answers what a session answers by itself; whether a submit is taken is the message centre's.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

from msgspec import structs
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Command, Status

if TYPE_CHECKING:
    from gatewayd.sandbox.smsc import SmscSimulator


class SmscSession(Protocol):
    """One ESME's connection."""

    transport: Any

    def __init__(self, smsc: "SmscSimulator") -> None:
        self.smsc = smsc
        self.receives = False
        self.bound = False
        self.mute = False
        self.unanswered: dict[int, smpp.DeliverSm | smpp.DataSm] = {}
        self.gone: Deferred[None] = Deferred()
        self.system_id = ""
        self.peer_unbound = False
        self._framer = smpp.Framer()
        self._sequence = 0
        self._slow: deque[bytes] = deque()

    def connectionMade(self) -> None:
        """Twisted: somebody connected."""
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)
        self.smsc.sessions.append(self)
        self.smsc.step("connected")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: they are gone."""
        self.bound = self.receives = False
        self.smsc.lost(self)
        self.gone.callback(None)

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes."""
        if self.mute:
            return
        try:
            whole = self._framer.feed(data)
            for octets in whole[:1] if self.smsc.behaviour.one_pdu_a_segment else whole:
                if not self.mute:
                    self._received(smpp.decode(octets))
        except smpp.FramingError:
            self.smsc.step("unreadable")
            self.abort()

    def abort(self) -> None:
        """Cut the connection (a TCP reset)."""
        if self.transport is not None:
            self.bound = self.receives = False
            self.transport.abortConnection()

    def next_sequence(self) -> int:
        """For our own requests."""
        self._sequence += 1
        return self._sequence

    def send(self, pdu: smpp.Pdu) -> None:
        """Write one PDU, whole or in crumbs."""
        if not self.mute:
            self.write(smpp.encode(pdu))

    def write(self, octets: bytes) -> None:
        """Write octets in order, `fragment` at a time where the behaviour says so."""
        fragment = self.smsc.behaviour.fragment
        if not fragment and not self._slow:
            self.transport.write(octets)
            return
        size = fragment or len(octets)
        idle = not self._slow
        self._slow.extend(octets[at : at + size] for at in range(0, len(octets), size))
        if idle:
            self._crumb()

    def deliver(self, request: smpp.DeliverSm | smpp.DataSm) -> None:
        """A receipt or text for this ESME."""
        request = structs.replace(request, sequence=self.next_sequence())
        self.unanswered[request.sequence] = request
        self.send(request)

    def _crumb(self) -> None:
        if self._slow and self.connected:
            self.transport.write(self._slow.popleft())
            self.smsc.later(0.0, self._crumb)

    def _received(self, pdu: smpp.Pdu) -> None:
        match pdu:
            case smpp.SubmitSm():
                if self.bound:
                    self.smsc.submit(self, pdu)
                else:
                    self.send(smpp.SubmitSmResp(pdu.sequence, Status.RINVBNDSTS))
            case smpp.DeliverSmResp() | smpp.DataSmResp():
                request = self.unanswered.pop(pdu.sequence, None)
                if request is not None:
                    self.smsc.acknowledged(request, pdu.status)
            case smpp.EnquireLink():
                self.send(smpp.EnquireLinkResp(pdu.sequence))
                self.smsc.step("enquire_link")
            case smpp.EnquireLinkResp():
                self.smsc.step("enquire_link_resp")
            case smpp.Bind():
                self._bind(pdu)
            case smpp.Unbind():
                self.peer_unbound = True
                self.bound = self.receives = False
                self.send(smpp.UnbindResp(pdu.sequence))
                self.smsc.step("unbind")
                self.transport.loseConnection()
            case smpp.UnbindResp():
                self.bound = self.receives = False
                self.smsc.step("unbind_resp")
                self.transport.loseConnection()
            case smpp.GenericNack():
                self.smsc.step("generic_nack", smpp.status_name(pdu.status))
            case smpp.Raw():
                if not pdu.command_id & smpp.RESPONSE:
                    self.send(smpp.GenericNack(pdu.sequence, Status.RINVCMDID))
            case _:
                self.smsc.step("ignored", type(pdu).__name__)

    def _bind(self, pdu: smpp.Bind) -> None:
        if self.smsc.behaviour.bind_mute:
            self.smsc.step("bind ignored")
            return
        status = self.smsc.bind(self, pdu)
        self.system_id = pdu.system_id.decode("latin-1")
        self.send(smpp.BindResp(pdu.sequence, status, pdu.kind, b"SANDBOX" if not status else b""))
        self.smsc.step("bind refused" if status else "bound", smpp.status_name(status) if status else self.system_id)
        if not status:
            self.bound = True
            self.receives = pdu.kind != Command.BIND_TRANSMITTER
            self.smsc.flush()
            self._enquire()

    def _enquire(self) -> None:
        every = self.smsc.behaviour.enquire_every
        if every and self.bound:
            self.send(smpp.EnquireLink(self.next_sequence()))
            self.smsc.later(every, self._enquire)

"""A conversation with an SMSC, one question at a time, for a look at it.

Owns one connection that asks and waits; it smooths nothing over. The daemon's own sessions are session.py's.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from gatewayd.core import tls
from gatewayd.core.unread import UnreadGuard
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import BRING_AGAIN
from gatewayd.smpp.dial import Dialled

PATIENCE = 10.0
"""Seconds for one answer."""

FAREWELL = 2.0
"""Seconds that a peer has to take our close; then the connection is cut."""


class Trouble(Exception):
    """The conversation is over; the text says why, without number or password."""


class Talk(Dialled):
    """A connection on which each question waits for the answer with its number.

    Receipts and texts are taken and kept; with `takes` false they are put off (codes.BRING_AGAIN), for the SMSC to
    bring again to whom they are for: the daemon.
    """

    transport: Any

    def __init__(self, reactor: Any, *, takes: bool = True) -> None:
        super().__init__()
        self._takes = takes
        self.requests: list[smpp.DeliverSm | smpp.DataSm] = []
        self.on_request: Callable[[], object] = lambda: None
        self._reactor = reactor
        self._framer = smpp.Framer()
        self._sequence = 0
        self._waiting: dict[int, Deferred[smpp.Pdu]] = {}
        self._submits: set[int] = set()  # the numbers of those
        self._nack: smpp.GenericNack | None = None  # of nothing: the answer to the only submit, if no other comes
        self._gone: Deferred[None] = Deferred()
        self._lost = False
        self._unbound = False
        self._unread: UnreadGuard | None = None
        self._why = "the connection was closed"

    @property
    def lost(self) -> bool:
        """The connection is gone."""
        return self._lost

    def put(self, pdu: smpp.Pdu) -> Deferred[smpp.Pdu]:
        """Write a request; what fires is its answer. Raises Trouble for what SMPP has no place for."""
        self._sequence += 1
        waiting: Deferred[smpp.Pdu] = Deferred()
        try:
            octets = smpp.encode(pdu)
        except smpp.EncodeError as error:
            raise Trouble(str(error)) from None
        if self._lost:
            raise Trouble(self._why)
        self._waiting[self._sequence] = waiting
        if isinstance(pdu, smpp.SubmitSm):
            self._submits.add(self._sequence)
        self.transport.write(smpp.numbered(octets, self._sequence))
        return waiting

    async def answer(self, waiting: Deferred[smpp.Pdu], patience: float = PATIENCE) -> smpp.Pdu:
        """Wait for it, but not for ever."""
        waiting.addTimeout(patience, self._reactor)
        try:
            return await waiting
        except TooLate:
            nack, self._nack = self._nack, None
            if nack is not None:
                self._waiting = {number: each for number, each in self._waiting.items() if each is not waiting}
                return nack
            raise Trouble(self.in_full(f"no answer in {patience:.0f} s")) from None

    async def ask(self, pdu: smpp.Pdu) -> smpp.Pdu:
        """`put` and `answer`."""
        return await self.answer(self.put(pdu))

    async def close(self) -> None:
        """End it, whatever state it is in: in peace after unbind_resp, for a reset is an alarm over there."""
        if self._lost:
            return
        if not self._unbound:
            self.transport.abortConnection()
            await self._gone
            return
        if self._unread is not None:
            self._unread.end()
        self.transport.loseConnection()
        cut = self._reactor.callLater(FAREWELL, self.transport.abortConnection)
        await self._gone
        if cut.active():
            cut.cancel()

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes."""
        if self._unread is None:
            # Not before: in its handshake TLS pauses us while it waits to read.
            self._unread = UnreadGuard(self._reactor, self.transport, self.transport.abortConnection)
            self._unread.begin()
        try:
            for octets in self._framer.feed(data):
                self._received(smpp.read(octets)[0], asks=not int.from_bytes(octets[4:8], "big") & smpp.RESPONSE)
        except (smpp.FramingError, smpp.BodyError) as error:
            self._why = f"it does not speak SMPP: {error}"
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: gone."""
        self._lost = True
        if self._unread is not None:
            self._unread.end()
        self._why = tls.fault(reason.value) or self.in_full(self._why)
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            if not each.called:
                each.errback(Trouble(self._why))
        self._gone.callback(None)

    def _received(self, pdu: smpp.Pdu, *, asks: bool) -> None:
        # What the peer asks has numbers of the peer's own, which may be ours.
        match pdu:
            case smpp.DeliverSm() | smpp.DataSm():
                status = smpp.Status.ROK if self._takes else BRING_AGAIN
                self.transport.write(smpp.encode(smpp.response_to(pdu, status)))
                if self._takes:
                    self.requests.append(pdu)
                    self.on_request()
            case smpp.EnquireLink():
                self.transport.write(smpp.encode(smpp.EnquireLinkResp(pdu.sequence)))
            case smpp.Unbind():
                self._unbound = True
                self._why = "the other side unbound"
                self.transport.write(smpp.encode(smpp.UnbindResp(pdu.sequence)))
            case smpp.AlertNotification() | smpp.Outbind():
                pass
            case _ if asks:
                self.transport.write(smpp.encode(smpp.GenericNack(pdu.sequence, smpp.Status.RINVCMDID)))
            case _:
                self._unbound = self._unbound or isinstance(pdu, smpp.UnbindResp)
                sequence = pdu.sequence
                if isinstance(pdu, smpp.GenericNack) and not sequence and len(self._waiting) == 1:
                    # Its writer could not read the number of what alone it may mean.
                    (sequence,) = self._waiting
                    if sequence in self._submits:
                        self._nack = pdu
                        return
                waiting = self._waiting.pop(sequence, None)
                if waiting is not None and not waiting.called:
                    self._nack = None
                    waiting.callback(pdu)

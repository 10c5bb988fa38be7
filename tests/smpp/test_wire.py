"""An SMSC that floods us and never reads, over real loopback sockets: what waits for it in memory has an end."""

import socket
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from gatewayd.core.model import Receipt
from gatewayd.sandbox.smsc_behaviour import Behaviour
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import encode
from gatewayd.smpp.wire import REQUESTS_AT_ONCE
from redis_server import until
from smpp_world import Memory, World, order, settings

FLOOD = encode(smpp.EnquireLink(1)) * 1024
"""16 kB of them."""


def with_little_room(transport: Any) -> None:
    """The system keeps little between two sockets: what is too much is soon in our own memory."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        transport.socket.setsockopt(socket.SOL_SOCKET, option, 8192)


class Flood(Protocol):
    """Answers the bind, and from `begin` on asks whether we are there as fast as it can, and reads nothing."""

    transport: Any

    def __init__(self) -> None:
        self.bound = False
        self.floods = False

    def connectionMade(self) -> None:
        """Somebody connected."""
        with_little_room(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """The bind; or, once it reads again, whatever we answered."""
        if not self.bound:
            self.bound = True
            self.transport.write(encode(smpp.BindResp(1)))

    def begin(self) -> None:
        """Read no more, and write."""
        self.floods = True
        self.transport.pauseProducing()
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        """Twisted: there is room for more."""
        if self.floods:
            self.transport.write(FLOOD)
            self.more = reactor.callLater(0, self.resumeProducing)  # type: ignore[attr-defined]

    def pauseProducing(self) -> None:
        """Twisted: the ESME does not read any more."""
        if self.more.active():
            self.more.cancel()

    def stopProducing(self) -> None:
        """Twisted: it is gone."""
        self.end()

    def end(self) -> None:
        """Write no more."""
        if self.floods:
            self.floods = False
            self.pauseProducing()

    def read(self) -> None:
        """Read all after all, and ask no more."""
        self.end()
        self.transport.unregisterProducer()
        self.transport.resumeProducing()


@pytest_twisted.ensureDeferred
async def test_a_flood_that_is_not_read_has_an_end() -> None:
    """We stop reading, and hold little; who reads again keeps the bind."""
    floods: list[Flood] = []

    def flood() -> Flood:
        floods.append(Flood())
        return floods[-1]

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(flood))
    world = World({"world": settings(port.getHost().port)})
    world.channel.startService()
    try:
        await until(world.all_bound)
        (wire,) = [link.window.wire for link in world.channel._ways["world"]._binds._links]
        assert wire is not None
        with_little_room(wire.transport)
        floods[0].begin()
        await until(lambda: wire.congested)
        waiting = len(wire.transport.dataBuffer) + wire.transport._tempDataLen
        assert waiting <= 3 * 65536
        floods[0].read()
        await until(lambda: not wire.congested)
        assert world.channel.routes() == {"world": True}
        assert len(floods) == 1
    finally:
        for each in floods:
            each.end()
            each.transport.abortConnection()
        await world.channel.stopService()
        await port.stopListening()


def test_more_receipts_than_can_be_stored_at_once_are_left_unread() -> None:
    """None is refused, for there are SMSCs that bring none again; what lies unread is judged by no clock."""
    memory = Memory()
    world = memory.world()
    session = memory.smsc.sessions[0]
    storing: Deferred[None] = Deferred()

    async def record(receipt: Receipt) -> None:
        stored: Deferred[None] = Deferred()
        storing.addBoth(stored.callback)
        await stored
        world.evidence.receipts.append(receipt)

    world.evidence.record_receipt = record  # type: ignore[method-assign]
    count = 2 * REQUESTS_AT_ONCE + 10
    for number in range(count):
        session.deliver(smpp.DeliverSm(0, esm_class=4, short_message=b"id:%d stat:DELIVRD err:000" % number))
    memory.pump()
    assert len(session.unanswered) == count
    assert len(memory.wires[0].moving) == count - REQUESTS_AT_ONCE
    guard = memory.wires[0].producers["link"]
    guard.pauseProducing()
    guard.resumeProducing()
    memory.pump()
    assert len(memory.wires[0].moving) == count - REQUESTS_AT_ONCE
    memory.advance(100)
    assert world.all_bound()
    storing.callback(None)
    memory.advance(1)
    assert len(world.evidence.receipts) == memory.smsc.receipts_acknowledged == count
    assert memory.smsc.receipts_refused == 0
    assert len(memory.tried) == 1
    world.channel.stopService()
    memory.advance(10)
    assert memory.clock.getDelayedCalls() == []


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_bind_that_is_not_answered_for_want_of_tls_says_so(encrypted: bool) -> None:
    """An SMSC that speaks none waits for the rest of a PDU of hundreds of megabytes."""
    memory = Memory(Behaviour(bind_mute=True))
    with capturedLogs() as logs:
        world = memory.world()
        (link,) = world.channel._ways["world"]._binds._links
        assert link.window.wire is not None
        alsoProvides(link.window.wire.transport, ISSLTransport)
        if encrypted:
            link.window.wire.handshakeCompleted()
        memory.advance(16)
    (line,) = [event["reason"] for event in logs if "is down" in event["log_format"]]
    assert line.startswith("bind was not answered")
    assert ("TLS had not begun" in line) is not encrypted
    world.channel.stopService()
    memory.advance(10)


def test_who_never_reads_is_given_up_and_bound_anew() -> None:
    """Meanwhile nothing new is written, and nothing unread is judged by the clock; after ten seconds we go."""
    memory = Memory()
    world = memory.world(window=5)
    memory.smsc.sessions[0].send(smpp.EnquireLink(1))
    memory.pump()
    with capturedLogs() as logs:
        memory.wires[0].producers["link"].pauseProducing()
        sending = world.send(order(now=memory.clock.seconds()))
        failures: list[Failure] = []
        sending.addErrback(failures.append)
        memory.advance(4)
        assert world.marks == []
        assert world.all_bound()
        memory.advance(10)
    assert failures
    lines = [event["reason"] for event in logs if "is down" in event["log_format"]]
    assert lines == ["the peer did not read what we wrote for 10 s"]
    assert len(memory.tried) == 2
    assert world.all_bound()
    world.channel.stopService()
    memory.advance(10)
    assert memory.clock.getDelayedCalls() == []


def test_who_reads_again_gets_what_waited() -> None:
    """A submit that waited for room is written once there is some."""
    memory = Memory()
    world = memory.world()
    memory.smsc.sessions[0].send(smpp.EnquireLink(1))
    memory.pump()
    guard = memory.wires[0].producers["link"]
    guard.pauseProducing()
    sending = world.send(order(now=memory.clock.seconds()))
    memory.advance(3)
    assert not sending.called
    guard.resumeProducing()
    memory.advance(1)
    assert sending.result.route == "world"
    world.channel.stopService()
    memory.advance(10)

"""An SMSC that floods us and never reads, over real loopback sockets: what waits for it in memory has an end."""

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import capturedLogs

from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import encode
from redis_server import until
from smpp_world import World, settings

FLOOD = encode(smpp.EnquireLink(1)) * 4096
"""64 kB of them."""


class Flood(Protocol):
    """Answers the bind, reads no more, and asks whether we are there as fast as it can."""

    def __init__(self) -> None:
        self.bound = False
        self.sent = 0
        self.paused = 0
        self.reads = False

    def connectionMade(self) -> None:
        """A small window makes it full soon."""
        self.transport.socket.setsockopt(1, 8, 4096)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """The bind, or what we read again."""
        if not self.bound:
            self.bound = True
            self.transport.write(encode(smpp.BindResp(1)))  # type: ignore[union-attr]
            self.transport.pauseProducing()  # type: ignore[union-attr]
            self.transport.registerProducer(self, True)  # type: ignore[union-attr]
            self.resumeProducing()

    def resumeProducing(self) -> None:
        """The ESME reads: more."""
        if self.reads:
            return
        self.sent += len(FLOOD)
        self.transport.write(FLOOD)  # type: ignore[union-attr]
        if self.sent < 64 * len(FLOOD):
            reactor.callLater(0, self.resumeProducing)  # type: ignore[attr-defined]

    def pauseProducing(self) -> None:
        """The ESME does not read any more."""
        self.paused += 1

    def stopProducing(self) -> None:
        """It is gone."""

    def read(self) -> None:
        """Read all after all."""
        self.reads = True
        self.transport.unregisterProducer()  # type: ignore[union-attr]
        self.transport.resumeProducing()  # type: ignore[union-attr]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("reads", [False, True])
async def test_a_flood_that_is_never_read_has_an_end(reads: bool) -> None:
    """We stop reading; whoever reads within ten seconds keeps the bind, whoever does not is given up and bound anew."""
    floods: list[Flood] = []

    def flood() -> Flood:
        floods.append(Flood())
        return floods[-1]

    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(flood))
    world = World({"world": settings(port.getHost().port)})
    world.channel.startService()
    try:
        await until(lambda: bool(floods and floods[0].paused))
        (wire,) = [link.window.wire for link in world.channel._accounts["world"]._binds._links]
        assert wire is not None
        await until(lambda: wire.congested)
        waiting = len(wire.transport.dataBuffer) + wire.transport._tempDataLen
        assert waiting < 3 * len(FLOOD)
        if reads:
            floods[0].read()
            await until(lambda: not wire.congested)
            assert world.channel.routes() == {"world": True}
        else:
            with capturedLogs() as logs:
                await until(lambda: len(floods) == 2, 30)
            (line,) = [event for event in logs if "is down" in event["log_format"]]
            assert line["reason"] == "the peer did not read what we wrote for 10 s"
    finally:
        for each in floods:
            each.transport.abortConnection()  # type: ignore[union-attr]
        await world.channel.stopService()
        await port.stopListening()

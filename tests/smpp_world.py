"""What the SMPP tests share: an SMSC on a clock and a wire in memory, orders, and a channel with all that it told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

from fakes import FakeEvidence
from gatewayd import config
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import Handed, Message, Order, Sms
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.sandbox.smsc_session import SmscSession
from gatewayd.smpp.channel import SmppChannel
from labels import label
from redis_server import until

PHONE = "+447700900999"


def settings(port: int, **changed: Any) -> config.Smsc:
    """[smscs.NAME] for a simulator on `port`."""
    table = {"host": "127.0.0.1", "port": port, "system_id": "gw", "password": "secret"} | changed
    return config.Smsc.model_validate(table)


def order(number: int = 1, body: str = "Hello", routes: tuple[str, ...] = ("world",), **changed: Any) -> Order:
    """One SMS to PHONE."""
    now = changed.pop("now", None)
    now = reactor.seconds() if now is None else now
    message = Message(
        f"00000000-0000-4000-8000-{number:012d}",
        f"uid{number}",
        "amazing",
        "player",
        Sms(changed.pop("sender", "Amazing"), body),
        now,
        now + 3600,
    )
    return Order(message, changed.pop("phone", PHONE), routes, **changed)


class Rates:
    """IStore.reserve in memory."""

    def __init__(self, clock: Any = reactor) -> None:
        self.next: dict[str, float] = {}
        self.calls = 0
        self.down = False
        self._clock = clock

    async def reserve(self, bucket: str, slots: int, interval: float, burst: float) -> float:
        """The generic cell rate algorithm, as the store's script has it."""
        self.calls += 1
        if self.down:
            raise StoreUnavailable("down")
        first = max(self.next.get(bucket, 0.0), self._clock.seconds() - burst)
        self.next[bucket] = first + slots * interval
        return first


class World:
    """A channel, what it told, and the marks that it asked for."""

    def __init__(
        self,
        smscs: dict[str, config.Smsc],
        clock: Any = reactor,
        labels: dict[str, config.Label] | None = None,
        rates: Rates | None = None,
        held: float = 0.0,
        **options: Any,
    ) -> None:
        self.evidence = FakeEvidence()
        self.marks: list[str] = []
        self.answers: list[tuple[str, str, float]] = []
        self.rates = rates or Rates(clock)
        self.labels = labels or {"amazing": label()}
        self.channel = SmppChannel(
            clock,
            smscs,
            self.labels,
            number_hashes=lambda number: (f"#{number}", f"once #{number}"),
            reserve=self.rates.reserve,
            evidence=self.evidence,
            jitter=lambda: 0.5,
            on_answer=lambda *answer: self.answers.append(answer),
            held=held,
            **options,
        )

    async def mark(self, route: str) -> int:
        """Notes the mark; its stamp says how many there are."""
        self.marks.append(route)
        return len(self.marks)

    def send(self, order: Order, mark: Callable[[str], Any] | None = None) -> Deferred[Handed]:
        """IChannel.send."""
        return ensureDeferred(self.channel.send(order, mark or self.mark))

    def all_bound(self) -> bool:
        """Whether every bind of every SMSC is there."""
        return all(bind.phase == "bound" for way in self.channel.states().values() for bind in way.binds)


@asynccontextmanager
async def running(
    behaviour: Behaviour | None = None, *, options: dict[str, Any] | None = None, **changed: Any
) -> AsyncIterator[tuple[World, SmscSimulator]]:
    """A simulator on a loopback socket, and a channel bound to it as "world"."""
    smsc = SmscSimulator(reactor, behaviour)
    port = await smsc.start()
    world = World({"world": settings(port, **changed)}, **(options or {}))
    world.channel.startService()
    try:
        await until(world.all_bound)
        yield world, smsc
    finally:
        await world.channel.stopService()
        await smsc.stop()


@asynccontextmanager
async def simulator(**behaviour: Any) -> AsyncIterator[SmscSimulator]:
    """A running SMSC."""
    smsc = SmscSimulator(reactor, Behaviour(**behaviour))
    await smsc.start()
    try:
        yield smsc
    finally:
        await smsc.stop()


class _Pipe:
    """One direction's transport in memory; what is written arrives when the wire is pumped."""

    def __init__(self, wire: "Wire", mine: str) -> None:
        self._wire = wire
        self._mine = mine
        self.closing = False

    def write(self, octets: bytes) -> None:
        if not self.closing:
            self._wire.moving.append((self._mine, octets))

    def loseConnection(self) -> None:
        self.closing = True
        self._wire.moving.append((self._mine, None))

    def abortConnection(self) -> None:
        self.closing = True
        self._wire.cut(ConnectionLost())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Whom a test tells that what was written is not read."""
        self._wire.producers[self._mine] = producer

    def unregisterProducer(self) -> None:
        """As above."""
        self._wire.producers.pop(self._mine, None)

    def pauseProducing(self) -> None:
        """What comes lies in the socket."""
        self._wire.unread.add(self._mine)

    def resumeProducing(self) -> None:
        """It is read."""
        self._wire.unread.discard(self._mine)

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 2775)

    getHost = getPeer


class Wire:
    """A connection between a link and a session of the simulator."""

    def __init__(self, link: Any, session: SmscSession) -> None:
        self.moving: list[tuple[str, bytes | None]] = []
        self.ends = {"link": link, "smsc": session}
        self.open = True
        self.producers: dict[str, Any] = {}
        self.unread: set[str] = set()
        session.makeConnection(_Pipe(self, "smsc"))
        link.makeConnection(_Pipe(self, "link"))

    def pump(self) -> bool:
        """Bring what was written to the other side; False where nothing moved."""
        if not self.moving or not self.open:
            return False
        moving, self.moving = self.moving, []
        moved = False
        for writer, octets in moving:
            reader = "smsc" if writer == "link" else "link"
            if not self.open:
                break
            if reader in self.unread and octets is not None:
                self.moving.append((writer, octets))
                continue
            moved = True
            if octets is None:
                self.cut(ConnectionDone())
            else:
                self.ends[reader].dataReceived(octets)
        return moved

    def cut(self, reason: Exception) -> None:
        """End it for both."""
        if self.open:
            self.open = False
            for end in self.ends.values():
                end.connectionLost(Failure(reason))


@implementer(IStreamClientEndpoint)
class Memory:
    """SMSC, network and time in one: `dial` it, `advance` it. While `refuses`, nobody can connect; while `deaf`,
    connecting never ends."""

    def __init__(self, behaviour: Behaviour | None = None) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000.0)
        self.smsc = SmscSimulator(self.clock, behaviour)
        self.wires: list[Wire] = []
        self.tried: list[float] = []
        self.refuses = False
        self.deaf = False

    def dial(self, *_: Any) -> "Memory":
        """In place of dial.endpoint_of."""
        return self

    def connect(self, factory: Any) -> Deferred[Any]:
        """IStreamClientEndpoint."""
        self.tried.append(self.clock.seconds())
        connecting: Deferred[Any] = Deferred()
        if self.deaf:
            return connecting
        if self.refuses:
            connecting.errback(Failure(Refused()))
            return connecting
        link = factory.buildProtocol(None)
        self.wires.append(Wire(link, SmscSession(self.smsc)))
        connecting.callback(link)
        return connecting

    def pump(self) -> None:
        """Move octets until nothing moves."""
        moved = True
        while moved:
            moved = sum(wire.pump() for wire in list(self.wires)) > 0
        self.wires = [wire for wire in self.wires if wire.open]

    def advance(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass in small steps, and octets with it."""
        self.pump()
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end - 1e-9:
            self.clock.advance(min(step, end - self.clock.seconds()))
            self.pump()

    def world(self, **changed: Any) -> World:
        """A started channel with this SMSC as "world"."""
        world = World({"world": settings(2775, **changed)}, self.clock, endpoint_of=self.dial)
        world.channel.startService()
        self.pump()
        return world


LONG = "Ünï ¢ " * 60


async def refusal(world: World, *args: object, **changed: object) -> BaseException:
    """What a send ends with."""
    ((ok, failure),) = await DeferredList([world.send(order(*args, **changed))], consumeErrors=True)  # type: ignore[arg-type]
    assert not ok
    return failure.value

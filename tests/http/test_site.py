"""What the connections of one listener share: how many there may be, how much they keep, and who gives way."""

from typing import Any

import pytest
from klein import Klein
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent

from gatewayd.http import crowd as crowd_module
from gatewayd.http.crowd import FEW, FRESH, LOOK, SAY_AGAIN, fair_share
from gatewayd.http.door import Answer, OpenDoor
from gatewayd.http.request import Request
from gatewayd.http.routes import Routes
from gatewayd.http.site import Site

NOW = 1_790_000_000.0


class Small(OpenDoor):
    """A door that lets little into /small."""

    def admit(self, request: Request) -> Answer | None:
        """Everybody."""
        request.most_body = 10 if request.path == b"/small" else request.most_body
        return None


class App:
    """One endpoint that waits."""

    app = Klein()

    def __init__(self) -> None:
        self.gate: Deferred[None] = Deferred()

    @app.route("/<name>")
    async def any(self, request: Any, name: str) -> Any:
        """Once the gate is open."""
        await self.gate
        return Answer(b"done")


class World:
    """A site with few places."""

    def __init__(self, most: int = 4, **options: Any) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.app = App()
        self.site = Site(
            self.clock, Routes(self.app.app).answer, name="api", door=Small(), most=most, max_body=1000, **options
        )

    def connect(self, host: str = "192.0.2.1") -> "Caller":
        """One more caller."""
        return Caller(self, host)


class Caller:
    """One connection, over memory, that closes when it is told to."""

    def __init__(self, world: World, host: str) -> None:
        self._clock = world.clock
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", host, 5))
        self.transport.abortConnection = self._aborted  # type: ignore[method-assign]
        self.open = True
        self.protocol = world.site.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def _aborted(self) -> None:
        self.open = False
        self.protocol.connectionLost()

    def send(self, path: str = "/x", body: int = 0, sent: int | None = None) -> bytes:
        """A request with a body of which so much is sent."""
        self.transport.clear()
        head = f"POST {path} HTTP/1.1\r\nHost: gw\r\nContent-Length: {body}\r\n\r\n".encode()
        self.protocol.dataReceived(head + b"x" * (body if sent is None else sent))
        return self.heard()

    def heard(self) -> bytes:
        """What came."""
        self._clock.advance(0)
        return bytes(self.transport.value())


def test_a_door_may_want_less_than_the_site() -> None:
    """By path."""
    world = World()
    assert world.connect().send("/small", body=11, sent=0).startswith(b"HTTP/1.1 413 ")
    assert world.connect().send("/small", body=10) == b""
    assert world.connect().send("/large", body=11) == b""


def test_idle_connections_make_room_first() -> None:
    """Those that never asked anything before those that did, the oldest first; who is being answered stays."""
    world = World(most=4)
    busy, used, unused = world.connect(), world.connect(), world.connect()
    used.send()
    world.app.gate.callback(None)
    world.app.gate = Deferred()
    busy.send()
    world.clock.advance(1)
    half = world.connect()
    half.send(body=5, sent=1)
    with capturedLogs() as events:
        first = world.connect()
        assert [one.open for one in (busy, used, unused, half, first)] == [True, True, False, True, True]
        second = world.connect()
    assert [one.open for one in (busy, used, half, first, second)] == [True, True, True, False, True]
    assert [formatEvent(event) for event in events] == ["api: 4 connections are all that it takes"]


def test_a_request_that_takes_long_to_come_makes_room() -> None:
    """After FRESH seconds; a younger one is let finish, and the newest caller hears that it is too much."""
    world = World(most=2)
    slow, young = world.connect(), world.connect()
    slow.send(body=5, sent=1)
    world.clock.advance(FRESH + 1)
    young.send(body=5, sent=1)
    third = world.connect()
    assert [slow.open, young.open, third.open] == [False, True, True]
    third.send(body=5, sent=1)
    beyond = world.connect()
    assert [young.open, third.open, beyond.open] == [True, True, True]
    assert beyond.send().startswith(b"HTTP/1.1 503 ")
    assert beyond.transport.disconnecting
    crowd = [world.connect() for _ in range(10)]
    assert sum(one.open for one in crowd) <= 8, "idle ones make room for each other"


def test_thousands_are_not_looked_through_for_each_newcomer() -> None:
    """In a crowd who may go is found every LOOK seconds; a newcomer in between hears that it is too much."""
    world = World(most=FEW + 1)
    crowd = [world.connect() for _ in range(FEW + 1)]
    for one in crowd:
        one.send(body=5, sent=1)
    assert world.connect().send().startswith(b"HTTP/1.1 503 ")
    world.app.gate.callback(None)
    crowd[0].protocol.dataReceived(b"xxxx")
    assert world.connect().send().startswith(b"HTTP/1.1 503 ")
    world.clock.advance(2 * LOOK)
    assert world.connect().send().endswith(b"done")


def test_one_peer_gets_no_more_than_its_part() -> None:
    """Where the site was told so; when one of them closes, there is room again."""
    world = World(most=100, most_from=lambda host: 2 if host == "192.0.2.1" else 100)
    first, second = world.connect(), world.connect()
    assert not world.connect().open
    assert world.connect("192.0.2.2").open
    assert first.open
    second.protocol.connectionLost()
    assert world.connect().open


def test_a_households_ipv6_addresses_are_one_peer() -> None:
    """Each has as many as it likes; another household, and hosts of a private network, are others."""
    world = World(most=100, most_from=lambda host: 2)
    first, _ = world.connect("2a00:1450:4001:801::1"), world.connect("2a00:1450:4001:801:aaaa:bbbb:cccc:dddd")
    assert not world.connect("2a00:1450:4001:801::2").open
    assert world.connect("2a00:1450:4001:802::1").open
    assert all(world.connect(f"fd00::{number}").open for number in range(1, 9))
    first.protocol.connectionLost()
    assert world.connect("2a00:1450:4001:801::2").open


def test_bodies_that_come_have_a_ceiling_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest that is still coming gives way, so that small requests are taken in any crowd."""
    world = World(most=100)
    world.site.crowd._most_held = 2500
    callers = [world.connect() for _ in range(3)]
    for caller, size in zip(callers, (700, 900, 800), strict=True):
        assert caller.send(body=1000, sent=size) == b""
    assert world.connect().send(body=50) == b""
    small = world.connect()
    with capturedLogs() as events:
        assert small.send(body=60) == b""
    assert [caller.heard()[:13] for caller in callers] == [b"", b"HTTP/1.1 503 ", b""]
    assert "are all that it keeps" in formatEvent(events[0])
    assert world.site.crowd._held == 700 + 800 + 50 + 60
    world.app.gate.callback(None)
    assert small.heard().endswith(b"done")
    for caller in callers:
        caller.protocol.connectionLost()
    assert world.site.crowd._held == 0


def test_more_at_once_than_can_be_answered_is_said_at_once() -> None:
    """The connection stays; once others have their answers, it is answered, too."""
    world = World(most=100)
    world.site.turns.most = 2
    first, second, third = world.connect(), world.connect(), world.connect()
    assert first.send() + second.send() == b""
    assert third.send().startswith(b"HTTP/1.1 503 ")
    world.app.gate.callback(None)
    assert third.send().endswith(b"done")
    assert world.site.turns.in_flight == 0


def test_the_same_trouble_is_said_again_after_a_while() -> None:
    """One line a minute, not one a connection."""
    world = World(most=1)
    with capturedLogs() as events:
        for _ in range(50):
            world.connect()
        assert len(events) == 1
        world.clock.advance(SAY_AGAIN)
        world.connect()
    assert len(events) == 2


def test_a_listener_takes_a_part_of_the_files_that_may_be_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that Redis, relays and SMSCs can still be connected to."""
    for files, most in ((1024, 341), (60, 32), (1_000_000, 4000)):
        monkeypatch.setattr(crowd_module.resource, "getrlimit", lambda kind, files=files: (files, files))
        assert fair_share() == most

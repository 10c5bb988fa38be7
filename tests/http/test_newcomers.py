"""Newcomers for whom there is no time: answered on the bare socket where that can be done at once, else let in."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from gatewayd.http.door import Answer, OpenDoor
from gatewayd.http.kernel import waited
from gatewayd.http.newcomers import turn_away
from gatewayd.http.ports import listen
from gatewayd.http.request import Request
from gatewayd.http.site import Site
from redis_server import until

WHOLE = b"POST /x HTTP/1.1\r\nHost: gw\r\nContent-Length: 3\r\n\r\nabc"


class Guard(OpenDoor):
    """Keeps /secret shut."""

    def __init__(self) -> None:
        self.peers: list[str] = []

    def admit(self, request: Request) -> Answer | None:
        """By path."""
        self.peers.append(request.peer)
        return Answer(b"no", 403) if request.path == b"/secret" else None


class Hurried:
    """A site without time."""

    def __init__(self) -> None:
        self.door = Guard()
        self.max_body = 100

    def waited(self, bare: object) -> float:
        """Not at all."""
        return 0.0

    def has_no_time(self, age: float) -> bool:
        """Never any."""
        return True

    def date(self) -> bytes:
        """Some day."""
        return b"Mon, 21 Sep 2026 14:13:20 GMT"


class Pair:
    """Both ends of a connection."""

    def __init__(self) -> None:
        self.site = Hurried()
        self.caller, self.ours = socket.socketpair()
        self.caller.settimeout(10)

    def turned_away(self, data: bytes) -> bool:
        """Whether a newcomer who has sent this is."""
        self.caller.sendall(data)
        return turn_away(self.ours, ("192.0.2.1", 5), self.site)

    def heard(self) -> bytes:
        """All until we closed."""
        return b"".join(iter(lambda: self.caller.recv(65536), b""))


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A fresh one."""
    found = Pair()
    yield found
    found.caller.close()
    found.ours.close()


@pytest.mark.parametrize(("path", "status"), [(b"/x", b"503"), (b"/secret", b"403")])
def test_a_whole_request_is_answered_and_its_connection_closed(pair: Pair, path: bytes, status: bytes) -> None:
    """By the door, which hears who it is: first whether they may ask at all, then that it is busy."""
    assert pair.turned_away(WHOLE.replace(b"/x", path))
    heard = pair.heard()
    assert heard.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nConnection: close\r\n" in heard
    assert pair.site.door.peers == ["192.0.2.1"]


@pytest.mark.parametrize(
    "data",
    [b"P", WHOLE[:-1], WHOLE + WHOLE, WHOLE + b"P", b"\x16\x03\x01\n\n", b"GET / HTTP/1.1\r\nUpgrade: x\r\n\r\n"],
)
def test_whatever_is_not_one_whole_request_is_left_as_it_came(pair: Pair, data: bytes) -> None:
    """A connection reads it."""
    if data.startswith(b"GET"):
        data = data.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\n\r\n")
    assert not pair.turned_away(data)
    assert pair.ours.recv(65536) == data


def test_who_has_said_nothing_is_let_in(pair: Pair) -> None:
    """Or is gone."""
    assert not turn_away(pair.ours, "", pair.site)
    pair.caller.close()
    assert not turn_away(pair.ours, "", pair.site)


def test_the_kernel_says_how_long_somebody_waits_where_it_knows(pair: Pair) -> None:
    """From their last octet on, on TCP."""
    assert waited(pair.ours) is waited(None) is None
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as caller:
        caller.sendall(b"x")
        ours, _ = server.accept()
        with ours:
            first = waited(ours)
            assert first is not None
            assert 0.0 <= first < 600.0
            assert _grows(ours, first)


def _grows(ours: socket.socket, first: float) -> bool:
    while (waited(ours) or 0.0) <= first:
        pass
    return True


@pytest_twisted.ensureDeferred
async def test_all_who_wait_are_fetched_in_one_turn_and_all_are_answered() -> None:
    """Twisted's own port begins with one, and 20 more each turn. Nobody who has spoken is cut off unheard."""
    site = Site(reactor, lambda request: Answer(b"done"), most=10)
    port: Any = await listen(reactor, "tcp:0:interface=127.0.0.1", site)
    port.numberAccepts = 1
    callers = [socket.create_connection(("127.0.0.1", port.getHost().port), timeout=60) for _ in range(40)]
    try:
        for caller in callers:
            caller.sendall(WHOLE)
        port.doRead()
        connections = len(site.crowd.connections)
        answers = await deferToThread(lambda: [caller.recv(1000) for caller in callers])
        assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 10 + [b"HTTP/1.1 503"] * 30
        assert connections == 19, "the others were answered without one"
    finally:
        for caller in callers:
            caller.close()
        await port.stopListening()
        await until(lambda: not site.crowd.connections)

"""What a process finds after it was stopped: too old to be begun, whoever asked, wherever it stood; and answered, even
where it was about to close the connection.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gatewayd.http.connection import SLOW
from gatewayd.http.door import Answer
from gatewayd.http.newcomers import SECONDS_OF_REFUSALS
from gatewayd.http.ports import Listener, listen
from gatewayd.http.site import LAST_WORDS, Site
from own_reactor import REQUEST, OwnReactor

PATIENCE = 2.5
STOPPED = 3.0
SLEEP = 0.2
"""Seconds for which the reactor would wait."""


class UnixSite(Site):
    """One that takes its time for each newcomer."""

    costs = 0.0

    def fetched(self, bare: socket.socket, listening: socket.socket) -> float:
        """See Hurried."""
        self.reactor.clock.advance(self.costs)
        return super().fetched(bare, listening)


class World(OwnReactor):
    """A site on a unix socket, and a clock by hand."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = str(path)
        self.clock = Clock()
        reactor: Any = self.reactor
        reactor.seconds, reactor.clock = self.clock.seconds, self.clock
        self.site = UnixSite(reactor, lambda _: Answer(b"yes"), patience=PATIENCE)
        self.port: Any = None
        listen(reactor, f"unix:{self.path}", self.site).addCallback(lambda port: setattr(self, "port", port))
        self.sockets: list[socket.socket] = []

    def caller(self) -> socket.socket:
        """Somebody connects."""
        self.sockets.append(socket.socket(socket.AF_UNIX))
        self.sockets[-1].setblocking(False)
        self.sockets[-1].connect(self.path)
        return self.sockets[-1]

    def known(self) -> socket.socket:
        """A caller who has been answered."""
        caller = self.caller()
        caller.sendall(REQUEST)
        assert self.heard(caller) == [200]
        return caller

    def heard(self, caller: socket.socket, answers: int = 1) -> list[int]:
        """The statuses of so many answers."""
        said = b""
        while said.count(b"HTTP/1.1 ") < answers:
            self.reactor.iterate(0)
            try:
                came = caller.recv(65536)
            except BlockingIOError:
                continue
            assert came, "closed without an answer"
            said += came
        return [int(answer[:3]) for answer in said.split(b"HTTP/1.1 ")[1:]]

    def close(self) -> None:
        """All of it."""
        for caller in self.sockets:
            caller.close()
        self.port.stopListening()
        while self.site.crowd.connections or self.port.connected:
            self.reactor.iterate(0)
        assert self.reactor._poller is self.epoll, "who measures has left it"
        super().close()


class CutShort:
    """An epoll object whose next wait a stop cuts short: it finds nothing, and `meanwhile` is done."""

    def __init__(self, world: World, meanwhile: Any) -> None:
        self.world = world
        self.meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world.epoll, name)

    def poll(self, timeout: float, most: int) -> Any:
        """See select.epoll."""
        if not timeout or self.meanwhile is None:
            return self.world.epoll.poll(timeout, most)
        self.meanwhile, meanwhile = None, self.meanwhile
        meanwhile()
        self.world.clock.advance(STOPPED)
        return []


@pytest.fixture
def world() -> Iterator[World]:
    """A fresh one."""
    with ExitStack() as ends:
        found = World(Path(ends.enter_context(TemporaryDirectory())) / "api")
        ends.callback(found.close)
        yield found


def test_who_asked_while_the_process_did_not_work_is_turned_away(world: World) -> None:
    """On a kept connection and on a new one; who asks after it is answered."""
    known, newcomer = world.known(), world.caller()
    for caller in (known, newcomer):
        caller.sendall(REQUEST)
    world.clock.advance(STOPPED)
    assert [world.heard(caller) for caller in (known, newcomer)] == [[503], [503]]
    world.reactor.iterate(0)
    known.sendall(REQUEST)
    assert world.heard(known) == [200]


def test_who_asked_while_it_was_stopped_in_the_kernels_wait_is_turned_away(world: World) -> None:
    """The kernel's wait ends then, and finds nothing: what came is found by the next look only."""
    known, newcomer = world.known(), world.caller()
    looks: Any = world.reactor._poller
    looks.poller = CutShort(world, lambda: [caller.sendall(REQUEST) for caller in (known, newcomer)])
    newcomer_is_in = len(world.site.crowd.connections) + 1
    while len(world.site.crowd.connections) < newcomer_is_in:
        world.reactor.iterate(0)
    world.reactor.iterate(0)
    world.reactor.doIteration(SLEEP)
    looks.poller = world.epoll
    assert [world.heard(caller) for caller in (known, newcomer)] == [[503], [503]]


def test_a_newcomer_whose_words_a_later_turn_reads_is_not_younger_for_that(world: World) -> None:
    """Two requests are not answered on the bare socket, but by a connection."""
    newcomer = world.caller()
    newcomer.sendall(REQUEST * 2)
    world.clock.advance(STOPPED)
    assert world.heard(newcomer, 2) == [503, 503]


def test_newcomers_whom_a_later_turn_fetches_are_not_younger_for_that(world: World) -> None:
    """There are more than can be told in one turn."""
    world.reactor.iterate(0)
    world.site.costs = SECONDS_OF_REFUSALS / 2
    newcomers = [world.caller() for _ in range(9)]
    for newcomer in newcomers:
        newcomer.sendall(REQUEST)
    world.clock.advance(STOPPED)
    assert [world.heard(newcomer) for newcomer in newcomers] == [[503]] * 9


def test_who_asked_while_a_draining_process_was_stopped_is_answered(world: World) -> None:
    """Its timers ring before it reads: to close who is idle would throw away what lies in the kernel."""
    asking, idle = world.known(), world.known()
    Deferred.fromCoroutine(world.site.drain(20))
    asking.sendall(REQUEST)
    world.clock.advance(LAST_WORDS)
    assert world.heard(asking) == [200]
    while world.site.crowd.connections:
        world.reactor.iterate(0)
    assert idle.recv(1) == b""


def test_who_asked_while_a_process_was_stopped_for_a_minute_is_answered(world: World) -> None:
    """The connection was idle for too long by then, but for what nobody has read."""
    asking, idle = world.known(), world.known()
    asking.sendall(REQUEST)
    world.clock.advance(SLOW)
    assert world.heard(asking) == [503]
    while len(world.site.crowd.connections) > 1:
        world.reactor.iterate(0)
    assert idle.recv(1) == b""


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_who_stands_in_the_queue_of_a_port_that_closes_is_answered(world: World, tmp_path: Path, kind: str) -> None:
    """The kernel resets whoever is in the queue of a closed port, those too who came since it began to close."""
    site = Site(world.reactor, lambda _: Answer(b"yes"))
    path = tmp_path / "api"
    where = f"unix:{path}" if kind == "unix" else "tcp:0:interface=127.0.0.1"
    listener = Listener(world.reactor, [where], site)
    listener.startService()
    newcomers = [socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) for _ in range(30)]
    opened: Any = listener.ports[0]
    address: Any = str(path) if kind == "unix" else ("127.0.0.1", opened.getHost().port)
    world.sockets += newcomers
    stopped: Any = None
    for number, newcomer in enumerate(newcomers):
        if number == 10:
            stopped = listener.stopService()
        newcomer.connect(address)
        newcomer.setblocking(False)
        newcomer.sendall(REQUEST)
    assert [world.heard(newcomer) for newcomer in newcomers] == [[200]] * 30
    while not stopped.called:
        world.reactor.iterate(0)

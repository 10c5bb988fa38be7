"""What every HTTP listener of ours serves: connections with a door, counted and bounded, ended when they are slow.

Owns the look at who is too slow, and the drain. Must not know what is asked for: paths, labels and error
codes belong to api, public and admin.
"""

from collections.abc import Callable
from email.utils import formatdate
from socket import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from zope.interface import implementer

from gatewayd.http.connection import FOREVER, ServerConnection
from gatewayd.http.crowd import Crowd
from gatewayd.http.door import Answer, Door, OpenDoor
from gatewayd.http.kernel import waited
from gatewayd.http.looks import leave, measure, put_off
from gatewayd.http.polls import Polls
from gatewayd.http.portions import LEAST, Portions
from gatewayd.http.request import Request
from gatewayd.http.turns import Turns

log = Logger()

Answering = Callable[[Request], Answer | Deferred[Answer]]
"""Gives a request's answer, now or later; its Deferred never fails."""

LAST_WORDS = 0.5
"""Seconds for which a draining site still listens to idle connections: under load the next request is on its way or in
the kernel's buffer already, and closing would throw it away unanswered."""

SWEEP = 1.0
"""Seconds between two looks at who is too slow."""


@implementer(IProtocolNegotiationFactory)
class Site(Factory):
    """A listener's factory: no access log, no sessions, no form parsing, HTTP/1.1 only.

    `max_body` is in bytes; `door` decides on each request's head. `most_from` says how many connections one peer may
    have, by its host; by default as many as all together. A request that is older than `patience` seconds, the time in
    the kernel's queues with it, is not begun, and answered with the door's `busy`.
    """

    noisy = False

    def __init__(
        self,
        reactor: Any,
        answer: Answering,
        *,
        name: str = "this listener",
        max_body: int = 65536,
        door: Door | None = None,
        most: int | None = None,
        most_from: Callable[[str], int] | None = None,
        patience: float = FOREVER,
    ) -> None:
        self.reactor = reactor
        self.answer = answer
        self.max_body = max_body
        self.door: Door = door or OpenDoor()
        self.turns = Turns(reactor, patience)
        self.crowd = Crowd(reactor, name, most=most, most_from=most_from, max_body=max_body)
        self._polls: Polls | None = None  # where it listens on a unix socket
        self._portions: Portions | None = None  # once there are so many that they can be too many for a turn
        self.draining = False
        self._emptied: list[Deferred[None]] = []
        self._closing_idle: Any = None
        self._cutting_off: Any = None
        self._sweeping: Any = None
        self._date = (0, b"")

    def acceptableProtocols(self) -> list[bytes]:
        """Under TLS: without a word the handshake of who names what they speak (ALPN), as most do, would fail."""
        return [b"http/1.1"]

    def buildProtocol(self, addr: Any) -> ServerConnection:
        """One more caller."""
        return ServerConnection(self)

    def date(self) -> bytes:
        """Now, as the Date header wants it; made once a second."""
        now = int(self.reactor.seconds())
        if now != self._date[0]:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]

    # How long they wait in the kernel ------------------------------------------------------------------------------

    def measure_looks(self) -> None:
        """It listens on a unix socket: how old what is read there is, only the reactor's looks can tell."""
        if self._polls is None:
            polls = Polls(self.reactor.seconds())
            if measure(self.reactor, polls):
                self._polls = polls

    def waited(self, bare: socket | None) -> float:
        """Seconds for which what is read on this connection has waited in the kernel, as far as anybody knows."""
        known = waited(bare)
        if known is None and bare is not None and self._polls is not None:
            known = self.reactor.seconds() - self._polls.came_at(bare.fileno())
        return known or 0.0

    def fetched(self, bare: socket, listening: socket) -> float:
        """See newcomers.Hurried."""
        known = waited(bare)
        if known is None and self._polls is not None:
            known = self.reactor.seconds() - self._polls.fetched(bare.fileno(), listening.fileno())
        return known or 0.0

    def left_waiting(self, listening: socket) -> None:
        """See newcomers.Hurried."""
        if self._polls is not None:
            self._polls.left([listening.fileno()])

    # Who is there --------------------------------------------------------------------------------------------------

    def has_no_time(self, age: float) -> bool:
        """See newcomers.Hurried: it could not be begun in time, or it is one connection too many."""
        return age > self.turns.patience or self.crowd.is_overfull or self.turns.are_full(self.reactor.seconds())

    def opened(self, connection: ServerConnection) -> None:
        """It is there."""
        if self._sweeping is None:
            self._sweeping = self.reactor.callLater(SWEEP, self._sweep)
        self.crowd.enter(connection)
        if self._portions is None and len(self.crowd.connections) > LEAST:
            portions = Portions(self.crowd.descriptors)
            if put_off(self.reactor, portions):
                self._portions = portions

    def hold(self, size: int) -> None:
        """So many bytes more, or less, are in memory for a connection."""
        self.crowd.hold(size)

    # Ends ----------------------------------------------------------------------------------------------------------

    async def drain(self, limit: float) -> None:
        """Let running requests be answered, close idle connections, and return once the last answer has left.

        What still comes within LAST_WORDS is answered, too. After `limit` seconds what is left is cut off; whose answer
        has left by then has LAST_WORDS to be closed.
        """
        self.draining = True
        if not self.crowd.connections:
            return
        done: Deferred[None] = Deferred()
        self._emptied.append(done)
        self._closing_idle = self.reactor.callLater(LAST_WORDS, self._close_idle)
        self._cutting_off = self.reactor.callLater(limit, self._cut_off)
        await done
        for timer in (self._closing_idle, self._cutting_off):
            if timer.active():
                timer.cancel()

    def _close_idle(self) -> None:
        done = [connection.close_idle() for connection in list(self.crowd.connections)]
        if not all(done):
            self._closing_idle = self.reactor.callLater(0, self._close_idle)

    def _cut_off(self) -> None:
        left = [connection for connection in self.crowd.connections if not connection.is_answered]
        if left:
            log.warn("{count} HTTP connections did not end in time and were cut off", count=len(left))
        self._cutting_off = self.reactor.callLater(LAST_WORDS, self._abort_rest)
        for connection in left:
            connection.abort()

    def _abort_rest(self) -> None:
        for connection in list(self.crowd.connections):
            connection.abort()

    def closed(self, connection: ServerConnection) -> None:
        """It is gone."""
        self.crowd.leave(connection)
        if self.crowd.connections:
            return
        self._stop_looking()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        waiting, self._emptied = self._emptied, []
        for done in waiting:
            done.callback(None)

    def stopFactory(self) -> None:
        """The last port is closed."""
        self._stop_looking()

    def _stop_looking(self) -> None:
        if self._portions is not None and not self.crowd.connections:
            leave(self.reactor, self._portions)
            self._portions = None
        if self._polls is not None and not (self.crowd.connections or self.numPorts):
            leave(self.reactor, self._polls)
            self._polls = None

    def _sweep(self) -> None:
        self._sweeping = self.reactor.callLater(SWEEP, self._sweep)
        now = self.reactor.seconds()
        for connection in [one for one in self.crowd.connections if one.deadline <= now]:
            connection.end()

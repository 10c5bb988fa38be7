"""What every HTTP listener of ours serves: connections with a door, counted and bounded, ended when they are slow.

Owns the limits that all connections share, and the drain. Must not know what is asked for: paths, labels and error
codes belong to api, public and admin.
"""

import resource
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from gatewayd.http.connection import FOREVER, SLOW, ServerConnection
from gatewayd.http.door import Answer, Door, OpenDoor
from gatewayd.http.kernel import has_spoken
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

MOST_HELD = 64 * 1024 * 1024
"""Bytes of bodies that all callers of a site together may have in our memory, from the first byte to the answer."""

MOST_CONNECTIONS = 4000
MOST_AT_ONCE = 2000
"""Requests that are being answered at a time: more could not be answered within the time that is promised."""

FRESH = 5.0
"""Seconds for which a connection that has begun a request is not cut off for the sake of a new one."""

LOOK = 0.1
FEW = 200
"""Seconds between two looks through all connections for who may go, and how many are looked through each time: with
thousands of them and of newcomers the looking would be all that is done."""

SAY_AGAIN = 60.0
"""Seconds between two log lines of one trouble."""


def fair_share() -> int:
    """Connections that one listener may have: a third of the files that this process may open."""
    return max(32, min(MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 3))


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
        self.most_at_once = MOST_AT_ONCE
        self.in_flight = 0
        self.turns = Turns(reactor, patience)
        self.draining = False
        self.connections: set[ServerConnection] = set()
        self._name = name
        self._most = most or fair_share()
        self._at_all = self._most + max(8, self._most // 4)  # with those who only hear that it is too much
        self._most_held = max(MOST_HELD, 8 * max_body)
        self._most_from = most_from
        self._from: Counter[str] = Counter()
        self._held = 0
        self._emptied: list[Deferred[None]] = []
        self._sweeping: Any = None
        self._date = (0, b"")
        self._may_go: list[ServerConnection] = []
        self._looked_at = -LOOK
        self._said: dict[str, float] = {}

    def buildProtocol(self, addr: Any) -> ServerConnection:
        """One more caller."""
        return ServerConnection(self)

    def date(self) -> bytes:
        """Now, as the Date header wants it; made once a second."""
        now = int(self.reactor.seconds())
        if now != self._date[0]:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]

    def has_no_time(self, age: float) -> bool:
        """See newcomers.Hurried: it could not be begun in time, or it is one connection too many."""
        if age > self.turns.patience or len(self.connections) > self._at_all:
            return True
        return self.in_flight >= self.most_at_once or self.turns.are_pressed(self.reactor.seconds())

    # What all share ------------------------------------------------------------------------------------------------

    def opened(self, connection: ServerConnection) -> None:
        """A connection is there; where there are too many, the one that is needed least goes."""
        self.connections.add(connection)
        self._from[connection.peer] += 1
        if self._sweeping is None:
            self._sweeping = self.reactor.callLater(SWEEP, self._sweep)
        if self._most_from is not None and self._from[connection.peer] > self._most_from(connection.peer):
            self._say("one peer", "{name}: {peer} has too many connections, more are closed", peer=connection.peer)
            connection.abort()
        elif len(self.connections) > self._most:
            self._make_room(connection)

    def _make_room(self, newest: ServerConnection) -> None:
        """Somebody idle goes; else who has been sending one request for long; else the newest is told to try again."""
        self._say("full", "{name}: {count} connections are all that it takes", count=self._most)
        now = self.reactor.seconds()
        if self._let_one_go(newest, now):
            return
        if len(self.connections) <= FEW or now - self._looked_at >= LOOK:
            self._looked_at = now
            idle = [one for one in self.connections if one.idle]
            slow = [one for one in self.connections if self._is_slow(one, now)]
            for kind in (idle, slow):
                kind.sort(key=lambda one: (one.served > 0, one.deadline), reverse=True)
            self._may_go = slow + idle
            if self._let_one_go(newest, now):
                return
        newest.beyond, newest.deadline = True, now + FRESH
        if len(self.connections) > self._at_all + 1:
            newest.abort()

    def _let_one_go(self, newest: ServerConnection, now: float) -> bool:
        while self._may_go:
            one = self._may_go.pop()
            # It may have gone since it was found, or have begun a request, of which we have read nothing yet.
            if one is not newest and one in self.connections and (self._is_silent(one) or self._is_slow(one, now)):
                one.abort()
                return True
        return False

    @staticmethod
    def _is_silent(one: ServerConnection) -> bool:
        return one.idle and not has_spoken(one.bare)

    @staticmethod
    def _is_slow(one: ServerConnection, now: float) -> bool:
        return one.receiving and one.deadline < now + SLOW - FRESH

    def hold(self, size: int) -> None:
        """So many bytes of bodies more are in memory; past the limit, the largest that is still coming is refused."""
        self._held += size
        if size > 0 and self._held > self._most_held:
            self._say("held", "{name}: bodies of {count} MiB are all that it keeps", count=self._most_held >> 20)
            coming = [one for one in self.connections if one.receiving and one.held]
            if coming:
                max(coming, key=lambda one: one.held).give_way()

    def _say(self, trouble: str, text: str, **fields: Any) -> None:
        now = self.reactor.seconds()
        if now - self._said.get(trouble, -SAY_AGAIN) >= SAY_AGAIN:
            self._said[trouble] = now
            log.warn(text, name=self._name, **fields)

    # Ends ----------------------------------------------------------------------------------------------------------

    async def drain(self, limit: float) -> None:
        """Let running requests be answered, close idle connections, and return once the last answer has left.

        What still comes within LAST_WORDS is answered, too. After `limit` seconds what is left is cut off.
        """
        self.draining = True
        if not self.connections:
            return
        done: Deferred[None] = Deferred()
        self._emptied.append(done)
        timers = [
            self.reactor.callLater(LAST_WORDS, self._close_idle),
            self.reactor.callLater(limit, self._cut_off),
        ]
        await done
        for timer in timers:
            if timer.active():
                timer.cancel()

    def _close_idle(self) -> None:
        for connection in [one for one in self.connections if one.idle]:
            connection.close()

    def _cut_off(self) -> None:
        log.warn("{count} HTTP connections did not end in time and were cut off", count=len(self.connections))
        for connection in list(self.connections):
            connection.abort()

    def closed(self, connection: ServerConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self._from[connection.peer] -= 1
        if not self._from[connection.peer]:
            del self._from[connection.peer]
        if self.connections:
            return
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        waiting, self._emptied = self._emptied, []
        for done in waiting:
            done.callback(None)

    def _sweep(self) -> None:
        self._sweeping = self.reactor.callLater(SWEEP, self._sweep)
        now = self.reactor.seconds()
        for connection in [one for one in self.connections if one.deadline <= now]:
            connection.end()

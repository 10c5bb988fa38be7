"""Who is connected to one listener, and who gives way where there are too many, or have sent too much together.

Owns the limits that all connections of a listener share. Must not know what is asked for.
"""

import resource
from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from gatewayd.http.connection import SLOW, ServerConnection
from gatewayd.http.kernel import has_spoken
from gatewayd.http.peers import household

log = Logger()

MOST_HELD = 64 * 1024 * 1024
"""Bytes of bodies that all callers of a site together may have in our memory, from the first byte to the answer."""

MOST_CONNECTIONS = 4000

FRESH = 5.0
"""Seconds for which a connection that has begun a request is not cut off for the sake of a new one."""

NEW = 1.0
"""Seconds since a connection was made in which its first request is read at once, however many others wait for that."""

LOOK = 0.1
FEW = 200
"""Seconds between two looks through all connections for who may go, and how many are looked through each time: with
thousands of them and of newcomers the looking would be all that is done."""

SAY_AGAIN = 60.0
"""Seconds between two log lines of one trouble."""


def fair_share() -> int:
    """Connections that one listener may have: a third of the files that this process may open."""
    return max(32, min(MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 3))


class Crowd:
    """The connections of the listener `name`, each from opened to closed.

    `most_from` says how many of them one peer may have, by its host; by default as many as all together. A household's
    IPv6 addresses are one peer. `max_body` is how many bytes one request may have.
    """

    def __init__(
        self, reactor: Any, name: str, *, most: int | None, most_from: Callable[[str], int] | None, max_body: int
    ) -> None:
        self.connections: set[ServerConnection] = set()
        self._reactor = reactor
        self._name = name
        self._most = most or fair_share()
        self._at_all = self._most + max(8, self._most // 4)  # with those who only hear that it is too much
        self._most_from = most_from
        self._from: Counter[str] = Counter()
        self._may_go: list[ServerConnection] = []
        self._looked_at = -LOOK
        self._most_held = max(MOST_HELD, 8 * max_body)
        self._held = 0
        self._said: dict[str, float] = {}

    @property
    def is_overfull(self) -> bool:
        """Who comes now could not even be told so on a connection of their own."""
        return len(self.connections) > self._at_all

    def descriptors(self) -> set[int]:
        """By what the kernel knows them, without those who have just connected: they have waited in a queue already."""
        old = self._reactor.seconds() + SLOW - NEW
        return {one.bare.fileno() for one in self.connections if one.bare and (one.served or one.deadline < old)}

    def enter(self, connection: ServerConnection) -> None:
        """A connection is there; where there are too many, the one that is needed least goes."""
        self.connections.add(connection)
        who = household(connection.peer)
        self._from[who] += 1
        if self._most_from is not None and self._from[who] > self._most_from(connection.peer):
            self._say("one peer", "{name}: {peer} has too many connections, more are closed", peer=connection.peer)
            connection.abort()
        elif len(self.connections) > self._most:
            self._make_room(connection)

    def leave(self, connection: ServerConnection) -> None:
        """It is gone."""
        self.connections.discard(connection)
        who = household(connection.peer)
        self._from[who] -= 1
        if not self._from[who]:
            del self._from[who]

    def hold(self, size: int) -> None:
        """So many bytes of bodies more are in memory; past the limit, the largest that is still coming is refused."""
        self._held += size
        if size > 0 and self._held > self._most_held:
            self._say("held", "{name}: bodies of {count} MiB are all that it keeps", count=self._most_held >> 20)
            coming = [one for one in self.connections if one.receiving and one.held]
            if coming:
                max(coming, key=lambda one: one.held).give_way()

    def _make_room(self, newest: ServerConnection) -> None:
        """Somebody idle goes; else who has been sending one request for long; else the newest is told to try again."""
        self._say("full", "{name}: {count} connections are all that it takes", count=self._most)
        now = self._reactor.seconds()
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

    def _say(self, trouble: str, text: str, **fields: Any) -> None:
        now = self._reactor.seconds()
        if now - self._said.get(trouble, -SAY_AGAIN) >= SAY_AGAIN:
            self._said[trouble] = now
            log.warn(text, name=self._name, **fields)

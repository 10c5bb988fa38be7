"""How long a caller has for reading what we said, and for closing where we have."""

import socket

from gatewayd.http.kernel import read_by_caller

UNREAD = 10.0
"""Seconds in which a caller must read some of what we said, and close where we have: else they are cut off."""

IN_ALL = 60.0
"""Seconds for all of it, however they read."""


class Unread:
    """What waits for one caller, on the connection `bare`. The moments that it gives are when to look again."""

    def __init__(self, bare: socket.socket | None) -> None:
        self._bare = bare
        self._read: int | None = None
        self._over_at = 0.0

    def begins(self, now: float, *, closing: bool) -> float:
        """From now on it is the caller who is slow. Where nobody can say whether they read, they have all the time."""
        self._read = read_by_caller(self._bare)
        self._over_at = now + IN_ALL
        return now + (UNREAD if closing or self._read is not None else IN_ALL)

    def next_look(self, now: float) -> float | None:
        """The moment of it; None where they have read nothing since the last look, or have had all their time."""
        before, self._read = self._read, read_by_caller(self._bare)
        if self._read == before or now >= self._over_at:
            return None
        return min(now + UNREAD, self._over_at)

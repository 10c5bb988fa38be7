"""When a complete request is begun: at once, or after those that came before it where all can't be begun in one turn.

Owns how many are in flight, the line of those who wait, and when a wait is too long for them. Must not know what is
asked, or by what means.
"""

from collections import deque
from typing import Any, Protocol

SHARE = 0.1
"""Seconds of one turn of the reactor for beginning requests. The rest is for whoever else is served: the answers to
those that were begun, callers who connect."""

MOST_AT_ONCE = 2000
"""Requests that are being answered at a time: more could not be answered within the time that is promised."""

FEW = 32
"""Requests in flight that are begun without a look at the time."""

PRESSED = 0.6
"""Part of the patience after which the first in the line has waited so long that nobody more may join it."""


class InLine(Protocol):
    """One complete request; `came_at` is the reactor's time when its last byte reached this host."""

    came_at: float

    def begin(self) -> None:
        """It is its turn."""

    def turn_away(self) -> None:
        """It has waited for too long, and nothing was begun."""


class Turns:
    """First come, first begun. `patience` is how many seconds old a request may be when it is begun.

    `in_flight` counts those that joined and have not ended, and `most` is how many they may be.
    """

    def __init__(self, reactor: Any, patience: float) -> None:
        self.patience = patience
        self.most = MOST_AT_ONCE
        self.in_flight = 0
        self._reactor = reactor
        self._line: deque[InLine] = deque()
        self._turn_ends = 0.0  # the moment when this turn's share is used up; 0.0: no turn was looked at

    def are_pressed(self, now: float) -> bool:
        """So many wait that who came now would wait for too long."""
        return bool(self._line) and now - self._line[0].came_at > PRESSED * self.patience

    def are_full(self, now: float) -> bool:
        """Who came now would be turned away."""
        return self.in_flight >= self.most or self.are_pressed(now)

    def join(self, one: InLine) -> None:
        """Begin it or turn it away, now or when its turn comes. Either way it is in flight until `ended`."""
        now = self._reactor.seconds()
        is_full = self.are_full(now)
        self.in_flight += 1
        if is_full or now - one.came_at > self.patience:
            one.turn_away()
        elif self._line or not (self.in_flight < FEW or self._has_time(now)):
            self._line.append(one)
        else:
            one.begin()

    def ended(self) -> None:
        """One that joined has its answer, or nobody waits for it any more."""
        self.in_flight -= 1

    def _has_time(self, now: float) -> bool:
        if not self._turn_ends:
            self._turn_ends = now + SHARE
            self._reactor.callLater(0, self._next)
        return now < self._turn_ends

    def _next(self) -> None:
        """A turn of the reactor's later: go on with the line."""
        self._turn_ends = 0.0
        line = self._line
        now = self._reactor.seconds()
        while line and self._has_time(now):
            one = line.popleft()
            if now - one.came_at > self.patience:
                one.turn_away()
            else:
                one.begin()
            now = self._reactor.seconds()

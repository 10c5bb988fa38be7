"""When a complete request is begun: at once, or after those that came before it where all can't be begun in one turn.

Owns how many are in flight, the line of those who wait, and when a wait is too long for them. Must not know what is
asked, or by what means.
"""

from collections import deque
from typing import Any, Protocol

SHARE = 0.1
"""Seconds of one turn of the reactor for beginning requests. The rest is for whoever else is served: the answers to
those that were begun, callers who connect."""

MOST_A_TURN = 40
"""Requests that are begun in a turn: what each takes later is several times what it takes to begin it, and who
comes meanwhile is read after that."""

MOST_AT_ONCE = 2000
"""Requests that are being answered at a time: more could not be answered within the time that is promised."""

FEW = 32
"""Requests in flight that are begun without a look at the time."""

LONG = 0.35
"""Seconds that a turn of the reactor may take. Where two in a row take longer, there is less time for all: a single one
is a burst, and what follows it is short."""

TURNS_TO_BEGIN = 4.0
TURNS_TO_ANSWER = 2.0
"""How many times what they take longer. What was begun has its answer some turns later: the directory's reply and the
store's come in turns of their own, and a time-out is seen a turn late, and asked about once more in the next."""

LEAST = 0.2
MOST_TOO_LONG = 1.5
"""Part of the patience, and seconds, beyond which no long turn takes anything: else nothing would be begun, and no turn
measured."""

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
    """First come, first begun. `patience` is how many seconds old a request may be when it is begun, at most.

    `in_flight` counts those that joined and have not ended, and `most` is how many they may be.
    """

    def __init__(self, reactor: Any, patience: float) -> None:
        self.patience = patience
        self.most = MOST_AT_ONCE
        self.in_flight = 0
        self._reactor = reactor
        self._line: deque[InLine] = deque()
        self._turn_ends = 0.0  # the moment when this turn's share is used up; 0.0: no turn was looked at
        self._left = 0  # how many more may be begun in this turn
        self._latest_turn = 0.0  # seconds that it took
        self._too_long = 0.0  # seconds that turns take more than they may
        self._patience_now = patience

    @property
    def late(self) -> float:
        """Seconds by which the answer to what is begun now will come later than whoever makes it knows."""
        return min(MOST_TOO_LONG, TURNS_TO_ANSWER * self._too_long)

    def are_pressed(self, now: float) -> bool:
        """So many wait that who came now would wait for too long."""
        return bool(self._line) and now - self._line[0].came_at > PRESSED * self._patience_now

    def are_full(self, now: float) -> bool:
        """Who came now would be turned away."""
        return self.in_flight >= self.most or self.are_pressed(now)

    def join(self, one: InLine) -> None:
        """Begin it or turn it away, now or when its turn comes. Either way it is in flight until `ended`."""
        now = self._reactor.seconds()
        is_full = self.are_full(now)
        self.in_flight += 1
        if is_full or self._is_too_old(one, now):
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
            self._left = MOST_A_TURN
            self._reactor.callLater(0, self._next)
        self._left -= 1
        return now < self._turn_ends and self._left >= 0

    def _next(self) -> None:
        """A turn of the reactor's later: go on with the line."""
        line = self._line
        now = self._reactor.seconds()
        self._measure(now - self._turn_ends + SHARE)
        self._turn_ends = 0.0
        while line and self._is_too_old(line[0], now):
            line.popleft().turn_away()
        while line and self._has_time(now):
            one = line.popleft()
            if self._is_too_old(one, now):
                one.turn_away()
            else:
                one.begin()
            now = self._reactor.seconds()

    def _measure(self, turn: float) -> None:
        self._too_long = max(0.0, min(turn, self._latest_turn) - LONG)
        self._latest_turn = turn
        self._patience_now = max(LEAST * self.patience, self.patience - TURNS_TO_BEGIN * self._too_long)

    def _is_too_old(self, one: InLine, now: float) -> bool:
        return now - one.came_at > self._patience_now

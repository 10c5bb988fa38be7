"""Who waits for a place in a window: in order, and nobody for ever.

Owns the order and the time limit. Which bind has room is said by whoever asks to serve.
"""

from collections import deque
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gatewayd.smpp.link import Link

LOOK = 1.0
"""Seconds between two looks for those who have waited too long."""

Free = Callable[[Link | None], Link | None]
"""`free(same)`: a bind with room; `same` and no other while that one lives; None where there is none."""


class Waiting:
    """The queue before the windows of one SMSC. Who waits `longest` seconds gets the exception of `too_long`."""

    def __init__(self, clock: IReactorTime, longest: float, too_long: Callable[[], Exception]) -> None:
        self._clock = clock
        self._longest = longest
        self._too_long = too_long
        self._queue: deque[tuple[Deferred[Link], Link | None, float]] = deque()
        self._sweeper: IDelayedCall | None = None

    def __len__(self) -> int:
        """How many wait."""
        return len(self._queue)

    def join(self, same: Link | None, *, ahead: bool) -> Deferred[Link]:
        """Fires with a bind in which a place is held; `same` is the only one that will do while it lives."""
        mine: Deferred[Link] = Deferred()
        entry = (mine, same, self._clock.seconds())
        if ahead:
            self._queue.appendleft(entry)
        else:
            self._queue.append(entry)
        if self._sweeper is None:
            self._sweeper = self._clock.callLater(LOOK, self._sweep)
        return mine

    def serve(self, free: Free) -> None:
        """There is room: whoever waits longest gets it."""
        queue = self._queue
        for _ in range(len(queue)):
            if not queue or free(None) is None:
                return
            mine, same, since = queue.popleft()
            if mine.called:
                continue
            link = free(same)
            if link is None:
                queue.append((mine, same, since))
                continue
            link.held += 1
            mine.callback(link)

    def fail(self, failure: Exception) -> None:
        """Whoever waits gets `failure`."""
        gone, self._queue = self._queue, deque()
        for mine, _, _ in gone:
            if not mine.called:
                mine.errback(failure)

    def stop(self) -> None:
        """Nobody is looked for any more."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    def _sweep(self) -> None:
        self._sweeper = None
        now = self._clock.seconds()
        waiting = [entry for entry in self._queue if not entry[0].called]
        self._queue = deque(entry for entry in waiting if now - entry[2] < self._longest)
        if self._queue:
            self._sweeper = self._clock.callLater(LOOK, self._sweep)
        for mine, _, since in waiting:
            if now - since >= self._longest:
                mine.errback(self._too_long())

"""Who may wait in memory for one SMSC or provider, and when the others come again; these wait in the store.

It knows numbers and moments, no connection and no text.
"""

from collections.abc import Callable

from gatewayd.core.throttle import LONGEST_PAUSE

LONGEST = 2.0
"""Seconds' worth of submits that may wait in memory for one next hop."""

AT_LEAST = 1000
"""So many may wait where that is less than `LONGEST` seconds' worth."""

FARTHEST, FARTHEST_UNRATED = 600.0, 30.0
"""Seconds over which messages beyond the backlog are spread at most: with a rate, and where we only guess one.

Each message that goes back costs the store two steps, so that a hundred thousand must not come back every minute.
"""

GUESSED_RATE = 100.0
"""Submits a second that we expect of a next hop without a rate that has not answered yet."""


class Backlog:
    """What is beyond the backlog gets a moment each, one behind the other."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._latest = 0.0  # the moment that was given out last

    def come_again_at(
        self, now: float, *, waiting: int, delay: float, rate: float, latency: float, window: int
    ) -> float | None:
        """When a message has to come again that would be one too many; None where it may wait.

        `waiting` are before the windows already; `delay` is what the pace expects for one more; `latency` and `window`
        are measured. By the configured `rate`, not by today's: a throttled hour must not put them off past their
        deadline.
        """
        if waiting and window:
            delay = max(delay, waiting * latency / window)
        if delay <= LONGEST and waiting <= max(AT_LEAST, int(LONGEST * rate)):
            return None
        speed = rate or (window / latency if latency else GUESSED_RATE)
        self._latest = max(self._latest, now + min(delay, LONGEST_PAUSE)) + 1.0 / speed
        farthest = now + (FARTHEST if rate else FARTHEST_UNRATED)
        if self._latest > farthest:
            self._latest = farthest - (farthest - now) * 0.5 * self._jitter()
        return self._latest

    def forget(self) -> None:
        """The rate is another: the next moments begin anew."""
        self._latest = 0.0

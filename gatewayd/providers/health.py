"""Whether a vendor is worth asking at this moment. Pure: times are arguments.

Owns how many failures in a row mean that it is out, and for how long it is left alone then. What counts as a failure
its user says: an answer about one message is none.
"""

from collections.abc import Callable

from gatewayd.core.retry import LINK

IN_A_ROW = 5
"""Answers that fault the vendor and not the message, until it counts as out."""

UNANSWERED_IN_A_ROW = 3
"""Requests without an answer until then: each of them leaves a message of which nobody knows what became."""

LONGEST = 60.0
"""Seconds for which it is left alone at most, unless it asked for more itself."""


class Health:
    """The state of one vendor. It is `up` until something is known against it.

    `reachable` is False from a connection that could not be opened until one could. Moments: seconds since the epoch.
    """

    def __init__(self, now: float, jitter: Callable[[], float]) -> None:
        self.reachable = True
        self.trouble = ""
        self.since = now
        self._jitter = jitter
        self._failures = 0
        self._unanswered = 0
        self._rounds = 0
        self._failing_since = 0.0
        self._down_until = 0.0

    def up(self, now: float) -> bool:
        """Whether a message may be given to it: not while it is left alone."""
        return self.reachable and now >= self._down_until

    @property
    def on_trial(self) -> bool:
        """Whether it was left alone, and nothing good is known of it since: then one message at a time finds out."""
        return self._rounds > 0

    @property
    def down_until(self) -> float:
        """When it is next worth a try."""
        return self._down_until

    def connected(self, now: float) -> None:
        """A connection was opened: whether it takes messages is another question."""
        if not self.reachable:
            self.reachable = True
            self._down_until = 0.0
            self._is_well(now)

    def answered(self, now: float) -> None:
        """It answered, and did not fault itself."""
        self.reachable = True
        self._down_until = 0.0
        self._is_well(now)

    def unreachable(self, now: float, reason: str) -> None:
        """No connection could be opened."""
        self._note(now, reason)
        self.reachable = False
        self._leave_alone(now)

    def failed(self, now: float, reason: str, until: float = 0.0) -> None:
        """It answered that it can't; until when, where it says so."""
        self._note(now, reason)
        self._failures += 1
        if self._failures >= IN_A_ROW:
            self._leave_alone(now)
        self._down_until = max(self._down_until, until)

    def unanswered(self, now: float, reason: str) -> None:
        """A request was written, and no answer came."""
        self._note(now, reason)
        self._unanswered += 1
        if self._unanswered >= UNANSWERED_IN_A_ROW:
            self._leave_alone(now)

    def _note(self, now: float, reason: str) -> None:
        if not self.trouble:
            self.since = self._failing_since = now
        self.trouble = reason

    def _is_well(self, now: float) -> None:
        if self.trouble:
            self.since = now
        self.trouble = ""
        self._failures = self._unanswered = self._rounds = 0

    def _leave_alone(self, now: float) -> None:
        # Requests that were under way fail together: only the first of them makes the back-off grow.
        if now < self._down_until:
            return
        self._rounds += 1
        due = LINK.next_due(self._rounds, self._failing_since, now, self._jitter())
        self._down_until = min(due, now + LONGEST)

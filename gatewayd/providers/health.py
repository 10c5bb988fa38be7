"""Whether a vendor is worth asking at this moment. Pure: times are arguments.

Owns how many failures in a row mean that it is out, and for how long it is left alone then. What counts as a failure
its user says: an answer about one message is none.
"""

from collections.abc import Callable

from gatewayd.core.retry import LINK, Backoff

IN_A_ROW = 5
"""Answers that fault the vendor and not the message, until it counts as out."""

UNANSWERED_IN_A_ROW = 3
"""Requests without an answer until then: each of them leaves a message of which nobody knows what became."""


class Health:
    """The state of one vendor. It is `up` until something is known against it.

    `reachable` is False from a connection that could not be opened until one could. Moments: seconds since the epoch.
    """

    def __init__(self, now: float, jitter: Callable[[], float]) -> None:
        self.reachable = True
        self.trouble = ""
        self.since = now
        self._left_alone = Backoff(LINK, jitter)
        self._failures = 0
        self._unanswered = 0
        self._asked_for = 0.0  # until when it says itself that it can't

    def up(self, now: float) -> bool:
        """Whether a message may be given to it: not while it is left alone."""
        return self.reachable and now >= self.down_until

    @property
    def on_trial(self) -> bool:
        """Whether it was left alone, and nothing good is known of it since: then one message at a time finds out."""
        return self._left_alone.failures > 0

    @property
    def down_until(self) -> float:
        """When it is next worth a try."""
        return max(self._left_alone.until, self._asked_for)

    def connected(self, now: float) -> None:
        """A connection was opened: whether it takes messages is another question."""
        if not self.reachable:
            self.answered(now)

    def answered(self, now: float) -> None:
        """It answered, and did not fault itself."""
        if self.trouble:
            self.since = now
        self.reachable = True
        self.trouble = ""
        self._failures = self._unanswered = 0
        self._asked_for = 0.0
        self._left_alone.worked()

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
        self._asked_for = max(self._asked_for, until)

    def unanswered(self, now: float, reason: str) -> None:
        """A request was written, and no answer came."""
        self._note(now, reason)
        self._unanswered += 1
        if self._unanswered >= UNANSWERED_IN_A_ROW:
            self._leave_alone(now)

    def _note(self, now: float, reason: str) -> None:
        if not self.trouble:
            self.since = now
        self.trouble = reason

    def _leave_alone(self, now: float) -> None:
        # Requests that were under way fail together: only the first of them makes the back-off grow.
        if now >= self.down_until:
            self._left_alone.failed(now)

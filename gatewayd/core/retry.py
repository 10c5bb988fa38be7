"""When to try again: each policy of back-off, and all of its numbers. Time and randomness are arguments.

A message's and a report's tries are counted in the store, and work/attempts.py and work/report_attempts.py alone apply
a policy to them; whoever owns a connection or leaves a host alone counts its own failures, by `Backoff`. How a rate
yields to "slow down" is throttle.py's.
"""

from collections.abc import Callable
from dataclasses import dataclass

EARLY = 60.0
"""Seconds after the first try during which no delay passes `EARLY_CAP`."""

EARLY_CAP = 10.0
FIRST_CAP = 5.0

LAST_STEP = 41
"""Failures in a row from which on a delay does not grow any more: all have reached their longest long before."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with jitter. All values in seconds.

    The first new try comes within 5 s, none in the first minute waits longer than 10 s, and later ones no longer
    than `longest` (CONTRACT.md, Times).
    """

    longest: float
    first: float = 1.0
    factor: float = 2.0

    def next_due(self, attempt: int, first_tried: float, now: float, jitter: float) -> float:
        """When the try after the failed number `attempt` (from 1) is due; `jitter` in [0, 1) spreads it.

        The delay lies between half of the exponential value and the whole of it.
        """
        growth = self.factor ** (min(attempt, LAST_STEP) - 1)
        delay = min(self.first * growth, self.longest)
        if attempt <= 1:
            delay = min(delay, FIRST_CAP)
        # After the first minute a wait is no longer than what has passed: no leap from seconds to many minutes.
        age = now - first_tried
        delay = min(delay, EARLY_CAP if age < EARLY else age)
        return now + delay * (0.5 + 0.5 * jitter)

    def last_due(self, attempt: int, first_tried: float, now: float) -> float:
        """The latest moment for the try after the failed number `attempt`, whatever the other side asks for."""
        longest = EARLY_CAP if now - first_tried < EARLY else self.longest
        return now + (min(longest, FIRST_CAP) if attempt <= 1 else longest)


class Backoff:
    """Pauses that grow with each failure in a row, for what counts its failures in memory.

    `failures`: how many in a row count. `until`: nothing is tried before then (seconds since the epoch); 0 while
    nothing failed.
    """

    def __init__(self, policy: RetryPolicy, jitter: Callable[[], float]) -> None:
        self._policy = policy
        self._jitter = jitter
        self._began = 0.0
        self.failures = 0
        self.until = 0.0

    def failed(self, now: float, *, most: int = LAST_STEP, lasting: bool = False) -> float:
        """Another failure; when to try again. The pause grows to its step `most`, and no further.

        `lasting`: only a person can mend it, so that the pause is a long one at once.
        """
        if not self.failures:
            self._began = now
        self.failures = min(self.failures + 1, most)
        if lasting:
            self.until = now + self._policy.longest * (0.75 + 0.25 * self._jitter())
        else:
            self.until = self._policy.next_due(self.failures, self._began, now, self._jitter())
        return self.until

    def worked(self) -> None:
        """Back to the beginning."""
        self.failures = 0
        self.until = 0.0


RELAY = RetryPolicy(longest=300.0)
"""A message for a relay."""

SMSC = RetryPolicy(longest=60.0)
"""A message for an SMSC or a provider."""

PUT_OFF = RELAY.longest + 1.0
"""Seconds: a message whose next try is farther away than any of ours is put off on purpose, as by quiet hours."""

CALLBACK = RetryPolicy(longest=3600.0)
"""A report to Smartico."""

STILL_SO = 2 * CALLBACK.longest
"""Seconds without another try after which a trouble of reports is over: none waits for that host or label any more."""

LINK = RetryPolicy(longest=60.0)
"""What is kept open or left alone for a while: binds, vendors, callback hosts."""

RELAY_BROKEN = RetryPolicy(longest=8.0, first=2.0)
"""Connections to a relay that may be back at any moment."""

RELAY_LASTING = RetryPolicy(longest=300.0, first=2.0)
"""Where only a person can mend it (a refused log-in), and recipient domains that asked us to slow down."""

STORE = RetryPolicy(longest=2.0, first=0.1)
"""Redis."""

FACT_AGAIN = 0.5
"""Seconds between two tries to store a fact: as soon as Redis is back, and the same for each."""

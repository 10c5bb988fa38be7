"""When to try again. Applied in attempts.py and nowhere else; time and randomness are arguments."""

from dataclasses import dataclass

EARLY = 60.0
"""Seconds after the first try during which no delay passes `EARLY_CAP`."""

EARLY_CAP = 10.0
FIRST_CAP = 5.0


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
        growth = self.factor ** min(attempt - 1, 40)
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


RELAY = RetryPolicy(longest=300.0)
SMSC = RetryPolicy(longest=60.0)
CALLBACK = RetryPolicy(longest=3600.0)
LINK = RetryPolicy(longest=60.0)
RELAY_FIRST = 2.0
RELAY_BROKEN = 8.0
RELAY_LASTING = 300.0
"""Seconds: a relay's or a domain's first pause; the longest where it may be back at any moment, and where only a person
can mend it (a refused log-in)."""

STORE = RetryPolicy(longest=2.0, first=0.1)
FACT_AGAIN = 0.5
"""Seconds between two tries to store a fact: as soon as Redis is back, and the same for each."""

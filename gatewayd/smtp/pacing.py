"""How fast: even rates, growing pauses, and domains that asked us to slow down.

Nothing here waits long or without bound: whoever can't go soon is told when, and comes back through the outbox.
"""

from collections import OrderedDict
from collections.abc import Callable

from gatewayd.core.retry import EARLY, EARLY_CAP, RELAY_FIRST

_KEPT = 10_000


class NotNow(Exception):
    """Come back at `not_before` (seconds since the epoch). The message is not at fault and was not tried."""

    def __init__(self, reason: str, not_before: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.not_before = not_before


class Pacer:
    """An even sequence of `rate` places a second (0: no limit); up to `burst` may pile up unused."""

    def __init__(self, rate: float, burst: int = 1) -> None:
        self._interval = 1.0 / rate if rate else 0.0
        self._slack = self._interval * (burst - 1)
        self._next = 0.0

    def take(self, now: float, patience: float) -> float:
        """Take the next place; seconds to wait for it. Raises NotNow where that is more than `patience`."""
        if not self._interval:
            return 0.0
        place = max(self._next, now - self._slack)
        if place - now > patience:
            raise NotNow("the rate is used up", place)
        self._next = place + self._interval
        return max(0.0, place - now)


class Backoff:
    """Growing pauses: at most 10 s in the first minute, later `longest`; between half and the whole of each value."""

    def __init__(self, longest: float, jitter: Callable[[], float]) -> None:
        self._longest = longest
        self._jitter = jitter
        self._failures = 0
        self._began = 0.0
        self.until = 0.0

    def failed(self, now: float) -> float:
        """Another failure; when to try again."""
        if not self._failures:
            self._began = now
        delay = min(RELAY_FIRST * 2.0 ** min(self._failures, 20), self._longest)
        if now - self._began < EARLY:
            delay = min(delay, EARLY_CAP)
        self._failures += 1
        self.until = now + delay * (0.5 + 0.5 * self._jitter())
        return self.until

    def worked(self) -> None:
        """Back to the beginning."""
        self._failures = 0
        self.until = 0.0


class Patience:
    """Which recipient domains asked us to slow down; a single mailbox's trouble is not its domain's.

    One 421, or `strikes` other temporary refusals with no success between them, close a domain for a while. What was
    under way when it closed does not make the pause grow.
    """

    def __init__(self, longest: float, jitter: Callable[[], float], strikes: int = 3) -> None:
        self._longest = longest
        self._jitter = jitter
        self._strikes = strikes
        self._domains: OrderedDict[str, tuple[int, Backoff]] = OrderedDict()

    def check(self, domain: str, now: float) -> None:
        """Raises NotNow while `domain` is closed."""
        if self._domains:
            entry = self._domains.get(domain)
            if entry is not None and now < entry[1].until:
                raise NotNow("the recipient's domain asked us to slow down", entry[1].until)

    def refused(self, domain: str, now: float, *, at_once: bool) -> None:
        """A temporary refusal for a recipient in `domain`."""
        count, backoff = self._domains.pop(domain, (0, None))
        backoff = backoff or Backoff(self._longest, self._jitter)
        self._domains[domain] = (count + 1, backoff)
        if (at_once or count + 1 >= self._strikes) and now >= backoff.until:
            backoff.failed(now)
        if len(self._domains) > _KEPT:
            self._domains.popitem(last=False)

    def took(self, domain: str) -> None:
        """A message to `domain` was taken."""
        if self._domains:
            self._domains.pop(domain, None)

    def closed(self, now: float) -> int:
        """How many domains are closed."""
        return sum(now < backoff.until for _, backoff in self._domains.values())

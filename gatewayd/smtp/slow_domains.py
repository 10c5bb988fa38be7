"""Recipient domains that asked us to slow down: which are left alone, and until when.

Owns that one judgement, and waits for nobody: whoever can't go is told when to come again. Must not know connections.
"""

from collections import OrderedDict
from collections.abc import Callable

from gatewayd.core.rate import NotNow
from gatewayd.core.retry import RELAY_LASTING, Backoff

STRIKES = 3
_KEPT = 10_000


class SlowDomains:
    """A single mailbox's trouble is not its domain's.

    One 421, or `STRIKES` other temporary refusals with no success between them, close a domain for a while. What was
    under way when it closed does not make the pause grow.
    """

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
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
        backoff = backoff or Backoff(RELAY_LASTING, self._jitter)
        self._domains[domain] = (count + 1, backoff)
        if (at_once or count + 1 >= STRIKES) and now >= backoff.until:
            backoff.failed(now)
        if len(self._domains) > _KEPT:
            self._domains.popitem(last=False)

    def accepted(self, domain: str) -> None:
        """A message to `domain` was accepted."""
        if self._domains:
            self._domains.pop(domain, None)

    def closed(self, now: float) -> int:
        """How many domains are closed."""
        return sum(now < backoff.until for _, backoff in self._domains.values())

"""When another copy of a message may leave whose answer was lost. Pure.

Owns the rule of CONTRACT.md, Copies; what each route's own policy is knows policies.py.
"""

from collections.abc import Callable

from gatewayd.core.model import Leased
from gatewayd.core.retry import RetryPolicy
from gatewayd.work.policies import Policies

COPIES = 3
"""How many copies leave at most where answers are lost and the policy is `resend` (CONTRACT.md, Copies)."""

AHEAD = 2.0
"""Seconds by which a mark may lie in the future though no clock was set: two clocks are compared, not equal."""


class Copies:
    """Those of the messages of one channel. `heard_since`: since when evidence of a route could reach us."""

    def __init__(self, policies: Policies, retry: RetryPolicy, heard_since: Callable[[str], float]) -> None:
        self.policies = policies
        self._retry = retry
        self._heard_since = heard_since

    def next_at(self, item: Leased, now: float) -> float:
        """The moment before which none leaves (seconds since the epoch): its deadline where none may."""
        if self._held(item):
            return item.message.deadline
        if item.marked_at > now + AHEAD:
            # The store's clock was set back since. How long ago that was nobody can say any more; the queue, which
            # followed it, has kept the wait, or a process ended meanwhile.
            return self._heard_since(item.route) + self.policies.wait(item.route)
        marked = min(item.marked_at, now)
        backed_off = self._retry.next_due(max(item.copies, 1), item.first_tried or marked, marked, 1.0)
        heard_since = max(marked, self._heard_since(item.route))
        return max(heard_since + self.policies.wait(item.route), backed_off)

    def why_not_now(self, item: Leased) -> str:
        """What an uncertain message waits for, in words."""
        route = item.route if self.policies.knows(item.route) else f"{item.route}, which is configured no more"
        until = "held until its deadline" if self._held(item) else "sent again where no evidence comes soon"
        return f"no answer is known from {route}: {until}"

    def _held(self, item: Leased) -> bool:
        return self.policies.holds(item.route) or item.copies >= COPIES

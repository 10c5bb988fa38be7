"""When another copy of a message may leave whose answer was lost, and what is said of it. Pure.

Owns the rule of CONTRACT.md, Copies, and what holds for a route that a reload took away, or that was never there.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from msgspec import Struct

from gatewayd.core.model import Channel, Leased
from gatewayd.core.retry import RetryPolicy

COPIES = 3
"""How many copies leave at most where answers are lost and the policy is `resend` (CONTRACT.md, Copies)."""

AHEAD = 2.0
"""Seconds by which a mark may lie in the future though no clock was set: two clocks are compared, not equal."""

SAID_AT_MOST = 20_000
"""Messages: about 2 MB. A lost connection leaves as many uncertain as its window holds, 100 at most as a rule."""


class Policy(Protocol):
    """One route's (relays, SMSCs and vendors alike)."""

    @property
    def on_uncertain(self) -> str:
        """`hold`: no second copy. `resend`: another one after `uncertain_wait`."""

    @property
    def uncertain_wait(self) -> float:
        """Seconds for which evidence may still come."""


class _Usual(Struct, frozen=True):
    on_uncertain: str
    uncertain_wait: float = 10.0


_USUAL: Mapping[Channel, Policy] = {
    Channel.EMAIL: _Usual("resend"),
    Channel.SMS: _Usual("hold"),
    Channel.IM: _Usual("hold"),
}
"""A channel's default (CONTRACT.md)."""


class Policies:
    """Those of the routes of one channel. A route that a reload takes away keeps the one that it had.

    Of one that this process never had, as a relay that got another name at a restart, nobody knows: where any of the
    configured holds, it does; else the channel's default counts.
    """

    def __init__(self, channel: Channel, configured: Mapping[str, Policy]) -> None:
        self._channel = channel
        self._configured = configured
        self._former: Mapping[str, Policy] = {}

    def reconfigure(self, configured: Mapping[str, Policy]) -> None:
        """Go by these from now on."""
        self._former = {**self._former, **self._configured}
        self._configured = configured

    def knows(self, route: str) -> bool:
        """Whether it is configured now."""
        return route in self._configured

    def holds(self, route: str) -> bool:
        """Whether no second copy may leave."""
        return self._of(route).on_uncertain == "hold"

    def wait(self, route: str) -> float:
        """Seconds for which evidence may still come before a second copy leaves."""
        return self._of(route).uncertain_wait

    def _of(self, route: str) -> Policy:
        return self._configured.get(route) or self._former.get(route) or self._strictest()

    def _strictest(self) -> Policy:
        holding = (policy for policy in self._configured.values() if policy.on_uncertain == "hold")
        return next(holding, _USUAL[self._channel])


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


class SaidUncertain:
    """By message, of how many copies the audit log has it that they may have been sent: it says so once of each.

    A message is looked at whenever its way comes back, for as long as it is held. Where more than `most` are said, the
    first said are forgotten first.
    """

    def __init__(self, most: int = SAID_AT_MOST) -> None:
        self._most = most
        # By the hash of the id, a third of what ids take: that two of so few share one of 64 bits does not happen.
        self._copies: dict[int, int] = {}

    def is_new(self, message_id: str, copies: int) -> bool:
        """Whether so many copies of it were not said yet; from now on they are."""
        key, said = hash(message_id), self._copies
        if said.get(key, -1) >= copies:
            return False
        said.pop(key, None)
        said[key] = copies
        if len(said) > self._most:
            del said[next(iter(said))]
        return True

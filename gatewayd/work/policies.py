"""How each route treats a message whose answer was lost: held, or sent again after a while. Pure.

Owns what holds for a route that a reload took away, and for one that was never there.
"""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from gatewayd.core.model import Channel


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

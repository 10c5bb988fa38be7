"""SMS by either kind of way: SMSCs and providers stand in one order of preference, and failover goes across both.

In front of both channels, and none itself: it finds whose a route is. What becomes of a message is its channel's.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from zope.interface import implementer

from gatewayd.core.failover import Setback, first_that_takes, narrowed
from gatewayd.core.interfaces import BeforeWire, IChannel
from gatewayd.core.model import Handed, Order, WayState


@implementer(IChannel)
class SharedRoutes:
    """`kinds` are channels (IChannel and ISharedRoutes) whose routes differ in their names."""

    def __init__(self, kinds: Sequence[Any]) -> None:
        self._kinds = tuple(kinds)

    async def send(self, order: Order, before_wire: BeforeWire) -> Handed:
        """See IChannel."""
        order = narrowed(order, [route for route in order.routes if self._kind(route) is not None])

        async def attempt(route: str) -> Handed | Setback:
            kind = self._kind(route)
            if kind is None:
                return Setback(f"{route} is configured no more")
            outcome: Handed | Setback = await kind.attempt(route, order, before_wire)
            return outcome

        return await first_that_takes(order.routes, attempt, none="no way is routed to", progress=order.progress)

    def routes(self) -> Mapping[str, bool]:
        """See IChannel."""
        return dict(chain.from_iterable(kind.routes().items() for kind in self._kinds))

    def why_not(self, routes: Sequence[str]) -> str:
        """See IChannel."""
        reasons = []
        for route in routes:
            kind = self._kind(route)
            reason = kind.why_not((route,)) if kind is not None else f"{route} is configured no more"
            if not reason:
                return ""
            reasons.append(reason)
        return "; ".join(reasons)

    def heard_since(self, route: str) -> float:
        """See IChannel."""
        kind = self._kind(route)
        return kind.heard_since(route) if kind is not None else 0.0

    def tells_later(self, route: str) -> bool:
        """See IChannel."""
        kind = self._kind(route)
        return kind is not None and bool(kind.tells_later(route))

    def states(self) -> Mapping[str, WayState]:
        """See IChannel."""
        return dict(chain.from_iterable(kind.states().items() for kind in self._kinds))

    def _kind(self, route: str) -> Any:
        for kind in self._kinds:
            if kind.knows(route):
                return kind
        return None

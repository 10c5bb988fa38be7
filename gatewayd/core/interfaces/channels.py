"""The ways out: to a next hop, which tries once and marks a message right before its bytes; and to the caller."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from zope.interface import Interface

from gatewayd.core.failover import Setback
from gatewayd.core.model import Handed, Order, WayState

BeforeWire = Callable[[str], Awaitable[int]]
"""Given the route's name, marks the message as being submitted; the mark's stamp (IQueues.mark).

Whatever it raises (LeaseLost, TemporaryFailure, PermanentFailure, StoreUnavailable) goes on to the caller of `send`:
then nothing may be written.
"""


class IChannel(Interface):
    """A way out. It tries once: retrying is the outbox's work."""

    async def send(order: Order, before_wire: BeforeWire) -> Handed:
        """Hand one message to a next hop, by the first of its routes that is up.

        Awaits `before_wire(route)` after all waiting for rate and window, right before the message's bytes are
        written. Raises TemporaryFailure, PermanentFailure, Uncertain or LeaseLost; never with an address in it.
        """

    def routes() -> Mapping[str, bool]:
        """The name of each relay, SMSC or vendor, and whether it is up."""

    def states() -> Mapping[str, WayState]:
        """How each of them stands, for people."""

    def why_not(routes: Sequence[str]) -> str:
        """Why nothing can go out by any of `routes` at this moment; "" where one may take it, or has to be tried."""

    def heard_since(route: str) -> float:
        """Since when evidence about messages of `route` could come over it; 0 where none does, or it is down."""

    def tells_later(route: str) -> bool:
        """Whether `route` says later what became of each message that it took, by receipts or reports."""


class ISharedRoutes(Interface):
    """A channel whose routes stand in one order of preference with those of another kind (SMPP and HTTP)."""

    async def attempt(route: str, order: Order, before_wire: BeforeWire) -> Handed | Setback:
        """As IChannel.send, by one route and no other; a Setback where the next route may take the message."""

    def knows(route: str) -> bool:
        """Whether this route is one of this channel's."""


class ICallbacks(Interface):
    """The way to tell the caller a status."""

    async def get(url: str, *, allow_private: bool = False, asker: str = "") -> tuple[int, bytes]:
        """HTTP status and body (bounded) of one GET; no redirect is followed.

        With `allow_private` the host may be at a private or loopback address. Raises TemporaryFailure, with `counts`
        false where nothing was tried, AnsweredInVain where it answered; PermanentFailure where `url` cannot be asked.
        `asker` names who was turned away once the host is up again.
        """

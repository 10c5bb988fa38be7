"""Which of several routes takes a message, and what to say where none does.

Pure. One rule for every channel: a route that is down, or refuses for reasons of its own, is a setback, and the next
one is tried; what a route says of the message itself is raised, and ends the attempt. Whether a busy route is a
setback is the channel's to say: relays are alike, SMSCs differ in price (CONTRACT.md, Failover).
"""

from collections.abc import Awaitable, Callable, Container, Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from gatewayd.core.errors import Failure, PermanentFailure, TemporaryFailure
from gatewayd.core.model import Handed, Order


class Setback(Struct, frozen=True):
    """A route did not take the message, and nothing of it is there: the next route may.

    `not_before`: when to come again (seconds since the epoch), where that is known. `counts`: it was an attempt that
    makes the back-off grow. `final`: this route never takes this message.
    """

    reason: str
    not_before: float | None = None
    counts: bool = True
    final: bool = False


def narrowed(order: Order, known: Container[str]) -> Order:
    """An order that goes on where it was begun: what was taken of it counts for that one of the `known` routes only.

    A receipt for the whole comes from one next hop or from none; where that is gone, the message begins anew.
    """
    if not order.progress or not order.begun_on:
        return order
    if order.begun_on in order.routes and order.begun_on in known:
        return replace(order, routes=(order.begun_on,))
    return replace(order, progress=())


Attempt = Callable[[str], Awaitable[Handed | Setback]]
"""`attempt(route)`: try one route; raises what ends the attempt as a whole."""


async def first_that_takes(
    routes: Iterable[str], attempt: Attempt, *, none: str, progress: tuple[str, ...] = ()
) -> Handed:
    """Try `routes` in order until one takes the message.

    Raises what `attempt` raises; where there are only setbacks, their sum as TemporaryFailure, or as PermanentFailure
    where each of them is final. `none` is the reason where there is no route at all; `progress` goes into the failure.
    """
    setbacks: list[Setback] = []
    for route in routes:
        outcome = await attempt(route)
        if not isinstance(outcome, Setback):
            return outcome
        setbacks.append(outcome)
    raise summed_up(setbacks, none, progress)


def summed_up(setbacks: Sequence[Setback], none: str, progress: tuple[str, ...] = ()) -> Failure:
    """What several setbacks mean for the message."""
    if not setbacks:
        return TemporaryFailure(none, progress=progress)
    reason = "; ".join(setback.reason for setback in setbacks)
    if all(setback.final for setback in setbacks):
        return PermanentFailure(reason, progress=progress)
    times = [setback.not_before for setback in setbacks if setback.not_before is not None]
    # A route that is only busy or paced will take it soon: that is no failed attempt.
    counts = all(setback.counts for setback in setbacks if not setback.final)
    not_before = min(times) if times and not counts else None
    return TemporaryFailure(reason, not_before=not_before, counts=counts, progress=progress)

"""Which of several routes takes a message, and what to say where none does.

Pure. One rule for every channel: a route that is down, or refuses for reasons of its own, is a setback, and the next
one is tried; what a route says of the message itself is raised, and ends the attempt. Whether a busy route is a
setback is the channel's to say: relays are alike, SMSCs differ in price (CONTRACT.md, Failover).
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence

from msgspec import Struct

from gatewayd.core.errors import Failure, PermanentFailure, TemporaryFailure
from gatewayd.core.model import Handed


class Setback(Struct, frozen=True):
    """A route did not take the message, and nothing of it is there: the next route may.

    `not_before`: when to come again (seconds since the epoch), where that is known. `counts`: it was an attempt that
    makes the back-off grow. `final`: this route never takes this message.
    """

    reason: str
    not_before: float | None = None
    counts: bool = True
    final: bool = False


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

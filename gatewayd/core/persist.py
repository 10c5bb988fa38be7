"""Facts that were learned once and must be stored, however long Redis is away.

Owns nothing but the waiting. For what the other side is sure to bring again, StoreUnavailable is answer enough.
"""

import math
from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from twisted.internet.task import deferLater

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.retry import FACT_AGAIN

P = ParamSpec("P")
T = TypeVar("T")


async def persist(clock: Any, store: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `store(*args, **kwargs)` until Redis takes it, and give what it gives; it must be right to do twice.

    Who waits here holds its memory meanwhile, and slows the intake of work.
    """
    return await persist_for(math.inf, clock, store, *args, **kwargs)


async def persist_for(
    seconds: float, clock: Any, store: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
) -> T:
    """As `persist`, but that no try begins later than so many seconds from now: then StoreUnavailable goes through."""
    until = clock.seconds() + seconds
    while True:
        try:
            return await store(*args, **kwargs)
        except StoreUnavailable:
            if clock.seconds() + FACT_AGAIN > until:
                raise
        await deferLater(clock, FACT_AGAIN)

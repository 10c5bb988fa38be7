"""Facts that were learned once and must be stored, however long Redis is away.

Owns nothing but the waiting. For what the other side brings again by itself, StoreUnavailable is answer enough.
"""

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
    while True:
        try:
            return await store(*args, **kwargs)
        except StoreUnavailable:
            await deferLater(clock, FACT_AGAIN)

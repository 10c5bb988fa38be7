"""Facts that were learned once and must be stored, however long Redis is away.

Owns nothing but the waiting. For what the other side brings again by itself, StoreUnavailable is answer enough.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.task import deferLater

from gatewayd.core.errors import StoreUnavailable

AGAIN = 0.5
"""Seconds between two tries: it is a fact, so it is stored as soon as Redis is back."""


async def persist(clock: Any, store: Callable[[], Awaitable[None]]) -> None:
    """Call `store` until Redis takes it; it must be right to do twice.

    Who waits here holds its memory meanwhile, and slows the intake of work.
    """
    while True:
        try:
            await store()
        except StoreUnavailable:
            await deferLater(clock, AGAIN)
        else:
            return

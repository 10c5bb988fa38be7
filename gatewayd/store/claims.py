"""Claims on outside events: a key each, so that an event posted five times at once is recorded once.

SET NX is the whole decision. A claim that its process did not end runs out by itself. What ends a message must pass
where Redis' memory is full, so the writes go by a script.
"""

import itertools
from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from gatewayd.core.at_once import all_at_once
from gatewayd.core.interfaces import Claim, IEventClaims
from gatewayd.store.link import RedisLink
from gatewayd.store.scripts import all_scripts

CLAIMED_FOR = 60
"""Seconds that recording an event may take; then whoever brings it again records it."""

_DONE = "1"


@implementer(IEventClaims)
class EventClaims:
    """Keys `seen:EVENT`: "1" for a recorded event (as 0.1.0 wrote it), else the name of the claim that is at it.

    `boot` is unique to the process: a claim's name must not return after a restart.
    """

    def __init__(self, link: RedisLink, boot: str) -> None:
        self._link = link
        self._write = all_scripts()["write_when_full"]
        self._names = (f"{boot}:{number}" for number in itertools.count())

    async def claim(self, keys: Sequence[str]) -> list[Claim]:
        """As IEventClaims; the same call may reach Redis twice, and knows its own claim by its name."""
        if not keys:
            return []
        name = next(self._names)
        were_free = await self._all([("SET", self._key(key), name, "NX", "EX", CLAIMED_FOR) for key in keys])
        if all(were_free):
            return [Claim.OURS] * len(keys)
        holders = await self._link.command("MGET", *(self._key(key) for key in keys))
        return [
            Claim.OURS
            if was_free or holder == name.encode()
            else Claim.DONE
            if holder == _DONE.encode()
            else Claim.ANOTHERS
            for was_free, holder in zip(were_free, holders, strict=True)
        ]

    async def keep(self, keys: Sequence[str], seconds: float) -> None:
        """As IEventClaims."""
        await self._all([("SET", self._key(key), _DONE, "EX", max(int(seconds), 1)) for key in keys])

    async def release(self, keys: Sequence[str]) -> None:
        """As IEventClaims."""
        if keys:
            await self._link.command("DEL", *(self._key(key) for key in keys))

    def _key(self, event: str) -> str:
        return self._link.key("claim", event)

    async def _all(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """All of them in one call of Redis."""
        return await all_at_once(self._link.run(self._write, words) for words in commands)

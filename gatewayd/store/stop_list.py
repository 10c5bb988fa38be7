"""The stop list: who must not be contacted, since when and until when, and whose stop it is where that is known.

Its keys stand in legend.py with all others.
"""

from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from gatewayd.core.interfaces import IStopList
from gatewayd.core.model import Channel, Stop
from gatewayd.store.legend import KEYS
from gatewayd.store.link import RedisLink
from gatewayd.store.scripts import all_scripts

AT_ONCE = 500
"""Stops that one call looks at: Redis does nothing else meanwhile."""


@implementer(IStopList)
class StopList:
    """IStopList on Redis; times are by its own clock."""

    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self._scripts = all_scripts()

    async def put(
        self,
        label: str,
        channel: Channel,
        keyed_hash: str,
        seconds: float,
        *,
        user: str = "",
        reason: str = "",
        of_address: bool = False,
        owner: str = "",
        since: float = 0.0,
    ) -> None:
        """See IStopList."""
        kind = "address" if of_address else "player"
        lifetime, began = max(int(seconds * 1000), 1000), int(since * 1000)
        item = (label, channel, keyed_hash, lifetime, kind, reason.replace("|", "/"), user, owner, began)
        await self._link.run(self._scripts["stop_put"], item)

    async def lift(self, label: str, channel: Channel, hashes: Sequence[str], consented_at: float) -> int:
        """See IStopList."""
        return int(
            await self._link.run(self._scripts["stop_lift"], (label, channel, list(hashes), int(consented_at * 1000)))
        )

    async def forget(self, label: str, channel: Channel, hashes: Sequence[str]) -> None:
        """See IStopList."""
        await self._link.run(self._scripts["stop_forget"], (label, channel, list(hashes)))

    async def some(self, label: str, channel: Channel, cursor: str, since: float = 0.0) -> tuple[str, list[Stop]]:
        """See IStopList."""
        index = f"{self._prefix}{KEYS['stops'].short}{label}:{channel}"
        following, flat = await self._link.command("ZSCAN", index, cursor, "COUNT", AT_ONCE)
        hashes = [flat[at].decode() for at in range(0, len(flat), 2) if float(flat[at + 1]) >= since * 1000]
        found: list[Stop] = []
        for start in range(0, len(hashes), AT_ONCE):
            some = hashes[start : start + AT_ONCE]
            values = await self._link.run(self._scripts["stop_page"], (label, channel, some))
            now = int(values[0]) / 1000
            pairs = zip(some, values[1::2], values[2::2], strict=True)
            found += [_stop(label, channel, one, value, now + int(left) / 1000) for one, value, left in pairs if value]
        return following.decode(), found


def _stop(label: str, channel: Channel, keyed_hash: str, value: Any, until: float) -> Stop:
    since, kind, reason, user = value.decode().split("|", 3)
    return Stop(label, channel, keyed_hash, int(since) / 1000, until, kind == "address", reason, user)

"""The stop list: who must not be contacted, since when and until when, and whose stop it is where that is known.

Keys, beside what players' records have:
- `stop:LABEL:CHANNEL:HASH`, string, SINCE|KIND|REASON|USER: a player (by the keyed hash of their id) or an address (by
  its own) is not contacted; goes with its time. SINCE is in ms; KIND player or address; USER the player's id, empty
  where nobody knows it or it was erased. "1" is what 0.1.0 wrote: it counts, and is neither lifted nor listed.
- `stops:LABEL:CHANNEL`, sorted set of these hashes by SINCE; members whose stop is gone are dropped when they are met.
- `stopped-of:LABEL:CHANNEL:HASH`, set of the addresses that are on the list on this player's account.
"""

from collections.abc import Sequence
from importlib import resources
from typing import Any

from zope.interface import implementer

from gatewayd.core.interfaces import IStopList
from gatewayd.core.model import Channel, Stop
from gatewayd.store.link import RedisLink, Script

AT_ONCE = 500
"""Stops that one call looks at: Redis does nothing else meanwhile."""


def _script(name: str) -> Script:
    parts = ("stop_words", name, "coda")
    folder = resources.files("gatewayd.store").joinpath("lua")
    return Script(name, "".join(folder.joinpath(f"{part}.lua").read_text("utf-8") for part in parts))


@implementer(IStopList)
class StopList:
    """IStopList on Redis; times are by its own clock."""

    def __init__(self, link: RedisLink, prefix: str) -> None:
        self._link = link
        self._prefix = prefix
        self._put, self._lift, self._forget, self._page = map(
            _script, ("stop_put", "stop_lift", "stop_forget", "stop_page")
        )

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
        await self._link.run(self._put, item)

    async def lift(self, label: str, channel: Channel, hashes: Sequence[str], consented_at: float) -> int:
        """See IStopList."""
        return int(await self._link.run(self._lift, (label, channel, list(hashes), int(consented_at * 1000))))

    async def forget(self, label: str, channel: Channel, hashes: Sequence[str]) -> None:
        """See IStopList."""
        await self._link.run(self._forget, (label, channel, list(hashes)))

    async def some(self, label: str, channel: Channel, cursor: str, since: float = 0.0) -> tuple[str, list[Stop]]:
        """See IStopList."""
        index = f"{self._prefix}stops:{label}:{channel}"
        following, flat = await self._link.command("ZSCAN", index, cursor, "COUNT", AT_ONCE)
        hashes = [flat[at].decode() for at in range(0, len(flat), 2) if float(flat[at + 1]) >= since * 1000]
        found: list[Stop] = []
        for start in range(0, len(hashes), AT_ONCE):
            some = hashes[start : start + AT_ONCE]
            values = await self._link.run(self._page, (label, channel, some))
            now = int(values[0]) / 1000
            pairs = zip(some, values[1::2], values[2::2], strict=True)
            found += [_stop(label, channel, one, value, now + int(left) / 1000) for one, value, left in pairs if value]
        return following.decode(), found


def _stop(label: str, channel: Channel, keyed_hash: str, value: Any, until: float) -> Stop:
    since, kind, reason, user = value.decode().split("|", 3)
    return Stop(label, channel, keyed_hash, int(since) / 1000, until, kind == "address", reason, user)

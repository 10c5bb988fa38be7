"""The stop list: who must not be contacted, since when and until when, and whose stop it is where that is known.

Its keys stand in legend.py with all others.
"""

import math
from collections.abc import Sequence
from typing import Any

from zope.interface import implementer

from gatewayd.core.interfaces import IStopList
from gatewayd.core.model import Channel, Stop
from gatewayd.store.link import RedisLink
from gatewayd.store.part import AT_ONCE
from gatewayd.store.scripts import all_scripts


@implementer(IStopList)
class StopList:
    """IStopList on Redis; times are by its own clock."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
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
    ) -> bool:
        """See IStopList."""
        kind = "address" if of_address else "player"
        lifetime, began = int(seconds * 1000), int(since * 1000)
        item = (label, channel, keyed_hash, lifetime, 0, kind, _plain(reason), user, owner, began)
        return bool(await self._link.run(self._scripts["put_stop"], item))

    async def put_all(self, stops: Sequence[Stop]) -> None:
        """See IStopList."""
        await self._link.run_all(self._scripts["put_stop"], [_item(stop) for stop in stops])

    async def lift(self, label: str, channel: Channel, hashes: Sequence[str], consented_at: float) -> int:
        """See IStopList."""
        return int(
            await self._link.run(self._scripts["lift_stops"], (label, channel, list(hashes), int(consented_at * 1000)))
        )

    async def forget(self, label: str, channel: Channel, hashes: Sequence[str]) -> int:
        """See IStopList."""
        return int(await self._link.run(self._scripts["forget_whose_stops"], (label, channel, list(hashes))))

    async def some(self, label: str, channel: Channel, cursor: str, since: float = 0.0) -> tuple[str, list[Stop]]:
        """See IStopList."""
        began, _, name = cursor.partition("-")
        first = int(began) if name else math.ceil(since * 1000)
        item = (label, channel, first, name, AT_ONCE)
        now, more, rows = await self._link.run(self._scripts["list_stops"], item)
        moment = int(now) / 1000
        found = [_stop(label, channel, row, moment) for row in zip(*[iter(rows)] * 3, strict=True)]
        return more.decode(), found


def _plain(reason: str) -> str:
    """As it may stand in a stop's value, whose parts have bars between."""
    return reason.replace("|", "/")


def _item(stop: Stop) -> tuple[Any, ...]:
    kind = "address" if stop.of_address else "player"
    began, ends = int(stop.since * 1000), int(stop.until * 1000)
    return stop.label, stop.channel, stop.keyed_hash, 0, ends, kind, _plain(stop.reason), stop.user, stop.owner, began


def _stop(label: str, channel: Channel, row: tuple[Any, Any, Any], now: float) -> Stop:
    """`row`: keyed hash, value, milliseconds left."""
    name, value, left = row
    since, kind, reason, user = value.decode().split("|", 3)
    until = now + int(left) / 1000
    return Stop(label, channel, name.decode(), int(since) / 1000, until, kind == "address", reason, user)

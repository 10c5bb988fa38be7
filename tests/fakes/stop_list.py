"""IStopList on what FakeStore holds."""

from collections.abc import Sequence

from msgspec.structs import replace
from zope.interface import implementer

from fakes.store import FakeStore
from gatewayd.core.interfaces import IStopList
from gatewayd.core.model import (
    Channel,
    Stop,
)


@implementer(IStopList)
class FakeStopList:
    """IStopList over a FakeStore's list."""

    def __init__(self, store: "FakeStore") -> None:
        self._store = store

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
        now = self._store._now()
        known, key = self._store.db.stops, (label, channel, keyed_hash)
        before = known.get(key)
        began, until = min(since or now, now), now + max(seconds, 1.0)
        is_on_it = self._store.db.stop.get(key, 0.0) > now
        if before is not None and is_on_it:
            began, until, user = max(began, before.since), max(until, before.until), user or before.user
        known[key] = Stop(label, channel, keyed_hash, began, until, of_address, reason, user)
        self._store.db.stop[key] = until
        self._store.db.stop_owners[key] = owner
        return not is_on_it

    async def put_all(self, stops: Sequence[Stop]) -> None:
        """See IStopList."""
        for one in stops:
            lifetime = one.until - self._store._now()
            await self.put(
                one.label,
                one.channel,
                one.keyed_hash,
                lifetime,
                user=one.user,
                reason=one.reason,
                of_address=one.of_address,
                owner=one.owner,
                since=one.since,
            )

    def _theirs(self, label: str, channel: Channel, hashes: Sequence[str]) -> list[tuple[str, Channel, str]]:
        now, db = self._store._now(), self._store.db
        return [
            key
            for key in db.stops
            if key[:2] == (label, channel)
            and (key[2] in hashes or db.stop_owners.get(key) in hashes)
            and db.stop.get(key, 0) > now
        ]

    async def lift(self, label: str, channel: Channel, hashes: Sequence[str], consented_at: float) -> int:
        """See IStopList."""
        if consented_at > self._store._now():
            return 0
        gone = [key for key in self._theirs(label, channel, hashes) if self._store.db.stops[key].since < consented_at]
        for key in gone:
            del self._store.db.stop[key], self._store.db.stops[key]
        return len(gone)

    async def forget(self, label: str, channel: Channel, hashes: Sequence[str]) -> int:
        """See IStopList."""
        named = [key for key in self._theirs(label, channel, hashes) if self._store.db.stops[key].user]
        for key in named:
            self._store.db.stops[key] = replace(self._store.db.stops[key], user="")
        return len(named)

    async def some(self, label: str, channel: Channel, cursor: str, since: float = 0.0) -> tuple[str, list[Stop]]:
        """See IStopList."""
        now, db = self._store._now(), self._store.db
        found = sorted(
            (round(stop.since * 1000), key[2], stop)
            for key, stop in db.stops.items()
            if key[:2] == (label, channel) and stop.since >= since and db.stop.get(key, 0) > now
        )
        began, _, name = cursor.partition("-")
        page = [one for one in found if not name or one[:2] > (int(began), name)][:2]
        more = "{}-{}".format(*page[-1][:2]) if len(page) == 2 else "0"
        return more, [stop for _, _, stop in page]

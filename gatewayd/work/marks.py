"""What this process wrote to a wire lately, remembered beside Redis: a Redis that forgets must not send it again.

After a failover, a restored backup or FLUSHALL a message that has left may stand in Redis as if it had not. Knows ids
and routes only, bounded in number and age.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gatewayd.core.interfaces import EvidenceSink, IStore
from gatewayd.core.memory import Memory
from gatewayd.core.model import Channel, Handed, Leased
from gatewayd.core.persist import persist

KEPT_FOR = 600.0
MOST = 12_000
"""Seconds for which a mark is remembered, and how many at most: about 5 MB, and a minute of 200 messages a second."""

MOST_UNWRITTEN = 10_000
"""Messages of which leases are remembered under which nothing left: about 3 MB."""

LEASES = 8
"""The latest so many of each: Redis comes back as it was a moment ago."""

AT_ONCE = 200
"""Messages in one call to the store."""


class Mark(Struct, frozen=True, gc=False):
    """It was marked for `route`, at that moment of ours; `remote_ids` is None where the next hop's answer isn't known.

    `stamp` is the store's. Marks are compared by it: of the two clocks one may be set, or follow the time slowly.
    """

    channel: Channel
    route: str
    at: float
    stamp: int
    remote_ids: tuple[str, ...] | None = None
    detail: str = ""

    @property
    def handed(self) -> Handed | None:
        """What the next hop said, None where it isn't known: made when it is asked for, as few marks ever are."""
        return None if self.remote_ids is None else Handed(self.route, self.remote_ids, self.detail)


class Unwritten(Struct, frozen=True):
    """Put back last at `at`, and the leases under which nothing of it left but the segments that `route` has."""

    at: float
    leases: tuple[str, ...]
    route: str = ""
    progress: tuple[str, ...] = ()


class Marks:
    """By message id, the latest mark of each."""

    def __init__(self, clock: Any, store: IStore) -> None:
        self._clock = clock
        self._store = store
        self._marks: Memory[str, Mark] = Memory(MOST, KEPT_FOR)
        self._unwritten: Memory[str, Unwritten] = Memory(MOST_UNWRITTEN, KEPT_FOR)
        # Of messages in work, and what was recalled: no others push these out, however long the store takes no writes.
        self._not_stored: dict[str, Mark] = {}  # the next hop took it, and the store does not know that
        self._not_put_back: dict[str, str] = {}  # the lease under which nothing left, as the store does not know

    def written(self, message_id: str, channel: Channel, route: str, stamp: int) -> None:
        """Its bytes may be written from now on; `stamp` is the mark's, as the store gave it."""
        self._unwritten.forget(message_id)
        self._marks.put(message_id, Mark(channel, route, self._clock.seconds(), stamp))

    def sent(self, message_id: str, handed: Handed) -> None:
        """The next hop took it; the store hears of it now."""
        mark = self._marks.get(message_id)
        if mark is not None:
            taken = Mark(mark.channel, handed.route, mark.at, mark.stamp, handed.remote_ids, handed.detail)
            self._marks.put(message_id, taken)
            self._not_stored[message_id] = taken

    def stored(self, message_id: str) -> None:
        """The store knows that the next hop took it."""
        self._not_stored.pop(message_id, None)

    def not_stored(self) -> dict[str, Mark]:
        """What next hops took and the store does not know yet."""
        return dict(self._not_stored)

    def recall(self, taken: Mapping[str, Mark]) -> None:
        """A former process could not store these."""
        for message_id, mark in taken.items():
            self._marks.put(message_id, replace(mark, at=self._clock.seconds()))
        self._not_stored.update(taken)

    def refused(self, message_id: str) -> None:
        """Nothing of it was taken: where the store forgets it, it may leave once more."""
        self._marks.forget(message_id)

    def unwritten(self, message_id: str, lease: str) -> None:
        """It is put back, and nothing of it was taken under this lease, whether it was marked under it or not."""
        self._put_back(message_id, lease, "", ())
        self._not_put_back[message_id] = lease

    def half_sent(self, message_id: str, lease: str, route: str, progress: tuple[str, ...]) -> None:
        """It is put back: these segments of it were taken, and nothing besides was written. The next ones may leave."""
        mark = self._marks.get(message_id)
        if on := mark.route if mark is not None else route:
            self._put_back(message_id, lease, on, progress)

    def _put_back(self, message_id: str, lease: str, route: str, progress: tuple[str, ...]) -> None:
        before = self._unwritten.get(message_id)
        earlier = before.leases if before is not None and before.progress == progress else ()
        leases = (*earlier[1 - LEASES :], lease)
        self._unwritten.put(message_id, Unwritten(self._clock.seconds(), leases, route, progress))

    def put_back(self, message_id: str) -> None:
        """The store knows that it is put back."""
        self._not_put_back.pop(message_id, None)

    def not_put_back(self) -> tuple[str, ...]:
        """The names of leases under which nothing was taken, as the store does not know yet."""
        return tuple(map(self._store.lease_name, self._not_put_back.values()))

    def unwritten_leases(self, message_id: str) -> tuple[str, ...]:
        """The leases under which nothing of it left, since something did last.

        A Redis that has the mark and has forgotten that the message was put back must not have it held for that.
        """
        kept = self._unwritten.get(message_id)
        return kept.leases if kept is not None else ()

    def segments_taken(self, message_id: str) -> tuple[str, tuple[str, ...]]:
        """Who has segments of it, and their ids there: all that left under those leases, and before."""
        kept = self._unwritten.get(message_id)
        return (kept.route, kept.progress) if kept is not None else ("", ())

    def forgotten(self, item: Leased) -> Mark | None:
        """The mark that the store should have of a leased message, and has not; or has, but not that it was taken."""
        mark = self._known(item.message.id)
        return mark if mark is not None and (item.mark < mark.stamp or mark.handed is not None) else None

    def _known(self, message_id: str) -> Mark | None:
        return self._not_stored.get(message_id) or self._marks.get(message_id)

    async def restate(self, age: float, evidence: EvidenceSink) -> int:
        """Tell the store what was written in the last `age` seconds, and what it does not know yet.

        The result is how much it had forgotten. Receipts that had come before, and waited for their message, are
        `evidence` now.
        """
        count = 0
        for message_id, mark in self._not_stored.items():
            self._marks.put(message_id, replace(mark, at=self._clock.seconds()))
        for some in self._marks.since(self._clock.seconds() - age, AT_ONCE):
            forgotten, uncertain = await self._tell(some)
            count += len(forgotten)
            for message_id in forgotten + uncertain:
                await self._settle(message_id, evidence)
        return count

    async def _tell(self, some: list[tuple[str, Mark]]) -> tuple[list[str], list[str]]:
        marks = [(message_id, mark.route, mark.stamp) for message_id, mark in some]
        return await persist(self._clock, self._store.restate_marks, marks)

    async def _settle(self, message_id: str, evidence: EvidenceSink) -> None:
        mark = self._known(message_id)
        if mark is not None and mark.handed is not None:
            settled = await persist(self._clock, self._store.settle_sent, message_id, mark.channel, mark.handed)
            for receipt in settled.parked:
                await persist(self._clock, evidence.record_receipt, receipt)

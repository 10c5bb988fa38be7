"""What this process wrote to a wire lately, remembered beside Redis: a Redis that forgets must not send it again.

After a failover, a restored backup or FLUSHALL a message that has left may stand in Redis as if it had not. Knows ids
and routes only, bounded in number and age.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from gatewayd.core.interfaces import IStore
from gatewayd.core.model import Channel, Handed, Leased
from gatewayd.core.persist import persist

T = TypeVar("T")

KEPT_FOR = 600.0
MOST = 30_000
"""Seconds for which a mark is remembered, and how many at most: about 15 MB, and a minute of 500 messages a second."""

MOST_UNWRITTEN = 20_000
"""Messages of which leases are remembered under which nothing left: about 7 MB."""

LEASES = 8
"""The latest so many of each: Redis comes back as it was a moment ago."""


class Mark(Struct, frozen=True):
    """It was marked for `route`, at that moment of ours; `handed` is what the next hop said, None where it isn't known.

    `stamp` is the store's. Marks are compared by it: of the two clocks one may be set, or follow the time slowly.
    """

    channel: Channel
    route: str
    at: float
    stamp: int
    handed: Handed | None = None


class Marks:
    """By message id, the latest mark of each."""

    def __init__(self, clock: Any, store: IStore) -> None:
        self._clock = clock
        self._store = store
        self._marks: dict[str, Mark] = {}
        # By message id, since when, and the names of the leases.
        self._unwritten: dict[str, tuple[float, tuple[str, ...]]] = {}

    def written(self, message_id: str, channel: Channel, route: str, stamp: int) -> None:
        """Its bytes may be written from now on; `stamp` is the mark's, as the store gave it."""
        self._unwritten.pop(message_id, None)
        self._put(message_id, Mark(channel, route, self._clock.seconds(), stamp))

    def sent(self, message_id: str, handed: Handed) -> None:
        """The next hop took it."""
        mark = self._marks.get(message_id)
        if mark is not None:
            self._put(message_id, replace(mark, route=handed.route, handed=handed))

    def refused(self, message_id: str) -> None:
        """Nothing of it was taken: where the store forgets it, it may leave once more."""
        self._marks.pop(message_id, None)

    def unwritten(self, message_id: str, lease: str) -> None:
        """It is put back, and nothing of it was taken under this lease, whether it was marked under it or not."""
        now = self._clock.seconds()
        _, leases = self._unwritten.pop(message_id, (now, ()))
        self._unwritten[message_id] = (now, (*leases[1 - LEASES :], lease))
        _forget_oldest(self._unwritten, MOST_UNWRITTEN, lambda kept: kept[0] < now - KEPT_FOR)

    def unwritten_leases(self, message_id: str) -> tuple[str, ...]:
        """The leases under which nothing of it left, since something did last.

        A Redis that has the mark and has forgotten that the message was put back must not have it held for that.
        """
        return self._unwritten.get(message_id, (0.0, ()))[1]

    def forgotten(self, item: Leased) -> Mark | None:
        """The mark that the store should have of a leased message, and has not; or has, but not that it was taken."""
        mark = self._marks.get(item.message.id)
        return mark if mark is not None and (item.mark < mark.stamp or mark.handed is not None) else None

    async def restate(self, age: float) -> int:
        """Tell the store what was written in the last `age` seconds; how much of that it had forgotten."""
        since, count = self._clock.seconds() - age, 0
        recent = [(message_id, mark) for message_id, mark in self._marks.items() if mark.at >= since]
        for some in _parts(recent, 200):
            forgotten, uncertain = await persist(self._clock, lambda some=some: self._tell(some))  # type: ignore[misc]
            count += len(forgotten)
            for message_id in forgotten + uncertain:
                mark = self._marks.get(message_id)
                if mark is not None and mark.handed is not None:
                    handed = mark.handed
                    await persist(
                        self._clock,
                        lambda one=message_id, mark=mark, handed=handed: self._store.settle_sent(  # type: ignore[misc]
                            one, mark.channel, handed
                        ),
                    )
        return count

    async def _tell(self, some: list[tuple[str, Mark]]) -> tuple[list[str], list[str]]:
        return await self._store.restate_marks([(message_id, mark.route, mark.stamp) for message_id, mark in some])

    def _put(self, message_id: str, mark: Mark) -> None:
        # The oldest stand in front.
        self._marks.pop(message_id, None)
        self._marks[message_id] = mark
        _forget_oldest(self._marks, MOST, lambda kept: kept.at < mark.at - KEPT_FOR)


def _forget_oldest(kept: dict[str, T], most: int, is_old: Callable[[T], bool]) -> None:
    """With each one that is put in, two go at most: work is spread evenly."""
    for first in list(islice(kept, 2)):
        if len(kept) > most or is_old(kept[first]):
            del kept[first]


def _parts(rows: list[tuple[str, Mark]], size: int) -> Iterator[list[tuple[str, Mark]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]

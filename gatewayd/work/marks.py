"""What this process wrote to a wire lately, remembered beside Redis: a Redis that forgets must not send it again.

After a failover, a restored backup or FLUSHALL a message that has left may stand in Redis as if it had not. Knows ids
and routes only, bounded in number and age.
"""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from gatewayd.core.interfaces import IStore
from gatewayd.core.model import Channel, Handed, Leased
from gatewayd.core.persist import persist

KEPT_FOR = 600.0
MOST = 100_000
"""Seconds for which a mark is remembered, and how many at most: about 20 MB."""

SLACK = 1.0
"""Seconds by which the store's stamp of a mark may be earlier than ours: two clocks are compared once a second."""


class Mark(Struct, frozen=True):
    """It was marked for `route` at that moment; `handed` is what the next hop said, None where that is not known."""

    channel: Channel
    route: str
    at: float
    handed: Handed | None = None


class Marks:
    """By message id, the latest mark of each."""

    def __init__(self, clock: Any, store: IStore) -> None:
        self._clock = clock
        self._store = store
        self._marks: dict[str, Mark] = {}

    def written(self, message_id: str, channel: Channel, route: str, at: float) -> None:
        """Its bytes may be written from now on; `at` is a moment before the store marked it."""
        self._put(message_id, Mark(channel, route, at))

    def sent(self, message_id: str, handed: Handed) -> None:
        """The next hop took it."""
        mark = self._marks.get(message_id)
        if mark is not None:
            self._put(message_id, Mark(mark.channel, handed.route, mark.at, handed))

    def refused(self, message_id: str) -> None:
        """Nothing of it was taken: where the store forgets it, it may leave once more."""
        self._marks.pop(message_id, None)

    def forgotten(self, item: Leased) -> Mark | None:
        """The mark that the store should have of a leased message, and has not."""
        mark = self._marks.get(item.message.id)
        return mark if mark is not None and item.marked_at < mark.at - SLACK else None

    async def restate(self, age: float) -> int:
        """Tell the store what was written in the last `age` seconds; how much of that it had forgotten."""
        since, count = self._clock.seconds() - age, 0
        recent = [(message_id, mark) for message_id, mark in self._marks.items() if mark.at >= since]
        for some in _parts(recent, 200):
            forgotten = await persist(self._clock, lambda some=some: self._tell(some))  # type: ignore[misc]
            count += len(forgotten)
            for message_id in forgotten:
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

    async def _tell(self, some: list[tuple[str, Mark]]) -> list[str]:
        return await self._store.restate_marks([(message_id, mark.route, mark.at - SLACK) for message_id, mark in some])

    def _put(self, message_id: str, mark: Mark) -> None:
        # The oldest stand in front.
        self._marks.pop(message_id, None)
        self._marks[message_id] = mark
        oldest = mark.at - KEPT_FOR
        for first in list(_first(self._marks, 2)):
            if len(self._marks) > MOST or self._marks[first].at < oldest:
                del self._marks[first]


def _first(marks: dict[str, Mark], count: int) -> Iterator[str]:
    for _, message_id in zip(range(count), marks, strict=False):
        yield message_id


def _parts(rows: list[tuple[str, Mark]], size: int) -> Iterator[list[tuple[str, Mark]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]

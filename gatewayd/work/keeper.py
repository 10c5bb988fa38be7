"""Keeps this instance's leases alive, and takes over those of the dead.

Owns when this is done, and what becomes of a failure; what a heartbeat is stands in presence.py, the rest in chores.py.
"""

from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.application.service import MultiService

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import EvidenceSink, IStore
from gatewayd.core.model import Channel
from gatewayd.core.regularly import Regularly
from gatewayd.work.chores import Chores
from gatewayd.work.last_words import LastWords
from gatewayd.work.marks import Marks
from gatewayd.work.outbox import Outbox
from gatewayd.work.presence import Presence
from gatewayd.work.statuses import RecentStatuses

BEAT = 1.0
"""Seconds between heartbeats, and between rounds of chores."""


class Keeper(MultiService):
    """The heartbeat and the chores of one instance, which never wait for each other. Callables: see Presence."""

    def __init__(
        self,
        clock: Any,
        store: IStore,
        outboxes: Mapping[str, Outbox[Any]],
        *,
        on_paused: Callable[[frozenset[tuple[str, Channel]]], None],
        evidence: EvidenceSink,
        marks: Marks,
        statuses: RecentStatuses,
        last_words: LastWords,
        on_usurped: Callable[[], object],
        instance: str,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        presence = Presence(
            store, outboxes, on_paused=on_paused, on_usurped=on_usurped, last_words=last_words, instance=instance
        )
        self._last_words = last_words
        chores = Chores(
            store,
            outboxes,
            presence,
            evidence=evidence,
            marks=marks,
            statuses=statuses,
            last_words=last_words,
        )
        # Each for itself: a heartbeat that waited for chores made peers take a living process' leases.
        for name, work in (("heartbeat", presence.beat), ("chores", chores.do)):
            part = Regularly(clock, BEAT, partial(_unless_away, work), f"the {name} of this process", finishes=True)
            part.setServiceParent(self)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Begin to beat, and with the chores; what a former process left is known before anything is leased."""
        self._last_words.recall()
        super().startService()  # type: ignore[no-untyped-call]


async def _unless_away(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Where Redis does not answer, the next one comes in a second."""
    with suppress(StoreUnavailable):
        await work()

"""The small regular work on the store that no message asks for.

What an older dataset of Redis has forgotten, or a former process could not store, what dead peers had leased, what was
paused and may go on, receipts that wait for their message, leases that a lost reply left behind.
"""

from collections.abc import Mapping
from typing import Any

from gatewayd.core.at_once import all_at_once
from gatewayd.core.interfaces import EvidenceSink, IStore
from gatewayd.work.last_words import LastWords
from gatewayd.work.marks import KEPT_FOR, Marks
from gatewayd.work.outbox import Outbox
from gatewayd.work.presence import Presence
from gatewayd.work.statuses import RecentStatuses

STRAY_AFTER = 3
"""Rounds in a row for which a lease may be held without being in work."""

SWEEPS = 20
PARKED = 200
"""Steps of a sweep, and receipts that are looked up again, in one round of chores: each round is a part of a second."""


class Chores:
    """What one instance does of them."""

    def __init__(
        self,
        store: IStore,
        outboxes: Mapping[str, Outbox[Any]],
        presence: Presence,
        *,
        evidence: EvidenceSink,
        marks: Marks,
        statuses: RecentStatuses,
        last_words: LastWords,
    ) -> None:
        self._store = store
        self._outboxes = outboxes
        self._presence = presence
        self._evidence = evidence
        self._marks = marks
        self._statuses = statuses
        self._last_words = last_words
        self._idle: dict[str, dict[tuple[str, str], int]] = {}  # by queue: leases not in work, for how many rounds

    async def do(self) -> None:
        """One round, where this process is established. Raises StoreUnavailable."""
        if not self._presence.established:
            return
        await self._store.come_forward()
        unsaid = KEPT_FOR if self._last_words.are_to_be_said() else 0.0
        if since := max(self._store.forgotten_since(), unsaid):
            # What has ended is no mark's any more.
            await self._statuses.restate(since)
            await self._marks.restate(since, self._evidence)
            self._store.has_restated()
            for some in self._statuses.receipts_since(since):
                await all_at_once(self._evidence.record_receipt(receipt) for receipt in some)
            self._last_words.said()
        await self._presence.take_over_dead()
        for _ in range(SWEEPS):
            if not await self._store.requeue_set_aside():
                break
        await self._give_back_strays()
        await self._look_at_parked()

    async def _give_back_strays(self) -> None:
        for kind, outbox in self._outboxes.items():
            seen, now = self._idle.get(kind, {}), await self._store.leases(kind, outbox.holds)
            # Leased anew meanwhile it bears another name, and may be on its way to us.
            rounds = {held: seen.get(held, 0) + 1 for held in now.items()}
            strays = [held for held, number in rounds.items() if number > STRAY_AFTER]
            self._idle[kind] = {held: number for held, number in rounds.items() if number <= STRAY_AFTER}
            await all_at_once(self._give_back(kind, one, lease) for one, lease in strays)

    async def _give_back(self, kind: str, message_id: str, lease: str) -> None:
        unwritten = self._marks.unwritten_leases(message_id)
        route, progress = self._marks.segments_taken(message_id)
        await self._store.release(kind, message_id, lease, unwritten=unwritten, route=route, progress=progress)

    async def _look_at_parked(self) -> None:
        due, orphans = await self._store.parked_receipts(PARKED)
        await all_at_once(self._evidence.look_again(receipt) for receipt in due)
        await all_at_once(self._evidence.give_up(receipt) for receipt in orphans)

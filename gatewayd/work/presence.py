"""This process among those that share its Redis: that it lives, that its name is its own, whose leases it takes over.

One heartbeat for each instance, no renewal for each message.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.logger import Logger

from gatewayd.core.interfaces import IProcesses
from gatewayd.core.model import Channel
from gatewayd.work.last_words import LastWords
from gatewayd.work.outbox import Outbox

DEAD_AFTER = 15.0
"""Seconds without a heartbeat until peers take the leases; who comes under our name takes them at once."""


class Presence:
    """Begins by taking back what a former process of this name had leased. Until its first heartbeat nothing is begun.

    `on_usurped` is called once another process uses this instance's name: two of a name would send twice. `on_paused`
    hears with each heartbeat what is paused.
    """

    log = Logger()

    def __init__(
        self,
        store: IProcesses,
        outboxes: Mapping[str, Outbox[Any]],
        *,
        on_paused: Callable[[frozenset[tuple[str, Channel]]], None],
        on_usurped: Callable[[], object],
        last_words: LastWords,
        instance: str,
    ) -> None:
        self._store = store
        self._last_words = last_words
        self._outboxes = outboxes
        self._on_paused = on_paused
        self._on_usurped = on_usurped
        self._instance = instance
        self._first = True  # no heartbeat was answered yet
        self._has_recovered = False  # what a former process of this name had leased
        self._usurped = False
        self._dead: Sequence[str] = ()
        for outbox in outboxes.values():
            outbox.hold_back()

    @property
    def established(self) -> bool:
        """Whether the name is ours, and with it all that was leased under it."""
        return self._has_recovered and not self._usurped

    async def beat(self) -> None:
        """Say that we live, and hear of our peers. Raises StoreUnavailable."""
        if self._usurped:
            return
        ours, dead, paused = await self._store.beat(first=self._first, dead_after=DEAD_AFTER)
        if not ours:
            self._usurped = True
            self.log.critical("another process uses the instance name {instance}: stopping", instance=self._instance)
            self._on_usurped()
            return
        if self._first:
            for outbox in self._outboxes.values():
                outbox.go_on()
        self._first, self._dead = False, dead
        self._on_paused(paused)
        if not self._has_recovered:
            # What this process leased since is in work already: given back, a peer would tell it a second time.
            await self._take_over(self._instance, unwritten=self._last_words.unwritten)
            self._has_recovered = True

    async def take_over_dead(self) -> None:
        """What peers had leased whose heartbeat ran out is anybody's again."""
        dead, self._dead = self._dead, ()
        for peer in dead:
            await self._take_over(peer)

    async def _take_over(self, instance: str, unwritten: Sequence[str] = ()) -> None:
        moved = await self._store.recover(instance, unwritten=unwritten)
        if moved:
            self.log.warn("took over {moved} leases of {instance}", moved=moved, instance=instance)

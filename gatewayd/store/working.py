"""Which queues some running process works on: a key each, which these processes renew and which goes by itself.

Where work is divided among processes, those that take requests go on when those that send have ended.
"""

from collections.abc import Collection

from gatewayd.core.errors import StoreUnavailable
from gatewayd.store.link import RedisLink
from gatewayd.store.scripts import all_scripts

SAY_SO_EVERY = 5.0
"""Seconds between two looks, at each of which this process says what it works on."""

ENDED_AFTER = 20.0
"""Seconds after which a process that said nothing works on nothing any more; longer than its restart takes."""

QUEUES = ("email", "sms", "im", "reports")


class Working:
    """Keys `works:QUEUE`, "1". `ours` are the queues that this process works on."""

    def __init__(self, link: RedisLink, ours: Collection[str]) -> None:
        self._link = link
        self._ours = ours
        self._absent: frozenset[str] = frozenset()
        self._without_work: frozenset[str] = frozenset()

    def without(self) -> frozenset[str]:
        """The queues that no process works on, by two looks: behind an outage of Redis others say so a bit later."""
        return self._without_work

    async def look(self) -> None:
        """Say what this process works on, and find out what nobody does."""
        try:
            for queue in self._ours:
                words = ("SET", self._link.key("works", queue), "1", "PX", int(ENDED_AFTER * 1000))
                await self._link.run(all_scripts()["write_when_full"], words)
            said = await self._link.command("MGET", *(self._link.key("works", queue) for queue in QUEUES))
        except StoreUnavailable:
            # That Redis is away is said elsewhere.
            self._absent = self._without_work = frozenset()
            return
        absent = frozenset(queue for queue, word in zip(QUEUES, said, strict=True) if word is None)
        self._absent, self._without_work = absent, absent & self._absent

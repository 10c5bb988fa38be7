"""What the parts of RedisStore share: the link, the scripts, the clocks."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from twisted.logger import Logger

from gatewayd.core.at_once import all_at_once
from gatewayd.core.errors import StoreUnavailable, StoreUntouched
from gatewayd.store import rows
from gatewayd.store.link import RedisLink
from gatewayd.store.moments import SAID_FOR, Moments
from gatewayd.store.scripts import all_scripts

_Value = TypeVar("_Value")

AT_ONCE = 500
"""Members of a set, messages or stops that one call looks at: Redis does nothing else meanwhile."""


CLOCK_ERROR = 0.5
"""Seconds by which Redis' clock, as we know it, may be wrong."""


class StorePart:
    """A part of RedisStore: methods of IStore, each a script or a plain command."""

    log = Logger()

    def __init__(self, link: RedisLink, clock: Any, instance: str) -> None:
        self._link = link
        self._clock = clock
        self._instance = instance
        self._key = link.key
        self._scripts = all_scripts()
        self._moments = Moments()
        self._lease_names: Iterator[str] = (f"q{number}" for number in itertools.count())

    def _stop_keys(self, label: str, channel: str, hashes: Iterable[str]) -> list[str]:
        """Where these keyed hashes stand on the stop list, if they do."""
        scope = self._key("stop", f"{label}:{channel}:")
        return [scope + one for one in hashes]

    def _now(self) -> float:
        """The present moment by Redis' clock, as well as we know it, in seconds."""
        return float(self._clock.seconds()) + self._moments.ahead

    def _delay(self, due: float) -> int:
        """How far away a moment of ours is, in ms: by Redis' clock it may be another one by the time it gets there."""
        return rows.ms(due - float(self._clock.seconds()))

    def _over(self) -> int:
        """In ms: a deadline that is kept as an earlier one has passed. By Redis' clock all would, once it is set on."""
        return rows.ms(self._moments.kept(float(self._clock.seconds())))

    def _readable(self, read: Callable[[Any], _Value], kept: Iterable[Any]) -> list[_Value]:
        """What `read` makes of each, but of what another version or program wrote: one must not hide the others."""
        found = []
        for one in kept:
            try:
                found.append(read(one))
            except (ValueError, KeyError):
                self.log.failure("something in Redis can't be read, beside what can: does another version write there?")
        return found

    async def _record(self, message_id: str) -> rows.Record:
        return rows.record(await self._link.command("HGETALL", self._key("message", message_id)))

    async def _run(self, name: str, *item: Any) -> Any:
        return await self._link.run(self._scripts[name], item)

    async def _run_here(self, name: str, *item: Any) -> Any:
        """Over the connection that is there now, and no other: raises StoreUnavailable once it is lost."""
        return await self._link.run(self._scripts[name], item, connection=self._link.connections)

    async def _run_all(self, name: str, items: Sequence[tuple[Any, ...]]) -> list[Any]:
        return await all_at_once(self._run(name, *item) for item in items)

    async def _join_clocks(self) -> None:
        """What the first heartbeat does, for what comes before it. Raises StoreUntouched."""
        try:
            await self._compare_clocks()
            lag, at = await self._link.command("HMGET", self._key("beats"), "lag", "lag_at")
        except StoreUnavailable as error:
            raise StoreUntouched(str(error)) from None
        age = self._now() - float(at) / 1000 if at else 0.0
        if age < -CLOCK_ERROR:
            # Its deadline would have passed for those who know by how much.
            raise StoreUntouched("Redis' clock was set back just now")
        (self._moments.join if age <= SAID_FOR else self._moments.suppose)(float(lag or 0) / 1000)

    async def _compare_clocks(self) -> None:
        began = self._clock.seconds()
        self._clocks_read(began, await self._link.time())

    def _clocks_read(self, began: float, theirs: Sequence[int]) -> float:
        jump = self._moments.compared(began, self._clock.seconds(), theirs)
        if jump:
            word = "on" if jump > 0 else "back"
            self.log.warn("Redis' clock was set {word} by {seconds:.1f} s", word=word, seconds=abs(jump))
        return jump

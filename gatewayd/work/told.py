"""What this process told Smartico lately, and what it recorded: a Redis that forgets must not have it told once more.

Whoever brought us a receipt has heard that we took it, and does not bring it again. Knows ids and statuses only,
bounded in number and age.
"""

from itertools import islice
from sys import intern
from typing import Any

from msgspec import Struct

from gatewayd.core.interfaces import IStore
from gatewayd.core.model import Evidence, ReportJob
from gatewayd.core.persist import persist
from gatewayd.core.status import FINAL, LETTERS, Event, Report, State
from gatewayd.work.marks import KEPT_FOR

MOST = 20_000
"""Messages: about 7 MB."""

AT_ONCE = 200
"""Messages in one call to the store."""

_ENDS = frozenset(Event(state) for state in FINAL) | {Event.BOUNCED}


class Said(Struct, frozen=True):
    """Since when; the letters of the statuses that were told, in order; and what was recorded, in order."""

    at: float
    told: str = ""
    recorded: tuple[Event, ...] = ()


_NOTHING = Said(0.0)


class Told:
    """By message id."""

    def __init__(self, clock: Any, store: IStore) -> None:
        self._clock = clock
        self._store = store
        self._said: dict[str, Said] = {}

    def told(self, message_id: str, status: Report) -> None:
        """Smartico took this status of it."""
        before, letter = self._said.get(message_id, _NOTHING), LETTERS[status]
        # Told once more, as a person asked, it stands where it was.
        self._put(message_id, before.told if letter in before.told else before.told + letter, before.recorded)

    def recorded(self, message_id: str, event: Event) -> None:
        """This moved it, and whoever brought it does not bring it again."""
        before = self._said.get(message_id, _NOTHING)
        if event not in before.recorded:
            self._put(message_id, before.told, (*before.recorded, event))

    async def restate(self, age: float) -> int:
        """Tell the store what was told and recorded in the last `age` seconds; of how many it had forgotten any."""
        since, count = self._clock.seconds() - age, 0
        recent = [message_id for message_id, said in self._said.items() if said.at >= since]
        for start in range(0, len(recent), AT_ONCE):
            replies = await self._tell(recent[start : start + AT_ONCE])
            count += sum(forgotten or is_open for forgotten, is_open, _ in replies)
        return count

    async def restate_one(self, message_id: str) -> None:
        """The same of one message."""
        if message_id in self._said:
            await self._tell([message_id])

    async def is_to_tell(self, job: ReportJob) -> bool:
        """Whether a status that stands in Redis as to be told is.

        Told before it is told again only where a person asked for that: Redis knows then that it was heard.
        """
        letter = LETTERS[job.status]
        if letter not in self._said.get(job.message_id, _NOTHING).told:
            return True
        return any(letter in to_tell for _, _, to_tell in await self._tell([job.message_id]))

    async def _tell(self, message_ids: list[str]) -> list[tuple[bool, bool, str]]:
        said = [(message_id, self._said[message_id]) for message_id in message_ids if message_id in self._said]
        items = [(one, what.told, _final(what.told), _has_ended(what)) for one, what in said]
        replies = await persist(self._clock, lambda: self._store.restate_told(items))
        for (message_id, what), (_, is_open, _) in zip(said, replies, strict=True):
            for event in what.recorded if is_open else ():
                evidence = Evidence(message_id, event, "recorded before Redis forgot it")
                await persist(self._clock, lambda one=evidence: self._store.record_evidence(one))  # type: ignore[misc]
        return replies

    def _put(self, message_id: str, told: str, recorded: tuple[Event, ...]) -> None:
        now = self._clock.seconds()
        # The oldest stand in front.
        self._said.pop(message_id, None)
        self._said[message_id] = Said(now, intern(told), recorded)
        for first in list(islice(self._said, 2)):
            if len(self._said) > MOST or self._said[first].at < now - KEPT_FOR:
                del self._said[first]


_STATES = {LETTERS[Report(state)]: state for state in FINAL}


def _final(told: str) -> State | None:
    """The state of a message of which this was told, where that is a final one: the latest counts."""
    return next((_STATES[letter] for letter in reversed(told) if letter in _STATES), None)


def _has_ended(said: Said) -> bool:
    return not _ENDS.isdisjoint(said.recorded)

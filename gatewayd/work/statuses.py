"""What Smartico heard from this process lately, and what it recorded, remembered beside Redis.

A Redis that forgets must not have a status told once more; and whoever brought us a receipt has heard that we took it,
and does not bring it again. Knows ids, statuses and receipts only, bounded in number and age.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from sys import intern
from typing import Any

from msgspec import Struct

from gatewayd.core.interfaces import IStore
from gatewayd.core.memory import Memory
from gatewayd.core.model import Evidence, Receipt, ReportJob
from gatewayd.core.persist import persist
from gatewayd.core.status import FINAL, LETTERS, Event, Report, State
from gatewayd.work.marks import AT_ONCE, KEPT_FOR

MOST = 10_000
"""Messages: about 2 MB."""

MOST_RECEIPTS = 3_000
"""Receipts that ended nothing by themselves: about 3 MB."""

_ENDS = frozenset(Event(state) for state in FINAL) | {Event.BOUNCED}


class Statuses(Struct, frozen=True, gc=False):
    """Of one message: `heard` are the letters of what Smartico took, `recorded` what moved it; both in order.

    `at` is when the latest of them came.
    """

    at: float
    heard: str = ""
    recorded: tuple[Event, ...] = ()


_NONE = Statuses(0.0)


class Received(Struct, frozen=True):
    """A receipt, and when it came."""

    at: float
    receipt: Receipt


class RecentStatuses:
    """By message id; and the receipts that moved none: a part of a long SMS's, and what came before its message."""

    def __init__(self, clock: Any, store: IStore) -> None:
        self._clock = clock
        self._store = store
        self._statuses: Memory[str, Statuses] = Memory(MOST, KEPT_FOR)
        self._receipts: Memory[str, Received] = Memory(MOST_RECEIPTS, KEPT_FOR)
        # The letters of what Smartico took, as the store does not know yet: no others push these out.
        self._not_stored: dict[str, str] = {}

    def heard(self, message_id: str, status: Report) -> None:
        """Smartico took this status of it."""
        before, letter = self._known(message_id), LETTERS[status]
        # One that was told once more, as a person asked, stands where it was.
        heard = before.heard if letter in before.heard else before.heard + letter
        self._not_stored[message_id] = heard
        self._put(message_id, heard, before.recorded)

    def stored(self, message_id: str) -> None:
        """The store knows what Smartico took of it."""
        self._not_stored.pop(message_id, None)

    def not_stored(self) -> dict[str, str]:
        """The letters of what Smartico took, of messages of which the store does not know that yet."""
        return dict(self._not_stored)

    def recall(self, heard: Mapping[str, str]) -> None:
        """A former process could not store these."""
        for message_id, letters in heard.items():
            self._put(message_id, letters, ())
        self._not_stored.update(heard)

    def recorded(self, message_id: str, event: Event) -> None:
        """This moved it, and whoever brought it does not bring it again."""
        before = self._known(message_id)
        if event not in before.recorded:
            self._put(message_id, before.heard, _followed_by(before.recorded, event))

    def received(self, receipt: Receipt) -> None:
        """It was acknowledged, is not the one that ended its message, and is not brought again."""
        self._receipts.put(
            f"{receipt.smsc} {receipt.remote_ids} {receipt.wording}", Received(self._clock.seconds(), receipt)
        )

    def receipts_since(self, age: float) -> Iterator[list[Receipt]]:
        """Those of the last `age` seconds. Recorded again, each counts once: its segment has ended, or ends now."""
        for some in self._receipts.since(self._clock.seconds() - age, AT_ONCE):
            yield [received.receipt for _, received in some]

    def _known(self, message_id: str) -> Statuses:
        known = self._statuses.get(message_id) or _NONE
        heard = self._not_stored.get(message_id, known.heard)
        return known if heard == known.heard else Statuses(known.at, heard, known.recorded)

    async def restate(self, age: float) -> int:
        """Tell the store what was heard and recorded in the last `age` seconds, and what it does not know yet.

        The result is of how many it had forgotten any.
        """
        count = 0
        for message_id, heard in self._not_stored.items():
            self._put(message_id, heard, self._known(message_id).recorded)
        for some in self._statuses.since(self._clock.seconds() - age, AT_ONCE):
            replies = await self._restate([message_id for message_id, _ in some])
            count += sum(forgotten or is_open for forgotten, is_open, _ in replies)
        return count

    async def restate_one(self, message_id: str) -> None:
        """The same of one message."""
        if message_id in self._statuses:
            await self._restate([message_id])

    async def is_to_tell(self, job: ReportJob) -> bool:
        """Whether a status that stands in Redis as to be told is.

        Heard before it is told again only where a person asked for that: Redis knows then that it was heard.
        """
        letter, known = LETTERS[job.status], self._known(job.message_id)
        if letter not in known.heard:
            return True
        self._put(job.message_id, known.heard, known.recorded)
        return any(letter in to_tell for _, _, to_tell in await self._restate([job.message_id]))

    async def _restate(self, message_ids: list[str]) -> list[tuple[bool, bool, str]]:
        # Each as it is by now: what was heard since is told with it.
        known = [(one, statuses) for one in message_ids if (statuses := self._statuses.get(one)) is not None]
        items = [(one, what.heard, _final(what.heard), _has_ended(what)) for one, what in known]
        replies = await persist(self._clock, self._store.restate_heard, items)
        for (message_id, what), (_, is_open, _) in zip(known, replies, strict=True):
            for event in what.recorded if is_open else ():
                evidence = Evidence(message_id, event, "recorded before Redis forgot it")
                await persist(self._clock, self._store.record_evidence, evidence)
        return replies

    def _put(self, message_id: str, heard: str, recorded: tuple[Event, ...]) -> None:
        self._statuses.put(message_id, Statuses(self._clock.seconds(), intern(heard), recorded))


@lru_cache(maxsize=256)
def _followed_by(recorded: tuple[Event, ...], event: Event) -> tuple[Event, ...]:
    """One for all messages of the same story."""
    return (*recorded, event)


_STATES = {LETTERS[Report(state)]: state for state in FINAL}


def _final(heard: str) -> State | None:
    """The state of a message of which this was heard, where that is a final one: the latest counts."""
    return next((_STATES[letter] for letter in reversed(heard) if letter in _STATES), None)


def _has_ended(statuses: Statuses) -> bool:
    return not _ENDS.isdisjoint(statuses.recorded)

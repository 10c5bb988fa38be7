"""Receipts in whatever order, under ids that several messages bear: the fake store says of each what Redis does."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
import pytest_twisted

from both_ways import StillClock, StillLink, StillStore
from fakes import Database, FakeStore
from gatewayd.core.errors import LeaseLost
from gatewayd.core.model import Channel, Handed, Message, Receipt
from gatewayd.core.status import Event, State
from gatewayd.store import RedisStore
from redis_server import RedisServer
from store_world import sms

IDS = ("5001", "5002", "5003", "a1")
NUMBERS = ("5e1f", "5e1f", "c0de")
WAYS = ("world", "world", "world", "elsewhere")
EVENTS = (Event.DELIVERED, Event.DELIVERED, Event.DELIVERED, Event.FAILED, Event.REJECTED, None)
JUMPS = (0.01, 1, 2.5, 11, 31, 61, 301)
KINDS = {
    "accepts": 3,
    "marks": 3,
    "hands_over": 4,
    "hands_over_a_segment": 2,
    "puts_back": 2,
    "leases": 2,
    "gives_up": 1,
    "gets_a_receipt": 5,
    "gets_one_again": 2,
    "looks_at_what_waits": 2,
    "waits": 3,
}

Step = tuple[Any, ...]
"""The name of a method of Side and its arguments, the first of them nearly always a message."""


class Side:
    """A store, and the leases that it gave out."""

    def __init__(self, store: Any, clock: StillClock) -> None:
        self.store, self.clock = store, clock
        self.leases: dict[str, str] = {}

    async def take(self, step: Step) -> Any:
        """The reply."""
        name, *args = step
        try:
            return await getattr(self, name)(*args)
        except LeaseLost:
            return "lost"

    async def accepts(self, message: Message) -> None:
        """And leases it."""
        await self.store.accept(message, "print", player_hash="a1b2c3d4", lease=True)
        self.leases[message.id] = ""

    async def marks(self, message: Message, way: str, to: str, segments: int) -> bool:
        """By its latest lease."""
        return bool(await self.store.mark(message, way, to, lease=self.leases[message.id], segments=segments))

    async def hands_over(self, message: Message, way: str, remote: tuple[str, ...]) -> Any:
        """And records the receipts that waited."""
        settled = await self.store.settle_sent(message.id, Channel.SMS, Handed(way, tuple(dict.fromkeys(remote))))
        return settled.has_arrived, [await self._records(one) for one in _in_order(settled.parked)]

    async def hands_over_a_segment(self, message: Message, way: str, remote: tuple[str, ...]) -> None:
        """There are more."""
        await self.store.record_segments(message.id, self.leases[message.id], way, remote)

    async def puts_back(self, message: Message, delay: float, way: str, progress: tuple[str, ...]) -> None:
        """With a way it is uncertain."""
        due, lease = self.clock.seconds() + delay, self.leases[message.id]
        await self.store.settle_again(
            message, due, "no", lease=lease, uncertain=way != "", route=way, progress=progress
        )

    async def leases_what_is_due(self) -> list[Any]:
        """All of it."""
        found = await self.store.lease_messages(Channel.SMS, 50)
        self.leases.update((leased.message.id, leased.lease) for leased in found)
        return sorted((leased.message.id, leased.state, leased.progress) for leased in found)

    async def gives_up(self, message: Message) -> None:
        """Its deadline passed."""
        await self.store.settle_final(message, State.FAILED, "no", "f", lease=self.leases[message.id])

    async def gets_a_receipt(self, receipt: Receipt) -> Any:
        """Maybe for the second time."""
        return await self.store.record_receipt(receipt, park=True)

    async def looks_at_what_waits(self) -> Any:
        """By id and number."""
        due, orphans = await self.store.parked_receipts(100)
        return [await self._records(one, by_number=True) for one in _in_order(due)], len(orphans)

    async def _records(self, receipt: Receipt, *, by_number: bool = False) -> Any:
        reply = await self.store.record_receipt(receipt, park=not by_number, by_number=by_number)
        return receipt.wording, reply

    async def stands(self, messages: Sequence[Message]) -> list[Any]:
        """What is known of each message."""
        known = [await self.store.about(message.id) for message in messages]
        return [(one.state, one.queued_reports, one.route, one.parts) for one in known]


class Story:
    """What may happen next: a segment is taken only where it was marked, and bears one of few ids."""

    def __init__(self, random: Random, clock: StillClock) -> None:
        self.random, self.clock = random, clock
        self.messages: list[Message] = []
        self._number: dict[str, str] = {}
        self._segments: dict[str, int] = {}
        self._way: dict[str, str] = {}
        self._on_the_wire: set[str] = set()
        self._progress: dict[str, tuple[str, ...]] = {}
        self._receipts: list[Receipt] = []

    def next(self) -> Step | None:
        """A step, or None where the one that was thought of can't be."""
        random = self.random
        kind = random.choices(tuple(KINDS), tuple(KINDS.values()))[0]
        if kind == "waits":
            self.clock.advance(random.choice(JUMPS))
            return None
        if kind == "accepts" or not self.messages:
            return self._accepts()
        message = random.choice(self.messages)
        progress, way = self._progress[message.id], self._way.get(message.id, "")
        is_written = message.id in self._on_the_wire
        segments, to = self._segments[message.id], self._number[message.id]
        match kind:
            case "marks":
                return kind, message, random.choice((way, way, "elsewhere") if way else WAYS), to, segments
            case "hands_over" if is_written:
                self._on_the_wire.discard(message.id)
                rest = random.choices(IDS, k=segments - len(progress))
                return kind, message, way, (*progress, *rest)
            case "hands_over_a_segment" if is_written and len(progress) + 1 < segments:
                self._progress[message.id] = (*progress, random.choice(IDS))
                return kind, message, way, self._progress[message.id]
            case "puts_back":
                self._on_the_wire.discard(message.id)
                is_uncertain = is_written and random.random() < 0.6
                return kind, message, random.choice((0, 5, 60)), way if is_uncertain else "", progress
            case "leases":
                return ("leases_what_is_due",)
            case "gives_up":
                self._on_the_wire.discard(message.id)
                return kind, message
            case "gets_a_receipt":
                return kind, self._receipt(to)
            case "gets_one_again" if self._receipts:
                return "gets_a_receipt", random.choice(self._receipts)
            case "looks_at_what_waits":
                return (kind,)
        return None

    def marked(self, message: Message, way: str) -> None:
        """It is on the wire; on another way it begins anew."""
        if self._way.get(message.id) != way:
            self._progress[message.id] = ()
        self._way[message.id] = way
        self._on_the_wire.add(message.id)

    def _accepts(self) -> Step:
        message = sms(self.clock)
        self.messages.append(message)
        self._number[message.id] = self.random.choice(NUMBERS)
        self._segments[message.id] = self.random.choice((1, 1, 1, 2, 3))
        self._progress[message.id] = ()
        return "accepts", message

    def _receipt(self, to: str) -> Receipt:
        random = self.random
        number = to if random.random() < 0.9 else random.choice(("", "a stranger's"))
        forms = tuple(random.sample(IDS, random.choice((1, 1, 1, 2))))
        receipt = Receipt(
            random.choice(WAYS), forms, random.choice(EVENTS), "stat:X", number, wording=f"w{len(self._receipts)}"
        )
        self._receipts.append(receipt)
        return receipt


def _in_order(receipts: Sequence[Receipt]) -> list[Receipt]:
    return sorted(receipts, key=lambda one: (str(one.wording), one.parked_at))


@pytest.fixture
def both(redis_server: RedisServer) -> Iterator[tuple[Side, Side, StillClock]]:
    """On the fake and on Redis, by one clock that stands still."""
    clock, prefix = StillClock(), RedisStore.key_prefix("receipts:")
    arguments = RedisStore.script_arguments("one", 1000, 7 * 86400.0, "boot")
    link = StillLink(
        clock, redis_server.client(), jitter=lambda: 0.5, arguments=arguments, prefix=prefix, shift=clock.seconds
    )
    link.startService()
    store = StillStore(link, clock, "one", usual=True)
    yield Side(FakeStore(clock, "one", Database(), 1000, "boot"), clock), Side(store, clock), clock
    pytest_twisted.blockon(link.stopService())
    redis_server.empty()


@pytest.mark.parametrize("seed", range(40))
@pytest_twisted.ensureDeferred
async def test_both_stores_say_the_same_of_each_receipt(both: tuple[Side, Side, StillClock], seed: int) -> None:
    """Early, late, twice, of several forms, for the wrong number, of segments, of what was put back or given up."""
    fake, redis, clock = both
    story, past = Story(Random(seed), clock), []
    for _ in range(70):
        step = story.next()
        if step is None:
            continue
        past.append(step)
        replies = await fake.take(step), await redis.take(step)
        assert replies[0] == replies[1], past
        if step[0] == "marks" and replies[0] is True:
            story.marked(*step[1:3])
        clock.advance(0.01)
        assert await fake.stands(story.messages) == await redis.stands(story.messages), past

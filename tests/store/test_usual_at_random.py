"""What lua/usual/ does leaves Redis as the long way would, in whatever order what happens to messages happens."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
import pytest_twisted
from msgspec.structs import replace

from both_ways import Process, StillClock, both, email
from gatewayd.core.errors import LeaseLost, TemporaryFailure
from gatewayd.core.model import Im, Message, ReportJob
from gatewayd.core.status import Event, State
from store_world import sms

__all__ = ["both"]

Step = tuple[Any, ...]
"""The name of a method of Walk and its arguments, the first of them nearly always the number of a message."""

WAYS = ("world", "world", "world", "new world", "")
NUMBERS = ("number", "other")
DETAILS = ("", "ok", "a|b", "two\nlines", "é" * 23, "d" * 47, "d" * 48, "250 queued as " + "4XyZ" * 20)
JUMPS = (0.001, 1, 59, 61, 3599, 3601, 86400, 6 * 86400, -1, -3600, -6 * 86400)


class Walk:
    """A process to which steps happen, and the leases and statuses that it was given."""

    def __init__(self, one: Process, messages: Sequence[Message]) -> None:
        self.one, self.store, self.messages = one, one.store, messages
        self.leases: dict[str, str] = {}
        self.former: list[ReportJob] = []
        self.calls = 0

    async def take(self, step: Step) -> Any:
        """The reply, or what was raised."""
        name, *args = step
        try:
            return await getattr(self, name)(*args)
        except (LeaseLost, TemporaryFailure) as error:
            return str(error)

    async def accepts(self, number: int) -> None:
        """And leases it, where it is not there already."""
        message, attempt = self.messages[number], str(self.calls)
        await self.one.accept(message, attempt)
        self.leases.setdefault(message.id, attempt)
        self.calls += 1

    async def leases_what_is_due(self, number: int) -> None:
        """Of the channel of that one."""
        for leased in await self.store.lease_messages(self.messages[number].channel, 10):
            self.leases[leased.message.id] = leased.lease

    async def marks(self, number: int, way: str, segments: int) -> None:
        """By its latest lease, to one of two numbers."""
        message = self.messages[number]
        await self.one.mark(message, way, self.leases.get(message.id, "none"), segments, NUMBERS[number % 2])

    async def puts_back(self, number: int, way: str, is_uncertain: bool, counts: bool) -> None:
        """It is due at once."""
        message = self.messages[number]
        lease, due = self.leases.get(message.id, "none"), self.one.clock.seconds()
        await self.store.settle_again(message, due, "no", lease=lease, counts=counts, uncertain=is_uncertain, route=way)

    async def hands_over(self, number: int, way: str, remote: Sequence[str], detail: str) -> None:
        """The next hop took it."""
        await self.one.take(self.messages[number], way, *remote, detail=detail)

    async def gives_up(self, number: int, state: State) -> None:
        """Its deadline passed, or nobody takes it."""
        message = self.messages[number]
        await self.store.settle_final(message, state, "no", state[0], lease=self.leases.get(message.id, "none"))

    async def gets_a_receipt(self, remote: str, event: Event | None, detail: str, to: str) -> None:
        """And looks at those that wait."""
        await self.one.bring(remote, event, detail, to)
        for receipt in (await self.store.parked_receipts(10))[0]:
            await self.store.record_receipt(receipt, park=True, by_number=True)

    async def learns(self, number: int, event: Event, detail: str) -> None:
        """Evidence."""
        await self.one.prove(self.messages[number], event, detail)

    async def leases_reports(self) -> None:
        """What waits in the queue."""
        self.one.to_tell += await self.store.lease_reports(10)

    async def tells(self, how: str) -> None:
        """What it has to tell: heard, refused for now, or given up; and heard once more, what was told before."""
        again, jobs = self.former, self.one.to_tell[:]
        self.one.to_tell[:], self.former = [], jobs
        for job in again if how == "twice" else jobs:
            next_job: ReportJob | None = None
            if how == "later":
                await self.store.report_again(job, self.one.clock.seconds(), "HTTP 500")
            elif how == "never":
                next_job = await self.store.report_dead(job, "no", waited=1, tries=1)
            else:
                next_job = await self.store.report_heard(job)
            self.one.to_tell += [next_job] if next_job else []

    async def restates(self, number: int, letters: str) -> Any:
        """Redis may have forgotten that these were heard."""
        state = State.DELIVERED if "d" in letters else None
        return await self.store.restate_heard([(self.messages[number].id, letters, state, False)])

    async def recovers(self) -> None:
        """As after its end, by a peer."""
        await self.one.peer.recover("one")

    async def replays(self) -> None:
        """All of a day."""
        now = self.one.clock.seconds()
        await self.store.replay_some("0", "", now - 86400, now + 1)

    async def is_paused(self, number: int, for_long: bool) -> None:
        """Or goes on."""
        message = self.messages[number]
        await (self.store.pause if for_long else self.store.resume)(message.label, message.channel)

    async def has_room(self, has_it: bool) -> None:
        """For what is to be told at once."""
        self.one.tells(has_it)

    async def waits(self, seconds: float) -> None:
        """Or its clock is set."""
        await self.one.age(seconds)


def to_its_end(random: Random, number: int) -> list[Step]:
    """What nearly always happens to a message, with something else in one place or another."""
    way, remote = random.choice(WAYS), f"id{number}"
    taken_by, known_as = (
        random.choice((way, way, "world")),
        random.choice(([remote], [remote], [remote, f"{remote}b"], [], [""])),
    )
    event, to = (
        random.choice((Event.DELIVERED, Event.FAILED)),
        NUMBERS[number % 2] if random.random() < 0.7 else random.choice(NUMBERS),
    )
    steps: list[Step] = [("accepts", number), ("marks", number, way, random.choice((1, 1, 1, 2)))]
    if random.random() < 0.3:
        again: Step = ("puts_back", number, way, random.random() < 0.3, True)
        steps += [again, ("leases_what_is_due", number), ("marks", number, way, 1)]
    if random.random() < 0.4:
        # Before the answer; or an operator says that it is to wait.
        early: Step = ("gets_a_receipt", remote, event, "", to)
        steps.insert(random.choice((1, len(steps), len(steps))), random.choice((early, ("is_paused", number, True))))
    steps += [
        ("hands_over", number, taken_by, known_as, random.choice(DETAILS)),
        random.choice((("leases_reports",), ("waits", 0.001))),
        ("tells", "heard"),
        random.choice((("waits", 1), ("waits", random.choice(JUMPS)))),
    ]
    for _ in range(2):
        receipt: Step = ("gets_a_receipt", remote, event, random.choice(DETAILS), to)
        fact: Step = ("learns", number, random.choice(list(Event)), random.choice(DETAILS))
        steps += [random.choice((receipt, fact)), ("tells", "heard")]
    return steps


def something_else(random: Random, number: int) -> Step:
    """One step of any kind."""
    way, remote = random.choice(WAYS), random.choice(("id0", "id1", "", "x"))
    steps: tuple[Step, ...] = (
        ("leases_what_is_due", number),
        ("marks", number, way, random.choice((1, 2, 3))),
        ("puts_back", number, way, random.random() < 0.5, random.random() < 0.5),
        ("hands_over", number, way, random.choice(([remote], [remote, "x"], ["id0", "id1", "x"])), "ok"),
        ("gives_up", number, random.choice((State.FAILED, State.REJECTED))),
        ("gets_a_receipt", remote, random.choice((Event.REJECTED, None)), "ok", random.choice((*NUMBERS, ""))),
        ("learns", number, random.choice(list(Event)), "ok"),
        ("learns", number, random.choice((Event.REJECTED, Event.SENT)), "ok"),
        ("leases_reports",),
        ("tells", random.choice(("heard", "twice", "later", "never"))),
        ("restates", number, random.choice(("a", "d", "ad"))),
        ("recovers",),
        ("replays",),
        ("is_paused", number, random.random() < 0.3),
        ("has_room", random.random() < 0.7),
        ("waits", random.choice(JUMPS)),
    )
    return random.choice(steps)


def walk(random: Random, count: int) -> list[Step]:
    """Steps of so many messages, mixed."""
    lanes = [to_its_end(random, number) for number in range(count)]
    steps: list[Step] = [("has_room", random.random() < 0.7)]
    while any(lanes):
        lane = random.choice([lane for lane in lanes if lane])
        steps.append(something_else(random, random.randrange(count)) if random.random() < 0.25 else lane.pop(0))
    return steps


@pytest.mark.parametrize("seed", range(40))
@pytest_twisted.ensureDeferred
async def test_it_comes_to_the_same_in_any_order(both: tuple[Process, Process], seed: int) -> None:
    """All of Redis after each step, what was replied, and what is to be told."""
    im = sms(StillClock(), content=Im("Amazing", "Hello"), callback_url="")
    messages = [sms(StillClock()), email("x" * 900), im, replace(email("x" * 900), id=sms(StillClock()).id)]
    usual, longer = [Walk(one, messages) for one in both]
    past: list[Step] = []
    for step in walk(Random(seed), 1 + seed % 4):
        past.append(step)
        assert await usual.take(step) == await longer.take(step), past
        assert await usual.one.holds() == await longer.one.holds(), past
        assert usual.one.to_tell == longer.one.to_tell, past

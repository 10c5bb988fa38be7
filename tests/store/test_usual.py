"""What lua/usual/ does in few commands leaves Redis as the scripts' long way would: field by field, key by key."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from msgspec.structs import replace

from both_ways import Process, StillClock, both, email
from gatewayd.core.model import Handed, Message, Sms
from gatewayd.core.status import Event
from gatewayd.store.scripts import all_scripts
from store_world import sms

__all__ = ["both"]

Story = Callable[[Process, Message], AsyncIterator[None]]


async def delivered(one: Process, message: Message) -> AsyncIterator[None]:
    """As most are."""
    await one.mark(message)
    yield
    await one.take(message, "world", "id1", detail="id1")
    yield
    await one.hear()
    yield
    await one.bring("id1", Event.DELIVERED)
    yield
    await one.hear()


async def failed_before_it_was_heard(one: Process, message: Message) -> AsyncIterator[None]:
    """`accepted` is still to be told when the receipt comes, and the next one says something else."""
    await one.mark(message)
    await one.take(message, "world", "id1")
    await one.bring("id1", Event.FAILED)
    yield
    await one.hear()
    yield
    await one.bring("id1", Event.DELIVERED)
    await one.hear()


async def all_twice(one: Process, message: Message) -> AsyncIterator[None]:
    """As where a reply is lost: the same is asked for again."""
    for _ in range(2):
        await one.mark(message)
    yield
    for _ in range(2):
        await one.take(message, "world", "id1")
    yield
    jobs = one.to_tell[:]
    await one.hear()
    one.to_tell += jobs
    await one.hear()
    yield
    for _ in range(2):
        await one.bring("id1", Event.DELIVERED)
    await one.hear()


async def a_second_way(one: Process, message: Message) -> AsyncIterator[None]:
    """The first SMSC said no, and was heard too late to say yes."""
    await one.mark(message, "first")
    await one.store.settle_again(message, 0.0, "first says no", lease="1", uncertain=True, route="first")
    yield
    [leased] = await one.store.lease_messages(message.channel, 1)
    await one.mark(message, "world", leased.lease)
    yield
    await one.take(message, "first", "id0")
    yield
    await one.bring("id1", Event.DELIVERED)
    await one.hear()


async def a_second_try(one: Process, message: Message) -> AsyncIterator[None]:
    """The SMSC said no for a while."""
    await one.mark(message)
    await one.store.settle_again(message, 0.0, "throttled", lease="1", route="world")
    [leased] = await one.store.lease_messages(message.channel, 1)
    yield
    await one.mark(message, lease=leased.lease)
    yield
    await one.take(message, "world", "id1")
    await one.hear()


async def taken_late(one: Process, message: Message) -> AsyncIterator[None]:
    """It waits in the queue again, as nobody answered in time."""
    await one.mark(message)
    await one.store.settle_again(message, 0.0, "no answer", lease="1", uncertain=True, route="world")
    yield
    await one.take(message, "world", "id1")
    yield
    await one.hear()


async def to_another_number(one: Process, message: Message) -> AsyncIterator[None]:
    """Nodes of an SMSC count alike: the receipt is about somebody else's message."""
    await one.mark(message)
    await one.take(message, "world", "id1")
    await one.hear()
    other = replace(message, id="00000000-0000-4000-8000-ffffffffffff")
    await one.accept(other, "2")
    await one.mark(other, lease="2", to="another number")
    await one.bring("id1", Event.DELIVERED, number="another number")
    yield
    await one.bring("id1", Event.FAILED)
    yield
    await one.hear()


async def taken_by_a_namesake(one: Process, message: Message) -> AsyncIterator[None]:
    """It was written to a way whose name ends like that of the one that took it."""
    await one.mark(message, "new world")
    yield
    await one.take(message, "world", "id1")
    yield
    await one.hear()


async def taken_of_nobody_knows_where(one: Process, message: Message) -> AsyncIterator[None]:
    """It may have left, and by what way nothing says."""
    await one.store.settle_again(message, 0.0, "internal error", lease="1", uncertain=True)
    one.clock.advance(60)
    [_] = await one.store.lease_messages(message.channel, 1)
    yield
    await one.take(message, "world", "id1")
    yield
    await one.hear()


async def taken_unmarked(one: Process, message: Message) -> AsyncIterator[None]:
    """A fact that a proof brings."""
    await one.take(message, "world", "id1")
    yield
    await one.hear()


async def rejected(one: Process, message: Message) -> AsyncIterator[None]:
    """While it is being sent."""
    await one.mark(message)
    await one.prove(message, Event.REJECTED)
    yield
    await one.hear()


async def bounced_late(one: Process, message: Message) -> AsyncIterator[None]:
    """What was delivered a day ago bounces; and then something that was delivered last week."""
    await one.mark(message)
    await one.take(message, "world", "id1")
    await one.hear()
    one.clock.advance(86400)
    await one.prove(message, Event.DELIVERED)
    yield
    await one.hear()
    one.clock.advance(6 * 86400)
    await one.prove(message, Event.BOUNCED)
    yield
    await one.hear()


async def bounced_while_the_clock_was_set(one: Process, message: Message) -> AsyncIterator[None]:
    """By the clock it was delivered last week, and accepted just now."""
    await one.mark(message)
    await one.take(message, "world", "id1")
    one.clock.advance(-6 * 86400)
    await one.prove(message, Event.DELIVERED)
    await one.hear()
    one.clock.advance(6 * 86400)
    yield
    await one.prove(message, Event.BOUNCED)
    yield
    await one.hear()


async def in_segments(one: Process, message: Message) -> AsyncIterator[None]:
    """Three, of which one did not arrive."""
    await one.mark(message, segments=3)
    yield
    await one.take(message, "world", "id1", "id2", "id3")
    yield
    await one.hear()
    for remote, event in (("id1", Event.DELIVERED), ("id2", Event.FAILED), ("id3", Event.DELIVERED)):
        await one.bring(remote, event)
        yield
    await one.hear()


async def receipts_before_the_answer(one: Process, message: Message) -> AsyncIterator[None]:
    """It waits for it."""
    await one.mark(message)
    await one.bring("id1", Event.DELIVERED)
    settled = await one.store.settle_sent(message.id, message.channel, Handed("world", ("id1",)))
    for receipt in settled.parked:
        await one.store.record_receipt(receipt, park=False)
    yield
    await one.hear()


async def long_words(one: Process, message: Message) -> AsyncIterator[None]:
    """Of the way, of the next hop and of the receipt."""
    way = "a way whose name is longer than any that is in use"
    await one.mark(message, way)
    yield
    await one.take(message, way, detail="250 2.0.0 Ok: queued as " + "4XyZ1234" * 20)
    yield
    await one.prove(message, Event.DELIVERED, "2.0.0 " + "delivered " * 20)
    await one.hear()


async def proven(one: Process, message: Message) -> AsyncIterator[None]:
    """What mail servers and readers do."""
    await one.mark(message)
    await one.take(message, detail="250 Ok")
    await one.hear()
    for event in (Event.DELIVERED, Event.OPENED, Event.COMPLAINED, Event.UNSUBSCRIBED, Event.BOUNCED, Event.DELIVERED):
        await one.prove(message, event)
        yield
        await one.hear()
        yield


async def not_ours(one: Process, message: Message) -> AsyncIterator[None]:
    """By a lease that somebody else has."""
    with pytest.raises(Exception, match=message.id):
        await one.mark(message, lease="2")
    yield
    await one.bring("id1", Event.DELIVERED)
    await one.prove(message, Event.BOUNCED)
    yield
    await one.take(message, "world", "id1")
    await one.hear()


STORIES: tuple[Story, ...] = (
    delivered,
    failed_before_it_was_heard,
    all_twice,
    to_another_number,
    a_second_way,
    a_second_try,
    taken_late,
    taken_by_a_namesake,
    taken_of_nobody_knows_where,
    taken_unmarked,
    rejected,
    bounced_late,
    bounced_while_the_clock_was_set,
    in_segments,
    receipts_before_the_answer,
    long_words,
    proven,
    not_ours,
)


@pytest.mark.parametrize("has_room", [True, False], ids=["told at once", "queued"])
@pytest.mark.parametrize("say", [sms, email], ids=["sms", "email"])
@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
@pytest_twisted.ensureDeferred
async def test_it_comes_to_the_same(both: tuple[Process, Process], story: Story, say: Any, has_room: bool) -> None:
    """After each step of whatever story: messages, queues, leases, lists, counts, and when they go."""
    long_sms = sms(StillClock(), content=Sms("Amazing", "Hello €, " * 12))
    message, twin = (email("x" * 900), email("x" * 900)) if say is email else (long_sms, sms(StillClock()))

    async def begin(one: Process) -> AsyncIterator[None]:
        one.tells(has_room)
        await one.accept(message)
        await one.accept(twin)
        return story(one, message)

    usual, longer = [(one, await begin(one)) for one in both]
    while True:
        ends = [await anext(steps, "end") for _, steps in (usual, longer)]
        assert await usual[0].holds() == await longer[0].holds()
        if "end" in ends:
            break
    assert ends == ["end", "end"]
    assert [(job.message_id, job.status, job.callback_url) for job in usual[0].to_tell] == [
        (job.message_id, job.status, job.callback_url) for job in longer[0].to_tell
    ]


@pytest_twisted.ensureDeferred
async def test_what_the_usual_way_found_is_not_looked_for_again(both: tuple[Process, Process]) -> None:
    """A long SMS's receipt goes the long way, and so does one that is early: the lists of a day are long."""
    asked = []
    for one in both:
        message = sms(StillClock())
        await one.accept(message)
        await one.mark(message, segments=2)
        await one.take(message, "world", "id1", "id2")
        await one.link.command("CONFIG", "RESETSTAT")
        await one.bring("id1", Event.DELIVERED)
        await one.bring("id2", Event.DELIVERED)
        said = (await one.link.command("INFO", "commandstats")).decode()
        asked.append(int(said.partition("cmdstat_get:calls=")[2].partition(",")[0]))
    assert asked[0] == asked[1] == 2


def test_what_is_usual_is_there() -> None:
    """Else the comparison would be of a script with itself."""
    usual, longer = all_scripts(), all_scripts(usual=False)
    assert {name for name in usual if usual[name].sha != longer[name].sha} == {
        "mark_on_the_wire",
        "settle_sent",
        "record_receipt",
        "record_evidence",
        "end_report",
    }

"""What was written and not answered: marks, late answers, and receipts that find it by its number."""

import pytest
import pytest_twisted
from msgspec.structs import replace

from gatewayd.core.model import Channel, Handed, Message, Receipt
from gatewayd.core.status import Event, Report, State
from store_world import World, timeless, world

__all__ = ["world"]


async def uncertain(world: World) -> tuple[Message, int]:
    """A message whose submit was never answered, lying in the queue, and its mark's stamp."""
    message = await world.leased()
    stamp = await world.one.mark(message, "world", "hash")
    world.clock.advance(60)
    await world.one.settle_again(message, message.deadline, "no answer", uncertain=True, route="world")
    return message, stamp


@pytest_twisted.ensureDeferred
async def test_an_uncertain_message_stays_so_until_it_is_written_again(world: World) -> None:
    """A try that ended before the wire says nothing of the copy before it; one that was marked and answered does."""
    message = await world.leased()
    now = world.clock.seconds() - 1
    await world.one.mark(message, "world", "hash")
    await world.one.settle_again(message, now, "no answer", uncertain=True)
    (leased,) = await world.one.lease_messages(Channel.SMS, 1)
    await world.one.settle_again(message, now, "world is down")
    (leased,) = await world.one.lease_messages(Channel.SMS, 1)
    assert leased.state is State.UNCERTAIN
    world.clock.advance(1)
    await world.one.mark(message, "world", "hash")
    await world.one.settle_again(message, now, "throttled")
    (leased,) = await world.one.lease_messages(Channel.SMS, 1)
    assert leased.state is State.QUEUED


@pytest_twisted.ensureDeferred
async def test_a_mark_outlives_a_crash(world: World) -> None:
    """A message whose instance died after the mark comes back as uncertain, with its route and time."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    await world.two.recover("one")
    [leased] = await world.two.lease_messages(Channel.SMS, 10)
    assert (leased.state, leased.route) == (State.UNCERTAIN, "world")
    assert abs(leased.marked_at - world.clock.seconds()) < 5


@pytest_twisted.ensureDeferred
async def test_what_is_known_names_the_way_of_the_latest_copy(world: World) -> None:
    """A provider's report counts only while its message is there and nowhere else."""
    message = await world.leased()
    ways = []
    for route in ("", "vendor", "world"):
        if route:
            await world.one.mark(message, route, "hash")
        known = await world.one.about(message.id)
        assert known is not None
        ways.append(known.route)
    await world.one.settle_sent(message.id, message.channel, Handed("world", ("r1",)))
    known = await world.one.about(message.id)
    assert known is not None
    assert [*ways, known.route] == ["", "vendor", "world", "world"]


@pytest_twisted.ensureDeferred
async def test_a_late_answer_lets_an_uncertain_message_go_on(world: World) -> None:
    """It is queued and due now, behind the segments that the answer says are there; told twice, it is told once."""
    message, stamp = await uncertain(world)
    assert await world.two.lease_messages(Channel.SMS, 10) == []
    assert await world.two.resume_from(message.id, "world", stamp, "refused late", progress=("s1",))
    assert not await world.two.resume_from(message.id, "world", stamp, "refused late")
    assert await world.state(message) is State.QUEUED
    [leased] = await world.two.lease_messages(Channel.SMS, 10)
    found = timeless(leased.message), leased.state, leased.progress, leased.attempts
    assert found == (timeless(message), State.QUEUED, ("s1",), 1)
    assert await world.one.record_receipt(Receipt("world", ("s1",), None, "ENROUTE"), park=True) == (
        "ignored",
        message.id,
    )
    trace = await world.one.trace([message.id])
    assert [event.event for event in trace.timeline][-2:] == ["again", "receipt"]


@pytest_twisted.ensureDeferred
async def test_a_late_answer_says_nothing_of_another_copy(world: World) -> None:
    """Leased, marked again since, on another SMSC, settled or unknown: nothing changes."""
    message, stamp = await uncertain(world)
    assert not await world.one.resume_from(message.id, "uk", stamp, "late")
    assert not await world.one.resume_from("no-such-message", "world", stamp, "late")
    world.clock.advance(3600)
    [leased] = await world.two.lease_messages(Channel.SMS, 10)
    assert not await world.one.resume_from(message.id, "world", stamp, "late")
    later = await world.two.mark(leased.message, "world", "hash")
    await world.two.settle_again(message, world.clock.seconds() + 60, "no answer", uncertain=True, route="world")
    assert not await world.one.resume_from(message.id, "world", stamp, "late")
    assert await world.state(message) is State.UNCERTAIN
    assert await world.one.resume_from(message.id, "world", later, "late")
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1",)))
    assert not await world.one.resume_from(message.id, "world", later, "late")
    assert await world.state(message) is State.SENT


@pytest_twisted.ensureDeferred
async def test_a_late_answer_is_about_the_mark_that_redis_had_forgotten(world: World) -> None:
    """Restated, it is younger than it was; the answer to it counts, and that to the mark before it does not."""
    message, stamp = await uncertain(world)
    forgotten = stamp + 5000
    assert await world.one.restate_marks([(message.id, "world", forgotten)]) == ([message.id], [])
    assert not await world.one.resume_from(message.id, "world", stamp, "late", progress=("s1",))
    assert await world.one.resume_from(message.id, "world", forgotten, "late", progress=("s1", "s2"))
    [leased] = await world.two.lease_messages(Channel.SMS, 10)
    assert (leased.state, leased.progress) == (State.QUEUED, ("s1", "s2"))
    # From its next mark on the restated one is an earlier one, too.
    later = await world.two.mark(leased.message, "world", "hash")
    await world.two.settle_again(message, message.deadline, "no answer", uncertain=True, route="world")
    assert not await world.one.resume_from(message.id, "world", forgotten, "late")
    assert await world.one.resume_from(message.id, "world", later, "late")


@pytest_twisted.ensureDeferred
async def test_a_late_answer_finds_a_message_that_was_laid_aside(world: World) -> None:
    """Paused meanwhile: it stays aside, and is no more uncertain when it is resumed."""
    message, stamp = await uncertain(world)
    await world.one.pause("amazing", Channel.SMS)
    world.clock.advance(3600)
    [leased] = await world.one.lease_messages(Channel.SMS, 10)
    await world.one.set_aside(leased.message)
    assert await world.two.resume_from(message.id, "world", stamp, "late")
    assert await world.two.lease_messages(Channel.SMS, 10) == []
    await world.one.resume("amazing", Channel.SMS)
    while await world.one.requeue_set_aside():
        pass
    [leased] = await world.one.lease_messages(Channel.SMS, 10)
    assert leased.state is State.QUEUED


@pytest_twisted.ensureDeferred
async def test_an_uncertain_message_is_resolved_by_its_number(world: World) -> None:
    """A receipt for the number of an uncertain message on that SMSC settles it: evidence comes before another copy."""
    message, _ = await uncertain(world)
    receipt = Receipt("world", ("lost",), Event.DELIVERED, number_hash="hash")
    assert (await world.one.record_receipt(replace(receipt, smsc="other"), park=True))[0] == "parked"
    assert await world.one.record_receipt(receipt, park=True) == ("moved", message.id)
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_receipt_that_came_before_its_message_is_uncertain_is_looked_at_then(world: World) -> None:
    """After a crash the receipt comes with the new bind, perhaps before the message is looked at: it need not wait."""
    message = await world.leased()
    await world.one.mark(message, "world", "numberhash")
    world.clock.advance(1)
    for number in ("numberhash", "another"):
        await world.one.record_receipt(Receipt("world", ("lost",), Event.DELIVERED, number_hash=number), park=True)
    assert (await world.one.parked_receipts(10))[0] == []
    await world.one.settle_again(message, world.clock.seconds() + 60, "no answer", counts=False, uncertain=True)
    [parked], [] = await world.one.parked_receipts(10)
    assert await world.one.record_receipt(parked, park=False, by_number=True) == ("moved", message.id)


@pytest_twisted.ensureDeferred
async def test_a_copy_that_waits_for_its_turn_is_not_sent_where_a_receipt_came_first(world: World) -> None:
    """The try at another copy came to nothing, the first one may have arrived; not so after a late refusal."""
    message, stamp = await uncertain(world)
    world.clock.advance(3600)
    [leased] = await world.one.lease_messages(Channel.SMS, 10)
    await world.one.mark(leased.message, "world", "hash")
    await world.one.settle_again(leased.message, world.clock.seconds() + 5, "throttled")
    assert await world.state(message) is State.QUEUED
    receipt = Receipt("world", ("lost",), Event.DELIVERED, number_hash="hash")
    assert await world.one.record_receipt(receipt, park=True) == ("moved", message.id)
    world.clock.advance(5)
    assert await world.one.lease_messages(Channel.SMS, 10) == []
    refused, stamp = await uncertain(world)
    assert await world.one.resume_from(refused.id, "world", stamp, "refused late")
    receipt = Receipt("world", ("other",), Event.DELIVERED, number_hash="hash")
    assert (await world.one.record_receipt(receipt, park=True))[0] == "parked"


@pytest_twisted.ensureDeferred
async def test_a_receipt_waits_for_the_answer_of_a_later_message(world: World) -> None:
    """While a submit to the same number is on the wire it may be that one's; after 10 s it is the older one's."""
    message, _ = await uncertain(world)
    later = await world.leased()
    await world.one.mark(later, "world", "hash")
    await world.one.record_receipt(Receipt("world", ("lost",), Event.DELIVERED, number_hash="hash"), park=True)
    world.clock.advance(3)
    [parked], [] = await world.one.parked_receipts(10)
    assert (await world.one.record_receipt(parked, park=False, by_number=True))[0] == "unknown"
    world.clock.advance(8)
    assert await world.one.record_receipt(parked, park=False, by_number=True) == ("moved", message.id)
    assert await world.state(later) is State.UNCERTAIN


@pytest_twisted.ensureDeferred
async def test_a_receipt_without_an_answer_is_taken_for_the_latest_message(world: World) -> None:
    """Its submit's answer is awaited still, and in ten seconds nothing else came that it could be about."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    await world.one.record_receipt(Receipt("world", ("lost",), Event.DELIVERED, number_hash="hash"), park=True)
    world.clock.advance(3)
    [parked], [] = await world.one.parked_receipts(10)
    assert (await world.one.record_receipt(parked, park=False, by_number=True))[0] == "unknown"
    world.clock.advance(8)
    assert await world.one.record_receipt(parked, park=False, by_number=True) == ("moved", message.id)


@pytest_twisted.ensureDeferred
async def test_each_uncertain_message_to_a_number_gets_a_receipt_of_its_own(world: World) -> None:
    """The oldest first; a receipt that comes again is still about the message that it was taken for."""
    messages = []
    for _ in range(3):
        world.clock.advance(1)
        messages.append((await uncertain(world))[0])
    for message, remote in zip(messages[:2], ("x1", "x2"), strict=True):
        receipt = Receipt("world", (remote,), Event.DELIVERED, number_hash="hash")
        assert await world.one.record_receipt(receipt, park=True) == ("moved", message.id)
        assert await world.two.record_receipt(receipt, park=True) == ("ignored", message.id)
    assert await world.state(messages[2]) is State.UNCERTAIN


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("patient", [False, True])
async def test_a_receipt_that_was_taken_for_an_older_message_is_there_for_its_own_answer(
    world: World, patient: bool
) -> None:
    """Several submits to one number are on the wire, and a receipt is faster than its answer: the uncertain message has
    it until the answer says whose it is, and then that one has it, too; brought again it changes nothing."""
    lost, _ = await uncertain(world)
    answered, latest = await world.leased(), await world.leased()
    await world.one.mark(answered, "world", "hash")
    await world.one.mark(latest, "world", "hash")
    if not patient:
        await world.one.settle_sent(latest.id, Channel.SMS, Handed("world", ("r9",)))
    receipt = Receipt("world", ("r1",), Event.DELIVERED, number_hash="hash", wording="w")
    found = await world.one.record_receipt(receipt, park=True)
    if patient:
        assert found == ("parked", "")
        world.clock.advance(11)
        [receipt], [] = await world.one.parked_receipts(10)
        found = await world.one.record_receipt(receipt, park=False, by_number=True)
    assert found == ("moved", lost.id)
    world.clock.advance(20)
    [parked] = (await world.one.settle_sent(answered.id, Channel.SMS, Handed("world", ("r1",)))).parked
    assert await world.one.record_receipt(parked, park=False) == ("moved", answered.id)
    again = replace(receipt, parked_at=0.0, came_at=0.0, parked_as="")
    assert (await world.one.record_receipt(again, park=True))[0] == "ignored"
    world.clock.advance(60)
    assert await world.one.parked_receipts(10) == ([], [])


@pytest_twisted.ensureDeferred
async def test_a_receipt_from_before_the_mark_is_about_another_message(world: World) -> None:
    """A receipt that was parked before a message was written can't be that message's, though the number is."""
    receipt = Receipt("world", ("lost",), Event.DELIVERED, number_hash="numberhash")
    assert await world.one.record_receipt(receipt, park=True) == ("parked", "")
    world.clock.advance(5)
    [earlier] = (await world.one.parked_receipts(10))[0]
    message = await world.leased()
    await world.one.mark(message, "world", "numberhash")
    assert (await world.one.record_receipt(earlier, park=False, by_number=True))[0] == "unknown"
    assert await world.state(message) is State.UNCERTAIN


@pytest_twisted.ensureDeferred
async def test_uncertain_messages_under_one_id_get_a_receipt_each(world: World) -> None:
    """An SMSC gives one id to all: the next one's receipt is none brought again, and one brought again is nobody's."""
    messages = []
    for _ in range(3):
        world.clock.advance(1)
        messages.append((await uncertain(world))[0])
    receipts = [Receipt("world", ("0",), Event.DELIVERED, number_hash="hash", wording=one) for one in "abc"]
    for message, receipt in zip(messages, receipts, strict=True):
        assert await world.one.record_receipt(receipt, park=True) == ("moved", message.id)
        for again in receipts[: receipts.index(receipt) + 1]:
            assert (await world.two.record_receipt(again, park=True))[0] == "ignored"
    world.clock.advance(60)
    for parked in (await world.one.parked_receipts(10))[0]:
        assert (await world.one.record_receipt(parked, park=False, by_number=True))[0] == "ignored"


@pytest_twisted.ensureDeferred
async def test_the_receipt_that_came_first_is_for_the_older_uncertain_message(world: World) -> None:
    """One that waits goes before one that comes once its message is known to be uncertain: it can't be about the later
    message, which was not written yet when it came.
    """
    older = await world.leased()
    await world.one.mark(older, "world", "hash")
    world.clock.advance(1)
    first, second = (Receipt("world", (one,), Event.DELIVERED, number_hash="hash", wording=one) for one in ("r1", "r2"))
    assert (await world.one.record_receipt(first, park=True))[0] == "parked"
    world.clock.advance(1)
    later = await world.leased()
    await world.one.mark(later, "world", "hash")
    for message in (older, later):
        await world.one.settle_again(message, message.deadline, "no answer", counts=False, uncertain=True)
    assert (await world.one.record_receipt(second, park=True))[0] == "parked"
    found = []
    for _ in range(2):
        for parked in (await world.one.parked_receipts(10))[0]:
            found.append(await world.one.record_receipt(parked, park=False, by_number=True))
        world.clock.advance(2)
    assert found == [("moved", older.id), ("moved", later.id)]


@pytest_twisted.ensureDeferred
async def test_the_last_segment_of_which_nobody_knows_gets_a_receipt_under_the_id_of_all(world: World) -> None:
    """An SMSC gives one id to all segments: none of the other segments' receipts, brought again, is for it."""
    message = await world.leased()
    receipts = [Receipt("world", ("0",), Event.DELIVERED, number_hash="hash", wording=one) for one in "abc"]
    for taken in (1, 2):
        await world.one.mark(message, "world", "hash", segments=3)
        await world.one.record_segments(message.id, "world", ["0"] * taken)
        assert await world.one.record_receipt(receipts[taken - 1], park=True) == ("ignored", message.id)
    await world.one.mark(message, "world", "hash", segments=3)
    await world.one.settle_again(
        message, message.deadline, "no answer", uncertain=True, route="world", progress=["0", "0"]
    )
    for again in receipts[:2]:
        assert await world.one.record_receipt(again, park=True) == ("ignored", message.id)
    assert await world.state(message) is State.UNCERTAIN
    assert await world.one.record_receipt(receipts[2], park=True) == ("moved", message.id)
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]

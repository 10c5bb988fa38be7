"""A long SMS: its segments, their receipts, and a crash between them."""

import pytest_twisted
from msgspec.structs import replace

from gatewayd.core.model import Channel, Handed, Message, Receipt, SettledSent
from gatewayd.core.status import Event, Report, State
from store_world import World, world

__all__ = ["world"]


async def between_segments(world: World, taken: int) -> Message:
    """A long SMS of three, so many of whose segments were taken; the next one waits."""
    message = await world.leased()
    for segment in range(taken):
        await world.one.mark(message, "world", "numberhash", segments=3)
        await world.one.record_segments(message.id, "world", [f"r{number}" for number in range(1, segment + 2)])
    return message


@pytest_twisted.ensureDeferred
async def test_receipts_of_a_half_sent_message_are_matched(world: World) -> None:
    """The segments that were taken before a throttle are known by the route that the message was marked for."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash", segments=2)
    await world.one.settle_again(message, 0, "throttled", counts=False, progress=["h1"])
    assert await world.one.record_receipt(Receipt("world", ("h1",), Event.FAILED), park=True) == ("moved", message.id)
    assert await world.told() == [Report.FAILED], "the SMSC never took all of it"


@pytest_twisted.ensureDeferred
async def test_another_smsc_begins_a_long_sms_anew(world: World) -> None:
    """What one SMSC took of a message is forgotten once another begins it: its segments there are all still to go."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash", segments=2)
    await world.one.settle_again(message, 0, "throttled", progress=["h1"])
    [again] = await world.one.lease_messages(Channel.SMS, 10)
    assert (again.progress, again.route) == (("h1",), "world")
    await world.one.mark(message, "other", "hash", segments=2)
    await world.one.settle_again(message, 0, "throttled")
    [again] = await world.one.lease_messages(Channel.SMS, 10)
    assert (again.progress, again.route) == ((), "other")


@pytest_twisted.ensureDeferred
async def test_another_number_begins_a_long_sms_anew(world: World) -> None:
    """What went to the player's former number is forgotten, and receipts from there say nothing of the new one."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash", segments=2)
    await world.one.settle_again(message, 0, "throttled", progress=["h1"])
    former = Receipt("world", ("h1",), Event.DELIVERED, number_hash="hash")
    await world.one.record_receipt(former, park=True)
    [again] = await world.one.lease_messages(Channel.SMS, 10)
    assert (again.progress, again.address_hash) == (("h1",), "hash")
    await world.one.mark(message, "world", "other", segments=2)
    await world.one.settle_again(message, 0, "throttled")
    [again] = await world.one.lease_messages(Channel.SMS, 10)
    assert (again.progress, again.address_hash) == ((), "other")
    await world.one.mark(message, "world", "other", segments=2)
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("n1", "n2")))
    await world.one.record_receipt(Receipt("world", ("n2",), Event.DELIVERED, number_hash="other"), park=True)
    assert await world.told() == [Report.ACCEPTED]
    await world.one.record_receipt(Receipt("world", ("n1",), Event.DELIVERED, number_hash="other"), park=True)
    assert await world.told() == [Report.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_crash_between_segments_leaves_nothing_uncertain(world: World) -> None:
    """Their answers are stored: it goes on behind them, and their receipts find it."""
    message = await between_segments(world, 2)
    assert await world.two.recover("one") == 1
    [leased] = await world.one.lease_messages(Channel.SMS, 1)
    assert (leased.state, leased.route, leased.progress) == (State.QUEUED, "world", ("r1", "r2"))
    assert await world.one.record_receipt(Receipt("world", ("r2",), Event.DELIVERED), park=True) == (
        "ignored",
        message.id,
    )


@pytest_twisted.ensureDeferred
async def test_a_crash_with_a_segment_on_the_wire_leaves_that_one_uncertain(world: World) -> None:
    """What was taken before it is known; the timeline says which one it was."""
    message = await between_segments(world, 1)
    await world.one.mark(message, "world", "numberhash", segments=3)
    assert await world.two.recover("one") == 1
    [leased] = await world.one.lease_messages(Channel.SMS, 1)
    assert (leased.state, leased.progress) == (State.UNCERTAIN, ("r1",))
    trace = await world.one.trace([message.id])
    assert trace is not None
    assert [(line.event, line.detail) for line in trace.timeline[-2:]] == [
        ("submitting", "world, segment 2 of 3"),
        ("uncertain", "one ended while it was on the wire"),
    ]


@pytest_twisted.ensureDeferred
async def test_a_receipt_of_the_uncertain_segment_lets_the_rest_follow(world: World) -> None:
    """It proves that this segment was taken: nothing is uncertain any more, and the message is delivered with all."""
    message = await between_segments(world, 1)
    await world.one.mark(message, "world", "numberhash", segments=3)
    await world.one.settle_again(message, message.deadline, "no answer", uncertain=True)
    receipt = Receipt("world", ("lost",), Event.DELIVERED, number_hash="numberhash")
    assert await world.one.record_receipt(receipt, park=True) == ("ignored", message.id)
    [leased] = await world.one.lease_messages(Channel.SMS, 1)
    assert (leased.state, leased.progress) == (State.QUEUED, ("r1", "lost"))
    await world.one.mark(message, "world", "numberhash", segments=3)
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1", "lost", "r3")))
    for remote in ("r3", "lost", "r1"):
        last = await world.one.record_receipt(replace(receipt, remote_ids=(remote,)), park=True)
    assert last == ("moved", message.id)
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_receipt_of_the_uncertain_last_segment_shows_that_all_was_taken(world: World) -> None:
    """It is sent, and no other copy leaves, although the other segments' receipts are still to come."""
    message = await between_segments(world, 2)
    await world.one.mark(message, "world", "numberhash", segments=3)
    await world.one.settle_again(message, world.clock.seconds() + 10, "no answer", uncertain=True)
    receipt = Receipt("world", ("lost",), Event.DELIVERED, number_hash="numberhash")
    assert await world.one.record_receipt(receipt, park=True) == ("sent", message.id)
    assert await world.told() == [Report.ACCEPTED]
    world.clock.advance(20)
    assert await world.one.lease_messages(Channel.SMS, 1) == []
    for remote in ("lost", "r1", "r2"):
        last = await world.one.record_receipt(replace(receipt, remote_ids=(remote,)), park=True)
    assert last == ("moved", message.id)
    assert await world.told() == [Report.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_failed_uncertain_segment_ends_the_message(world: World) -> None:
    """A part of it did not arrive: no more of it is sent."""
    message = await between_segments(world, 1)
    await world.one.mark(message, "world", "numberhash", segments=3)
    await world.one.settle_again(message, message.deadline, "no answer", uncertain=True)
    receipt = Receipt("world", ("lost",), Event.FAILED, number_hash="numberhash")
    assert await world.one.record_receipt(receipt, park=True) == ("moved", message.id)
    assert await world.state(message) is State.FAILED
    assert await world.told() == [Report.FAILED], "the SMSC never took all of it"
    world.clock.advance(7200)
    assert await world.one.lease_messages(Channel.SMS, 1) == []


@pytest_twisted.ensureDeferred
async def test_a_segment_that_fails_early_waits_until_all_are_submitted(world: World) -> None:
    """A receipt may outrun the last submit's answer: accepted, which is for all segments, is still told first."""
    message = await between_segments(world, 2)
    receipt = Receipt("world", ("r1",), Event.FAILED)
    assert await world.one.record_receipt(receipt, park=True) == ("parked", "")
    await world.one.mark(message, "world", "numberhash", segments=3)
    [parked] = (await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1", "r2", "r3")))).parked
    assert await world.one.record_receipt(parked, park=True) == ("moved", message.id)
    assert await world.told() == [Report.ACCEPTED, Report.FAILED]


@pytest_twisted.ensureDeferred
async def test_a_receipt_found_by_number_counts_for_one_segment(world: World) -> None:
    """The script may run twice for a lost reply: the second time changes nothing."""
    message = await world.leased()
    await world.one.mark(message, "world", "numberhash", segments=2)
    await world.one.record_receipt(Receipt("world", ("lost",), Event.DELIVERED, number_hash="numberhash"), park=True)
    world.clock.advance(11)
    [parked], [] = await world.one.parked_receipts(10)
    for _ in range(2):
        assert (await world.one.record_receipt(parked, park=False, by_number=True))[0] == "ignored"
    assert await world.state(message) is State.UNCERTAIN


@pytest_twisted.ensureDeferred
async def test_segments_are_folded(world: World) -> None:
    """A long SMS is delivered once all segments are, whatever the order and repetition of receipts."""
    message = await world.sent("s1", "s2", "s3")
    for remote, result in [("s2", "ignored"), ("s2", "ignored"), ("s3", "ignored"), ("s1", "moved")]:
        assert await world.one.record_receipt(Receipt("world", (remote,), Event.DELIVERED), park=True) == (
            result,
            message.id,
        )
    assert await world.state(message) is State.DELIVERED


@pytest_twisted.ensureDeferred
async def test_one_lost_segment_fails_the_message(world: World) -> None:
    """One segment that did not arrive settles the message, and no later delivery undoes it."""
    message = await world.sent("t1", "t2")
    await world.one.record_receipt(Receipt("world", ("t1",), Event.DELIVERED), park=True)
    await world.one.record_receipt(Receipt("world", ("t2",), Event.FAILED), park=True)
    assert await world.state(message) is State.FAILED
    assert await world.told() == [Report.ACCEPTED, Report.FAILED]


async def delivered_before_the_last_answer(world: World) -> Message:
    """A long SMS of three, named alike, of which two are said to have arrived as the third is on the wire."""
    message = await world.leased()
    for taken in (["x"], ["x", "x"]):
        await world.one.mark(message, "world", "numberhash", segments=3)
        await world.one.record_segments(message.id, "world", taken)
        receipt = Receipt("world", ("x",), Event.DELIVERED)
        assert await world.one.record_receipt(receipt, park=True) == ("ignored", message.id)
    await world.one.mark(message, "world", "numberhash", segments=3)
    return message


@pytest_twisted.ensureDeferred
async def test_receipts_before_the_last_answer_of_segments_that_are_named_alike(world: World) -> None:
    """They said of that name what is true of the whole, and no further one need come: it is delivered."""
    message = await delivered_before_the_last_answer(world)
    settled = await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("x",)))
    assert settled == SettledSent(has_arrived=True)
    assert await world.state(message) is State.DELIVERED
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_failure_before_the_last_answer_of_segments_that_are_named_alike(world: World) -> None:
    """The worst counts, although it waited for the answer and the others did not."""
    message = await delivered_before_the_last_answer(world)
    bad = Receipt("world", ("x",), Event.FAILED)
    assert await world.one.record_receipt(bad, park=True) == ("parked", "")
    [parked] = (await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("x",)))).parked
    assert await world.one.record_receipt(parked, park=True) == ("moved", message.id)
    assert await world.told() == [Report.ACCEPTED, Report.FAILED]


@pytest_twisted.ensureDeferred
async def test_what_was_said_of_segments_stays_where_some_of_them_share_an_id(world: World) -> None:
    """Their receipts came before the last answer; the next one, or the answer itself, completes the message."""
    for last in ("a", "c"):
        message = await world.leased()
        for taken in (["a"], ["a", "b"], ["a", "b", "a"]):
            await world.one.mark(message, "world", "hash", segments=4)
            await world.one.record_segments(message.id, "world", taken)
        await world.one.mark(message, "world", "hash", segments=4)
        for remote in ("a", "b"):
            receipt = Receipt("world", (remote,), Event.DELIVERED, number_hash="hash")
            assert await world.one.record_receipt(receipt, park=True) == ("ignored", message.id)
        names = tuple(dict.fromkeys(("a", "b", last)))
        settled = await world.one.settle_sent(message.id, Channel.SMS, Handed("world", names))
        assert settled.has_arrived is (last == "a")
        if last == "c":
            receipt = Receipt("world", ("c",), Event.DELIVERED, number_hash="hash")
            assert await world.one.record_receipt(receipt, park=True) == ("moved", message.id)
        assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]

"""Never a second copy under `hold`: a step that trusts a lease, and not the name of who holds it."""

import pytest
import pytest_twisted
from twisted.internet.defer import DeferredList, ensureDeferred

from gatewayd.core.errors import LeaseLost
from gatewayd.core.model import Channel, Evidence, Handed, Receipt
from gatewayd.core.status import Event, Report, State
from gatewayd.store.legend import KEYS
from gatewayd.store.link import RedisLink
from store_world import World, alone, sms, world

__all__ = ["alone", "world"]


@pytest_twisted.ensureDeferred
async def test_who_leases_a_message_again_does_not_give_its_former_lease_back(world: World) -> None:
    """A waits for its window, B recovers, marks and dies, A leases it again: A's old attempt may not write copy 2."""
    message = await world.leased()
    old = world.one.leases[message.id]
    await world.two.recover("one")
    [theirs] = await world.two.lease_messages(Channel.SMS, 1)
    assert await world.two.mark(theirs.message, "world", "hash")
    await world.one.recover("two")
    [again] = await world.one.lease_messages(Channel.SMS, 1)
    assert (again.state, again.lease != old) == (State.UNCERTAIN, True)
    with pytest.raises(LeaseLost):
        await world.one.mark(message, "world", "hash", lease=old)
    assert await world.one.mark(message, "world", "hash", lease=again.lease)


@pytest_twisted.ensureDeferred
async def test_a_process_that_comes_back_holds_nothing_under_its_successors_name(world: World) -> None:
    """Stopped and continued beside its successor of the same name, it can mark and settle nothing that it held."""
    message = await world.leased()
    world.clock.advance(1)
    await world.successor.beat(first=True, dead_after=15)
    await world.successor.recover("one")
    [taken_over] = await world.successor.lease_messages(Channel.SMS, 1)
    with pytest.raises(LeaseLost):
        await world.one.mark(message, "world", "hash")
    now = world.clock.seconds()
    await world.one.settle_again(message, now, "late", uncertain=True)
    await world.one.settle_final(message, State.FAILED, "late", "f")
    await world.one.set_aside(message)
    await world.one.record_segments(message.id, "world", ["r1"])
    await world.one.gives_back(message.id)
    await world.one.recover("one")
    assert await world.state(message) is State.QUEUED
    assert await world.two.lease_messages(Channel.SMS, 1) == []
    assert await world.successor.mark(taken_over.message, "world", "hash")


@pytest_twisted.ensureDeferred
async def test_what_was_recovered_and_waits_can_be_marked_by_nobody(world: World) -> None:
    """Its former holder may be alive: it lies in the queue, and whoever leases it next will write it."""
    message = await world.leased()
    await world.two.recover("one")
    with pytest.raises(LeaseLost):
        await world.one.mark(message, "world", "hash")


@pytest_twisted.ensureDeferred
async def test_that_it_was_sent_is_a_fact_whoever_holds_it(world: World) -> None:
    """An answer that comes after the lease was lost counts; the new holder finds nothing left to write."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    await world.two.recover("one")
    [theirs] = await world.two.lease_messages(Channel.SMS, 1)
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1",)))
    with pytest.raises(LeaseLost):
        await world.two.mark(theirs.message, "world", "hash")
    await world.two.settle_again(theirs.message, world.clock.seconds(), "again")
    assert await world.state(message) is State.SENT
    assert await world.one.lease_messages(Channel.SMS, 1) == []


@pytest_twisted.ensureDeferred
async def test_a_lease_that_is_another_than_a_strays_is_not_given_back(world: World) -> None:
    """Between the look and the release the message was settled, and leased anew."""
    message = await world.leased()
    [stray] = (await world.one.held()).values()
    await world.one.settle_again(message, world.clock.seconds() - 1, "busy", counts=False)
    [leased] = await world.one.lease_messages(Channel.SMS, 1)
    await world.one.release("sms", message.id, stray)
    assert await world.one.mark(leased.message, "world", "hash")


@pytest_twisted.ensureDeferred
async def test_a_report_is_told_by_who_holds_it_now(world: World) -> None:
    """Heard by a process that lost the lease it is heard; the next one is told by the holder alone."""
    message = await world.sent("r1")
    [old] = await world.one.lease_reports(10)
    await world.two.recover("one")
    [new] = await world.two.lease_reports(10)
    await world.one.report_again(old, world.clock.seconds(), "late")
    assert await world.one.lease_reports(10) == []
    await world.successor.settle_sent(message.id, Channel.SMS, Handed("world", ("r1",)))
    assert await world.one.report_heard(old) is None
    assert (new.status, await world.two.report_heard(new)) == (Report.ACCEPTED, None)
    assert await world.told() == []


@pytest_twisted.ensureDeferred
async def test_what_ended_while_it_was_leased_is_given_back_to_no_queue(world: World) -> None:
    """Evidence may end what a process that died still held: a queue holds only what has content."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    await world.two.record_evidence(Evidence(message.id, Event.DELIVERED, "receipt"))
    await world.two.recover("one")
    assert (await world.two.queues())["sms"].waiting == 0


@pytest_twisted.ensureDeferred
async def test_what_ended_while_it_was_set_aside_waits_for_no_resume(world: World) -> None:
    """A label is paused, and a receipt of a former copy comes."""
    message = await world.leased()
    await world.one.pause("amazing", Channel.SMS)
    await world.one.set_aside(message)
    await world.one.record_evidence(Evidence(message.id, Event.FAILED, "receipt"))
    await world.one.resume("amazing", Channel.SMS)
    assert await world.one.requeue_set_aside() == 0


@pytest.mark.parametrize("lost", ["all", "the latest"])
@pytest_twisted.ensureDeferred
async def test_a_dataset_that_knows_our_predecessor_has_no_successor_of_ours(
    alone: tuple[World, RedisLink, str], lost: str
) -> None:
    """A backup from before this process began comes back: it goes on, and says what it wrote; it does not stop."""
    world, link, prefix = alone
    for first in (True, False, False):
        assert (await world.one.beat(first=first, dead_after=15))[0]
    if lost == "all":
        await link.command("FLUSHDB")
    else:
        await link.command("SET", f"{prefix}{KEYS['beaten'].short}boot.", 1)
    await link.command("HSET", prefix + KEYS["boots"].short, "one", "an-older-boot.")
    assert (await world.one.beat(first=False, dead_after=15))[0]
    assert world.one.forgotten_since() > 0
    assert (await world.one.beat(first=False, dead_after=15))[0]
    await link.command("HSET", prefix + KEYS["boots"].short, "one", "a-newer-boot.")
    assert not (await world.one.beat(first=False, dead_after=15))[0]


@pytest_twisted.ensureDeferred
async def test_copies_are_counted_over_restarts_and_peers(world: World) -> None:
    """A lost answer, a peer that took it over and died, and our own former self: who leases it next knows of three."""
    message = await world.leased()
    now = world.clock.seconds() - 1
    await world.one.mark(message, "world", "hash")
    await world.one.settle_again(message, now, "the connection was lost", uncertain=True, route="world")
    [once] = await world.two.lease_messages(Channel.SMS, 1)
    await world.two.mark(once.message, "world", "hash")
    await world.one.recover("two")
    [twice] = await world.one.lease_messages(Channel.SMS, 1)
    await world.one.mark(twice.message, "world", "hash")
    await world.successor.beat(first=True, dead_after=15)
    await world.successor.recover("one")
    [thrice] = await world.successor.lease_messages(Channel.SMS, 1)
    assert [one.copies for one in (once, twice, thrice)] == [1, 2, 3]
    # A try that ended before the wire is none.
    await world.successor.settle_again(thrice.message, now, "busy", counts=False)
    [again] = await world.two.lease_messages(Channel.SMS, 1)
    assert (again.copies, again.state) == (3, State.UNCERTAIN)


@pytest_twisted.ensureDeferred
async def test_an_end_before_the_next_mark_is_no_copy(world: World) -> None:
    """Marked once, then leased by processes that end before they mark it: one copy may have been taken, not three."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    await world.successor.beat(first=True, dead_after=15)
    await world.successor.recover("one")
    for _ in range(3):
        [leased] = await world.two.lease_messages(Channel.SMS, 1)
        assert (leased.copies, leased.state) == (1, State.UNCERTAIN)
        await world.successor.recover("two")
    [leased] = await world.two.lease_messages(Channel.SMS, 1)
    await world.two.mark(leased.message, "world", "hash")
    await world.successor.recover("two")
    [leased] = await world.successor.lease_messages(Channel.SMS, 1)
    assert leased.copies == 2


@pytest_twisted.ensureDeferred
async def test_a_stray_under_whose_lease_nothing_left_is_queued(world: World) -> None:
    """Redis came back with the mark and without the put-back: who marked it knows that nothing was written."""
    message = await world.leased()
    assert await world.one.mark(message, "world", "hash")
    lease = world.one.leases[message.id]
    await world.one.gives_back(message.id, unwritten=("other", lease))
    [again] = await world.two.lease_messages(Channel.SMS, 1)
    assert again.state is State.QUEUED


@pytest_twisted.ensureDeferred
async def test_what_a_former_process_did_not_write_is_queued(world: World) -> None:
    """It was marked, and could not be put back: its successor was told under which lease nothing left, and no other."""
    for _ in range(2):
        await world.one.accept(sms(world.clock), "print")
    unwritten, written = await world.one.lease_messages(Channel.SMS, 2)
    for leased in (unwritten, written):
        assert await world.one.mark(leased.message, "world", "hash", lease=leased.lease)
    name = world.one.lease_name(unwritten.lease)
    await world.successor.beat(first=True, dead_after=15)
    assert await world.successor.recover("one", unwritten=("other", name)) == 2
    found = {leased.message.id: leased for leased in await world.successor.lease_messages(Channel.SMS, 9)}
    again, uncertain = found[unwritten.message.id], found[written.message.id]
    assert (again.state, again.copies) == (State.QUEUED, 0)
    assert (uncertain.state, uncertain.copies) == (State.UNCERTAIN, 1)


@pytest.mark.parametrize("marks", [0, 1, 2])
@pytest_twisted.ensureDeferred
async def test_a_stray_of_which_a_part_was_taken_goes_on_behind_it(world: World, marks: int) -> None:
    """Of a long SMS the second segment was marked and not written, and Redis has neither that nor, perhaps, the mark.

    It goes on as if it had been put back, though another process restates the mark; and receipts find what was taken.
    """
    message = await world.leased()
    lease = world.one.leases[message.id]
    for number in range(marks):
        assert await world.one.mark(message, "world", "hash", segments=3)
        if not number:
            await world.one.record_segments(message.id, "world", ["r1"])
    if not marks:
        assert await world.one.restate_marks([(message.id, "world", 2**50)]) == ([message.id], [])
    await world.one.gives_back(message.id, unwritten=("other", lease), route="world", progress=("r1", "r2"))
    [again] = await world.two.lease_messages(Channel.SMS, 1)
    assert (again.state, again.route, again.progress) == (State.QUEUED, "world", ("r1", "r2"))
    assert await world.two.mark(again.message, "world", "hash", lease=again.lease, segments=3)
    await world.two.settle_sent(message.id, Channel.SMS, Handed("world", ("r1", "r2", "r3")))
    for remote, state in (("r3", State.SENT), ("r1", State.SENT), ("r2", State.DELIVERED)):
        await world.one.record_receipt(Receipt("world", (remote,), Event.DELIVERED), park=False)
        assert await world.state(message) is state


@pytest_twisted.ensureDeferred
async def test_a_stray_of_another_lease_stays_uncertain(world: World) -> None:
    """What is known of one lease says nothing of what was written under a later one."""
    message = await world.leased()
    former = world.one.leases[message.id]
    await world.one.settle_again(message, world.clock.seconds(), "down")
    [later] = await world.one.lease_messages(Channel.SMS, 1)
    assert await world.one.mark(later.message, "world", "hash", lease=later.lease)
    await world.one.gives_back(message.id, unwritten=(former,))
    [again] = await world.two.lease_messages(Channel.SMS, 1)
    assert again.state is State.UNCERTAIN


@pytest_twisted.ensureDeferred
async def test_what_another_memory_says_was_told_is_not_told_again(world: World) -> None:
    """An older dataset has `accepted` to tell, of what was told as delivered: it is delivered, and all is told."""
    message = await world.sent("r1")
    said = [(message.id, "ad", State.DELIVERED, False)]
    assert await world.one.restate_heard(said) == [(True, False, "")]
    assert await world.state(message) is State.DELIVERED
    assert await world.told() == []
    assert await world.two.restate_heard(said) == [(False, False, "")]


@pytest.mark.parametrize("waits_behind_it", [True, False])
@pytest_twisted.ensureDeferred
async def test_tries_at_what_was_heard_are_not_those_of_the_next_one(world: World, waits_behind_it: bool) -> None:
    """An older dataset knows tries of `accepted`, heard since: `delivered` has none, and 48 hours from now."""

    async def arrive() -> None:
        await world.one.record_receipt(Receipt("world", ("r1",), Event.DELIVERED), park=True)

    message = await world.sent("r1")
    if waits_behind_it:
        await arrive()
    [job] = await world.one.lease_reports(10)
    await world.one.report_again(job, world.clock.seconds(), "HTTP 500")
    world.clock.advance(3600)
    await world.two.restate_heard([(message.id, "a", None, False)])
    if not waits_behind_it:
        await arrive()
    [next_job] = await world.one.lease_reports(10)
    assert (next_job.status, next_job.attempts, next_job.first_tried) == (Report.DELIVERED, 0, 0.0)
    assert next_job.queued_at == pytest.approx(world.clock.seconds(), abs=60)


@pytest_twisted.ensureDeferred
async def test_a_message_is_kept_for_what_another_memory_leaves_to_tell(alone: tuple[World, RedisLink, str]) -> None:
    """As where the status before was heard only now: an older dataset was to forget the message sooner."""
    world, link, prefix = alone
    message = await world.sent("r1")
    await world.one.record_receipt(Receipt("world", ("r1",), Event.DELIVERED), park=True)
    world.clock.advance(2 * 3600)
    await link.command("EXPIRE", f"{prefix}m:{message.id}", 60)
    await world.one.restate_heard([(message.id, "a", None, False)])
    assert await link.command("TTL", f"{prefix}m:{message.id}") > 48 * 3600


@pytest_twisted.ensureDeferred
async def test_who_told_the_end_alone_knows_that_the_beginning_was_told(world: World) -> None:
    """`accepted` was another's to tell; it went before."""
    message = await world.sent("r1")
    assert await world.two.restate_heard([(message.id, "d", State.DELIVERED, False)]) == [(True, False, "")]
    assert await world.told() == []
    waiting = await world.leased()
    assert await world.two.restate_heard([(waiting.id, "d", State.DELIVERED, False)]) == [(True, False, "")]
    assert await world.state(waiting) is State.DELIVERED
    await world.one.settle_sent(waiting.id, Channel.SMS, Handed("world", ("r2",)))
    assert await world.told() == []


@pytest_twisted.ensureDeferred
async def test_an_end_that_is_not_known_is_asked_for(world: World) -> None:
    """Its receipt is to be recorded again; `accepted`, which was told, is not told again by that."""
    message = await world.leased()
    assert await world.one.restate_heard([(message.id, "a", None, True)]) == [(True, True, "")]
    await world.one.record_evidence(Evidence(message.id, Event.DELIVERED, "receipt"))
    assert await world.told() == [Report.DELIVERED]
    assert await world.one.restate_heard([(message.id, "ad", State.DELIVERED, True)]) == [(False, False, "")]
    assert await world.one.restate_heard([("00000000-0000-4000-8000-000000000000", "a", None, True)]) == [
        (False, False, "")
    ]


@pytest_twisted.ensureDeferred
async def test_what_was_heard_may_be_told_again_where_somebody_asks_for_it(world: World) -> None:
    """A replay is no older dataset."""
    message = await world.sent("r1")
    assert await world.told() == [Report.ACCEPTED]
    cursor, queued = await world.one.replay_some("0", "", 0.0, world.clock.seconds() + 60)
    while cursor != "0":
        cursor, more = await world.one.replay_some(cursor, "", 0.0, world.clock.seconds() + 60)
        queued += more
    assert queued == 1
    assert await world.one.restate_heard([(message.id, "a", None, False)]) == [(False, False, "a")]
    assert await world.told() == [Report.ACCEPTED]


@pytest.mark.parametrize("ways", [("first", "second"), ("first", "first", "second"), ("first", "second", "first")])
@pytest_twisted.ensureDeferred
async def test_the_story_tells_each_mark(world: World, ways: tuple[str, ...]) -> None:
    """The first one, too, once a later one says another way; and how often, where it was the same."""
    message = await world.leased()
    for way in ways:
        await world.one.mark(message, way, "#")
        await world.one.settle_again(message, world.clock.seconds(), "busy", counts=False)
        await world.one.lease_messages(Channel.SMS, 1)
        world.clock.advance(1)
    told = (await world.one.trace([message.id])).timeline
    submits = [step for step in told if step.event == "submitting"]
    assert [(step.detail, step.times) for step in submits] == [(way, ways.count(way)) for way in dict.fromkeys(ways)]
    assert [round(step.at - submits[0].at) for step in submits] == [ways.index(step.detail) for step in submits]


@pytest_twisted.ensureDeferred
async def test_a_message_past_its_deadline_brings_its_story(world: World) -> None:
    """It is to end with a word on what was tried; one that has time left brings nothing of it."""
    message = await world.leased(deadline=world.clock.seconds() + 10)
    await world.one.mark(message, "world", "#")
    await world.one.settle_again(message, world.clock.seconds(), "world answered ESME_RMSGQFUL", counts=False)
    (leased,) = await world.one.lease_messages(Channel.SMS, 1)
    assert leased.story == ()
    await world.one.settle_again(message, world.clock.seconds() + 5, "world is busy", counts=False)
    world.clock.advance(11)
    _, (leased,) = await world.one.lease_overdue(Channel.SMS, 0, 1)
    assert [(step.event, step.detail) for step in leased.story] == [
        ("taken", ""),
        ("submitting", "world"),
        ("again", "world answered ESME_RMSGQFUL"),
        ("again", "world is busy"),
    ]


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_what_stands_before_a_failing_one_of_the_same_call_is_whole(world: World) -> None:
    """What a call owes to leases and counts is written though a later item fails: the stored one comes as a stray."""
    stored, broken = sms(world.clock), sms(world.clock)
    await world.one._link.command("SET", world.one._key("message", broken.id), "no hash")
    # Else each asks for Redis' clock first, and goes on in the turn in which its answer is read.
    await world.one.beat(first=True, dead_after=15)
    asked = [ensureDeferred(world.one.accept(message, "print", lease=True)) for message in (stored, broken)]
    outcomes = await DeferredList(asked, consumeErrors=True)
    assert [worked for worked, _ in outcomes] == [False, False]
    assert list(await world.one.held()) == [stored.id]
    counts = await world.one.counts()
    assert [counts["amazing", Channel.SMS, what] for what in ("accepted", "in_flight")] == [1, 1]
    assert await world.one._link.command("GET", world.one._key("waiting")) == b"1"


@pytest.mark.parametrize("score", [-1, 1])
@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_what_a_version_before_leased_is_recovered(world: World, score: int) -> None:
    """In an upgrade its leases stand in sets of their own, by their moments, which the first ones of them negate."""
    old, ours = await world.leased(), await world.leased()
    store, moment = world.one, score * round(world.clock.seconds() * 1000)
    await store._link.command("SREM", store._key("leases", "sms:one"), old.id)
    await store._link.command("ZADD", store._key("dated_leases", "sms:one"), moment, old.id)
    await world.successor.beat(first=True, dead_after=15)
    assert await world.successor.recover("one") == 2
    assert {one.message.id for one in await world.two.lease_messages(Channel.SMS, 10)} == {old.id, ours.id}
    assert await store._link.command("EXISTS", store._key("dated_leases", "sms:one")) == 0

"""One contract, run on the fake store and on real Redis."""

import hashlib
import itertools
from typing import Any

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults

from gatewayd.core.errors import LeaseLost, StoreUnavailable, TemporaryFailure
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Evidence, Handed, Kept, Leased, Message, Receipt, ReportJob, Stopped
from gatewayd.core.status import LETTERS, Event, Report, State
from gatewayd.store.legend import FIELDS
from gatewayd.store.link import RedisLink
from gatewayd.store.scripts import all_scripts
from redis_server import ShiftedClock
from store_world import PLAYERS, World, alone, sms, world
from transitions import move

__all__ = ["alone", "world"]


async def erase(store: Any) -> None:
    """All that is stored of player-1."""
    cursor = ""
    while cursor != "0":
        cursor, _ = await store.erase_some(cursor or "0", "amazing", "player-1", hashes=[PLAYERS["player-1"]])


@pytest_twisted.ensureDeferred
async def test_the_same_uid_is_taken_once(world: World) -> None:
    """The same id with the same fingerprint is SAME, with another one CONFLICT, and is queued once."""
    message = sms(world.clock)
    assert await world.one.accept(message, "a") == (Acceptance.STORED, message.id)
    assert await world.two.accept(message, "a") == (Acceptance.SAME, message.id)
    assert await world.two.accept(message, "b") == (Acceptance.CONFLICT, message.id)
    assert [leased.message for leased in await world.two.lease_messages(Channel.SMS, 10)] == [message]
    assert await world.one.lease_messages(Channel.SMS, 10) == []


@pytest_twisted.ensureDeferred
async def test_nothing_is_stored_once_its_caller_was_told_so(world: World) -> None:
    """An accept that comes after its `until` stores nothing; a duplicate of what was stored in time gets its id."""
    late, again = sms(world.clock), sms(world.clock)
    # The two clocks' difference is known to half of what an answer takes, which on a busy machine is long.
    over, ahead = world.clock.seconds() - 2, world.clock.seconds() + 3
    with pytest.raises(StoreUnavailable):
        await world.one.accept(late, "a", until=over)
    assert await world.one.about(late.id) is None
    assert await world.one.lease_messages(Channel.SMS, 10) == []
    assert await world.one.accept(late, "b", until=ahead) == (Acceptance.STORED, late.id)
    assert await world.one.accept(again, "a", until=ahead) == (Acceptance.STORED, again.id)
    assert await world.one.accept(again, "a", until=over) == (Acceptance.SAME, again.id)


@pytest_twisted.ensureDeferred
async def test_an_accept_whose_caller_was_refused_is_undone(world: World) -> None:
    """Nothing is left of it, and its uid is as good as new; run again for a lost reply it says what it said."""
    for lease, said in ((True, Acceptance.LEASED), (False, Acceptance.STORED)):
        message = sms(world.clock)
        for _ in range(2):
            assert (await world.one.accept(message, "a", lease=lease, attempt="1")) == (said, message.id)
        await world.one.undo_accept(message.id, Channel.SMS, "9")
        assert await world.one.about(message.id) is not None
        await world.one.undo_accept(message.id, Channel.SMS, "1")
        assert await world.one.about(message.id) is None
        assert await world.one.trace([message.id]) is None
        assert await world.one.lease_messages(Channel.SMS, 10) == []
        assert await world.one.stray_leases("sms", 0) == []
        assert (await world.one.counts())["amazing", Channel.SMS, "in_flight"] == 0
        assert (await world.one.counts())["amazing", Channel.SMS, "accepted"] == 0
    assert (await world.one.accept(message, "b"))[0] is Acceptance.STORED


@pytest_twisted.ensureDeferred
async def test_what_another_caller_heard_of_stays(world: World) -> None:
    """Told as taken by a duplicate, or on its way already: it is not undone."""
    heard, asked, sent = sms(world.clock), sms(world.clock), sms(world.clock)
    for message in (heard, asked, sent):
        await world.one.accept(message, "a", lease=True, attempt="1")
    assert (await world.two.accept(heard, "a", attempt="2"))[0] is Acceptance.SAME
    assert await world.two.known([asked.id], "a") == (Acceptance.SAME, asked.id)
    await world.one.mark(sent, "world", "hash")
    for message in (heard, asked, sent):
        await world.one.undo_accept(message.id, Channel.SMS, "1")
        assert await world.one.about(message.id) is not None


@pytest_twisted.ensureDeferred
async def test_a_message_of_which_every_caller_was_refused_is_undone(world: World) -> None:
    """The caller asked again before the store was back, at another instance too, and was refused each time."""
    message = sms(world.clock)
    await world.one.accept(message, "a", lease=True, attempt="1")
    for store, attempt in ((world.one, "2"), (world.two, "1"), (world.two, "1")):
        assert (await store.accept(message, "a", attempt=attempt))[0] is Acceptance.SAME
    assert (await world.two.accept(message, "b", attempt="3"))[0] is Acceptance.CONFLICT
    for store, attempt in ((world.one, "1"), (world.two, "3"), (world.two, "1")):
        await store.undo_accept(message.id, Channel.SMS, attempt)
        assert await world.one.about(message.id) is not None
    await world.one.undo_accept(message.id, Channel.SMS, "2")
    assert await world.one.about(message.id) is None
    assert (await world.two.accept(message, "b"))[0] is Acceptance.STORED


@pytest_twisted.ensureDeferred
async def test_two_instances_may_give_their_attempts_the_same_name(world: World) -> None:
    """Daemons that started together count alike: one's call is not the other's, nor taken back by it."""
    message = sms(world.clock)
    await world.one.accept(message, "a", lease=True, attempt="0")
    assert await world.two.accept(message, "b", attempt="0") == (Acceptance.CONFLICT, message.id)
    await world.two.undo_accept(message.id, Channel.SMS, "0")
    assert await world.one.about(message.id) is not None
    assert await world.two.accept(message, "a", attempt="0") == (Acceptance.SAME, message.id)


@pytest.mark.parametrize("apart", [-900.0, 900.0])
@pytest_twisted.ensureDeferred
async def test_the_server_may_have_another_clock(alone: tuple[World, RedisLink, str], apart: float) -> None:
    """A quarter of an hour before or behind, compared at a heartbeat or set since: late is late, in time is in time."""
    world, _, _ = alone
    world.clock.advance(apart)
    for compared in (False, True):
        if compared:
            await world.one.beat(first=True, dead_after=15)
            with pytest.raises(StoreUnavailable):
                await world.one.accept(sms(world.clock), "a", until=world.clock.seconds() - 0.5)
        outcome, _ = await world.one.accept(sms(world.clock), "a", until=world.clock.seconds() + 1)
        assert outcome is Acceptance.STORED


@pytest_twisted.ensureDeferred
async def test_a_uid_keeps_its_id_over_a_key_rotation(world: World) -> None:
    """A uid that was taken under a previous key's id answers with that id."""
    old, new = sms(world.clock), sms(world.clock)
    await world.one.accept(old, "a")
    assert await world.one.accept(new, "a", earlier_ids=[old.id]) == (Acceptance.SAME, old.id)
    assert await world.one.known([new.id, old.id], "a") == (Acceptance.SAME, old.id)
    assert await world.one.known([new.id], "a") is None


@pytest_twisted.ensureDeferred
async def test_a_fingerprint_of_a_previous_key_still_compares(world: World) -> None:
    """The same content is the same whatever key its fingerprint was made with; other content is not."""
    old = sms(world.clock)
    await world.one.accept(old, "old print")
    earlier = {"earlier_fingerprints": ["older print", "old print"]}
    assert await world.one.accept(old, "new print", **earlier) == (Acceptance.SAME, old.id)
    assert await world.one.known([old.id], "new print", **earlier) == (Acceptance.SAME, old.id)
    assert await world.one.accept(old, "new print") == (Acceptance.CONFLICT, old.id)


@pytest_twisted.ensureDeferred
async def test_a_pause_counts_from_the_moment_it_is_stored(world: World) -> None:
    """A message that another instance was about to write is not marked any more, and stays queued."""
    message = await world.leased()
    await world.two.pause("amazing", Channel.SMS)
    with pytest.raises(TemporaryFailure) as failed:
        await world.one.mark(message, "world", "hash")
    assert not failed.value.counts
    assert await world.state(message) is State.QUEUED
    await world.two.resume("amazing", Channel.SMS)
    assert await world.one.mark(message, "world", "hash")


@pytest_twisted.ensureDeferred
async def test_a_leased_message_is_nobody_elses(world: World) -> None:
    """What was leased at acceptance is not taken by anybody until its instance is recovered."""
    message = await world.leased()
    assert await world.two.lease_messages(Channel.SMS, 10) == []
    with pytest.raises(LeaseLost):
        await world.two.mark(message, "world", "")
    assert await world.two.recover("one") == 1
    with pytest.raises(LeaseLost):
        await world.one.mark(message, "world", "")
    assert [leased.message for leased in await world.two.lease_messages(Channel.SMS, 10)] == [message]


@pytest_twisted.ensureDeferred
async def test_the_high_water_mark_counts_what_waits(world: World) -> None:
    """Past `max_queued` waiting messages the next is FULL; once one was sent there is room again."""
    messages = [await world.leased() for _ in range(20)]
    assert (await world.one.accept(sms(world.clock), "a"))[0] is Acceptance.FULL
    await world.one.mark(messages[0], "world", "")
    await world.one.settle_sent(messages[0].id, Channel.SMS, Handed("world"))
    assert (await world.one.accept(sms(world.clock), "a"))[0] is Acceptance.STORED


@pytest_twisted.ensureDeferred
async def test_what_hangs_on_the_ways_out_is_hastened(world: World) -> None:
    """What its way was too busy for, and what is uncertain: another policy may hold for it. A failed try is not."""
    busy, failed, unsure = [await world.leased(uid=uid) for uid in ("busy", "failed", "unsure")]
    later = world.clock.seconds() + 300
    await world.one.settle_again(busy, later, "busy", counts=False)
    await world.one.settle_again(failed, later, "451")
    await world.one.settle_again(unsure, later, "no answer", counts=False, uncertain=True)
    await world.one.make_due(Channel.SMS)
    taken = await world.one.lease_messages(Channel.SMS, 10)
    assert {leased.message.id for leased in taken} == {busy.id, unsure.id}
    await world.one.make_due(Channel.SMS, every=True)
    (leased,) = await world.one.lease_messages(Channel.SMS, 10)
    assert leased.message.id == failed.id


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
async def test_what_is_put_off_says_why_once(world: World) -> None:
    """Throttled, busy or paused: the timeline has each reason once, with when it came last and how often."""
    message = await world.leased()
    for reason in ("busy", "busy", "throttled", "busy"):
        await world.one.settle_again(message, world.clock.seconds() - 1, reason, counts=False)
        await world.one.lease_messages(Channel.SMS, 1)
    trace = await world.one.trace([message.id])
    assert trace is not None
    busy, throttled = (line for line in trace.timeline if line.event == "again")
    assert (busy.detail, busy.times, throttled.detail, throttled.times) == ("busy", 3, "throttled", 1)
    assert busy.at <= throttled.at <= busy.until
    assert throttled.until == 0


@pytest_twisted.ensureDeferred
async def test_a_message_that_is_held_for_evidence_makes_no_queue_old(world: World) -> None:
    """It counts as waiting, but it is not late: an SMS may be held for hours, and the alert wakes somebody."""
    held, late = await world.leased(), await world.leased()
    await world.one.settle_again(held, held.deadline, "no answer", uncertain=True)
    await world.one.settle_again(late, world.clock.seconds() + 1, "451")
    world.clock.advance(100)
    queue = (await world.one.queues())["sms"]
    assert (queue.waiting, queue.leased, round(queue.oldest_age)) == (2, 0, 100)
    assert [leased.message for leased in await world.one.lease_messages(Channel.SMS, 10)] == [late]
    await world.one.settle_final(late, State.FAILED, "gone", "f")
    queue = (await world.one.queues())["sms"]
    assert (queue.waiting, queue.oldest_age) == (1, 0.0)


@pytest_twisted.ensureDeferred
async def test_suppression(world: World) -> None:
    """A name on the stop list of a label and channel stops acceptance and the wire, until taken off or expired."""
    early = await world.leased()
    await world.one.stop("amazing", Channel.SMS, "name", 60)
    assert (await world.one.accept(sms(world.clock), "a", stop_hashes=["other", "name"]))[0] is Acceptance.SUPPRESSED
    assert (await world.one.accept(sms(world.clock, label="else"), "a", stop_hashes=["name"]))[0] is Acceptance.STORED
    assert not await world.one.mark(early, "world", "", stop_hashes=["name"])
    assert await world.one.stopped("amazing", Channel.SMS, ["name"])
    assert await world.one.unsuppress("amazing", Channel.SMS, ["name"])
    assert not await world.one.unsuppress("amazing", Channel.SMS, ["name"])
    assert await world.one.mark(early, "world", "", stop_hashes=["name"])


@pytest_twisted.ensureDeferred
async def test_who_takes_a_player_off_the_list_takes_their_addresses_off(world: World) -> None:
    """Addresses that bounced go with the player whose they were, and only of that label and channel."""
    for label, name in (("amazing", "one"), ("amazing", "two"), ("else", "one")):
        await world.one.stop(label, Channel.EMAIL, name, 60, owner="player")
    assert await world.one.unsuppress("amazing", Channel.EMAIL, ["earlier key", "player"])
    assert not await world.one.stopped("amazing", Channel.EMAIL, ["one", "two"])
    assert await world.one.stopped("else", Channel.EMAIL, ["one"])
    assert not await world.one.unsuppress("amazing", Channel.EMAIL, ["player"])


@pytest_twisted.ensureDeferred
async def test_a_sent_message_tells_accepted(world: World) -> None:
    """After settle_sent the state is sent, the content is gone and `accepted` waits with its callback URL."""
    message = await world.sent("id1")
    assert await world.state(message) is State.SENT
    jobs = await world.two.lease_reports(10)
    assert [(job.message_id, job.status, job.callback_url, job.label) for job in jobs] == [
        (message.id, Report.ACCEPTED, message.callback_url, "amazing")
    ]
    assert await world.two.report_heard(jobs[0]) is None
    assert await world.two.lease_reports(10) == []


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
async def test_a_retry_is_due_later_and_counted(world: World) -> None:
    """settle_again makes it due at its time, with the attempts, the first try and the progress kept."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    await world.one.settle_again(message, world.clock.seconds() + 30, "451", route="world", progress=["r1"])
    assert await world.one.lease_messages(Channel.SMS, 10) == []
    world.clock.advance(31)
    [leased] = await world.two.lease_messages(Channel.SMS, 10)
    assert (leased.state, leased.attempts, leased.progress) == (State.QUEUED, 1, ("r1",))
    assert leased.first_tried > 0


@pytest_twisted.ensureDeferred
async def test_receipts_of_a_half_sent_message_are_matched(world: World) -> None:
    """The segments that were taken before a throttle are known by the route that the message was marked for."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash", segments=2)
    await world.one.settle_again(message, 0, "throttled", counts=False, progress=["h1"])
    assert await world.one.record_receipt(Receipt("world", ("h1",), Event.FAILED), park=True) == ("moved", message.id)
    assert await world.told() == [Report.FAILED], "the SMSC never took all of it"


@pytest_twisted.ensureDeferred
async def test_pacing_does_not_count(world: World) -> None:
    """settle_again with counts=False leaves the attempts alone; uncertain=True keeps the mark."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    await world.one.settle_again(message, 0, "throttled", counts=False, uncertain=True)
    [leased] = await world.one.lease_messages(Channel.SMS, 10)
    assert (leased.attempts, leased.first_tried, leased.state) == (0, 0.0, State.UNCERTAIN)


@pytest_twisted.ensureDeferred
async def test_a_final_refusal(world: World) -> None:
    """settle_final ends it once, tells its report and frees the content."""
    message = await world.leased()
    await world.one.settle_final(message, State.REJECTED, "550", "r")
    await world.one.settle_final(message, State.FAILED, "again", "f")
    assert await world.state(message) is State.REJECTED
    assert await world.told() == [Report.REJECTED]


@pytest_twisted.ensureDeferred
async def test_a_receipt_after_the_answer(world: World) -> None:
    """A receipt finds its message by SMSC and id; the second of the same kind changes nothing."""
    message = await world.sent("id1")
    receipt = Receipt("world", ("x", "id1"), Event.DELIVERED)
    assert await world.two.record_receipt(receipt, park=True) == ("moved", message.id)
    assert await world.one.record_receipt(receipt, park=True) == ("ignored", message.id)
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_receipt_before_the_answer(world: World) -> None:
    """A receipt without a message is parked, comes back with the answer, and is no orphan afterwards."""
    receipt = Receipt("world", ("early", "0early"), Event.DELIVERED)
    assert (await world.one.record_receipt(receipt, park=True))[0] == "parked"
    message = await world.leased()
    await world.one.mark(message, "world", "")
    [parked] = await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("early",)))
    assert await world.one.record_receipt(parked, park=False) == ("moved", message.id)
    world.clock.advance(20)
    assert await world.one.parked_receipts(10) == ([], [])
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_an_orphaned_receipt(world: World) -> None:
    """A parked receipt is looked up again after 2, 12, 30, 60 and 300 s, and given up after an hour."""
    await world.one.record_receipt(Receipt("world", ("nobody",), Event.FAILED), park=True)
    assert await world.one.parked_receipts(10) == ([], [])
    for seconds in (2.5, 10, 18, 30, 240):
        world.clock.advance(seconds)
        [due], orphans = await world.one.parked_receipts(10)
        assert orphans == []
        assert await world.one.record_receipt(due, park=False) == ("unknown", "")
        world.clock.advance(0.1)
        assert await world.one.parked_receipts(10) == ([], [])
    world.clock.advance(3600)
    due_now, [orphan] = await world.one.parked_receipts(10)
    assert (due_now, orphan.remote_ids) == ([], ("nobody",))


@pytest_twisted.ensureDeferred
async def test_foreign_receipts_are_bounded(alone: tuple[World, RedisLink, str]) -> None:
    """Past a number those that were looked up most often are orphans at once: what is new finds its message soon."""
    world, link, prefix = alone
    parked = all_scripts()["look_at_parked_receipts"]
    for number in range(120):
        await world.one.record_receipt(Receipt("world", (f"old{number}",), Event.FAILED), park=True)
    world.clock.advance(3)
    given_up = 0
    for _ in range(6):
        _, orphans = await link.run(parked, (20, 3_600_000, 50))
        given_up += len(orphans)
    assert given_up == 70
    assert await link.command("ZCARD", f"{prefix}parked") == 50


async def uncertain(world: World) -> tuple[Message, float]:
    """A message whose submit was never answered, lying in the queue, and the time of the submit."""
    message = await world.leased()
    await world.one.mark(message, "world", "hash")
    written = world.clock.seconds()
    world.clock.advance(60)
    await world.one.settle_again(message, message.deadline, "no answer", uncertain=True, route="world")
    return message, written


@pytest_twisted.ensureDeferred
async def test_a_late_answer_lets_an_uncertain_message_go_on(world: World) -> None:
    """It is queued and due now, behind the segments that the answer says are there; told twice, it is told once."""
    message, written = await uncertain(world)
    assert await world.two.lease_messages(Channel.SMS, 10) == []
    assert await world.two.resume_from(message.id, "world", written, "refused late", progress=("s1",))
    assert not await world.two.resume_from(message.id, "world", written, "refused late")
    assert await world.state(message) is State.QUEUED
    [leased] = await world.two.lease_messages(Channel.SMS, 10)
    assert (leased.message, leased.state, leased.progress, leased.attempts) == (message, State.QUEUED, ("s1",), 1)
    assert await world.one.record_receipt(Receipt("world", ("s1",), None, "ENROUTE"), park=True) == (
        "ignored",
        message.id,
    )
    trace = await world.one.trace([message.id])
    assert [event.event for event in trace.timeline][-2:] == ["again", "receipt"]


@pytest_twisted.ensureDeferred
async def test_a_late_answer_says_nothing_of_another_copy(world: World) -> None:
    """Leased, marked again since, on another SMSC, settled or unknown: nothing changes."""
    message, written = await uncertain(world)
    assert not await world.one.resume_from(message.id, "uk", written, "late")
    assert not await world.one.resume_from("no-such-message", "world", written, "late")
    world.clock.advance(3600)
    [leased] = await world.two.lease_messages(Channel.SMS, 10)
    assert not await world.one.resume_from(message.id, "world", written, "late")
    assert await world.two.mark(leased.message, "world", "hash")
    await world.two.settle_again(message, world.clock.seconds() + 60, "no answer", uncertain=True, route="world")
    assert not await world.one.resume_from(message.id, "world", written, "late")
    assert await world.state(message) is State.UNCERTAIN
    assert await world.one.resume_from(message.id, "world", world.clock.seconds(), "late")
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1",)))
    assert not await world.one.resume_from(message.id, "world", world.clock.seconds(), "late")
    assert await world.state(message) is State.SENT


@pytest_twisted.ensureDeferred
async def test_a_late_answer_finds_a_message_that_was_laid_aside(world: World) -> None:
    """Paused meanwhile: it stays aside, and is no more uncertain when it is resumed."""
    message, written = await uncertain(world)
    await world.one.pause("amazing", Channel.SMS)
    world.clock.advance(3600)
    [leased] = await world.one.lease_messages(Channel.SMS, 10)
    await world.one.set_aside(leased.message)
    assert await world.two.resume_from(message.id, "world", written, "late")
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
    message, written = await uncertain(world)
    world.clock.advance(3600)
    [leased] = await world.one.lease_messages(Channel.SMS, 10)
    await world.one.mark(leased.message, "world", "hash")
    await world.one.settle_again(leased.message, world.clock.seconds() + 5, "throttled")
    assert await world.state(message) is State.QUEUED
    receipt = Receipt("world", ("lost",), Event.DELIVERED, number_hash="hash")
    assert await world.one.record_receipt(receipt, park=True) == ("moved", message.id)
    world.clock.advance(5)
    assert await world.one.lease_messages(Channel.SMS, 10) == []
    refused, written = await uncertain(world)
    assert await world.one.resume_from(refused.id, "world", written, "refused late")
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
async def test_the_number_tells_ids_of_several_forms_apart(world: World) -> None:
    """The message to the receipt's number is meant, whichever form of the id it has."""
    await world.sent("16")
    receipt = Receipt("world", ("16", "10"), Event.DELIVERED, number_hash="another")
    assert (await world.one.record_receipt(receipt, park=False))[0] == "unknown"
    meant = await world.leased()
    await world.one.mark(meant, "world", "another")
    await world.one.settle_sent(meant.id, Channel.SMS, Handed("world", ("10",)))
    assert await world.one.record_receipt(receipt, park=False) == ("moved", meant.id)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("first", ["hash", "another"])
async def test_an_id_that_two_nodes_gave_is_told_apart_by_the_number(world: World, first: str) -> None:
    """Each message gets the receipt of its own number, in either order; one without a number is the later one's."""
    messages = {"hash": await world.sent("5001")}
    for number in ("another", "a third one's"):
        world.clock.advance(1)
        messages[number] = await world.leased()
        await world.one.mark(messages[number], "world", number)
        await world.one.settle_sent(messages[number].id, Channel.SMS, Handed("world", ("5001",)))
    for number in (first, *({"hash", "another"} - {first})):
        receipt = Receipt("world", ("5001",), Event.DELIVERED, number_hash="its earlier name", earlier_hashes=(number,))
        assert await world.two.record_receipt(receipt, park=True) == ("moved", messages[number].id)
        assert await world.one.record_receipt(receipt, park=True) == ("ignored", messages[number].id)
    assert await world.state(messages["a third one's"]) is State.SENT
    receipt = Receipt("world", ("5001",), Event.FAILED)
    assert await world.one.record_receipt(receipt, park=True) == ("moved", messages["a third one's"].id)


@pytest_twisted.ensureDeferred
async def test_an_id_that_two_nodes_gave_for_one_number(world: World) -> None:
    """Each message gets a receipt of its own, the older one first; one brought again, or that settles nothing, none."""
    messages = []
    for _ in range(2):
        world.clock.advance(1)
        messages.append(await world.sent("5001"))
    for message, wording in zip(messages, ("a", "b"), strict=True):
        on_its_way = Receipt("world", ("5001",), None, "stat:ENROUTE", "hash", wording="on its way")
        assert (await world.one.record_receipt(on_its_way, park=True))[0] == "ignored"
        final = replace(on_its_way, event=Event.DELIVERED, detail="stat:DELIVRD", wording=wording)
        assert await world.two.record_receipt(final, park=True) == ("moved", message.id)
        assert await world.one.record_receipt(final, park=True) == ("ignored", message.id)
        assert [await world.state(one) for one in messages].count(State.DELIVERED) == messages.index(message) + 1
    for message, wording in zip(messages, ("a", "b"), strict=True):
        again = Receipt("world", ("5001",), Event.DELIVERED, "stat:DELIVRD", "hash", wording=wording)
        assert await world.one.record_receipt(again, park=True) == ("ignored", message.id)
    assert (await world.told()).count(Report.DELIVERED) == 2


@pytest_twisted.ensureDeferred
async def test_ids_that_two_nodes_gave_for_one_number_to_long_messages(world: World) -> None:
    """Segment by segment; a receipt that is brought again completes no other message."""
    messages = [await world.sent("5001", "5002") for _ in range(2)]
    outcomes = []
    for wording, remote in (("a1", "5001"), ("a1", "5001"), ("b1", "5001"), ("a2", "5002"), ("a2", "5002")):
        receipt = Receipt("world", (remote,), Event.DELIVERED, "stat:DELIVRD", "hash", wording=wording)
        outcomes.append(await world.one.record_receipt(receipt, park=True))
    first, second = (message.id for message in messages)
    assert outcomes == [
        ("ignored", first),
        ("ignored", first),
        ("ignored", second),
        ("moved", first),
        ("ignored", first),
    ]
    last = Receipt("world", ("5002",), Event.FAILED, "stat:UNDELIV", "hash", wording="b2")
    assert await world.one.record_receipt(last, park=True) == ("moved", second)
    assert [await world.state(message) for message in messages] == [State.DELIVERED, State.FAILED]


@pytest_twisted.ensureDeferred
async def test_a_receipt_of_which_nobody_knows_whether_it_is_brought_again(world: World) -> None:
    """One that was parked before receipts had a wording is about the latest message, however often it is looked up."""
    messages = [await world.sent("5001") for _ in range(2)]
    receipt = Receipt("world", ("5001",), Event.DELIVERED, number_hash="hash")
    for outcome in ("moved", "ignored"):
        assert await world.one.record_receipt(receipt, park=True) == (outcome, messages[1].id)
    assert await world.state(messages[0]) is State.SENT


@pytest_twisted.ensureDeferred
async def test_an_id_that_all_messages_bear(alone: tuple[World, RedisLink, str]) -> None:
    """An SMSC that gives one id to all does not make Redis look through all of a day's messages."""
    world, link, _ = alone
    messages = [await world.sent("0") for _ in range(40)]
    before = await _looked_up(link)
    receipt = Receipt("world", ("0",), Event.DELIVERED, number_hash="hash", wording="a")
    assert await world.one.record_receipt(receipt, park=True) == ("moved", messages[-17].id)
    assert await _looked_up(link) - before < 80


async def _looked_up(link: RedisLink) -> int:
    """How many fields of hashes Redis was asked for."""
    said = (await link.command("INFO", "commandstats")).decode()
    calls = [line for line in said.splitlines() if line.startswith(("cmdstat_hget:", "cmdstat_hmget:"))]
    return sum(int(line.partition("calls=")[2].partition(",")[0]) for line in calls)


@pytest_twisted.ensureDeferred
async def test_an_id_that_two_nodes_gave_meets_a_receipt_that_came_first(world: World) -> None:
    """The receipt of the one whose answer is awaited still waits for it, and does not go to the other."""
    await world.sent("5001")
    waiting = await world.leased()
    await world.one.mark(waiting, "world", "another")
    receipt = Receipt("world", ("5001",), Event.DELIVERED, number_hash="another")
    assert (await world.one.record_receipt(receipt, park=True))[0] == "parked"
    [parked] = await world.one.settle_sent(waiting.id, Channel.SMS, Handed("world", ("5001",)))
    assert await world.one.record_receipt(parked, park=True) == ("moved", waiting.id)


@pytest_twisted.ensureDeferred
async def test_of_several_numbers_the_one_that_was_written_to_last_is_meant(world: World) -> None:
    """A number without a country code may be several: whatever their order, the latest message counts."""
    messages = []
    for number in ("first", "second"):
        world.clock.advance(1)
        message = await world.leased()
        await world.one.mark(message, "world", number)
        messages.append(message.id)
    assert await world.one.latest_to(["first", "second"]) == messages[1]
    assert await world.one.latest_to(["second", "first", "unknown"]) == messages[1]
    assert await world.one.latest_to(["unknown", "first"]) == messages[0]
    assert await world.one.latest_to(["unknown"]) is None


@pytest_twisted.ensureDeferred
async def test_an_id_counts_where_the_number_is_written_otherwise(world: World) -> None:
    """A lone form of an id is enough, of several the first after the wait; a less likely one is a stranger's id."""
    first = await world.sent("id1")
    receipt = Receipt("world", ("id1",), Event.DELIVERED, number_hash="0044")
    assert await world.one.record_receipt(receipt, park=True) == ("moved", first.id)
    second = await world.sent("id2")
    receipt = Receipt("world", ("id2", "2id"), Event.DELIVERED, number_hash="0044")
    assert (await world.one.record_receipt(receipt, park=False))[0] == "unknown"
    assert await world.one.record_receipt(receipt, park=False, by_number=True) == ("moved", second.id)
    await world.sent("id3")
    receipt = Receipt("world", ("3id", "id3"), Event.DELIVERED, number_hash="0044")
    assert (await world.one.record_receipt(receipt, park=False, by_number=True))[0] == "unknown"
    again = Receipt("world", ("id1",), Event.FAILED, number_hash="a new message's")
    assert (await world.one.record_receipt(again, park=False))[0] == "unknown"


@pytest_twisted.ensureDeferred
async def test_an_id_that_the_smsc_gave_twice_is_no_excuse_for_another_players_receipt(world: World) -> None:
    """A receipt from a number that we wrote to says nothing of a message to another one."""
    await world.sent("again")
    second = await world.leased()
    await world.one.mark(second, "world", "another")
    await world.one.settle_sent(second.id, Channel.SMS, Handed("world", ("other",)))
    receipt = Receipt("world", ("again",), Event.FAILED, number_hash="another")
    for by_number in (False, True):
        assert (await world.one.record_receipt(receipt, park=False, by_number=by_number))[0] == "unknown"
    assert await world.state(second) is State.SENT


@pytest_twisted.ensureDeferred
async def test_a_receipt_finds_a_message_from_before_a_key_rotation(world: World) -> None:
    """By its id and by its number: the message bears the number's name under the key of its day."""
    by_id = await world.sent("rotated")
    names = {"number_hash": "new", "earlier_hashes": ("hash",)}
    receipt = Receipt("world", ("rotated",), Event.DELIVERED, **names)
    assert await world.one.record_receipt(receipt, park=True) == ("moved", by_id.id)
    by_number, _ = await uncertain(world)
    receipt = Receipt("world", ("lost",), Event.DELIVERED, **names)
    assert await world.one.record_receipt(receipt, park=True) == ("moved", by_number.id)


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


async def between_segments(world: World, taken: int) -> Message:
    """A long SMS of three, so many of whose segments were taken; the next one waits."""
    message = await world.leased()
    for segment in range(taken):
        await world.one.mark(message, "world", "numberhash", segments=3)
        await world.one.record_segments(message.id, "world", [f"r{number}" for number in range(1, segment + 2)])
    return message


@pytest_twisted.ensureDeferred
async def test_a_crash_between_segments_leaves_nothing_uncertain(world: World) -> None:
    """Their answers are stored: it goes on behind them, and their receipts find it."""
    message = await between_segments(world, 2)
    assert await world.one.recover("one") == 1
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
    assert await world.one.recover("one") == 1
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
    [parked] = await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1", "r2", "r3")))
    assert await world.one.record_receipt(parked, park=True) == ("moved", message.id)
    assert await world.told() == [Report.ACCEPTED, Report.FAILED]


@pytest_twisted.ensureDeferred
async def test_what_another_took_over_is_no_more_marked_as_taken(world: World) -> None:
    """Its lease is gone: what it is now is its new holder's business."""
    message = await between_segments(world, 1)
    await world.two.recover("one")
    await world.two.lease_messages(Channel.SMS, 1)
    await world.one.record_segments(message.id, "world", ["r1", "r2"])
    await world.two.recover("two")
    [leased] = await world.two.lease_messages(Channel.SMS, 1)
    assert leased.progress == ("r1",)


@pytest_twisted.ensureDeferred
async def test_a_receipt_from_before_the_mark_is_about_another_message(world: World) -> None:
    """A receipt that was parked before a message was written can't be that message's, though the number is."""
    earlier = Receipt("world", ("lost",), Event.DELIVERED, number_hash="numberhash", parked_at=world.clock.seconds())
    world.clock.advance(5)
    message = await world.leased()
    await world.one.mark(message, "world", "numberhash")
    assert (await world.one.record_receipt(earlier, park=False, by_number=True))[0] == "unknown"
    assert await world.state(message) is State.UNCERTAIN


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
async def test_a_successor_keeps_what_it_leased_itself(world: World) -> None:
    """With a time, recovery gives back what the process before it leased, and nothing that itself did."""
    before = await world.leased()
    world.clock.advance(2)
    began = world.clock.seconds()
    world.clock.advance(1)
    own = sms(world.clock)
    assert await world.successor.accept(own, "print", lease=True) == (Acceptance.LEASED, own.id)
    assert await world.successor.recover("one", before=began) == 1
    assert [leased.message for leased in await world.two.lease_messages(Channel.SMS, 10)] == [before]


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_a_message_that_cannot_be_read_holds_up_no_other(world: World) -> None:
    """What another version stored may be strange to this one; the rest goes out, and it ends by its deadline."""
    strange, plain = sms(world.clock), sms(world.clock)
    for message in (strange, plain):
        await world.one.accept(message, "print")
    key = world.one._key("message", strange.id)
    await world.one._link.command("HSET", key, FIELDS["envelope"].short, b'{"id": "x"}')
    assert [leased.message for leased in await world.one.lease_messages(Channel.SMS, 10)] == [plain]
    assert await world.one.stray_leases("sms", 0) == [plain.id]
    for seconds in (61, 3600):
        assert await world.state(strange) is State.QUEUED
        world.clock.advance(seconds)
        assert await world.one.lease_messages(Channel.SMS, 10) == []
    assert await world.state(strange) is State.FAILED
    assert await world.told() == [Report.FAILED]


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_what_is_kept_ends_but_not_too_early(world: World) -> None:
    """A dead letter outlives later statuses, a status has its 48 hours after a slow one, and nothing lives for ever."""

    async def left(key: str) -> int:
        return int(await world.one._link.command("TTL", world.one._prefix + key))

    async def expire(key: str, seconds: int) -> None:
        await world.one._link.command("EXPIRE", world.one._prefix + key, seconds)

    message = await world.sent("k1")
    m, url = f"m:{message.id}", "w:" + hashlib.sha1(message.callback_url.encode()).hexdigest()[:12]
    await world.one.record_receipt(Receipt("world", ("k1",), Event.DELIVERED), park=True)
    [first] = await world.one.lease_reports(10)
    world.clock.advance(2 * 3600)
    await expire(m, 60)
    await expire(url, 60)
    second = await world.one.report_heard(first)
    assert second is not None
    assert await left(m) > 48 * 3600
    assert await left(url) > 48 * 3600
    await world.one.report_dead(second, "no answer", waited=1, tries=1)
    assert await left(m) > 29 * 86400
    await world.one.record_evidence(Evidence(message.id, Event.UNSUBSCRIBED, "inbound"))
    assert [job.status for job in await world.one.lease_reports(10)] == [Report.UNSUBSCRIBED]
    assert await left(m) > 29 * 86400
    await world.leased(deadline=world.clock.seconds() + 60)
    assert await left(url) > 29 * 86400
    await world.one._link.command("DEL", world.one._prefix + m)
    await world.one.report_again(first, 0, "no answer")
    assert await left(m) == -2


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


@pytest_twisted.ensureDeferred
async def test_reports_keep_their_order(world: World) -> None:
    """A status that comes while an earlier one is being told waits behind it."""
    message = await world.sent("o1")
    [first] = await world.one.lease_reports(10)
    await world.one.record_receipt(Receipt("world", ("o1",), Event.DELIVERED), park=True)
    assert await world.two.lease_reports(10) == []
    await world.one.report_again(first, world.clock.seconds() + 5, "HTTP 500")
    world.clock.advance(6)
    [again] = await world.two.lease_reports(10)
    assert (again.status, again.attempts, again.message_id) == (Report.ACCEPTED, 1, message.id)
    second = await world.two.report_heard(again)
    assert second is not None
    assert (second.status, second.attempts) == (Report.DELIVERED, 0)
    assert await world.two.report_heard(second) is None


@pytest_twisted.ensureDeferred
async def test_reports_are_hastened_by_their_messages(world: World) -> None:
    """They are due at once; what nobody waits for, or somebody works on, is left as it is."""
    messages = [await world.sent(f"h{number}") for number in range(3)]
    put_off, leased, other = await world.one.lease_reports(10)
    later = world.clock.seconds() + 300
    for waiting in (put_off, other):
        await world.one.report_again(waiting, later, "callback host is down", counts=False)
    await world.one.make_reports_due({put_off.message_id, leased.message_id, "unknown"})
    assert [found.message_id for found in await world.two.lease_reports(10)] == [put_off.message_id]
    assert {put_off.message_id, leased.message_id, other.message_id} == {message.id for message in messages}
    world.clock.advance(301)
    assert [found.message_id for found in await world.two.lease_reports(10)] == [other.message_id]


@pytest_twisted.ensureDeferred
async def test_dead_reports(world: World) -> None:
    """A report given up is a dead letter; it can be told after all, or dropped; later statuses go on."""
    message = await world.sent("d1")
    [job] = await world.one.lease_reports(10)
    await world.one.record_receipt(Receipt("world", ("d1",), Event.DELIVERED), park=True)
    after = await world.one.report_dead(job, "48 h|of it", waited=172_800.125, tries=41)
    assert after is not None
    assert after.status is Report.DELIVERED
    await world.one.report_heard(after)
    [letter] = await world.one.dead_letters(10)
    assert (letter.message_id, letter.label, letter.status, letter.reason) == (
        message.id,
        "amazing",
        Report.ACCEPTED,
        "48 h|of it",
    )
    assert (letter.waited, letter.tries) == (172_800.125, 41)
    assert await world.one.retry_dead(message.id)
    assert await world.told() == [Report.ACCEPTED]
    assert not await world.one.drop_dead(message.id)


@pytest_twisted.ensureDeferred
async def test_new_reports_are_offered(world: World) -> None:
    """With room, a new report is leased to the instance and handed to it without a look at the queue."""
    offered: list[ReportJob] = []
    world.one.feed_reports(lambda: True, offered.append)
    message = await world.sent("f1")
    assert [(job.message_id, job.status) for job in offered] == [(message.id, Report.ACCEPTED)]
    assert await world.two.lease_reports(10) == []
    assert await world.one.report_heard(offered[0]) is None


@pytest_twisted.ensureDeferred
async def test_paused_messages_wait_aside(world: World) -> None:
    """Parked messages leave the queue and come back when resumed or past their deadline."""
    await world.one.pause("amazing", Channel.SMS)
    first, second = await world.leased(), await world.leased(deadline=world.clock.seconds() + 10)
    await world.one.set_aside(first)
    await world.one.set_aside(second)
    assert await world.one.requeue_set_aside() == 0
    assert (await world.one.queues())["sms"].waiting == 2
    world.clock.advance(11)
    assert await world.one.requeue_set_aside() == 1
    assert [leased.message.id for leased in await world.two.lease_messages(Channel.SMS, 10)] == [second.id]
    assert await world.one.paused() == frozenset({("amazing", Channel.SMS)})
    await world.one.resume("amazing", Channel.SMS)
    assert await world.two.requeue_set_aside() == 1
    assert [leased.message.id for leased in await world.two.lease_messages(Channel.SMS, 10)] == [first.id]


@pytest_twisted.ensureDeferred
async def test_evidence_of_a_waiting_message_settles_it(world: World) -> None:
    """A DSN that overtakes the relay's answer is told in order, and the answer adds nothing."""
    message = await world.leased()
    await world.one.mark(message, "main", "hash")
    assert await world.two.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn")) == "moved"
    await world.one.settle_sent(message.id, Channel.SMS, Handed("main"))
    assert await world.state(message) is State.DELIVERED
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]
    assert (await world.one.queues())["sms"].leased == 0


@pytest_twisted.ensureDeferred
async def test_evidence_stops_a_retry(world: World) -> None:
    """Evidence that settles a message waiting for its retry takes it out of the queue."""
    message = await world.leased()
    await world.one.mark(message, "main", "hash")
    await world.one.settle_again(message, world.clock.seconds(), "lost", uncertain=True, route="main")
    await world.one.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn"))
    assert await world.two.lease_messages(Channel.SMS, 10) == []
    assert (
        await world.one.record_evidence(Evidence("00000000-0000-4000-8000-ffffffffffff", Event.OPENED, "open"))
        == "unknown"
    )


@pytest_twisted.ensureDeferred
async def test_a_late_bounce(world: World) -> None:
    """A bounce after delivery fails the message within five days, and not after."""
    early, late = await world.sent("b1"), await world.sent("b2")
    for message in (early, late):
        await world.one.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn"))
    assert await world.one.record_evidence(Evidence(early.id, Event.BOUNCED, "dsn")) == "moved"
    world.clock.advance(5 * 86400 + 60)
    assert await world.one.record_evidence(Evidence(late.id, Event.BOUNCED, "dsn")) == "ignored"
    assert await world.state(early) is State.FAILED
    assert await world.state(late) is State.DELIVERED


@pytest_twisted.ensureDeferred
async def test_strays_are_given_back(world: World) -> None:
    """What an instance holds longer than it knows of is listed, and a release puts it back."""
    message = await world.leased()
    assert await world.one.stray_leases("sms", 3) == []
    world.clock.advance(4)
    assert await world.one.stray_leases("sms", 3) == [message.id]
    await world.one.release("sms", message.id, age=3)
    assert await world.one.stray_leases("sms", 3) == []
    assert len(await world.two.lease_messages(Channel.SMS, 10)) == 1


@pytest_twisted.ensureDeferred
async def test_heartbeats(world: World) -> None:
    """A peer without a beat is reported dead; an older process of the same name learns that it lost the name."""
    assert await world.one.beat(first=True, dead_after=15) == (True, [], frozenset())
    assert await world.two.beat(first=True, dead_after=15) == (True, [], frozenset())
    for _ in range(5):
        world.clock.advance(3.1)
        beaten = await world.two.beat(first=False, dead_after=15)
    assert beaten == (True, ["one"], frozenset())
    assert (await world.successor.beat(first=True, dead_after=15))[0]
    assert not (await world.one.beat(first=False, dead_after=15))[0]


@pytest_twisted.ensureDeferred
async def test_after_a_gap_of_all_heartbeats_nobody_is_dead_yet(world: World) -> None:
    """An outage, or a clock that was set on by minutes: the first one back finds every peer late."""
    await world.one.beat(first=True, dead_after=15)
    await world.two.beat(first=True, dead_after=15)
    world.clock.advance(60)
    assert await world.two.beat(first=False, dead_after=15) == (True, [], frozenset())
    assert await world.one.beat(first=False, dead_after=15) == (True, [], frozenset())


@pytest_twisted.ensureDeferred
async def test_erase(world: World) -> None:
    """An erasure ends what waits, removes who it was for, and leaves the uid taken."""
    waiting, done, other = await world.leased(), await world.sent("e1"), await world.leased(ext_user_id="player-2")
    await world.told()
    cursor, removed, kept_waiting = "0", 0, 0
    while True:
        cursor, step = await world.one.erase_some(cursor, "amazing", "player-1", hashes=[PLAYERS["player-1"]])
        removed += step.removed
        kept_waiting += step.waiting
        if cursor == "0":
            break
    assert (removed, kept_waiting) == (2, 1)
    for message in (waiting, done):
        trace = await world.one.trace([message.id])
        assert (trace.ext_user_id, trace.uid, trace.timeline) == ("", "", ())
    assert await world.state(waiting) is State.FAILED
    assert await world.told() == [Report.FAILED]
    with pytest.raises(LeaseLost):
        await world.one.mark(waiting, "world", "")
    assert (await world.one.accept(waiting, "print"))[0] is Acceptance.SAME
    assert (await world.one.trace([other.id])).ext_user_id == "player-2"


async def exported(world: World, player: str = "player-1") -> list[Kept]:
    """All that an export of a player gives."""
    cursor, found = "0", []
    while True:
        cursor, _seen, some = await world.one.export_some(cursor, "amazing", player, hashes=[PLAYERS[player]])
        found += some
        if cursor == "0":
            return sorted(found, key=lambda kept: kept.accepted_at)


@pytest_twisted.ensureDeferred
async def test_export(world: World) -> None:
    """All that is kept of one player's messages: what waits with its content, what went out without; nobody else's."""
    done = await world.sent("x1", activity_type="bonus")
    await world.told()
    world.clock.advance(10)
    waiting = await world.leased()
    await world.leased(ext_user_id="player-2")
    out, inside = await exported(world)
    assert out.trace == await world.one.trace([done.id])
    assert inside.trace == await world.one.trace([waiting.id])
    assert (out.waiting, inside.waiting) == (None, waiting)
    assert (out.activity_type, out.address_hash, out.route) == ("bonus", "hash", "world")
    assert out.sent_at == pytest.approx(out.accepted_at, abs=2)
    assert inside.sent_at == 0
    assert inside.accepted_at == pytest.approx(waiting.accepted_at, abs=2)
    assert inside.deadline == pytest.approx(waiting.deadline, abs=0.001)
    assert out.callback_url == inside.callback_url == done.callback_url


@pytest_twisted.ensureDeferred
async def test_nothing_is_exported_after_an_erasure(world: World) -> None:
    """Not even what late evidence adds to the message's remains."""
    await world.sent("x2")
    await world.told()
    await erase(world.one)
    await world.one.record_receipt(Receipt("world", ("x2",), Event.DELIVERED), park=True)
    assert await exported(world) == []


@pytest_twisted.ensureDeferred
async def test_late_news_of_an_erased_message_has_an_end(alone: tuple[World, RedisLink, str]) -> None:
    """A receipt that changes nothing begins the timeline anew; what it leaves goes with the message."""
    world, link, prefix = alone
    message = await world.sent("late")
    receipt = Receipt("world", ("late",), Event.DELIVERED)
    await world.one.record_receipt(receipt, park=True)
    await world.told()
    await erase(world.one)
    assert await world.one.record_receipt(receipt, park=True) == ("ignored", message.id)
    assert await link.command("KEYS", f"{prefix}*{message.id}*") == [f"{prefix}m:{message.id}".encode()]
    assert 0 < await link.command("TTL", f"{prefix}m:{message.id}") <= 7 * 86400


@pytest_twisted.ensureDeferred
async def test_an_erased_uncertain_message_is_under_no_number(alone: tuple[World, RedisLink, str]) -> None:
    """The keyed hash of the number leads to it neither as the latest one nor as one whose answer was lost."""
    world, link, prefix = alone
    message, _ = await uncertain(world)
    assert await link.command("KEYS", f"{prefix}u:*") == [f"{prefix}u:hash".encode()]
    assert await world.one.latest_to(["hash"]) == message.id
    await erase(world.one)
    assert await link.command("KEYS", f"{prefix}u:*") == []
    assert await world.one.latest_to(["hash"]) is None
    [latest] = await link.command("KEYS", f"{prefix}la:*")
    assert await link.command("GET", latest) == bytes(24)


@pytest_twisted.ensureDeferred
async def test_how_a_player_stands_on_the_stop_list(world: World) -> None:
    """Until when, and how many addresses of theirs, on that label and channel only."""
    until = world.clock.seconds() + 60
    await world.one.stop("amazing", Channel.SMS, "player", 60)
    await world.one.stop("amazing", Channel.EMAIL, "address", 90, owner="player")
    by_name = await world.one.stopped("amazing", Channel.SMS, ["older", "player"])
    assert by_name.until == pytest.approx(until, abs=2)
    assert by_name.addresses == 0
    assert await world.one.stopped("amazing", Channel.EMAIL, ["player"]) == Stopped(0.0, 1)
    assert await world.one.stopped("other", Channel.SMS, ["player"]) is None
    assert await world.one.stopped("amazing", Channel.EMAIL, ["nobody"]) is None


@pytest.mark.parametrize("lists", [True, False])
@pytest_twisted.ensureDeferred
async def test_reports_are_replayed_by_time(world: World, lists: bool) -> None:
    """What was told in a time range is told once more, in order; what was told before or of another label is not.

    By the lists of what was heard in a minute; and where the version before kept none, among all that is kept.
    """
    if lists:
        await world.one.beat(first=True, dead_after=15)
    early = await world.sent("re1")
    await world.told()
    world.clock.advance(100)
    # The clocks of the store and of the test agree to some milliseconds only.
    start = world.clock.seconds() - 1
    late = await world.sent("re2")
    await world.one.record_receipt(Receipt("world", ("re2",), Event.DELIVERED), park=True)
    await world.told()
    world.clock.advance(100)

    async def replay(label: str, since: float) -> int:
        cursor, queued = "0", 0
        while True:
            cursor, step = await world.one.replay_some(cursor, label, since, world.clock.seconds())
            queued += step
            if cursor == "0":
                return queued

    assert await replay("other", 0) == 0
    assert await replay("amazing", start) == 2
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]
    assert early.id != late.id
    world.clock.advance(100)
    assert await replay("", start) == 2, "once each, though each was heard in two minutes by now"
    assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]
    world.clock.advance(100)
    assert await replay("", start - 200) == 3
    since = world.clock.seconds() - 1
    assert await world.told() == [Report.ACCEPTED, Report.ACCEPTED, Report.DELIVERED]
    world.clock.advance(1)
    assert await replay("amazing", since) == 3, "by the latest time that it was heard"


@pytest.mark.parametrize("lists", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_range_is_replayed_with_the_same_statuses_each_time(world: World, lists: bool) -> None:
    """A status counts wherever it was heard: the replay of a replay does not take it out of the first one's time."""
    if lists:
        await world.one.beat(first=True, dead_after=15)
    await world.sent("re1")
    await world.one.record_receipt(Receipt("world", ("re1",), Event.DELIVERED), park=True)
    ranges = []

    async def tell() -> None:
        # The clocks of the store and of the test agree to some milliseconds only.
        world.clock.advance(100)
        start = world.clock.seconds() - 1
        assert await world.told() == [Report.ACCEPTED, Report.DELIVERED]
        world.clock.advance(1)
        ranges.append((start, world.clock.seconds()))

    async def replay(start: float, end: float) -> int:
        cursor, queued = "0", 0
        while True:
            cursor, step = await world.one.replay_some(cursor, "amazing", start, end)
            queued += step
            if cursor == "0":
                return queued

    await tell()
    for again in (0, 0, 1, 1, 2, 3, 1, 0):
        assert await replay(*ranges[again]) == 2, again
        assert await replay(*ranges[again]) == 0, "they wait"
        await tell()
    assert await replay(ranges[0][0], ranges[-1][1]) == 2, "once each, though each was heard nine times"
    assert await replay(ranges[0][1], ranges[1][0]) == 0, "nothing was heard between"


@pytest_twisted.ensureDeferred
async def test_a_trace_tells_the_story(world: World) -> None:
    """The timeline has each step in order, and each report with the time it was queued and heard."""
    message = await world.sent("tr1")
    await world.told()
    trace = await world.one.trace(["00000000-0000-4000-8000-ffffffffffff", message.id])
    assert [event.event for event in trace.timeline] == ["taken", "submitting", "sent", "told"]
    assert (trace.uid, trace.channel, trace.state) == (message.uid, Channel.SMS, State.SENT)
    [report] = trace.reports
    assert report.status is Report.ACCEPTED
    assert 0 < report.at <= report.answered_at


@pytest_twisted.ensureDeferred
async def test_counts_reconcile(world: World) -> None:
    """Accepted messages are those in each state and those in flight, which are counted by their content."""
    await world.leased()
    sent = await world.sent("c1")
    await world.one.record_evidence(Evidence(sent.id, Event.DELIVERED, "dsn"))
    await world.one.record_evidence(Evidence(sent.id, Event.BOUNCED, "dsn"))
    counts = {what: count for (_, _, what), count in (await world.one.counts()).items() if count}
    assert counts == {"accepted": 2, "in_flight": 1, "handed": 1, "failed": 1}


@pytest_twisted.ensureDeferred
async def test_rates_are_shared(world: World) -> None:
    """Places follow each other evenly whichever instance asks, and unused time does not pile up."""
    now = world.clock.seconds()
    first = await world.one.reserve("smsc", 5, 0.1, 0.0)
    second = await world.two.reserve("smsc", 1, 0.1, 0.0)
    assert abs(first - now) < 1
    assert second - first == pytest.approx(0.5, abs=0.01)
    world.clock.advance(60)
    assert await world.one.reserve("smsc", 1, 0.1, 0.0) == pytest.approx(world.clock.seconds(), abs=1)


@pytest_twisted.ensureDeferred
async def test_a_place_far_away_is_not_taken(world: World) -> None:
    """Whoever can't wait for it leaves it to others, and hears when to come again."""
    taken, first = await world.one.reserve_soon("relay", 2.0, 3.0)
    assert taken
    assert await world.two.reserve_soon("relay", 2.0, 3.0) == (True, pytest.approx(first + 2, abs=0.002))
    for store in (world.one, world.two):
        assert await store.reserve_soon("relay", 2.0, 3.0) == (False, pytest.approx(first + 4, abs=0.002))
    world.clock.advance(4)
    taken, _ = await world.one.reserve_soon("relay", 2.0, 3.0)
    assert taken


@pytest_twisted.ensureDeferred
async def test_the_scripts_follow_the_table(world: World) -> None:
    """Whatever three facts come, in whatever order, the store moves as status.move says and tells each report once."""
    world.one.store.max_queued = 1000
    told: dict[str, str] = {}

    async def follow(events: tuple[Event, ...]) -> tuple[str, str]:
        message = await world.leased()
        state, due = State.QUEUED, ""
        for event in events:
            after = move(state, due, event)
            result = await world.one.record_evidence(Evidence(message.id, event, "test"))
            assert result == ("moved" if after else "ignored"), events
            if after:
                state, due = after[0], due + after[1]
        assert await world.state(message) is state, events
        return message.id, due

    async def tell(job: ReportJob | None) -> None:
        while job:
            told[job.message_id] = told.get(job.message_id, "") + LETTERS[job.status]
            job = await world.one.report_heard(job)

    # Some at once, as the daemon does it, and fewer than the queue holds: one by one they wait for Redis 8,000 times.
    for two in itertools.product(Event, repeat=2):
        three = [(*two, third) for third in Event]
        found = await gatherResults([Deferred.fromCoroutine(follow(events)) for events in three])
        while jobs := await world.one.lease_reports(100):
            await gatherResults([Deferred.fromCoroutine(tell(job)) for job in jobs])
        assert told == {message_id: due for message_id, due in found if due}, three
        told.clear()


def test_a_leased_message_prints_no_content() -> None:
    """Printing what the store gives out shows ids only."""
    message = sms(ShiftedClock())
    assert "Hello" not in repr(Leased(message))


@pytest_twisted.ensureDeferred
async def test_what_waits_for_its_next_try_is_not_on_the_wire(world: World) -> None:
    """Uncertain or not: the attempt is over, and so it is while the next one was not written."""
    for uncertain in (False, True):
        message = await world.leased()
        await world.one.mark(message, "vendor", "hash")
        due = world.clock.seconds()
        await world.one.settle_again(message, due, "500", lease="", uncertain=uncertain, route="vendor")
        known = await world.one.about(message.id)
        assert (known.state, known.is_on_the_wire) == (State.UNCERTAIN if uncertain else State.QUEUED, False)
        assert [one.message.id for one in await world.one.lease_messages(message.channel, 10)] == [message.id]
        known = await world.one.about(message.id)
        assert not known.is_on_the_wire


@pytest_twisted.ensureDeferred
async def test_what_is_known_of_a_message(world: World) -> None:
    """Whose it is, its state, what was told of it, and when it was sent: when written, while nobody has answered."""
    message = await world.leased()
    known = await world.one.about(message.id)
    assert (known.uid, known.label, known.ext_user_id) == (message.uid, "amazing", "player-1")
    assert (known.state, known.queued_reports, known.sent_at) == (State.QUEUED, "", 0)
    assert not known.is_on_the_wire
    await world.one.mark(message, "world", "hash")
    known = await world.one.about(message.id)
    assert (known.state, known.address_hash) == (State.UNCERTAIN, "hash")
    assert known.is_on_the_wire
    assert known.sent_at == pytest.approx(world.clock.seconds(), abs=2)
    world.clock.advance(60)
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("x3",)))
    known = await world.one.about(message.id)
    assert (known.state, known.queued_reports) == (State.SENT, "a")
    assert not known.is_on_the_wire
    assert known.sent_at == pytest.approx(world.clock.seconds(), abs=2)
    await world.one.record_evidence(Evidence(message.id, Event.DELIVERED, "dsn"))
    assert (await world.one.about(message.id)).queued_reports == "ad"


@pytest_twisted.ensureDeferred
async def test_what_waits_longest_is_listed_and_may_be_tried_now(world: World) -> None:
    """The oldest first, with the reason; made due by an operator, and not brought back once somebody leased it."""
    old = await world.leased(uid="old")
    world.clock.advance(5)
    young = await world.leased(uid="young")
    later = world.clock.seconds() + 300
    for message in (young, old):
        await world.one.settle_again(message, later, "451")
    assert [trace.uid for trace in await world.one.longest_waiting(10)] == ["old", "young"]
    assert len(await world.one.longest_waiting(1)) == 1
    found = await world.one.waiting(old.id, Channel.SMS)
    assert found is not None
    assert abs(found.due - later) < 0.01
    assert abs(found.deadline - old.deadline) < 0.01
    assert await world.one.try_now(old.id, Channel.SMS)
    (leased,) = await world.one.lease_messages(Channel.SMS, 10)
    assert leased.message.id == old.id
    assert not await world.one.try_now(old.id, Channel.SMS)
    assert await world.one.waiting(old.id, Channel.SMS) is None
    assert await world.one.lease_messages(Channel.SMS, 10) == []


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_a_short_message_that_was_stored_with_a_digest_is_sent(world: World) -> None:
    """As versions before stored it: it is leased as it was, and nothing of what it said is left once it was taken."""
    message = sms(world.clock)
    await world.one.accept(message, "print")
    link, key = world.one._link, world.one._key("message", message.id)
    content, envelope = FIELDS["content"].short, FIELDS["envelope"].short
    await link.command("SET", world.one._key("content", "abc"), '["Hello €"]'.encode())
    await link.command("HSET", key, content, "abc", envelope, b'["Amazing",""]')
    assert [leased.message for leased in await world.one.lease_messages(Channel.SMS, 10)] == [message]
    await world.one.mark(message, "world", "hash")
    await world.one.settle_sent(message.id, Channel.SMS, Handed("world", ("r1",)))
    assert await link.command("HMGET", key, content, envelope) == [None, None]
    assert await link.command("EXISTS", world.one._key("content", "abc")) == 0
    assert await link.command("GET", world.one._key("waiting")) == b"0"
    assert await world.told() == [Report.ACCEPTED]

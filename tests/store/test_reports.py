"""Statuses on their way: their order, leases, dead letters and replays."""

import pytest
import pytest_twisted
from msgspec.structs import replace

from gatewayd.core.model import Evidence, Receipt, ReportJob
from gatewayd.core.status import Event, Report, State
from store_world import World, world

__all__ = ["world"]


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


@pytest.mark.parametrize("leased", [False, True], ids=["due", "leased"])
@pytest_twisted.ensureDeferred
async def test_the_48_hours_of_a_status_begin_anew_where_nobody_was_there_to_tell_it(
    world: World, leased: bool
) -> None:
    """All hosts were off for three days, or Redis was: it is as if it had just been queued. A short absence is none."""
    message = await world.sent("a1")
    [job] = await world.one.lease_reports(10)
    await world.one.report_again(job, world.clock.seconds() + 60, "HTTP 500")
    world.clock.advance(11 * 3600)
    await world.one.beat(first=True, dead_after=15)
    [same] = await world.one.lease_reports(10)
    assert (same.queued_at, same.attempts) == (pytest.approx(job.queued_at, abs=1), 1)
    if not leased:
        await world.one.report_again(same, world.clock.seconds() + 60, "HTTP 500")
    world.clock.advance(3 * 86400)
    for _ in range(2):
        await world.successor.beat(first=True, dead_after=15)
    await world.successor.recover("one")
    [anew] = await world.successor.lease_reports(10)
    assert anew.queued_at == pytest.approx(world.clock.seconds(), abs=60)
    assert (anew.message_id, anew.status, anew.attempts, anew.first_tried) == (message.id, Report.ACCEPTED, 0, 0.0)
    assert await world.successor.report_heard(anew) is None


def _thousands(seconds: float) -> int:
    return round(seconds / 1000)


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_a_status_is_as_old_as_what_it_says(world: World) -> None:
    """Whether it is told next, waits behind another, was heard or given up; that tells when a message was sent, too."""
    began = world.clock.seconds()
    message = await world.sent("m1")

    async def ages() -> list[tuple[Report, float, float]]:
        found = (await world.two.trace([message.id])).reports
        return [(one.status, _thousands(one.at - began), _thousands(max(one.answered_at - began, 0))) for one in found]

    assert await ages() == [(Report.ACCEPTED, 0, 0)]
    [job] = await world.one.lease_reports(10)
    world.clock.advance(1000)
    await world.one.record_receipt(Receipt("world", ("m1",), Event.DELIVERED), park=True)
    world.clock.advance(1000)
    assert await ages() == [(Report.ACCEPTED, 0, 0), (Report.DELIVERED, 1, 0)]
    after = await world.one.report_heard(job)
    assert after is not None
    world.clock.advance(1000)
    assert await ages() == [(Report.ACCEPTED, 0, 2), (Report.DELIVERED, 1, 0)]
    await world.one.report_dead(after, "no answer", waited=1, tries=1)
    await world.one.record_evidence(Evidence(message.id, Event.UNSUBSCRIBED, "page"))
    [last] = await world.one.lease_reports(10)
    world.clock.advance(1000)
    await world.one.report_dead(last, "no answer", waited=1, tries=1)
    world.clock.advance(1000)
    assert await ages() == [(Report.ACCEPTED, 0, 2), (Report.DELIVERED, 1, 0), (Report.UNSUBSCRIBED, 3, 0)]
    about = await world.one.about(message.id)
    assert about is not None
    assert _thousands(about.sent_at - began) == 0


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


@pytest.mark.parametrize("leased", [False, True], ids=["waits", "is told"])
@pytest_twisted.ensureDeferred
async def test_a_dead_report_is_told_before_what_came_after_it(world: World, leased: bool) -> None:
    """At once though a later status waits for its next try, and before it; but not before one that is being told."""
    message = await world.sent("d1")
    [job] = await world.one.lease_reports(10)
    await world.one.record_receipt(Receipt("world", ("d1",), Event.DELIVERED), park=True)
    after = await world.one.report_dead(job, "48 h", waited=172_800, tries=41)
    assert after is not None
    if not leased:
        await world.one.report_again(after, world.clock.seconds() + 3600, "HTTP 500")
    assert await world.one.retry_dead(message.id)
    if leased:
        await world.one.report_again(after, world.clock.seconds(), "HTTP 500")
    [first] = await world.one.lease_reports(10)
    assert (first.status, first.attempts) == ((Report.DELIVERED, 1) if leased else (Report.ACCEPTED, 0))
    second = await world.one.report_heard(first)
    assert second is not None
    assert (second.status, second.attempts) == (Report.ACCEPTED if leased else Report.DELIVERED, 0)
    assert await world.one.report_heard(second) is None


@pytest_twisted.ensureDeferred
async def test_dead_reports_of_before_a_moment(world: World) -> None:
    """The newest of them first, and a limit counts from there."""
    dead = []
    for name in ("d1", "d2", "d3"):
        message = await world.sent(name)
        [job] = [job for job in await world.one.lease_reports(10) if job.message_id == message.id]
        await world.one.report_dead(job, "48 h", waited=172_800, tries=41)
        dead.append(message.id)
        world.clock.advance(10)
    letters = await world.one.dead_letters(10)
    assert [letter.message_id for letter in letters] == dead[::-1]
    assert [letter.message_id for letter in await world.one.dead_letters(2)] == dead[:0:-1]
    latest = letters[0].given_up_at
    assert [letter.message_id for letter in await world.one.dead_letters(1, latest)] == [dead[1]]
    assert [letter.message_id for letter in await world.one.dead_letters(10, letters[2].given_up_at)] == []


@pytest_twisted.ensureDeferred
async def test_new_reports_are_offered(world: World) -> None:
    """With room, a new report is leased to the instance and handed to it without a look at the queue."""
    offered: list[ReportJob] = []
    world.one.feed_reports(lambda: True, offered.append)
    message = await world.sent("f1")
    assert [(job.message_id, job.status) for job in offered] == [(message.id, Report.ACCEPTED)]
    assert await world.two.lease_reports(10) == []
    assert await world.one.report_heard(offered[0]) is None


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


async def _offered(world: World) -> list[ReportJob]:
    """What is born from now on, as its process is given it."""
    offered: list[ReportJob] = []
    world.one.feed_reports(lambda: True, offered.append)
    return offered


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_what_stood_when_a_status_was_born_shortens_the_way_and_changes_nothing(world: World) -> None:
    """Heard by what its process was given, or by what Redis says, a message has the same fields in the end."""
    offered = await _offered(world)
    found = []
    for remote, given in (("s1", True), ("s2", False)):
        message = await world.sent(remote)
        await world.one.record_receipt(Receipt("world", (remote,), Event.DELIVERED), park=True)
        accepted = offered.pop()
        assert accepted.stood
        delivered = await world.one.report_heard(accepted if given else replace(accepted, stood=""))
        assert delivered is not None
        assert await world.one.report_heard(delivered) is None
        fields = await world.one.fields(message.id)
        found.append((fields["state"], fields["queued_reports"], fields["to_tell"], sorted(fields)))
    assert found[0] == found[1]
    for remote, given in (("s3", True), ("s4", False)):
        message = await world.sent(remote)
        job = offered.pop()
        assert await world.one.report_heard(job if given else replace(job, stood="")) is None
        await world.one.record_receipt(Receipt("world", (remote,), Event.DELIVERED), park=True)
        job = offered.pop()
        assert job.stood
        assert await world.one.report_heard(job if given else replace(job, stood="")) is None
        fields = await world.one.fields(message.id)
        assert [len(fields[f"report {letter}"].split()) for letter in "ad"] == [2, 2]
        found.append((fields["state"], fields["queued_reports"], fields["to_tell"], sorted(fields)))
    assert found[0] == found[2] == found[3]


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_what_stood_says_nothing_once_it_changed(world: World) -> None:
    """A status that a peer told meanwhile, or that is told for the second time, is counted by what Redis says."""
    offered = await _offered(world)
    message = await world.sent("w1")
    first = offered.pop()
    await world.one.report_again(first, world.clock.seconds(), "HTTP 500")
    [again] = await world.two.lease_reports(10)
    assert again.stood == ""
    assert await world.one.report_heard(first) is None
    fields = await world.one.fields(message.id)
    assert (fields["to_tell"], len(fields["report a"].split())) == ("", 2)
    assert await world.two.report_heard(again) is None
    assert await world.one.report_heard(first) is None
    assert (await world.one.fields(message.id))["report a"] == fields["report a"]

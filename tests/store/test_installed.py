"""What an installed 0.1.0 left in Redis is read, sent, settled, traced, erased and replayed by this version."""

import json
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Email, Evidence, Handed, Receipt
from gatewayd.core.status import Event, Report, State
from redis_server import RedisServer, ShiftedClock
from store_world import PLAYERS, World, on_redis, sms

RECORDED = Path(__file__).with_name("data") / "installed_0_1_0.json"


class Installed:
    """A Redis as 0.1.0 left it, a minute later; its former instance was called `old`."""

    def __init__(self, server: RedisServer) -> None:
        recorded = json.loads(RECORDED.read_text("utf-8"))
        self.ids: dict[str, str] = recorded["messages"]
        clock = ShiftedClock()
        clock.offset = recorded["at"] + 60 - clock.seconds()
        self.link, store = on_redis(server, clock, recorded["prefix"], "old")
        self.world = World(clock, store, store, store)
        self.store = self.world.one
        pytest_twisted.blockon(Deferred.fromCoroutine(self.load(recorded["commands"])))

    async def load(self, commands: list[list[str]]) -> None:
        """What was recorded, into an empty Redis, and the first heartbeat of the new version."""
        await self.link.command("FLUSHALL")
        for words in commands:
            await self.link.command(*words)
        await self.store.beat(first=True, dead_after=15)

    async def state(self, name: str) -> State:
        """Where a message stands."""
        known = await self.store.about(self.ids[name])
        assert known is not None
        return known.state


@pytest.fixture
def installed(redis_server: RedisServer) -> Any:
    """Of 0.1.0."""
    one = Installed(redis_server)
    yield one
    pytest_twisted.blockon(one.link.stopService())


@pytest_twisted.ensureDeferred
async def test_what_waited_goes_on(installed: Installed) -> None:
    """Queued, leased and uncertain messages are recovered with their content, marks and segments, and sent."""
    store, ids = installed.store, installed.ids
    await store.recover("old")
    await store.requeue_set_aside()
    [email] = await store.lease_messages(Channel.EMAIL, 10)
    content = email.message.content
    assert email.message.id == ids["queued email"]
    assert isinstance(content, Email)
    assert (content.subject, content.body, email.message.uid) == ("Hi €", "<p>Body</p>", "uid-0")
    assert email.message.callback_url == "https://api.smartico.ai/back?x=1"
    leased = {one.message.id: one for one in await store.lease_messages(Channel.SMS, 10)}
    assert set(leased) == {ids["leased sms"], ids["leased marked"]}
    marked = leased[ids["leased marked"]]
    assert (marked.state, marked.route) == (State.UNCERTAIN, "world")
    installed.world.clock.advance(3600)
    await store.requeue_set_aside()
    held = {one.message.id: one for one in await store.lease_messages(Channel.SMS, 10)}
    assert set(held) == {ids["uncertain segment 2 of 3"], ids["set aside"]}
    half = held[ids["uncertain segment 2 of 3"]]
    assert (half.state, half.progress) == (State.UNCERTAIN, ("r1",))
    await store.resume("amazing", Channel.SMS)
    assert await store.mark(half.message, "world", "hash-b", segments=3)
    await store.settle_sent(half.message.id, Channel.SMS, Handed("world", ("r1", "r2", "r3")))
    await store.mark(email.message, "main", "address")
    await store.settle_sent(email.message.id, Channel.EMAIL, Handed("main"))
    assert await installed.state("queued email") is State.SENT
    counts = {what: n for (_, channel, what), n in (await store.counts()).items() if channel is Channel.EMAIL}
    assert (counts["in_flight"], counts["sent"]) == (0, 1)
    assert await installed.link.command("KEYS", f"*b:{email.message.id}") == []


@pytest_twisted.ensureDeferred
async def test_receipts_and_facts_find_what_was_sent(installed: Installed) -> None:
    """By its remote id, by its number, and by our id; a receipt that waited still waits."""
    store, ids = installed.store, installed.ids
    assert await store.record_receipt(Receipt("world", ("s1",), Event.DELIVERED), park=True) == ("moved", ids["sent"])
    assert await store.latest_to(["hash-b"]) == ids["uncertain segment 2 of 3"]
    assert await store.record_evidence(Evidence(ids["delivered"], Event.UNSUBSCRIBED, "link")) == "moved"
    [parked], [] = await store.parked_receipts(10)
    assert parked.remote_ids == ("early",)
    await store.requeue_set_aside()
    told = await installed.world.told()
    assert sorted(told) == sorted([Report.ACCEPTED, Report.DELIVERED, Report.UNSUBSCRIBED])


@pytest_twisted.ensureDeferred
async def test_a_uid_is_still_taken_once(installed: Installed) -> None:
    """By the fingerprint that 0.1.0 stored."""
    again = sms(installed.world.clock, id=installed.ids["delivered"])
    assert (await installed.store.accept(again, "print"))[0] is Acceptance.SAME
    assert (await installed.store.accept(again, "other"))[0] is Acceptance.CONFLICT


@pytest_twisted.ensureDeferred
async def test_its_timeline_is_read_and_goes_on(installed: Installed) -> None:
    """Old lines and new steps in one story; each status with when it was heard."""
    store, ids = installed.store, installed.ids
    await store.record_receipt(Receipt("world", ("s1",), Event.DELIVERED, "stat:DELIVRD"), park=True)
    await store.requeue_set_aside()
    await installed.world.told()
    trace = await store.trace([ids["sent"]])
    events = [event.event for event in trace.timeline]
    assert events == ["taken", "submitting", "sent", "told", "receipt", "told"]
    assert [report.status for report in trace.reports] == [Report.ACCEPTED, Report.DELIVERED]
    assert all(0 < report.at <= report.answered_at for report in trace.reports)


@pytest_twisted.ensureDeferred
async def test_it_is_exported_replayed_and_erased(installed: Installed) -> None:
    """None of it stands in a player's list: all that is kept is looked at while any of it may be there."""
    store, ids = installed.store, installed.ids
    found = await pages(lambda cursor: store.export_some(cursor, "amazing", "player-1", hashes=[PLAYERS["player-1"]]))
    exported = {kept.trace.ext_message_id for _seen, kept_here in found for kept in kept_here}
    assert exported == set(ids.values()) - {ids["leased marked"]}
    start, end = installed.world.clock.seconds() - 3600, installed.world.clock.seconds()
    queued = await pages(lambda cursor: store.replay_some(cursor, "amazing", start, end))
    assert sum(count for (count,) in queued) == 3
    erased = await pages(lambda cursor: store.erase_some(cursor, "amazing", "player-1", hashes=[PLAYERS["player-1"]]))
    assert sum(step.removed for (step,) in erased) == 8
    trace = await store.trace([ids["delivered"]])
    assert (trace.uid, trace.ext_user_id, trace.timeline) == ("", "", ())


async def pages(step: Any) -> list[tuple[Any, ...]]:
    """Each step's answer from cursor "0" to "0"."""
    cursor, answers = "0", []
    while True:
        cursor, *answer = await step(cursor)
        answers.append(tuple(answer))
        if cursor == "0":
            return answers


@pytest_twisted.ensureDeferred
async def test_both_versions_may_share_a_redis_for_a_while(installed: Installed) -> None:
    """0.1.0 would take a message of ours off its queue and find no body: ours stand in queues that it does not know."""
    store = installed.store
    message = sms(installed.world.clock)
    await store.accept(message, "print")
    await store.requeue_set_aside()
    for key in await installed.link.command("KEYS", "*:q:*"):
        assert message.id.encode() not in await installed.link.command("ZRANGE", key, 0, -1)
    await installed.link.command("ZADD", "old:{gw}:q:email", 1, installed.ids["queued email"])
    await store.requeue_set_aside()
    [leased] = await store.lease_messages(Channel.EMAIL, 10)
    assert leased.message.id == installed.ids["queued email"]

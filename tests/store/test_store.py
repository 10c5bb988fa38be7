"""What holds for all of the store: the transition table, the counts, and when what is kept goes."""

import hashlib
import itertools

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from gatewayd.core.model import Evidence, Receipt, ReportJob
from gatewayd.core.status import LETTERS, Event, Report, State
from gatewayd.store import RedisStore
from redis_server import RedisServer, ShiftedClock
from store_world import World, on_redis, world
from transitions import move

__all__ = ["world"]


@pytest.mark.parametrize("world", ["redis"], indirect=True)
@pytest_twisted.ensureDeferred
async def test_what_is_kept_ends_but_not_too_early(world: World) -> None:
    """A dead letter outlives later statuses, a status that comes late has its 48 hours, and nothing lives for ever."""

    async def left(key: str) -> int:
        return int(await world.one._link.command("TTL", world.one._link.prefix + key))

    async def expire(key: str, seconds: int) -> None:
        await world.one._link.command("EXPIRE", world.one._link.prefix + key, seconds)

    late = await world.sent("k0")
    await world.told()
    await expire(f"m:{late.id}", 9 * 3600)
    world.clock.advance(2 * 3600)
    await world.one.record_receipt(Receipt("world", ("k0",), Event.DELIVERED), park=True)
    assert await left(f"m:{late.id}") > 48 * 3600
    await world.told()
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
    await world.one._link.command("DEL", world.one._link.prefix + m)
    await world.one.report_again(first, 0, "no answer")
    assert await left(m) == -2


@pytest.mark.parametrize("is_told_at_once", [True, False])
@pytest_twisted.ensureDeferred
async def test_a_status_has_its_48_hours_though_its_message_was_to_go_sooner(
    redis_server: RedisServer, is_told_at_once: bool
) -> None:
    """With a retention of an hour a message that was delivered goes after it; with a complaint to tell it stays."""
    clock, prefix = ShiftedClock(), RedisStore.key_prefix("sooner:")
    link, store = on_redis(redis_server, clock, prefix, "one", retention=3600.0)
    world = World(clock, store, store, store)
    message = await world.sent("k1")
    for event in (Event.DELIVERED, Event.COMPLAINED):
        await world.told()
        offered: list[ReportJob] = []
        store.feed_reports(lambda: is_told_at_once, offered.append)
        await store.record_evidence(Evidence(message.id, event, "dsn"))
        assert await link.command("TTL", f"{prefix}m:{message.id}") > 48 * 3600
        for job in offered:
            await store.report_heard(job)
    await world.told()
    assert await link.command("TTL", f"{prefix}m:{message.id}") <= 3600
    await link.stopService()
    redis_server.empty()


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

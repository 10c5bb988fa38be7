"""Redis at `maxmemory` under noeviction: only `accept` is refused; all that ends or hands over a message passes.

Run on the machine's server and the one of the `embedded` extra; $GATEWAYD_REDIS_SERVERS names further programs, by
colons: so it was tried on Redis 6.2 and 8.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from outside_ports import free_port

from conftest import missing
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import Claim
from gatewayd.core.model import AuditHead, Channel, Evidence, Handed, Receipt
from gatewayd.core.status import Event, Report, State
from gatewayd.sandbox.redis_process import embedded_server
from gatewayd.store import RedisStore
from gatewayd.store.claims import EventClaims
from gatewayd.store.lifted_guards import LiftedGuards
from gatewayd.store.link import RedisLink
from redis_server import RedisServer, ShiftedClock, until
from store_world import World, sms, spoilable

PREFIX = RedisStore.key_prefix("full:")


def _programs() -> list[str]:
    found = [shutil.which("redis-server", path=f"{os.environ['PATH']}:/usr/sbin"), embedded_server()]
    return [*filter(None, found), *filter(None, os.environ.get("GATEWAYD_REDIS_SERVERS", "").split(":"))]


@pytest.fixture(params=_programs() or [""])
def full(request: Any) -> Iterator[tuple[World, RedisLink]]:
    """A world on a Redis of its own, which can be filled."""
    if not request.param:
        missing("redis-server", "apt-get install redis-server")
    with spoilable(RedisServer(request.param), PREFIX, "--maxmemory-policy", "noeviction") as found:
        yield found


@pytest_twisted.ensureDeferred
async def test_a_full_memory_ends_what_is_there_and_takes_nothing_on(full: tuple[World, RedisLink]) -> None:
    """From mark to the last callback, evidence, the stop list, a pause, the heartbeat, recovery: each still works."""
    world, link = full
    one, two = world.one, world.two
    marked, waiting, failing, late, aside = [await world.leased() for _ in range(5)]
    await link.command("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(StoreUnavailable):
        await one.accept(sms(world.clock), "print")
    assert (await one.beat(first=True, dead_after=15))[0]
    assert await one.reserve("smsc", 1, 0.1, 0) > 0
    assert await one.mark(marked, "world", "hash", segments=2)
    await one.record_segments(marked.id, "world", ["r1"])
    assert await one.mark(marked, "world", "hash", segments=2)
    await one.settle_sent(marked.id, Channel.SMS, Handed("world", ("r1", "r2")))
    await one.settle_again(waiting, world.clock.seconds() - 1, "busy")
    [again] = await two.lease_messages(Channel.SMS, 10)
    assert await two.mark(again.message, "world", "other")
    await two.settle_again(again.message, world.clock.seconds() - 1, "no answer", uncertain=True)
    await one.make_due(Channel.SMS)
    await one.settle_final(failing, State.REJECTED, "550", "r")
    await one.pause("amazing", Channel.SMS)
    await one.set_aside(aside)
    await one.resume("amazing", Channel.SMS)
    assert await one.requeue_set_aside() == 1
    early = Receipt("world", ("r9",), Event.DELIVERED, "early")
    assert (await one.record_receipt(early, park=True))[0] == "parked"
    assert len((await one.parked_receipts(10))[0]) == 0
    for remote in ("r1", "r2"):
        last = await one.record_receipt(Receipt("world", (remote,), Event.DELIVERED), park=True)
    assert last == ("moved", marked.id)
    [job, *_others] = await one.lease_reports(10)
    await one.report_again(job, world.clock.seconds() - 1, "HTTP 500")
    assert await two.recover("one") > 0
    told = await world.told(two)
    assert sorted(told) == sorted([Report.ACCEPTED, Report.DELIVERED, Report.REJECTED])
    assert await one.record_evidence(Evidence(marked.id, Event.UNSUBSCRIBED, "link")) == "moved"
    [stopped] = await one.lease_reports(10)
    await one.report_dead(stopped, "48 h", waited=1, tries=1)
    assert await one.retry_dead(marked.id)
    await one.stop("amazing", Channel.SMS, "player", 60, owner="owner")
    assert await one.unsuppress("amazing", Channel.SMS, ["player"])
    cursor = "0"
    while cursor != "0" or late:
        cursor, step = await one.erase_some(cursor, "amazing", "player-1", hashes=["a1b2c3d4e5"])
        late = None if step.removed else late
    await link.command("CONFIG", "SET", "maxmemory", 0)
    assert (await one.accept(sms(world.clock), "print"))[0].value == "stored"


@pytest_twisted.ensureDeferred
async def test_a_ping_needs_as_much_room_as_a_message(full: tuple[World, RedisLink]) -> None:
    """Refused messages leave the last bytes free, where a small write passes; and it leaves nothing of it."""
    world, link = full

    async def heard() -> int:
        """Octets that Redis read so far."""
        info = (await link.command("INFO", "stats")).decode()
        return int(info.partition("total_net_input_bytes:")[2].split()[0])

    before = await heard()
    await world.one.ping()
    assert await heard() - before > 16_000
    assert await link.command("GET", f"{PREFIX}alive") == b"one"


@pytest_twisted.ensureDeferred
async def test_a_full_memory_refuses_no_event_and_no_verb(
    full: tuple[World, RedisLink],
) -> None:
    """What a provider brings ends a message, what an operator does makes room: both are written, and once."""
    world, link = full
    claims, guards = EventClaims(link, "boot"), LiftedGuards(link)
    await link.command("CONFIG", "SET", "maxmemory", 1)
    assert await claims.claim(["a", "b"]) == [Claim.OURS, Claim.OURS]
    assert await EventClaims(link, "other").claim(["a", "c"]) == [Claim.ANOTHERS, Claim.OURS]
    await claims.keep(["a"], 60)
    await claims.release(["b"])
    assert await claims.claim(["a", "b"]) == [Claim.DONE, Claim.OURS]
    await guards.lift("amazing", 60)
    assert await guards.lifted("amazing") > 50
    await guards.lift("amazing", 0)
    assert await guards.lifted("amazing") == 0
    await world.one.keep_audit_head("one", AuditHead("chain", 7))
    assert await world.one.audit_head("one") == AuditHead("chain", 7)
    await world.one.keep_audit_head("one", AuditHead("chain", 7, missing=2))
    assert await world.one.audit_head("one") == AuditHead("chain", 7, missing=2)
    await link.command("CONFIG", "SET", "maxmemory", 0)


@pytest_twisted.ensureDeferred
async def test_a_full_memory_still_waits_for_the_replicas() -> None:
    """With `replicas`, a message is marked only once they have it: the round that asks them is a write itself."""
    master, replica, port = RedisServer(), RedisServer(), free_port()
    await master.start("--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
    await replica.start("--replicaof", "127.0.0.1", str(port))
    clock = ShiftedClock()
    arguments = RedisStore.script_arguments("one", 20, 86400.0, "boot")
    link = RedisLink(clock, master.client(), replicas=1, jitter=lambda: 0.5, arguments=arguments, prefix=PREFIX)
    link.startService()
    world = World(clock, *[RedisStore(link, clock, "one")] * 3)

    async def is_followed() -> bool:
        try:
            await link.confirmed()
        except StoreUnavailable:
            return False
        return True

    await until(is_followed)
    message = await world.leased()
    await link.command("CONFIG", "SET", "maxmemory", 1)
    assert await world.one.mark(message, "world", "hash")
    await link.stopService()
    for server in (master, replica):
        server.remove()


def test_there_is_a_server_to_try() -> None:
    """What this file proves, it proves on a real one."""
    assert all(Path(program).is_file() for program in _programs())

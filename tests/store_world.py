"""The subject of the store's contract: two instances on one database, on the fake store and on real Redis."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from fakes import Database, FakeStopList, FakeStore
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Handed, Leased, Message, ReportJob, Sms
from gatewayd.core.status import Report, State
from gatewayd.store import RedisStore
from gatewayd.store.link import RedisLink
from gatewayd.store.stop_list import StopList
from redis_server import RedisServer, ShiftedClock

_serial = itertools.count()
_PROCESSES = (("one", "boot-1"), ("two", "boot-2"), ("one", "boot-3"))
PLAYERS = {"player-1": "a1b2c3d4e5", "player-2": "0f1e2d3c4b"}
"""Keyed hashes of their ids."""


def sms(clock: ShiftedClock, **changes: Any) -> Message:
    """A fresh SMS."""
    number = next(_serial)
    now = round(clock.seconds(), 3)
    message = Message(
        id=f"00000000-0000-4000-8000-{number:012d}",
        uid=f"uid-{number}",
        label="amazing",
        ext_user_id="player-1",
        content=Sms("Amazing", "Hello €"),
        accepted_at=now,
        deadline=now + 3600,
        callback_url="https://api.smartico.ai/back?x=1",
    )
    return replace(message, **changes)


def timeless(message: Message) -> Message:
    """It without its moments: Redis' clock keeps them, by which they come back a millisecond or two apart."""
    return replace(message, accepted_at=0.0, deadline=0.0)


class Holder:
    """A store, and the latest lease of each message that it gave out: what its process would settle with."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.leases: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def accept(
        self, message: Message, fingerprint: str, *, hears: bool = True, **changed: Any
    ) -> tuple[Acceptance, str]:
        """As IStore; a lease is remembered by the attempt's name. `hears`: the caller is told."""
        attempt = changed.setdefault("attempt", "")
        answer: tuple[Acceptance, str] = await self.store.accept(
            message, fingerprint, player_hash=PLAYERS[message.ext_user_id], **changed
        )
        if hears:
            self.store.heard(attempt)
        if answer[0] is Acceptance.LEASED:
            self.leases[message.id] = changed["attempt"]
        return answer

    async def lease_messages(self, channel: Channel, limit: int) -> list[Leased]:
        """As IStore."""
        found: list[Leased] = await self.store.lease_messages(channel, limit)
        self.leases.update((leased.message.id, leased.lease) for leased in found)
        return found

    async def mark(self, message: Message, route: str, address: str, **more: Any) -> int:
        """As IStore, with the latest lease."""
        more.setdefault("lease", self.leases.get(message.id, "none"))
        return int(await self.store.mark(message, route, address, **more))

    async def held(self, kind: str = "sms") -> dict[str, str]:
        """What it holds in that queue, each with the name of its lease: nothing is in work."""
        return dict(await self.store.leases(kind, lambda _: False))

    async def gives_back(self, *message_ids: str, unwritten: tuple[str, ...] = (), **more: Any) -> None:
        """These SMS, as it holds them."""
        held = await self.held()
        for one in message_ids:
            await self.store.release("sms", one, held.get(one, ""), unwritten=unwritten, **more)

    async def stop(self, label: str, channel: Channel, name: str, seconds: float, *, owner: str = "") -> None:
        """As IStopList.put."""
        store = self.store
        stops = FakeStopList(store) if isinstance(store, FakeStore) else StopList(store._link)
        await stops.put(label, channel, name, seconds, owner=owner)

    async def settle_again(self, message: Message, due: float, reason: str, **more: Any) -> None:
        """As IStore, with the latest lease."""
        more.setdefault("lease", self.leases.get(message.id, "none"))
        await self.store.settle_again(message, due, reason, **more)

    async def settle_final(self, message: Message, state: State, reason: str, reports: str) -> None:
        """As IStore, with the latest lease."""
        await self.store.settle_final(message, state, reason, reports, lease=self.leases.get(message.id, "none"))

    async def set_aside(self, message: Message) -> None:
        """As IStore, with the latest lease."""
        await self.store.set_aside(message, lease=self.leases.get(message.id, "none"))

    async def record_segments(self, message_id: str, route: str, remote_ids: list[str]) -> None:
        """As IStore, with the latest lease."""
        await self.store.record_segments(message_id, self.leases.get(message_id, "none"), route, remote_ids)


class World:
    """Two instances on one database, a second process under the first one's name, and the time they share."""

    def __init__(self, clock: ShiftedClock, one: Any, two: Any, successor: Any) -> None:
        self.clock, self.one, self.two, self.successor = clock, Holder(one), Holder(two), Holder(successor)

    async def leased(self, **changes: Any) -> Message:
        """A message that instance one accepted and leased."""
        message = sms(self.clock, **changes)
        assert await self.one.accept(message, "print", lease=True) == (Acceptance.LEASED, message.id)
        return message

    async def sent(self, *remote: str, **changes: Any) -> Message:
        """A message that the SMSC "world" took."""
        message = await self.leased(**changes)
        await self.one.mark(message, "world", "hash", segments=len(remote) or 1)
        await self.one.settle_sent(message.id, Channel.SMS, Handed("world", remote))
        return message

    async def told(self, store: Any = None) -> list[Report]:
        """All reports that are due, each answered at once, in order."""
        store, statuses = store or self.one, []
        jobs = await store.lease_reports(100)
        while jobs:
            job: ReportJob | None = jobs.pop(0)
            while job:
                statuses.append(job.status)
                job = await store.report_heard(job)
        return statuses

    async def state(self, message: Message) -> State:
        """What the store holds of it."""
        known = await self.one.about(message.id)
        return State(known.state)


@pytest.fixture(params=["fake", "redis"])
def world(request: Any) -> Iterator[World]:
    """The contract's subject."""
    clock = ShiftedClock()
    if request.param == "fake":
        database = Database()
        one, two, successor = (FakeStore(clock, name, database, 20, boot) for name, boot in _PROCESSES)
        yield World(clock, one, two, successor)
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    prefix = RedisStore.key_prefix(f"t{next(_serial)}:")
    links, stores = zip(*(on_redis(server, clock, prefix, *process) for process in _PROCESSES), strict=True)
    yield World(clock, *stores)
    for link in links:
        pytest_twisted.blockon(link.stopService())
    server.empty()


@pytest.fixture
def alone(redis_server: RedisServer) -> Iterator[tuple[World, RedisLink, str]]:
    """One store on real Redis, the link to look behind it, and the prefix of its keys."""
    clock, prefix = ShiftedClock(), RedisStore.key_prefix(f"t{next(_serial)}:")
    link, store = on_redis(redis_server, clock, prefix, "one")
    yield World(clock, store, store, store), link, prefix
    pytest_twisted.blockon(link.stopService())
    redis_server.empty()


@contextmanager
def spoilable(server: RedisServer, prefix: str, *options: str) -> Iterator[tuple[World, RedisLink]]:
    """A world on a Redis that is started for it, and removed behind it, and a link to it."""
    pytest_twisted.blockon(Deferred.fromCoroutine(server.start(*options)))
    clock = ShiftedClock()
    (link, one), (other, two) = (on_redis(server, clock, prefix, name, name) for name in ("one", "two"))
    yield World(clock, one, two, one), link
    for each in (link, other):
        pytest_twisted.blockon(each.stopService())
    server.remove()


def on_redis(
    server: Any, clock: ShiftedClock, prefix: str, name: str, boot: str = "boot", retention: float = 7 * 86400.0
) -> tuple[RedisLink, RedisStore]:
    """A started link, and the store of the instance called `name` on it."""
    arguments = RedisStore.script_arguments(name, 20, retention, boot)
    link = RedisLink(
        clock, server.client(), jitter=lambda: 0.5, arguments=arguments, prefix=prefix, shift=lambda: clock.offset
    )
    link.startService()
    return link, RedisStore(link, clock, name)

"""Two stores that are asked for the same: one goes the usual way of lua/usual/ where it can, the other never does.

Their clock stands still until a test moves it, in the scripts too: so both say the same to the millisecond.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted

from gatewayd.core.model import Email, Evidence, Handed, Message, Receipt, ReportJob
from gatewayd.core.status import Event
from gatewayd.store import RedisStore
from gatewayd.store.calls import Script
from gatewayd.store.link import RedisLink
from gatewayd.store.scripts import all_scripts
from redis_server import RedisServer, ShiftedClock
from store_world import sms

MORNING = 1_800_000_000.0
"""Seconds since the epoch."""

_ALL = """
local found, read = {}, {hash = {'HGETALL'}, string = {'GET'}, zset = {'ZRANGE', 0, -1, 'WITHSCORES'},
  list = {'LRANGE', 0, -1}, set = {'SMEMBERS'}}
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
  local kind = redis.call('TYPE', key).ok
  local command = {unpack(read[kind])}
  table.insert(command, 2, key)
  found[#found + 1] = {key, kind, redis.call('TTL', key), redis.call(unpack(command))}
end
return found
"""


_AGE = """
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
end
"""


class StillClock(ShiftedClock):
    """It stands, and is pushed; timers are real."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = MORNING

    def seconds(self) -> float:
        """As it was pushed."""
        return self.offset


class StillLink(RedisLink):
    """Its server has that clock."""

    async def time(self) -> tuple[int, int]:
        """As RedisLink."""
        return divmod(int(self._shift() * 1_000_000), 1_000_000)


class StillStore(RedisStore):
    """One whose scripts read no clock: what a test adds to it is the moment."""

    def __init__(self, link: RedisLink, clock: Any, instance: str, *, usual: bool) -> None:
        super().__init__(link, clock, instance)
        self._scripts = {
            name: Script(name, script.source.decode().replace("call('TIME')", "{0, 0}"))
            for name, script in all_scripts(usual=usual).items()
        }


class Process:
    """One that gets messages to their end, and what it has to tell by now."""

    def __init__(self, server: RedisServer, prefix: str, *, usual: bool) -> None:
        self.clock = StillClock()
        self.links: list[StillLink] = []
        self.store = self._store("one", server, prefix, usual=usual)
        self.peer = self._store("two", server, prefix, usual=usual)
        self.link = self.links[0]
        self.to_tell: list[ReportJob] = []

    def _store(self, name: str, server: RedisServer, prefix: str, *, usual: bool) -> StillStore:
        prefix = RedisStore.key_prefix(prefix)
        self.links.append(
            StillLink(
                self.clock,
                server.client(),
                jitter=lambda: 0.5,
                arguments=RedisStore.script_arguments(name, 20, 7 * 86400.0, f"boot of {name}"),
                prefix=prefix,
                shift=self.clock.seconds,
            )
        )
        self.links[-1].startService()
        return StillStore(self.links[-1], self.clock, name, usual=usual)

    def tells(self, has_room: bool) -> None:
        """Whether it is given what is to be told at once."""
        self.store.feed_reports(lambda: has_room, self.to_tell.append)

    async def accept(self, message: Message, attempt: str = "1") -> None:
        """And lease it."""
        await self.store.accept(message, "print", player_hash="a1b2c3d4", lease=True, attempt=attempt)
        self.store.heard(attempt)

    async def mark(
        self, message: Message, route: str = "world", lease: str = "1", segments: int = 1, to: str = "number"
    ) -> None:
        """For that way."""
        await self.store.mark(message, route, to, lease=lease, segments=segments, stop_hashes=(to,))

    async def take(self, message: Message, route: str = "world", *remote: str, detail: str = "") -> None:
        """The next hop took it."""
        await self.store.settle_sent(message.id, message.channel, Handed(route, remote, detail))

    async def bring(
        self, remote: str, event: Event | None, text: str = "stat:X err:000", number: str = "number"
    ) -> None:
        """A receipt."""
        await self.store.record_receipt(Receipt("world", (remote,), event, text, number), park=True)

    async def prove(self, message: Message, event: Event, detail: str = "") -> None:
        """Evidence."""
        await self.store.record_evidence(Evidence(message.id, event, "dsn", detail))

    async def hear(self) -> None:
        """The callbacks of all that is to be told were answered."""
        jobs, self.to_tell[:] = self.to_tell[:], []
        for job in jobs or await self.store.lease_reports(100):
            next_job: ReportJob | None = job
            while next_job:
                next_job = await self.store.report_heard(next_job)

    async def age(self, seconds: float) -> None:
        """So much later, or earlier where its clock is set back, also by what Redis forgets."""
        self.clock.advance(seconds)
        await self.link.command("EVAL", _AGE, 1, self.link.prefix, round(seconds * 1000))

    async def holds(self) -> dict[bytes, Any]:
        """All that stands in Redis, and in how many seconds it goes."""
        found: dict[bytes, Any] = {}
        prefix = self.link.prefix
        for key, kind, lasts, value in await self.link.command("EVAL", _ALL, 1, prefix):
            if kind in (b"hash", b"zset"):
                value = dict(zip(value[::2], value[1::2], strict=True))
            elif kind == b"set":
                value = set(value)
            found[key.removeprefix(prefix.encode())] = value, pytest.approx(lasts, abs=60)
        return found


@pytest.fixture
def both(redis_server: RedisServer) -> Iterator[tuple[Process, Process]]:
    """The one that goes the usual way where it can, and the one that never does."""
    pair = Process(redis_server, "usual:", usual=True), Process(redis_server, "longer:", usual=False)
    yield pair
    for link in (link for one in pair for link in one.links):
        pytest_twisted.blockon(link.stopService())
    redis_server.empty()


def email(text: str) -> Message:
    """One that says this, with a subject that goes into several fields."""
    content = Email("news@amazing.co", "The offer of the week, and what else you may win. " * 2, body=text)
    return sms(StillClock(), content=content)

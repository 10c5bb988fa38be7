"""What INFO and TIME say against a Redis that we run on."""

import math
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from gatewayd.core.errors import StoreUnavailable
from gatewayd.store import RedisStore
from gatewayd.store.condition import Condition, clocks_apart, fields, troubles
from redis_server import RedisServer, ShiftedClock
from store_world import on_redis, sms

GOOD = {"aof_enabled": "1", "maxmemory_policy": "noeviction", "aof_last_write_status": "ok"}


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"aof_enabled": "0"}, "persistence"),
        ({"maxmemory_policy": "allkeys-lru"}, "eviction"),
        ({"aof_last_write_status": "err"}, "disk"),
    ],
)
def test_a_setting_that_loses_messages_is_named(changed: dict[str, str], name: str) -> None:
    """One text for each, which says that all labels are hit."""
    (found,) = troubles(GOOD | changed)
    assert (found.kind, found.name) == ("redis", name)
    assert "all labels" in found.text


def test_keys_that_were_thrown_away_are_counted() -> None:
    """That it may happen and that it happens are two things to whoever is called at night."""
    evicting = GOOD | {"maxmemory_policy": "allkeys-lru"}
    (may,) = troubles(evicting | {"evicted_keys": "0"})
    (does,) = troubles(evicting | {"evicted_keys": "832"})
    assert "may throw" in may.text
    assert "throws keys away, 832 so far" in does.text
    assert list(troubles(GOOD | {"evicted_keys": "832"})) == []


class Told:
    """Of a link what Condition asks: INFO and TIME."""

    foreign_at = -math.inf
    prefix = "p:"

    def __init__(self) -> None:
        self.policy = ""

    async def command(self, word: str) -> Any:
        """The reply; the clock is right."""
        return f"maxmemory_policy:{self.policy}\r\n".encode() if word == "INFO" else (b"100", b"0")


def test_the_log_has_each_trouble_once_until_it_is_over() -> None:
    """Whoever reads nothing but the log learns that a setting of Redis' loses messages."""
    link: Any = Told()
    condition = Condition(Clock(), link, "gw1", lambda: 100.0)
    with capturedLogs() as events:
        for link.policy in ("allkeys-lru", "allkeys-lru", "noeviction", "volatile-ttl", "noeviction"):
            Deferred.fromCoroutine(condition.look())
    said = [formatEvent(event).partition(" (")[2] for event in events]
    assert said == [f"maxmemory-policy {policy}, not noeviction)" for policy in ("allkeys-lru", "volatile-ttl")]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("counts", "another program wrote keys of ours in Redis: PREFIXcounts, which is a list and no hash; "),
        ("H:sms:one", "another program wrote keys of ours in Redis: PREFIXH:sms:one, which is a list and no set; "),
        ("rate:smsc:w", "another program wrote keys of ours in Redis: one or some under PREFIX; "),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_key_that_another_program_wrote_is_named_for_as_long_as_it_hinders(
    redis_server: RedisServer, key: str, said: str
) -> None:
    """What meets it waits or is refused, and a queue that stood still said nothing of it."""
    server, clock = redis_server, ShiftedClock()
    prefix = RedisStore.key_prefix(f"foreign:{key}:")
    link, _ = on_redis(server, clock, prefix, "one", "boot")
    store, condition = RedisStore(link, clock, "one"), Condition(clock, link, "one", clock.seconds)
    try:
        await link.command("RPUSH", prefix + key, "theirs")
        await condition.look()
        assert not [one for one in condition.degraded() if one.name == "foreign"]
        asking = store.reserve("smsc:w", 1, 1.0, 1.0) if "rate" in key else store.accept(sms(clock), "f", lease=True)
        with pytest.raises(StoreUnavailable):
            await asking
        with capturedLogs() as events:
            for _ in range(2):
                await condition.look()
        (found,) = [one.text for one in condition.degraded() if one.name == "foreign"]
        assert found.startswith(said.replace("PREFIX", prefix))
        assert [formatEvent(event) for event in events if "another program" in formatEvent(event)] == [found]
        clock.advance(60)
        await condition.look()
        assert not [one for one in condition.degraded() if one.name == "foreign"]
    finally:
        await link.command("FLUSHALL")
        await link.stopService()


def test_a_good_redis_and_one_that_tells_nothing_are_not_accused() -> None:
    """What was not read is not claimed."""
    assert list(troubles(GOOD)) == []
    assert list(troubles({})) == []


def test_info_is_read_by_its_names() -> None:
    """Sections and blank lines are none."""
    assert fields(b"# Memory\r\nmaxmemory_policy:noeviction\r\n\r\n") == {"maxmemory_policy": "noeviction"}


@pytest.mark.parametrize(("theirs", "off"), [(100.0, 0), (104.9, 0), (112.0, 7), (90.0, 10), (98.1, 0)])
def test_a_clock_is_off_only_past_the_time_that_asking_took(theirs: float, off: int) -> None:
    """Redis read its clock at some moment between 100 and 105 of ours: what that can explain is no fault."""
    found = list(clocks_apart("gw1", theirs, 100.0, 105.0))
    assert [f"{off} s apart" in one.text and one.name == "gw1" for one in found] == ([True] if off else [])

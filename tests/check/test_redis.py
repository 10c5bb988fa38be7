"""What Redis says of itself, and whether it keeps what it is given."""

import pytest

from gatewayd.check import FAIL, OK, WARN
from gatewayd.check import redis as redis_check


def test_the_commands_that_the_store_needs() -> None:
    """By its scripts, and those that are asked without one."""
    assert {"DEL", "EVALSHA", "PEXPIRE", "SCAN", "SREM", "ZADD"} <= set(redis_check.needed())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, [OK, OK, OK]),
        ({"appendonly": "no"}, [FAIL, OK]),
        ({"appendfsync": "no"}, [OK, WARN, OK]),
        ({"maxmemory-policy": "allkeys-lru"}, [OK, OK, FAIL]),
        ({"appendonly": "", "appendfsync": "", "maxmemory-policy": ""}, [WARN, WARN, WARN]),
    ],
)
def test_settings_that_lose_messages_fail(settings: dict[str, str], words: list[str]) -> None:
    """No persistence and eviction lose accepted messages; what can't be read is for a person to look at."""
    good = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "maxmemory": "0"}
    assert [finding.word for finding in redis_check.judge("7.0.15", good | settings)] == words


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"role": "master", "maxmemory": "0", "used_memory": "9", "aof_last_write_status": "ok"}, []),
        ({"maxmemory": "10", "used_memory": "9", "maxmemory_policy": "noeviction"}, []),
        ({"maxmemory": "10", "used_memory": "11", "maxmemory_policy": "noeviction"}, [FAIL]),
        ({"role": "slave"}, [FAIL]),
        ({"aof_last_write_status": "err"}, [FAIL]),
        ({"rdb_last_bgsave_status": "err"}, [WARN]),
    ],
)
def test_a_redis_that_takes_no_writes_fails(about: dict[str, str], words: list[str]) -> None:
    """It answers PING all the same: full memory, a full disk, and a replica are seen in its INFO."""
    assert [finding.word for finding in redis_check.refusals(about)] == words


def test_an_old_redis_fails() -> None:
    """Its scripts would fail one by one later."""
    good = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "maxmemory": "0"}
    assert redis_check.judge("5.0.3", good)[0].word == FAIL


@pytest.mark.parametrize(
    ("followers", "wanted", "sentinels", "words"),
    [
        ("0", 0, False, []),
        ("2", 0, False, [OK]),
        ("2", 1, True, [OK]),
        ("2", 0, True, [WARN]),
        ("0", 1, True, [FAIL]),
        ("", 2, False, [FAIL]),
    ],
)
def test_replicas_that_each_promise_waits_for_are_counted(
    followers: str, wanted: int, sentinels: bool, words: list[str]
) -> None:
    """Too few, and every request gets code 10; a failover without any may lose what was promised."""
    found = redis_check.replication({"connected_slaves": followers}, wanted, sentinels=sentinels)
    assert [finding.word for finding in found] == words

"""What INFO and TIME say against a Redis that we run on."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from gatewayd.store.condition import Condition, clocks_apart, fields, troubles

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

    def __init__(self) -> None:
        self.policy = ""

    async def command(self, word: str) -> Any:
        """The reply; the clock is right."""
        return f"maxmemory_policy:{self.policy}\r\n".encode() if word == "INFO" else (b"100", b"0")


def test_the_log_has_each_trouble_once_until_it_is_over() -> None:
    """Whoever reads nothing but the log learns that a setting of Redis' loses messages."""
    link: Any = Told()
    condition = Condition(link, "gw1", lambda: 100.0)
    with capturedLogs() as events:
        for link.policy in ("allkeys-lru", "allkeys-lru", "noeviction", "volatile-ttl", "noeviction"):
            Deferred.fromCoroutine(condition.look())
    said = [formatEvent(event).partition(" (")[2] for event in events]
    assert said == [f"maxmemory-policy {policy}, not noeviction)" for policy in ("allkeys-lru", "volatile-ttl")]


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

"""What INFO and TIME say against a Redis that we run on."""

import pytest

from gatewayd.store.condition import clocks_apart, fields, troubles

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

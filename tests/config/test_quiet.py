"""Quiet hours by the clocks of a time zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gatewayd.config.times import QuietHours

LONDON = "Europe/London"
NIGHT = QuietHours(22 * 60, 8 * 60)
NOON = QuietHours(12 * 60, 13 * 60 + 30)


def at(text: str, zone: str = LONDON) -> float:
    """A moment by a zone's clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        (NIGHT, "2026-01-10T21:59:59", ""),
        (NIGHT, "2026-01-10T22:00:00", "2026-01-11T08:00"),
        (NIGHT, "2026-01-10T23:30:00", "2026-01-11T08:00"),
        (NIGHT, "2026-01-11T00:00:00", "2026-01-11T08:00"),
        (NIGHT, "2026-01-11T07:59:59", "2026-01-11T08:00"),
        (NIGHT, "2026-01-11T08:00:00", ""),
        (NIGHT, "2026-12-31T22:00:00", "2027-01-01T08:00"),
        (NOON, "2026-01-10T11:59:59", ""),
        (NOON, "2026-01-10T12:00:00", "2026-01-10T13:30"),
        (NOON, "2026-01-10T13:30:00", ""),
        # The nights on which the clocks are changed are an hour shorter, and longer.
        (NIGHT, "2026-03-28T22:00:00", "2026-03-29T08:00"),
        (NIGHT, "2026-10-24T22:00:00", "2026-10-25T08:00"),
        (QuietHours(60, 90), "2026-10-25T01:15:00", "2026-10-25T01:30"),
        (QuietHours(0, 60 + 30), "2026-03-29T00:30:00", "2026-03-29T02:30"),
    ],
)
def test_when_quiet_hours_end(hours: QuietHours, now: str, until: str) -> None:
    """Over midnight or not; at their end they are over."""
    assert hours.until(LONDON, at(now)) == (at(until) if until else 0.0)


def test_an_end_that_the_clocks_show_twice_is_waited_for_twice() -> None:
    """The clocks go back at two, and it is a quarter past one again: the next look is at the end, not in a second."""
    again = datetime(2026, 10, 25, 1, 15, tzinfo=ZoneInfo(LONDON), fold=1).timestamp()
    assert QuietHours(22 * 60, 90).until(LONDON, again) == again + 15 * 60
    assert QuietHours(22 * 60, 90).until(LONDON, again + 15 * 60) == 0.0


def test_the_zone_counts() -> None:
    """The same moment is night here and day there."""
    now = at("2026-01-10T23:00")
    assert NIGHT.until("Asia/Tokyo", now) == 0.0
    assert NIGHT.until("UTC", now) == at("2026-01-11T08:00")
    assert str(NIGHT) == "22:00-08:00"

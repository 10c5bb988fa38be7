"""Lengths of time, rates, quotas, quiet hours and time zones, as gatewayd.toml and gatewayctl write them.

A wrong value is a ValueError whose text goes on behind the key's path.
"""

import re
from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator

LONGEST = 3653 * 86400.0
"""Seconds of the longest time in the file: what is reckoned in days or milliseconds stays within reach."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DAY = 24 * 60  # minutes
_PER = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_in(value: object) -> float:
    """`value`, a number and its unit, in seconds, however many they are."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('is not a time such as "30s", "4h" or "7d"')
    return float(match[1]) * _UNITS[match[2]]


def duration(value: object) -> float:
    """`value` in seconds."""
    seconds = seconds_in(value)
    if seconds > LONGEST:
        raise ValueError("is longer than ten years (3653d)")
    return seconds


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be longer than zero")
    return value


def _rate(value: object) -> float:
    if value == "":
        return 0.0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)/(s|m|min|h)", value) if isinstance(value, str) else None
    if match is None or not float(match[1]):
        raise ValueError('is not a rate such as "100/s" (or "" for no limit)')
    return float(match[1]) / _PER[match[2]]


_SPAN = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class Quota(Struct, frozen=True):
    """So many in so many seconds, as "6000/m"; `text` is how it was written."""

    count: float
    seconds: float
    text: str = ""

    def __str__(self) -> str:
        return self.text


def _quota(value: object) -> Quota | None:
    if value is None or isinstance(value, Quota):
        return value
    if not _rate(value):
        return None
    count, _, unit = str(value).partition("/")
    return Quota(float(count), _PER[unit], str(value))


class QuietHours(Struct, frozen=True):
    """Players are left alone from `begin` to `end` (minutes after midnight); over midnight where `end` is smaller."""

    begin: int
    end: int

    @property
    def seconds(self) -> float:
        """How long they last, but on a day on which the clocks are changed."""
        return (self.end - self.begin) % _DAY * 60.0

    def until(self, zone: str, now: float) -> float:
        """When the quiet hours end that `now` lies in (seconds since the epoch), 0 where it lies in none.

        By the clocks of `zone` (an IANA name): on the day on which they are changed the hours are as long as these
        clocks say.
        """
        clocks = ZoneInfo(zone)
        here = datetime.fromtimestamp(now, clocks)
        minute = here.hour * 60 + here.minute
        if not (minute - self.begin) % _DAY < (self.end - self.begin) % _DAY:
            return 0.0
        end = here.replace(hour=self.end // 60, minute=self.end % 60, second=0, microsecond=0, fold=0)
        if self.end <= minute:
            end += timedelta(days=1)
        if end.timestamp() <= now:
            # These clocks were set back, and show the end a second time.
            end = end.replace(fold=1)
        return max(end.timestamp(), now + 1.0)

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.begin, self.end))


def _quiet_hours(value: object) -> QuietHours | None:
    if value is None or isinstance(value, QuietHours):
        return value
    if value == "":
        return None
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is None or match.group(1, 2) == match.group(3, 4):
        raise ValueError('is not a span of hours such as "22:00-08:00" (or "" for none)')
    return QuietHours(int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4]))


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError('is not the name of a time zone such as "Europe/London"') from None
    return value


Duration = Annotated[float, BeforeValidator(duration), AfterValidator(_positive)]
Rate = Annotated[float, BeforeValidator(_rate)]
QuotaOrNone = Annotated[Quota | None, BeforeValidator(_quota)]
QuietHoursOrNone = Annotated[QuietHours | None, BeforeValidator(_quiet_hours)]
Zone = Annotated[str, AfterValidator(_zone)]

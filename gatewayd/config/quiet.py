"""Quiet hours: from one time of day to another in a time zone, in which players are left alone. Pure."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

_DAY = 24 * 60


class QuietHours(Struct, frozen=True):
    """From `begin` to `end`, in minutes after midnight; over midnight where `end` is the smaller."""

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

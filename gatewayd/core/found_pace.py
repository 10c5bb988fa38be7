"""The pace that a next hop bears where no rate is configured: found by trying, as TCP finds a way's.

Pure: time is an argument. A refusal is a measure of the pace only while the way was loaded, and only where it accepted
something at that pace; else it says "wait a moment", and nothing of what an idle way carried lately is a limit.

- Refused while loaded: the pace goes on below what was carried then, and climbs slowly for `NEAR` seconds.
- Refused while idle, or again before anything was accepted: it begins at `START` and doubles each second, up to the
  pace that was found before, if one was.
- Not refused for `NEAR` seconds at or above a found pace: it doubles each second from there, until it is forgotten.

So whatever came before, at most `NEAR` and some seconds after the last refusal there is no limit any more, and a next
hop that bears less refuses a few in some seconds.
"""

import math

START = 2.0
"""Submits a second after a refusal that measured nothing."""

SLOWEST = 0.2
"""Submits a second. What bears less is waited for by pauses: a moment that is minutes away comes too late."""

NEAR = 20.0
"""Seconds in which a pace that was found is kept to but for a slow climb."""

LOADED = 10.0
"""Submits within a second that load a way which has no limit yet."""

FEW = 2.0
"""Submits a second that are too few to be counted in one second."""

FORGOTTEN = 1000.0
"""Submits a second from which on a found pace is no limit any more, or four times that pace if that is more."""

NO_LIMIT = 0.0


class FoundPace:
    """Submits a second at each moment; `since` is when the pause after the latest refusal ends."""

    def __init__(self) -> None:
        self._begin = NO_LIMIT  # the pace at the end of the pause
        self._found = math.inf  # the pace that a refusal measured
        self._climb = 0.0  # of `_found`, each second

    def now(self, since: float, now: float) -> float:
        """The limit at this moment, or `NO_LIMIT`, which stays until the next refusal."""
        pace = self.at(since, now)
        if pace == NO_LIMIT:
            self.forget()
        return pace

    def at(self, since: float, when: float) -> float:
        """The limit at that moment if nothing is refused until then, or `NO_LIMIT`."""
        if not self._begin:
            return NO_LIMIT
        passed = max(0.0, when - since)
        doubling = math.log2(self._found / self._begin) if self._found < math.inf else math.inf
        if passed < doubling:
            pace: float = self._begin * 2.0 ** min(passed, 64.0)
        else:
            near = min(passed - doubling, NEAR)
            pace = self._found * (1 + self._climb * near) * 2.0 ** min(passed - doubling - near, 64.0)
        forgotten = FORGOTTEN if self._found == math.inf else max(FORGOTTEN, 4 * self._found)
        return pace if pace < forgotten else NO_LIMIT

    def refused(self, pace: float, carried: float, *, accepted: bool, share: float, climb: float) -> None:
        """Refused at `pace` (`NO_LIMIT` for none), after `carried` a second were let go.

        `accepted`: it accepted something since it refused the last one. Where that is a measure, `share` of what
        was carried is the pace now, and `climb` of that is won back each second.
        """
        if pace:
            # Of so few a second, one more or less says nothing.
            carried = min(carried, pace) if pace > FEW else pace
        if accepted and carried >= (LOADED if pace == NO_LIMIT else min(LOADED, pace / 2)):
            self._begin = self._found = max(SLOWEST, carried * share)
            self._climb = climb
        else:
            self._begin = min(START, self._found)

    def forget(self) -> None:
        """No limit from now on."""
        self._begin, self._found = NO_LIMIT, math.inf

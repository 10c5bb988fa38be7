"""One callback host as one kind of caller sees it: who may ask it at this moment, and whether it is worth asking.

Owns the slots and the line before them, how many of them the host takes, when it is left alone, and when those who are
turned away come again. Must not know what an answer means.
"""

from collections.abc import Callable, Collection

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.retry import LINK, Backoff
from gatewayd.core.slots import Slot, Slots
from gatewayd.http_client.answers import AnswerReader
from gatewayd.http_client.origin import Origin
from gatewayd.http_client.public_only import PublicOnly
from gatewayd.http_client.requests import host_header, request

log = Logger(namespace="gatewayd.callbacks")

PATIENCE = 0.5
"""Seconds that somebody may wait for a slot; where it looks longer from the beginning, they come again later."""

LONGEST_LINE = 1_000

IN_A_ROW = 5
"""Failures after which a host is only probed, by one request at a time."""

CALM_ROUNDS = 8
"""Times as many answers as it takes requests, after which a host that turned one down is asked for one more at a time.
Each round after that tries another, until it turns one down again."""

APART = 0.005
"""Seconds between two who were turned away and come again, so that it costs little however many they are."""

FARTHEST = 1_800.0
"""Seconds within which they come again."""

MOST_TURNED_AWAY = 100_000
"""So many are told once the host is up again; past that, they come when they were told to."""

_SOONEST = 0.25  # seconds until one who is turned away comes again, at least
_ACCEPT = (("Accept", "application/json"),)


class CallbackHost:
    """`limit` GETs at a time over kept connections, each bounded by `timeout` seconds as a whole.

    A host that turns connections down while it answers on others is asked less at a time, by and by more again.
    `who` is what it is called. `trouble` is why the latest try failed, "" where it did not; `left_at` is when a slot
    was last given back, or first used (seconds since the epoch).
    """

    def __init__(
        self,
        clock: IReactorTime,
        jitter: Callable[[], float],
        connections: Origin,
        guard: PublicOnly | None,
        netloc: str,
        limit: int,
        timeout: float,
        who: str,
    ) -> None:
        self.connections = connections
        self.trouble = ""
        self.left_at = 0.0
        self._clock = clock
        self._guard = guard
        self._netloc = netloc
        self._who = who
        self._host_header = host_header(netloc)
        self._timeout = timeout
        self._limit = limit
        self._slots = Slots(clock, limit, PATIENCE, self._turned_away)
        self._answers_until_more = 0  # while fewer than `limit` are asked at a time
        self._probing: Slot | None = None
        self._answer_takes = 0.0  # smoothed seconds
        self._failures = 0
        self._left_alone = Backoff(LINK, jitter)
        self._latest_return = 0.0  # the moment that was given last to one who was turned away
        self._askers: set[str] = set()

    @property
    def down(self) -> bool:
        """Whether it failed so often in a row that it is only probed."""
        return self._failures >= IN_A_ROW

    @property
    def idle(self) -> bool:
        """Whether nobody asks it and no connection to it is open."""
        return not self.connections.connections and not self._slots.used and self._probing is None

    async def slot(self) -> Slot:
        """The right to ask once, at once or after a short wait; released in the end, whatever came of it.

        Raises TemporaryFailure, uncounted, where waiting is no use.
        """
        now = self._clock.seconds()
        if self.down:
            if self._probing is not None or now < self._left_alone.until:
                raise self._turned_away()
            # A probe needs no other's slot: all may be used up by requests that hang.
            self._probing = Slot(self._probed)
            return self._probing
        if not self._slots.used:
            self.left_at = now
        slot = self._slots.take_now()
        if slot is not None:
            return slot
        waiting = self._slots.waiting
        near = self._answer_takes * (waiting + 1) / self._slots.limit <= PATIENCE and now - self.left_at <= PATIENCE
        if not near or waiting >= LONGEST_LINE:
            raise self._turned_away()
        return await self._slots.take()

    async def ask(self, path: str) -> AnswerReader:
        """One GET on a kept or a new connection."""
        begun = self._clock.seconds()
        try:
            connection = await self.connections.connection()
            octets = request("GET", path, self._host_header, _ACCEPT, has_body=False)
            answer = await connection.ask(octets, begun + self._timeout)
        finally:
            self.left_at = self._clock.seconds()
        self._answer_takes += (self.left_at - begun - self._answer_takes) / 8
        return answer

    def close(self) -> list[Deferred[None]]:
        """Close its connections, and send away who waits for one; each Deferred fires when one is closed."""
        self._slots.fail(self._turned_away)
        return self.connections.close()

    def hides_addresses(self) -> bool:
        """Whether the name was ever found at a private address that may not be asked."""
        return self._guard is not None and self._guard.hidden > 0

    def remember(self, asker: str) -> None:
        """Note one who is turned away while it is down. Past a limit nobody is: they come when they were told to."""
        if asker and self.down and len(self._askers) < MOST_TURNED_AWAY:
            self._askers.add(asker)

    def answered(self) -> Collection[str]:
        """It answered, whatever it said: it is up. Gives whom it had turned away."""
        if self.down:
            log.info("{who} {host} is up again", who=self._who, host=self._netloc)
        self.trouble = ""
        if self._failures:
            self._failures = 0
            self._left_alone.worked()
            self._latest_return = 0.0
            # An outage ends all connections, one by one: that said nothing of how many it takes.
            self._slots.limit = self._limit
        elif self._slots.limit < self._limit:
            self._count_towards_more()
        turned_away, self._askers = self._askers, set()
        return turned_away

    def takes_fewer(self, reason: str) -> bool:
        """A connection was refused or dropped: whether others are being answered, so that it is no sign of an outage.

        Then it takes fewer at a time than it was asked: half, or as many as it answers now.
        """
        answered_now = len(self.connections.connections) - len(self.connections.idle)
        if self.down or answered_now <= 0:
            return False
        before = self._slots.limit
        if before == self._limit:
            log.info(
                "{who} {host} takes fewer connections at a time than {limit}: {reason}",
                who=self._who,
                host=self._netloc,
                limit=before,
                reason=reason,
            )
        fewer = min(before, max(before // 2, answered_now))
        self._slots.limit = fewer
        self._answers_until_more = CALM_ROUNDS * fewer
        return True

    def comes_again_at(self) -> float:
        """When one who is turned away may come again: one behind the other (seconds since the epoch)."""
        first = max(self._clock.seconds() + _SOONEST, self._left_alone.until)
        self._latest_return = max(self._latest_return + APART, first)
        if self._latest_return > first + FARTHEST:
            self._latest_return = first
        return self._latest_return

    def failed(self, reason: str) -> None:
        """It could not be asked, or did not answer."""
        now = self._clock.seconds()
        self._failures += 1
        self.trouble = reason
        # Several requests fail together: only the first of them makes the back-off grow.
        if self.down and now >= self._left_alone.until:
            if not self._left_alone.until:
                log.warn(
                    "{who} {host} is left alone for a while: {reason}",
                    who=self._who,
                    host=self._netloc,
                    reason=reason,
                )
            self._left_alone.failed(now)
            self._slots.fail(self._turned_away)

    def _probed(self) -> None:
        self._probing = None

    def _turned_away(self) -> TemporaryFailure:
        state = "down" if self.down else "busy"
        return TemporaryFailure(f"{self._who} is {state}", not_before=self.comes_again_at(), counts=False)

    def _count_towards_more(self) -> None:
        self._answers_until_more -= 1
        if self._answers_until_more <= 0:
            self._slots.limit += 1
            self._answers_until_more = self._slots.limit

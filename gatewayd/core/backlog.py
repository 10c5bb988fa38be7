"""Who may wait in memory for one SMSC or provider, who goes ahead of others, and when the rest comes again.

What is beyond the backlog waits in the store. Knows the pace, no connection and no text.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.pace import Pace
from gatewayd.core.sent_back import SentBack
from gatewayd.core.throttle import LONGEST_PAUSE

LONGEST = 2.0
"""Seconds' worth of submits that may wait in memory for one next hop."""

AT_LEAST = 1000
"""So many may wait where that is less than `LONGEST` seconds' worth."""

FARTHEST, FARTHEST_UNRATED = 600.0, 30.0
"""Seconds over which messages beyond the backlog are spread at most: with a rate, and where we only guess one.

Each message that goes back costs the store two steps, so that a hundred thousand must not come back every minute.
"""

GUESSED_RATE = 100.0
"""Submits a second that we expect of a next hop without a rate that has not answered yet."""


class Backlog:
    """That of the next hop `name`, which is given `what` (submits, messages) at this pace.

    `send_away` is given what makes the failure of each who waits for a window or connection.
    """

    def __init__(
        self,
        clock: IReactorTime,
        name: str,
        what: str,
        pace: Pace,
        jitter: Callable[[], float],
        send_away: Callable[[Callable[[], TemporaryFailure]], None],
    ) -> None:
        self._clock = clock
        self._name = name
        self._what = what
        self._pace = pace
        self._jitter = jitter
        self._send_away = send_away
        self._sent_back = SentBack()
        self._latest = 0.0  # the moment that was given out last

    def goes_ahead(self, message_id: str) -> bool:
        """Whether the next hop put it off: it was at the head of the queue, and comes back to it. Asked once a try."""
        return self._sent_back.goes_ahead(message_id)

    def check(self, waiting: int, throughput: Callable[[], tuple[float, int]]) -> None:
        """Raises TemporaryFailure where one more would be too many; `waiting` are before the windows already.

        `throughput` gives the mean time of an answer in seconds, 0 where none came yet, and how many may be unanswered.
        """
        delay = self._pace.delay(waiting + self._pace.waiting)
        if not waiting and delay <= LONGEST:
            return
        latency, window = throughput()
        again = self._come_again_at(waiting, delay, latency, window)
        if again is not None:
            reason = f"{self._name} is busy: {self._pace.why_busy(waiting, self._what)}"
            raise TemporaryFailure(reason, not_before=again, counts=False)

    def _come_again_at(self, waiting: int, delay: float, latency: float, window: int) -> float | None:
        """When a message has to come again that would be one too many; None where it may wait.

        Beyond the backlog each gets a moment, one behind the other. By the configured rate, not by today's: a throttled
        hour must not put them off past their deadline.
        """
        now, rate = self._clock.seconds(), self._pace.rate
        if waiting and window:
            delay = max(delay, waiting * latency / window)
        if delay <= LONGEST and waiting <= max(AT_LEAST, int(LONGEST * rate)):
            return None
        speed = rate or (window / latency if latency else GUESSED_RATE)
        self._latest = max(self._latest, now + min(delay, LONGEST_PAUSE)) + 1.0 / speed
        farthest = now + (FARTHEST if rate else FARTHEST_UNRATED)
        if self._latest > farthest:
            self._latest = farthest - (farthest - now) * 0.5 * self._jitter()
        return self._latest

    def throttled(
        self, message_id: str, written_at: float, until: float = 0.0, *, by_number: bool = False
    ) -> float | None:
        """The next hop said "slow down" to this message: when to try again, before all who wait by then.

        None where it says so to this message and not to others: that is no matter of the pace. Not before `until`,
        where it named a moment; `by_number`: such words may be about one number by themselves. Who waits longer than
        the backlog allows is sent away.
        """
        now = self._clock.seconds()
        if self._sent_back.is_refused_for_itself(message_id, now, by_number=by_number):
            return None
        later = self._pace.throttled(written_at, until, gently=by_number and self._sent_back.most_pass())
        self._sent_back.put_off(message_id)
        if later - now > LONGEST:
            self.send_away(lambda: TemporaryFailure(f"{self._name} throttles us", not_before=later, counts=False))
        return later

    def accepted(self, message_id: str, written_at: float) -> None:
        """The next hop accepted what was written of this message at that moment."""
        self._pace.accepted(written_at)
        self._sent_back.accepted(message_id, written_at)

    def send_away(self, why: Callable[[], TemporaryFailure]) -> None:
        """Nobody waits in memory any more, for a window or for their moment."""
        self._send_away(why)
        self._pace.fail_waiting(why)

    def reconfigure(self, rate: float) -> None:
        """The rate is another: the next moments begin anew."""
        self._pace.rate = rate
        self._latest = 0.0

"""How far a rate is down after the next hop said "slow down", and how it is won back.

Pure: time and jitter are arguments. It knows the rate of one SMSC or provider, and nobody who waits for it. The pace of
one without a configured rate is found_pace.py's.
"""

from gatewayd.core.found_pace import FoundPace

HICCUP, HICCUP_SHARE, HICCUP_RECOVERY = 0.1, 0.9, 0.1
"""Throttled once, out of the calm: a moment's pause, nine tenths of the rate, won back at a tenth a second.

A limiter with a small bucket that stood still for a moment says "slow down" to a client that kept its rate. Halving for
that would cost more than the limiter wants.
"""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
CALM = 5.0
"""Throttled again this soon after a pause: it is meant. A second and half the rate, doubled if it accepted nothing."""

FIRST_MINUTE, LONGEST_IN_FIRST_MINUTE = 60.0, 8.0
"""A trouble that is a minute old may be waited for longer; before, no pause is above 10 s, jitter and all."""

SLOWEST, SLOWEST_A_SECOND = 0.01, 0.2
"""Of the rate, and in submits a second: a moment reserved at a slower pace would come long after the trouble."""

AT_LEAST = 0.2
"""Seconds, of those since a pause, over which it is measured what was let go."""

RECOVERY = 0.02
"""Of the rate, won back each second after a real pause."""


class Throttle:
    """The limit at each moment. `rate` is the configured one in submits a second, 0 for none but the next hop's own.

    `count`: how often it said "slow down". `paused_until`: seconds since the epoch.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.count = 0
        self.paused_until = 0.0
        self._share = 1.0
        self._found = FoundPace()  # where no rate is configured
        self._slowed_at = 0.0
        self._pause = 0.0  # seconds of the latest pause; 0 once it accepted something after it
        self._refuses_since = 0.0  # when it said so first, of those times since which it accepted nothing
        self._recovery = RECOVERY

    @property
    def rate(self) -> float:
        """The configured limit; a new one counts at once, as far down as the former one was."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if rate != self._rate:
            self._rate = rate
            self._found.forget()

    def rate_now(self, now: float) -> float:
        """Submits a second at this moment; 0 for no limit."""
        if not self._rate:
            return self._found.now(self.paused_until, now)
        if self._share < 1.0 and self._limit_at(now) == self._rate:
            self._share = 1.0
        return self._limit_at(now)

    def _limit_at(self, when: float) -> float:
        """As rate_now, of a moment that is to come, if nothing is refused until then."""
        if not self._rate:
            return self._found.at(self.paused_until, when)
        if self._share >= 1.0:
            return self._rate
        share = self._share + self._recovery * max(0.0, when - self.paused_until)
        return self._rate * min(share, 1.0)

    def seconds_for(self, now: float, submits: int) -> float:
        """How long so many take from now on, or from the end of the pause: by the pace as it will be, which comes back.

        `LONGEST_PAUSE` and a little at most.
        """
        begin, left = max(now, self.paused_until), float(submits)
        for second in range(int(LONGEST_PAUSE)):
            limit = self._limit_at(begin + second)
            if not limit or left <= limit:
                return begin - now + second + (left / limit if limit else 0.0)
            left -= limit
        return begin - now + LONGEST_PAUSE

    def slow_down(
        self, now: float, written_at: float, in_last_second: int, jitter: float, *, gently: bool = False
    ) -> bool:
        """It said so to a submit that was written at `written_at`; `in_last_second` were let go before.

        Answers to submits from before the last slowing down say nothing new: False.
        """
        self.count += 1
        if written_at < self._slowed_at:
            return False
        current, accepted = self.rate_now(now), not self._pause
        gently = gently and accepted
        if gently or now >= self.paused_until + CALM:
            self._pause, share, self._recovery = HICCUP, HICCUP_SHARE, HICCUP_RECOVERY
        else:
            longest = LONGEST_PAUSE if now - self._refuses_since >= FIRST_MINUTE else LONGEST_IN_FIRST_MINUTE
            self._pause = min(self._pause * 2, longest) if self._pause >= FIRST_PAUSE else FIRST_PAUSE
            share, self._recovery = 0.5, RECOVERY
        if accepted:
            self._refuses_since = now
        if self._rate:
            slowest = max(SLOWEST, min(1.0, SLOWEST_A_SECOND / self._rate))
            self._share = max(slowest, current * share / self._rate)
        else:
            # Right after a pause less than a second's worth was let go.
            carried = in_last_second / min(1.0, max(AT_LEAST, now - self.paused_until))
            # By then it may have doubled since that submit was written.
            pace = self._found.now(self.paused_until, written_at)
            self._found.refused(pace, carried, accepted=accepted, share=share, climb=RECOVERY)
        self._slowed_at = now
        self.paused_until = now + self._pause * (0.75 + 0.5 * jitter)
        return True

    def accepted(self, written_at: float) -> None:
        """It accepted a submit of `written_at`: where that was after a pause, the pause was long enough."""
        if written_at > self._slowed_at:
            self._pause = 0.0

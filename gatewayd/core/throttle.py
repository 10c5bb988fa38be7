"""How far a rate is down after the next hop said "slow down", and how it is won back.

Pure: time and jitter are arguments. It knows the rate of one SMSC or provider, and nobody who waits for it.
"""

HICCUP, HICCUP_SHARE, HICCUP_RECOVERY = 0.1, 0.9, 0.1
"""Throttled once, out of the calm: a moment's pause, nine tenths of the rate, won back at a tenth a second.

A limiter with a small bucket that stood still for a moment says "slow down" to a client that kept its rate. Halving for
that would cost more than the limiter wants.
"""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
CALM = 5.0
"""Throttled again this soon after a pause: it is meant. A second and half the rate, doubled if it accepted nothing."""

SLOWEST = 0.01
RECOVERY = 0.02
"""Of the rate, won back each second after a real pause."""

FORGOTTEN = 4.0
"""Where no rate is configured, the limit that the next hop once showed is forgotten at so many times its height."""


class Throttle:
    """The limit at each moment. `rate` is the configured one in submits a second, 0 for none but the next hop's own.

    `count`: how often it said "slow down". `paused_until`: seconds since the epoch.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.count = 0
        self.paused_until = 0.0
        self._share = 1.0
        self._ceiling = 0.0  # submits a second that it accepted before it said so, where no rate is configured
        self._slowed_at = 0.0
        self._pause = 0.0  # seconds of the latest pause; 0 once it accepted something after it
        self._recovery = RECOVERY

    def rate_now(self, now: float) -> float:
        """Submits a second at this moment; 0 for no limit."""
        ceiling = self.rate or self._ceiling
        if self._share >= 1.0 or not ceiling:
            return self.rate
        share = self._share + self._recovery * max(0.0, now - self.paused_until)
        if share >= 1.0 and self.rate:
            self._share = 1.0
            return self.rate
        if share >= FORGOTTEN:
            self._share, self._ceiling = 1.0, 0.0
            return 0.0
        return ceiling * share

    def slow_down(self, now: float, written_at: float, in_last_second: int, jitter: float) -> None:
        """It said so to a submit that was written at `written_at`; `in_last_second` were let go before.

        Answers to submits from before the last slowing down say nothing new.
        """
        self.count += 1
        if written_at < self._slowed_at:
            return
        current = self.rate_now(now)
        if not current:
            current = self._ceiling = max(1.0, float(in_last_second))
        if now >= self.paused_until + CALM:
            self._pause, share, self._recovery = HICCUP, HICCUP_SHARE, HICCUP_RECOVERY
        else:
            self._pause = min(self._pause * 2, LONGEST_PAUSE) if self._pause >= FIRST_PAUSE else FIRST_PAUSE
            share, self._recovery = 0.5, RECOVERY
        self._share = max(SLOWEST, current * share / (self.rate or self._ceiling))
        self._slowed_at = now
        self.paused_until = now + self._pause * (0.75 + 0.5 * jitter)

    def accepted(self, written_at: float) -> None:
        """It accepted a submit of `written_at`: where that was after a pause, the pause was long enough."""
        if written_at > self._slowed_at:
            self._pause = 0.0

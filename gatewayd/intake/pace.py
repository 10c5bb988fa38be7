"""A rate that may be used up in advance for a minute. Pure: who asks says what time it is."""


class Pace:
    """At most a minute's worth at once, then `rate` a second."""

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._burst = max(1.0, rate * 60)
        self._left = self._burst
        self._at = now

    def take(self, now: float) -> bool:
        """Whether one more is within the rate; then it is used up."""
        self._left = min(self._burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

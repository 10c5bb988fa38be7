"""The daemon's own clock: moments like the wall clock's, which nobody can set while we run.

Twisted's timers go by `time.time`: set back by an hour, no timer fires for an hour, systemd's watchdog among them. So
the reactor is given this clock. What processes share goes by Redis' clock (store.moments).
"""

from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from gatewayd.core.regularly import Regularly

JUMP = 1.0
"""Seconds between the two clocks, beyond what they were apart before, that are a jump."""

FOLLOW = 0.05
"""Part by which our seconds are longer or shorter until both agree again: rates and time-outs stay what they are."""

log = Logger()


class SteadyClock:
    """Begins at the wall clock's time, and goes on with the monotonic one. It never goes back."""

    def __init__(self, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._latest = monotonic()
        self._offset = wall() - self._latest
        self._followed_at = self._latest
        self._apart = 0.0

    def seconds(self) -> float:
        """The present moment, in seconds since the epoch."""
        now = self._monotonic()
        if now < self._latest:
            # Under a hypervisor it has been seen to go back.
            self._offset += self._latest - now
        self._latest = now
        return now + self._offset

    def follow(self) -> float:
        """Come a little nearer to the wall clock; how far that one jumped since the last call, or 0."""
        now = self.seconds()
        apart = self._wall() - now
        jump = apart - self._apart
        most = FOLLOW * max(self._latest - self._followed_at, 0.0)
        step = max(-most, min(apart, most))
        self._followed_at = self._latest
        self._offset += step
        self._apart = apart - step
        return jump if abs(jump) > JUMP else 0.0


def set_clock(reactor: Any, clock: SteadyClock) -> None:
    """Let this reactor's timers go by `clock`: Twisted has no other place to say so, and asks `seconds` for all."""
    reactor.seconds = clock.seconds


class WallWatch(Regularly):
    """Says every second in the log when this host's clock was set, and to `on_set`, and lets ours follow."""

    def __init__(self, reactor: Any, clock: SteadyClock, on_set: Callable[[], None]) -> None:
        super().__init__(reactor, 1.0, self._look, "looking at the clock")
        self._clock = clock
        self._on_set = on_set

    def _look(self) -> None:
        jump = self._clock.follow()
        if jump:
            log.warn(
                "this host's clock was set {word} by {seconds:.1f} s: timers go on as before",
                word="on" if jump > 0 else "back",
                seconds=abs(jump),
            )
            self._on_set()

"""What has become of one bind: for the people who look after it, and for the choice between binds."""

from dataclasses import dataclass

from gatewayd.core.model import BindState

SMOOTHING = 0.1
"""The share of the newest answer in the mean time of answers."""


@dataclass(slots=True)
class BindRecord:
    """Bound, or not, since `since` (seconds since the epoch), now in `phase`: of a try among many nobody asks the time.

    Counts begin with the process; `latency` is in seconds.
    """

    since: float
    phase: str = "down"
    last_error: str = ""
    reconnects: int = 0
    handed: int = 0
    unanswered: int = 0
    latency: float = 0.0

    def enter(self, phase: str, now: float) -> None:
        """The bind stands there from now on."""
        if "bound" in (phase, self.phase) and phase != self.phase:
            self.since = now
        self.phase = phase

    def answered(self, status: int, seconds: float) -> None:
        """One submit was answered."""
        self.handed += not status
        self.latency = seconds if not self.latency else (1 - SMOOTHING) * self.latency + SMOOTHING * seconds

    def state(self, smsc: str, number: int, mode: str, *, phase: str, window: int, in_flight: int) -> BindState:
        """For people; `phase` is the session's where there is one."""
        return BindState(
            smsc,
            number,
            mode,
            phase or self.phase,
            self.since,
            window,
            in_flight,
            self.reconnects,
            self.handed,
            self.unanswered,
            self.latency,
            self.last_error,
        )

"""What systemd wants to hear: state notifications and the watchdog (sd_notify(3)). Silent where systemd is not."""

import socket
from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger

from gatewayd.core.regularly import Regularly

log = Logger()


def notify(state: str, environ: Mapping[str, str]) -> bool:
    """Send `state` (lines such as READY=1) to $NOTIFY_SOCKET; False where there is none, or it cannot be reached."""
    address = environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return False
    if address[0] == "@":
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sending:
            sending.setblocking(False)
            sending.sendto(state.encode(), address)
    except OSError as problem:
        log.warn("systemd could not be told {state}: {reason}", state=state, reason=problem.strerror)
        return False
    return True


class Watchdog(Regularly):
    """Says at half of $WATCHDOG_USEC that the reactor turns: a blocked one falls silent, and systemd restarts us."""

    def __init__(self, clock: Any, environ: Mapping[str, str], pid: int = 0) -> None:
        usec, of_pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        meant = not (pid and of_pid) or of_pid == str(pid)
        self._wanted = usec.isdecimal() and meant
        self._environ = environ
        # Not at once: before READY=1 systemd does not listen for it.
        super().__init__(clock, int(usec) / 2e6 if self._wanted else 0.0, self._ping, "the watchdog", at_once=False)

    def startService(self) -> None:
        """Begin, where systemd asked for it; how long a drain may take is TimeoutStopSec's business."""
        if self._wanted:
            super().startService()

    def _ping(self) -> None:
        notify("WATCHDOG=1", self._environ)


class StatusLine(Regularly):
    """Says in one line how we are, within a second of a change: the Status of `systemctl status`. `line` gives it."""

    def __init__(self, clock: Any, environ: Mapping[str, str], line: Callable[[], str]) -> None:
        super().__init__(clock, 1.0, self._say, "the status line", at_once=False)
        self._environ = environ
        self._line = line
        self._said = ""

    def startService(self) -> None:
        """Begin, where there is systemd to hear it. It ends as soon as we drain, which is its last word."""
        if self._environ.get("NOTIFY_SOCKET"):
            super().startService()

    def _say(self) -> None:
        line = self._line().translate({10: " ", 13: " "})
        if line != self._said and notify(f"STATUS={line}", self._environ):
            self._said = line

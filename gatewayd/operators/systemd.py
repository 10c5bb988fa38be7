"""What systemd wants to hear: state notifications and the watchdog (sd_notify(3)). Silent where systemd is not."""

import socket
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

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


class Watchdog(Service):
    """Says at half of $WATCHDOG_USEC that the reactor turns: a blocked one falls silent, and systemd restarts us."""

    def __init__(self, clock: Any, environ: Mapping[str, str], pid: int = 0) -> None:
        usec, of_pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
        meant = not (pid and of_pid) or of_pid == str(pid)
        self._interval = int(usec) / 2e6 if usec.isdecimal() and meant else 0.0
        self._environ = environ
        self._call = LoopingCall(self._ping)
        self._call.clock = clock

    def startService(self) -> None:
        """Begin, where systemd asked for it."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._interval:
            # Not now: before READY=1 systemd does not listen for it.
            self._call.start(self._interval, now=False).addErrback(
                lambda failure: log.failure("the watchdog has stopped", failure)
            )

    def stopService(self) -> None:
        """End: how long a drain may take is TimeoutStopSec's business."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._call.running:
            self._call.stop()

    def _ping(self) -> None:
        notify("WATCHDOG=1", self._environ)


class StatusLine(Service):
    """Says every few seconds in one line how we are: the Status of `systemctl status`. `line` gives it."""

    def __init__(self, clock: Any, environ: Mapping[str, str], line: Callable[[], str], every: float = 5.0) -> None:
        self._environ = environ
        self._line = line
        self._every = every
        self._said = ""
        self._call = LoopingCall(self._say)
        self._call.clock = clock

    def startService(self) -> None:
        """Begin, where there is systemd to hear it."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._environ.get("NOTIFY_SOCKET"):
            self._call.start(self._every, now=False).addErrback(
                lambda failure: log.failure("the status line has stopped", failure)
            )

    def stopService(self) -> None:
        """End; the last word is that we drain."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._call.running:
            self._call.stop()

    def _say(self) -> None:
        line = self._line().translate({10: " ", 13: " "})
        if line != self._said and notify(f"STATUS={line}", self._environ):
            self._said = line

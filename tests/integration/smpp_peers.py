"""SMSCs that we did not write, as processes of their own: npm `smpp`, PyPI `smpp34` and `smppy`, Perl `Net::SMPP`."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from conftest import missing, need
from redis_server import until
from smpp_world import World, settings

HERE = Path(__file__).resolve().parent
NPM_SMPP = "smpp@0.5.1"
SMPPY = ("smppy==0.3.2", "setuptools<80")
"""With what it needs and does not say: it lies in a directory of its own, and is no part of our environment."""


class Peer(ProcessProtocol):
    """A peer process that speaks JSON lines; `ask` changes its behaviour and brings its report."""

    def __init__(self) -> None:
        self.port = 0
        self.started: Deferred[int] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self._rest = b""
        self._said = b""
        self._asked: list[Deferred[dict[str, Any]]] = []

    async def ask(self, **behaviour: Any) -> dict[str, Any]:
        """Its report, after it took on `behaviour`."""
        answer: Deferred[dict[str, Any]] = Deferred()
        self._asked.append(answer)
        self.transport.write(json.dumps(behaviour).encode() + b"\n")
        return await answer

    async def stop(self) -> None:
        """End it and wait."""
        if not self.ended.called:
            self.transport.signalProcess("KILL")
        await self.ended

    def outReceived(self, data: bytes) -> None:
        """Twisted: lines."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if not self.port:
                self.port = told["port"]
                self.started.callback(self.port)
            else:
                self._asked.pop(0).callback(told)

    def errReceived(self, data: bytes) -> None:
        """Twisted: what went wrong there."""
        self._said += data

    def processEnded(self, reason: Failure) -> None:
        """Twisted: gone."""
        reason.trap(ProcessDone, ProcessTerminated)
        trouble = RuntimeError(f"the peer ended: {self._said.decode(errors='replace')[-2000:]}")
        for waiting in [*self._asked, *([] if self.started.called else [self.started])]:
            waiting.errback(trouble)
        self.ended.callback(None)


def npm_modules() -> Path:
    """Where the npm package lies; installed once into a cache directory. Skips where it cannot be."""
    npm = need("npm")
    need("node")
    with cached("npm-smpp") as cache:
        modules = cache / "node_modules"
        if not (modules / "smpp").is_dir():
            command = [npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(cache), NPM_SMPP]
            _install(command, modules, f"npm package {NPM_SMPP}")
    return modules


async def npm_smsc(**behaviour: Any) -> Peer:
    """A running SMSC on the npm package."""
    modules = npm_modules()
    command = [need("node"), str(HERE / "smpp_npm_peer.js"), json.dumps(behaviour)]
    return await started(command, NODE_PATH=str(modules))


async def smpp34_smsc(**behaviour: Any) -> Peer:
    """A running SMSC on smpp34."""
    try:
        import smpp34  # noqa: F401
    except ImportError:
        missing("the Python package smpp34", "pip install -e '.[test]'")
    return await started([sys.executable, str(HERE / "smpp34_peer.py"), json.dumps(behaviour)])


def smppy_modules() -> Path:
    """Where the package smppy lies; installed once into a cache directory. Skips where it cannot be."""
    with cached(f"smppy-{sys.version_info.major}.{sys.version_info.minor}") as cache:
        modules = cache / "modules"
        if not (modules / "smppy").is_dir():
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(modules), *SMPPY]
            _install(command, modules, "the package smppy")
    return modules


def _install(command: list[str], modules: Path, what: str) -> None:
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    if done.returncode:
        shutil.rmtree(modules, ignore_errors=True)
        missing(what)


async def smppy_smsc() -> Peer:
    """A running SMSC on smppy."""
    path = os.pathsep.join((str(HERE), str(smppy_modules())))
    return await started([sys.executable, "-W", "ignore", str(HERE / "smppy_peer.py")], PYTHONPATH=path)


async def net_smpp_smsc(**behaviour: Any) -> Peer:
    """A running SMSC on Net::SMPP."""
    perl = need("perl")
    if subprocess.run([perl, "-MNet::SMPP", "-e1"], capture_output=True, check=False).returncode:
        missing("Net::SMPP", "apt-get install libnet-smpp-perl")
    return await started([perl, str(HERE / "smpp_net_peer.pl"), json.dumps(behaviour)])


async def started(command: list[str], **environment: str) -> Peer:
    """A peer that listens."""
    peer = Peer()
    reactor.spawnProcess(peer, command[0], command, env=os.environ | environment)
    await peer.started
    return peer


@contextmanager
def cached(name: str) -> Iterator[Path]:
    """Where what a test installs for itself is kept for the next time; one process at a time is there."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gatewayd-tests" / name
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield place


@asynccontextmanager
async def bound(peer: Peer, **changed: Any) -> AsyncIterator[World]:
    """A channel bound to a peer."""
    world = World({"world": settings(peer.port, **changed)})
    world.channel.startService()
    try:
        await until(world.all_bound)
        yield world
    finally:
        await world.channel.stopService()
        await peer.stop()

"""The daemon as its user runs it, a child process, with the world around it: Redis, SMSC, relay, players, Smartico.

    async with World(reactor) as world:
        await world.start()
        answer = await world.sms("p1", "Hello")
        await world.smartico.until_heard(answer.ext_message_id, "accepted", "delivered")

The simulators live in this process, on real sockets. What a test wants otherwise it changes in `world.settings`
before `start`, or later, followed by `write` and `daemon.hang_up()`.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import msgspec
import treq
from outside_ports import free_port
from outside_toml import toml
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import UNIXClientEndpoint, serverFromString
from twisted.web.client import Agent, FileBodyProducer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IResponse
from warm import Started, start

from gatewayd.sandbox.players import QUERY, SAMPLES, Player, PlayerDatabase
from gatewayd.sandbox.relay import SimulatedRelay
from gatewayd.sandbox.smartico import GatewayAnswer, Smartico
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.store.link import RedisLink
from redis_server import RedisServer, later, until

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SECRET = "sandbox-authorization"
API_KEY = "48a8-11ee-be56-0242"
TWISTD = "from twisted.scripts.twistd import run; run()"


class Daemon:
    """One gatewayd process. `ended` is its exit status: None while it runs, negative for the signal that ended it.

    A warm start, and Python's own where it has a `prefix`: the words, if any, of a tool that it runs under.
    """

    def __init__(self, config: Path, directory: Path, api: int, admin: int, instance: str = "") -> None:
        self.config = config
        self.directory = directory
        self.api = f"http://127.0.0.1:{api}"
        self.admin = f"http://127.0.0.1:{admin}"
        self.instance = instance
        self.prefix: tuple[str, ...] | None = None
        self._log = directory / f"log-{instance or 'gw1'}.txt"
        self._process: subprocess.Popen[bytes] | Started | None = None

    async def start(self, seconds: float = 60.0) -> None:
        """Run it, and return once /healthz answers. AssertionError with its log where it ends or stays silent."""
        self.spawn()
        await self.healthy(seconds)

    def spawn(self) -> None:
        """Run it, as `twistd -n gatewayd --config FILE` does."""
        words = ["--config", str(self.config), *(("--instance", self.instance) if self.instance else ())]
        env = environment(self.directory)
        with self._log.open("ab") as log:
            if self.prefix is None:
                self._process = start("twistd", twistd(*words), env=env, cwd=self.directory, out=log, err=log)
            else:
                line, both = [*self.prefix, *command(*words)], subprocess.STDOUT
                self._process = subprocess.Popen(line, env=env, cwd=self.directory, stdout=log, stderr=both)

    async def healthy(self, seconds: float = 60.0) -> None:
        """Return once /healthz answers 200."""

        async def answers() -> bool:
            assert self.ended is None, f"the daemon ended with {self.ended}:\n{self.log[-4000:]}"
            try:
                status, _ = await get(f"{self.admin}/healthz")
            except CancelledError:
                raise
            except Exception:
                return False
            return status == 200

        try:
            await until(answers, seconds)
        except AssertionError:
            print(self.log[-4000:], file=sys.stderr)  # noqa: T201
            raise

    async def ready(self, seconds: float = 60.0) -> None:
        """Return once /readyz answers 200: Redis and the ways out are there."""

        async def answers() -> bool:
            status, _ = await get(f"{self.admin}/readyz")
            return status == 200

        await until(answers, seconds)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit status."""
        return self._process.poll() if self._process is not None else 0

    @property
    def log(self) -> str:
        """All that it wrote, over restarts."""
        return self._log.read_text("utf-8") if self._log.exists() else ""

    async def logged(self, words: str, seconds: float = 60.0, times: int = 1) -> None:
        """Return once `words` stand in the log so many times."""
        await until(lambda: self.log.count(words) >= times, seconds)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> None:
        """SIGTERM."""
        assert self._process is not None
        self._process.terminate()

    async def exit_status(self, seconds: float = 60.0) -> int:
        """Its exit status, once it has ended."""
        await until(lambda: self.ended is not None, seconds)
        assert self.ended is not None
        return self.ended

    def hang_up(self) -> None:
        """SIGHUP: read the configuration again."""
        self.signal(signal.SIGHUP)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    async def messages(self, message_id: str) -> dict[str, Any] | None:
        """/messages/<id>, None where it is not known."""
        status, body = await get(f"{self.admin}/messages/{message_id}")
        return msgspec.json.decode(body) if status == 200 else None

    async def verb(self, name: str, **fields: str) -> None:
        """POST one of the admin listener's verbs."""
        headers = Headers({"Content-Type": ["application/json"]})
        body = FileBodyProducer(BytesIO(msgspec.json.encode(fields)))
        address = f"{self.admin}/verbs/{name}".encode()
        response: IResponse = await _agent().request(b"POST", address, headers, body)
        answer = await treq.content(response)
        assert response.code == 200, answer

    async def metrics(self) -> str:
        """/metrics."""
        status, body = await get(f"{self.admin}/metrics")
        assert status == 200
        return body.decode()


class World:
    """Everything on this machine, in a short temporary directory that goes when the world ends."""

    def __init__(self, reactor: Any, *, players: int = 0, behaviour: Behaviour | None = None) -> None:
        self._reactor = reactor
        self.directory = Path(tempfile.mkdtemp(prefix="gw-"))
        self.redis = RedisServer()
        self.smsc = SmscSimulator(reactor, behaviour or Behaviour())
        self.players = PlayerDatabase(self.directory / "players.db", SAMPLES, players)
        lmtp = self.directory / "lmtp"
        self.relay = SimulatedRelay(reactor, dsn_to=UNIXClientEndpoint(reactor, str(lmtp)), keep=100_000)
        self.smartico = Smartico(reactor)
        self.callback = ""
        self.config = self.directory / "gatewayd.toml"
        self.api, self.admin = free_port(), free_port()
        self.settings: dict[str, Any] = {
            "gatewayd": {"instance": "gw1", "secret_key": "0123456789abcdef" * 4, "log_level": "debug"},
            "redis": {"endpoint": self.redis.endpoint},
            "api": {"listen": [f"tcp:{self.api}:interface=127.0.0.1"]},
            "admin": {"listen": [f"tcp:{self.admin}:interface=127.0.0.1"]},
            "bounces": {"listen": [f"unix:{lmtp}"], "domain": "bounces.amazing.co"},
            "directories": {
                "players": {
                    "type": "sql",
                    "driver": "sqlite3",
                    "connect": {"database": str(self.players.path)},
                    "query": QUERY,
                    "default_region": "GB",
                },
            },
        }
        self.daemon = Daemon(self.config, self.directory, self.api, self.admin)
        self.others: list[Daemon] = []

    async def __aenter__(self) -> Self:
        """Open the simulators, and name them in `settings`."""
        await self.redis.start()
        self.callback = await self.smartico.listen()
        relay = await self.relay.listen(serverFromString(self._reactor, "tcp:0:interface=127.0.0.1"))
        smsc = await self.smsc.start()
        self.settings |= {
            "relays": {"main": {"host": "127.0.0.1", "port": relay}},
            "smscs": {
                "world": {"host": "127.0.0.1", "port": smsc, "system_id": "gw", "password": "smppsec", "rate": "2000/s"}
            },
            "labels": {
                "amazing": {
                    "allow_from": ["127.0.0.0/8"],
                    "authorization": [SECRET],
                    "api_key": API_KEY,
                    "callback_url": self.callback,
                    "callback_hosts": ["127.0.0.1"],
                    "callback_http": True,
                    "email_senders": ["*@amazing.co"],
                    "sms_senders": ["Amazing"],
                    "sms_sender": "Amazing",
                    "directory": "players",
                    "relays": ["main"],
                    "sms_routes": [{"prefix": "", "via": ["world"]}],
                }
            },
        }
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all of it."""
        for daemon in (self.daemon, *self.others):
            daemon.kill()
        await self.smartico.close()
        await self.relay.stop()
        await self.smsc.stop()
        self.redis.remove()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def label(self) -> dict[str, Any]:
        """The one label's table in `settings`."""
        table: dict[str, Any] = self.settings["labels"]["amazing"]
        return table

    def write(self) -> None:
        """Write `settings` to the configuration file."""
        self.config.write_text(toml(self.settings), "utf-8")

    async def start(self) -> None:
        """Write the configuration, run the daemon, and return once it is ready."""
        self.write()
        await self.daemon.start()
        await self.daemon.ready()

    async def idle(self, *queues: str, seconds: float = 60.0) -> None:
        """Return once these of the daemon's queues (email, sms, reports) are empty: what has not come will not come."""
        empty = {
            f'gatewayd_queue_messages{{queue="{queue}",state="{state}"}} 0.0'
            for queue in queues
            for state in ("waiting", "leased")
        }

        async def are_empty() -> bool:
            return empty <= set((await self.daemon.metrics()).splitlines())

        await until(are_empty, seconds)

    def another(self, instance: str) -> Daemon:
        """A second daemon on the same Redis and simulators, not started yet, with listeners of its own."""
        api, admin = free_port(), free_port()
        own = {
            "gatewayd": self.settings["gatewayd"] | {"instance": instance},
            "api": {"listen": [f"tcp:{api}:interface=127.0.0.1"]},
            "admin": {"listen": [f"tcp:{admin}:interface=127.0.0.1"]},
            "bounces": self.settings["bounces"] | {"listen": [f"unix:{self.directory / f'lmtp-{instance}'}"]},
        }
        path = self.directory / f"{instance}.toml"
        path.write_text(toml(self.settings | own), "utf-8")
        daemon = Daemon(path, self.directory, api, admin, instance)
        self.others.append(daemon)
        return daemon

    async def email(
        self, player: str = "hhu234556", daemon: Daemon | None = None, label: str = "amazing", **fields: Any
    ) -> GatewayAnswer:
        """POST one email; again while the answer is try_again, as Smartico does."""
        fields = {"ext_user_id": player, "email_uid": uuid.uuid4().hex} | fields
        api = (daemon or self.daemon).api
        while (said := await self.smartico.send_email(api, label, SECRET, **fields)).error_code == 10:
            await later(0.2)
        return said

    async def sms(self, player: str = "hhu234556", body: str = "Get the offer", **fields: Any) -> GatewayAnswer:
        """POST one SMS; again while the answer is try_again, as Smartico does."""
        fields = {"ext_user_id": player, "body": body, "im_uid": uuid.uuid4().hex} | fields
        while (said := await self.smartico.send_sms(self.daemon.api, "amazing", SECRET, **fields)).error_code == 10:
            await later(0.2)
        return said

    def add_player(self, player: Player) -> None:
        """One more player, or another version of one."""
        self.players.put(player)


def command(*words: str) -> list[str]:
    """What runs the daemon with these words behind `gatewayd`."""
    return [sys.executable, "-c", TWISTD, *twistd(*words)]


def twistd(*words: str) -> list[str]:
    """The words of twistd for these behind `gatewayd`."""
    return ["-n", "--pidfile=", "gatewayd", *words]


def environment(directory: Path) -> dict[str, str]:
    """An environment in which twistd finds the checkout and its plugin, whatever is installed."""
    plugins = directory / "path" / "twisted" / "plugins"
    if not plugins.exists():
        plugins.mkdir(parents=True)
        (plugins / "gatewayd_plugin.py").symlink_to(CHECKOUT / "plugins" / "gatewayd_plugin.py")
    path = os.pathsep.join((str(CHECKOUT), str(directory / "path")))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _agent() -> Agent:
    from twisted.internet import reactor

    # Without a pool it keeps no connection, so none of ours holds up a listener that drains.
    return Agent(reactor, connectTimeout=5)


async def get(url: str) -> tuple[int, bytes]:
    """Status and body of one GET."""
    response: IResponse = await _agent().request(b"GET", url.encode())
    body: bytes = await treq.content(response)
    return response.code, body


async def all_keys(link: RedisLink) -> AsyncIterator[bytes]:
    """Every key of the Redis behind `link`, whatever its prefix."""
    cursor = b"0"
    while True:
        cursor, keys = await link.command("SCAN", cursor, "COUNT", 1000)
        for key in keys:
            yield key
        if cursor == b"0":
            return

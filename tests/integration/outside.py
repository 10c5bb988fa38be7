"""gatewayd as a stranger sees it: its commands, raw HTTP, and peers that share no line of code with it.

    with Outside(tmp_path) as world:
        world.start()
        answer = world.sms()
        world.until_heard(answer["ext_message_id"], "accepted", "delivered")

Commands start without their imports (warm.py). Nothing here imports gatewayd or Twisted: relay, SMSC, Smartico and
clients are threads on the standard library (and aiosmtpd). What a test wants otherwise it changes in `world.settings`
before `start`, or in a peer's attributes at any time.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import warm
from outside_ports import free_port, until
from outside_redis import Redis
from outside_relay import Mail, Mute, Relay
from outside_smartico import Heard, Smartico
from outside_smsc import ENQUIRE_LINK, Smsc, Submit
from outside_toml import toml
from warm import Started

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SECRET = "outside-authorization"
API_KEY = "48a8-11ee-be56-0242"


@dataclass
class Reply:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Its body."""
        found: dict[str, Any] = json.loads(self.body)
        return found


PLAYERS = [
    ("anna", "anna@players.example", "+447700900101", 0, 0, 0, 0),
    ("ben", "ben@players.example", "+447700900102", 0, 0, 0, 0),
    ("noemail", None, "+447700900103", 0, 0, 0, 0),
    ("nophone", "nophone@players.example", None, 0, 0, 0, 0),
    ("badaddress", "not an address", "call me", 0, 0, 0, 0),
    ("empty", "", "", 0, 0, 0, 0),
    ("out", "out@players.example", "+447700900104", 1, 0, 0, 0),
    ("outemail", "outemail@players.example", "+447700900105", 0, 1, 0, 0),
    ("outsms", "outsms@players.example", "+447700900106", 0, 0, 1, 0),
    ("excluded", "excluded@players.example", "+447700900107", 0, 0, 0, 1),
    ("national", "national@players.example", "07700 900108", 0, 0, 0, 0),
    ("abroad", "abroad@players.example", "+4915112345678", 0, 0, 0, 0),
    ("42", "number@players.example", "+447700900109", 0, 0, 0, 0),
]


class Daemon:
    """A gatewayd process: a warm start, and the installed command itself where it gets an `environment` of its own."""

    def __init__(self, world: "Outside", config: Path, api: int, admin: int, *words: str) -> None:
        self.world, self.config, self.api, self.admin, self.words = world, config, api, admin, words
        self.log = world.directory / f"log-{config.stem}{''.join(words)}.txt"
        self.process: subprocess.Popen[bytes] | Started | None = None
        self.environment: dict[str, str] | None = None

    def spawn(self) -> None:
        """Run it."""
        words = ["-n", "--pidfile=", "gatewayd", "--config", str(self.config), *self.words]
        directory = self.world.directory
        with self.log.open("ab") as log:
            if self.environment is None:
                self.process = warm.start("twistd", words, env=environment(), cwd=directory, out=log, err=log)
            else:
                self.process = subprocess.Popen(
                    [command("twistd"), *words],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment(**self.environment),
                    cwd=directory,
                )

    def start(self, *, ready: bool = True) -> None:
        """Run it until it is healthy, and ready."""
        self.spawn()
        until(lambda: self.ended is not None or self._says("/healthz"))
        assert self.ended is None, self.log.read_text()[-3000:]
        if ready:
            until(lambda: self._says("/readyz"), what="ready")

    def _says(self, path: str) -> bool:
        try:
            return self.world.http("GET", path, port=self.admin).status == 200
        except OSError:
            return False

    @property
    def ended(self) -> int | None:
        """The exit status."""
        return self.process.poll() if self.process else 0

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.ended is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()

    def terminate(self, seconds: float = 120) -> int:
        """SIGTERM; the exit status."""
        self.signal(signal.SIGTERM)
        assert self.process is not None
        return self.process.wait(seconds)

    def logged(self, words: str, seconds: float = 60) -> None:
        """Wait until the log has it."""
        until(lambda: words in self.log.read_text(), seconds, words)


def command(name: str) -> str:
    """The installed command `name`, beside the running Python."""
    path = Path(sys.executable).parent / name
    return str(path)


def environment(**more: str) -> dict[str, str]:
    """Finds the checkout, however it is installed."""
    return {**os.environ, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1", **more}


class Outside:
    """Redis, players, relay, SMSC, Smartico and a configuration, all of them real."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="out-"))
        self.redis = Redis(self.directory)
        self.smartico, self.relay, self.smsc = Smartico(), Relay(), Smsc()
        self.peers: list[Any] = [self.smartico, self.relay, self.smsc]
        self.database = self.directory / "players.db"
        with closing(sqlite3.connect(self.database)) as players, players:
            players.execute(
                "CREATE TABLE players (id TEXT PRIMARY KEY, email TEXT, phone TEXT, opted_out INT, email_opted_out INT,"
                " sms_opted_out INT, excluded INT)"
            )
            players.executemany("INSERT INTO players VALUES (?,?,?,?,?,?,?)", PLAYERS)
        players.close()
        self.api, self.admin, self.public, self.lmtp = free_port(), free_port(), free_port(), free_port()
        self.config = self.directory / "gatewayd.toml"
        self.daemon = Daemon(self, self.config, self.api, self.admin)
        self.daemons = [self.daemon]
        self.label: dict[str, Any] = {
            "allow_from": ["127.0.0.0/8"],
            "authorization": [SECRET],
            "api_key": API_KEY,
            "callback_url": self.smartico.url,
            "callback_hosts": ["127.0.0.1"],
            "callback_http": True,
            "email_senders": ["*@amazing.co"],
            "sms_senders": ["Amazing", "+447700900123"],
            "sms_sender": "Amazing",
            "directory": "players",
            "relays": ["main"],
            "sms_routes": [{"prefix": "", "via": ["world"]}],
        }
        self.settings: dict[str, Any] = {
            "gatewayd": {"instance": "gw1", "secret_key": "0123456789abcdef" * 4},
            "redis": {"endpoint": f"unix:{self.redis.socket}"},
            "api": {"listen": [f"tcp:{self.api}:interface=127.0.0.1"]},
            "admin": {"listen": [f"tcp:{self.admin}:interface=127.0.0.1"]},
            "public": {
                "listen": [f"tcp:{self.public}:interface=127.0.0.1"],
                "base_url": "https://go.amazing.co",
            },
            "bounces": {"listen": [f"tcp:{self.lmtp}:interface=127.0.0.1"], "domain": "bounces.amazing.co"},
            "labels": {"amazing": self.label},
            "directories": {
                "players": {
                    "type": "sql",
                    "driver": "sqlite3",
                    "connect": {"database": str(self.database)},
                    "query": "SELECT email, phone, opted_out, email_opted_out, sms_opted_out, excluded FROM players"
                    " WHERE id = :ext_user_id",
                    "default_region": "GB",
                    "cache": "1ms",
                },
            },
            "relays": {"main": {"host": "127.0.0.1", "port": self.relay.port}},
            "smscs": {
                "world": {
                    "host": "127.0.0.1",
                    "port": self.smsc.port,
                    "system_id": "gw",
                    "password": "smppsec",
                    "rate": "1000/s",
                },
            },
        }

    def __enter__(self) -> Self:
        self.start_redis()
        return self

    def __exit__(self, *_: object) -> None:
        for daemon in self.daemons:
            daemon.kill()
        for peer in self.peers:
            peer.stop()
        self.stop_redis()
        shutil.rmtree(self.directory, ignore_errors=True)

    # Redis

    def start_redis(self, *words: str) -> None:
        """Run it."""
        self.redis.start(*words)

    def stop_redis(self) -> None:
        """kill -9."""
        self.redis.stop()

    def redis_cli(self, *words: str) -> str:
        """What redis-cli prints for one command."""
        return self.redis.ask(*words)

    def everything_in_redis(self) -> str:
        """All keys and values, as text."""
        reads = {
            "string": ("GET",),
            "hash": ("HGETALL",),
            "list": ("LRANGE", "0", "-1"),
            "set": ("SMEMBERS",),
            "zset": ("ZRANGE", "0", "-1", "WITHSCORES"),
            "stream": ("XRANGE", "-", "+"),
        }
        keys = self.redis.ask("KEYS", "*").splitlines()
        kinds = self.redis.ask(commands=[("TYPE", key) for key in keys]).splitlines() if keys else []
        # A key that ends meanwhile is of the kind "none".
        found = [(reads[kind], key) for key, kind in zip(keys, kinds, strict=True) if kind in reads]
        values = [(verb[0], key, *verb[1:]) for verb, key in found]
        return "\n".join((*keys, self.redis.ask(commands=values) if values else ""))

    # the daemon

    def write(self, path: Path | None = None, **tables: Any) -> None:
        """Write the configuration file."""
        (path or self.config).write_text(toml(self.settings | tables), "utf-8")

    def start(self, *, ready: bool = True) -> None:
        """Write the configuration and run the daemon."""
        self.write()
        self.daemon.start(ready=ready)

    def ctl(self, *words: str, config: Path | None = None, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run gatewayctl."""
        line = ["--config", str(config or self.config), *words]
        return warm.run("gatewayctl", line, env=environment(), cwd=Path.cwd(), timeout=seconds)

    def check(self, text: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """--check a configuration."""
        path = self.directory / "checked.toml"
        path.write_text(text, "utf-8")
        return subprocess.run(
            [command("twistd"), *words, "--pidfile=", "gatewayd", "--config", str(path), "--check"],
            capture_output=True,
            text=True,
            env=environment(**env),
            cwd=self.directory,
            timeout=300,
            check=False,
        )

    # HTTP

    def http(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        port: int = 0,
        timeout: float = 60,
    ) -> Reply:
        """One request."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.api, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def raw(self, data: bytes, seconds: float = 5.0, port: int = 0) -> bytes:
        """What comes back on a socket until it is silent for 0.7 s or closed."""
        with socket.create_connection(("127.0.0.1", port or self.api), timeout=seconds) as connection:
            connection.sendall(data)
            connection.settimeout(0.7)
            found = b""
            with suppress(TimeoutError, ConnectionError):
                while chunk := connection.recv(65536):
                    found += chunk
            return found

    def post(self, path: str, fields: Any, headers: Mapping[str, str] | None = None, port: int = 0) -> Reply:
        """POST JSON with the right Authorization."""
        body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        heads = {"Authorization": SECRET, "Content-Type": "application/json"} | dict(headers or {})
        return self.http("POST", path, body, heads, port)

    def email_fields(self, **changes: Any) -> dict[str, Any]:
        """An email's fields; a change to None leaves a field out."""
        fields = {
            "ext_user_id": "anna",
            "from_email_address": "Amazing <noreply@amazing.co>",
            "reply_to_email_address": "Amazing <help@amazing.co>",
            "subject": "The best offer",
            "body": "<html><body>Hello</body></html>",
            "text_body": "Hello",
            "email_uid": uuid.uuid4().hex,
            "callback_url": self.smartico.url,
        }
        return {name: value for name, value in (fields | changes).items() if value is not None}

    def sms_fields(self, **changes: Any) -> dict[str, Any]:
        """An SMS's fields; a change to None leaves a field out."""
        fields = {
            "ext_user_id": "anna",
            "from_number": "Amazing",
            "body": "Get the offer",
            "im_uid": uuid.uuid4().hex,
            "callback_url": self.smartico.url,
        }
        return {name: value for name, value in (fields | changes).items() if value is not None}

    def email(self, **changes: Any) -> dict[str, Any]:
        """POST an email; the answer's JSON."""
        return self.post("/amazing/email", self.email_fields(**changes)).json

    def sms(self, **changes: Any) -> dict[str, Any]:
        """POST an SMS; the answer's JSON."""
        return self.post("/amazing/sms", self.sms_fields(**changes)).json

    def until_heard(self, message_id: str, *statuses: str, seconds: float = 60) -> None:
        """Wait until Smartico heard exactly these, in this order."""
        with suppress(AssertionError):
            until(lambda: len(self.smartico.statuses(message_id)) >= len(statuses), seconds)
        assert self.smartico.statuses(message_id) == list(statuses), self.message(message_id)

    def told(self, message_id: str, *statuses: str, seconds: float = 60) -> None:
        """As `until_heard`, and nothing more is on its way: no report of anybody's waits or is in work."""
        self.until_heard(message_id, *statuses, seconds=seconds)
        self.idle("reports")
        assert self.smartico.statuses(message_id) == list(statuses), self.message(message_id)

    def idle(self, *queues: str, seconds: float = 60) -> None:
        """Wait until the daemon's queues (email, sms, reports) are empty: what has not come will not come."""
        empty = {
            f'gatewayd_queue_messages{{queue="{queue}",state="{state}"}} 0.0'
            for queue in queues
            for state in ("waiting", "leased")
        }

        def page() -> set[str]:
            return set(self.http("GET", "/metrics", port=self.admin).body.decode().splitlines())

        until(lambda: empty <= page(), seconds, f"{queues} empty")

    def message(self, message_id: str) -> dict[str, Any]:
        """/messages/<id>."""
        with suppress(OSError):
            reply = self.http("GET", f"/messages/{message_id}", port=self.admin)
            return reply.json if reply.status == 200 else {}
        return {}

    def state(self, message_id: str) -> str:
        """Its state, "" where it is not known."""
        return str(self.message(message_id).get("state", ""))


def request(path: str, body: bytes, *headers: str) -> bytes:
    """The bytes of a POST with the right Authorization."""
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: {SECRET}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


__all__ = [
    "API_KEY",
    "ENQUIRE_LINK",
    "SECRET",
    "Daemon",
    "Heard",
    "Mail",
    "Mute",
    "Outside",
    "Relay",
    "Reply",
    "Smartico",
    "Smsc",
    "Submit",
    "command",
    "environment",
    "free_port",
    "request",
    "toml",
    "until",
]

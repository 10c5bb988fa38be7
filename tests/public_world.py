"""The public listener in small."""

import json
import uuid
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from esp_requests import (
    NOW,
    PEM,
)
from fakes import FakeClaims, FakeMeter, FakeStore
from gatewayd import config
from gatewayd.config import Secret
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import Evidence
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.evidence.public import PublicPaths

KEYS = Keys(b"k" * 32)
ID = str(uuid.UUID(int=7, version=4))
PATH = "s" * 32
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Reply:
    """An answer as it went over the wire."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        # What may differ between two answers to the same question.
        self.headers.pop("date", None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reply) and vars(self) == vars(other)


async def at_once(octets: int, call: Callable[..., Any], *args: Any) -> Any:
    """Stands for a thread of its own."""
    return call(*args)


class World:
    """A public listener with a store in memory; `took` is the evidence that became durable."""

    def __init__(self, **esp: config.Esp) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store = FakeStore(self.clock)
        self.claims = FakeClaims(self.clock)
        self.meter = FakeMeter()
        self.took: list[Evidence] = []
        self.fetched: list[str] = []
        self.answer: Callable[[str], Any] = lambda url: (200, PEM)
        self.hold: Deferred[None] | None = None
        self.broken: frozenset[str] = frozenset()
        self.mails_out = 0
        self.public = PublicPaths(
            self.clock,
            KEYS,
            evidence=self,
            esp=esp,
            base_url="https://go.example",
            claims=self.claims,
            ping=self.store.ping,
            fetch=self.fetch,
            meter=self.meter,
            providers={},
            about=self.store.about,
            mails_out=lambda provider: self.mails_out,
            in_thread=at_once,
        )
        self.site = self.public.site(self.clock)

    async def record(self, evidence: Evidence) -> None:
        """Becomes durable, once `hold` lets it, unless the store is down."""
        if self.hold is not None:
            await self.hold
        if self.store.down or evidence.message_id in self.broken:
            raise StoreUnavailable("down")
        self.took.append(evidence)

    async def fetch(self, url: str) -> tuple[int, bytes]:
        """Amazon's answer."""
        self.fetched.append(url)
        answer = self.answer(url)
        found: tuple[int, bytes] = await answer if isinstance(answer, Deferred) else answer
        return found

    def send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> StringTransport:
        """Put a request on a connection of its own."""
        channel = self.site.buildProtocol(None)
        transport = StringTransport()
        transport.abortConnection = transport.loseConnection  # type: ignore[attr-defined]
        channel.makeConnection(transport)
        head = {"Host": "go.example", "Connection": "close", "Content-Length": str(len(body))} | (headers or {})
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        channel.dataReceived(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        return transport

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        """The answer to a request that needs no waiting."""
        raw = self.send(method, path, body, headers).value()
        for channel in list(self.site.crowd.connections):
            channel.connectionLost()
        return Reply(raw)

    def post(self, provider: str, data: object, headers: dict[str, str] | None = None, secret: str = PATH) -> Reply:
        """The answer to a provider's POST."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        return self.ask(
            "POST", f"/esp/{provider}/{secret}", body, {"Content-Type": "application/json"} | (headers or {})
        )


def esp(**values: Any) -> config.Esp:
    """A table of [esp.NAME]."""
    return config.Esp(secret=Secret(PATH), **values)


def leaving(message_id: str = ID) -> str:
    """The unsubscribe page's path."""
    return "/u/" + KEYS.subscription(message_id, "amazing", "hhu234556")


def token(message_id: str = ID) -> str:
    """What we put into a provider's metadata."""
    return KEYS.token(Purpose.ESP, message_id)


BAD = (
    KEYS.token(Purpose.BOUNCE, ID),
    Keys(b"x" * 32).token(Purpose.OPEN, ID),
    "a" * 47,
    "short",
    "%00%ff",
    "%C3%A9" * 47,
    "x" * 4000,
)

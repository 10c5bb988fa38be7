"""A channel of relays in small, and an order for it."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IReactorTime

from gatewayd.config import Relay
from gatewayd.core.errors import PermanentFailure, TemporaryFailure, Uncertain
from gatewayd.core.model import Handed, Order
from gatewayd.sandbox.relay import SimulatedRelay
from gatewayd.smtp.channel import SmtpChannel
from smtp_world import KEYS, label, message

R: Any = reactor
NOW = IReactorTime(R)


def order(number: int = 1, *routes: str, to: str = "jane@player.test", **fields: Any) -> Order:
    """An order for one message by `routes`."""
    return Order(message(number, **fields), to, routes or ("main",))


class Marks:
    """What `before_wire` was called with."""

    def __init__(self) -> None:
        self.routes: list[str] = []
        self.error: Exception | None = None

    async def __call__(self, route: str) -> None:
        """As interfaces.BeforeWire."""
        self.routes.append(route)
        if self.error is not None:
            raise self.error


class World:
    """Relays by name and a channel over them."""

    def __init__(self, clock: Any = R, **options: Any) -> None:
        self.clock = clock
        self.options: dict[str, Any] = {"return_domain": "bounces.test", "labels": {"amazing": label()}} | options
        self.relays: dict[str, SimulatedRelay] = {}
        self.tables: dict[str, Relay] = {}
        self.marks = Marks()
        self.channel: SmtpChannel

    async def add(self, name: str = "main", table: dict[str, Any] | None = None, **relay: Any) -> SimulatedRelay:
        """Start a relay and note it for the configuration."""
        simulated = SimulatedRelay(R, **relay)
        port = await simulated.listen(TCP4ServerEndpoint(R, 0, interface="127.0.0.1"))
        self.relays[name] = simulated
        self.tables[name] = Relay(host="127.0.0.1", port=port, **(table or {}))
        return simulated

    def start(self) -> None:
        """Start the channel over all relays so far."""
        options = dict(self.options)
        labels = options.pop("labels")
        self.channel = SmtpChannel(self.clock, self.tables, labels, keys=KEYS, **options)
        self.channel.startService()

    def send(self, wanted: Order | None = None) -> Deferred[Handed]:
        """One message through the channel."""
        return Deferred.fromCoroutine(self.channel.send(wanted or order(), self.marks))


@asynccontextmanager
async def world(*names: str, table: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[World]:
    """A channel over the named relays, started; all is stopped in the end."""
    made = World(**options)
    try:
        for name in names or ("main",):
            await made.add(name, table)
        made.start()
        yield made
    finally:
        await made.channel.stopService()
        for relay in made.relays.values():
            await relay.stop()


async def failure(attempt: Awaitable[Any]) -> Any:
    """What an attempt raised; it must raise one of the failures."""
    with pytest.raises((TemporaryFailure, PermanentFailure, Uncertain)) as caught:
        await attempt
    assert "jane" not in str(caught.value)
    return caught.value

"""The SMPP channel against our own SMSC simulator, over real loopback sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred, ensureDeferred, gatherResults

from gatewayd import config
from gatewayd.errors import PermanentFailure, StoreUnavailable, TemporaryFailure, Uncertain
from gatewayd.interfaces import IChannel
from gatewayd.model import Handed, Inbound, Message, Order, Receipt, Sms
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.smpp.channel import SmppChannel, TextRules
from gatewayd.status import Event

PHONE = "+447700900999"


def settings(port: int, **changed: Any) -> config.Smsc:
    """[smscs.NAME] for a simulator on `port`."""
    table = {"host": "127.0.0.1", "port": port, "system_id": "gw", "password": "secret"} | changed
    return config.Smsc.model_validate(table)


def order(number: int = 1, body: str = "Hello", routes: tuple[str, ...] = ("world",), **changed: Any) -> Order:
    """One SMS to PHONE."""
    message = Message(
        f"00000000-0000-4000-8000-{number:012d}",
        f"uid{number}",
        "amazing",
        "player",
        Sms(changed.pop("sender", "Amazing"), body),
        reactor.seconds(),
        reactor.seconds() + 3600,
    )
    return Order(message, changed.pop("phone", PHONE), routes, **changed)


class Rates:
    """IStore.reserve in memory, for one process."""

    def __init__(self) -> None:
        self.next: dict[str, float] = {}
        self.calls = 0

    async def reserve(self, bucket: str, slots: int, interval: float, burst: float) -> float:
        self.calls += 1
        first = max(self.next.get(bucket, 0.0), reactor.seconds() - burst)
        self.next[bucket] = first + slots * interval
        return first


class World:
    """A channel, what it told, and the marks that it asked for."""

    def __init__(self, smscs: dict[str, config.Smsc], **options: Any) -> None:
        self.receipts: list[Receipt] = []
        self.inbound: list[Inbound] = []
        self.marks: list[str] = []
        self.late: list[tuple[str, str, int, str]] = []
        self.store_is_down = False
        self.rates = Rates()
        self._conditions: list[tuple[Callable[[], bool], Deferred[None]]] = []
        self.channel = SmppChannel(
            reactor,
            smscs,
            number_hash=lambda number: f"#{number}",
            reserve=self.rates.reserve,
            on_receipt=self._take_receipt,
            on_inbound=self._take_inbound,
            jitter=lambda: 0.5,
            on_late_answer=self._take_late,
            **options,
        )

    async def _take_receipt(self, receipt: Receipt) -> None:
        if self.store_is_down:
            raise StoreUnavailable("down")
        self.receipts.append(receipt)

    async def _take_inbound(self, inbound: Inbound) -> None:
        if self.store_is_down:
            raise StoreUnavailable("down")
        self.inbound.append(inbound)

    async def _take_late(self, message_id: str, smsc: str, index: int, remote_id: str) -> None:
        self.late.append((message_id, smsc, index, remote_id))

    async def mark(self, route: str) -> None:
        self.marks.append(route)

    def send(self, order: Order) -> Deferred[Handed]:
        return ensureDeferred(self.channel.send(order, self.mark))


async def until(condition: Callable[[], bool], limit: float = 15.0) -> None:
    """Wait for something that has no event of its own, a reactor turn at a time."""
    end = reactor.seconds() + limit
    while not condition():
        assert reactor.seconds() < end, "it did not come to pass"
        turn: Deferred[None] = Deferred()
        reactor.callLater(0.005, turn.callback, None)
        await turn


@asynccontextmanager
async def running(behaviour: Behaviour | None = None, **changed: Any) -> AsyncIterator[tuple[World, SmscSimulator]]:
    """A simulator and a channel bound to it."""
    smsc = SmscSimulator(reactor, behaviour)
    port = await smsc.start()
    options = changed.pop("options", {})
    world = World({"world": settings(port, **changed)}, **options)
    world.channel.startService()
    try:
        await until(lambda: all(link.phase == "bound" for state in world.channel.states() for link in state.links))
        yield world, smsc
    finally:
        await world.channel.stopService()
        await smsc.stop()


@pytest_twisted.ensureDeferred
async def test_one_sms_is_handed_over_and_its_receipt_comes() -> None:
    """A short SMS is marked, submitted, answered with a remote id, and its receipt names that id."""
    async with running() as (world, smsc):
        assert IChannel.providedBy(world.channel)
        handed = await world.send(order(body="Hello €"))
        assert handed.route == "world"
        assert handed.expects_receipts
        assert world.marks == ["world"]
        await until(lambda: len(world.receipts) == 1)
        (receipt,) = world.receipts
        assert handed.remote_ids[0] in receipt.remote_ids
        assert receipt.event is Event.DELIVERED
        assert receipt.number_hash == "#447700900999"
        assert [message.text for message in smsc.messages] == ["Hello €"]
        (submit,) = smsc.submits
        assert (submit.source_addr_ton, submit.source_addr_npi, submit.source_addr) == (5, 0, b"Amazing")
        assert (submit.dest_addr_ton, submit.dest_addr_npi, submit.destination_addr) == (1, 1, b"447700900999")
        assert submit.registered_delivery == 1
        assert submit.validity_period.startswith(b"00000000595") or submit.validity_period == b"000000010000000R"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("long_messages", ["udh", "udh16", "sar", "payload"])
async def test_a_long_sms_goes_in_segments_over_one_bind(long_messages: str) -> None:
    """Every segment asks for a receipt, one mark is made, and the SMSC can put the text together."""
    body = "Ünï ¢ " * 60
    async with running(binds=2, long_messages=long_messages) as (world, smsc):
        handed = await world.send(order(body=body))
        assert world.marks == ["world"]
        assert [message.text for message in smsc.messages] == [body]
        assert len(handed.remote_ids) == len(smsc.submits) == (1 if long_messages == "payload" else 6)
        assert all(submit.registered_delivery == 1 for submit in smsc.submits)
        await until(lambda: len(world.receipts) == len(handed.remote_ids))


@pytest_twisted.ensureDeferred
async def test_a_thousand_messages_go_out() -> None:
    """The window and the rate let a thousand through, each once."""
    async with running(rate="2000/s") as (world, smsc):
        await gatherResults([world.send(order(number)) for number in range(1000)])
        assert len(smsc.messages) == 1000
        await until(lambda: len(world.receipts) == 1000)

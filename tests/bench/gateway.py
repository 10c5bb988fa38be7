"""gatewayd's side of the bench: a daemon and its Redis as they run in production, and whole lives through them.

AOF everysec, metrics on, log at info to a file, both callbacks. Callers, SMSC, relay and Smartico run in the bench's
own process and are not counted.
"""

import itertools
from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from callers import Flow
from daemon import SECRET, World
from figures import Figures, Meter
from outside_ports import free_port
from twisted.internet import reactor
from vendor import TABLE, Vendor

from gatewayd.sandbox.smsc import Behaviour
from gatewayd.store.link import RedisLink
from redis_server import until

HTML = "<html><body>" + "<p>Get the offer of the week, and some more words of it.</p>" * 30 + "</body></html>"
GOOD = b'"error_code":0'
EVIDENCE_AFTER = 0.05
"""Seconds after which SMSC and relay report what they took, the same for both: at rest the daemon costs, too."""


class Gateway:
    """One daemon with its world. A round is `count` messages, with `cold` to players who were never looked up.

    Both may be changed between two rounds.
    """

    def __init__(self, world: World, *, cold: bool, count: int, players: int) -> None:
        self.world = world
        self.cold = cold
        self.count = count
        self._players_known = players
        self._used = 0  # players who had a message of a cold round, from the first on
        self._serial = itertools.count()

    @property
    def pids(self) -> dict[str, int]:
        """The processes that count."""
        return {"gatewayd": self.world.daemon.pid, "redis": self.world.redis.pid}

    def _players(self) -> Iterator[str]:
        if not self.cold:
            return (f"p{n % self._players_known + 1}" for n in range(self.count))
        first, self._used = self._used, self._used + self.count
        return (f"p{first + n + 1}" for n in range(self.count))

    def sms(self) -> list[bytes]:
        """A round of SMS."""
        number = next(self._serial)
        return [
            post("sms", ext_user_id=player, body=f"Get the offer {n}", im_uid=f"sms-{number}-{n}")
            for n, player in enumerate(self._players())
        ]

    def emails(self) -> list[bytes]:
        """A round of emails of 2 KB."""
        number = next(self._serial)
        return [
            post(
                "email",
                ext_user_id=player,
                from_email_address="Amazing <noreply@amazing.co>",
                reply_to_email_address="Amazing <noreply@amazing.co>",
                subject=f"The best offer you can find on the market, number {n}",
                body=HTML,
                text_body="Get the offer",
                email_uid=f"email-{number}-{n}",
            )
            for n, player in enumerate(self._players())
        ]

    async def round(self, kind: str, figures: Figures, in_flight: int) -> None:
        """Post a round of `kind`, and wait until both statuses of each were heard."""
        smartico = self.world.smartico
        smartico.heard.clear()
        flow = Flow(self.sms() if kind == "SMS" else self.emails(), in_flight, GOOD)
        smartico.on_heard = lambda heard: flow.ended() if heard.status == "delivered" else None
        meter = Meter(self.pids)
        await flow.run(self.world.api)
        await until(lambda: len(smartico.heard) >= 2 * flow.count, 300)
        meter.end(figures, flow.count)

    async def intake(self, kind: str, figures: Figures) -> None:
        """Post a round that nobody works on."""
        flow = Flow(self.sms() if kind == "SMS" else self.emails(), 0, GOOD)
        meter = Meter(self.pids)
        await flow.run(self.world.api)
        meter.end(figures, flow.count)


@asynccontextmanager
async def gateway(
    count: int,
    rounds: int,
    *,
    cold: bool,
    work: bool = True,
    players: int = 0,
    prefix: tuple[str, ...] = (),
    by_http: bool = False,
) -> Any:
    """A daemon that runs, for so many rounds of `count` messages to `players` (all different, where it is 0).

    With `prefix` it runs under a tool such as valgrind; with `by_http` SMS go by a vendor, which reports to us.
    """
    players = players or count
    known = count * (rounds + 2) if cold else players
    async with World(reactor, players=known, behaviour=Behaviour(receipt_delay=EVIDENCE_AFTER)) as world:
        world.relay.dsn_delay = EVIDENCE_AFTER
        await _configure(world, "appendfsync", "everysec")
        world.settings["gatewayd"]["log_level"] = "info"
        world.settings["smscs"]["world"] |= {"rate": "", "window": 100}
        vendor = await _by_http(world) if by_http else None
        if not work:
            world.settings["gatewayd"]["work"] = []
        if prefix:
            # A round takes longer than a look-up is remembered.
            world.settings["directories"]["players"]["cache"] = "1h"
        world.daemon.prefix = prefix
        world.write()
        await world.daemon.start(300.0 if prefix else 20.0)
        if work:
            await world.daemon.ready(300.0 if prefix else 20.0)
        if vendor is not None:
            await vendor.connect()
        yield Gateway(world, cold=cold, count=count, players=players)
        if vendor is not None:
            await vendor.stop()


async def _by_http(world: World) -> Vendor:
    public = free_port()
    vendor = Vendor(public)
    await vendor.start()
    world.settings["public"] = {
        "base_url": f"http://127.0.0.1:{public}",
        "listen": [f"tcp:{public}:interface=127.0.0.1"],
    }
    world.settings["providers"] = {"vendor": TABLE | {"url": f"http://127.0.0.1:{vendor.port}/send"}}
    world.settings["labels"]["amazing"]["sms_routes"] = [{"prefix": "", "via": ["vendor"]}]
    return vendor


async def _configure(world: World, name: str, value: str) -> None:
    async with _asking(world) as link:
        await link.command("CONFIG", "SET", name, value)


async def end_rewrites(world: World) -> None:
    """Return once Redis writes its file anew no more; it begins with that no more either.

    It does so at each doubling of the file: that is paid for by what was accepted, in the seconds in which it happens.
    """
    await _configure(world, "auto-aof-rewrite-percentage", "0")
    async with _asking(world) as link:

        async def is_over() -> bool:
            return b"aof_rewrite_in_progress:0" in await link.command("INFO", "persistence")

        await until(is_over, 300)


@asynccontextmanager
async def _asking(world: World) -> Any:
    link = RedisLink(reactor, world.redis.client(), jitter=lambda: 0.5)
    link.startService()
    yield link
    await link.stopService()


def post(channel: str, **fields: str) -> bytes:
    """One request, ready to be written."""
    body = msgspec.json.encode(fields)
    head = (
        f"POST /amazing/{channel} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {SECRET}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body

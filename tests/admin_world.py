"""The admin listener over memory, with everything behind it a fake."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from fakes import FakeStopList, FakeStore
from gatewayd.core.interfaces import unrecorded
from gatewayd.core.model import Channel, Decision, Handed, Message, Sms, WayState
from gatewayd.core.tokens import Keys
from gatewayd.operators.admin import AdminPaths
from gatewayd.operators.figures import Watch
from gatewayd.operators.metrics import Metrics
from gatewayd.operators.recent import RecentTroubles
from gatewayd.operators.stop_orders import StopOrders
from intake_world import ANNA, Players, label, recipients_of

EMAIL, SMS, IM = Channel.EMAIL, Channel.SMS, Channel.IM
NOW = 1_790_000_000.25
KEYS = Keys(b"k" * 32)


class Ways:
    """A channel whose ways out a test switches."""

    def __init__(self, **ways: bool) -> None:
        self.ways = dict(ways)

    def routes(self) -> Mapping[str, bool]:
        """As IChannel."""
        return self.ways

    def states(self) -> Mapping[str, WayState]:
        """As IChannel."""
        return {name: WayState(up, "up" if up else "down") for name, up in self.ways.items()}


class Reply(Struct):
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


class World:
    """An AdminPaths on a fake store, and a way to ask it."""

    def __init__(self, store: Callable[[Clock], FakeStore] = FakeStore) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store = store(self.clock)
        self.email, self.sms = Ways(main=True, backup=False), Ways(world=True)
        self.metrics = Metrics(CollectorRegistry())
        self.players = Players({"01001": replace(ANNA, id="1001"), "1001": replace(ANNA, id="1001")})
        labels = {name: label() for name in ("amazing", "other")}
        self.recipients = recipients_of(labels, players=self.players)
        self.lifted: list[tuple[str, float]] = []
        self.decisions: list[Decision] = []
        self.recent = RecentTroubles(self.clock, unrecorded)
        self.callback_hosts: dict[str, str] = {}
        self.idle: set[tuple[str, Channel]] = set()
        self.directories: dict[str, str] = {}
        labels = {"amazing": 86400.0, "other": 60.0}
        self.watch = Watch(
            self.clock,
            self.store,
            {EMAIL: self.email, SMS: self.sms},
            self.metrics,
            callback_hosts=lambda: self.callback_hosts,
            directories=lambda: self.directories,
            degraded=tuple,
            why_left=lambda label, channel: "no way out" if (label, channel) in self.idle else "",
            max_queued=1000,
            without_work=tuple,
        )
        self.admin = AdminPaths(
            self.clock,
            self.store,
            KEYS,
            self.metrics,
            labels,
            self.watch,
            stops=StopOrders(
                self.clock, self.store, FakeStopList(self.store), KEYS, self.recipients, self.decisions.append
            ),
            lift_guard=self._lift,
            instance="gw1",
            version="1.2.3",
            hosts=("gateway.amazing.example",),
            recent=self.recent,
            decided=self.decisions.append,
        )
        self.site = self.admin.site(self.clock)

    async def _lift(self, name: str, seconds: float) -> bool:
        has_guard = name == "amazing"
        if has_guard:
            self.lifted.append((name, seconds))
        return has_guard

    def ask(self, path: str, body: bytes | None = None, method: str = "", **headers: str) -> Reply:
        """The reply to one request over a connection of its own."""
        lines = [f"{method or ('GET' if body is None else 'POST')} {path} HTTP/1.1"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in {"Host": "127.0.0.1:9090", **headers}.items()]
        lines += [f"Content-Length: {len(body)}"] if body is not None else []
        raw = "\r\n".join([*lines, "", ""]).encode() + (body or b"")
        protocol, transport = self.site.buildProtocol(None), StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(raw)
        head, _, rest = transport.value().partition(b"\r\n\r\n")
        protocol.connectionLost(None)
        first, *others = head.decode().split("\r\n")
        return Reply(int(first.split(" ")[1]), dict(line.lower().split(": ", 1) for line in others), rest)

    def verb(self, name: str, **order: Any) -> Reply:
        """The reply to a verb of gatewayctl's."""
        return self.ask(f"/verbs/{name}", json.dumps(order).encode(), Content_Type="application/json")

    def run(self, work: Any) -> Any:
        """The result of a store's coroutine, which the fake ends at once."""
        found: list[Any] = []
        Deferred.fromCoroutine(work).addCallback(found.append)
        return found[0]

    def accept(self, uid: str = "uid-1", user: str = "player-1", label: str = "amazing") -> Message:
        """An SMS in the store."""
        message = Message(
            id=KEYS.message_ids(label, SMS, uid)[0],
            uid=uid,
            label=label,
            ext_user_id=user,
            content=Sms("Amazing", "hello"),
            accepted_at=self.clock.seconds(),
            deadline=self.clock.seconds() + 3600,
            callback_url="https://api.smartico.ai/cb",
        )
        self.run(self.store.accept(message, "print", lease=True))
        return message

    def sent(self, uid: str = "uid-1", **more: str) -> Message:
        """An SMS that the SMSC took."""
        message = self.accept(uid, **more)
        self.run(self.store.mark(message, "world", "hash", lease=""))
        self.run(self.store.settle_sent(message.id, SMS, Handed("world", ("42",))))
        return message

    def dead(self, uid: str = "uid-1") -> Message:
        """An SMS with a dead letter."""
        message = self.sent(uid)
        jobs = self.run(self.store.lease_reports(10))
        self.run(
            self.store.report_dead(
                next(job for job in jobs if job.message_id == message.id), "HTTP 500", waited=600, tries=16
            )
        )
        return message

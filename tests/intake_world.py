"""What the tests of the intake share: labels, requests that are taken, an api and an acceptor on fakes."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import treq
from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from zope.interface import implementer

from fakes import FakeMeter, FakeStopList, FakeStore
from gatewayd import config
from gatewayd.core.consent import Consent
from gatewayd.core.errors import StoreUnavailable, TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Channel, Decision, Leased, Recipient
from gatewayd.core.tokens import Keys
from gatewayd.directories import Directories
from gatewayd.directories.recipients import Recipients
from gatewayd.intake.accept import Acceptor
from gatewayd.intake.api import ApiPaths
from gatewayd.intake.guard import IntakeGuard

NOW = 1_790_000_000.0
SECRET = "let me in"
KEYS = Keys(b"k" * 32)
EMAIL: dict[str, Any] = {
    "ext_user_id": "hhu234556",
    "from_email_address": "Amazing <noreply@amazing.co>",
    "reply_to_email_address": "Amazing <noreply@amazing.co>",
    "subject": "The best offer your can find on the market",
    "body": "<html>..........</html>",
    "text_body": "Get the offer.....",
    "email_uid": "ksjhdf3428yqwr8fhjhfkdj",
    "callback_url": "https://api.smartico.ai/xyz/callback",
}
SMS: dict[str, Any] = {
    "ext_user_id": "hhu234556",
    "from_number": "Amazing",
    "body": "Get the offer",
    "im_uid": "im-1",
    "callback_url": "https://api.smartico.ai/xyz/callback",
}
ANNA = Recipient(email="anna@players.example", phone="07700 900123")


def label(**changes: Any) -> config.Label:
    """A label that takes EMAIL and SMS from loopback; `changes` are its keys in the file."""
    raw = {
        "allow_from": ["127.0.0.0/8", "203.0.113.0/24", "2001:db8::/32"],
        "authorization": [SECRET],
        "api_key": "key",
        "callback_hosts": ["*.smartico.ai"],
        "email_senders": ["*@amazing.co"],
        "sms_senders": ["Amazing", "+447700900999"],
        "directory": "players",
        "relays": ["main"],
        "sms_routes": [{"prefix": "", "via": ["world"]}],
    }
    return config.Label.model_validate(raw | changes, context={"environ": {}})


TABLE = config.PluginDirectory(type="fake", default_region="GB")


@implementer(IRecipientDirectory)
class Players:
    """A directory in memory. `down` makes it fail, `hang` makes it never answer."""

    trouble = ""

    def __init__(self, players: Mapping[str, Recipient] | None = None) -> None:
        self.players = dict({"hhu234556": ANNA} if players is None else players)
        self.down = False
        self.hang = False
        self.closed = False
        self.timeout = math.inf  # nobody ends a look-up that hangs
        self.failure: Exception | None = None
        self.asked: list[tuple[str, str, bool]] = []

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """The player, if the directory is well."""
        self.asked.append((label, ext_user_id, fresh))
        if self.hang:
            await Deferred()
        if self.failure is not None:
            raise self.failure
        if self.down:
            raise TemporaryFailure("down")
        return self.players.get(ext_user_id)

    async def close(self) -> None:
        """Nothing to close; that it was asked for is kept."""
        self.closed = True


def client_of(site: Any) -> StubTreq:
    """A client of a site of ours, over memory."""
    client = StubTreq(Resource())
    client._agent._serverFactory = site
    return client


def recipients_of(labels: Mapping[str, config.Label], clock: Clock | None = None, **directories: Any) -> Recipients:
    """Recipients over directories of the test's own, by name."""
    opened = Directories(None, dict.fromkeys(directories, TABLE), lambda reactor, name, table: directories[name])
    return Recipients(clock or Clock(), opened, labels)


class Tray:
    """An outbox with `places` for leased messages."""

    def __init__(self, places: int = 0) -> None:
        self.places = places
        self.offered: list[Leased] = []

    def room(self) -> bool:
        """Whether a place is left."""
        return len(self.offered) < self.places

    def hold(self, key: str, doing: Deferred[None]) -> None:
        """Nothing begins by itself here."""

    def offer(self, leased: Leased) -> None:
        """Keep it."""
        self.offered.append(leased)


class LikeSmscs:
    """Counts 160 characters a segment; takes no omega in a sender, and no text that is one star."""

    def segments(self, body: str, label: config.Label) -> int:
        """As Fit."""
        return -(-len(body) // 160)

    def why_no_sender(self, sender: str, label: config.Label) -> str:
        """As Fit."""
        return "the sender has an omega" if "Ω" in sender else ""

    def why_no_text(self, body: str, label: config.Label) -> str:
        """As Fit."""
        return "body is a star" if body == "*" else ""


class Lifted:
    """Seconds for which labels' guards are lifted."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.down = False

    async def lift(self, label: str, seconds: float) -> None:
        """As LiftedGuards."""
        self.seconds[label] = seconds

    async def lifted(self, label: str) -> float:
        """As LiftedGuards."""
        if self.down:
            raise StoreUnavailable("the fake is down")
        return self.seconds.get(label, 0.0)


class Intake:
    """An ApiPaths over an Acceptor over fakes, and a client that reaches it over memory."""

    def __init__(
        self,
        store: Callable[[Clock], Any] = FakeStore,
        *,
        keys: Keys = KEYS,
        trusted_proxies: tuple[Any, ...] = (),
        **labels: config.Label,
    ) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store = store(self.clock)
        self.players = Players()
        self.trays = {Channel.EMAIL: Tray(), Channel.SMS: Tray()}
        self.meter = FakeMeter()
        self.labels = labels or {"amazing": label()}
        self.recipients = recipients_of(self.labels, players=self.players)
        self.decisions: list[Decision] = []
        self.lifted = Lifted()
        self.guard = IntakeGuard(self.clock, lambda *asked: self.store.reserve_soon(*asked), self.lifted, self.labels)
        self.acceptor = Acceptor(
            self.clock,
            self.store,
            self.recipients,
            keys,
            self.labels,
            fit=LikeSmscs(),
            outboxes=self.trays,
            guard=self.guard,
            consent=Consent(FakeStopList(self.store), self.decisions.append),
            decided=self.decisions.append,
        )
        self.api = ApiPaths(
            self.clock,
            self.acceptor,
            self.labels,
            self.meter,
            trusted_proxies=trusted_proxies,
            max_body=20_000,
            new_id=lambda: "request-1",
        )
        self.site = self.api.site(self.clock)
        self.client = client_of(self.site)

    def reconfigure(self, labels: Mapping[str, config.Label]) -> None:
        """As a reload does."""
        self.recipients.reconfigure({"players": TABLE}, labels)
        self.acceptor.reconfigure(labels)
        self.api.reconfigure(labels, ())

    def call(self, path: str, data: bytes, method: str = "POST", **headers: str) -> Deferred[Any]:
        """Send `data` as it is; the answer comes when the memory is flushed."""
        return self.client.request(
            method,
            "http://gw" + path,
            data=data,
            headers={name.replace("_", "-"): text for name, text in headers.items()},
        )

    async def post(self, path: str, fields: Any, *, secret: str = SECRET, method: str = "POST", **headers: str) -> Any:
        """Status and JSON of what `fields` (bytes as they are, else as JSON) are answered."""
        data = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        response = await self.call(path, data, method, Authorization=secret, **headers)
        assert response.headers.getRawHeaders("content-type") == ["application/json"]
        body = await treq.content(response)
        assert response.length == len(body), "no Content-Length"
        return response.code, json.loads(body)

    async def code(self, path: str, fields: Any, **more: Any) -> int:
        """The error code, where the status is 200."""
        status, answer = await self.post(path, fields, **more)
        assert status == 200
        assert set(answer) == (
            {"error_code", "error_message"} if answer["error_code"] else {"error_code", "ext_message_id"}
        )
        return int(answer["error_code"])

"""What the email tests share: a label, messages, a scripted wire."""

import uuid
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from gatewayd.config import Label, Secret
from gatewayd.core.model import Email, Message
from gatewayd.core.tokens import Keys
from gatewayd.smtp.client import RelaySession
from gatewayd.smtp.commands import Envelope
from gatewayd.smtp.negotiation import Login, RelayTrouble
from gatewayd.smtp.timeouts import Timeouts

KEYS = Keys(b"k" * 32)
HTML = "<html><body><p>Hello</p></body></html>"
EHLO = b"250-relay.test\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n"


def label(**keys: Any) -> Label:
    """A label of the configuration that sends by the relay `main`."""
    given: dict[str, Any] = {
        "allow_from": (),
        "authorization": (Secret("x"),),
        "api_key": Secret("key"),
        "callback_hosts": (),
        "directory": "players",
        "email_senders": ("*@amazing.co",),
        "relays": ("main",),
    }
    return Label(**(given | keys))


def message(
    number: int = 1,
    *,
    at: float = 1_000_000_000.0,
    deadline: float = 10_000_000_000.0,
    activity_type: str = "",
    **content: str,
) -> Message:
    """An email that we took on; `content` are fields of model.Email."""
    given = {"from_email_address": "Amazing <noreply@amazing.co>", "subject": "The best offer", "body": HTML}
    return Message(
        id=str(uuid.UUID(int=number, version=4)),
        uid=f"uid-{number}",
        label="amazing",
        ext_user_id="player-1",
        content=Email(**(given | {"text_body": "Hello"} | content)),
        accepted_at=at,
        deadline=deadline,
        activity_type=activity_type,
    )


class Wire:
    """A session on a transport in memory: what it wrote, what it is told, and time as an argument."""

    def __init__(self, login: Login | None = None, *, ready: bool = True, ehlo: bytes = EHLO, **kwargs: Any) -> None:
        self.clock = Clock()
        self.lost: list[RelaySession] = []
        self.session = RelaySession(
            self.clock, login or Login(), timeouts=Timeouts(), on_lost=self.lost.append, **kwargs
        )
        self.transport: Any = StringTransportWithDisconnection()
        self.transport.protocol = self.session
        self.session.makeConnection(self.transport)
        if ready:
            self.tell(b"220 relay.test ESMTP\r\n")
            assert self.said() == b"EHLO [10.0.0.1]\r\n"
            self.tell(ehlo)

    def tell(self, data: bytes) -> None:
        """Bytes from the relay."""
        self.session.dataReceived(data)

    def said(self) -> bytes:
        """What was written since the last call."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def cut(self) -> None:
        """The network is gone."""
        self.transport.loseConnection()


ONE = Envelope("b+token@bounces.test", "jane@player.test", "a540f662-45b3-41ee-be56-0242ac120002")


def result(deferred: Deferred[Any]) -> Any:
    """What it fired with; the Deferred may not have fired yet only by mistake."""
    seen: list[Any] = []
    deferred.addBoth(seen.append)
    assert seen, "no result yet"
    return seen[0]


def trouble(wire: Wire) -> RelayTrouble:
    """Why the session did not become ready."""
    failure = result(wire.session.ready)
    assert isinstance(failure.value, RelayTrouble)
    return failure.value

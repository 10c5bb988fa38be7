"""A Smartico to play against, on real sockets: it hears callbacks, and posts messages as Smartico does.

Its answers are programmable, so that tests can make it slow, wrong or dead. Used by `gatewayctl sandbox` and by tests.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort, ITCPTransport
from twisted.protocols.policies import WrappingFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from gatewayd.sandbox.asker import Asker

PRINTED_OK = b'{"error_code": 0,}'
"""As the documentation prints it, trailing comma and all."""


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """How one callback is answered. `hang` never answers, `drop` closes the connection; `delay` in seconds."""

    status: int = 200
    body: bytes = PRINTED_OK
    delay: float = 0.0
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    hang: bool = False
    drop: bool = False


OK = CallbackAnswer()
NOT_FOUND = CallbackAnswer(body=b'{"error_code": 1, "error_message": "email was not found"}')
BROKEN = CallbackAnswer(status=500, body=b"<html>oops</html>", content_type="text/html")
HANGING = CallbackAnswer(hang=True)
DROPPED = CallbackAnswer(drop=True)


@dataclass(frozen=True, slots=True)
class Heard:
    """One callback as it came: when (the reactor's seconds), its path, its parameters, how many to this id before."""

    at: float
    path: str
    query: tuple[tuple[str, str], ...]
    before: int
    type: str = ""
    ext_message_id: str = ""
    status: str = ""
    api_key: str = ""


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """The gateway's answer to a POST."""

    http_status: int
    error_code: int | None
    ext_message_id: str
    error_message: str
    body: bytes


@dataclass
class _Expected:
    wanted: Callable[[list[Heard]], bool]
    granted: Deferred[None] = field(default_factory=Deferred)


class Smartico:
    """Listens for callbacks and remembers them in order in `heard`; `answers` decides what each is told."""

    def __init__(self, reactor: Any, answers: Callable[[Heard], CallbackAnswer] = lambda heard: OK) -> None:
        self.heard: list[Heard] = []
        self.answers = answers
        self.on_heard: Callable[[Heard], None] = lambda heard: None
        self._reactor = reactor
        self._wishes: list[_Expected] = []
        self._port: IListeningPort | None = None
        self._counts: dict[tuple[str, str], int] = {}
        resource = _CallbackResource(reactor, self._hear)
        site = _QuietSite(resource, parsePOSTFormSubmission=False)  # type: ignore[no-untyped-call]
        self._factory = _Counting(site)  # type: ignore[no-untyped-call]
        self._asker = Asker(reactor)

    async def listen(self, port: int = 0, interface: str = "127.0.0.1", tls: Any = None) -> str:
        """Begin to hear callbacks; the URL for `callback_url`. `tls` is a context factory for https."""
        if tls is not None:
            self._port = self._reactor.listenSSL(port, self._factory, tls, interface=interface)
        else:
            self._port = await TCP4ServerEndpoint(self._reactor, port, interface=interface).listen(self._factory)
        assert self._port is not None
        scheme = "https" if tls is not None else "http"
        return f"{scheme}://{interface}:{self.port}/callback"

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._port is not None
        return int(self._port.getHost().port)  # type: ignore[attr-defined]

    async def close(self) -> None:
        """Stop listening, drop every connection. May be opened again by `listen`."""
        if self._port is not None:
            stopping = self._port.stopListening()
            for connection in list(self._factory.protocols):
                connection.transport.abortConnection()
            self._port = None
            if stopping is not None:
                await stopping
        await self._asker.close()

    @property
    def connections(self) -> int:
        """How many connections were made to it."""
        return self._factory.made

    def statuses(self, ext_message_id: str) -> list[str]:
        """What was heard of one message, in order."""
        return [heard.status for heard in self.heard if heard.ext_message_id == ext_message_id]

    async def until(self, wanted: Callable[[list[Heard]], bool]) -> None:
        """Return once `wanted(heard)` is true; asked again after each callback."""
        if wanted(self.heard):
            return
        wish = _Expected(wanted)
        self._wishes.append(wish)
        await wish.granted

    async def until_heard(self, ext_message_id: str, *statuses: str) -> None:
        """Return once these statuses of a message were heard."""
        await self.until(lambda heard: set(statuses) <= set(self.statuses(ext_message_id)))

    async def send_email(self, gateway: str, label: str, secret: str, **fields: Any) -> GatewayAnswer:
        """POST one email as Smartico does; `fields` replace or add to the usual ones, None leaves one out."""
        usual = {
            "ext_user_id": "hhu234556",
            "from_email_address": "Amazing <noreply@amazing.co>",
            "reply_to_email_address": "Amazing <noreply@amazing.co>",
            "subject": "The best offer your can find on the market",
            "body": "<html><body><p>Get the offer</p></body></html>",
            "text_body": "Get the offer",
            "email_uid": uuid.uuid4().hex,
        }
        return await self.post(f"{gateway}/{label}/email", secret, usual | fields)

    async def send_sms(
        self, gateway: str, label: str, secret: str, *, kind: str = "sms", **fields: Any
    ) -> GatewayAnswer:
        """POST one SMS or instant message (`kind` im) as Smartico does; `fields` as in `send_email`."""
        usual = {
            "ext_user_id": "hhu234556",
            "from_number": "Amazing",
            "body": "Get the offer",
            "im_uid": uuid.uuid4().hex,
        }
        return await self.post(f"{gateway}/{label}/{kind}", secret, usual | fields)

    async def post(self, url: str, secret: str, fields: dict[str, Any]) -> GatewayAnswer:
        """POST `fields` as JSON; no Authorization header where `secret` is empty."""
        body = msgspec.json.encode({name: value for name, value in fields.items() if value is not None})
        headers = [("Content-Type", "application/json"), *([("Authorization", secret)] if secret else [])]
        said = await self._asker.ask(url, "POST", headers, body)
        try:
            answer = msgspec.json.decode(said.body)
        except msgspec.DecodeError:
            answer = {}
        return GatewayAnswer(
            said.status,
            answer.get("error_code"),
            answer.get("ext_message_id", ""),
            answer.get("error_message", ""),
            said.body,
        )

    def _hear(self, path: str, query: tuple[tuple[str, str], ...]) -> CallbackAnswer:
        known = dict(query)
        key = (known.get("ext_message_id", ""), known.get("status", ""))
        before = self._counts.get(key, 0)
        self._counts[key] = before + 1
        heard = Heard(
            at=self._reactor.seconds(),
            path=path,
            query=query,
            before=before,
            type=known.get("type", ""),
            ext_message_id=key[0],
            status=key[1],
            api_key=known.get("api_key", ""),
        )
        self.heard.append(heard)
        answer = self.answers(heard)
        self.on_heard(heard)
        granted = [wish for wish in self._wishes if wish.wanted(self.heard)]
        self._wishes = [wish for wish in self._wishes if wish not in granted]
        for wish in granted:
            # In a later turn: who waited may close us, and this answer is not written yet.
            self._reactor.callLater(0, wish.granted.callback, None)
        return answer


def first_times(times: int, answer: CallbackAnswer, then: CallbackAnswer = OK) -> Callable[[Heard], CallbackAnswer]:
    """Each status of each message gets `answer` the first `times` times, and `then` from there on."""
    return lambda heard: answer if heard.before < times else then


class _CallbackResource(Resource):
    isLeaf = True

    def __init__(self, reactor: Any, hear: Callable[[str, tuple[tuple[str, str], ...]], CallbackAnswer]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._hear = hear

    def render_GET(self, request: Request) -> int:
        parts = urlsplit(request.uri.decode("ascii", "replace"))
        answer = self._hear(parts.path, tuple(parse_qsl(parts.query, keep_blank_values=True)))
        if answer.drop:
            cast(ITCPTransport, request.transport).abortConnection()
        elif answer.delay:
            later = self._reactor.callLater(answer.delay, _write, request, answer)
            request.notifyFinish().addErrback(lambda _: later.active() and later.cancel())
        elif not answer.hang:
            _write(request, answer)
        return NOT_DONE_YET


def _write(request: Request, answer: CallbackAnswer) -> None:
    request.setResponseCode(answer.status)
    request.setHeader(b"content-type", answer.content_type.encode())
    request.setHeader(b"content-length", str(len(answer.body)).encode())
    for name, value in answer.headers:
        request.setHeader(name.encode(), value.encode())
    request.write(answer.body)
    request.finish()


class _QuietSite(Site):
    """No access log."""

    noisy = False

    def log(self, request: Any) -> None:
        pass


class _Counting(WrappingFactory):
    """Knows its connections; `made` counts them all."""

    noisy = False
    made = 0

    def buildProtocol(self, addr: Any) -> Any:
        self.made += 1
        return super().buildProtocol(addr)

"""A connection in memory, the pages that it serves, and a door that is choosy."""

from typing import Any

from klein import Klein
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.iweb import IRequest

from gatewayd.http.door import Answer, OpenDoor
from gatewayd.http.routes import Routes
from gatewayd.http.site import Site

NOW = 1_790_000_000.0
DATE = b"Date: Mon, 21 Sep 2026 14:13:20 GMT\r\n"


class Pages:
    """A Klein app with each kind of endpoint."""

    app = Klein()

    def __init__(self) -> None:
        self.gate: Deferred[None] = Deferred()
        self.bodies: list[bytes] = []
        self.ended: list[str] = []

    @app.route("/plain")
    def plain(self, request: IRequest) -> Any:
        """Bytes."""
        return b"plain"

    @app.route("/text")
    async def text(self, request: IRequest) -> Any:
        """Text, later."""
        return "tëxt"

    @app.route("/body", methods=["POST"])
    def body(self, request: Any) -> Any:
        """An Answer; the body is kept."""
        self.bodies.append(request.body)
        return Answer(b"{}", headers=((b"X-More", b"yes"),))

    @app.route("/slow")
    async def slow(self, request: IRequest) -> Any:
        """Waits for the gate."""
        try:
            await self.gate
        except CancelledError:
            self.ended.append("cancelled")
            raise
        self.ended.append("done")
        return Answer(b"slow")

    @app.route("/broken")
    async def broken(self, request: IRequest) -> Any:
        """Raises."""
        raise RuntimeError("canary")

    @app.route("/refused")
    async def refused(self, request: IRequest) -> Any:
        """Raises what the app knows."""
        raise LookupError

    @app.handle_errors(LookupError)
    def known(self, request: IRequest, failure: Any) -> Any:
        """Turns it into an answer."""
        return Answer(b"known", 410)

    @app.route("/items/<name>")
    def item(self, request: IRequest, name: str) -> Any:
        """By Klein's own rules."""
        return name


class Guard(OpenDoor):
    """A door that keeps /secret shut."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def admit(self, request: Any) -> Answer | None:
        """By path."""
        self.asked.append(request.path)
        return Answer(b"no", 403) if request.path == b"/secret" else None

    def too_large(self, request: Any) -> Answer:
        """With status 200."""
        return Answer(b"too large")

    def not_http(self, request: Any) -> Answer:
        """With the path that was asked for."""
        return Answer(b"unreadable " + request.path, 400)


class Line:
    """One connection to a site of Pages, over memory."""

    def __init__(self, site: Site | None = None, pages: Pages | None = None, max_body: int = 100) -> None:
        self.clock: Any
        self.pages = pages or Pages()
        if site is None:
            self.clock = Clock()
            self.clock.advance(NOW)
            site = Site(self.clock, Routes(self.pages.app).answer, max_body=max_body, door=Guard())
        self.site = site
        self.clock = site.reactor
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", "192.0.2.1", 5))
        self.protocol: Any = site.buildProtocol(None)
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> bytes:
        """What comes back within this turn and those that follow it at once."""
        self.transport.clear()
        self.protocol.dataReceived(data)
        self.clock.advance(0)
        return self.transport.value()

    @property
    def closed(self) -> bool:
        """Whether our side has closed, or cut off, the connection."""
        return bool(self.transport.disconnecting or self.transport.disconnected)

    def gone(self) -> None:
        """The connection is lost."""
        self.protocol.connectionLost()


def head(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request's head."""
    return "".join(f"{line}\r\n" for line in (f"{method} {path} HTTP/{version}", "Host: gw", *headers, "")).encode()

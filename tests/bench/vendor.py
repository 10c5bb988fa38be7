"""A vendor that costs little: answers each POST at once, and reports delivery over kept connections to our listener."""

import json
import re
from collections import deque
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol

REPORT_AFTER = 0.05
REPORTERS = 8
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
TABLE = {
    "fields": {"to": "{to}", "from": "{sender}", "text": "{text}", "dlr": "{report_url}"},
    "answer": {"ids": "id"},
    "reports": {"status": "s", "states": {"D": "delivered"}},
    "connections": 32,
}


class Vendor:
    """Listens on `port` once `start` is done; `public` is the port of gatewayd's public listener."""

    def __init__(self, public: int) -> None:
        self.public = public
        self.port = 0
        self.taken = 0
        self.reports: deque[bytes] = deque()
        self.reporters: list[_Reporter] = []
        self._listening: Any = None

    async def start(self) -> None:
        """Listen on a free port."""
        factory = Factory.forProtocol(lambda: _Api(self))
        factory.noisy = False
        self._listening = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(factory)
        self.port = self._listening.getHost().port

    async def connect(self) -> None:
        """Open the connections that reports go over."""
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.public)
        self.reporters = [await connectProtocol(endpoint, _Reporter(self)) for _ in range(REPORTERS)]

    async def stop(self) -> None:
        """Close all."""
        for reporter in self.reporters:
            reporter.transport.loseConnection()
        await self._listening.stopListening()

    def report(self, url: str) -> None:
        """Say that a message was delivered."""
        path = "/" + url.split("/", 3)[3]
        self.reports.append(f"GET {path}?s=D HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for reporter in self.reporters:
            if not reporter.busy and self.reports:
                reporter.go_on()


class _Api(Protocol):
    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._buffer = b""

    def dataReceived(self, data: bytes) -> None:
        """Twisted: more of a request."""
        self._buffer += data
        while True:
            head, blank, rest = self._buffer.partition(b"\r\n\r\n")
            found = _LENGTH.search(head)
            if not blank or found is None or len(rest) < int(found[1]):
                return
            body, self._buffer = rest[: int(found[1])], rest[int(found[1]) :]
            self._vendor.taken += 1
            answer = b'{"id": "%d"}' % self._vendor.taken
            assert self.transport is not None
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
            reactor.callLater(REPORT_AFTER, self._vendor.report, json.loads(body)["dlr"])


class _Reporter(Protocol):
    busy = False

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor

    def go_on(self) -> None:
        """The next report, if there is one."""
        self.busy = bool(self._vendor.reports)
        if self.busy:
            assert self.transport is not None
            self.transport.write(self._vendor.reports.popleft())

    def dataReceived(self, data: bytes) -> None:
        """Twisted: the answer, which is short."""
        self.go_on()

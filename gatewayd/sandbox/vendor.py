"""A vendor of SMS by HTTP and the operator's own inbox, in one small server: it takes, shows and reports messages.

Owns three paths: /sms as a vendor's API, /im as an inbox's, and / as the page that shows what came. Speaks real HTTP on
a real socket; knows of gatewayd only the URL for reports that comes with each message.
"""

import html
import json
from collections.abc import Callable
from typing import Any, cast

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

from gatewayd.sandbox.asker import Asker

REPORT_AFTER = 0.3
"""Seconds from a message to the report on it."""

MOST_SHOWN = 100


class Shown(Struct, frozen=True):
    """One message that came: `kind` is sms or im."""

    kind: str
    to: str
    sender: str
    text: str


class HttpVendor:
    """`on_step` hears what happens, a line each."""

    def __init__(self, reactor: Any, on_step: Callable[[str, str], None] = lambda who, what: None) -> None:
        self.messages: list[Shown] = []
        self._reactor = reactor
        self._on_step = on_step
        self._asker = Asker(reactor)
        self._port: IListeningPort | None = None
        self._reports: set[IDelayedCall] = set()

    @property
    def url(self) -> str:
        """Its page; /sms and /im lie under it."""
        assert self._port is not None
        return f"http://127.0.0.1:{cast(Any, self._port.getHost()).port}/"

    async def listen(self) -> None:
        """Open a free port."""
        site = Site(_Paths(self))
        site.noisy = False
        site.log = lambda request: None  # type: ignore[method-assign]
        self._port = await TCP4ServerEndpoint(self._reactor, 0, interface="127.0.0.1").listen(site)

    async def close(self) -> None:
        """Close it; what was not reported yet will not be."""
        for report in self._reports:
            if report.active():
                report.cancel()
        if self._port is not None:
            closing: Deferred[None] | None = self._port.stopListening()
            if closing is not None:
                await closing
        await self._asker.close()

    def accept(self, kind: str, fields: dict[str, Any]) -> dict[str, Any]:
        """A message came: the answer to it. Its report follows."""
        shown = Shown(kind, *(str(fields.get(name, "")) for name in ("to", "from", "text")))
        self.messages = [*self.messages, shown][-MOST_SHOWN:]
        number = f"{kind}-{fields.get('id', '')}"
        self._on_step("inbox" if kind == "im" else "vendor", f"took the {kind} to {shown.to}: {shown.text!r}")
        if url := fields.get("dlr"):
            self._reports.add(self._reactor.callLater(REPORT_AFTER, self._report, kind, str(url), number))
        return {"messages": [{"id": number, "status": "0"}]}

    def _report(self, kind: str, url: str, number: str) -> None:
        word = "shown" if kind == "im" else "DELIVERED"
        self._on_step("inbox" if kind == "im" else "vendor", f"reports {word}")
        asking = Deferred.fromCoroutine(self._asker.ask(f"{url}?id={number}&status={word}"))
        asking.addErrback(self._not_reported)

    def _not_reported(self, failure: Failure) -> None:
        self._on_step("vendor", f"could not report: {failure.getErrorMessage()}")

    def page(self) -> str:
        """What came, the newest first."""
        rows = "".join(
            f"<li><b>{html.escape(one.to)}</b> <small>{one.kind} from {html.escape(one.sender) or 'nobody'}</small>"
            f"<p>{html.escape(one.text)}</p></li>"
            for one in reversed(self.messages)
        )
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Inbox</title><style>body{font:16px sans-serif;'
            "max-width:36em;margin:2em auto}li{border-bottom:1px solid #ccc;padding:.5em 0;list-style:none}"
            f"p{{margin:.3em 0}}</style><h1>Inbox</h1><ul>{rows or '<li>Nothing came yet.</li>'}</ul></html>"
        )


class _Paths(Resource):
    isLeaf = True

    def __init__(self, vendor: HttpVendor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._vendor = vendor

    def render_GET(self, request: Request) -> bytes:
        if request.path != b"/":
            request.setResponseCode(404)
            return b""
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        return self._vendor.page().encode()

    def render_POST(self, request: Request) -> bytes:
        kind = request.path.decode("ascii", "replace").strip("/")
        try:
            fields = json.loads(request.content.read()) if request.content is not None else None
        except ValueError:
            fields = None
        if kind not in ("sms", "im") or not isinstance(fields, dict):
            request.setResponseCode(400)
            return b"{}"
        request.setHeader(b"Content-Type", b"application/json")
        return json.dumps(self._vendor.accept(kind, fields)).encode()

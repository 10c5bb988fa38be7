"""A vendor of SMS or instant messages as a stranger wrote it, on the standard library's server. Imports no gatewayd."""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from outside_ports import free_port, noted


@dataclass(frozen=True)
class Asked:
    """One request as it came; `fields` are those of its JSON, its form, or its query."""

    at: float
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    fields: dict[str, Any] = field(default_factory=dict)


Answer = tuple[int, bytes, dict[str, str]]


class Vendor:
    """Takes requests. `answer(asked)` gives the answer, or None to close the connection without one; it may sleep.

    Without one of its own it answers 200 and {"id": ...}; `after` runs once that was sent.
    """

    def __init__(self, port: int = 0, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer | None] = lambda asked: (
            200,
            json.dumps({"id": f"V{len(self.asked)}"}).encode(),
            {},
        )
        self.after: Callable[[Asked], None] = lambda asked: None
        self.port = port or free_port()
        self._server: ThreadingHTTPServer | None = None
        self._closing = threading.Event()
        self.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http{'s' if self._context else ''}://127.0.0.1:{self.port}/send"

    def hang_up(self, *, after_all: bool = True) -> None:
        """From now on close each connection after its answer, without a word of it; or do so no more."""
        (self._closing.set if after_all else self._closing.clear)()

    def start(self) -> None:
        """Listen."""
        outer = self

        class Calls(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fields = fields_of(self.path, self.headers.get("Content-Type", ""), body)
                asked = Asked(time.time(), self.command, self.path, dict(self.headers.items()), body, fields)
                outer.asked.append(asked)
                answer = outer.answer(asked)
                if answer is None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                status, text, headers = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)
                self.wfile.flush()
                noted()
                outer.after(asked)

                if outer._closing.is_set():
                    self.close_connection = True

            do_GET = do_POST

            def log_message(self, *args: object) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

            def handle_error(self, request: object, client_address: object) -> None:
                """Whoever was killed in between."""

            def process_request(self, request: Any, client_address: Any) -> None:
                outer._open.add(request)
                super().process_request(request, client_address)

        self._open: set[socket.socket] = set()
        self._server = Server(("127.0.0.1", self.port), Calls)
        if self._context is not None:
            self._server.socket = self._context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and end those that are open."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def fields_of(target: str, kind: str, body: bytes) -> dict[str, Any]:
    """What a request says."""
    if kind.startswith("application/json"):
        found: dict[str, Any] = json.loads(body)
        return found
    query = urlsplit(target).query if not body else body.decode()
    return dict(parse_qsl(query, keep_blank_values=True))


def call(port: int, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> int:
    """Report to a listener on this machine, whatever host its public URL names; the answer's status."""
    parts = urlsplit(target)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("GET" if body is None else "POST", path, body, dict(headers or {}))
        return connection.getresponse().status
    finally:
        connection.close()

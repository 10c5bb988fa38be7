"""Smartico as a stranger wrote it: hears our calls on the standard library's server. Imports nothing of gatewayd."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from outside_ports import noted


@dataclass(frozen=True)
class Heard:
    """One call to Smartico: when, the target as on the request line, and its query in order."""

    at: float
    target: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    method: str

    @property
    def status(self) -> str:
        """The word, "" without one."""
        return dict(self.query).get("status", "")

    @property
    def message_id(self) -> str:
        """ext_message_id, "" without one."""
        return dict(self.query).get("ext_message_id", "")


class Smartico:
    """Takes the status calls. `answer(heard)` gives status, body and headers of the answer; it may sleep or raise."""

    def __init__(self, context: ssl.SSLContext | None = None, *, port: int = 0) -> None:
        self.heard: list[Heard] = []
        self.refused = 0
        """Callers that gave up in the TLS handshake."""
        self.answer: Callable[[Heard], tuple[int, bytes, dict[str, str]]] = lambda heard: (
            200,
            b'{"error_code": 0,}',
            {},
        )
        outer = self

        class Calls(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                query = parse_qsl(urlsplit(self.path).query, keep_blank_values=True)
                heard = Heard(time.time(), self.path, query, dict(self.headers.items()), self.command)
                outer.heard.append(heard)
                status, body, headers = outer.answer(heard)
                self.send_response(status)
                for name, value in (
                    {"Content-Type": "application/json", "Content-Length": str(len(body))} | headers
                ).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
                noted()

            do_POST = do_HEAD = do_PUT = do_GET

            def log_message(self, *args: object) -> None:
                """Nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self) -> tuple[socket.socket, object]:
                try:
                    return super().get_request()
                except ssl.SSLError:
                    outer.refused += 1
                    raise

            def handle_error(self, request: object, client_address: object) -> None:
                """A test may make the answer fail."""

        self._server = Server(("127.0.0.1", port), Calls)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}/cb"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def statuses(self, message_id: str) -> list[str]:
        """Every status of one message, as they came."""
        return [heard.status for heard in list(self.heard) if heard.message_id == message_id]

    def stop(self) -> None:
        """Close it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

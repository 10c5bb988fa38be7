"""A mail server on aiosmtpd whose every reply a test chooses. Imports nothing of gatewayd."""

import asyncio
import gc
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult
from outside_ports import free_port


@dataclass
class Mail:
    """One mail after its final dot."""

    at: float
    mail_from: str
    rcpt: list[str]
    raw: bytes
    user: str = ""
    tls: bool = False

    @property
    def parsed(self) -> EmailMessage:
        """The message."""
        message = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(message, EmailMessage)
        return message


class Relay:
    """A mail server. `mail`, `rcpt` and `dot` may return a reply instead of 250; `dot` may return "drop".

    What has its final dot is in `mails`, whatever the reply was.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        starttls: ssl.SSLContext | None = None,
        implicit: ssl.SSLContext | None = None,
        user: tuple[str, str] | None = None,
    ) -> None:
        self.mails: list[Mail] = []
        self.mail: Callable[[str], str] = lambda address: ""
        self.rcpt: Callable[[str], str] = lambda address: ""
        self.dot: Callable[[Mail], str] = lambda mail: ""
        self.connections = 0
        self.port = port or free_port()
        self._options = {"starttls": starttls, "implicit": implicit, "user": user}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread()
        self.start()

    def start(self) -> None:
        """Listen."""
        starttls, implicit, user = (self._options[key] for key in ("starttls", "implicit", "user"))
        outer = self

        class Hooks:
            async def handle_EHLO(
                self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
            ) -> list[str]:
                outer.connections += 1
                session.host_name = hostname
                return responses

            async def handle_MAIL(
                self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
            ) -> str:
                reply = outer.mail(address)
                if not reply.startswith(("4", "5")):
                    envelope.mail_from = address
                return reply or "250 2.1.0 fine"

            async def handle_RCPT(
                self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
            ) -> str:
                reply = outer.rcpt(address)
                if not reply.startswith(("4", "5")):
                    envelope.rcpt_tos.append(address)
                return reply or "250 2.1.5 fine"

            async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
                content = envelope.original_content or envelope.content
                mail = Mail(
                    time.time(),
                    envelope.mail_from,
                    list(envelope.rcpt_tos),
                    content,
                    (session.auth_data.login.decode() if getattr(session, "auth_data", None) else ""),
                    server.transport.get_extra_info("sslcontext") is not None,
                )
                outer.mails.append(mail)
                reply = outer.dot(mail)
                if reply == "drop":
                    server.transport.abort()
                return reply or "250 2.0.0 queued"

        def authenticator(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
            good = user is not None and (data.login.decode(), data.password.decode()) == user
            return AuthResult(success=good, handled=good, auth_data=data if good else None)

        extra: dict[str, Any] = {}
        if starttls is not None:
            extra |= {"tls_context": starttls, "require_starttls": True}
        if user is not None:
            extra |= {"authenticator": authenticator, "auth_required": True, "auth_require_tls": starttls is not None}
        loop = asyncio.new_event_loop()
        self._loop = loop

        connected: list[SMTP] = []

        def connection() -> SMTP:
            connected.append(SMTP(Hooks(), loop=loop, **extra))
            return connected[-1]

        async def listen() -> asyncio.Server:
            return await loop.create_server(connection, "127.0.0.1", self.port, ssl=implicit)

        server = loop.run_until_complete(listen())

        async def end_all(tasks: set[asyncio.Task[Any]]) -> None:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        def serve() -> None:
            loop.run_forever()
            server.close()
            for one in connected:
                if one.transport is not None:
                    one.transport.abort()
            loop.run_until_complete(end_all(asyncio.all_tasks(loop)))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Nobody listens any more, and connections close."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop = None
            drop_connections()


def drop_connections() -> None:
    """Collect what a stopped loop left open, here and not in the test that runs when the collector comes by."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


class Mute:
    """Takes connections and never says a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._listener.getsockname()[1]
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self._taken.append(self._listener.accept()[0])

    def stop(self) -> None:
        """Close all of it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._taken:
            connection.close()

"""Requests to one vendor's host: a connection, the octets, the answer; and whether the host can be reached at all.

Knows octets and time. When a request may be made is the vendor's, what an answer means the channel's.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gatewayd.config import Provider
from gatewayd.core.errors import Down, NotWritten, Unanswered
from gatewayd.http_client import origin
from gatewayd.http_client.answers import AnswerReader, TooLarge
from gatewayd.http_client.keepalive import CertificateRefused, ClientConnection, TooLate
from gatewayd.http_client.requests import host_header, request
from gatewayd.providers.health import Health
from gatewayd.providers.templates import Asked

IDLE = 4.0
"""Seconds that a connection is kept unused where the vendor says nothing of it: many servers close after 5.

A request on a connection that is just being closed is one of which nobody knows whether it arrived.
"""


class Answered(Struct, frozen=True):
    """A vendor's answer. `body` is None of a success that says more than we read. Moments: seconds since the epoch."""

    status: int
    body: bytes | None
    retry_after: str
    written_at: float
    seconds: float


class Exchange:
    """With the host of one [providers.NAME]; `latency` is the seconds that an answer takes, smoothed."""

    log = Logger()

    def __init__(self, reactor: Any, name: str, settings: Provider, health: Health) -> None:
        self.latency = 0.0
        self._clock = reactor
        self._name = name
        self._health = health
        self._timeout = settings.timeout
        parts = urlsplit(settings.url)
        self._host = host_header(parts.netloc)
        self._plain = origin.endpoint_of(reactor, parts.scheme, parts.netloc, settings.timeout)
        self._origin = origin.origin_of(
            reactor,
            settings.url,
            timeout=settings.timeout,
            idle=IDLE,
            ca_file=settings.ca_file,
            certificate=settings.certificate,
            private_key=settings.private_key,
        )

    def wait_for(self, timeout: float) -> None:
        """So many seconds for an answer from the next request on."""
        self._timeout = self._origin.timeout = timeout

    def close(self) -> list[Deferred[None]]:
        """Let all connections go; each of what is given fires when one is closed."""
        return self._origin.close()

    async def ask(self, asked: Asked, mark: Callable[[], Awaitable[None]]) -> Answered:
        """Write one request and wait for its answer; `mark` is awaited right before the octets are written.

        Of an answer that is no success, and does not come whole, the body is empty: it was read, and not taken. A
        success that is too large is one by its status, and by nothing else.

        Raises Down or NotWritten where nothing was written, Down also where nothing was read for want of a certificate
        of ours; Unanswered where it was written and no answer came; and whatever `mark` raises.
        """
        connection = await self._connection()
        try:
            await mark()
        except BaseException:
            self._origin.give_back(connection)
            raise
        if not connection.alive:
            if connection.has_served:
                raise NotWritten
            # A door with nobody behind it, as of a balancer or of a container that is down: it opens, and closes.
            raise self._failed("new connections end before anything is written")
        written_at = self._clock.seconds()
        octets = request(
            asked.method, asked.target, self._host, asked.headers, asked.body, has_body=asked.method != "GET"
        )
        is_whole = True
        try:
            answer: AnswerReader = await connection.ask(octets, written_at + self._timeout)
        except CancelledError:
            raise
        except CertificateRefused as problem:
            raise self._failed(self.reason(problem)) from None
        except Exception as problem:
            answer = connection.so_far
            is_whole = answer.is_no_success
            if not is_whole and not isinstance(problem, TooLarge):
                reason = self.reason(problem)
                self._note_latency(written_at)
                self._health.unanswered(self._clock.seconds(), reason)
                raise Unanswered(reason) from None
        self._note_latency(written_at)
        body = answer.body if is_whole else None
        return Answered(answer.status, body, answer.retry_after, written_at, self._clock.seconds() - written_at)

    async def knock(self) -> None:
        """Open a connection without TLS and close it. Raises why there is none."""
        await origin.knock(self._clock, self._plain, self._timeout)

    async def connect(self, listened: float = 0.0) -> None:
        """Open a connection and close it, after `listened` seconds. Raises why there is none; nothing is asked."""
        await self._origin.listen(listened)

    def unreachable(self, problem: BaseException) -> None:
        """There was no connection."""
        reason = self.reason(problem)
        if self._health.reachable:
            self.log.warn("provider {provider} is down: {reason}", provider=self._name, reason=reason)
        self._health.unreachable(self._clock.seconds(), reason)

    def reason(self, problem: BaseException) -> str:
        """Why there was no connection or no answer, in words that name nobody."""
        if isinstance(problem, TooLate):
            return f"no answer in {self._timeout:g} s"
        return origin.reason(problem, "host", has_keys=True) or f"no answer: {type(problem).__name__}"

    def _failed(self, reason: str) -> Down:
        """It takes no request, for a reason that is not the message's."""
        self._health.failed(self._clock.seconds(), reason)
        return Down(f"{self._name}: {reason}")

    async def _connection(self) -> ClientConnection:
        try:
            connection = await self._origin.connection()
        except CancelledError:
            raise
        except Exception as problem:
            self.unreachable(problem)
            raise Down(why_down(self._name, self._health)) from None
        self._health.connected(self._clock.seconds())
        return connection

    def _note_latency(self, written_at: float) -> None:
        """Of what got no answer, too: who hangs must not keep a crowd waiting in memory."""
        self.latency += (self._clock.seconds() - written_at - self.latency) / 8


def why_down(name: str, health: Health) -> str:
    """That it is down, and why, for a message's timeline."""
    return f"{name} is down: {health.trouble}" if health.trouble else f"{name} is down"

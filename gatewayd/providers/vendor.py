"""One vendor as the channel sees it: its connections, its pace, its health, and who waits for them.

Owns the order of waiting and the limit on it. It knows octets; what an answer means for a message is the channel's.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.logger import Logger

from gatewayd.config import Provider
from gatewayd.core import backlog, tls
from gatewayd.core.errors import Down, NotWritten, TemporaryFailure, Unanswered
from gatewayd.core.model import WayState
from gatewayd.core.pace import Pace, Reserve
from gatewayd.core.slots import Slots
from gatewayd.http_client import origin
from gatewayd.http_client.answers import AnswerReader, BadAnswer
from gatewayd.http_client.keepalive import ClientConnection, TooLate
from gatewayd.http_client.origin import Origin
from gatewayd.http_client.requests import request
from gatewayd.providers.health import Health
from gatewayd.providers.probes import Probes
from gatewayd.providers.templates import Asked

LIVE_KEYS = frozenset(Provider.model_fields) - {"url", "ca_file", "certificate", "private_key"}
"""Keys of [providers.NAME] that change without a new connection."""

LONGEST_WAIT = 5.0
"""Seconds that one request may wait for a connection: a vendor that answers nothing must not hold messages."""

IDLE = 4.0
"""Seconds that a connection is kept unused where the vendor says nothing of it: many servers close after 5.

A request on a connection that is just being closed is one of which nobody knows whether it arrived.
"""

DRAIN = 20.0
"""Seconds that a stop waits for the answers to what was written."""


class Answered(Struct, frozen=True):
    """A vendor's answer, complete. Moments: seconds since the epoch."""

    status: int
    body: bytes
    retry_after: str
    written_at: float
    seconds: float


class Vendor:
    """The connections of one [providers.NAME]. `network` is the reactor, with whatever resolver is meant."""

    log = Logger()

    def __init__(
        self,
        clock: Any,
        name: str,
        settings: Provider,
        *,
        network: Any,
        reserve: Reserve,
        jitter: Callable[[], float],
    ) -> None:
        self.name = name
        self.settings = settings
        self.health = Health(clock.seconds(), jitter)
        self._clock = clock
        self._pace = Pace(clock, f"provider:{name}", settings.rate, reserve, jitter)
        self._slots = Slots(clock, settings.connections, LONGEST_WAIT, self._full)
        self._backlog = backlog.Backlog(jitter)
        parts = urlsplit(settings.url)
        plain = origin.endpoint_of(network, parts.scheme, parts.netloc, settings.timeout)
        self._probes = Probes(
            clock,
            name,
            self.health,
            knock=lambda: origin.knock(clock, plain, self.settings.timeout),
            connect=self.connect,
            is_under_way=lambda: self._in_flight > 0,
            unreachable=lambda problem: self._is_unreachable(self.reason(problem)),
        )
        self._origin = Origin(
            clock,
            _endpoint(network, settings),
            tls=parts.scheme == "https",
            timeout=settings.timeout,
            idle=IDLE,
        )
        self._host = origin.host_header(parts.netloc)
        self._started_at = 0.0
        self._latency = 0.0  # smoothed seconds that an answer takes
        self._handed = 0
        self._in_flight = 0
        self._stopping = False
        self._drained: Deferred[None] | None = None

    @property
    def up(self) -> bool:
        """Whether a message may be given to it."""
        health = self.health
        return health.up(self._clock.seconds()) and not (health.on_trial and self._in_flight)

    @property
    def heard_since(self) -> float:
        """Since when its reports could come to us; 0 where it sends none."""
        return self._started_at if self.reports else 0.0

    @property
    def reports(self) -> bool:
        """Whether it is told where to report what became of messages."""
        return "report_url" in self.settings.place_holders

    def why_down(self) -> str:
        """That it is down, and why, for a message's timeline."""
        reason = self.health.trouble
        return f"{self.name} is down: {reason}" if reason else f"{self.name} is down"

    def state(self) -> WayState:
        """As one line for people."""
        up, health = self.up, self.health
        paused = max(0.0, self._pace.paused_until - self._clock.seconds())
        reason = health.trouble
        if up and paused:
            reason = f"throttled: goes on in {paused:.1f} s"
        return WayState(
            up=up,
            word="up" if up else "down",
            reason=reason,
            since=health.since,
            in_flight=self._in_flight,
            window=self.settings.connections,
            rate=self.settings.rate,
            handed=self._handed,
            throttled=self._pace.throttles,
        )

    def start(self) -> None:
        """Look after it from now on."""
        self._started_at = self._clock.seconds()
        self._probes.startService()

    async def stop(self) -> None:
        """Nothing new is written; what was gets its answer, up to `DRAIN` seconds; then the connections close."""
        self._stopping = True
        self._probes.stopService()
        self._fail_waiting(self._ending)
        if self._in_flight:
            drained = self._drained = Deferred()
            with suppress(DeferredTimeoutError):
                await drained.addTimeout(DRAIN, self._clock)
        self._pace.stop()
        for closing in self._origin.close():
            await closing

    def reconfigure(self, settings: Provider) -> None:
        """Go by these from the next message on; connections stay."""
        self.settings = settings
        self._pace.rate = settings.rate
        self._slots.limit = settings.connections
        self._origin.timeout = settings.timeout
        self._backlog.forget()

    async def ask(self, asked: Asked, message_id: str, mark: Callable[[], Awaitable[None]]) -> Answered:
        """Write one request when pace and connections allow, and wait for its answer.

        `mark` is awaited after all waiting, right before the octets are written.

        Raises Down or NotWritten where nothing was written, TemporaryFailure where it would wait too long, Unanswered
        where it was written and no answer came, and whatever `mark` raises.
        """
        if self._stopping:
            raise self._ending()
        ahead = self._backlog.goes_ahead(message_id)
        if not ahead:
            self._check_backlog()
        with await self._slots.take(ahead=ahead):
            await self._pace.moment(ahead=ahead)
            if self._stopping:
                raise self._ending()
            if not self.up:
                raise Down(self.why_down())
            self._in_flight += 1
            try:
                return await self._on_a_connection(asked, mark)
            finally:
                self._in_flight -= 1
                if self._drained is not None and not self._in_flight and not self._drained.called:
                    self._drained.callback(None)

    def throttled(self, message_id: str, answer: Answered, until: float) -> float:
        """It said "slow down" to this message: when to try again, before all who wait by then."""
        until = self._pace.throttled(answer.written_at, until)
        self._backlog.put_off(message_id)
        if until - self._clock.seconds() > backlog.LONGEST:
            self._fail_waiting(lambda: TemporaryFailure(f"{self.name} throttles us", not_before=until, counts=False))
        return until

    def accepted(self, answer: Answered) -> None:
        """It accepted the message."""
        self._handed += 1
        self._pace.accepted(answer.written_at)

    async def connect(self) -> None:
        """Open a connection and close it. Raises why there is none; nothing is asked."""
        connection = await self._origin.connection()
        await connection.abandon()

    def reason(self, problem: BaseException) -> str:
        """Why there was no connection or no answer, in words that name nobody."""
        if isinstance(problem, TooLate):
            return f"no answer in {self.settings.timeout:g} s"
        if isinstance(problem, BadAnswer):
            return f"its answer is unreadable: {problem}"
        return origin.reason(problem, "host") or f"no answer: {type(problem).__name__}"

    # A request ------------------------------------------------------------------------------------------------

    async def _on_a_connection(self, asked: Asked, mark: Callable[[], Awaitable[None]]) -> Answered:
        connection = await self._connection()
        try:
            await mark()
        except BaseException:
            self._origin.give_back(connection)
            raise
        if not connection.alive:
            raise NotWritten
        written_at = self._clock.seconds()
        octets = request(
            asked.method, asked.target, self._host, asked.headers, asked.body, has_body=asked.method != "GET"
        )
        try:
            answer: AnswerReader = await connection.ask(octets, written_at + self.settings.timeout)
        except CancelledError:
            raise
        except Exception as problem:
            reason = self.reason(problem)
            self._note_latency(written_at)
            self.health.unanswered(self._clock.seconds(), reason)
            raise Unanswered(reason) from None
        now = self._clock.seconds()
        self._probes.heard()
        self._note_latency(written_at)
        return Answered(answer.status, answer.body, answer.retry_after, written_at, now - written_at)

    def _note_latency(self, written_at: float) -> None:
        """Of what got no answer, too: who hangs must not keep a crowd waiting in memory."""
        self._latency += (self._clock.seconds() - written_at - self._latency) / 8

    async def _connection(self) -> ClientConnection:
        try:
            connection = await self._origin.connection()
        except CancelledError:
            raise
        except Exception as problem:
            self._is_unreachable(self.reason(problem))
            raise Down(self.why_down()) from None
        self.health.connected(self._clock.seconds())
        return connection

    def _is_unreachable(self, reason: str) -> None:
        if self.health.reachable:
            self.log.warn("provider {provider} is down: {reason}", provider=self.name, reason=reason)
        self.health.unreachable(self._clock.seconds(), reason)

    # Waiting --------------------------------------------------------------------------------------------------

    def _check_backlog(self) -> None:
        waiting = self._slots.waiting
        again = self._backlog.come_again_at(
            self._clock.seconds(),
            waiting=waiting,
            delay=self._pace.delay(waiting + self._pace.waiting),
            rate=self.settings.rate,
            latency=self._latency,
            window=self.settings.connections,
        )
        if again is not None:
            before = waiting + self._pace.waiting
            reason = f"{self.name} is busy: " + (f"{before} messages wait already" if before else "it said slow down")
            raise TemporaryFailure(reason, not_before=again, counts=False)

    def _full(self) -> TemporaryFailure:
        later = self._clock.seconds() + LONGEST_WAIT
        return TemporaryFailure(
            f"{self.name} answers none of {self.settings.connections} requests", not_before=later, counts=False
        )

    def _ending(self) -> TemporaryFailure:
        return TemporaryFailure(f"{self.name} is being let go", counts=False)

    def _fail_waiting(self, why: Callable[[], TemporaryFailure]) -> None:
        self._slots.fail(why)
        self._pace.fail_waiting(why)


def _endpoint(network: Any, settings: Provider) -> Any:
    parts = urlsplit(settings.url)
    options = None
    if parts.scheme == "https":
        host, _ = origin.host_of(parts.netloc)
        options = tls.client_options(
            host,
            ca_file=settings.ca_file,
            certificate=settings.certificate,
            private_key=settings.private_key,
        )
    return origin.endpoint_of(network, parts.scheme, parts.netloc, settings.timeout, options)

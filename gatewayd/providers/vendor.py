"""One vendor as the channel sees it: when a request may be made, and who waits for that.

Owns the order of waiting and the limit on it, by its pace, its health and the number of its connections. How it is
asked is exchange.py's, what an answer means for a message the channel's.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred

from gatewayd.config import Provider
from gatewayd.core.at_most import has_ended
from gatewayd.core.backlog import Backlog
from gatewayd.core.drain import DRAIN
from gatewayd.core.errors import Down, TemporaryFailure
from gatewayd.core.model import Message, WayState
from gatewayd.core.own_reasons import OwnReasons
from gatewayd.core.pace import Pace, Reserve
from gatewayd.core.slots import Slots
from gatewayd.providers.exchange import Answered, Exchange, why_down
from gatewayd.providers.health import Health
from gatewayd.providers.probes import Probes
from gatewayd.providers.templates import Asked

LIVE_KEYS = frozenset(Provider.model_fields) - {"url", "ca_file", "certificate", "private_key"}
"""Keys of [providers.NAME] that change without a new connection."""

LONGEST_WAIT = 5.0
"""Seconds that one request may wait for a connection: a vendor that answers nothing must not hold messages."""

LONG_PAUSE = 60.0
"""Seconds of a Retry-After, from which on it is no pace any more: those whose messages wait so long are named."""


class Vendor:
    """One [providers.NAME]."""

    def __init__(
        self,
        reactor: Any,
        name: str,
        settings: Provider,
        *,
        reserve: Reserve,
        jitter: Callable[[], float],
    ) -> None:
        self.name = name
        self.settings = settings
        self.health = Health(reactor.seconds(), jitter)
        self.own_reasons = OwnReasons(reactor, "message")
        self._clock = reactor
        self._pace = Pace(reactor, f"provider:{name}", settings.rate, reserve, jitter)
        self._slots = Slots(reactor, settings.connections, LONGEST_WAIT, self._full)
        self._backlog = Backlog(reactor, name, "messages", self._pace, jitter, self._slots.fail)
        self._exchange = Exchange(reactor, name, settings, self.health)
        self._probes = Probes(
            reactor,
            name,
            self.health,
            knock=self._exchange.knock,
            connect=self._exchange.connect,
            is_under_way=lambda: self._in_flight > 0,
            unreachable=self._exchange.unreachable,
        )
        self._started_at = 0.0
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
        return self._started_at if self.tells_later else 0.0

    @property
    def tells_later(self) -> bool:
        """Whether it is told where to report what became of messages."""
        return self.settings.tells_later

    def why_down(self) -> str:
        """That it is down, and why, for a message's timeline."""
        return why_down(self.name, self.health)

    def state(self) -> WayState:
        """As one line for people."""
        up, health = self.up, self.health
        refuses = self.own_reasons.words() or self._long_pause()
        return WayState(
            up=up,
            word="up" if up else "down",
            reason=(up and (refuses or self._pace.trouble())) or health.trouble,
            since=health.since,
            in_flight=self._in_flight,
            window=self.settings.connections,
            rate=self.settings.rate,
            handed=self._handed,
            throttled=self._pace.throttles,
            refuses=refuses,
            refuses_of=self.own_reasons.labels(),
        )

    def _long_pause(self) -> str:
        """That it asked us to send nothing for more than a minute from now; "" where it did not."""
        left = self._pace.paused_until - self._clock.seconds()
        return f"it said slow down, for {left / 60:.0f} min from now" if left > LONG_PAUSE else ""

    def start(self) -> None:
        """Look after it from now on."""
        self._started_at = self._clock.seconds()
        self._probes.startService()

    async def stop(self) -> None:
        """Nothing new is written; what was gets its answer, up to `DRAIN` seconds; then the connections close."""
        self._stopping = True
        self._probes.stopService()
        self._backlog.send_away(self._ending)
        if self._in_flight:
            drained = self._drained = Deferred()
            await has_ended(drained, self._clock, DRAIN)
        self._pace.stop()
        for closing in self._exchange.close():
            await closing

    def reconfigure(self, settings: Provider) -> None:
        """Go by these from the next message on; connections stay."""
        self.settings = settings
        self.own_reasons.forget()
        self._backlog.reconfigure(settings.rate)
        self._slots.limit = settings.connections
        self._exchange.wait_for(settings.timeout)

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
            self._backlog.check(self._slots.waiting, lambda: (self._exchange.latency, self.settings.connections))
        with await self._slots.take(ahead=ahead):
            await self._pace.moment(ahead=ahead)
            if self._stopping:
                raise self._ending()
            if not self.up:
                raise Down(self.why_down())
            self._in_flight += 1
            try:
                answered = await self._exchange.ask(asked, mark)
                self._probes.heard()
                return answered
            finally:
                self._in_flight -= 1
                if self._drained is not None and not self._in_flight and not self._drained.called:
                    self._drained.callback(None)

    def throttled(self, message_id: str, answer: Answered, until: float) -> float | None:
        """See Backlog.throttled."""
        return self._backlog.throttled(message_id, answer.written_at, until)

    def accepted(self, message: Message, answer: Answered) -> None:
        """It accepted the message."""
        self._backlog.accepted(message.id, answer.written_at)
        self._handed += 1
        self.own_reasons.works(message.label)

    async def connect(self, listened: float = 0.0) -> None:
        """Open a connection and close it, after `listened` seconds. Raises why there is none; nothing is asked."""
        await self._exchange.connect(listened)

    def reason(self, problem: BaseException) -> str:
        """Why there was no connection or no answer, in words that name nobody."""
        return self._exchange.reason(problem)

    # Waiting --------------------------------------------------------------------------------------------------

    def _full(self) -> TemporaryFailure:
        later = self._clock.seconds() + LONGEST_WAIT
        return TemporaryFailure(
            f"{self.name} answers none of {self.settings.connections} requests", not_before=later, counts=False
        )

    def _ending(self) -> TemporaryFailure:
        return TemporaryFailure(f"{self.name} is being let go", counts=False)

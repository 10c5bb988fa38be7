"""The connections to one relay: opened when needed, reused, probed when idle or down, never more than allowed.

Owns which connection carries which mail, and when one is opened, probed or closed; whether the relay is up is
health.py's, what it was found to be like traits.py's. Must not know messages, labels or other relays.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError
from twisted.logger import Logger

from gatewayd.config import Relay
from gatewayd.core.line import Line
from gatewayd.core.rate import NotNow, Rate, Reserve, Turn
from gatewayd.smtp.client import RelaySession
from gatewayd.smtp.commands import Envelope
from gatewayd.smtp.health import NO_ANSWER, RelayHealth
from gatewayd.smtp.negotiation import RelayTrouble
from gatewayd.smtp.open_session import OpenSession
from gatewayd.smtp.openings import SLOW, Openings
from gatewayd.smtp.own_name import OwnName, no_name
from gatewayd.smtp.replies import RelayAnswer, Stage, ends_session
from gatewayd.smtp.timeouts import Timeouts
from gatewayd.smtp.tls import ClientTls
from gatewayd.smtp.traits import RelayTraits

TICK = 1.0
"""Seconds between two looks at what is idle, silent or hanging."""

PROBE_AFTER = 3.5
"""Seconds without a reply on any connection after which one is asked for one."""

SILENT = 8.5
"""Seconds without a reply, all connections being busy, after which the relay counts as down."""

PATIENCE = 5.0
"""Seconds that one mail may wait for a connection, or for its turn in the rate."""

IDLE = 30.0
"""Seconds after which a connection that carried nothing is closed, but for the latest."""

QUEUE = 30
"""Mails that may wait, for each connection that is allowed."""


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """What every pool of an installation shares. `own_name` is what EHLO says where a relay's table names nothing."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    own_name: OwnName = no_name
    jitter: Callable[[], float] = lambda: 0.5
    reserve: Reserve | None = None


class Pool:
    """Connections to the relay `name`. `start` begins probing, `stop` ends it and takes leave of the relay."""

    _log = Logger()

    def __init__(self, reactor: Any, name: str, relay: Relay, settings: PoolSettings) -> None:
        self.name = name
        self.health = RelayHealth(reactor, name, settings.jitter)
        self.traits = RelayTraits(reactor, name)
        self._reactor = reactor
        self._settings = settings
        self._tls = ClientTls(relay)
        self._kept: dict[RelaySession, OpenSession] = {}  # all that are open
        self._idle: list[OpenSession] = []  # those that carry nothing, the latest at the end
        self._half: deque[OpenSession] = deque()  # those that carry one mail, and may take another behind it
        self._back: list[OpenSession] = []  # those that come back in this very moment
        self._line: Line[OpenSession] = Line(reactor, PATIENCE, self._too_long)
        self._openings = Openings(
            reactor,
            name,
            timeouts=settings.timeouts,
            own_name=settings.own_name,
            opened=self._opened,
            failed=self._failed,
            lost=self._lost,
        )
        self._timer: Any = None
        self._stopping: Deferred[None] | None = None
        self.configure(relay)

    def configure(self, relay: Relay) -> None:
        """Take over limits and rates; host, TLS and log-in are those that the pool was made with."""
        self.relay = relay
        self.rate = Rate(self._reactor, f"relay:{self.name}", relay.rate, PATIENCE, self._settings.reserve)
        while self._idle and self._are_too_many():
            self._idle.pop(0).session.quit()
        if not self._pipelines:
            self._half.clear()

    # -- how it stands ------------------------------------------------------------------------------------------

    @property
    def may_be_used(self) -> bool:
        """False while the relay is known to be down, or leaves us waiting for its greeting: only probes go there."""
        if self._stopping is not None or self.health.mute:
            return False
        if self._idle or self.in_flight:
            return True
        hangs = not self.health.up and self._openings.some_hang(self._reactor.seconds())
        return self.health.may_open and not hangs

    @property
    def in_flight(self) -> int:
        """How many connections have mail under way; a second one that is pipelined behind the first counts no more."""
        return sum(kept.lent > 0 for kept in self._kept.values())

    # -- start and stop -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Probe at once and from now on."""
        if self._timer is None and self._stopping is None:
            self._tick()

    def stop(self) -> Deferred[None]:
        """Take nothing new; QUIT each connection once its messages are through. Fires when all are closed."""
        if self._stopping is None:
            self._stopping = Deferred(lambda _: self.abort())
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._openings.cancel()
            self._line.fail(_not_used)
            for session in list(self._kept):
                session.quit()
            self._maybe_stopped()
        return self._stopping

    def abort(self) -> None:
        """Close all connections at once: messages whose dot was written become uncertain."""
        for session in list(self._kept):
            session.drop("shutting down")

    def _maybe_stopped(self) -> None:
        stopping = self._stopping
        if stopping is not None and not self._kept and not self._openings and not stopping.called:
            stopping.callback(None)

    # -- one message --------------------------------------------------------------------------------------------

    async def submit(
        self, envelope: Envelope, content: bytes, before_wire: Callable[[str], Awaitable[object]], *, bare: bool = False
    ) -> RelayAnswer:
        """Send one message and return its RelayAnswer.

        `before_wire` is awaited right before the first byte, once. Raises RelayTrouble and NotNow, both before that,
        and whatever `before_wire` raises.
        """
        if not self.rate.limited:
            return await self._submit(envelope, content, before_wire, bare, None)
        with self.rate.line() as turn:
            return await self._submit(envelope, content, before_wire, bare, turn)

    async def _submit(
        self,
        envelope: Envelope,
        content: bytes,
        before_wire: Callable[[str], Awaitable[object]],
        bare: bool,
        turn: Turn | None,
    ) -> RelayAnswer:
        marked = False
        while True:
            kept = await self._acquire()
            session = kept.session
            try:
                if not marked:
                    if turn is not None:
                        await turn()
                    await before_wire(self.name)
                    marked = True
                used = session.started > 0
                answer = await session.submit(envelope, content, bare=bare)
                # Some take so many mails on one connection, and refuse the next as they refuse any.
                full = session.accepted > 0 and ends_session(answer)
                if full:
                    session.quit()
            finally:
                self._release(kept)
            # A connection kept open may have been closed by the relay meanwhile: only a fresh one proves trouble.
            gone = answer.code == 0 or (answer.code == 421 and answer.stage is Stage.MAIL)
            again = full or (gone and used and not answer.ambiguous and not session.timed_out)
            if not again or not self.may_be_used or self._reactor.seconds() >= envelope.until:
                return answer

    # -- connections lent and given back ------------------------------------------------------------------------

    @property
    def _pipelines(self) -> bool:
        """Whether a mail may be marked and begun behind a dot that is not answered.

        Not under `hold`: should this process die then, nobody knows that no content of it left, and it is never sent.
        """
        return self.relay.on_uncertain != "hold"

    async def _acquire(self) -> OpenSession:
        if self._stopping is not None:
            raise _not_used()
        while self._idle:
            kept = self._idle.pop()
            if kept.session.alive:
                self._lend(kept)
                return kept
        # Until the relay has proved that it works, one connection is enough to find out.
        most = self.relay.connections if self.health.up else 1
        if len(self._kept) + len(self._openings) < most and self.health.may_open:
            self._open()
        elif self._half:
            kept = self._half.popleft()
            self._lend(kept)
            return kept
        if not self._kept and not self._openings:
            raise RelayTrouble(self.health.trouble or "it is down")
        if len(self._line) >= QUEUE * self.relay.connections:
            soon = self._reactor.seconds() + 0.5 + 0.5 * self._settings.jitter()
            raise NotNow("all connections to the relay are busy", soon)
        return await self._line.join()

    def _too_long(self) -> Exception:
        if not self.health.up:
            return RelayTrouble(NO_ANSWER)
        return NotNow("no connection to the relay became free in time", self._reactor.seconds() + 1.0)

    def _lend(self, kept: OpenSession) -> None:
        kept.lent += 1
        if kept.takes_another and self._pipelines:
            self._half.append(kept)

    def _release(self, kept: OpenSession) -> None:
        kept.lent -= 1
        session = kept.session
        if session not in self._kept:
            return
        if not session.alive or kept.worn or self._stopping is not None or self._are_too_many():
            # Lent again, a dead one would end its message at once, which would take it again, and for ever.
            self._lend_no_more(kept)
            session.quit()
        elif self._pipelines or not kept.lent:
            self._lend_no_more(kept)
            self._back.append(kept)
            if self._line.serve_from(self._take_back):
                while self._back:
                    self._rest(self._back.pop())

    def _take_back(self) -> OpenSession | None:
        while self._back:
            kept = self._back.pop()
            if kept.session.alive:
                self._lend(kept)
                return kept
        return None

    def _rest(self, kept: OpenSession) -> None:
        """Nobody waits for it."""
        if kept.lent:
            self._half.append(kept)
        elif kept.session in self._kept:
            kept.idle_since = self._reactor.seconds()
            self._idle.append(kept)

    def _lend_no_more(self, kept: OpenSession) -> None:
        if kept in self._half:
            self._half.remove(kept)

    def _are_too_many(self) -> bool:
        """More than a reload left us."""
        most = self.relay.connections
        return len(self._kept) > most and sum(session.alive for session in self._kept) > most

    # -- opening and losing -------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._openings.begin(self.relay, self._tls)

    def _opened(self, session: RelaySession, began: float) -> None:
        kept = OpenSession(session, lent=1)
        # Where it is lost already nobody would ever take it out again.
        if session.alive:
            self._kept[session] = kept
        self._openings.one_is_ready(began)
        # Not what a session offers before that: it is empty until EHLO was answered, again under TLS.
        self.traits.offers(session.negotiation.offer)
        if self.traits.gets_one_by_one:
            session.pipelining = False
        self.health.worked()
        if self._stopping is not None:
            session.quit()
            return
        self._release(kept)
        while len(self._line) > len(self._openings) and len(self._kept) + len(self._openings) < self.relay.connections:
            self._open()

    def _failed(self, failure: Any) -> None:
        if self._stopping is None and not failure.check(CancelledError, ConnectingCancelledError):
            trouble = failure.value
            if not failure.check(RelayTrouble):
                self._log.failure("a bug: no connection to relay {relay} could be opened", failure, relay=self.name)
                trouble = RelayTrouble("an internal fault")
            alone = not self._idle and not self.in_flight
            self.health.failed(trouble.reason, lasting=trouble.lasting, alone=alone)
            if alone and not self._openings:
                self._line.fail(lambda: RelayTrouble(trouble.reason))
        self._maybe_stopped()

    def _lost(self, session: RelaySession) -> None:
        kept = self._kept.pop(session, None)
        if kept is not None:
            self._lend_no_more(kept)
            if kept in self._idle:
                self._idle.remove(kept)
        if session.swallows:
            self.traits.loses_commands()
            for resting in self._idle:
                resting.session.pipelining = False
        if session.timed_out and session.ready.called:
            self.health.silent(session.why)
        if self._line and not self._kept and not self._openings:
            if self.health.may_open and self._stopping is None:
                self._open()
            else:
                self._line.fail(lambda: RelayTrouble(session.why))
        self._maybe_stopped()

    # -- every second -------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._timer = self._reactor.callLater(TICK, self._tick)
        now, health = self._reactor.seconds(), self.health
        if (health.up or not health.trouble) and not self._heard_since(now - SLOW) and self._openings.some_hang(now):
            health.silent()
        elif health.up and self._says_nothing(now):
            health.silent(mute=True)
        elif health.mute and self._heard_since(health.since):
            health.answers()
        self._rest_no_longer(now)
        self._probe(now)

    def _says_nothing(self, now: float) -> bool:
        """All connections are busy, so that none is left to find out by, and nothing came on any of them for long."""
        return self.in_flight >= self.relay.connections and not self._heard_since(now - SILENT)

    def _heard_since(self, time: float) -> bool:
        return any(session.alive and session.last_reply > time for session in self._kept)

    def _rest_no_longer(self, now: float) -> None:
        """Idle connections end, but for the latest: that one shows whether the relay is up."""
        for kept in self._idle[:-1]:
            if now - kept.idle_since >= IDLE:
                self._idle.remove(kept)
                kept.session.quit()

    def _probe(self, now: float) -> None:
        if self._heard_since(now - PROBE_AFTER):
            return
        if self._idle:
            kept = self._idle.pop()
            kept.lent += 1
            answered = kept.session.probe()
            answered.addCallback(self._probed, kept)
            answered.addErrback(
                lambda failure: self._log.failure("a bug: relay {relay} could not be probed", failure, relay=self.name)
            )
        elif self.health.may_open and self._openings.all_hang(now):
            # Those that hang may do so for ever, though the relay is back: a new one finds out.
            if len(self._kept) + len(self._openings) < self.relay.connections:
                self._open()
            else:
                self._openings.make_room(now)

    def _probed(self, well: bool, kept: OpenSession) -> None:
        if not well:
            kept.session.quit()
        elif not self.health.up:
            self.health.answers()
        self._release(kept)


def _not_used() -> RelayTrouble:
    return RelayTrouble("the relay is not used any more")

"""The connections to one relay: opened when needed, reused, probed when idle or down, never more than allowed.

Owns when a connection is opened and closed, and whether the relay is up. Must not know messages, labels or other
relays. A relay is up when its latest connection worked; one that does not answer in time is not up before it does.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from gatewayd.config import Relay
from gatewayd.core.reaching import plain
from gatewayd.smtp.client import Session
from gatewayd.smtp.commands import Envelope, Offer
from gatewayd.smtp.connection import Login, Trouble
from gatewayd.smtp.own_name import OwnName, no_name
from gatewayd.smtp.pacing import Backoff, NotNow
from gatewayd.smtp.rate import Rate, Reserve, Turn
from gatewayd.smtp.replies import Answer, Stage
from gatewayd.smtp.timeouts import Timeouts
from gatewayd.smtp.tls import ClientTls

TICK = 1.0
PROBE_AFTER = 3.0
SLOW = 5.0
SILENT = 8.5
GREETING = 8.0
PATIENCE = 5.0
IDLE = 30.0
MESSAGES = 100
QUEUE = 30
NOOPS = 50
BROKEN_CAP = 8.0
LASTING_CAP = 300.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What every pool of an installation shares. `own_name` is what EHLO says where a relay's table names nothing."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    own_name: OwnName = no_name
    jitter: Callable[[], float] = lambda: 0.5
    reserve: Reserve | None = None


class Pool:
    """Connections to the relay `name`. `start` begins probing, `stop` ends it and takes leave of the relay."""

    _log = Logger()

    def __init__(self, reactor: Any, name: str, relay: Relay, settings: Settings) -> None:
        self.name = name
        self._reactor = reactor
        self._settings = settings
        self._tls = ClientTls(relay)
        self._sessions: set[Session] = set()
        self._idle: list[Session] = []
        self._half: deque[Session] = deque()
        self._held: dict[Session, int] = {}
        self._idle_since: dict[Session, float] = {}
        self._probes: dict[Session, int] = {}
        self._opening: dict[Deferred[Any], float] = {}
        self._greeting = GREETING
        self._unanswered = 0
        self._waiting: deque[tuple[float, Deferred[Session]]] = deque()
        self._broken = Backoff(BROKEN_CAP, settings.jitter)
        self._lasting = Backoff(LASTING_CAP, settings.jitter)
        self._not_before = 0.0
        self._worked = False
        self._suspect = False
        self._mute = False
        self._changed = 0.0
        self._timer: Any = None
        self._stopping: Deferred[None] | None = None
        self._offer: Offer | None = None
        self.trouble = ""
        self.configure(relay)

    def configure(self, relay: Relay) -> None:
        """Take over limits and rates; host, TLS and log-in are those that the pool was made with."""
        self.relay = relay
        self.rate = Rate(self._reactor, f"relay:{self.name}", relay.rate, PATIENCE, self._settings.reserve)
        while self._idle and self._are_too_many():
            self._idle.pop(0).quit()

    # -- how it stands ------------------------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """Whether mail would go out now, as far as the latest connection tells."""
        return self._worked and not self._suspect

    @property
    def may_be_used(self) -> bool:
        """False while the relay is known to be down, or leaves us waiting for its greeting: only probes go there."""
        if self._stopping is not None or self._mute:
            return False
        if self._held or self._idle:
            return True
        now = self._reactor.seconds()
        return now >= self._not_before and (self.up or not self._leaves_us_waiting(now))

    @property
    def since(self) -> float:
        """Since when it is up or down."""
        return self._changed

    @property
    def in_flight(self) -> int:
        """How many connections have mail under way; a second one that is pipelined behind the first counts no more."""
        return len(self._held)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._sessions)

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
            for opening in list(self._opening):
                opening.cancel()
            while self._waiting:
                self._waiting.popleft()[1].errback(Trouble("the relay is not used any more"))
            for session in list(self._sessions):
                session.quit()
            self._maybe_stopped()
        return self._stopping

    def abort(self) -> None:
        """Close all connections at once: messages whose dot was written become uncertain."""
        for session in list(self._sessions):
            session.drop("shutting down")

    def _maybe_stopped(self) -> None:
        stopping = self._stopping
        if stopping is not None and not self._sessions and not self._opening and not stopping.called:
            stopping.callback(None)

    # -- one message --------------------------------------------------------------------------------------------

    async def submit(
        self, envelope: Envelope, content: bytes, before_wire: Callable[[str], Awaitable[None]], *, bare: bool = False
    ) -> Answer:
        """Send one message and return its Answer.

        `before_wire` is awaited right before the first byte, once. Raises Trouble and NotNow, both before that, and
        whatever `before_wire` raises.
        """
        if not self.rate.limited:
            return await self._submit(envelope, content, before_wire, bare, None)
        with self.rate.line() as turn:
            return await self._submit(envelope, content, before_wire, bare, turn)

    async def _submit(
        self,
        envelope: Envelope,
        content: bytes,
        before_wire: Callable[[str], Awaitable[None]],
        bare: bool,
        turn: Turn | None,
    ) -> Answer:
        marked = False
        while True:
            session = await self._acquire()
            try:
                if not marked:
                    if turn is not None:
                        await turn()
                    await before_wire(self.name)
                    marked = True
                used = session.started > 0
                answer = await session.submit(envelope, content, bare=bare)
            finally:
                self._release(session)
            # A connection kept open may have been closed by the relay meanwhile: only a fresh one proves trouble.
            gone = answer.code == 0 or (answer.code == 421 and answer.stage is Stage.MAIL)
            again = gone and used and not answer.ambiguous and not session.timed_out and self.may_be_used
            if not again or self._reactor.seconds() >= envelope.until:
                return answer

    @property
    def size_limit(self) -> int:
        """The largest message that the relay takes, as its latest EHLO answer says; 0 for no limit known."""
        return self._offer.size if self._offer else 0

    def knows(self, keyword: str) -> bool | None:
        """Whether the relay's latest EHLO answer has `keyword`; None before the first one."""
        return keyword in self._offer if self._offer else None

    # -- connections lent and given back ------------------------------------------------------------------------

    async def _acquire(self) -> Session:
        if self._stopping is not None:
            raise Trouble("the relay is not used any more")
        while self._idle:
            session = self._idle.pop()
            self._idle_since.pop(session, None)
            if session.alive:
                self._hold(session)
                return session
        now = self._reactor.seconds()
        # Until the relay has proved that it works, one connection is enough to find out.
        most = self.relay.connections if self.up else 1
        if len(self._sessions) + len(self._opening) < most and now >= self._not_before:
            self._open()
        elif self._half:
            session = self._half.popleft()
            self._hold(session)
            return session
        if not self._sessions and not self._opening:
            raise Trouble(self.trouble or "it is down")
        if len(self._waiting) >= QUEUE * self.relay.connections:
            raise NotNow("all connections to the relay are busy", now + 0.5 + 0.5 * self._settings.jitter())
        turn: Deferred[Session] = Deferred()
        self._waiting.append((now + PATIENCE, turn))
        return await turn

    def _hold(self, session: Session) -> None:
        count = self._held.get(session, 0) + 1
        self._held[session] = count
        if count == 1 and session.pipelining and session.started < MESSAGES - 1:
            self._half.append(session)

    def _release(self, session: Session) -> None:
        count = self._held[session] - 1
        if count:
            self._held[session] = count
        else:
            del self._held[session]
        if session not in self._sessions:
            return
        worn = session.started >= MESSAGES or self._are_too_many()
        if not session.alive or worn or self._stopping is not None:
            # Lent again, a dead one would end its message at once, which would take it again, and for ever.
            if session in self._half:
                self._half.remove(session)
            session.quit()
            return
        while self._waiting:
            turn = self._waiting.popleft()[1]
            if not turn.called:
                self._hold_again(session)
                turn.callback(session)
                return
        if count:
            self._half.append(session)
        else:
            if session in self._half:
                self._half.remove(session)
            self._rest(session)

    def _are_too_many(self) -> bool:
        """More than a reload left us."""
        most = self.relay.connections
        return len(self._sessions) > most and sum(session.alive for session in self._sessions) > most

    def _hold_again(self, session: Session) -> None:
        if session in self._half:
            self._half.remove(session)
        self._hold(session)

    def _rest(self, session: Session) -> None:
        self._idle.append(session)
        self._idle_since[session] = self._reactor.seconds()

    # -- opening and losing -------------------------------------------------------------------------------------

    def _open(self) -> None:
        opening: Deferred[Any] = Deferred.fromCoroutine(self._connect())
        self._opening[opening] = self._reactor.seconds()
        opening.addBoth(self._opened, opening)
        opening.addErrback(
            lambda failure: self._log.failure("opening a connection to {relay}", failure, relay=self.name)
        )

    async def _connect(self) -> Session:
        relay, timeouts = self.relay, self._settings.timeouts
        starttls = self._tls.options if relay.tls == "starttls" else None
        name = relay.helo or await self._settings.own_name()
        login = Login(starttls, relay.username, relay.password.reveal(), name)
        endpoint: Any = HostnameEndpoint(self._reactor, relay.host, relay.port, timeout=timeouts.connect)
        if relay.tls == "implicit":
            endpoint = wrapClientTLS(self._tls.options(), endpoint)
        session = Session(self._reactor, login, timeouts=timeouts, on_lost=self._lost)
        factory = Factory.forProtocol(lambda: session)
        factory.noisy = False
        try:
            await endpoint.connect(factory)
        except CancelledError:
            raise
        except (ConnectError, DNSLookupError, OSError) as error:
            raise Trouble(f"no connection: {plain(error)}") from None
        self._unanswered += 1
        try:
            ready: Session = await session.ready
        finally:
            self._unanswered -= 1
        return ready

    def _opened(self, result: Any, opening: Deferred[Any]) -> None:
        began = self._opening.pop(opening)
        if isinstance(result, Session):
            # Where it is lost already nobody would ever take it out again.
            if result.alive:
                self._sessions.add(result)
            self._forget_those_that_hang(began)
            # Not what a session offers before that: it is empty until EHLO was answered, again under TLS.
            self._offer = result.offer
            self._say(True, "")
            self._broken.worked()
            self._lasting.worked()
            self._not_before = 0.0
            if self._stopping is not None:
                result.quit()
                return
            self._held[result] = 1
            self._release(result)
            while self._waiting and len(self._sessions) + len(self._opening) < self.relay.connections:
                if len(self._waiting) <= len(self._opening):
                    break
                self._open()
        else:
            self._failed(result)
            self._maybe_stopped()

    def _forget_those_that_hang(self, began: float) -> None:
        """One that was begun at `began` is ready: those begun long before it will hardly ever be."""
        if began + SLOW > self._reactor.seconds():
            self._greeting = GREETING
        for opening in [one for one, since in self._opening.items() if since + SLOW <= began]:
            opening.cancel()

    def _failed(self, failure: Any) -> None:
        if self._stopping is not None or failure.check(CancelledError, ConnectingCancelledError):
            return
        now = self._reactor.seconds()
        if not failure.check(Trouble):
            self._log.failure("connecting to {relay}", failure, relay=self.name)
        reason = failure.value.reason if failure.check(Trouble) else "an internal fault"
        backoff = self._lasting if failure.check(Trouble) and failure.value.lasting else self._broken
        self._not_before = max(self._not_before, backoff.failed(now))
        self.trouble = reason
        if not self._held and not self._idle:
            self._say(False, reason)
            if not self._opening:
                self._turn_away(Trouble(reason))

    def _turn_away(self, error: Exception) -> None:
        waiting, self._waiting = self._waiting, deque()
        for _, turn in waiting:
            if not turn.called:
                turn.errback(error)

    def _lost(self, session: Session) -> None:
        self._sessions.discard(session)
        self._idle_since.pop(session, None)
        self._probes.pop(session, None)
        if session in self._idle:
            self._idle.remove(session)
        if session in self._half:
            self._half.remove(session)
        if session.timed_out and session.ready.called:
            self._suspect = True
            self._say(False, session.why)
        if self._waiting and not self._sessions and not self._opening:
            if self._reactor.seconds() >= self._not_before and self._stopping is None:
                self._open()
            else:
                self._turn_away(Trouble(session.why))
        self._maybe_stopped()

    def _say(self, up: bool, reason: str) -> None:
        was = self.up
        self._worked = up
        self._mute = False
        self._suspect = False if up else self._suspect
        self.trouble = reason
        if was != self.up or not self._changed:
            self._changed = self._reactor.seconds()
            if up:
                self._log.info("relay {relay} is up", relay=self.name)
            else:
                self._log.warn("relay {relay} is down: {reason}", relay=self.name, reason=reason)

    # -- every second -------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._timer = self._reactor.callLater(TICK, self._tick)
        now = self._reactor.seconds()
        while self._waiting and (self._waiting[0][1].called or self._waiting[0][0] <= now):
            turn = self._waiting.popleft()[1]
            if not turn.called:
                late = NotNow("no connection to the relay became free in time", now + 1.0)
                turn.errback(late if self.up else Trouble("it does not answer"))
        if (self.up or not self.trouble) and not self._heard_since(now - SLOW) and self._leaves_us_waiting(now):
            self._say(False, "it does not answer")
        elif self.up and self._says_nothing(now):
            self._say(False, "it does not answer")
            self._mute = True
        elif self._mute and self._heard_since(self._changed):
            self._say(True, "")
        self._rest_no_longer(now)
        self._probe(now)

    def _leaves_us_waiting(self, now: float) -> bool:
        return any(began + SLOW <= now for began in self._opening.values())

    def _says_nothing(self, now: float) -> bool:
        """All connections are busy, so that none is left to find out by, and nothing came on any of them for long."""
        return len(self._held) >= self.relay.connections and not self._heard_since(now - SILENT)

    def _heard_since(self, time: float) -> bool:
        return any(session.alive and session.last_reply > time for session in self._sessions)

    def _rest_no_longer(self, now: float) -> None:
        """Idle connections end, but for the latest: that one shows whether the relay is up."""
        for session in list(self._idle[:-1]):
            if now - self._idle_since[session] >= IDLE:
                self._idle.remove(session)
                session.quit()

    def _probe(self, now: float) -> None:
        if self._heard_since(now - PROBE_AFTER):
            return
        if self._idle:
            session = self._idle.pop()
            self._probes[session] = self._probes.get(session, 0) + 1
            self._held[session] = 1
            answered = session.probe()
            answered.addCallback(self._probed, session)
            answered.addErrback(lambda failure: self._log.failure("probing {relay}", failure, relay=self.name))
        elif now >= self._not_before and self._hang(now):
            self._open_another(now)

    def _hang(self, now: float) -> bool:
        """Whether all that are being opened, if any, are connected and were left waiting.

        What is not even connected comes through by itself, and each look-up of a name holds a thread.
        """
        slow = all(began + SLOW <= now for began in self._opening.values())
        return slow and self._unanswered == len(self._opening)

    def _open_another(self, now: float) -> None:
        """Those that hang may do so for ever, though the relay is back: a new one finds out.

        Where there is no place for it, the oldest makes room: soon at first, later after longer, for it may be the
        relay's way to greet late.
        """
        if len(self._sessions) + len(self._opening) < self.relay.connections:
            self._open()
        elif self._opening:
            oldest, began = next(iter(self._opening.items()))
            if began + self._greeting <= now:
                self._greeting = min(2 * self._greeting, self._settings.timeouts.greeting)
                oldest.cancel()

    def _probed(self, well: bool, session: Session) -> None:
        # Relays count commands without mail and lose patience: a new connection before that (Postfix: 100).
        if not well or self._probes.get(session, 0) >= NOOPS:
            session.quit()
        elif not self.up:
            self._say(True, "")
        self._release(session)

"""One bind, kept alive: connect, bind, wait until closed, back off, again (ARCHITECTURE.md decision 12).

Owns the connection and the delay between tries. It knows no message: a submit is octets and a token (token.py), and
what comes in goes to its owner.
"""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd import config
from gatewayd.core.drain import DRAIN
from gatewayd.core.errors import Unanswered
from gatewayd.core.host_addresses import HostAddresses
from gatewayd.core.model import BindState
from gatewayd.core.reaching import plain
from gatewayd.core.retry import LAST_STEP, LINK, Backoff
from gatewayd.smpp import events, trace
from gatewayd.smpp.bind import Mode, bind_request
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Disposition
from gatewayd.smpp.dial import CONNECT_TIMEOUT
from gatewayd.smpp.events import SubmitAnswered
from gatewayd.smpp.record import BindRecord
from gatewayd.smpp.session import Phase, SmppSession, Timers
from gatewayd.smpp.token import Token
from gatewayd.smpp.window import Window
from gatewayd.smpp.wire import Wire, WireFactory

STABLE = 60.0
"""Seconds that a bind must last to begin the back-off anew."""

LASTED = 10.0
"""Seconds: SMSCs that close a bind after so long, as many do with an idle one, take the next one as well."""

WORKING = 3
"""The back-off of a bind that took submits, or lasted, grows to its third step, and no further."""

LONGEST_WAIT = 5.0
"""Seconds that one submit may wait for a window: an SMSC that answers nothing must not hold messages."""


class LinkOwner(Protocol):
    """What a link tells, and whom it asks."""

    def room(self) -> None:
        """There may be room in a window now."""

    def went_down(self) -> None:
        """The link takes no submits any more."""

    def too_long(self) -> Exception:
        """What somebody gets who waited `LONGEST_WAIT` for a window."""

    async def record_request(self, came: events.RequestCame, node: str) -> int:
        """Make a receipt or text that `node` brought durable; the command_status to answer it with."""

    def answered_late(self, token: Token, answer: SubmitAnswered) -> None:
        """A submit that was given up was answered after all."""

    def answered(self, answer: SubmitAnswered) -> None:
        """A submit was answered, in time or not, well or not."""

    def refused(self, link: "Link", status: int) -> None:
        """The SMSC did not take the bind; the link tries again, in the mode that it has then."""


class Link(Service):
    """Keeps one bind. `dial` makes the endpoint for each try; it may raise OSError or ValueError."""

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        smsc: str,
        number: int,
        mode: Mode,
        settings: config.Smsc,
        addresses: HostAddresses,
        dial: Callable[[], IStreamClientEndpoint],
        owner: LinkOwner,
        jitter: Callable[[], float],
    ) -> None:
        self.smsc = smsc
        self.number = number
        self.mode = mode
        self.record = BindRecord(clock.seconds())
        self.window = Window(clock, owner.room, LONGEST_WAIT, owner.too_long)
        self._clock = clock
        self._settings = settings
        self._addresses = addresses
        self._dial = dial
        self._owner = owner
        self._jitter = jitter
        self._fault: Disposition | None = None  # why the bind of this connection was refused
        self._loop: Deferred[None] | None = None
        self._pausing: Deferred[Any] | None = None  # connecting, or the pause between two tries

    # What others see -----------------------------------------------------------------------------------------

    @property
    def bound(self) -> bool:
        """Whether receipts and submits flow."""
        return self.window.bound

    @property
    def submits(self) -> bool:
        """Whether this kind of bind takes submits at all."""
        return self.mode is not Mode.RECEIVER

    def state(self) -> BindState:
        """For people."""
        session = self.window.wire.session if self.window.wire else None
        return self.record.state(
            self.smsc,
            self.number,
            str(self.mode),
            phase=str(session.phase) if session else "",
            window=self._settings.window,
            in_flight=session.in_flight if session else 0,
        )

    def reconfigure(self, settings: config.Smsc) -> None:
        """New window and times; they count at once, and the connection stays."""
        self._settings = settings
        wire = self.window.wire
        if wire is not None:
            wire.session.window = settings.window
            wire.session.timers = timers_of(settings)
            wire.session.tap = self._trace if settings.trace else None
            wire.schedule()
            self.window.serve()

    # Life -----------------------------------------------------------------------------------------------------

    def startService(self) -> None:
        """Begin to keep the bind."""
        Service.startService(self)
        if self._loop is None:
            self.window.closing = False
            self._loop = Deferred.fromCoroutine(self._keep())
            self._loop.addErrback(self._broken)

    def stopService(self) -> Deferred[None]:
        """Submits on the wire get their answers (up to 20 s), then unbind, then close."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    def _leaving(self) -> bool:
        return self.window.closing

    async def _stop(self) -> None:
        self.window.closing = True
        self.window.give_up()
        self._owner.went_down()
        wire = self.window.wire
        if wire is not None and wire.session.phase is Phase.BOUND:
            await self.window.drain(DRAIN)
            wire.leave()
        elif wire is not None:
            wire.hang_up()
        elif self._pausing is not None:
            self._pausing.cancel()
        if self._loop is not None:
            await self._loop
            self._loop = None

    async def _keep(self) -> None:
        """The loop: only a bind that lasted resets the back-off."""
        backoff, handed = Backoff(LINK, self._jitter), self.record.handed
        while not self._leaving():
            bound_for = await self._once()
            if self._leaving():
                break
            if bound_for >= STABLE:
                backoff.worked()
            now = self._clock.seconds()
            # A peer that resets in the middle of work is no peer that is down: its back-off stays short.
            most = WORKING if self.record.handed > handed or bound_for >= LASTED else LAST_STEP
            due = backoff.failed(now, most=most, lasting=self._fault is Disposition.CONFIGURATION)
            handed = self.record.handed
            self._enter("waiting")
            self.record.reconnects += 1
            await self._pause(due - now)
        self._enter("stopped")

    async def _once(self) -> float:
        """One connection, from connect to close; the seconds for which it was bound."""
        self._fault = None
        self._enter("connecting")
        try:
            request = bind_request(self._settings, self.mode)
            endpoint = self._dial()
        except (OSError, ValueError) as error:
            self._fault = Disposition.CONFIGURATION
            self._failed(f"configuration: {type(error).__name__}: {error}")
            return 0.0
        factory = WireFactory(self._clock, self._session, request, self)
        connecting = self._pausing = endpoint.connect(factory)
        connecting.addTimeout(CONNECT_TIMEOUT, self._clock)
        try:
            wire = await connecting
        except CancelledError:
            # Our own stop, and nobody else, cancels it.
            if not self._leaving():
                raise
            return 0.0
        except Exception as error:
            # ConnectingCancelledError is no CancelledError: it comes here, and `_leaving` says that it is no failure.
            if not self._leaving():
                self._failed(f"no connection: {plain(error)}")
            return 0.0
        finally:
            self._pausing = None
        assert isinstance(wire, Wire)
        await wire.gone
        if wire.bound_for:
            self._addresses.led_there(wire.transport)
        else:
            self._addresses.led_nowhere(wire.transport)
        return wire.bound_for

    def _session(self) -> SmppSession:
        settings = self._settings
        tap = self._trace if settings.trace else None
        now = self._clock.seconds()
        return SmppSession(settings.window, timers_of(settings), now, can_submit=self.submits, tap=tap)

    def _trace(self, sent: bool, octets: bytes, token: object) -> None:
        self.log.info(
            "{smsc}/{mode}/{number} {way} {pdu}",
            smsc=self.smsc,
            mode=str(self.mode),
            number=self.number,
            way="->" if sent else "<-",
            pdu=trace.words(octets, token.number if isinstance(token, Token) else ""),
        )

    async def _pause(self, delay: float) -> None:
        pause: Deferred[None] = Deferred()
        self._pausing = pause
        timer = self._clock.callLater(delay, pause.callback, None)
        try:
            await pause
        except CancelledError:
            # Only our own stop cancels the pause, and the loop looks at `_leaving` next.
            if not self._leaving():
                raise
        finally:
            self._pausing = None
            if timer.active():
                timer.cancel()

    # What the wire tells --------------------------------------------------------------------------------------

    def opened(self, wire: Wire) -> None:
        """The connection is there, and the bind is on it."""
        self.window.wire = wire
        self._enter("binding")
        if self._leaving():
            wire.hang_up()

    def room(self, wire: Wire) -> None:
        """The peer reads again what we write."""
        self.window.serve()

    def lost(self, wire: Wire) -> None:
        """The connection is gone; why, the session's last event said."""
        if self.window.wire is wire:
            self.window.wire = None
        self._enter("down")
        self._takes_no_submits()
        self.window.serve()

    def happened(self, wire: Wire, event: events.Event) -> None:
        """One event of the session."""
        match event:
            case SubmitAnswered():
                self._answered(event)
            case events.RequestCame():
                Deferred.fromCoroutine(self._record_request(wire, event)).addErrback(self._request_broken)
            case events.SubmitUnanswered():
                token = event.token
                assert isinstance(token, Token)
                self.record.unanswered += 1
                if not token.answer.called:
                    token.answer.errback(Unanswered(event.reason))
                self.window.serve()
            case events.Bound():
                self._bound(event)
            case events.BindRefused():
                self._refused(event.status)
            case events.PeerUnbinds():
                self._takes_no_submits()
            case events.Noticed():
                self.log.debug("{smsc}: {what}", smsc=self.smsc, what=event.what)
            case events.Closed():
                if not self._leaving() and self._fault is None:
                    self._failed(event.reason)

    def rebind(self, reason: str) -> None:
        """The peer says that this session is not in order: unbind, and bind again after the back-off."""
        wire = self.window.wire
        if wire is not None and wire.session.phase is Phase.BOUND:
            self._failed(reason)
            # What else is on the wire may have been taken, before it fell out of order.
            wire.leave(at_once=False)
            self._takes_no_submits()

    def _takes_no_submits(self) -> None:
        self.window.give_up()
        self._owner.went_down()

    def _answered(self, answer: SubmitAnswered) -> None:
        token = answer.token
        assert isinstance(token, Token)
        self.record.answered(answer.status, answer.seconds)
        self._owner.answered(answer)
        if answer.late or token.answer.called:
            self._owner.answered_late(token, answer)
        else:
            token.answer.callback(answer)
        self.window.serve()

    async def _record_request(self, wire: Wire, came: events.RequestCame) -> None:
        wire.begin_request()
        try:
            status = await self._owner.record_request(came, wire.node)
        finally:
            wire.end_request()
        wire.answer(came.pdu, status)

    def _bound(self, event: events.Bound) -> None:
        self._fault = None
        self.record.last_error = ""
        self._enter("bound")
        self.log.info(
            "SMPP {mode} {number} to {smsc} is bound",
            smsc=self.smsc,
            mode=str(self.mode),
            number=self.number,
            version=event.interface_version,
        )
        self.window.serve()

    def _refused(self, status: int) -> None:
        self._fault = smpp.disposition(status)
        reason = f"bind refused, {smpp.status_name(status)}"
        if self._fault is Disposition.CONFIGURATION:
            reason += ": log-in refused: system_id, password or system_type is wrong; next try in a minute"
        self._failed(reason)
        self._owner.refused(self, status)

    def _failed(self, reason: str) -> None:
        """Said once for each reason, until it is bound again; louder where only the operator can mend it."""
        is_news = reason != self.record.last_error
        self.record.last_error = reason
        loud = self.log.error if self._fault is Disposition.CONFIGURATION else self.log.warn
        say = loud if is_news else self.log.debug
        say(
            "SMPP {mode} {number} to {smsc} is down: {reason}",
            mode=str(self.mode),
            number=self.number,
            smsc=self.smsc,
            reason=reason,
        )

    def _enter(self, phase: str) -> None:
        self.record.enter(phase, self._clock.seconds())

    def _broken(self, failure: Failure) -> None:
        self.log.failure(
            "a bug: SMPP {mode} {number} to {smsc} stays down until gatewayd is started again",
            failure,
            mode=str(self.mode),
            number=self.number,
            smsc=self.smsc,
        )

    def _request_broken(self, failure: Failure) -> None:
        self.log.failure("a bug: a request of {smsc} was not answered", failure, smsc=self.smsc)


def timers_of(settings: config.Smsc) -> Timers:
    """The session's times for one SMSC."""
    return Timers(response=settings.response_timeout, enquire=settings.enquire_link)

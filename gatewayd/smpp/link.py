"""One bind, kept alive: connect, bind, wait until closed, back off, again (ARCHITECTURE.md decision 12).

Owns the connection, the session's timer and the delay between tries. It knows no message: a submit is octets and a
token, and what comes in goes to its owner.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd import config
from gatewayd.core import retry
from gatewayd.core.model import BindState
from gatewayd.smpp import session as rules
from gatewayd.smpp import trace
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import Command, Disposition, Status
from gatewayd.smpp.dial import CONNECT_TIMEOUT
from gatewayd.smpp.session import Phase, Session, SubmitAnswered, Timers
from gatewayd.smpp.wire import Wire, WireFactory

STABLE = 60.0
"""Seconds that a bind must last to begin the back-off anew."""

WORKING = 3
"""The back-off of a bind that took submits grows to its third step, and no further."""

DRAIN = 20.0
REQUESTS_AT_ONCE = 2000
"""Receipts and texts of one link that are being stored; more are refused for now, and the SMSC brings them again."""


class Mode(StrEnum):
    """What a bind is for."""

    TRANSCEIVER = "transceiver"
    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"


COMMANDS = {
    Mode.TRANSCEIVER: Command.BIND_TRANSCEIVER,
    Mode.TRANSMITTER: Command.BIND_TRANSMITTER,
    Mode.RECEIVER: Command.BIND_RECEIVER,
}


def bind_request(smsc: config.Smsc, mode: Mode) -> smpp.Bind:
    """The bind of this account (SMPP 3.4 4.1); sequence number 0."""
    return smpp.Bind(
        0,
        kind=COMMANDS[mode],
        system_id=smsc.system_id.encode("latin-1"),
        password=smsc.password.reveal().encode("latin-1"),
        system_type=smsc.system_type.encode("latin-1"),
    )


class Unanswered(Exception):
    """A submit was written, and no answer came while it was waited for."""


class NotWritten(Exception):
    """The link went down before the submit was written: nothing is on the wire."""


class Token:
    """Names one submit on the wire; `answer` fires with a SubmitAnswered or errs with Unanswered.

    `taken` are the remote ids of the message's segments before this one; `last` says that none comes after it.
    """

    __slots__ = ("answer", "last", "message_id", "taken", "written_at")

    def __init__(self, message_id: str, taken: tuple[str, ...] = (), *, last: bool = True) -> None:
        self.message_id = message_id
        self.taken = taken
        self.last = last
        self.answer: Deferred[SubmitAnswered] = Deferred()
        self.written_at = 0.0


class Owner(Protocol):
    """What a link tells, and whom it asks."""

    def freed(self) -> None:
        """There may be room in a window now."""

    def went_down(self) -> None:
        """The link takes no submits any more."""

    async def take(self, request: smpp.DeliverSm | smpp.DataSm) -> int:
        """Make a receipt or text durable; the command_status to answer it with."""

    def late(self, token: Token, answer: SubmitAnswered) -> None:
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
        name: str,
        number: int,
        mode: Mode,
        smsc: config.Smsc,
        dial: Callable[[], IStreamClientEndpoint],
        owner: Owner,
        jitter: Callable[[], float],
    ) -> None:
        self.mode = mode
        self.held = 0
        self.latency = 0.0
        self._clock = clock
        self._smsc_name = name
        self.number = number
        self._smsc = smsc
        self._dial = dial
        self._owner = owner
        self._jitter = jitter
        self._wire: Wire | None = None
        self._phase = "down"
        self._since = clock.seconds()
        self._last_error = ""
        self._fault: Disposition | None = None
        self._reconnects = 0
        self.handed = 0
        self._unanswered = 0
        self._requests = 0
        self._leaving = False
        self._loop: Deferred[None] | None = None
        self._waiting: Deferred[Any] | None = None
        self._idle: Deferred[None] | None = None

    # What others see -----------------------------------------------------------------------------------------

    @property
    def bound(self) -> bool:
        """Whether receipts and submits flow."""
        return self._wire is not None and self._wire.session.phase is Phase.BOUND and not self._leaving

    @property
    def submits(self) -> bool:
        """Whether this kind of bind takes submits at all."""
        return self.mode is not Mode.RECEIVER

    @property
    def free(self) -> int:
        """How many more submits may be held or written."""
        if self._wire is None or self._leaving:
            return 0
        return self._wire.session.free - self.held

    def can_write(self) -> bool:
        """Whether a submit that was held a place may be written at this moment."""
        return self._wire is not None and self._wire.session.free > 0

    def state(self) -> BindState:
        """For the admin page."""
        session = self._wire.session if self._wire else None
        return BindState(
            self._smsc_name,
            self.number,
            str(self.mode),
            str(session.phase) if session else self._phase,
            self._since,
            self._smsc.window,
            session.in_flight if session else 0,
            self._reconnects,
            self.handed,
            self._unanswered,
            self.latency,
            self._last_error,
        )

    def reconfigure(self, smsc: config.Smsc) -> None:
        """New window and times; they count at once, and the connection stays."""
        self._smsc = smsc
        if self._wire is not None:
            self._wire.session.window = smsc.window
            self._wire.session.timers = timers_of(smsc)
            self._wire.session.tap = self._trace if smsc.trace else None
            self._wire.schedule()
            self._owner.freed()

    def write(self, octets: bytes, token: Token) -> None:
        """Write one submit in this very call. Raises NotWritten where the link went down meanwhile."""
        wire = self._wire
        if wire is None or wire.session.free <= 0:
            raise NotWritten
        token.written_at = self._clock.seconds()
        wire.session.submit(octets, token, token.written_at)
        wire.flush()

    # Life -----------------------------------------------------------------------------------------------------

    def startService(self) -> None:
        """Begin to keep the bind."""
        Service.startService(self)
        if self._loop is None:
            self._leaving = False
            self._loop = Deferred.fromCoroutine(self._keep())
            self._loop.addErrback(self._broken)

    def stopService(self) -> Deferred[None]:
        """Submits on the wire get their answers (up to 20 s), then unbind, then close."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self._leaving = True
        self._owner.went_down()
        wire = self._wire
        if wire is not None and wire.session.phase is Phase.BOUND:
            if wire.session.in_flight or self.held:
                idle = self._idle = Deferred()
                idle.addTimeout(DRAIN, self._clock, onTimeoutCancel=lambda *_: None)
                await idle
            wire.leave()
        elif wire is not None:
            wire.hang_up()
        elif self._waiting is not None:
            self._waiting.cancel()
        if self._loop is not None:
            await self._loop
            self._loop = None

    async def _keep(self) -> None:
        """The loop: only a bind that lasted resets the back-off."""
        attempt, first_failed, handed = 0, 0.0, self.handed
        while not self._stopping():
            bound_for = await self._once()
            if self._stopping():
                break
            now = self._clock.seconds()
            attempt = 1 if bound_for >= STABLE else attempt + 1
            if self.handed > handed:
                # A peer that resets in the middle of work is no peer that is down: its back-off stays short.
                attempt = min(attempt, WORKING)
            handed = self.handed
            if attempt == 1:
                first_failed = now
            if self._fault is Disposition.CONFIGURATION:
                delay = retry.LINK.longest * (0.75 + 0.25 * self._jitter())
            else:
                delay = retry.LINK.next_due(attempt, first_failed, now, self._jitter()) - now
            self._enter("waiting")
            self._reconnects += 1
            await self._pause(delay)
        self._enter("stopped")

    def _stopping(self) -> bool:
        return self._leaving

    async def _once(self) -> float:
        """One connection, from connect to close; the seconds for which it was bound."""
        self._fault = None
        self._enter("connecting")
        try:
            request = bind_request(self._smsc, self.mode)
            endpoint = self._dial()
        except (OSError, ValueError) as error:
            self._fault = Disposition.CONFIGURATION
            self._failed(f"configuration: {type(error).__name__}: {error}")
            return 0.0
        factory = WireFactory(self._clock, self._session, request, self)
        connecting = self._waiting = endpoint.connect(factory)
        connecting.addTimeout(CONNECT_TIMEOUT, self._clock)
        try:
            wire = await connecting
        except CancelledError:
            # Our own stop, and nobody else, cancels it.
            if not self._leaving:
                raise
            return 0.0
        except Exception as error:
            # ConnectingCancelledError is no CancelledError: it comes here, and `_leaving` says that it is no failure.
            if not self._leaving:
                self._failed(f"connect: {type(error).__name__}: {error}")
            return 0.0
        finally:
            self._waiting = None
        assert isinstance(wire, Wire)
        await wire.gone
        return wire.bound_for

    def _session(self) -> Session:
        smsc = self._smsc
        tap = self._trace if smsc.trace else None
        return Session(smsc.window, timers_of(smsc), self._clock.seconds(), can_submit=self.submits, tap=tap)

    def _trace(self, sent: bool, octets: bytes) -> None:
        self.log.info(
            "{smsc}/{mode}/{number} {way} {pdu}",
            smsc=self._smsc_name,
            mode=str(self.mode),
            number=self.number,
            way="->" if sent else "<-",
            pdu=trace.words(octets),
        )

    async def _pause(self, delay: float) -> None:
        pause: Deferred[None] = Deferred()
        self._waiting = pause
        timer = self._clock.callLater(delay, pause.callback, None)
        try:
            await pause
        except CancelledError:
            # Only our own stop cancels the pause, and the loop looks at `_leaving` next.
            if not self._leaving:
                raise
        finally:
            self._waiting = None
            if timer.active():
                timer.cancel()

    # What the wire tells --------------------------------------------------------------------------------------

    def opened(self, wire: Wire) -> None:
        """The connection is there, and the bind is on it."""
        self._wire = wire
        self._enter("binding")
        if self._leaving:
            wire.hang_up()

    def lost(self, wire: Wire) -> None:
        """The connection is gone; why, the session's last event said."""
        if self._wire is wire:
            self._wire = None
        self._enter("down")
        self._check_idle()
        self._owner.went_down()

    def happened(self, wire: Wire, event: rules.Event) -> None:
        """One event of the session."""
        match event:
            case SubmitAnswered():
                self._take_answer(event)
            case rules.RequestCame():
                Deferred.fromCoroutine(self._take_request(wire, event.pdu)).addErrback(self._request_broken)
            case rules.SubmitUnanswered():
                token = event.token
                assert isinstance(token, Token)
                self._unanswered += 1
                if not token.answer.called:
                    token.answer.errback(Unanswered(event.reason))
                self._freed()
            case rules.Bound():
                self._fault = None
                self._last_error = ""
                self._enter("bound")
                self.log.info(
                    "bound to {smsc} ({mode} {number})",
                    smsc=self._smsc_name,
                    mode=str(self.mode),
                    number=self.number,
                    version=event.interface_version,
                )
                self._owner.freed()
            case rules.BindRefused():
                self._refused(event.status)
            case rules.PeerUnbinds():
                self._owner.went_down()
            case rules.Noticed():
                self.log.debug("{smsc}: {what}", smsc=self._smsc_name, what=event.what)
            case rules.Closed():
                if not self._leaving and self._fault is None:
                    self._failed(event.reason)

    def _take_answer(self, answer: SubmitAnswered) -> None:
        token = answer.token
        assert isinstance(token, Token)
        self.handed += not answer.status
        self._owner.answered(answer)
        self.latency = answer.took if not self.latency else 0.9 * self.latency + 0.1 * answer.took
        if answer.late or token.answer.called:
            self._owner.late(token, answer)
        else:
            token.answer.callback(answer)
        self._freed()

    def _freed(self) -> None:
        self._check_idle()
        if not self._leaving:
            self._owner.freed()

    def rebind(self, reason: str) -> None:
        """The peer says that this session is not in order: unbind, and bind again after the back-off."""
        if self._wire is not None and self._wire.session.phase is Phase.BOUND:
            self._failed(reason)
            self._wire.leave()
            self._owner.went_down()

    def release(self) -> None:
        """A held place is not needed any more."""
        self.held -= 1
        self._freed()

    def _check_idle(self) -> None:
        in_flight = self._wire.session.in_flight if self._wire is not None else 0
        if self._idle is not None and not in_flight and not (self.held and self._wire is not None):
            idle, self._idle = self._idle, None
            if not idle.called:
                idle.callback(None)

    async def _take_request(self, wire: Wire, request: smpp.DeliverSm | smpp.DataSm) -> None:
        if self._requests >= REQUESTS_AT_ONCE:
            wire.answer(request, Status.RX_T_APPN)
            return
        self._requests += 1
        try:
            status = await self._owner.take(request)
        finally:
            self._requests -= 1
        wire.answer(request, status)

    def _refused(self, status: int) -> None:
        self._fault = smpp.disposition(status)
        name = smpp.status_name(status)
        if self._fault is Disposition.CONFIGURATION:
            reason = f"bind refused, {name}: system_id, password or system_type is wrong; next try in a minute"
            self._last_error = reason
            self.log.error("{smsc}: {reason}", smsc=self._smsc_name, reason=reason)
        else:
            self._failed(f"bind refused, {name}")
        self._owner.refused(self, status)

    def _failed(self, reason: str) -> None:
        self._last_error = reason
        self.log.warn("link to {smsc} is down: {reason}", smsc=self._smsc_name, reason=reason, number=self.number)

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._since = self._clock.seconds()

    def _broken(self, failure: Failure) -> None:
        self.log.failure("the link loop of {smsc} ended", failure, smsc=self._smsc_name)

    def _request_broken(self, failure: Failure) -> None:
        self.log.failure("a request of {smsc} was not answered", failure, smsc=self._smsc_name)


def timers_of(smsc: config.Smsc) -> Timers:
    """The session's times for one SMSC."""
    return Timers(response=smsc.response_timeout, enquire=smsc.enquire_link)

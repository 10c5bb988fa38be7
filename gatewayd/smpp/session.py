"""The rules of one SMPP 3.4 session, seen from the ESME: bytes and the time in, events and bytes out.

Owns the phase, sequence numbers, the window of submits on the wire, and every timer as a moment (`when`). It never
asks a clock, opens nothing and knows no message, rate or receipt: whoever holds the connection writes `outgoing()`
after each call and calls `tick` at `when()`.
"""

from collections.abc import Callable
from enum import StrEnum
from itertools import takewhile

from msgspec import Struct

from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.pdu import BodyError, Command, Framer, FramingError, Status, encode, numbered
from gatewayd.smpp.events import (
    BindRefused,
    Bound,
    Closed,
    Event,
    Noticed,
    PeerUnbinds,
    RequestCame,
    SubmitAnswered,
    SubmitUnanswered,
)
from gatewayd.smpp.nacks import Nack, Nacks

LAST_SEQUENCE = 0x7FFFFFFF
LATE_KEPT = 10_000
"""Submits whose answer came too late are remembered up to this number: a late answer is still evidence."""

_NOBODYS = 0
"""The sequence number of a generic_nack whose writer could not read ours."""

UNANSWERED_LEAST, UNANSWERED_MOST = 5, 50
"""A peer that leaves a window of submits in a row unanswered is bound anew; no window counts for less or more."""


class Phase(StrEnum):
    """Where a session stands (SMPP 3.4, 2.2)."""

    OPEN = "open"
    BINDING = "binding"
    BOUND = "bound"
    UNBINDING = "unbinding"
    CLOSED = "closed"


class Timers(Struct, frozen=True):
    """How long to wait for what, in seconds (SMPP 3.4, 7.2).

    `enquire` is the silence, the peer's or that of our own requests, that makes us ask.
    """

    bind: float = 15.0
    response: float = 60.0
    enquire: float = 30.0
    enquire_response: float = 10.0
    unbind: float = 5.0
    partial: float = 10.0
    farewell: float = 5.0


class SmppSession:
    """One session from connect to close. `can_submit` is false for a receiver.

    `tap(sent, octets, token)` sees every whole PDU of either direction, where somebody wants to see them; one that came
    with the token of the submit that it may answer.
    """

    def __init__(
        self,
        window: int,
        timers: Timers,
        now: float,
        *,
        can_submit: bool = True,
        tap: Callable[[bool, bytes, object], None] | None = None,
    ) -> None:
        self.tap = tap
        self.window = window
        self.timers = timers
        self.phase = Phase.OPEN
        self.heard_at = now
        self._asked_at = now  # when our latest request was written
        self._can_submit = can_submit
        self._framer = Framer()
        self._out: list[bytes] = []  # whole PDUs that are to be written
        self._sequence = 0  # the latest of ours
        self._pending: dict[int, tuple[object, float]] = {}  # submits on the wire: token, written at
        self._late: dict[int, tuple[object, float]] = {}  # those that were given up, the same
        self._unanswered_in_a_row = 0
        self._nacks = Nacks()
        self._bind_sequence = 0
        self._unbind_sequence = 0  # until it is said
        self._phase_ends = now + timers.bind  # unless the phase, or the peer's good-bye, is over before
        self._enquired_at: float | None = None  # while an enquire_link of ours waits for a sign of life
        self._enquiry = 0  # the sequence number of the latest one, until it is answered itself
        self._partial_since: float | None = None  # while a part of a PDU is there
        self._owed_unbind: int | None = None  # the sequence number of the peer's unbind, until it is answered
        self._owed_answers = 0  # the peer's requests that are not answered yet

    @property
    def closed(self) -> bool:
        """Nothing can happen any more."""
        return self.phase is Phase.CLOSED

    @property
    def in_flight(self) -> int:
        """Submits on the wire whose answer is awaited."""
        return len(self._pending)

    @property
    def free(self) -> int:
        """How many submits may be written now."""
        if self.phase is not Phase.BOUND or self._owed_unbind is not None or not self._can_submit:
            return 0
        free = self.window - len(self._pending)
        return free if free > 0 else 0

    def outgoing(self) -> bytes:
        """What is to be written now; each byte is given once."""
        if not self._out:
            return b""
        if self.tap is not None:
            for octets in self._out:
                self.tap(True, octets, None)
        out = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        return out

    def bind(self, request: smpp.Bind, now: float) -> None:
        """Ask to be bound. Raises EncodeError where the account's values do not fit SMPP."""
        self._bind_sequence = self._next_sequence()
        self._out.append(numbered(encode(request), self._bind_sequence))
        self.phase = Phase.BINDING
        self._phase_ends = now + self.timers.bind

    def submit(self, octets: bytes, token: object, now: float) -> int:
        """Put an encoded submit_sm on the wire; `token` names it in events. Its sequence number is set here.

        Raises RuntimeError where `free` is 0: waiting for the window is the caller's work.
        """
        if self.free <= 0:
            raise RuntimeError(f"no submit is allowed now: {self.phase}, {len(self._pending)} of {self.window}")
        sequence = self._next_sequence()
        self._pending[sequence] = (token, now)
        self._asked_at = now
        self._out.append(numbered(octets, sequence))
        return sequence

    def answer(self, request: smpp.DeliverSm | smpp.DataSm, status: int, now: float) -> list[Event]:
        """Answer a `RequestCame`; silently nothing after the end, when nobody reads it any more.

        Where the peer waits for our good-bye, the last answer brings `Closed`.
        """
        events: list[Event] = []
        if self.phase is not Phase.CLOSED:
            self._reply(smpp.response_to(request, status), now)
            self._owed_answers -= 1
            self._farewell_if_done(events)
        return events

    def unbind(self, now: float, *, at_once: bool = True) -> None:
        """Say good-bye, at once or when what is on the wire is answered, or `timers.farewell` is over.

        `Closed` comes with the answer or after `timers.unbind`.
        """
        if self.phase is Phase.BOUND:
            self.phase = Phase.UNBINDING
            self._phase_ends = now + self.timers.farewell
            if at_once:
                self._say_unbind(now)
            else:
                self._unbind_if_done(now)

    def _unbind_if_done(self, now: float) -> None:
        if not self._pending and not self._unbind_sequence and self._owed_unbind is None:
            self._say_unbind(now)

    def _say_unbind(self, now: float) -> None:
        self._unbind_sequence = self._next_sequence()
        self._out.append(encode(smpp.Unbind(self._unbind_sequence)))
        self._phase_ends = now + self.timers.unbind

    def received(self, chunk: bytes, now: float) -> list[Event]:
        """What `chunk` says, however the stream was cut."""
        events: list[Event] = []
        if self.phase is Phase.CLOSED:
            return events
        broken = ""
        try:
            whole = self._framer.feed(chunk)
        except FramingError as error:
            whole, broken = list(error.whole), str(error)
        if whole:
            self.heard_at = now
            self._enquired_at = None
            self._partial_since = None
        for octets in whole:
            if self.tap is not None:
                sequence = int.from_bytes(octets[12:16], "big")
                token, _ = self._pending.get(sequence) or self._late.get(sequence) or (None, 0.0)
                self.tap(False, octets, token)
            self._read(octets, now, events)
            if self.closed:
                return events
        if broken:
            # Out of step for good: nobody can tell any more where a PDU begins (SMPP 3.4, 4.3).
            self._out.append(encode(smpp.GenericNack(0, Status.RINVCMDLEN)))
            self._close(f"the peer does not speak SMPP: {broken}", events)
        elif not self._framer.pending:
            self._partial_since = None
        elif self._partial_since is None:
            self._partial_since = now
        return events

    def when(self) -> float | None:
        """The moment at which `tick` has something to do."""
        if self.phase is Phase.CLOSED:
            return None
        moments = []
        if self.phase is not Phase.BOUND or self._owed_unbind is not None:
            moments.append(self._phase_ends)
        elif self._enquired_at is not None:
            moments.append(self._answer_due(self._enquired_at))
        else:
            moments.append(min(self.heard_at, self._asked_at) + self.timers.enquire)
        if self._pending:
            moments.append(next(iter(self._pending.values()))[1] + self.timers.response)
        if self._partial_since is not None:
            moments.append(self._partial_since + self.timers.partial)
        return min(moments)

    def tick(self, now: float) -> list[Event]:
        """Do what is due."""
        events: list[Event] = []
        if self.phase is Phase.CLOSED:
            return events
        self._expire(now, events)
        timers = self.timers
        if self._partial_since is not None and now >= self._partial_since + timers.partial:
            self._close("half a PDU came, and its rest did not", events)
        elif self._owed_unbind is not None:
            if now >= self._phase_ends:
                self._farewell(events)
        elif self.phase is Phase.UNBINDING:
            if now >= self._phase_ends and not self._unbind_sequence:
                self._say_unbind(now)
            elif now >= self._phase_ends:
                self._close("unbind was not answered", events, clean=True)
        elif self.phase is not Phase.BOUND:
            if now >= self._phase_ends:
                self._close("bind was not answered", events)
        elif self._unanswered_in_a_row >= min(max(self.window, UNANSWERED_LEAST), UNANSWERED_MOST):
            self._close(f"{self._unanswered_in_a_row} submits in a row were not answered", events)
        elif self._enquired_at is not None:
            if now >= self._answer_due(self._enquired_at):
                self._close("enquire_link was not answered", events)
        elif now >= min(self.heard_at, self._asked_at) + timers.enquire:
            # Whatever comes from a peer: there are those that leave who asks them nothing for long.
            self._asked_at = now
            self._enquiry = self._next_sequence()
            self._out.append(encode(smpp.EnquireLink(self._enquiry)))
            self._enquired_at = now
        return events

    def _answer_due(self, enquired_at: float) -> float:
        """When an enquire_link must be answered: not before the peer's own silence would have made us ask."""
        return max(enquired_at, self.heard_at + self.timers.enquire) + self.timers.enquire_response

    def connection_lost(self, reason: str) -> list[Event]:
        """The transport is gone. Every submit on the wire is unanswered now."""
        events: list[Event] = []
        if self.phase is not Phase.CLOSED:
            leaving = self.phase is Phase.UNBINDING or self._owed_unbind is not None
            self._close(reason, events, clean=leaving)
        return events

    # What came in ---------------------------------------------------------------------------------------------

    def _read(self, octets: bytes, now: float, events: list[Event]) -> None:
        try:
            pdu, flaw = smpp.read(octets)
        except BodyError as error:
            self._refuse(error, now, events)
            return
        match pdu:
            case smpp.SubmitSmResp():
                self._answered(pdu.sequence, pdu.status, pdu.message_id, now, events)
            case smpp.DeliverSm() | smpp.DataSm():
                if self.phase is not Phase.OPEN:
                    # Behind a bind that it took, an SMSC's receipts may overtake its answer to that; sent back as
                    # from an unbound ESME they would be lost.
                    self._owed_answers += 1
                    events.append(RequestCame(pdu, flaw))
                else:
                    self._reply(smpp.response_to(pdu, Status.RINVBNDSTS), now)
            case smpp.EnquireLink():
                self._reply(smpp.EnquireLinkResp(pdu.sequence), now)
            case smpp.EnquireLinkResp():
                self._enquiry = 0
            case smpp.BindResp():
                self._bind_answered(pdu, events)
            case smpp.Unbind():
                self._peer_unbinds(pdu, now, events)
            case smpp.UnbindResp():
                if self.phase is Phase.UNBINDING:
                    self._close("unbound", events, clean=True)
                else:
                    events.append(Noticed("unbind_resp without our unbind"))
            case smpp.GenericNack():
                self._nacked(pdu, now, events)
            case smpp.AlertNotification() | smpp.Outbind():
                events.append(Noticed(type(pdu).__name__))
            case _:
                self._unknown(octets, pdu.sequence, now, events)

    def _reply(self, answer: smpp.Pdu, now: float) -> None:
        self._nacks.we_answered(answer, now)
        self._out.append(encode(answer))

    def _refuse(self, error: BodyError, now: float, events: list[Event]) -> None:
        """A request whose body cannot be read: it is answered with the reason, and the session stays up."""
        events.append(Noticed(f"unreadable {smpp.command_name(error.command_id)}"))
        if error.command_id not in (Command.ALERT_NOTIFICATION, Command.OUTBIND):
            self._reply(smpp.GenericNack(error.sequence, error.status), now)

    def _unknown(self, octets: bytes, sequence: int, now: float, events: list[Event]) -> None:
        command_id = int.from_bytes(octets[4:8], "big")
        events.append(Noticed(f"unexpected {smpp.command_name(command_id)}"))
        if not command_id & smpp.RESPONSE:
            self._reply(smpp.GenericNack(sequence, Status.RINVCMDID), now)

    def _bind_answered(self, pdu: smpp.BindResp, events: list[Event]) -> None:
        if self.phase is not Phase.BINDING:
            events.append(Noticed("bind_resp without our bind"))
        elif pdu.status:
            self._bind_refused(pdu.status, events)
        else:
            self.phase = Phase.BOUND
            version = pdu.tlv_int(smpp.Tag.SC_INTERFACE_VERSION) or 0
            events.append(Bound(pdu.system_id, version))

    def _bind_refused(self, status: int, events: list[Event]) -> None:
        events.append(BindRefused(status))
        self._close(f"bind refused: {smpp.status_name(status)}", events)

    def _peer_unbinds(self, pdu: smpp.Unbind, now: float, events: list[Event]) -> None:
        if self._unbind_sequence:
            self._out.append(encode(smpp.UnbindResp(pdu.sequence)))
            return
        if self._owed_unbind is None:
            self._phase_ends = now + self.timers.farewell
            events.append(PeerUnbinds())
        self._owed_unbind = pdu.sequence
        self._farewell_if_done(events)

    def _farewell_if_done(self, events: list[Event]) -> None:
        """Submits on the wire, and receipts that are being stored, get their answers before the peer's unbind does."""
        if self._owed_unbind is not None and not self._pending and not self._owed_answers:
            self._farewell(events)

    def _farewell(self, events: list[Event]) -> None:
        if self._owed_unbind is not None:
            self._out.append(encode(smpp.UnbindResp(self._owed_unbind)))
        self._close("the peer unbound", events, clean=True)

    def _nacked(self, pdu: smpp.GenericNack, now: float, events: list[Event]) -> None:
        # A nack with status 0 contradicts itself; it is no acceptance.
        sequence, status = pdu.sequence, pdu.status or Status.RINVCMDID
        named = sequence in self._pending or sequence in self._late
        if named and not self._nacks.may_mean_an_answer(sequence, status):
            self._answered(sequence, status, b"", now, events)
        elif self.phase is Phase.BINDING and sequence in (self._bind_sequence, _NOBODYS):
            self._bind_refused(status, events)
        elif self._unbind_sequence and sequence in (self._unbind_sequence, _NOBODYS):
            self._close("unbind was answered by generic_nack", events, clean=True)
        elif self._enquiry and sequence in (self._enquiry, _NOBODYS):
            self._enquiry = 0
        else:
            self._nacks.came(Nack(now, status), self._may_be_meant(sequence, now), 2 * self.timers.response)
            events.append(Noticed(f"generic_nack {smpp.status_name(pdu.status)} to nothing of ours, or in doubt"))

    def _may_be_meant(self, sequence: int, now: float) -> dict[int, float]:
        """The submits that a nack with this number may mean, and when each was written: nobody's may mean late ones."""
        if sequence in self._pending:
            return {sequence: self._pending[sequence][1]}
        if sequence != _NOBODYS:
            return {}
        since = now - 2 * self.timers.response
        late = takewhile(lambda item: item[1][1] >= since, reversed(self._late.items()))
        return {each: sent_at for each, (_, sent_at) in (*late, *self._pending.items())}

    def _answered(self, sequence: int, status: int, message_id: bytes, now: float, events: list[Event]) -> None:
        waiting = self._pending.pop(sequence, None)
        late = waiting is None
        if waiting is None:
            waiting = self._late.pop(sequence, None)
        if waiting is None:
            events.append(Noticed("an answer to no submit of ours, or its second one"))
            return
        self._unanswered_in_a_row = 0
        token, sent_at = waiting
        events.append(SubmitAnswered(token, status, message_id, late, now - sent_at))
        self._nacks.answered(sequence)
        if self.phase is Phase.UNBINDING:
            self._unbind_if_done(now)
        self._farewell_if_done(events)

    # Ends -----------------------------------------------------------------------------------------------------

    def _expire(self, now: float, events: list[Event]) -> None:
        """Give up waiting for answers, oldest first: the order of writing is the order of the dictionary."""
        while self._pending:
            sequence, (token, sent_at) = next(iter(self._pending.items()))
            if now < sent_at + self.timers.response:
                return
            if self._gets_no_answer(sequence, "submit_sm was not answered in time", events):
                continue
            self._unanswered_in_a_row += 1
            self._late[sequence] = (token, sent_at)
            if len(self._late) > LATE_KEPT:
                del self._late[next(iter(self._late))]

    def _gets_no_answer(self, sequence: int, reason: str, events: list[Event], *, in_order: bool = True) -> bool:
        """Its time is over; where it ends in order, whether a nack was its answer after all."""
        token, sent_at = self._pending.pop(sequence)
        nack = self._nacks.verdict(sequence) if in_order else None
        if nack is None:
            events.append(SubmitUnanswered(token, reason + self._nacks.words(sequence)))
            return False
        self._unanswered_in_a_row = 0
        events.append(SubmitAnswered(token, nack.status, b"", False, nack.at - sent_at))
        return True

    def _close(self, reason: str, events: list[Event], *, clean: bool = False) -> None:
        self.phase = Phase.CLOSED
        for sequence in list(self._pending):
            # Who says good-bye had time to answer before; who is cut off may have had an answer on its way.
            self._gets_no_answer(sequence, reason, events, in_order=self._owed_unbind is not None)
        events.append(Closed(reason, clean))

    def _next_sequence(self) -> int:
        while True:
            self._sequence = self._sequence % LAST_SEQUENCE + 1
            if self._sequence not in self._pending and self._sequence not in self._late:
                return self._sequence

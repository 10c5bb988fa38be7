"""One SMSC as the channel sees it: its binds, its pace, and who waits for them.

Owns the order of waiting and the limit on it. It knows octets and tokens; what they say, and what an answer means for
a message, is the channel's.
"""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from gatewayd import config
from gatewayd.core.backlog import Backlog
from gatewayd.core.errors import Down, NotWritten, TemporaryFailure
from gatewayd.core.host_addresses import HostAddresses
from gatewayd.core.line import Line
from gatewayd.core.model import WayState
from gatewayd.core.own_reasons import OwnReasons
from gatewayd.core.pace import Pace, Reserve
from gatewayd.core.remote_names import sealed
from gatewayd.smpp import remote_ids
from gatewayd.smpp.bind import Mode
from gatewayd.smpp.binds import Binds
from gatewayd.smpp.codec.codes import MEANINGS, Disposition, Status, disposition, status_name
from gatewayd.smpp.dial import each_host
from gatewayd.smpp.events import RequestCame, SubmitAnswered
from gatewayd.smpp.fit import form_of
from gatewayd.smpp.link import LONGEST_WAIT, Link
from gatewayd.smpp.receipt_troubles import ReceiptTroubles
from gatewayd.smpp.remote_ids import IdsSeen
from gatewayd.smpp.token import Token, names_of
from gatewayd.smpp.window import BindGone, Window, WindowSlot

_OF_THE_MESSAGE = frozenset({Disposition.TAKEN, Disposition.PERMANENT})
"""What shows that the SMSC works: it took a message, or read one and said what is wrong with it."""

LIVE_KEYS = frozenset(
    {
        "window",
        "rate",
        "enquire_link",
        "response_timeout",
        "long_messages",
        "message_ids",
        "default_alphabet",
        "data_codings",
        "surrogates",
        "receipts",
        "long_receipts",
        "source_ton_npi",
        "dest_ton_npi",
        "receipt_states",
        "submit_statuses",
        "on_uncertain",
        "uncertain_wait",
        "validity",
        "binds",
        "trace",
        "default_region",
        "service_type",
        "tlvs",
    }
)
"""Keys of [smscs.NAME] that change without a new connection (core.kept_ways)."""

Dial = Callable[[config.Smsc], IStreamClientEndpoint]


class AccountOwner(Protocol):
    """What an account tells, and whom it asks."""

    async def record_request(self, account: "Account", came: RequestCame, node: str) -> int:
        """Make a receipt or text that `node` brought durable; the command_status to answer it with."""

    def answered_late(self, account: "Account", token: Token, answer: SubmitAnswered) -> None:
        """A submit that was given up was answered after all."""

    def answered(self, account: "Account", answer: SubmitAnswered) -> None:
        """A submit was answered, in time or not, well or not."""


class Account:
    """The binds of one [smscs.NAME]. `settings` is the table in force, `form` what it makes of texts.

    `takes_validity` becomes false once the SMSC refused a validity_period; `unreadable` counts receipts and texts that
    could not be read in whole.
    """

    def __init__(
        self,
        clock: IReactorTime,
        name: str,
        settings: config.Smsc,
        *,
        addresses: HostAddresses,
        dial: Dial,
        reserve: Reserve,
        owner: AccountOwner,
        jitter: Callable[[], float],
    ) -> None:
        self.name = name
        self.settings = settings
        self.form = form_of(settings)
        self.takes_validity = True
        self.ids = IdsSeen()
        self.unreadable = 0
        self.receipt_troubles = ReceiptTroubles(clock)
        self._clock = clock
        self._owner = owner
        self._own_reasons = OwnReasons(clock, "submit")
        self._stopping = False
        self._answered_at = clock.seconds()
        self._pace = Pace(clock, f"smsc:{name}", settings.rate, reserve, jitter)
        self._line: Line[WindowSlot] = Line(clock, LONGEST_WAIT, self.too_long)
        self._backlog = Backlog(clock, name, "submits", self._pace, jitter, self._line.fail)

        def make(number: int, mode: Mode) -> Link:
            # Each bind begins at another host and goes on to the next one with every try.
            turns = itertools.count(number)

            def call() -> IStreamClientEndpoint:
                hosts = each_host(self.settings)
                return dial(hosts[next(turns) % len(hosts)])

            return Link(clock, name, number, mode, self.settings, addresses, call, self, jitter)

        self._binds = Binds(name, settings, make)

    @property
    def up(self) -> bool:
        """Whether some bind takes submits."""
        return self._binds.up

    @property
    def heard_since(self) -> float:
        """Since when receipts could come; 0 where we are not bound."""
        return self._binds.heard_since

    @property
    def tells_later(self) -> bool:
        """Whether receipts of what went well are asked for."""
        return self.settings.receipts in ("final", "intermediate")

    def why_down(self) -> str:
        """That it is down, and why, for a message's timeline."""
        reason = self._binds.trouble
        return f"{self.name} is down: {reason}" if reason else f"{self.name} is down"

    def state(self) -> WayState:
        """For people."""
        binds, refuses = self._binds.states(), self._own_reasons.words()
        return WayState(
            up=self.up,
            word=self._binds.word,
            reason=(self.up and (refuses or self._pace.trouble())) or self._binds.trouble,
            since=max(bind.since for bind in binds),
            in_flight=sum(bind.in_flight for bind in binds),
            window=self._binds.window,
            rate=self.settings.rate,
            handed=self._binds.handed,
            throttled=self._pace.throttles,
            binds=binds,
            unreadable=self.unreadable,
            refuses=refuses,
            refuses_of=self._own_reasons.labels(),
            receipts=self.receipt_troubles.words(delivered_are_told=self.settings.receipts != "failure"),
        )

    def start(self) -> None:
        """Begin to keep the binds."""
        self._binds.start()

    async def stop(self) -> None:
        """Nothing new is written; what is on the wire gets its answer; unbind."""
        self._stopping = True
        self._backlog.send_away(self._unbinding)
        await self._binds.stop()
        self._pace.stop()

    def reconfigure(self, settings: config.Smsc) -> None:
        """Rate, window, times and forms count at once; binds are added, or the last ones unbound."""
        self.settings = settings
        self.form = form_of(settings)
        self.takes_validity = True
        self.receipt_troubles.forget()
        self._own_reasons.forget()
        self._backlog.reconfigure(settings.rate)
        self._binds.reconfigure(settings)

    async def submit(
        self, octets: bytes, token: Token, mark: Callable[[], Awaitable[None]], same: Window | None = None
    ) -> tuple[Window, SubmitAnswered]:
        """Write one submit when window and rate allow, and wait for its answer.

        `mark` is awaited after all waiting, right before the octets are written. `same` is the window of the bind
        that the message's earlier segments went over: this one follows them there, unless that bind is gone.

        Raises Down or NotWritten where nothing was written, TemporaryFailure where it would wait too long, Unanswered
        where it was written and no answer came, and whatever `mark` raises.
        """
        if self._stopping:
            raise self._unbinding()
        # What is begun is ended first; what the SMSC put off was at the head of the queue, and comes back to it.
        ahead = same is not None or self._backlog.goes_ahead(token.message_id)
        if not ahead:
            self._backlog.check(len(self._line) + self._binds.waiting(), self._binds.throughput)
        with await self._slot_in_turn(same, ahead=ahead) as slot:
            await mark()
            if not slot.window.writable:
                slot = self._slot_at_once()
            slot.write(octets, token)
        return slot.window, await token.answer

    def rebind(self, window: Window, reason: str) -> None:
        """The SMSC says that the session behind `window` is not in order: bind it anew."""
        self._binds.rebind(window, reason)

    def throttled(self, token: Token, status: int) -> float | None:
        """See Backlog.throttled."""
        by_number = status == Status.RMSGQFUL and status not in self.settings.submit_statuses
        return self._backlog.throttled(token.message_id, token.written_at, by_number=by_number)

    def meaning(self, status: int) -> Disposition:
        """What this submit status asks of us: by the operator's submit_statuses, else by codes.py's table."""
        word = self.settings.submit_statuses.get(status)
        return MEANINGS[word] if word else disposition(status)

    def remote_id(self, token: Token, answer: SubmitAnswered) -> str:
        """The id as it is stored; an SMSC that gives none will name none, but the segment must count."""
        rule = self.settings.message_ids
        if rule == "auto":
            self.ids.answered(answer.message_id)
        remote_id = remote_ids.stored(answer.message_id, rule)
        if remote_ids.holds_number(remote_id, (token.number,)):
            return sealed(self.name, remote_id)
        return remote_id or f"{token.message_id}/{len(token.segments_taken)}"

    def names_of(self, message_id: str, ids: Sequence[str]) -> tuple[str, ...]:
        """Under which ids receipts come that have yet to say how a message ended whose segments bear these.

        Where one receipt is for the whole, it has one name: the others were given to it as its segments were taken. So
        it is where only one of them was given an id, under which alone a receipt can come.
        """
        given = [one for one in ids if not one.startswith(f"{message_id}/")]
        if len(given) == 1 or self.settings.long_receipts == "one":
            return names_of((given or ids)[-1:])
        return names_of(ids)

    # What links tell -----------------------------------------------------------------------------------------

    def room(self) -> None:
        """A window may have room: whoever waits longest gets it."""
        self._line.serve_from(self._binds.take_now)

    def went_down(self) -> None:
        """A bind is gone; where it was the last, nobody waits here any more."""
        if not self.up:
            self._line.fail(lambda: Down(self.why_down()))

    def answered(self, answer: SubmitAnswered) -> None:
        """A submit was answered."""
        token = answer.token
        assert isinstance(token, Token)
        self._answered_at = self._clock.seconds()
        if not answer.status:
            self._backlog.accepted(token.message_id, self._answered_at - answer.seconds)
        meaning = self.meaning(answer.status)
        if meaning is Disposition.PERMANENT:
            self._own_reasons.rejected(token.label, token.message_id, status_name(answer.status))
        elif meaning in _OF_THE_MESSAGE:
            self._own_reasons.works(token.label)
        elif meaning is Disposition.THROTTLED:
            self._own_reasons.in_vain(status_name(answer.status))
        else:
            self._own_reasons.refused(token.message_id, status_name(answer.status))
        self._owner.answered(self, answer)

    def refused(self, link: Link, status: int) -> None:
        """A bind was refused: there may be another kind of it."""
        if not self._stopping:
            self._binds.other_mode(link, status)

    async def record_request(self, came: RequestCame, node: str) -> int:
        """A receipt or text came."""
        return await self._owner.record_request(self, came, node)

    def answered_late(self, token: Token, answer: SubmitAnswered) -> None:
        """A submit that was given up was answered."""
        self._owner.answered_late(self, token, answer)

    def too_long(self) -> TemporaryFailure:
        """Somebody waited long for a window, and it stayed full."""
        now = self._clock.seconds()
        waiting = self._binds.in_flight()
        if now - self._answered_at >= LONGEST_WAIT:
            reason = f"{self.name} answers none of {waiting} submits"
        else:
            reason = f"{self.name} answers slowly: {waiting} of its submits wait"
        return TemporaryFailure(reason, not_before=now + LONGEST_WAIT, counts=False)

    # Waiting --------------------------------------------------------------------------------------------------

    async def _slot_in_turn(self, same: Window | None, *, ahead: bool) -> WindowSlot:
        """A slot in a window, once its moment in the rate has come."""
        while True:
            slot = await self._slot(same, ahead=ahead)
            try:
                if not self._pace.take_now():
                    await self._pace.moment(ahead=ahead)
            except BaseException:
                slot.release()
                raise
            if slot.window.writable:
                return slot
            # It went down while we waited.
            slot.release()
            same = None

    async def _slot(self, same: Window | None, *, ahead: bool) -> WindowSlot:
        """A slot in a window: of `same` while that lives, else of the bind with the most room."""
        if same is not None and same.bound:
            try:
                return same.take_now() or await same.take()
            except BindGone:
                pass
        if self._stopping:
            raise self._unbinding()
        if not self.up:
            raise Down(self.why_down())
        slot = self._binds.take_now() if ahead or not self._line else None
        return slot or await self._line.join(ahead=ahead)

    def _slot_at_once(self) -> WindowSlot:
        """For who is marked already and may not wait. Raises NotWritten."""
        slot = self._binds.take_now()
        if slot is None:
            raise NotWritten
        return slot

    def _unbinding(self) -> TemporaryFailure:
        return TemporaryFailure(f"{self.name} is being unbound", counts=False)

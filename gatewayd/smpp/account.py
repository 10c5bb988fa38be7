"""One SMSC as the channel sees it: its binds, their windows together, its pace, and who waits for them.

Owns the choice of a bind, the order of waiting, and the limit on it. It knows octets and tokens; what they say, and
what an answer means for a message, is the channel's.
"""

import itertools
from collections.abc import Awaitable, Callable

from msgspec import Struct
from twisted.internet.defer import gatherResults
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd import config
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.model import BindState, WayState
from gatewayd.core.pace import Pace, Reserve
from gatewayd.core.throttle import LONGEST_PAUSE
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import NO_SUCH_BIND
from gatewayd.smpp.dial import places
from gatewayd.smpp.fit import form_of
from gatewayd.smpp.link import Link, Mode, NotWritten, Token
from gatewayd.smpp.receipt import IdsSeen
from gatewayd.smpp.session import Phase, SubmitAnswered
from gatewayd.smpp.waiting import Waiting

BACKLOG = 2.0
"""Seconds' worth of submits that may wait in memory for one SMSC; the rest wait in the store."""

LONGEST_WAIT = 5.0
"""Seconds that one submit may wait for a window: an SMSC that answers nothing must not hold messages."""

PUT_OFF_KEPT = 10_000
"""Throttled messages are known again up to this number; some come back to another process, or not at all."""

FARTHEST, FARTHEST_UNRATED = 600.0, 30.0
"""Seconds over which messages beyond the backlog are spread at most: with a rate, and where we only guess one.

Each message that goes back costs the store two steps, so that a hundred thousand must not come back every minute.
"""

_LIVE = frozenset(
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
        "source_ton_npi",
        "dest_ton_npi",
        "receipt_states",
        "submit_statuses",
        "on_uncertain",
        "uncertain_wait",
        "validity",
        "binds",
        "trace",
    }
)
"""Keys of [smscs.NAME] that change without a new connection."""

Dial = Callable[[config.Smsc], IStreamClientEndpoint]
Take = Callable[[str, smpp.DeliverSm | smpp.DataSm], Awaitable[int]]
OnLate = Callable[[str, Token, SubmitAnswered], None]
OnAnswer = Callable[[str, int, float], None]
"""`on_answer(smsc, command_status, seconds)`: one submit was answered."""


class Down(Exception):
    """No bind of this SMSC takes submits: another route may."""


class SmscState(Struct, frozen=True):
    """One SMSC as the admin page shows it. Rates in PDUs a second (0: no limit), `paused_until` since the epoch.

    `degraded`: it sends, but a bind is missing (with transmitter+receiver, perhaps the one for receipts).
    """

    name: str
    up: bool
    degraded: bool
    rate: float
    rate_now: float
    paused_until: float
    throttles: int
    waiting: int
    links: tuple[BindState, ...]


class Account:
    """The binds of one [smscs.NAME]."""

    log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        name: str,
        smsc: config.Smsc,
        *,
        dial: Dial,
        reserve: Reserve,
        take: Take,
        on_late: OnLate,
        on_answer: OnAnswer,
        jitter: Callable[[], float],
    ) -> None:
        self.name = name
        self.smsc = smsc
        self.form = form_of(smsc)
        self.takes_validity = True
        self.ids = IdsSeen()
        self._clock = clock
        self._dial = dial
        self._take = take
        self._on_late = on_late
        self._on_answer = on_answer
        self._jitter = jitter
        self._pace = Pace(clock, f"smsc:{name}", smsc.rate, reserve, jitter)
        self._waiting = Waiting(clock, LONGEST_WAIT, self._full)
        self._deferred_to = 0.0
        self._put_off: dict[str, bool] = {}
        self._stopping = False
        self._handed_before = 0
        self._links = [link for number in range(smsc.binds) for link in self._make(number)]

    @property
    def up(self) -> bool:
        """Whether some bind takes submits."""
        return any(link.bound and link.submits for link in self._links)

    @property
    def heard_since(self) -> float:
        """Since when receipts could come; 0 where we are not bound. A transmitter's receiver may be late."""
        bound = [link for link in self._links if link.bound]
        receiving = [link for link in bound if link.mode is not Mode.TRANSMITTER]
        return min((link.state().since for link in receiving or bound), default=0.0)

    def why_down(self) -> str:
        """That it is down, and why, for a message's timeline."""
        reason = self._trouble()
        return f"{self.name} is down: {reason}" if reason else f"{self.name} is down"

    def _trouble(self) -> str:
        states = (link.state() for link in self._links)
        return next((link.last_error for link in states if link.last_error and link.phase != Phase.BOUND), "")

    def state(self) -> SmscState:
        """For the admin page."""
        up = self.up
        return SmscState(
            self.name,
            up,
            up and not all(link.bound for link in self._links),
            self._pace.rate,
            self._pace.rate_now(),
            self._pace.paused_until,
            self._pace.throttles,
            len(self._waiting) + self._pace.waiting,
            tuple(link.state() for link in self._links),
        )

    def way(self) -> WayState:
        """As one line."""
        links = [link.state() for link in self._links]
        up, bound = self.up, sum(link.bound for link in self._links)
        paused = max(0.0, self._pace.paused_until - self._clock.seconds())
        reason = self._trouble()
        if up and paused:
            reason = f"throttled: goes on in {paused:.1f} s"
        word = links[0].phase
        if up:
            word = "bound" if bound == len(links) else f"degraded: {bound} of {len(links)} bound"
        return WayState(
            up=up,
            word=word,
            reason=reason,
            since=max(link.since for link in links),
            in_flight=sum(link.in_flight for link in links),
            window=self.smsc.window * sum(link.submits for link in self._links),
            rate=self.smsc.rate,
            handed=sum(link.handed for link in links) + self._handed_before,
            throttled=self._pace.throttles,
            binds=tuple(links),
        )

    def start(self) -> None:
        """Begin to keep the binds."""
        for link in self._links:
            link.startService()

    async def stop(self) -> None:
        """Nothing new is written; what is on the wire gets its answer; unbind."""
        self._stopping = True
        self._fail_waiting(lambda: TemporaryFailure(f"{self.name} is being unbound", counts=False))
        await gatherResults([link.stopService() for link in self._links])
        self._pace.stop()
        self._waiting.stop()

    def takes_over(self, smsc: config.Smsc) -> bool:
        """Whether `reconfigure(smsc)` needs no new connection."""
        old, new = self.smsc, smsc
        return all(getattr(old, key) == getattr(new, key) for key in type(old).model_fields if key not in _LIVE)

    def reconfigure(self, smsc: config.Smsc) -> None:
        """Rate, window, times and forms count at once; binds are added, or the last ones unbound."""
        self.smsc = smsc
        self.form = form_of(smsc)
        self.takes_validity = True
        self._deferred_to = 0.0
        self._pace.rate = smsc.rate
        have = len({link.number for link in self._links})
        for number in range(have, smsc.binds):
            for link in self._make(number):
                self._links.append(link)
                link.startService()
        surplus = [link for link in self._links if link.number >= smsc.binds]
        self._links = [link for link in self._links if link.number < smsc.binds]
        self._handed_before += sum(link.handed for link in surplus)
        for link in surplus:
            link.stopService().addErrback(self._not_stopped)
        for link in self._links:
            link.reconfigure(smsc)

    async def submit(
        self, octets: bytes, token: Token, mark: Callable[[], Awaitable[None]], same: Link | None = None
    ) -> tuple[Link, SubmitAnswered]:
        """Write one submit when window and rate allow, and wait for its answer.

        `mark` is awaited after all waiting, right before the octets are written. `same` is the bind that the message's
        earlier segments went over: this one follows them there, unless it is gone.

        Raises Down or NotWritten where nothing was written, TemporaryFailure where it would wait too long, Unanswered
        where it was written and no answer came, and whatever `mark` raises.
        """
        if self._stopping:
            raise TemporaryFailure(f"{self.name} is being unbound", counts=False)
        # What is begun is ended first; what the SMSC put off was at the head of the queue, and comes back to it.
        ahead = same is not None or self._put_off.pop(token.message_id, False)
        if not ahead:
            self._check_backlog()
        link = await self._hold_in_turn(same, ahead=ahead)
        try:
            await mark()
            if not link.can_write():
                link = self._instead_of(link)
        except BaseException:
            link.release()
            raise
        link.held -= 1
        link.write(octets, token)
        return link, await token.answer

    def throttled(self, token: Token) -> float:
        """The SMSC said "slow down" to this submit: when to try again, before all who wait by then.

        Who waits longer than the backlog allows is sent away.
        """
        until = self._pace.throttled(token.written_at)
        self._put_off[token.message_id] = True
        if len(self._put_off) > PUT_OFF_KEPT:
            del self._put_off[next(iter(self._put_off))]
        if until - self._clock.seconds() > BACKLOG:
            self._fail_waiting(lambda: TemporaryFailure(f"{self.name} throttles us", not_before=until, counts=False))
        return until

    # What links tell -----------------------------------------------------------------------------------------

    def freed(self) -> None:
        """A window has room: whoever waits longest gets it."""
        self._waiting.serve(self._free)

    def went_down(self) -> None:
        """A bind is gone; where it was the last, nobody waits here any more."""
        if self.up:
            # Who waited for this very bind may follow another one now.
            self.freed()
            return
        self._waiting.fail(Down(self.why_down()))

    def answered(self, answer: SubmitAnswered) -> None:
        """A submit was answered."""
        if not answer.status:
            self._pace.taken(self._clock.seconds() - answer.took)
        self._on_answer(self.name, answer.status, answer.took)

    def refused(self, link: Link, status: int) -> None:
        """With bind = "auto": where there is no transceiver, a transmitter with a receiver, and the other way round.

        The link itself only changes its mode: it tries again after its back-off, so that an SMSC which refuses
        everything isn't asked faster for that.
        """
        if self.smsc.bind != "auto" or status not in NO_SUCH_BIND or self._stopping:
            return
        if link.mode is Mode.TRANSCEIVER:
            link.mode = Mode.TRANSMITTER
            receiver = self._one(link.number, Mode.RECEIVER)
            self._links.append(receiver)
            receiver.startService()
            self.log.info("{smsc} has no transceiver: binding a transmitter and a receiver", smsc=self.name)
        elif link.mode is Mode.TRANSMITTER:
            link.mode = Mode.TRANSCEIVER
            for other in [other for other in self._links if other is not link and other.number == link.number]:
                self._links.remove(other)
                other.stopService().addErrback(self._not_stopped)

    async def take(self, request: smpp.DeliverSm | smpp.DataSm) -> int:
        """A receipt or text came."""
        return await self._take(self.name, request)

    def late(self, token: Token, answer: SubmitAnswered) -> None:
        """A submit that was given up was answered."""
        self._on_late(self.name, token, answer)

    # Waiting --------------------------------------------------------------------------------------------------

    async def _hold_in_turn(self, same: Link | None, *, ahead: bool) -> Link:
        """A place in a window, once its moment in the rate has come."""
        while True:
            link = await self._hold(same, ahead=ahead)
            try:
                await self._pace.moment(ahead=ahead)
            except BaseException:
                link.release()
                raise
            if link.can_write():
                return link
            # It went down while we waited. Given back before another is asked for, which may raise: a place given
            # back twice would widen the next session's window.
            link.release()
            same = None

    async def _hold(self, same: Link | None, *, ahead: bool) -> Link:
        """A place in a window; it is ours until `release` or `held -= 1`."""
        if not self.up:
            raise Down(self.why_down())
        link = None if self._waiting and not ahead else self._free(same)
        if link is not None:
            link.held += 1
            return link
        return await self._waiting.join(same, ahead=ahead)

    def _free(self, same: Link | None) -> Link | None:
        """The bind with the most room; `same` and no other while that one lives."""
        if same is not None and same.bound and same in self._links:
            return same if same.free > 0 else None
        best, most = None, 0
        for link in self._links:
            free = link.free
            if free > most:
                best, most = link, free
        return best

    def _instead_of(self, link: Link) -> Link:
        """Another bind with room at this moment. Raises NotWritten: after the mark nobody may wait."""
        other = self._free(None)
        if other is None:
            raise NotWritten
        link.release()
        other.held += 1
        return other

    def _check_backlog(self) -> None:
        now = self._clock.seconds()
        ahead = len(self._waiting)
        delay = self._pace.delay(ahead + self._pace.waiting)
        latency, window = self._measured()
        if ahead and window:
            delay = max(delay, ahead * latency / window)
        if delay <= BACKLOG and ahead <= max(1000, int(BACKLOG * self._pace.rate)):
            return
        # Each gets its own moment, at the rate at which they can go: they come back spread, and most of them once. By
        # the configured rate, not by today's: a throttled hour must not put them off past their deadline.
        speed = self._pace.rate or (window / latency if latency else 100.0)
        self._deferred_to = max(self._deferred_to, now + min(delay, LONGEST_PAUSE)) + 1.0 / speed
        farthest = now + (FARTHEST if self._pace.rate else FARTHEST_UNRATED)
        if self._deferred_to > farthest:
            self._deferred_to = farthest - (farthest - now) * 0.5 * self._jitter()
        raise TemporaryFailure(f"{self.name} is busy", not_before=self._deferred_to, counts=False)

    def _measured(self) -> tuple[float, int]:
        """The mean time that an answer takes, and all windows together."""
        alive = [link for link in self._links if link.bound and link.submits]
        latencies = [link.latency for link in alive if link.latency]
        return (sum(latencies) / len(latencies) if latencies else 0.0), len(alive) * self.smsc.window

    def _full(self) -> TemporaryFailure:
        later = self._clock.seconds() + LONGEST_WAIT
        return TemporaryFailure(f"{self.name} leaves its window full", not_before=later, counts=False)

    def _fail_waiting(self, why: Callable[[], TemporaryFailure]) -> None:
        self._waiting.fail(why())
        self._pace.fail_waiting(why)

    def _make(self, number: int) -> list[Link]:
        both = self.smsc.bind == "transmitter+receiver"
        modes = (Mode.TRANSMITTER, Mode.RECEIVER) if both else (Mode.TRANSCEIVER,)
        return [self._one(number, mode) for mode in modes]

    def _one(self, number: int, mode: Mode) -> Link:
        # Each bind begins at another host and goes on to the next one with every try.
        turns = itertools.count(number)

        def call() -> IStreamClientEndpoint:
            hosts = places(self.smsc)
            return self._dial(hosts[next(turns) % len(hosts)])

        return Link(self._clock, self.name, number, mode, self.smsc, call, self, self._jitter)

    def _not_stopped(self, failure: Failure) -> None:
        self.log.failure("a surplus bind of {smsc} did not stop well", failure, smsc=self.name)

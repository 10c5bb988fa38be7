"""Fakes that keep the promises of the real parts: FakeStore passes the same contract suite as Redis."""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace
from zope.interface import implementer

from gatewayd.core.errors import ErrorCode, LeaseLost, StoreUnavailable, StoreUntouched, TemporaryFailure
from gatewayd.core.interfaces import Acceptance, Claim, IEventClaims, IMeter, IStopList, IStore
from gatewayd.core.model import (
    AuditHead,
    Channel,
    DeadLetter,
    Erased,
    Evidence,
    Handed,
    Inbound,
    Kept,
    Known,
    Leased,
    Message,
    QueueState,
    Receipt,
    ReportJob,
    Stop,
    Stopped,
    Trace,
    TracedEvent,
    Waiting,
)
from gatewayd.core.status import FINAL, LETTERS, REPORTS, WAITING, Event, Report, State
from gatewayd.core.timeline import reports_of
from gatewayd.store.unheard import UNHEARD_FOR, Unheard
from transitions import move

LATE_BOUNCE = 5 * 86400
PARKED_FOR = 3600
LOOKS = (12, 30, 60, 300, PARKED_FOR)
_OUTCOME = {Event.DELIVERED: "d", Event.FAILED: "f", Event.BOUNCED: "f", Event.REJECTED: "r"}


@implementer(IEventClaims)
class FakeClaims:
    """Claims in memory; `shared` is what two instances have in common. `down = True` makes every call fail."""

    def __init__(self, clock: Any, shared: dict[str, tuple[Claim, float]] | None = None) -> None:
        self._clock = clock
        self._held = {} if shared is None else shared
        self.down = False

    async def claim(self, keys: Sequence[str]) -> list[Claim]:
        self._check_up()
        found = []
        for key in keys:
            state, until = self._held.get(key, (Claim.OURS, 0.0))
            if until <= self._clock.seconds():
                self._held[key] = (Claim.ANOTHERS, self._clock.seconds() + 60)
                state = Claim.OURS
            found.append(state)
        return found

    async def keep(self, keys: Sequence[str], seconds: float) -> None:
        self._check_up()
        for key in keys:
            self._held[key] = (Claim.DONE, self._clock.seconds() + seconds)

    async def release(self, keys: Sequence[str]) -> None:
        self._check_up()
        for key in keys:
            self._held.pop(key, None)

    def _check_up(self) -> None:
        if self.down:
            raise StoreUnavailable("the fake is down")


@implementer(IStopList)
class FakeStopList:
    """IStopList over a FakeStore's list."""

    def __init__(self, store: "FakeStore") -> None:
        self._store = store

    async def put(
        self,
        label: str,
        channel: Channel,
        keyed_hash: str,
        seconds: float,
        *,
        user: str = "",
        reason: str = "",
        of_address: bool = False,
        owner: str = "",
        since: float = 0.0,
    ) -> None:
        """See IStopList."""
        now = self._store._now()
        known, key = self._store.db.stops, (label, channel, keyed_hash)
        before = known.get(key)
        began, until = min(since or now, now), now + max(seconds, 1.0)
        if before is not None and before.until > now:
            began, until, user = max(began, before.since), max(until, before.until), user or before.user
        known[key] = Stop(label, channel, keyed_hash, began, until, of_address, reason, user)
        self._store.db.stop[key] = until
        self._store.db.stop_owners[key] = owner

    async def put_all(self, stops: Sequence[Stop]) -> None:
        """See IStopList."""
        for one in stops:
            lifetime = one.until - self._store._now()
            await self.put(
                one.label,
                one.channel,
                one.keyed_hash,
                lifetime,
                user=one.user,
                reason=one.reason,
                of_address=one.of_address,
                since=one.since,
            )

    def _theirs(self, label: str, channel: Channel, hashes: Sequence[str]) -> list[tuple[str, Channel, str]]:
        now, db = self._store._now(), self._store.db
        return [
            key
            for key in db.stops
            if key[:2] == (label, channel)
            and (key[2] in hashes or db.stop_owners.get(key) in hashes)
            and db.stop.get(key, 0) > now
        ]

    async def lift(self, label: str, channel: Channel, hashes: Sequence[str], consented_at: float) -> int:
        """See IStopList."""
        if consented_at > self._store._now():
            return 0
        gone = [key for key in self._theirs(label, channel, hashes) if self._store.db.stops[key].since < consented_at]
        for key in gone:
            del self._store.db.stop[key], self._store.db.stops[key]
        return len(gone)

    async def forget(self, label: str, channel: Channel, hashes: Sequence[str]) -> None:
        """See IStopList."""
        for key in self._theirs(label, channel, hashes):
            self._store.db.stops[key] = replace(self._store.db.stops[key], user="")

    async def some(self, label: str, channel: Channel, cursor: str, since: float = 0.0) -> tuple[str, list[Stop]]:
        """See IStopList."""
        now, db = self._store._now(), self._store.db
        found = sorted(
            (round(stop.since * 1000), key[2], stop)
            for key, stop in db.stops.items()
            if key[:2] == (label, channel) and stop.since >= since and db.stop.get(key, 0) > now
        )
        began, _, name = cursor.partition("-")
        page = [one for one in found if not name or one[:2] > (int(began), name)][:2]
        more = "{}-{}".format(*page[-1][:2]) if len(page) == 2 else "0"
        return more, [stop for _, _, stop in page]


class FakeEvidence:
    """EvidenceSink that keeps what it is brought. `down = True` makes every record raise StoreUnavailable."""

    def __init__(self) -> None:
        self.facts: list[Evidence] = []
        self.receipts: list[Receipt] = []
        self.inbound: list[Inbound] = []
        self.late: list[tuple[str, str, tuple[str, ...]]] = []
        self.resumed: list[tuple[str, str, float, tuple[str, ...], str]] = []
        self.simulated: list[str] = []
        self.hard: list[str] = []
        self.looked: list[Receipt] = []
        self.given_up: list[Receipt] = []
        self.down = False

    def _check_up(self) -> None:
        if self.down:
            raise StoreUnavailable("the fake is down")

    async def record(self, evidence: Evidence) -> None:
        """See EvidenceSink."""
        self._check_up()
        self.facts.append(evidence)

    async def record_receipt(self, receipt: Receipt) -> None:
        """See EvidenceSink."""
        self._check_up()
        self.receipts.append(receipt)

    async def record_inbound(self, inbound: Inbound) -> None:
        """See EvidenceSink."""
        self._check_up()
        self.inbound.append(inbound)

    async def record_late_answer(self, message_id: str, route: str, remote_ids: tuple[str, ...]) -> None:
        """See EvidenceSink."""
        self.late.append((message_id, route, remote_ids))

    async def resume_from(
        self, message_id: str, route: str, written_at: float, remote_ids: tuple[str, ...], reason: str
    ) -> None:
        """See EvidenceSink."""
        self.resumed.append((message_id, route, written_at, remote_ids, reason))

    async def record_simulated(self, message_id: str) -> None:
        """See EvidenceSink."""
        self._check_up()
        self.simulated.append(message_id)

    async def record_hard_failure(self, message_id: str) -> None:
        """See EvidenceSink."""
        self._check_up()
        self.hard.append(message_id)

    async def look_again(self, receipt: Receipt) -> None:
        """See EvidenceSink."""
        self.looked.append(receipt)

    def give_up(self, receipt: Receipt) -> None:
        """See EvidenceSink."""
        self.given_up.append(receipt)


@dataclass
class Row:
    """What is kept of one message."""

    message: Message | None
    fingerprint: str
    label: str
    channel: Channel
    callback_url: str
    user: str
    uid: str
    activity: str
    accepted_at: float
    deadline: float
    heard: list[tuple[str, str]] = field(default_factory=list)
    state: State = State.QUEUED
    told: str = ""
    pending: str = ""
    report_born: float = 0.0
    report_tries: int = 0
    report_first: float = 0.0
    tries: int = 0
    first: float = 0.0
    route: str = ""
    marked: float = 0.0
    address: str = ""
    sent_at: float = 0.0
    ended: float = 0.0
    segments: str = ""
    progress: tuple[str, ...] = ()
    lost_progress: bool = False
    copies: int = 0
    lease: tuple[str, str] | None = None
    marked_since: bool = False
    report_lease: tuple[str, str] | None = None
    no_news: int = 0
    wording: dict[int, str] = field(default_factory=dict)
    hearings: list[tuple[str, float]] = field(default_factory=list)
    timeline: list[TracedEvent] = field(default_factory=list)


class Database:
    """What all instances of FakeStore share: the fake's Redis."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.queues: dict[str, dict[str, float]] = {"email": {}, "sms": {}, "im": {}, "reports": {}}
        self.leases: dict[tuple[str, str], dict[str, float]] = {}
        self.aside: dict[tuple[str, Channel], dict[str, float]] = {}
        self.paused: set[tuple[str, Channel]] = set()
        self.stop: dict[tuple[str, Channel, str], float] = {}
        self.stops: dict[tuple[str, Channel, str], Stop] = {}
        self.stop_owners: dict[tuple[str, Channel, str], str] = {}
        self.memory: dict[str, float] = {}
        self.remote: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
        self.parked: dict[Receipt, float] = {}
        self.latest: dict[str, str] = {}
        self.audit_heads: dict[str, AuditHead] = {}
        self.lost: dict[str, dict[str, None]] = {}
        self.dead: dict[tuple[str, str], DeadLetter] = {}
        self.counts: dict[tuple[str, Channel, str], int] = {}
        self.rates: dict[str, float] = {}
        self.beats: dict[str, float] = {}
        self.steady: tuple[float, float] | None = None
        self.forgot = 0.0
        self.boots: dict[str, str] = {}
        self.unheard: dict[str, Unheard] = {}


@implementer(IStore)
class FakeStore:
    """IStore in memory. `down = True` makes every call raise StoreUntouched."""

    def __init__(
        self,
        clock: Any,
        instance: str = "one",
        database: Database | None = None,
        max_queued: int = 1000,
        boot: str = "",
    ) -> None:
        self.clock = clock
        self.instance = instance
        self.db = database or Database()
        self.max_queued = max_queued
        self.boot = boot or f"boot of {instance}"
        self._unheard = self.db.unheard.setdefault(self.boot, Unheard())
        self.down = False
        self._lease_names = (f"q{number}" for number in itertools.count())
        self._room: Callable[[], bool] = lambda: False
        self._take_report: Callable[[ReportJob], None] = lambda job: None

    # What the scripts share

    def _now(self) -> float:
        if self.down:
            raise StoreUntouched("the fake is down")
        return float(self.clock.seconds())

    def _lease(self, kind: str) -> dict[str, float]:
        return self.db.leases.setdefault((kind, self.instance), {})

    def _note(self, row: Row, event: str, detail: str = "") -> None:
        now = self._now()
        for place, step in enumerate(row.timeline):
            if (step.event, step.detail) == (event, detail):
                row.timeline[place] = replace(step, until=now, times=step.times + 1)
                return
        row.timeline.append(TracedEvent(at=now, event=event, detail=detail))

    def _holds(self, row: Row | None, lease: str) -> bool:
        return row is not None and row.lease == (self.boot, lease)

    def _is_unheard(self, message_id: str) -> bool:
        row = self.db.rows.get(message_id)
        if row is None or not row.heard or row.state is not State.QUEUED or row.marked:
            return False
        calls = [int(attempt) >= self.db.unheard[boot].first() for boot, attempt in row.heard]
        return 0 <= self._now() - row.accepted_at < UNHEARD_FOR and all(calls)

    def _requeue(self, kind: str, message_id: str) -> None:
        row = self.db.rows.get(message_id)
        if row is not None and kind == "reports":
            row.report_lease = None
        elif row is not None:
            row.lease = None
        self.db.queues[kind][message_id] = self._now()

    def _count(self, row: Row, what: str, by: int) -> None:
        key = (row.label, row.channel, what)
        self.db.counts[key] = self.db.counts.get(key, 0) + by

    def _job(self, message_id: str) -> ReportJob | None:
        row = self.db.rows.get(message_id)
        if row is None or not row.pending:
            return None
        return ReportJob(
            message_id=message_id,
            label=row.label,
            channel=row.channel,
            status=REPORTS[row.pending[0]],
            callback_url=row.callback_url,
            queued_at=row.report_born,
            attempts=row.report_tries,
            first_tried=row.report_first,
            lease=row.report_lease[1] if row.report_lease else "",
        )

    def _tell(self, message_id: str, row: Row, letters: str, lease: bool) -> bool:
        if row.pending:
            row.pending += letters
            return False
        row.pending, row.report_born, row.report_tries, row.report_first = letters, self._now(), 0, 0.0
        row.report_lease = (self.boot, next(self._lease_names)) if lease else None
        place = self._lease("reports") if lease else self.db.queues["reports"]
        place[message_id] = self._now()
        return lease

    def _move(self, message_id: str, row: Row, new: State, letters: str) -> bool:
        fresh = "".join(letter for letter in letters if letter not in row.told)
        if new is row.state and not fresh:
            return False
        old, row.state = row.state, new
        row.told += fresh
        if new is not old:
            self._count(row, new, 1)
            if old in WAITING:
                row.message, row.lease = None, None
                self._count(row, "in_flight", -1)
                self.db.queues[row.channel].pop(message_id, None)
                self.db.aside.get((row.label, row.channel), {}).pop(message_id, None)
            else:
                self._count(row, old, -1)
            if new in FINAL:
                row.ended = self._now()
        if "a" in fresh:
            self._count(row, "handed", 1)
        if fresh and self._tell(message_id, row, fresh, self._room()):
            job = self._job(message_id)
            assert job is not None
            self._take_report(job)
        return True

    # IStore

    async def accept(
        self,
        message: Message,
        fingerprint: str,
        *,
        earlier_fingerprints: Sequence[str] = (),
        player_hash: str = "",
        earlier_ids: Sequence[str] = (),
        stop_hashes: Sequence[str] = (),
        lease: bool = False,
        until: float | None = None,
        attempt: str = "",
    ) -> tuple[Acceptance, str]:
        now = self._now()
        if attempt:
            self._unheard.asked(attempt)
        row = self.db.rows.get(message.id)
        me = (self.boot, attempt)
        if row is not None and attempt and row.heard[:1] == [me]:
            return (Acceptance.LEASED if message.id in self._lease(message.channel) else Acceptance.STORED), message.id
        heard = [*row.heard, *({me} - set(row.heard))] if row is not None and row.heard and attempt else []
        known = await self.known([message.id, *earlier_ids], fingerprint, earlier_fingerprints=earlier_fingerprints)
        if known:
            if row is not None and known[0] is Acceptance.SAME:
                row.heard = heard
            return known
        if until is not None and now > until:
            self.heard(attempt)
            raise StoreUntouched("too late")
        if await self._is_stopped(message.label, message.channel, stop_hashes):
            return Acceptance.SUPPRESSED, message.id
        if sum(1 for row in self.db.rows.values() if row.message) >= self.max_queued:
            return Acceptance.FULL, message.id
        row = Row(
            message=message,
            fingerprint=fingerprint,
            label=message.label,
            channel=message.channel,
            callback_url=message.callback_url,
            user=message.ext_user_id,
            uid=message.uid,
            activity=message.activity_type,
            accepted_at=self._now(),
            deadline=message.deadline,
            heard=[me] if attempt else [],
            lease=me if lease else None,
        )
        self.db.rows[message.id] = row
        self._count(row, "accepted", 1)
        self._count(row, "in_flight", 1)
        self._note(row, "taken")
        (self._lease(message.channel) if lease else self.db.queues[message.channel])[message.id] = now
        return (Acceptance.LEASED if lease else Acceptance.STORED), message.id

    def heard(self, attempt: str) -> None:
        """See IStore."""
        if attempt:
            self._unheard.decided(attempt)

    async def undo_accept(self, message_id: str, channel: Channel, attempt: str) -> None:
        self._now()
        self.heard(attempt)
        row = self.db.rows.get(message_id)
        if row is None or (self.boot, attempt) not in row.heard or row.state is not State.QUEUED or row.marked:
            return
        row.heard.remove((self.boot, attempt))
        if row.heard:
            return
        self._count(row, "in_flight", -1)
        self._count(row, "accepted", -1)
        for place in (self.db.queues[channel], self._lease(channel), self.db.aside.get((row.label, channel), {})):
            place.pop(message_id, None)
        del self.db.rows[message_id]

    async def known(
        self, ids: Sequence[str], fingerprint: str, *, earlier_fingerprints: Sequence[str] = ()
    ) -> tuple[Acceptance, str] | None:
        self._now()
        for message_id in ids:
            row = self.db.rows.get(message_id)
            if row:
                same = row.fingerprint in (fingerprint, *earlier_fingerprints)
                row.heard = [] if same else row.heard
                return (Acceptance.SAME if same else Acceptance.CONFLICT), message_id
        return None

    def _due(self, kind: str, limit: int) -> list[str]:
        now, queue = self._now(), self.db.queues[kind]
        ready = [(at, message_id) for message_id, at in queue.items() if at <= now]
        due = sorted(one for one in ready if kind == "reports" or not self._is_unheard(one[1]))[:limit]
        for _, message_id in due:
            del queue[message_id]
        return [message_id for _, message_id in due]

    async def lease_messages(self, channel: Channel, limit: int) -> list[Leased]:
        return self._leased(channel, self._due(channel, limit))

    async def lease_overdue(self, channel: Channel, rank: int, limit: int) -> tuple[int, list[Leased]]:
        now, queue = self._now(), self.db.queues[channel]
        ids = sorted(queue, key=lambda one: queue[one])[rank : rank + limit]
        overdue = [one for one in ids if self.db.rows[one].deadline <= now]
        for one in overdue:
            del queue[one]
        return len(ids) - len(overdue), self._leased(channel, overdue)

    def _leased(self, channel: Channel, ids: Sequence[str]) -> list[Leased]:
        found, name = [], next(self._lease_names)
        for message_id in ids:
            row = self.db.rows.get(message_id)
            if row is None or row.message is None:
                continue
            self._lease(channel)[message_id] = self._now()
            row.lease, row.marked_since = (self.boot, f"{name}.{len(found)}"), False
            earlier = (row.state, row.tries, row.first, row.route, row.marked, row.progress)
            mark = round(row.marked * 1000)
            found.append(Leased(row.message, *earlier, row.lease[1], row.copies, mark))
        return found

    async def mark(
        self,
        message: Message,
        route: str,
        address_hash: str,
        *,
        lease: str,
        segments: int = 1,
        stop_hashes: Sequence[str] = (),
    ) -> int:
        now = self._now()
        row = self.db.rows.get(message.id)
        if row is None or not self._holds(row, lease) or row.state not in WAITING:
            raise LeaseLost(message.id)
        # A test's clock may stand still; one that was set back gives no smaller stamp.
        marked = now if now >= row.marked else row.marked + 0.001
        if (message.label, message.channel) in self.db.paused:
            raise TemporaryFailure("paused", not_before=now + 1.0, counts=False)
        if await self._is_stopped(message.label, message.channel, stop_hashes):
            return 0
        if row.route and row.route != route:
            row.progress, row.segments = (), ""
        segment = f", segment {len(row.progress) + 1} of {segments}" if row.progress else ""
        row.state, row.route, row.marked, row.address = State.UNCERTAIN, route, marked, address_hash
        row.marked_since = True
        if segments > 1 and not row.segments:
            row.segments = "." * segments
        if message.channel is Channel.SMS and address_hash:
            self.db.latest[address_hash] = message.id
        self._note(row, "submitting", route + segment)
        return max(round(marked * 1000), 1)

    async def settle_sent(self, message_id: str, channel: Channel, handed: Handed) -> list[Receipt]:
        now = self._now()
        self._lease(channel).pop(message_id, None)
        row = self.db.rows.get(message_id)
        if row is None:
            return []
        after = move(row.state, row.told, Event.SENT)
        if after:
            self._move(message_id, row, *after)
            self._note(row, "sent", f"{handed.route} {handed.detail}".strip())
        row.sent_at, row.route = now, handed.route
        count = len(handed.remote_ids)
        if count > 1 and len(row.segments) != count:
            row.segments = "." * count
        if count == 1:
            row.segments = ""
        parked = []
        for index, remote in enumerate(handed.remote_ids, 1):
            self._name(handed.route, remote, (message_id, index, row.address))
            parked += [r for r in self.db.parked if r.smsc == handed.route and remote in r.remote_ids]
        return parked

    async def settle_again(
        self,
        message: Message,
        due: float,
        reason: str,
        *,
        lease: str,
        counts: bool = True,
        uncertain: bool = False,
        route: str = "",
        progress: Sequence[str] = (),
    ) -> None:
        now = self._now()
        row = self.db.rows.get(message.id)
        if row is None or not self._holds(row, lease):
            return
        self._lease(message.channel).pop(message.id, None)
        row.lease = None
        if row.state not in WAITING:
            return
        still = uncertain or (row.state is State.UNCERTAIN and not row.marked_since)
        row.state = State.UNCERTAIN if still else State.QUEUED
        row.route = route or row.route
        if still:
            self.db.lost.setdefault(row.address, {})[message.id] = None
            self.db.parked.update((one, now) for one in self.db.parked if row.address in one.number_hashes)
        if progress:
            row.progress = tuple(progress)
            for index, remote in enumerate(progress, 1):
                self._name(row.route, remote, (message.id, index, row.address))
        if counts:
            row.tries += 1
            row.first = row.first or now
            row.copies += uncertain
        self._note(row, "uncertain" if uncertain else "again", reason)
        self.db.queues[message.channel][message.id] = due

    async def record_segments(self, message_id: str, lease: str, route: str, remote_ids: Sequence[str]) -> None:
        self._now()
        row = self.db.rows.get(message_id)
        if row is None or not self._holds(row, lease) or row.state not in WAITING:
            return
        row.state, row.progress = State.QUEUED, tuple(remote_ids)
        for index, remote in enumerate(remote_ids, 1):
            self._name(route, remote, (message_id, index, row.address))

    def _name(self, route: str, remote: str, segment: tuple[str, int, str]) -> None:
        """The latest first; another message that bore the id keeps it."""
        before = [one for one in self.db.remote.get((route, remote), ()) if one[0] != segment[0]]
        self.db.remote[route, remote] = [segment, *before]

    def _in_work(self, message_id: str, row: Row) -> bool:
        aside = self.db.aside.get((row.label, row.channel), {})
        return message_id not in self.db.queues[row.channel] and message_id not in aside

    def _go_on(self, message_id: str, row: Row) -> bool:
        if self._in_work(message_id, row):
            return False
        if message_id in self.db.queues[row.channel]:
            self.db.queues[row.channel][message_id] = self._now()
        row.state = State.QUEUED
        self.db.lost.get(row.address, {}).pop(message_id, None)
        return True

    async def resume_from(
        self, message_id: str, route: str, written_at: float, reason: str, *, progress: Sequence[str] = ()
    ) -> bool:
        self._now()
        row = self.db.rows.get(message_id)
        if row is None or row.state is not State.UNCERTAIN or row.route != route or row.marked > written_at + 0.001:
            return False
        if not self._go_on(message_id, row):
            return False
        if progress:
            row.progress = tuple(progress)
        for index, remote in enumerate(progress, 1):
            self._name(route, remote, (message_id, index, row.address))
        self._note(row, "again", reason)
        return True

    async def settle_final(self, message: Message, state: State, reason: str, reports: str, *, lease: str) -> None:
        self._now()
        row = self.db.rows.get(message.id)
        if row is None or not self._holds(row, lease):
            return
        self._lease(message.channel).pop(message.id, None)
        if row.state in WAITING:
            self._move(message.id, row, state, reports)
            self._note(row, state, reason)

    async def set_aside(self, message: Message, *, lease: str) -> None:
        now = self._now()
        row = self.db.rows.get(message.id)
        if row is None or not self._holds(row, lease):
            return
        self._lease(message.channel).pop(message.id, None)
        row.lease = None
        place = (message.label, message.channel)
        if place not in self.db.paused:
            self.db.queues[message.channel][message.id] = now
            return
        self.db.aside.setdefault(place, {})[message.id] = message.deadline
        self._note(self.db.rows[message.id], "paused")

    async def record_evidence(self, evidence: Evidence) -> str:
        now = self._now()
        row = self.db.rows.get(evidence.message_id)
        if row is None:
            return "unknown"
        after = move(row.state, row.told, evidence.event)
        if evidence.event is Event.BOUNCED and row.state in FINAL and now - row.ended > LATE_BOUNCE:
            after = None
        changed = after is not None and self._move(evidence.message_id, row, *after)
        words = f"{evidence.source}: {evidence.detail}" if evidence.detail else evidence.source
        if changed:
            self._note(row, evidence.event, words)
        row.no_news += not changed
        return "moved" if changed else "ignored"

    async def record_receipt(self, receipt: Receipt, *, park: bool, by_number: bool = False) -> tuple[str, str]:
        now, message_id, index, rivals = self._now(), "", 0, 0
        stranger: tuple[str, int] | None = None
        for rank, remote in enumerate(receipt.remote_ids):
            named = self.db.remote.get((receipt.smsc, remote), [])
            fits = [one for one in named if not receipt.number_hash or one[2] in ("", *receipt.number_hashes)]
            if fits:
                sure = [one for one in fits if one[2] in receipt.number_hashes] if receipt.wording else []
                rivals = len(sure) if fits[0] in sure else 1
                message_id, index = self._whose(sure, str(receipt.wording)) if rivals > 1 else fits[0][:2]
                break
            if named and rank == 0:
                stranger = named[0][:2]
        if not message_id:
            message_id = self._lost_to(receipt, by_number)
        ours = any(name in self.db.latest for name in receipt.number_hashes)
        sure = not ours and (by_number or len(receipt.remote_ids) == 1)
        if not message_id and stranger and sure and self.db.rows[stranger[0]].state not in FINAL:
            message_id, index = stranger
        row = self.db.rows.get(message_id)
        bad = receipt.event is not None and _OUTCOME[receipt.event] != "d"
        unsent = row is not None and row.state in WAITING and len(row.segments) > 1
        if row is None or (bad and unsent and self._in_work(message_id, row)):
            if not park:
                return "unknown", ""
            kept = receipt if receipt.parked_at else replace(receipt, parked_at=now)
            self.db.parked.setdefault(kept, now + 2)
            return "parked", ""
        self.db.parked.pop(receipt, None)
        event, awaited = receipt.event, len(row.progress)
        shown = not index and not bad and row.state is State.UNCERTAIN
        goes_on = shown and awaited + 1 < len(row.segments) and not row.lost_progress
        whole = shown and row.segments[awaited:] == "."
        if not index:
            index = max(row.segments.find(".", awaited), row.segments.find(".")) + 1 or 1
            named = self.db.remote.get((receipt.smsc, receipt.remote_ids[0]), [])
            if message_id not in (one[0] for one in named):
                self._name(receipt.smsc, receipt.remote_ids[0], (message_id, index, row.address))
        if goes_on and self._go_on(message_id, row):
            row.progress = (*row.progress, receipt.remote_ids[0])
            self._note(row, "again", f"a receipt shows that segment {index} was taken")
        if event is not None and rivals > 1:
            row.wording[index] = str(receipt.wording)
        if event is not None and len(row.segments) > 1:
            at = index - 1
            if at >= len(row.segments) or row.segments[at] != ".":
                row.no_news += 1
                return "ignored", message_id
            letter = _OUTCOME[event]
            row.segments = row.segments[:at] + letter + row.segments[at + 1 :]
            self._note(row, "receipt", f"segment {at + 1} of {len(row.segments)}: {receipt.detail}")
            if letter == "d" and row.segments.strip("d"):
                sent = move(row.state, row.told, Event.SENT) if whole else None
                if sent is None or not self._move(message_id, row, *sent):
                    return "ignored", message_id
                row.sent_at = now
                return "sent", message_id
        elif event is None:
            self._note(row, "receipt", receipt.detail)
        after = move(row.state, row.told, event) if event is not None else None
        if after is not None and unsent and "." in row.segments:
            after = after[0], after[1].replace("a", "")
        changed = after is not None and self._move(message_id, row, *after)
        if changed and len(row.segments) <= 1:
            self._note(row, "receipt", receipt.detail)
        row.no_news += event is not None and not changed
        return ("moved" if changed else "ignored"), message_id

    def _whose(self, rivals: list[tuple[str, int, str]], wording: str) -> tuple[str, int]:
        """Of messages to one number under one id: by this very receipt, else the oldest open one, else the latest."""
        found = rivals[0]
        for one in rivals:
            row, index = self.db.rows[one[0]], one[1]
            if row.wording.get(index) == wording:
                return one[:2]
            if row.state not in FINAL and (len(row.segments) < 2 or row.segments[index - 1] == "."):
                found = one
        return found[:2]

    def _lost_to(self, receipt: Receipt, by_number: bool) -> str:
        """The oldest uncertain message to the receipt's number that it may be about; after a while the latest, too."""
        born = receipt.parked_at or self._now()
        patient = by_number and self._now() - born >= 10
        for name in receipt.number_hashes:
            lost, latest = self.db.lost.get(name, {}), self.db.latest.get(name, "")
            awaited = latest in self.db.rows and latest not in lost and self.db.rows[latest].state is State.UNCERTAIN
            candidates = [(each, WAITING) for each in lost if patient or not awaited]
            for row_id, states in [*candidates, (latest, frozenset({State.UNCERTAIN} if patient else ()))]:
                row = self.db.rows.get(row_id)
                if row and row.state in states and row.route == receipt.smsc and row.marked <= born:
                    return row_id
        return ""

    async def parked_receipts(self, limit: int) -> tuple[list[Receipt], list[Receipt]]:
        now = self._now()
        due: list[Receipt] = []
        orphans: list[Receipt] = []
        for receipt in [r for r, at in self.db.parked.items() if at <= now][:limit]:
            age = now - receipt.parked_at
            if age >= PARKED_FOR:
                del self.db.parked[receipt]
                orphans.append(receipt)
            else:
                self.db.parked[receipt] = receipt.parked_at + next(at for at in LOOKS if age < at)
                due.append(receipt)
        return due, orphans

    def feed_reports(self, room: Callable[[], bool], offer: Callable[[ReportJob], None]) -> None:
        self._room, self._take_report = room, offer

    async def lease_reports(self, limit: int) -> list[ReportJob]:
        jobs, name = [], next(self._lease_names)
        for message_id in self._due("reports", limit):
            if self._job(message_id):
                self.db.rows[message_id].report_lease = (self.boot, f"{name}.{len(jobs)}")
                self._lease("reports")[message_id] = self._now()
                jobs += [job for job in [self._job(message_id)] if job]
        return jobs

    async def report_heard(self, job: ReportJob) -> ReportJob | None:
        return self._told(job, "")

    async def report_dead(self, job: ReportJob, reason: str, *, waited: float, tries: int) -> ReportJob | None:
        return self._told(job, reason, waited, tries)

    def _told(self, job: ReportJob, reason: str, waited: float = 0.0, tries: int = 0) -> ReportJob | None:
        now, lease, letter = self._now(), self._lease("reports"), LETTERS[job.status]
        row = self.db.rows.get(job.message_id)
        if row is None or not row.pending.startswith(letter):
            if row is None or not row.pending:
                lease.pop(job.message_id, None)
            return None
        row.pending = row.pending[1:]
        if reason:
            self._note(row, "given up", f"{letter} {reason}")
            dead = DeadLetter(job.message_id, row.label, job.status, now, reason, waited, tries)
            self.db.dead[job.message_id, letter] = dead
        else:
            self._note(row, "told", letter)
            row.hearings.append((letter, now))
        if not row.pending:
            lease.pop(job.message_id, None)
            self.db.queues["reports"].pop(job.message_id, None)
            row.report_lease = None
            return None
        row.report_born, row.report_tries, row.report_first = now, 0, 0.0
        return self._job(job.message_id) if row.report_lease == (self.boot, job.lease) else None

    async def report_again(self, job: ReportJob, due: float, reason: str, *, counts: bool = True) -> None:
        now = self._now()
        row = self.db.rows.get(job.message_id)
        if row is None or row.report_lease != (self.boot, job.lease):
            return
        self._lease("reports").pop(job.message_id, None)
        row.report_lease = None
        if counts:
            row.report_tries += 1
            row.report_first = row.report_first or now
            self._note(row, "tell again", reason)
        self.db.queues["reports"][job.message_id] = due

    async def unsuppress(self, label: str, channel: Channel, hashes: Sequence[str]) -> bool:
        self._now()
        owned = [
            key[2] for key, owner in self.db.stop_owners.items() if key[:2] == (label, channel) and owner in hashes
        ]
        gone = [self.db.stop.pop((label, channel, name), None) for name in (*hashes, *owned)]
        return any(gone)

    async def _is_stopped(self, label: str, channel: Channel, hashes: Sequence[str]) -> bool:
        now = self._now()
        return any(self.db.stop.get((label, channel, name), 0) > now for name in hashes)

    async def stopped(self, label: str, channel: Channel, hashes: Sequence[str]) -> Stopped | None:
        now = self._now()
        until = max(self.db.stop.get((label, channel, name), 0.0) for name in hashes)
        owned = [
            key
            for key, owner in self.db.stop_owners.items()
            if key[:2] == (label, channel) and owner in hashes and self.db.stop.get(key, 0) > now
        ]
        return Stopped(until if until > now else 0.0, len(owned)) if owned or until > now else None

    async def latest_to(self, number_hashes: Sequence[str]) -> str | None:
        self._now()
        found = {self.db.latest[name]: None for name in number_hashes if name in self.db.latest}
        if len(found) < 2:
            return next(iter(found), None)
        known = [each for message_id in found if (each := await self.about(message_id)) is not None]
        return max(known, key=lambda each: each.sent_at).message_id if known else None

    async def about(self, message_id: str) -> Known | None:
        self._now()
        row = self.db.rows.get(message_id)
        if row is None:
            return None
        sent = row.sent_at or row.marked
        facts = (row.uid, row.label, row.channel, row.user, row.state, row.activity, row.address)
        on_the_wire = row.state is State.UNCERTAIN and row.lease is not None and row.marked_since
        return Known(message_id, *facts, sent, row.told, row.route, len(row.segments), on_the_wire)

    async def trace(self, ids: Sequence[str]) -> Trace | None:
        self._now()
        for message_id in ids:
            row = self.db.rows.get(message_id)
            if row is None:
                continue
            timeline = tuple(row.timeline)
            reports = reports_of(row.told, timeline)
            return Trace(message_id, row.uid, row.label, row.channel, row.user, row.state, reports, timeline)
        return None

    async def audit_head(self, instance: str) -> AuditHead | None:
        self._now()
        return self.db.audit_heads.get(instance)

    async def keep_audit_head(self, instance: str, head: AuditHead) -> None:
        self._now()
        self.db.audit_heads[instance] = head

    async def fields(self, message_id: str) -> Mapping[str, str]:
        self._now()
        row = self.db.rows.get(message_id)
        return {"state": row.state, "label": row.label, "uid": row.uid} if row else {}

    async def waiting(self, message_id: str, channel: Channel) -> Waiting | None:
        self._now()
        due = self.db.queues[channel].get(message_id)
        return None if due is None else Waiting(due, self.db.rows[message_id].deadline)

    async def longest_waiting(self, limit: int) -> list[Trace]:
        self._now()
        found = [await self.trace([name]) for channel in Channel for name in self.db.queues[channel]]
        return sorted((one for one in found if one), key=lambda one: one.timeline[0].at)[:limit]

    async def try_now(self, message_id: str, channel: Channel) -> bool:
        now = self._now()
        if message_id not in self.db.queues[channel]:
            return False
        self.db.queues[channel][message_id] = now
        return True

    async def dead_letters(self, limit: int) -> list[DeadLetter]:
        self._now()
        return sorted(self.db.dead.values(), key=lambda letter: -letter.given_up_at)[:limit]

    async def retry_dead(self, message_id: str) -> bool:
        return self._raise_dead(message_id, retry=True)

    async def drop_dead(self, message_id: str) -> bool:
        return self._raise_dead(message_id, retry=False)

    def _raise_dead(self, message_id: str, retry: bool) -> bool:
        self._now()
        letters = [letter for letter in "adfrcou" if self.db.dead.pop((message_id, letter), None)]
        row = self.db.rows.get(message_id)
        if letters and row:
            self._note(row, "told to retry" if retry else "told to drop", "".join(letters))
            if retry:
                self._tell(message_id, row, "".join(letters), False)
        return bool(letters)

    async def pause(self, label: str, channel: Channel) -> None:
        self._now()
        self.db.paused.add((label, channel))

    async def resume(self, label: str, channel: Channel) -> None:
        self._now()
        self.db.paused.discard((label, channel))

    async def paused(self) -> frozenset[tuple[str, Channel]]:
        self._now()
        return frozenset(self.db.paused)

    async def erase_some(
        self, cursor: str, label: str, ext_user_id: str, *, hashes: Sequence[str] = ()
    ) -> tuple[str, Erased]:
        self._now()
        removed, ended = 0, []
        for message_id, row in self.db.rows.items():
            if row.label != label or row.user != ext_user_id:
                continue
            removed += 1
            if row.state in WAITING:
                ended.append((message_id, row.channel))
                self._move(message_id, row, State.FAILED, "f")
                self.db.aside.get((row.label, row.channel), {}).pop(message_id, None)
            if self.db.latest.get(row.address) == message_id:
                del self.db.latest[row.address]
            row.user = row.uid = row.address = row.activity = ""
            row.timeline.clear()
            row.hearings.clear()
        return "0", Erased(seen=len(self.db.rows), removed=removed, ended=tuple(ended))

    async def export_some(
        self, cursor: str, label: str, ext_user_id: str, *, hashes: Sequence[str] = ()
    ) -> tuple[str, int, list[Kept]]:
        self._now()
        found = []
        for message_id, row in self.db.rows.items():
            if row.label != label or row.user != ext_user_id:
                continue
            trace = await self.trace([message_id])
            assert trace is not None
            found.append(
                Kept(
                    trace=trace,
                    accepted_at=row.accepted_at,
                    deadline=row.deadline,
                    sent_at=row.sent_at,
                    activity_type=row.activity,
                    address_hash=row.address,
                    route=row.route,
                    attempts=row.tries,
                    callback_url=row.callback_url,
                    waiting=row.message if row.state in WAITING else None,
                )
            )
        return "0", len(self.db.rows), found

    async def replay_some(self, cursor: str, label: str, start: float, end: float) -> tuple[str, int]:
        self._now()
        queued = 0
        for message_id, row in self.db.rows.items():
            heard = {letter for letter, at in row.hearings if start <= at < end}
            letters = "".join(letter for letter in row.told if letter in heard and letter not in row.pending)
            if letters and label in ("", row.label):
                self._note(row, "replayed", letters)
                self._tell(message_id, row, letters, False)
                queued += len(letters)
        return "0", queued

    async def queues(self) -> Mapping[str, QueueState]:
        now = self._now()
        found = {}
        for kind, queue in self.db.queues.items():
            leases = [lease for (leased, _), lease in self.db.leases.items() if leased == kind]
            aside = [place for (_, channel), place in self.db.aside.items() if channel == kind]
            members = [self.db.rows[message_id] for place in (queue, *leases) for message_id in place]
            births = [
                self._birth(kind, row) for row in members if kind == "reports" or row.state is not State.UNCERTAIN
            ]
            found[kind] = QueueState(
                waiting=len(queue) + sum(map(len, aside)),
                leased=sum(map(len, leases)),
                oldest_age=now - min(births) if births else 0.0,
            )
        return found

    def _birth(self, kind: str, row: Row) -> float:
        return row.report_born if kind == "reports" or not row.timeline else row.timeline[0].at

    async def counts(self) -> Mapping[tuple[str, Channel, str], int]:
        self._now()
        return dict(self.db.counts)

    async def reserve(self, bucket: str, slots: int, interval: float, burst: float) -> float:
        first = max(self.db.rates.get(bucket, 0.0), self._now() - burst)
        self.db.rates[bucket] = first + slots * interval
        return first

    async def reserve_soon(self, bucket: str, interval: float, patience: float) -> tuple[bool, float]:
        first = max(self.db.rates.get(bucket, 0.0), self._now())
        near = first - self._now() <= patience
        if near:
            self.db.rates[bucket] = first + interval
        return near, first

    async def ping(self) -> float:
        self._now()
        return 0.0

    async def beat(self, *, first: bool, dead_after: float) -> tuple[bool, list[str], frozenset[tuple[str, Channel]]]:
        now, boot = self._now(), self.boot
        if first:
            former = self.db.boots.get(self.instance, boot)
            if former != boot:
                self.db.unheard[former] = ended = Unheard()
                ended.asked(str(2**53))
                ended.decided(str(2**53))
            self.db.boots[self.instance] = boot
        if self.db.boots.setdefault(self.instance, boot) != boot:
            return False, [], frozenset()
        last, steady = self.db.steady or (0.0, now)
        self.db.steady = (now, steady if now - last <= 5 else now)
        self.db.beats[self.instance] = now
        late = [name for name, at in self.db.beats.items() if at <= now - dead_after and name != self.instance]
        return True, late if now - self.db.steady[1] >= dead_after else [], frozenset(self.db.paused)

    def forgotten_since(self) -> float:
        """What a test said, once."""
        seconds, self.db.forgot = self.db.forgot, 0.0
        return seconds

    def has_restated(self) -> None:
        """Nobody waits."""

    async def restate_marks(self, marks: Sequence[tuple[str, str, int]]) -> tuple[list[str], list[str]]:
        """As RedisStore."""
        forgotten, uncertain = [], []
        for message_id, route, stamp in marks:
            row = self.db.rows.get(message_id)
            if row is not None and round(row.marked * 1000) < stamp and row.state in WAITING:
                row.state, row.route, row.marked = State.UNCERTAIN, route, max(self._now(), stamp / 1000)
                row.lost_progress = True
                self._note(row, "uncertain", f"Redis had forgotten that it was written to {route}")
                forgotten.append(message_id)
            elif row is not None and row.state is State.UNCERTAIN:
                uncertain.append(message_id)
        return forgotten, uncertain

    async def restate_heard(self, items: Sequence[tuple[str, str, State | None, bool]]) -> list[tuple[bool, bool, str]]:
        """As RedisStore."""
        found = []
        for message_id, letters, state, has_ended in items:
            row = self.db.rows.get(message_id)
            if row is None:
                found.append((False, False, ""))
                continue
            known = {event.detail for event in row.timeline if event.event == "told"}
            said = letters if state is None or "a" in letters or "a" not in row.pending else "a" + letters
            missing = [letter for letter in said if letter not in known]
            for letter in missing:
                self._note(row, "told", letter)
                row.pending = row.pending.replace(letter, "")
                if letter not in row.told:
                    row.told += letter
                    self._count(row, "handed", int(letter == "a"))
            if missing and not row.pending:
                self.db.queues["reports"].pop(message_id, None)
                row.report_lease = None
            if missing and state is not None and state is not row.state:
                self._move(message_id, row, state, "")
                self._note(row, state, "heard before Redis forgot it")
            found.append((bool(missing), has_ended and row.state not in FINAL, row.pending))
        return found

    async def come_forward(self) -> None:
        """The fake's clock is its caller's."""

    async def recover(self, instance: str, *, before: float = 0.0) -> int:
        moved = kept = 0
        for kind in ("email", "sms", "im", "reports"):
            lease = self.db.leases.get((kind, instance), {})
            for message_id in [message_id for message_id, at in lease.items() if not before or at < before]:
                if kind != "reports" and instance != self.instance and self._is_unheard(message_id):
                    kept += 1
                    continue
                del lease[message_id]
                moved += 1
                row = self.db.rows.get(message_id)
                if row is None or (not row.pending if kind == "reports" else row.state not in WAITING):
                    continue
                self._requeue(kind, message_id)
                if kind != "reports" and row.state is State.UNCERTAIN:
                    row.copies += 1
                    self._note(row, "uncertain", f"{instance} ended while it was on the wire")
        if instance != self.instance and not kept:
            self.db.beats.pop(instance, None)
            self.db.boots.pop(instance, None)
        return moved

    async def requeue_set_aside(self) -> int:
        now, moved = self._now(), 0
        for place, members in self.db.aside.items():
            for message_id, deadline in list(members.items()):
                if place not in self.db.paused or deadline <= now:
                    del members[message_id]
                    self.db.queues[place[1]][message_id] = now
                    moved += 1
        return moved

    async def make_due(self, channel: Channel, *, every: bool = False) -> None:
        now = self._now()
        for message_id, due in self.db.queues[channel].items():
            row = self.db.rows[message_id]
            if due > now and (row.state is State.UNCERTAIN or every or not row.tries):
                self.db.queues[channel][message_id] = now

    async def make_reports_due(self, message_ids: Collection[str]) -> None:
        queue = self.db.queues["reports"]
        queue.update(dict.fromkeys(queue.keys() & message_ids, self._now()))

    async def stray_leases(self, kind: str, age: float) -> list[str]:
        now = self._now()
        return [message_id for message_id, at in self._lease(kind).items() if at <= now - age]

    async def release(self, kind: str, message_id: str, *, age: float, unwritten: Sequence[str] = ()) -> None:
        leases = self._lease(kind)
        owner = self.db.boots.get(self.instance, self.boot)
        unheard = kind != "reports" and self._is_unheard(message_id)
        if owner == self.boot and not unheard and leases.get(message_id, self._now()) <= self._now() - age:
            del leases[message_id]
            row = self.db.rows.get(message_id)
            known = [(self.boot, name) for name in unwritten]
            if row is not None and kind != "reports" and row.marked_since and row.lease in known:
                row.state = State.QUEUED
                self._note(row, "again", "Redis had forgotten that it was put back: nothing had been written")
            self._requeue(kind, message_id)


@implementer(IMeter)
class FakeMeter:
    """IMeter that keeps what it was told."""

    def __init__(self) -> None:
        self.intakes: list[tuple[str, Channel, ErrorCode]] = []
        self.outcomes: list[tuple[str, Channel, str]] = []
        self.reports: list[tuple[str, Report, str]] = []
        self.facts: list[tuple[str, str, str]] = []
        self.mails: list[tuple[str, str]] = []
        self.complaints: list[tuple[str, str]] = []

    def intake(self, label: str, channel: Channel, result: ErrorCode, seconds: float) -> None:
        self.intakes.append((label, channel, result))

    def settled(self, label: str, channel: Channel, outcome: str, seconds: float) -> None:
        self.outcomes.append((label, channel, outcome))

    def reported(self, label: str, status: Report, result: str, seconds: float) -> None:
        self.reports.append((label, status, result))

    def mailed(self, label: str, route: str) -> None:
        self.mails.append((label, route))

    def complained(self, label: str, route: str) -> None:
        self.complaints.append((label, route))

    def evidence(self, source: str, event: str, result: str) -> None:
        self.facts.append((source, event, result))

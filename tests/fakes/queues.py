"""IQueues in memory: leases, marks, ends; and statuses on their way."""

from collections.abc import Callable, Sequence

from fakes.part import FakePart
from gatewayd.core.errors import LeaseLost, TemporaryFailure
from gatewayd.core.model import (
    Channel,
    DeadLetter,
    Handed,
    Leased,
    Message,
    ReportJob,
    SettledSent,
)
from gatewayd.core.remote_names import remote_hash
from gatewayd.core.status import LETTERS, WAITING, Event, State
from transitions import move

AWAY = 12 * 3600.0
"""Seconds after which a status that is due was told by nobody, for nobody was there."""


class FakeQueues(FakePart):
    """IQueues of FakeStore."""

    def _due(self, kind: str, limit: int) -> list[tuple[float, str]]:
        now, queue = self._now(), self.db.queues[kind]
        ready = [(at, message_id) for message_id, at in queue.items() if at <= now]
        due = sorted(one for one in ready if kind == "reports" or not self._is_unheard(one[1]))[:limit]
        for _, message_id in due:
            del queue[message_id]
        return due

    async def lease_messages(self, channel: Channel, limit: int) -> list[Leased]:
        return self._leased(channel, [message_id for _, message_id in self._due(channel, limit)])

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
            story = tuple(row.timeline) if row.deadline <= self._now() else ()
            later = (row.copies, mark, story, row.message.accepted_at, row.address)
            found.append(Leased(row.message, *earlier, row.lease[1], *later))
        return found

    def why_no_mark(self) -> str:
        return self.no_mark

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
        self._check_replicas()
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
        if row.route and (row.route != route or (row.address and row.address != address_hash)):
            row.progress, row.segments = (), ""
        segment = f", segment {len(row.progress) + 1} of {segments}" if row.progress else ""
        if message.channel is not Channel.EMAIL and address_hash and (not row.marked or row.address != address_hash):
            self.db.latest[address_hash] = message.id
        row.state, row.route, row.marked, row.address = State.UNCERTAIN, route, marked, address_hash
        row.marked_since = True
        if segments > 1 and not row.segments:
            row.segments = "." * segments
        self._note(row, "submitting", route + segment)
        return max(round(marked * 1000), 1)

    async def settle_sent(self, message_id: str, channel: Channel, handed: Handed) -> SettledSent:
        now = self._now()
        self._lease(channel).pop(message_id, None)
        row = self.db.rows.get(message_id)
        if row is None:
            return SettledSent()
        parked = [
            each
            for remote in handed.remote_ids
            for each in self.db.parked
            if each.smsc == handed.route
            and remote_hash(handed.route, remote) in {remote_hash(handed.route, one) for one in each.remote_ids}
        ]
        for each in parked:
            self.db.parked[each] = now
        count = len(handed.remote_ids)
        one_failed = any(each.event not in (None, Event.DELIVERED) for each in parked)
        outcomes = row.segments
        if count > 1 and outcomes and len(outcomes) != count:
            said = {remote for remote, letter in zip(row.progress, outcomes, strict=False) if letter == "d"}
            outcomes = "".join("d" if remote in said else "." for remote in handed.remote_ids)
        all_arrived = (outcomes != row.segments and "." not in outcomes) or (count == 1 and "d" in outcomes)
        has_arrived = all_arrived and not one_failed
        after = move(row.state, row.queued, Event.DELIVERED if has_arrived else Event.SENT)
        if after:
            self._move(message_id, row, *after)
            self._note(row, "sent", f"{handed.route} {handed.detail}".strip())
        row.sent_at, row.route = now, handed.route
        if count > 1 and len(row.segments) != count:
            row.segments = outcomes or "." * count
        if count == 1:
            row.segments = ""
        for index, remote in enumerate(handed.remote_ids, 1):
            self._name(handed.route, remote, (message_id, index, row.address))
        parked.sort(key=lambda each: each.parked_at)
        return SettledSent(tuple(parked), after is not None and has_arrived)

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
            lost = self.db.lost.setdefault(row.address, {})
            if message.id not in lost:
                lost[message.id] = None
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

    async def resume_from(
        self, message_id: str, route: str, stamp: int, reason: str, *, progress: Sequence[str] = ()
    ) -> bool:
        self._now()
        row = self.db.rows.get(message_id)
        if row is None or row.state is not State.UNCERTAIN or row.route != route:
            return False
        if round(row.marked * 1000) > stamp and row.lost_progress != (stamp, row.marked):
            return False
        if not self._go_on(message_id, row):
            return False
        row.lost_progress = None
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

    def feed_reports(self, room: Callable[[], bool], offer: Callable[[ReportJob], None]) -> None:
        self._room, self._take_report = room, offer

    async def lease_reports(self, limit: int) -> list[ReportJob]:
        jobs, name = [], next(self._lease_names)
        for due, message_id in self._due("reports", limit):
            if self._job(message_id):
                row = self.db.rows[message_id]
                row.report_lease = (self.boot, f"{name}.{len(jobs)}")
                if self._now() - due >= AWAY:
                    row.report_born, row.report_tries, row.report_first = self._now(), 0, 0.0
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

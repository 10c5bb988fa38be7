"""What the parts of FakeStore share, as scripts share functions."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import replace

from fakes.database import Database, Row
from gatewayd.core.errors import ReplicasMissing, StoreUntouched
from gatewayd.core.model import (
    Channel,
    ReportJob,
    TracedEvent,
)
from gatewayd.core.remote_names import remote_hash
from gatewayd.core.status import FINAL, REPORTS, WAITING, State
from gatewayd.store.unheard import UNHEARD_FOR, Unheard


class FakePart:
    """One on a database. `down = True` makes every call raise StoreUntouched; `no_mark`: no promise is made."""

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
        self.no_mark = ""
        self._lease_names = (f"q{number}" for number in itertools.count())
        self._room: Callable[[], bool] = lambda: False
        self._take_report: Callable[[ReportJob], None] = lambda job: None

    def _now(self) -> float:
        if self.down:
            raise StoreUntouched("the fake is down")
        return float(self.clock.seconds())

    def _check_replicas(self) -> None:
        if self.no_mark:
            raise ReplicasMissing(self.no_mark)

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

    def _requeue(self, kind: str, message_id: str, held_until: float) -> None:
        row = self.db.rows.get(message_id)
        if row is not None and kind == "reports":
            row.report_lease = None
        elif row is not None:
            row.lease = None
        self.db.queues[kind][message_id] = held_until if kind == "reports" else self._now()

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
        fresh = "".join(letter for letter in letters if letter not in row.queued)
        if new is row.state and not fresh:
            return False
        old, row.state = row.state, new
        row.queued += fresh
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

    def _name(self, route: str, remote: str, segment: tuple[str, int, str]) -> None:
        """The latest first; another message that bore the id keeps it."""
        before = [one for one in self.db.remote.get(remote_hash(route, remote), ()) if one[0] != segment[0]]
        self.db.remote[remote_hash(route, remote)] = [segment, *before]

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

    async def _is_stopped(self, label: str, channel: Channel, hashes: Sequence[str]) -> bool:
        now = self._now()
        return any(self.db.stop.get((label, channel, name), 0) > now for name in hashes)

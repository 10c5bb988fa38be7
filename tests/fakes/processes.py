"""IProcesses in memory: heartbeats, rates, and what a process says to a Redis that forgot."""

from collections.abc import Callable, Collection, Mapping, Sequence

from fakes.database import Row
from fakes.part import FakePart
from gatewayd.core.model import (
    Channel,
)
from gatewayd.core.status import FINAL, WAITING, State
from gatewayd.store.unheard import Unheard


class FakeProcesses(FakePart):
    """IProcesses of FakeStore."""

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

    async def beat(self, *, first: bool, dead_after: float) -> tuple[bool, list[str], frozenset[tuple[str, Channel]]]:
        now, boot = self._now(), self.boot
        if first:
            former = self.db.boots.get(self.instance, boot)
            if former != boot:
                self.db.unheard[former] = ended = Unheard()
                ended.asked(str(2**53))
                ended.decided(str(2**53))
                self.db.seen[self.instance] = self.db.beats.get(self.instance, now)
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
                row.lost_progress = (stamp, row.marked)
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
            first = row.pending[:1]
            for letter in missing:
                self._note(row, "told", letter)
                row.pending = row.pending.replace(letter, "")
                if letter not in row.queued:
                    row.queued += letter
                    self._count(row, "handed", int(letter == "a"))
            if row.pending[:1] != first:
                row.report_born, row.report_tries, row.report_first = self._now(), 0, 0.0
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

    async def recover(self, instance: str, *, unwritten: Sequence[str] = ()) -> int:
        moved = kept = 0
        boots = (self.boot, self.db.boots.get(self.instance, self.boot)) if instance == self.instance else ()
        ours = [(boot,) for boot in boots]
        seen = self.db.seen if instance == self.instance else self.db.beats
        held_until = seen.get(instance, self._now())
        for kind in ("email", "sms", "im", "reports"):
            lease = self.db.leases.get((kind, instance), {})
            for message_id in list(lease):
                if self._holder(kind, message_id)[:1] in ours:
                    continue
                if kind != "reports" and instance != self.instance and self._is_unheard(message_id):
                    kept += 1
                    continue
                del lease[message_id]
                moved += 1
                row = self.db.rows.get(message_id)
                if row is None or (not row.pending if kind == "reports" else row.state not in WAITING):
                    continue
                left_nothing = self._left_nothing(kind, row, unwritten)
                self._requeue(kind, message_id, held_until)
                if left_nothing:
                    self._as_put_back(row)
                elif kind != "reports" and row.state is State.UNCERTAIN and row.marked_since:
                    row.copies += 1
                    self._note(row, "uncertain", f"{instance} ended while it was on the wire")
        if instance != self.instance and not kept:
            self.db.beats.pop(instance, None)
            self.db.boots.pop(instance, None)
        return moved

    def lease_name(self, lease: str) -> str:
        return f"{self.boot}.{lease}"

    def _left_nothing(self, kind: str, row: Row, names: Sequence[str], progress: Sequence[str] = ()) -> bool:
        marked = kind != "reports" and (row.marked_since or progress) and row.lease is not None
        return bool(marked) and ".".join(row.lease or ()) in names

    def _as_put_back(self, row: Row, written: str = "nothing") -> None:
        row.state = State.QUEUED
        self._note(row, "again", f"Redis had forgotten that it was put back: {written} had been written")

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

    async def leases(self, kind: str, is_in_work: Callable[[str], bool]) -> Mapping[str, str]:
        self._now()
        others = [one for one in self._lease(kind) if not is_in_work(one)]
        return {one: ".".join(self._holder(kind, one)) for one in others}

    def _holder(self, kind: str, message_id: str) -> tuple[str, ...]:
        row = self.db.rows.get(message_id)
        return (row.report_lease if kind == "reports" else row.lease) or () if row else ()

    async def release(
        self,
        kind: str,
        message_id: str,
        lease: str,
        *,
        unwritten: Sequence[str] = (),
        route: str = "",
        progress: Sequence[str] = (),
    ) -> None:
        leases = self._lease(kind)
        owner = self.db.boots.get(self.instance, self.boot)
        unheard = kind != "reports" and self._is_unheard(message_id)
        is_this_one = message_id in leases and ".".join(self._holder(kind, message_id)) == lease
        if owner == self.boot and not unheard and is_this_one:
            del leases[message_id]
            row = self.db.rows.get(message_id)
            names = [self.lease_name(name) for name in unwritten]
            if row is not None and self._left_nothing(kind, row, names, progress) and progress:
                row.route, row.lost_progress, row.progress = route, None, tuple(progress)
                for index, remote in enumerate(progress, 1):
                    self._name(route, remote, (message_id, index, row.address))
                self._as_put_back(row, f"no more than {len(progress)} of its segments")
            elif row is not None and self._left_nothing(kind, row, names):
                self._as_put_back(row)
            self._requeue(kind, message_id, self._now())

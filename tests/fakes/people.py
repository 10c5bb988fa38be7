"""IShownToPeople in memory: what operators see and ask for."""

import math
from collections.abc import Mapping, Sequence

from fakes.database import Row
from fakes.part import FakePart
from gatewayd.core.model import (
    AuditHead,
    Channel,
    DeadLetter,
    Erased,
    Kept,
    QueueState,
    Stopped,
    Trace,
    Waiting,
)
from gatewayd.core.retry import PUT_OFF
from gatewayd.core.status import WAITING, State
from gatewayd.core.timeline import reports_of


class FakeShownToPeople(FakePart):
    """IShownToPeople of FakeStore."""

    async def unsuppress(self, label: str, channel: Channel, hashes: Sequence[str]) -> bool:
        self._now()
        owned = [
            key[2] for key, owner in self.db.stop_owners.items() if key[:2] == (label, channel) and owner in hashes
        ]
        gone = [self.db.stop.pop((label, channel, name), None) for name in (*hashes, *owned)]
        return any(gone)

    async def stopped(self, label: str, channel: Channel, hashes: Sequence[str]) -> Stopped | None:
        now = self._now()
        until = max(self.db.stop.get((label, channel, name), 0.0) for name in hashes)
        owned = [
            key
            for key, owner in self.db.stop_owners.items()
            if key[:2] == (label, channel) and owner in hashes and self.db.stop.get(key, 0) > now
        ]
        return Stopped(until if until > now else 0.0, len(owned)) if owned or until > now else None

    async def trace(self, ids: Sequence[str]) -> Trace | None:
        self._now()
        for message_id in ids:
            row = self.db.rows.get(message_id)
            if row is None:
                continue
            timeline = tuple(row.timeline)
            reports = reports_of(row.queued, (*row.erased, *timeline))
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

    async def dead_letters(self, limit: int, until: float = math.inf) -> list[DeadLetter]:
        self._now()
        found = (letter for letter in self.db.dead.values() if letter.given_up_at < until)
        return sorted(found, key=lambda letter: -letter.given_up_at)[:limit]

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
                self._tell_again(message_id, row, "".join(letters))
        return bool(letters)

    def _tell_again(self, message_id: str, row: Row, letters: str) -> None:
        told = row.pending[0] if row.report_lease else ""
        waiting, row.pending = row.pending + letters, told
        rest = "".join(letter for letter in row.queued if letter in waiting and letter != told)
        if told:
            row.pending += rest
        else:
            self._tell(message_id, row, rest, False)

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
            row.erased = (*row.erased, *row.timeline)
            row.timeline.clear()
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
            letters = "".join(letter for letter in row.queued if letter in heard and letter not in row.pending)
            if letters and label in ("", row.label):
                self._note(row, "replayed", letters)
                self._tell_again(message_id, row, letters)
                queued += len(letters)
        return "0", queued

    async def queues(self) -> Mapping[str, QueueState]:
        now = self._now()
        found = {}
        for kind, queue in self.db.queues.items():
            leases = [lease for (leased, _), lease in self.db.leases.items() if leased == kind]
            late = now + PUT_OFF
            soon = [name for name, due in queue.items() if kind == "reports" or due <= late]
            aside = [place for (_, channel), place in self.db.aside.items() if channel == kind]
            members = [self.db.rows[message_id] for place in (soon, *leases) for message_id in place]
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

    async def ping(self) -> float:
        self._now()
        return 0.0

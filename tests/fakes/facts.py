"""IFacts in memory: evidence and receipts find their message."""

from collections.abc import Sequence

from msgspec.structs import replace

from fakes.database import Row
from fakes.part import FakePart
from gatewayd.core.model import (
    Evidence,
    Known,
    Receipt,
)
from gatewayd.core.remote_names import remote_hash
from gatewayd.core.status import FINAL, WAITING, Event, State
from transitions import move

LATE_BOUNCE = 5 * 86400
PARKED_FOR = 3600
ANSWERED_WITHIN = 60
LOOKS = (12, 30, 60, 300, PARKED_FOR)
_OUTCOME = {Event.DELIVERED: "d", Event.FAILED: "f", Event.BOUNCED: "f", Event.REJECTED: "r"}

_GUESSED = "?"


class FakeFacts(FakePart):
    """IFacts of FakeStore."""

    async def record_evidence(self, evidence: Evidence) -> str:
        now = self._now()
        row = self.db.rows.get(evidence.message_id)
        if row is None:
            return "unknown"
        after = move(row.state, row.queued, evidence.event)
        if evidence.event is Event.BOUNCED and row.state in FINAL and now - row.ended > LATE_BOUNCE:
            after = None
        changed = after is not None and self._move(evidence.message_id, row, *after)
        words = f"{evidence.source}: {evidence.detail}" if evidence.detail else evidence.source
        if changed:
            self._note(row, evidence.event, words)
        return "moved" if changed else "ignored"

    async def record_receipt(self, receipt: Receipt, *, park: bool, by_number: bool = False) -> tuple[str, str]:
        now, message_id, index, rivals = self._now(), "", 0, 0
        if not receipt.remote_ids:
            return "unknown", ""
        stranger: tuple[str, int] | None = None
        for rank, remote in enumerate(receipt.remote_ids):
            named = self.db.remote.get(remote_hash(receipt.smsc, remote), [])
            fits = [one for one in named if not receipt.number_hash or one[2] in ("", *receipt.number_hashes)]
            if fits:
                sure = [one for one in fits if one[2] in receipt.number_hashes] if receipt.wording else []
                rivals = len(sure) if fits[0] in sure else 1
                message_id, index = self._whose(sure, str(receipt.wording)) if rivals > 1 else fits[0][:2]
                break
            if named and rank == 0:
                stranger = named[0][:2]
        is_anothers, is_next = bool(index) and self._is_anothers(receipt, self.db.rows[message_id], index), False
        is_known_new = bool(index) and not is_anothers and self._is_known_new(receipt, self.db.rows[message_id], index)
        if not message_id or is_known_new:
            lost = self._lost_to(receipt, by_number)
            is_next = bool(lost) and not receipt.parked_at and self._is_one_due(receipt)
            if lost and not is_next:
                message_id, index, rivals = lost, 0, 0
        ours = any(name in self.db.latest for name in receipt.number_hashes)
        sure = not ours and (by_number or len(receipt.remote_ids) == 1)
        if not message_id and stranger and sure and self.db.rows[stranger[0]].state not in FINAL:
            message_id, index = stranger
        row = self.db.rows.get(message_id)
        bad = receipt.event is not None and _OUTCOME[receipt.event] != "d"
        unsent = row is not None and row.state in WAITING and len(row.segments) > 1
        too_early = row is not None and bad and unsent and self._in_work(message_id, row)
        if row is None or too_early or is_anothers or is_next:
            if not park:
                return "unknown", ""
            kept = receipt if receipt.parked_at else replace(receipt, parked_at=now)
            self.db.parked.setdefault(kept, now + 2)
            return "parked", ""
        self.db.parked.pop(receipt, None)
        guessed = not index
        if guessed and receipt.event is not None and (park or receipt.parked_at):
            # By its number it is guessed whose it is: the answer that names it is to find it, too.
            self.db.parked[receipt if receipt.parked_at else replace(receipt, parked_at=now)] = now + ANSWERED_WITHIN
        event, awaited = receipt.event, len(row.progress)
        shown = not index and not bad and row.state is State.UNCERTAIN
        goes_on = shown and awaited + 1 < len(row.segments) and not row.lost_progress
        whole = shown and row.segments[awaited:] == "."
        if not index:
            index = max(row.segments.find(".", awaited), row.segments.find(".")) + 1 or 1
            named = self.db.remote.get(remote_hash(receipt.smsc, receipt.remote_ids[0]), [])
            if message_id not in (one[0] for one in named):
                self._name(receipt.smsc, receipt.remote_ids[0], (message_id, index, row.address))
        if goes_on and self._go_on(message_id, row):
            row.progress = (*row.progress, receipt.remote_ids[0])
            self._note(row, "again", f"a receipt shows that segment {index} was taken")
        has_ended = not self._is_open(row, index)
        if (
            event is not None
            and not has_ended
            and receipt.wording
            and (rivals > 1 or receipt.parked_at or guessed or unsent)
        ):
            row.wording[index] = _GUESSED * guessed + str(receipt.wording)
        if event is not None and len(row.segments) > 1:
            at = index - 1
            if at >= len(row.segments) or row.segments[at] != ".":
                return "ignored", message_id
            letter = _OUTCOME[event]
            row.segments = row.segments[:at] + letter + row.segments[at + 1 :]
            self._note(row, "receipt", f"segment {at + 1} of {len(row.segments)}: {receipt.detail}")
            if letter == "d" and row.segments.strip("d"):
                sent = move(row.state, row.queued, Event.SENT) if whole else None
                if sent is None or not self._move(message_id, row, *sent):
                    return "ignored", message_id
                row.sent_at = now
                return "sent", message_id
        elif event is None:
            self._note(row, "receipt", receipt.detail)
        after = move(row.state, row.queued, event) if event is not None else None
        if after is not None and unsent and "." in row.segments:
            after = after[0], after[1].replace("a", "")
        changed = after is not None and self._move(message_id, row, *after)
        if changed and len(row.segments) <= 1:
            self._note(row, "receipt", receipt.detail)
        return ("moved" if changed else "ignored"), message_id

    def _whose(self, rivals: list[tuple[str, int, str]], wording: str) -> tuple[str, int]:
        """Of messages to one number under one id: by this very receipt, else the oldest open one, else the one that it
        was taken for, else the latest.
        """
        opened, guessed = None, None
        for one in rivals:
            row, index = self.db.rows[one[0]], one[1]
            if row.wording.get(index) == wording:
                return one[:2]
            if row.wording.get(index) == _GUESSED + wording:
                guessed = one
            if self._is_open(row, index):
                opened = one
        return (opened or guessed or rivals[0])[:2]

    def _is_open(self, row: Row, index: int) -> bool:
        return row.state not in FINAL and (len(row.segments) < 2 or row.segments[index - 1 : index] == ".")

    def _is_anothers(self, receipt: Receipt, row: Row, index: int) -> bool:
        """Whether its message ended by another receipt, and one to that number is on the wire."""
        if receipt.event is None or not receipt.wording or row.address not in receipt.number_hashes:
            return False
        if self._is_open(row, index) or row.wording.get(index) == receipt.wording:
            return False
        to_it = [one for one in self.db.rows.values() if one.address == row.address and one.route == receipt.smsc]
        return any(one.state is State.UNCERTAIN and one.lease for one in to_it)

    def _is_known_new(self, receipt: Receipt, row: Row, index: int) -> bool:
        """Whether its message is known to have ended by another receipt."""
        if receipt.event is None or not receipt.wording or row.address not in receipt.number_hashes:
            return False
        said = {str(receipt.wording), _GUESSED + str(receipt.wording)}
        return not self._is_open(row, index) and index in row.wording and not said & set(row.wording.values())

    def _is_one_due(self, receipt: Receipt) -> bool:
        due = (one for one, at in self.db.parked.items() if at <= self._now())
        return any(set(one.number_hashes) & set(receipt.number_hashes) for one in due)

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
            age, planned = now - receipt.parked_at, self.db.parked[receipt]
            if age >= PARKED_FOR and planned >= receipt.parked_at + PARKED_FOR:
                del self.db.parked[receipt]
                orphans.append(receipt)
            else:
                self.db.parked[receipt] = receipt.parked_at + next((at for at in LOOKS if age < at), age + 60)
                due.append(receipt)
        return due, orphans

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
        return Known(message_id, *facts, sent, row.queued, row.route, len(row.segments), on_the_wire)

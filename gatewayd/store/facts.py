"""The part of RedisStore that records outside facts and the statuses that come of them."""

from collections.abc import Callable, Collection, Sequence
from itertools import islice
from typing import Any

from msgspec.structs import replace

from gatewayd.core.model import Evidence, Known, Receipt, ReportJob
from gatewayd.core.status import LETTERS
from gatewayd.store import lists, rows
from gatewayd.store.link import RedisLink
from gatewayd.store.part import AT_ONCE, StorePart

LATE_BOUNCE = 5 * 86400
"""Seconds after delivery in which a bounce still counts (notes: delivered is final after 5 days)."""

PARKED_MOST = 10_000
PARKED_FOR = 3600
"""Seconds that an unmatched receipt is looked up again before it is an orphan."""


class Facts(StorePart):
    """Evidence, receipts, and the reports for Smartico."""

    def __init__(self, link: RedisLink, clock: Any, instance: str) -> None:
        super().__init__(link, clock, instance)
        self._report_room: Callable[[], bool] = lambda: False
        self._report_offer: Callable[[ReportJob], None] = _unexpected

    async def record_evidence(self, evidence: Evidence) -> str:
        """As IStore."""
        result, report = await self._run(
            "record_evidence",
            evidence.message_id,
            evidence.event,
            evidence.source,
            evidence.detail,
            self._report_lease(),
            LATE_BOUNCE * 1000,
        )
        self._offer(report)
        await self._link.confirmed()
        return str(result.decode())

    async def record_receipt(self, receipt: Receipt, *, park: bool, by_number: bool = False) -> tuple[str, str]:
        """As IStore."""
        result, message_id, *report = await self._record_receipt(receipt, receipt.parked_as, park, by_number)
        if result == b"payload":
            # Few are parked: what is to be kept of a new one is said where it is asked for.
            payload = rows.parked(receipt)
            result, message_id, *report = await self._record_receipt(receipt, payload, park, by_number)
        self._offer(report[0] if report else None)
        await self._link.confirmed()
        return result.decode(), message_id.decode()

    async def _record_receipt(self, receipt: Receipt, payload: str, park: bool, by_number: bool) -> list[bytes]:
        place = lists.bucket_of_remote(receipt.smsc, receipt.remote_ids[0]) if receipt.remote_ids else ("", "")
        reply: bytes = await self._run(
            "record_receipt",
            receipt.smsc,
            list(receipt.remote_ids),
            *place,
            receipt.event or "",
            receipt.detail,
            " ".join(receipt.number_hashes),
            int(park),
            payload,
            int(receipt.parked_as != ""),
            self._report_lease(),
            int(by_number),
            receipt.wording or "",
        )
        return reply.split(b"\n", 2)

    async def parked_receipts(self, limit: int) -> tuple[list[Receipt], list[Receipt]]:
        """As IStore."""
        due, orphans = await self._run("look_at_parked_receipts", limit, PARKED_FOR * 1000, PARKED_MOST)
        return self._readable(self._unparked, due), self._readable(rows.unparked, orphans)

    def _unparked(self, payload: bytes) -> Receipt:
        receipt = rows.unparked(payload)
        return replace(receipt, came_at=self._moments.ours(receipt.parked_at * 1000))

    async def latest_to(self, number_hashes: Sequence[str]) -> str | None:
        """As IStore."""
        found = await self._run("find_latest_to_number", list(number_hashes))
        return found.decode() or None

    async def about(self, message_id: str) -> Known | None:
        """As IStore."""
        return rows.known(message_id, await self._record(message_id), self._moments)

    # Reports

    def feed_reports(self, room: Callable[[], bool], offer: Callable[[ReportJob], None]) -> None:
        """As IStore."""
        self._report_room, self._report_offer = room, offer

    def _report_lease(self) -> str:
        """The name of the lease under which a report that is born is told by this process; "" where it has no room."""
        return next(self._lease_names) if self._report_room() else ""

    def _offer(self, row: Any) -> None:
        if row:
            self._report_offer(rows.job(row, self._moments))

    async def lease_reports(self, limit: int) -> list[ReportJob]:
        """As IStore."""
        found = []
        for row in await self._run("lease_reports", limit, next(self._lease_names)):
            if b"\n" in row:
                found.append(rows.job(row, self._moments))
            else:
                self.log.error("whose message {message_id} is can't be read: its status waits", message_id=row.decode())
        return found

    async def report_heard(self, job: ReportJob) -> ReportJob | None:
        """As IStore."""
        return await self._end_report(job)

    async def report_dead(self, job: ReportJob, reason: str, *, waited: float, tries: int) -> ReportJob | None:
        """As IStore."""
        return await self._end_report(job, reason, rows.effort(waited, tries))

    async def _end_report(self, job: ReportJob, reason: str = "", effort: str = "") -> ReportJob | None:
        letter = LETTERS[job.status]
        stood: tuple[Any, ...] = "", "", "", ""
        if job.stood:
            since, age, head = job.stood.split(" ")
            stood = int(since) - int(age), age, head, f"{head}{letter} {since} {self._link.arguments.boot}{job.lease}"
        item = job.message_id, letter, job.lease, reason, effort, lists.packed(job.message_id), job.label
        row = await self._run("end_report", *item, *stood)
        return rows.job(row, self._moments) if row else None

    async def report_again(self, job: ReportJob, due: float, reason: str, *, counts: bool = True) -> None:
        """As IStore."""
        await self._run("retry_report", job.message_id, job.lease, self._delay(due), reason, int(counts))

    async def make_reports_due(self, message_ids: Collection[str]) -> None:
        """As IStore."""
        left = iter(message_ids)
        while some := list(islice(left, AT_ONCE)):
            await self._run("make_due", "reports", some)


def _unexpected(job: ReportJob) -> None:
    raise AssertionError("a report was leased for which no room was promised")

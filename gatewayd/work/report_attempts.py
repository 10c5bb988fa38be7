"""One attempt at a status for Smartico: what is done with a leased report, and how its end is settled.

Here the retry policy of reports is applied, and nowhere else. How a status is told is report.py's.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError

from gatewayd.core.durations import after, spoken
from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.core.interfaces import IMeter, IQueues
from gatewayd.core.log import Logger, is_worth_a_line
from gatewayd.core.model import ReportJob
from gatewayd.core.persist import persist
from gatewayd.core.retry import CALLBACK
from gatewayd.work.statuses import RecentStatuses

REPORT_FOR = 48 * 3600.0
"""Seconds for which a status is told again before it is given up."""

log = Logger()


class ReportWork:
    """Work on the statuses for Smartico."""

    def __init__(
        self,
        clock: Any,
        store: IQueues,
        tell: Callable[[ReportJob], Awaitable[None]],
        *,
        statuses: RecentStatuses,
        jitter: Callable[[], float],
        meter: IMeter,
    ) -> None:
        self._clock = clock
        self._store = store
        self._tell = tell
        self._statuses = statuses
        self._jitter = jitter
        self._meter = meter

    def key(self, item: ReportJob) -> str:
        """The message's id: one status of a message is told at a time."""
        return item.message_id

    async def lease(self, limit: int) -> list[ReportJob]:
        """Messages with a status that is due to be told."""
        return await self._store.lease_reports(limit)

    async def do(self, item: ReportJob) -> ReportJob | None:
        """Tell one status; the message's next one once it was heard or given up."""
        if not await self._statuses.is_to_tell(item):
            # What is left to tell of the message comes as a stray.
            return None
        try:
            await self._tell(item)
        except CancelledError:
            raise
        except PermanentFailure as failure:
            return await self._give_up(item, failure.reason, item.attempts + 1)
        except TemporaryFailure as failure:
            return await self._again(item, failure.reason, failure.not_before, failure.counts)
        except Exception:
            log.failure(
                "a bug: a status of {message_id} could not be told; it is tried again", message_id=item.message_id
            )
            return await self._again(item, "internal error", None, True)
        self._statuses.heard(item.message_id, item.status)
        self._count(item, "told")
        log.debug("told {status} of {message_id}", status=item.status.value, message_id=item.message_id)
        following = await persist(self._clock, self._store.report_heard, item)
        self._statuses.stored(item.message_id)
        return following

    async def _again(self, item: ReportJob, reason: str, not_before: float | None, counts: bool) -> ReportJob | None:
        now = self._clock.seconds()
        if now - item.queued_at >= REPORT_FOR:
            return await self._give_up(item, reason, item.attempts + counts)
        attempt, first_tried = item.attempts + 1, item.first_tried or now
        due = CALLBACK.next_due(attempt, first_tried, now, self._jitter())
        if not_before is not None:
            asked_for = min(not_before, CALLBACK.last_due(attempt, first_tried, now))
            due = max(asked_for, due) if counts else not_before
        await persist(self._clock, self._store.report_again, item, due, reason, counts=counts)
        if counts:
            self._count(item, "again")
            if is_worth_a_line(item.attempts + 1):
                log.info(
                    "{status} of {message_id} is told again in {seconds:.1f} s: {reason}",
                    status=item.status.value,
                    message_id=item.message_id,
                    seconds=due - now,
                    reason=reason,
                    log_limited=True,
                )
        return None

    async def _give_up(self, item: ReportJob, reason: str, tries: int) -> ReportJob | None:
        waited = self._clock.seconds() - item.queued_at
        why = f"{spoken(waited)} after it was queued, {after(tries)}: {reason}"
        log.error(
            "{status} of {message_id} is a dead letter now, for Smartico did not take it: {reason}"
            " (gatewayctl dead-letters retry {message_id} tells it again)",
            status=item.status,
            message_id=item.message_id,
            reason=why,
        )
        self._count(item, "dead")
        return await persist(self._clock, self._store.report_dead, item, why, waited=waited, tries=tries)

    def _count(self, item: ReportJob, result: str) -> None:
        self._meter.reported(item.label, item.status, result, self._clock.seconds() - item.queued_at)

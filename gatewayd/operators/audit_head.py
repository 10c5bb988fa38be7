"""The audit log's head is kept in Redis as well: an end that was cut off the file, over a restart too, shows there.

The file's chain proves whatever stands in it, and nothing about what once stood behind its end. Whoever wants to hide
that must change Redis, too.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import AuditHead, Degraded
from gatewayd.core.regularly import Regularly
from gatewayd.operators.audit import AuditLog
from gatewayd.operators.audit_chain import START

EVERY = 1.0
"""Seconds between two looks at whether the head has moved."""

log = Logger()


class HeadKeeper(Regularly):
    """Compares the file with what Redis remembers, once Redis answers, and from then on keeps that up to date."""

    def __init__(
        self,
        clock: Any,
        audit: AuditLog,
        read: Callable[[], Awaitable[AuditHead | None]],
        write: Callable[[AuditHead], Awaitable[None]],
    ) -> None:
        super().__init__(clock, EVERY, self._keep, "keeping the audit log's head in Redis")
        self._audit = audit
        self._read = read
        self._write = write
        self._compared = False
        self._kept: AuditHead | None = None
        self._cut = ""

    def stopService(self) -> Deferred[None]:
        """Keep the last head; ends once Redis has it, or does not answer."""
        super().stopService()
        return Deferred.fromCoroutine(self._keep())

    def degraded(self) -> tuple[Degraded, ...]:
        """That lines are missing at the end, until the next start; that none can be written, while it is so."""
        faults = (("file", self._audit.trouble), ("head", self._cut))
        return tuple(Degraded("audit", name, text) for name, text in faults if text)

    async def _keep(self) -> None:
        self._audit.look_after()
        self._audit.catch_up()
        # What Redis does not answer now it is asked again.
        with suppress(StoreUnavailable):
            await self._step()

    async def _step(self) -> None:
        if not self._compared:
            known = await self._read()
            self._compared = True
            if known is not None and not self._audit.holds(known.chain):
                self._cut = (
                    f"the audit log's end is missing: Redis remembers {known.chain[:16]}... after {known.lines} lines,"
                    " which the file does not hold. Lines were cut off, or the file was moved away while gatewayd stood"
                )
                log.critical("{fault}", fault=self._cut)
                # What Redis remembers is about to be forgotten: the next start and every `verify` must see it still.
                self._audit.note_gap(known)
            if known is not None:
                self._audit.recall_missing(known)
        head = self._audit.head()
        if head != self._kept and head.chain != START:
            await self._write(head)
            self._kept = head

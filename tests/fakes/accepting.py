"""IAccepting in memory: a message is stored once, or not at all."""

from collections.abc import Sequence

from fakes.database import Row
from fakes.part import FakePart
from gatewayd.core.errors import StoreUntouched
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import (
    Channel,
    Message,
)
from gatewayd.core.status import State


class FakeAccepting(FakePart):
    """IAccepting of FakeStore."""

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
        self._check_replicas()
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

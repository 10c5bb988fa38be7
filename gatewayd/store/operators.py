"""The part of RedisStore that people ask: a message's trace, counts, dead letters, pauses."""

import math
from collections.abc import Mapping, Sequence

from gatewayd.core.model import AuditHead, Channel, DeadLetter, Trace, Waiting
from gatewayd.store import rows
from gatewayd.store.part import AT_ONCE, StorePart


class Operators(StorePart):
    """What gatewayctl and the dashboard show and do."""

    async def trace(self, ids: Sequence[str]) -> Trace | None:
        """As IStore."""
        for message_id in ids:
            kept = await self._record(message_id)
            known = rows.known(message_id, kept, self._moments)
            if known is None:
                continue
            lines = await self._link.command("LRANGE", self._key("timeline", message_id), 0, -1)
            return rows.trace(known, kept, lines)
        return None

    async def audit_head(self, instance: str) -> AuditHead | None:
        """As IStore."""
        fields = await self._link.command("HMGET", self._key("audit", instance), "chain", "lines", "missing")
        chain, lines, missing = fields
        return AuditHead(chain.decode(), int(lines or 0), int(missing or 0)) if chain else None

    async def keep_audit_head(self, instance: str, head: AuditHead) -> None:
        """As IStore."""
        # What operators do about a full memory belongs to the log, too.
        values = ("chain", head.chain, "lines", head.lines, "missing", head.missing)
        await self._run("write_when_full", "HSET", self._key("audit", instance), *values)

    async def waiting(self, message_id: str, channel: Channel) -> Waiting | None:
        """As IStore."""
        due = await self._link.command("ZSCORE", self._key("queue", channel), message_id)
        if due is None:
            return None
        kept = await self._record(message_id)
        return Waiting(float(due) / 1000, rows.moment(kept, "deadline"))

    async def longest_waiting(self, limit: int) -> list[Trace]:
        """As IStore."""
        found = []
        for channel in Channel:
            for name in await self._link.command("ZRANGE", self._key("queue", channel), 0, 2 * limit - 1):
                trace = await self.trace([name.decode()])
                if trace is not None and trace.timeline:
                    found.append(trace)
        return sorted(found, key=lambda trace: trace.timeline[0].at)[:limit]

    async def try_now(self, message_id: str, channel: Channel) -> bool:
        """As IStore."""
        return bool(await self._run("make_due", channel, [message_id]))

    async def counts(self) -> Mapping[tuple[str, Channel, str], int]:
        """As IStore."""
        flat = await self._link.command("HGETALL", self._key("counts"))
        return dict(self._readable(rows.counted, zip(flat[::2], flat[1::2], strict=True)))

    async def dead_letters(self, limit: int, until: float = math.inf) -> list[DeadLetter]:
        """As IStore; page by page, so that a hundred thousand of them keep nobody waiting."""
        latest = f"({rows.ms(until)}" if until < math.inf else "+inf"
        letters: list[DeadLetter] = []
        seen = 0
        while seen < limit:
            page = seen, min(AT_ONCE, limit - seen)
            words = ("ZREVRANGEBYSCORE", self._key("dead"), latest, "-inf", "WITHSCORES", "LIMIT", *page)
            found = await self._link.command(*words)
            if not found:
                break
            reasons = await self._link.command("HMGET", self._key("dead_why"), *found[::2])
            letters += self._readable(rows.dead_letter, zip(found[::2], found[1::2], reasons, strict=True))
            seen += len(reasons)
        return letters

    async def retry_dead(self, message_id: str) -> bool:
        """As IStore."""
        return bool(await self._run("end_dead_reports", message_id, 1))

    async def drop_dead(self, message_id: str) -> bool:
        """As IStore."""
        return bool(await self._run("end_dead_reports", message_id, 0))

    async def pause(self, label: str, channel: Channel) -> None:
        """As IStore."""
        await self._run("write_when_full", "SADD", self._key("paused"), f"{label}|{channel}")

    async def resume(self, label: str, channel: Channel) -> None:
        """As IStore."""
        await self._run("write_when_full", "SREM", self._key("paused"), f"{label}|{channel}")

    async def paused(self) -> frozenset[tuple[str, Channel]]:
        """As IStore."""
        return frozenset(self._readable(rows.scope, await self._link.command("SMEMBERS", self._key("paused"))))

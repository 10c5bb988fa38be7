"""All of Redis: key names, and one method for each script in lua/.

Of what stands in it, and of what the scripts reply, rows.py makes values; what the scripts are made of is in
scripts.py. Holds ids, never an address; content only until the next hop took the message or it is final.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.logger import Logger
from zope.interface import implementer

from gatewayd.core.errors import LeaseLost, StoreUnavailable, StoreUntouched, TemporaryFailure
from gatewayd.core.interfaces import Acceptance, IStore
from gatewayd.core.model import (
    AuditHead,
    Channel,
    DeadLetter,
    Degraded,
    Erased,
    Evidence,
    Handed,
    Kept,
    Known,
    Leased,
    Message,
    QueueState,
    Receipt,
    ReportJob,
    Stopped,
    Trace,
    Waiting,
)
from gatewayd.core.status import LETTERS, State
from gatewayd.store import rows
from gatewayd.store.dataset import Dataset
from gatewayd.store.link import RedisLink
from gatewayd.store.moments import JUMP, Moments
from gatewayd.store.scripts import all_scripts

REPORTING = 49 * 3600
"""Seconds for which a message is kept at least while a status of it may still have to be told (48 h and an hour)."""

_FOR_EVER = 1e15
_LATE = b"late"
_PROMISED = frozenset({Acceptance.LEASED, Acceptance.STORED, Acceptance.SAME})
"""Answers on which a caller relies: they leave once the replicas have what they say."""

LATE_BOUNCE = 5 * 86400
"""Seconds after delivery in which a bounce still counts (notes: delivered is final after 5 days)."""

PARKED_FOR = 3600
"""Seconds that an unmatched receipt is looked up again before it is an orphan."""


@implementer(IStore)
class RedisStore:
    """IStore on Redis. `retention` in seconds; `link` carries the arguments that `script_arguments` made."""

    log = Logger()

    def __init__(self, link: RedisLink, clock: Any, prefix: str, instance: str) -> None:
        self._link = link
        self._clock = clock
        self._prefix = prefix
        self._instance = instance
        self._scripts = all_scripts()
        self._refusal = ""
        self._moments = Moments()
        self._dataset = Dataset()
        self._set_back = 0  # ms, of Redis' clock, for which nothing was moved yet
        self._report_room: Callable[[], bool] = lambda: False
        self._report_offer: Callable[[ReportJob], None] = _unexpected

    @staticmethod
    def key_prefix(configured: str) -> str:
        """The prefix of every key: the configured one and one hash tag, so that a Redis Cluster stays possible."""
        return configured + "{gw}:"

    @staticmethod
    def script_arguments(instance: str, max_queued: int, retention: float) -> tuple[str, ...]:
        """What every script gets behind its items; see lua/prelude.lua."""
        return (instance, str(max_queued), str(int(max(retention, REPORTING))), str(max(int(retention), 1)))

    async def _run(self, name: str, *item: Any) -> Any:
        return await self._link.run(self._scripts[name], item)

    def _now(self) -> float:
        """The present moment by Redis' clock, as well as we know it, in seconds."""
        return float(self._clock.seconds()) + self._moments.ahead

    # Messages

    async def accept(
        self,
        message: Message,
        fingerprint: str,
        *,
        earlier_ids: Sequence[str] = (),
        stop_hashes: Sequence[str] = (),
        lease: bool = False,
        until: float | None = None,
        attempt: str = "",
    ) -> tuple[Acceptance, str]:
        item = (
            message.id,
            fingerprint,
            message.label,
            message.channel,
            message.ext_user_id,
            message.uid,
            rows.ms(self._moments.kept(message.deadline)),
            message.activity_type,
            message.callback_url,
            rows.body(message, self._moments),
            int(lease),
            list(earlier_ids),
            list(stop_hashes),
        )
        self._link.check_replicas()
        code, owner = await self._run("accept", *item, self._until(until), attempt)
        if code == _LATE:
            # It answered in time, perhaps: then one of the two clocks was set since they were compared.
            await self._compare_clocks()
            code, owner = await self._run("accept", *item, self._until(until), attempt)
        if code == _LATE:
            raise StoreUntouched("Redis came to it too late")
        outcome = Acceptance(code.decode())
        if outcome in _PROMISED:
            await self._link.confirmed()
        return outcome, owner.decode()

    async def take_back(self, message_id: str, channel: Channel, attempt: str) -> None:
        await self._run("takeback", message_id, channel, attempt)

    def _until(self, until: float | None) -> int:
        return self._moments.theirs(until) if until else 0

    async def _compare_clocks(self) -> None:
        began = self._clock.seconds()
        self._clocks_read(began, await self._link.time())

    def _clocks_read(self, began: float, theirs: Sequence[int]) -> float:
        jump = self._moments.compared(began, self._clock.seconds(), theirs)
        if jump:
            word = "on" if jump > 0 else "back"
            self.log.warn("Redis' clock was set {word} by {seconds:.1f} s", word=word, seconds=abs(jump))
        return jump

    async def known(self, ids: Sequence[str], fingerprint: str) -> tuple[Acceptance, str] | None:
        code, owner = await self._run("known", fingerprint, list(ids))
        if not code:
            return None
        await self._link.confirmed()
        return Acceptance(code.decode()), owner.decode()

    async def lease_messages(self, channel: Channel, limit: int) -> list[Leased]:
        if not self._dataset.is_known(self._clock.seconds(), self._link.connections):
            return []
        found = []
        for row in await self._run("take", channel, limit):
            try:
                found.append(rows.leased(row, self._moments))
            except ValueError:
                # Another version wrote it, perhaps: it must not hold up those that were leased with it.
                self.log.failure(
                    "message {message_id} can't be read; it is looked at again", message_id=row[0].decode()
                )
        return found

    async def mark(
        self,
        message: Message,
        route: str,
        address_hash: str,
        *,
        segments: int = 1,
        stop_hashes: Sequence[str] = (),
    ) -> bool:
        self._link.check_replicas()
        code = await self._run(
            "mark",
            message.id,
            message.channel,
            route,
            address_hash,
            int(message.channel is Channel.SMS),
            segments,
            message.label,
            list(stop_hashes),
        )
        if code == 0:
            raise LeaseLost(message.id)
        if code == 3:
            raise TemporaryFailure("paused", not_before=self._clock.seconds() + 1.0, counts=False)
        if code == 1:
            await self._link.confirmed()
        return bool(code == 1)

    async def settle_sent(self, message_id: str, channel: Channel, handed: Handed) -> list[Receipt]:
        _changed, parked, job = await self._run(
            "sent",
            message_id,
            channel,
            handed.route,
            handed.detail,
            list(handed.remote_ids),
            int(self._report_room()),
        )
        self._offer(job)
        return [rows.unparked(payload) for payload in parked]

    async def settle_again(
        self,
        message: Message,
        due: float,
        reason: str,
        *,
        counts: bool = True,
        uncertain: bool = False,
        route: str = "",
        progress: Sequence[str] = (),
        stamp: int = 0,
    ) -> None:
        await self._run(
            "again",
            message.id,
            message.channel,
            self._moments.theirs(due),
            reason,
            int(counts),
            int(uncertain),
            route,
            list(progress),
            stamp,
        )

    async def record_segments(self, message_id: str, route: str, remote_ids: Sequence[str]) -> None:
        await self._run("took", message_id, Channel.SMS, route, list(remote_ids))

    async def resume_from(
        self, message_id: str, route: str, written_at: float, reason: str, *, progress: Sequence[str] = ()
    ) -> bool:
        # The mark was stored before the write, by a clock of which we know the difference to some milliseconds.
        until = self._moments.theirs(written_at) + 200
        return bool(await self._run("goon", message_id, Channel.SMS, route, until, reason, list(progress)))

    async def settle_final(self, message: Message, state: State, reason: str, reports: str) -> None:
        _done, job = await self._run(
            "final", message.id, message.channel, state, reason, reports, int(self._report_room())
        )
        self._offer(job)

    async def set_aside(self, message: Message) -> None:
        await self._run(
            "park", message.id, message.channel, message.label, rows.ms(self._moments.kept(message.deadline))
        )

    # Evidence

    async def record_evidence(self, evidence: Evidence) -> str:
        result, job = await self._run(
            "evidence",
            evidence.message_id,
            evidence.event,
            evidence.source,
            evidence.detail,
            int(self._report_room()),
            LATE_BOUNCE * 1000,
        )
        self._offer(job)
        await self._link.confirmed()
        return str(result.decode())

    async def record_receipt(self, receipt: Receipt, *, park: bool, by_number: bool = False) -> tuple[str, str]:
        result, job, message_id = await self._run(
            "receipt",
            receipt.smsc,
            list(receipt.remote_ids),
            receipt.event or "",
            receipt.detail,
            list(receipt.number_hashes),
            int(park),
            rows.parked(receipt if receipt.parked_at else replace(receipt, parked_at=self._now())),
            int(self._report_room()),
            int(by_number),
        )
        self._offer(job)
        await self._link.confirmed()
        return result.decode(), message_id.decode()

    async def parked_receipts(self, limit: int) -> tuple[list[Receipt], list[Receipt]]:
        due, orphans = await self._run("parked", limit, PARKED_FOR * 1000)
        return [rows.unparked(payload) for payload in due], [rows.unparked(payload) for payload in orphans]

    # Reports

    async def lease_reports(self, limit: int) -> list[ReportJob]:
        return [rows.job(row, self._moments) for row in await self._run("take_reports", limit)]

    async def report_heard(self, job: ReportJob) -> ReportJob | None:
        row = await self._run("told", job.message_id, LETTERS[job.status], "")
        return rows.job(row, self._moments) if row else None

    async def report_again(self, job: ReportJob, due: float, reason: str, *, counts: bool = True) -> None:
        await self._run("retell", job.message_id, self._moments.theirs(due), reason, int(counts))

    async def report_dead(self, job: ReportJob, reason: str) -> ReportJob | None:
        row = await self._run("told", job.message_id, LETTERS[job.status], reason)
        return rows.job(row, self._moments) if row else None

    def feed_reports(self, room: Callable[[], bool], offer: Callable[[ReportJob], None]) -> None:
        self._report_room, self._report_offer = room, offer

    def _offer(self, row: Any) -> None:
        if row:
            self._report_offer(rows.job(row, self._moments))

    # Stop list and memory

    async def suppress(self, label: str, channel: Channel, keyed_hash: str, seconds: float, *, owner: str = "") -> None:
        lifetime = max(int(seconds), 1)
        if owner:
            # First: an address on the list that nobody owns could never be taken off by the player's id.
            key = f"{self._prefix}stopped-of:{label}:{channel}:{owner}"
            await self._link.command("SADD", key, keyed_hash)
            await self._link.command("EXPIRE", key, lifetime)
        await self._link.command("SET", self._stop_key(label, channel, keyed_hash), "1", "EX", lifetime)
        await self._link.confirmed()

    async def unsuppress(self, label: str, channel: Channel, hashes: Sequence[str]) -> bool:
        return bool(await self._run("unstop", label, channel, list(hashes)))

    async def stopped(self, label: str, channel: Channel, hashes: Sequence[str]) -> Stopped | None:
        left, addresses = await self._run("stopped", label, channel, list(hashes))
        if not left and not addresses:
            return None
        return Stopped(self._clock.seconds() + left / 1000 if left else 0.0, addresses)

    def _stop_key(self, label: str, channel: Channel, keyed_hash: str) -> str:
        return f"{self._prefix}stop:{label}:{channel}:{keyed_hash}"

    async def latest_to(self, number_hashes: Sequence[str]) -> str | None:
        found: dict[str, None] = {}
        for name in dict.fromkeys(number_hashes):
            message_id = await self._link.command("GET", f"{self._prefix}n:{name}")
            if message_id:
                found[message_id.decode()] = None
        if len(found) < 2:
            return next(iter(found), None)
        known = [await self.about(message_id) for message_id in found]
        written = [each for each in known if each is not None]
        return max(written, key=lambda each: each.sent_at).message_id if written else None

    # What is known

    async def about(self, message_id: str) -> Known | None:
        return rows.known(message_id, await self._run("about", message_id), self._moments)

    async def trace(self, ids: Sequence[str]) -> Trace | None:
        for message_id in ids:
            known = await self.about(message_id)
            if known is None:
                continue
            lines = await self._link.command("LRANGE", f"{self._prefix}t:{message_id}", 0, -1)
            return rows.trace(known, lines)
        return None

    async def audit_head(self, instance: str) -> AuditHead | None:
        kept = await self._link.command("HMGET", f"{self._prefix}audit:{instance}", "chain", "lines")
        return AuditHead(kept[0].decode(), int(kept[1] or 0)) if kept[0] else None

    async def keep_audit_head(self, instance: str, head: AuditHead) -> None:
        key = f"{self._prefix}audit:{instance}"
        await self._link.command("HSET", key, "chain", head.chain, "lines", head.lines)

    async def waiting(self, message_id: str, channel: Channel) -> Waiting | None:
        due = await self._link.command("ZSCORE", f"{self._prefix}q:{channel}", message_id)
        if due is None:
            return None
        deadline = await self._link.command("HGET", f"{self._prefix}m:{message_id}", "d")
        return Waiting(float(due) / 1000, int(deadline or 0) / 1000)

    async def longest_waiting(self, limit: int) -> list[Trace]:
        found = []
        for channel in Channel:
            for name in await self._link.command("ZRANGE", f"{self._prefix}q:{channel}", 0, 2 * limit - 1):
                trace = await self.trace([name.decode()])
                if trace is not None and trace.timeline:
                    found.append(trace)
        return sorted(found, key=lambda trace: trace.timeline[0].at)[:limit]

    async def try_now(self, message_id: str, channel: Channel) -> bool:
        key = f"{self._prefix}q:{channel}"
        if await self._link.command("ZSCORE", key, message_id) is None:
            return False
        # XX: one that was leased meanwhile must not come back.
        await self._link.command("ZADD", key, "XX", int(self._clock.seconds() * 1000), message_id)
        return True

    async def queues(self) -> Mapping[str, QueueState]:
        now = self._now()
        found = {}
        for kind in (*Channel, "reports"):
            waiting, leased, born = await self._run("queues", str(kind))
            age = max(now - born / 1000, 0.0) if born else 0.0
            found[str(kind)] = QueueState(waiting=waiting, leased=leased, oldest_age=age)
        return found

    async def counts(self) -> Mapping[tuple[str, Channel, str], int]:
        return rows.counts(await self._link.command("HGETALL", f"{self._prefix}counts"))

    # Operators

    async def dead_letters(self, limit: int) -> list[DeadLetter]:
        found = await self._link.command("ZREVRANGE", f"{self._prefix}dead", 0, limit - 1, "WITHSCORES")
        if not found:
            return []
        reasons = await self._link.command("HMGET", f"{self._prefix}deadwhy", *found[::2])
        pairs = zip(found[::2], found[1::2], reasons, strict=True)
        return [rows.dead_letter(member, score, why) for member, score, why in pairs]

    async def retry_dead(self, message_id: str) -> bool:
        return bool(await self._run("dead", message_id, 1))

    async def drop_dead(self, message_id: str) -> bool:
        return bool(await self._run("dead", message_id, 0))

    async def pause(self, label: str, channel: Channel) -> None:
        await self._link.command("SADD", f"{self._prefix}paused", f"{label}|{channel}")

    async def resume(self, label: str, channel: Channel) -> None:
        await self._link.command("SREM", f"{self._prefix}paused", f"{label}|{channel}")

    async def paused(self) -> frozenset[tuple[str, Channel]]:
        return rows.scopes(await self._link.command("SMEMBERS", f"{self._prefix}paused"))

    async def erase_some(self, cursor: str, label: str, ext_user_id: str) -> tuple[str, Erased]:
        following, ids = await self._some(cursor)
        replies = await self._run_all("erase", [(one, label, ext_user_id, State.FAILED) for one in ids])
        removed = sum(1 for reply in replies if reply)
        pairs = zip(ids, replies, strict=True)
        ended = tuple((one, Channel(reply.decode())) for one, reply in pairs if isinstance(reply, bytes))
        return following, Erased(seen=len(ids), removed=removed, ended=ended)

    async def export_some(self, cursor: str, label: str, ext_user_id: str) -> tuple[str, int, list[Kept]]:
        following, ids = await self._some(cursor)
        replies = await self._run_all("export", [(one, label, ext_user_id) for one in ids])
        return following, len(ids), [rows.kept(row) for row in replies if row]

    async def replay_some(self, cursor: str, label: str, start: float, end: float) -> tuple[str, int]:
        following, ids = await self._some(cursor)
        replies = await self._run_all("replay", [(one, label, rows.ms(start), rows.ms(end)) for one in ids])
        return following, sum(replies)

    async def _run_all(self, name: str, items: Sequence[tuple[Any, ...]]) -> list[Any]:
        # Asked for in one turn of the reactor, they share a call.
        asked = [Deferred.fromCoroutine(self._run(name, *item)) for item in items]
        try:
            replies: list[Any] = await gatherResults(asked, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
        return replies

    async def _some(self, cursor: str) -> tuple[str, list[str]]:
        head = f"{self._prefix}m:"
        pattern = head.replace("[", r"\[").replace("*", r"\*").replace("?", r"\?") + "*"
        following, keys = await self._link.command("SCAN", cursor, "MATCH", pattern, "COUNT", 500)
        return following.decode(), [key.decode()[len(head) :] for key in keys]

    async def reserve(self, bucket: str, slots: int, interval: float, burst: float) -> float:
        _, *first = await self._run("reserve", bucket, slots, interval * 1000, burst * 1000, _FOR_EVER)
        return self._slot(*first)

    async def reserve_soon(self, bucket: str, interval: float, patience: float) -> tuple[bool, float]:
        taken, *first = await self._run("reserve", bucket, 1, interval * 1000, 0, patience * 1000)
        return bool(taken), self._slot(*first)

    def _slot(self, when: bytes, wait: bytes) -> float:
        moment, soon = self._moments.ours(float(when)), float(self._clock.seconds()) + float(wait) / 1000
        # A clock that was set since the two were compared would send all at once, or nothing for long.
        return moment if abs(moment - soon) < JUMP else soon

    async def ping(self) -> float:
        if not self._link.up:
            raise StoreUnavailable(self._link.trouble)
        began = self._clock.seconds()
        await self._link.command("PING")
        self._link.check_replicas()
        if self._refusal:
            raise StoreUnavailable(self._refusal)
        return float(self._clock.seconds() - began)

    # Leases of whole instances

    async def beat(
        self, boot: str, *, first: bool, dead_after: float
    ) -> tuple[bool, list[str], frozenset[tuple[str, Channel]]]:
        began = self._clock.seconds()
        try:
            connection = self._link.connections
            reply = await self._run("beat", boot, int(first), rows.ms(dead_after))
        except StoreUnavailable as error:
            self._refused(str(error) if self._link.up else "")
            raise
        self._refused("")
        ours, dead, paused, clock, back, name, count = reply
        jump = self._clocks_read(began, clock)
        if back:
            # Since the last heartbeat, which may be a second old; by our own clock it is known exactly.
            self._set_back += max(int(back), round(-jump * 1000))
        if ours and (lost := self._dataset.seen(began, connection, name.decode(), count)):
            self.log.error("{what}", what=lost)
        peers = [name.decode() for name in dead]
        return bool(ours), [name for name in peers if name != self._instance], rows.scopes(paused)

    def _refused(self, reason: str) -> None:
        """Redis is there and takes no writes for this reason; "" where it does, or where the link knows better."""
        if reason and not self._refusal:
            self.log.warn("Redis takes no writes: {reason}", reason=reason)
        elif self._refusal and not reason and self._link.up:
            self.log.info("Redis takes writes again")
        self._refusal = reason

    def forgotten_since(self) -> float:
        return self._dataset.to_restate()

    async def restate_marks(self, marks: Sequence[tuple[str, str, float]]) -> list[str]:
        items = [(one, route, self._moments.theirs(at)) for one, route, at in marks]
        replies = await self._run_all("restate", items)
        forgotten = [one for (one, _, _), reply in zip(marks, replies, strict=True) if reply]
        if forgotten:
            self.log.error("{what}", what=self._dataset.forgot(self._clock.seconds(), len(forgotten)))
        return forgotten

    def degraded(self) -> Iterator[Degraded]:
        """Whether Redis came back with an older or an empty dataset lately."""
        text = self._dataset.trouble(self._clock.seconds())
        if text:
            yield Degraded("redis", "forgot", text)

    async def come_forward(self) -> None:
        back, self._set_back = self._set_back, 0
        if not back:
            return
        kinds = [*map(str, Channel), "reports"]
        for key in ("parked", *(f"q:{kind}" for kind in kinds), *(f"l:{kind}:{self._instance}" for kind in kinds)):
            after = str(rows.ms(self._now()))
            while last := await self._run("rescore", key, after, back, 500):
                after = last.decode()

    async def recover(self, instance: str, *, before: float = 0.0) -> int:
        moved = 0
        while step := await self._run("recover", instance, 500, self._moments.theirs(before)):
            moved += step
        return moved

    async def requeue_set_aside(self) -> int:
        return int(await self._run("sweep", 500))

    async def make_due(self, channel: Channel, *, every: bool = False) -> None:
        after = str(rows.ms(self._now()))
        while last := await self._run("hasten", channel, 500, after, int(every)):
            after = last.decode()

    async def make_reports_due(self, message_ids: Collection[str]) -> None:
        # Cut, as the scripts cut their now: rounded up it would not be due yet.
        left, now = iter(message_ids), int(self._now() * 1000)
        while some := list(islice(left, 500)):
            members = (word for one in some for word in (now, one))
            await self._link.command("ZADD", f"{self._prefix}q:reports", "XX", *members)

    async def stray_leases(self, kind: str, age: float) -> list[str]:
        return [name.decode() for name in await self._run("strays", kind, rows.ms(age))]

    async def release(self, kind: str, message_id: str) -> None:
        await self._run("release", kind, message_id)


def _unexpected(job: ReportJob) -> None:
    raise AssertionError("a report was leased for which no room was promised")

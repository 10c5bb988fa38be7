"""All of Redis: key names, and one method for each script in lua/.

The scripts are atomic, safe to repeat, and know states only through what `_words` writes above them from status.py.
Holds ids, never an address; content only until the next hop took the message or it is final.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults
from twisted.logger import Logger
from zope.interface import implementer

from gatewayd.errors import LeaseLost, StoreUnavailable, TemporaryFailure
from gatewayd.interfaces import Acceptance, IStore
from gatewayd.model import (
    Channel,
    DeadLetter,
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
    TracedEvent,
)
from gatewayd.redis import RedisLink, Script
from gatewayd.status import FINAL, LETTERS, REPORTS, TRANSITIONS, WAITING, Event, State
from gatewayd.timeline import reports_of

REPORTING = 49 * 3600
"""Seconds for which a message is kept at least while a status of it may still have to be told (48 h and an hour)."""

_FOR_EVER = 1e15
LATE_BOUNCE = 5 * 86400
"""Seconds after delivery in which a bounce still counts (notes: delivered is final after 5 days)."""

PARKED_FOR = 3600
"""Seconds that an unmatched receipt is looked up again before it is an orphan."""

_OUTCOME = {Event.DELIVERED: "d", Event.FAILED: "f", Event.BOUNCED: "f", Event.REJECTED: "r"}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Message).decode
_decode_receipt = msgspec.json.Decoder(Receipt).decode


def _words() -> str:
    """status.py as Lua: the scripts know no state by themselves."""

    def column(event: Event) -> str:
        rows = (f"{row}>{new}:{letters}" for row, (new, letters) in TRANSITIONS[event].items())
        return ";" + ";".join(rows) + ";"

    def table(pairs: Iterable[tuple[str, str]]) -> str:
        return "{" + ", ".join(f"['{key}'] = {value}" for key, value in pairs) + "}"

    return (
        f"local QUEUED, UNCERTAIN = '{State.QUEUED}', '{State.UNCERTAIN}'\n"
        f"local WAITING = {table((state, 'true') for state in sorted(WAITING))}\n"
        f"local FINAL = {table((state, 'true') for state in sorted(FINAL))}\n"
        f"local OUTCOME = {table((event, repr(letter)) for event, letter in _OUTCOME.items())}\n"
        f"local COLUMN = {table((event, repr(column(event))) for event in Event)}\n"
    )


def _script(name: str) -> Script:
    def read(part: str) -> str:
        return resources.files("gatewayd").joinpath("lua", f"{part}.lua").read_text("utf-8")

    return Script(name, _words() + read("prelude") + read(name) + read("coda"))


@implementer(IStore)
class RedisStore:
    """IStore on Redis. `retention` in seconds; `link` carries the arguments that `script_arguments` made."""

    log = Logger()

    def __init__(self, link: RedisLink, clock: Any, prefix: str, instance: str) -> None:
        self._link = link
        self._clock = clock
        self._prefix = prefix
        self._instance = instance
        names = (
            "accept known take mark sent again goon final park sweep evidence receipt parked"
            " take_reports told retell dead recover beat strays release erase export replay reserve"
            " queues unstop stopped about hasten"
        )
        self._scripts = {name: _script(name) for name in names.split()}
        self._refusal = ""
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

    # Messages

    async def accept(
        self,
        message: Message,
        fingerprint: str,
        *,
        earlier_ids: Sequence[str] = (),
        stop_hashes: Sequence[str] = (),
        lease: bool = False,
    ) -> tuple[Acceptance, str]:
        code, owner = await self._run(
            "accept",
            message.id,
            fingerprint,
            message.label,
            message.channel,
            message.ext_user_id,
            message.uid,
            _ms(message.deadline),
            message.activity_type,
            message.callback_url,
            _encode(message).decode(),
            int(lease),
            list(earlier_ids),
            list(stop_hashes),
        )
        return Acceptance(code.decode()), owner.decode()

    async def known(self, ids: Sequence[str], fingerprint: str) -> tuple[Acceptance, str] | None:
        code, owner = await self._run("known", fingerprint, list(ids))
        return (Acceptance(code.decode()), owner.decode()) if code else None

    async def take(self, channel: Channel, limit: int) -> list[Leased]:
        found = []
        for row in await self._run("take", channel, limit):
            try:
                found.append(_leased(row))
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
        return [_unpark(payload) for payload in parked]

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
    ) -> None:
        await self._run(
            "again",
            message.id,
            message.channel,
            _ms(due),
            reason,
            int(counts),
            int(uncertain),
            route,
            list(progress),
        )

    async def go_on(
        self, message_id: str, route: str, written_at: float, reason: str, *, progress: Sequence[str] = ()
    ) -> bool:
        # The mark was stored before the write, in milliseconds that may have been rounded up.
        until = _ms(written_at) + 1
        return bool(await self._run("goon", message_id, Channel.SMS, route, until, reason, list(progress)))

    async def settle_final(self, message: Message, state: State, reason: str, reports: str) -> None:
        _done, job = await self._run(
            "final", message.id, message.channel, state, reason, reports, int(self._report_room())
        )
        self._offer(job)

    async def park(self, message: Message) -> None:
        await self._run("park", message.id, message.channel, message.label, _ms(message.deadline))

    # Evidence

    async def evidence(self, evidence: Evidence) -> str:
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
        return str(result.decode())

    async def receipt(self, receipt: Receipt, *, park: bool, by_number: bool = False) -> tuple[str, str]:
        result, job, message_id = await self._run(
            "receipt",
            receipt.smsc,
            list(receipt.remote_ids),
            receipt.event or "",
            receipt.detail,
            list(receipt.number_hashes),
            int(park),
            _park(receipt if receipt.parked_at else replace(receipt, parked_at=self._clock.seconds())),
            int(self._report_room()),
            int(by_number),
        )
        self._offer(job)
        return result.decode(), message_id.decode()

    async def parked_receipts(self, limit: int) -> tuple[list[Receipt], list[Receipt]]:
        due, orphans = await self._run("parked", limit, PARKED_FOR * 1000)
        return [_unpark(payload) for payload in due], [_unpark(payload) for payload in orphans]

    # Reports

    async def take_reports(self, limit: int) -> list[ReportJob]:
        return [_job(row) for row in await self._run("take_reports", limit)]

    async def report_done(self, job: ReportJob) -> ReportJob | None:
        row = await self._run("told", job.message_id, LETTERS[job.status], "")
        return _job(row) if row else None

    async def report_again(self, job: ReportJob, due: float, reason: str, *, counts: bool = True) -> None:
        await self._run("retell", job.message_id, _ms(due), reason, int(counts))

    async def report_dead(self, job: ReportJob, reason: str) -> ReportJob | None:
        row = await self._run("told", job.message_id, LETTERS[job.status], reason)
        return _job(row) if row else None

    def feed_reports(self, room: Callable[[], bool], offer: Callable[[ReportJob], None]) -> None:
        self._report_room, self._report_offer = room, offer

    def _offer(self, row: Any) -> None:
        if row:
            self._report_offer(_job(row))

    # Stop list and memory

    async def suppress(self, label: str, channel: Channel, name: str, seconds: float, *, owner: str = "") -> None:
        lifetime = max(int(seconds), 1)
        if owner:
            # First: an address on the list that nobody owns could never be taken off by the player's id.
            key = f"{self._prefix}stopped-of:{label}:{channel}:{owner}"
            await self._link.command("SADD", key, name)
            await self._link.command("EXPIRE", key, lifetime)
        await self._link.command("SET", self._stop_key(label, channel, name), "1", "EX", lifetime)

    async def unsuppress(self, label: str, channel: Channel, names: Sequence[str]) -> bool:
        return bool(await self._run("unstop", label, channel, list(names)))

    async def suppressed(self, label: str, channel: Channel, names: Sequence[str]) -> bool:
        keys = (self._stop_key(label, channel, name) for name in names)
        return bool(await self._link.command("EXISTS", *keys))

    async def stopped(self, label: str, channel: Channel, names: Sequence[str]) -> Stopped | None:
        left, addresses = await self._run("stopped", label, channel, list(names))
        if not left and not addresses:
            return None
        return Stopped(self._clock.seconds() + left / 1000 if left else 0.0, addresses)

    def _stop_key(self, label: str, channel: Channel, name: str) -> str:
        return f"{self._prefix}stop:{label}:{channel}:{name}"

    async def seen(self, key: str) -> bool:
        return bool(await self._link.command("EXISTS", f"{self._prefix}seen:{key}"))

    async def remember(self, key: str, seconds: float) -> None:
        await self._link.command("SET", f"{self._prefix}seen:{key}", "1", "EX", max(int(seconds), 1))

    async def latest_to(self, number_hashes: Sequence[str]) -> str | None:
        for name in number_hashes:
            found = await self._link.command("GET", f"{self._prefix}n:{name}")
            if found:
                return str(found.decode())
        return None

    # What is known

    async def about(self, message_id: str) -> Known | None:
        found = await self._run("about", message_id)
        uid, label, channel, user, state, activity, address, sent = (value and value.decode() for value in found)
        if not state:
            return None
        return Known(
            message_id=message_id,
            uid=uid or "",
            label=label or "",
            channel=Channel(channel),
            ext_user_id=user or "",
            state=State(state),
            activity_type=activity or "",
            address_hash=address or "",
            sent_at=int(sent or 0) / 1000,
        )

    async def trace(self, ids: Sequence[str]) -> Trace | None:
        for message_id in ids:
            known = await self.about(message_id)
            if known is None:
                continue
            lines = await self._link.command("LRANGE", f"{self._prefix}t:{message_id}", 0, -1)
            told = await self._link.command("HGET", f"{self._prefix}m:{message_id}", "o")
            timeline = tuple(_event(line.decode()) for line in lines)
            return Trace(
                ext_message_id=message_id,
                uid=known.uid,
                label=known.label,
                channel=known.channel,
                ext_user_id=known.ext_user_id,
                state=known.state,
                reports=reports_of((told or b"").decode(), timeline),
                timeline=timeline,
            )
        return None

    async def queues(self) -> Mapping[str, QueueState]:
        now = self._clock.seconds()
        found = {}
        for kind in (*Channel, "reports"):
            waiting, leased, born = await self._run("queues", str(kind))
            age = max(now - born / 1000, 0.0) if born else 0.0
            found[str(kind)] = QueueState(waiting=waiting, leased=leased, oldest_age=age)
        return found

    async def counts(self) -> Mapping[tuple[str, Channel, str], int]:
        flat = await self._link.command("HGETALL", f"{self._prefix}counts")
        pairs = zip(flat[::2], flat[1::2], strict=True)
        found = {}
        for name, value in pairs:
            label, channel, what = name.decode().split("|")
            found[label, Channel(channel), what] = int(value)
        return found

    # Operators

    async def dead_letters(self, limit: int) -> list[DeadLetter]:
        rows = await self._link.command("ZREVRANGE", f"{self._prefix}dead", 0, limit - 1, "WITHSCORES")
        if not rows:
            return []
        reasons = await self._link.command("HMGET", f"{self._prefix}deadwhy", *rows[::2])
        found = []
        for member, score, why in zip(rows[::2], rows[1::2], reasons, strict=True):
            message_id, _, letter = member.decode().partition("|")
            label, _, reason = (why or b"").decode().partition("|")
            found.append(DeadLetter(message_id, label, REPORTS[letter], float(score) / 1000, reason))
        return found

    async def retry_dead(self, message_id: str) -> bool:
        return bool(await self._run("dead", message_id, 1))

    async def drop_dead(self, message_id: str) -> bool:
        return bool(await self._run("dead", message_id, 0))

    async def pause(self, label: str, channel: Channel) -> None:
        await self._link.command("SADD", f"{self._prefix}paused", f"{label}|{channel}")

    async def resume(self, label: str, channel: Channel) -> None:
        await self._link.command("SREM", f"{self._prefix}paused", f"{label}|{channel}")

    async def paused(self) -> frozenset[tuple[str, Channel]]:
        return _places(await self._link.command("SMEMBERS", f"{self._prefix}paused"))

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
        return following, len(ids), [_kept(row) for row in replies if row]

    async def replay_some(self, cursor: str, label: str, start: float, end: float) -> tuple[str, int]:
        following, ids = await self._some(cursor)
        replies = await self._run_all("replay", [(one, label, _ms(start), _ms(end)) for one in ids])
        return following, sum(replies)

    async def _run_all(self, name: str, items: Sequence[tuple[Any, ...]]) -> list[Any]:
        # Asked for in one turn of the reactor, they share a call.
        asked = [Deferred.fromCoroutine(self._run(name, *item)) for item in items]
        replies: list[Any] = await gatherResults(asked, consumeErrors=True)
        return replies

    async def _some(self, cursor: str) -> tuple[str, list[str]]:
        head = f"{self._prefix}m:"
        pattern = head.replace("[", r"\[").replace("*", r"\*").replace("?", r"\?") + "*"
        following, keys = await self._link.command("SCAN", cursor, "MATCH", pattern, "COUNT", 500)
        return following.decode(), [key.decode()[len(head) :] for key in keys]

    async def reserve(self, bucket: str, slots: int, interval: float, burst: float) -> float:
        _, first = await self._run("reserve", bucket, slots, interval * 1000, burst * 1000, _FOR_EVER)
        return float(first) / 1000

    async def reserve_soon(self, bucket: str, interval: float, patience: float) -> tuple[bool, float]:
        taken, first = await self._run("reserve", bucket, 1, interval * 1000, 0, patience * 1000)
        return bool(taken), float(first) / 1000

    async def ping(self) -> float:
        if not self._link.up:
            raise StoreUnavailable(self._link.trouble)
        began = self._clock.seconds()
        await self._link.command("PING")
        if self._refusal:
            raise StoreUnavailable(self._refusal)
        return float(self._clock.seconds() - began)

    # Leases of whole instances

    async def beat(
        self, boot: str, *, first: bool, dead_after: float
    ) -> tuple[bool, list[str], frozenset[tuple[str, Channel]]]:
        try:
            ours, dead, paused, _waiting = await self._run("beat", boot, int(first), _ms(dead_after))
        except StoreUnavailable as error:
            self._refused(str(error) if self._link.up else "")
            raise
        self._refused("")
        peers = [name.decode() for name in dead]
        return bool(ours), [name for name in peers if name != self._instance], _places(paused)

    def _refused(self, reason: str) -> None:
        """Redis is there and takes no writes for this reason; "" where it does, or where the link knows better."""
        if reason and not self._refusal:
            self.log.warn("Redis takes no writes: {reason}", reason=reason)
        elif self._refusal and not reason and self._link.up:
            self.log.info("Redis takes writes again")
        self._refusal = reason

    async def recover(self, instance: str, *, before: float = 0.0) -> int:
        moved = 0
        while step := await self._run("recover", instance, 500, int(before * 1000)):
            moved += step
        return moved

    async def sweep(self) -> int:
        return int(await self._run("sweep", 500))

    async def hasten(self, channel: Channel) -> None:
        after = str(_ms(self._clock.seconds()))
        while last := await self._run("hasten", channel, 500, after):
            after = last.decode()

    async def strays(self, kind: str, age: float) -> list[str]:
        return [name.decode() for name in await self._run("strays", kind, _ms(age))]

    async def release(self, kind: str, message_id: str) -> None:
        await self._run("release", kind, message_id)


def _leased(row: Sequence[Any]) -> Leased:
    _id, body, state, tries, first, route, marked, progress = row
    return Leased(
        message=_decode(body),
        state=State(state.decode()),
        attempts=int(tries),
        first_tried=int(first) / 1000,
        route=route.decode(),
        marked_at=int(marked) / 1000,
        progress=tuple(progress.decode().split()),
    )


def _unexpected(job: ReportJob) -> None:
    raise AssertionError("a report was leased for which no room was promised")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _park(receipt: Receipt) -> str:
    return f"{_ms(receipt.parked_at)}|{_encode(receipt).decode()}"


def _unpark(payload: bytes) -> Receipt:
    return _decode_receipt(payload.split(b"|", 1)[1])


def _job(row: Sequence[Any]) -> ReportJob:
    message_id, letter, label, channel, url, queued, tries, first = row
    return ReportJob(
        message_id=message_id.decode(),
        label=label.decode(),
        channel=Channel(channel.decode()),
        status=REPORTS[letter.decode()],
        callback_url=url.decode(),
        queued_at=int(queued) / 1000,
        attempts=int(tries),
        first_tried=int(first) / 1000,
    )


def _kept(row: Sequence[Any]) -> Kept:
    lines, body = row[-2:]
    text = [(value or b"").decode() for value in row[:-2]]
    message_id, uid, label, channel, user, state, told, taken, deadline, sent, activity, address, route, tries, url = (
        text
    )
    timeline = tuple(_event(line.decode()) for line in lines)
    reports = reports_of(told, timeline)
    return Kept(
        trace=Trace(message_id, uid, label, Channel(channel), user, State(state), reports, timeline),
        accepted_at=int(taken or 0) / 1000,
        deadline=int(deadline or 0) / 1000,
        sent_at=int(sent or 0) / 1000,
        activity_type=activity,
        address_hash=address,
        route=route,
        attempts=int(tries or 0),
        callback_url=url,
        waiting=_decode(body) if body else None,
    )


def _event(line: str) -> TracedEvent:
    at, event, detail = line.split("|", 2)
    return TracedEvent(at=int(at) / 1000, event=event, detail=detail)


def _places(members: Sequence[bytes]) -> frozenset[tuple[str, Channel]]:
    pairs = (member.decode().rpartition("|") for member in members)
    return frozenset((label, Channel(channel)) for label, _, channel in pairs)

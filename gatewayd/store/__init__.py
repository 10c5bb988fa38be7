"""Redis as IStore: a method for each script in lua/, the names of its keys in legend.py.

Of what stands in it, and of what the scripts reply, rows.py makes values; what the scripts are made of is in
scripts.py. Holds ids, never an address; content only until the next hop took the message or it is final.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from zope.interface import implementer

from gatewayd.core.errors import LeaseLost, StoreUnavailable, TemporaryFailure
from gatewayd.core.interfaces import IStore
from gatewayd.core.model import Channel, Degraded, Handed, Leased, Message, QueueState, ReportJob, SettledSent
from gatewayd.core.retry import PUT_OFF
from gatewayd.core.status import FINAL, LETTERS, Report, State
from gatewayd.store import lists, rows
from gatewayd.store.accepting import Accepting
from gatewayd.store.calls import ScriptArguments
from gatewayd.store.dataset import Dataset, beat_reply
from gatewayd.store.facts import Facts
from gatewayd.store.legend import KEYS
from gatewayd.store.link import RedisLink
from gatewayd.store.moments import JUMP
from gatewayd.store.operators import Operators
from gatewayd.store.part import AT_ONCE
from gatewayd.store.players import Players

REPORTING = 49 * 3600
"""Seconds for which a message is kept at least while a status of it may still have to be told (48 h and an hour)."""

LEASED_BYTES = 8_000_000
"""Most content that one look at a queue brings."""

UNREADABLE = 60.0
"""Seconds until what can't be read is looked at again: another version, which can, may share the Redis."""

RESTATED = 0.5
"""Seconds until it is asked again whether every process has said what it wrote."""

_NO_NEWS = SettledSent()
_STATES = {Report(state): state for state in FINAL}
"""Of those statuses that a message ends with."""

_FOR_EVER = 1e15
_LIKE_A_MESSAGE = bytes(16384)


@implementer(IStore)
class RedisStore(Accepting, Facts, Players, Operators):
    """IStore on Redis; `link` carries the arguments that `script_arguments` made. Here: sending, rates, instances."""

    def __init__(self, link: RedisLink, clock: Any, instance: str) -> None:
        super().__init__(link, clock, instance)
        self._refusals = {"beat": "", "ping": ""}
        """Why Redis, which is there, takes none of these writes; a full memory takes heartbeats and nothing more."""
        self._dataset = Dataset()
        self._may_end = True  # whether it is known which deadlines have passed
        self._set_back = 0  # by how many ms Redis' clock was set back since what all share was moved

    @staticmethod
    def key_prefix(configured: str) -> str:
        """The prefix of every key: the configured one and one hash tag, so that a Redis Cluster stays possible."""
        return configured + "{gw}:"

    @staticmethod
    def script_arguments(instance: str, max_queued: int, retention: float, boot: str) -> ScriptArguments:
        """What every script gets before its items; `retention` in seconds, `boot` unique to the process."""
        keep = int(max(retention, REPORTING))
        return ScriptArguments(
            instance=instance,
            max_queued=str(max_queued),
            keep=str(keep),
            retention=str(max(int(retention), 1)),
            boot=f"{boot}.",
        )

    # Messages

    async def lease_messages(self, channel: Channel, limit: int) -> list[Leased]:
        if not self._is_known():
            return []
        return (await self._lease_some(channel, limit, -1))[0]

    def why_no_mark(self) -> str:
        return self._link.missing_replicas()

    def _is_known(self) -> bool:
        """Whether nothing that stands in Redis as if it had not left may have been written by somebody."""
        return self._dataset.is_known(self._clock.seconds(), self._link.connections)

    async def lease_overdue(self, channel: Channel, rank: int, limit: int) -> tuple[int, list[Leased]]:
        found, stay = await self._lease_some(channel, limit, rank)
        return stay, found

    async def _lease_some(self, channel: Channel, limit: int, rank: int) -> tuple[list[Leased], int]:
        if not self._may_end:
            return [], 0
        found = []
        name = next(self._lease_names)
        leased, stay, theirs, foreign = await self._run(
            "lease_messages", channel, limit, LEASED_BYTES, name, rank, self._over()
        )
        for message_id in foreign:
            self.log.error(
                "another program wrote Redis' key of {message_id}, which waits", message_id=message_id.decode()
            )
        now = self._clock.seconds()
        for message_id, lease, fields, *texts in leased:
            kept = rows.record(fields)
            named = message_id.decode(), lease.decode()
            try:
                found.append(rows.leased(*named, kept, self._moments, *texts, now=now, theirs=theirs))
            except (ValueError, KeyError, IndexError, zlib.error):
                await self._put_off_unreadable(message_id.decode(), channel, lease.decode(), kept)
        return found, stay

    async def _put_off_unreadable(self, message_id: str, channel: Channel, lease: str, kept: rows.Record) -> None:
        """It must not hold up those that were leased with it, and it ends by its deadline as all do."""
        self.log.failure(
            "what Redis holds of {message_id} can't be read: tried again until its deadline", message_id=message_id
        )
        now, deadline = self._now(), rows.moment(kept, "deadline")
        reason = "what is stored of it can't be read"
        if now >= deadline:
            await self._final(message_id, channel, lease, State.FAILED, reason, "f")
        else:
            delay = rows.ms(min(UNREADABLE, deadline - now))
            await self._run("put_back_for_retry", message_id, channel, lease, delay, reason, 0, 0, "", [])

    async def mark(
        self,
        message: Message,
        route: str,
        address_hash: str,
        *,
        lease: str,
        segments: int = 1,
        stop_hashes: Sequence[str] = (),
    ) -> int:
        self._link.check_replicas()
        if not self._is_known():
            soon = self._clock.seconds() + RESTATED
            reason = "what was written before Redis changed is being restated"
            raise TemporaryFailure(reason, not_before=soon, counts=False)
        # Nobody answers an email, but by its own address.
        is_answered = address_hash and message.channel is not Channel.EMAIL
        entry = lists.entry(address_hash, message.id) if is_answered else ("", "")
        # Over a connection that is new, nobody has looked yet what Redis it leads to.
        reply = await self._run_here(
            "mark_on_the_wire",
            message.id,
            message.channel,
            lease,
            route,
            address_hash,
            *entry,
            segments,
            message.label,
            *self._stop_keys(message.label, message.channel, stop_hashes),
        )
        if reply == b"lost":
            raise LeaseLost(message.id)
        if reply == b"paused":
            raise TemporaryFailure("paused", not_before=self._clock.seconds() + 1.0, counts=False)
        if reply == b"stopped":
            return 0
        await self._link.confirmed()
        return int(reply)

    async def settle_sent(self, message_id: str, channel: Channel, handed: Handed) -> SettledSent:
        reply = await self._run(
            "settle_sent",
            message_id,
            channel,
            handed.route,
            handed.detail,
            list(handed.remote_ids),
            self._report_lease(),
            *chain.from_iterable(lists.segments(message_id, handed.route, handed.remote_ids)),
        )
        if not isinstance(reply, list):
            self._offer(reply)
            return _NO_NEWS
        report, parked, has_arrived = reply
        self._offer(report)
        return SettledSent(tuple(self._readable(rows.unparked, parked)), bool(has_arrived))

    async def settle_again(
        self,
        message: Message,
        due: float,
        reason: str,
        *,
        lease: str,
        counts: bool = True,
        uncertain: bool = False,
        route: str = "",
        progress: Sequence[str] = (),
    ) -> None:
        await self._run(
            "put_back_for_retry",
            message.id,
            message.channel,
            lease,
            self._delay(due),
            reason,
            int(counts),
            int(uncertain),
            route,
            list(progress),
        )

    async def record_segments(self, message_id: str, lease: str, route: str, remote_ids: Sequence[str]) -> None:
        await self._run("record_segments", message_id, lease, route, list(remote_ids))

    async def resume_from(
        self, message_id: str, route: str, stamp: int, reason: str, *, progress: Sequence[str] = ()
    ) -> bool:
        return bool(await self._run("resume_uncertain", message_id, route, stamp, reason, list(progress)))

    async def settle_final(self, message: Message, state: State, reason: str, reports: str, *, lease: str) -> None:
        await self._final(message.id, message.channel, lease, state, reason, reports)

    async def _final(
        self, message_id: str, channel: Channel, lease: str, state: State, reason: str, letters: str
    ) -> None:
        item = (message_id, channel, lease, state, reason, letters, self._report_lease())
        _done, report = await self._run("settle_final", *item)
        self._offer(report)

    async def set_aside(self, message: Message, *, lease: str) -> None:
        await self._run(
            "set_aside",
            message.id,
            message.channel,
            lease,
            message.label,
            rows.ms(self._moments.kept(message.deadline)),
        )

    async def requeue_set_aside(self) -> int:
        return int(await self._run("requeue_set_aside", AT_ONCE, self._over()))

    async def make_due(self, channel: Channel, *, every: bool = False) -> None:
        since, skip = str(int(self._now() * 1000) + 1).encode(), 0
        while since:
            since, skip = await self._run("make_put_off_due", channel, AT_ONCE, since.decode(), skip, int(every))

    async def queues(self) -> Mapping[str, QueueState]:
        now = self._now()
        found = {}
        kinds = [str(kind) for kind in (*Channel, "reports")]
        replies = await self._run_all("measure_queue", [(kind, rows.ms(PUT_OFF)) for kind in kinds])
        for kind, (waiting, leased, born) in zip(kinds, replies, strict=True):
            age = max(now - born / 1000, 0.0) if born else 0.0
            found[kind] = QueueState(waiting=waiting, leased=leased, oldest_age=age)
        return found

    # Rates

    async def reserve(self, bucket: str, slots: int, interval: float, burst: float) -> float:
        _, *first = await self._run("reserve_slots", bucket, slots, interval * 1000, burst * 1000, _FOR_EVER)
        return self._slot(*first)

    async def reserve_soon(self, bucket: str, interval: float, patience: float) -> tuple[bool, float]:
        taken, *first = await self._run("reserve_slots", bucket, 1, interval * 1000, 0, patience * 1000)
        return bool(taken), self._slot(*first)

    def _slot(self, when: bytes, wait: bytes) -> float:
        moment, soon = self._moments.ours(float(when)), float(self._clock.seconds()) + float(wait) / 1000
        # A clock that was set since the two were compared would send all at once, or nothing for long.
        return moment if abs(moment - soon) < JUMP else soon

    # Instances and their leases

    async def ping(self) -> float:
        if not self._link.up:
            raise StoreUnavailable(self._link.trouble)
        began = self._clock.seconds()
        # Writes, because a full memory refuses new messages and nothing else. It is as good as full where a message has
        # no room any more, and no message comes to fill the rest: the second one is as large, and does nothing.
        try:
            await self._link.command("SET", self._key("alive"), self._instance, "EX", 60)
            await self._link.command("SET", self._key("alive"), _LIKE_A_MESSAGE, "EX", 60, "NX")
        except StoreUnavailable as error:
            self._refused("ping", str(error) if self._link.up else "")
            raise
        self._refused("ping", "")
        self._link.check_replicas()
        if reason := self._refusals["beat"]:
            raise StoreUnavailable(reason)
        return float(self._clock.seconds() - began)

    async def beat(self, *, first: bool, dead_after: float) -> tuple[bool, list[str], frozenset[tuple[str, Channel]]]:
        began = self._clock.seconds()
        try:
            behind = self._moments.behind
            lag = "" if behind is None else rows.ms(behind)
            item = (
                int(first),
                rows.ms(dead_after),
                self._unheard.first(),
                *self._dataset.latest,
                lag,
                self._dataset.restated,
                rows.ms(self._now()),
            )
            reply = beat_reply(await self._run("beat", *item))
            # In the turn of the reactor in which the answer came: it came over this one.
            connection = self._link.connections
        except StoreUnavailable as error:
            self._refused("beat", str(error) if self._link.up else "")
            raise
        self._refused("beat", "")
        jump = self._clocks_read(began, reply.clock)
        self._may_end = reply.lag is not None
        if reply.lag is not None:
            self._moments.join(reply.lag / 1000)
        if reply.back:
            # Since the last heartbeat, which may be a second old; by our own clock it is known exactly.
            self._set_back += max(reply.back, round(-jump * 1000))
        if reply.ours and (lost := self._dataset.seen(self._clock.seconds(), connection, reply.heartbeat)):
            self.log.error("{what}", what=lost)
        dead = [name for name in reply.dead if name != self._instance]
        return reply.ours, dead, frozenset(self._readable(rows.scope, map(str.encode, reply.paused)))

    def _refused(self, what: str, reason: str) -> None:
        """Redis is there and does not take `what` for this reason; "" where it does, or where the link knows better."""
        before = any(self._refusals.values())
        self._refusals[what] = reason
        if reason and not before:
            self.log.warn("Redis takes no writes: {reason}", reason=reason)
        elif before and not any(self._refusals.values()) and self._link.up:
            self.log.info("Redis takes writes again")

    async def lease_reports(self, limit: int) -> list[ReportJob]:
        """As IStore; where the dataset is an older one, not before peers had the time to say what they told."""
        if not self._is_known():
            return []
        return await super().lease_reports(limit)

    async def report_heard(self, job: ReportJob) -> ReportJob | None:
        """As IStore; an older dataset may not know that it was to be told, and this process has said what it told."""
        following = await super().report_heard(job)
        if not self._is_known():
            letter, state = LETTERS[job.status], _STATES.get(job.status)
            await self.restate_heard([(job.message_id, letter, state, False)])
        return following

    def _report_lease(self) -> str:
        """As Facts; until then a report that is born is queued, too."""
        return super()._report_lease() if self._is_known() else ""

    def _offer(self, row: Any) -> None:
        """As Facts; what was asked for before Redis was another one stays leased, and comes again as a stray."""
        if self._is_known():
            super()._offer(row)

    def forgotten_since(self) -> float:
        return self._dataset.to_restate()

    def has_restated(self) -> None:
        self._dataset.has_restated()

    async def restate_marks(self, marks: Sequence[tuple[str, str, int]]) -> tuple[list[str], list[str]]:
        replies = await self._run_all("restate_mark", marks)
        known = list(zip(marks, replies, strict=True))
        forgotten = [mark[0] for mark, reply in known if reply == b"forgotten"]
        if forgotten:
            self.log.error("{what}", what=self._dataset.forgot(self._clock.seconds(), len(forgotten)))
        return forgotten, [mark[0] for mark, reply in known if reply == b"uncertain"]

    async def restate_heard(self, items: Sequence[tuple[str, str, State | None, bool]]) -> list[tuple[bool, bool, str]]:
        said = [(one, letters, state or "", int(ended)) for one, letters, state, ended in items]
        replies = await self._run_all("restate_heard", said)
        return [(bool(forgotten), bool(is_open), pending.decode()) for forgotten, is_open, pending in replies]

    def degraded(self) -> Iterator[Degraded]:
        """Whether Redis came back with an older or an empty dataset lately."""
        text = self._dataset.trouble(self._clock.seconds())
        if text:
            yield Degraded("redis", "forgot", text)

    async def come_forward(self) -> None:
        back = self._set_back
        queues = [KEYS["queue"].short + kind for kind in (*Channel, "reports")]
        for key in [KEYS["parked"].short, *queues] if back else ():
            after = str(rows.ms(self._now()))
            while last := await self._run("follow_clock_back", key, after, back, AT_ONCE):
                after = last.decode()
        # Only now: where Redis went away amid it, the next round does it, and what came forward is tried early, once.
        self._set_back -= back

    async def recover(self, instance: str, *, unwritten: Sequence[str] = ()) -> int:
        moved = 0
        while step := await self._run("requeue_leases", instance, AT_ONCE, "", "", "", list(unwritten), "", []):
            moved += step
        return moved

    def lease_name(self, lease: str) -> str:
        return self._link.arguments.boot + lease

    async def leases(self, kind: str, is_in_work: Callable[[str], bool]) -> dict[str, str]:
        if not self._is_known():
            # An older dataset has leases of ours whose messages have left: that is said first.
            return {}
        held = await self._link.command("SMEMBERS", self._key("leases", f"{kind}:{self._instance}"))
        others = [one for one in map(bytes.decode, held) if not is_in_work(one)]
        found = await self._run_all("find_leases", [(kind, one) for one in others])
        return {one: lease.decode() for one, lease in zip(others, found, strict=True)}

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
        names = [self.lease_name(name) for name in unwritten]
        item = kind, message_id, lease, names, route, list(progress)
        await self._run("requeue_leases", self._instance, 1, *item)

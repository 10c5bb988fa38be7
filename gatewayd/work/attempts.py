"""One attempt at a message: what is done with a leased one, and how its end is settled.

Here the retry policy of messages is applied, and nowhere else. It sees failures, not protocols.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import CancelledError

from gatewayd.core.durations import after, spoken
from gatewayd.core.errors import LeaseLost, PermanentFailure, StoreUnavailable, TemporaryFailure, Uncertain
from gatewayd.core.interfaces import Decided, EvidenceSink, IMeter, IQueues, unrecorded
from gatewayd.core.log import Logger, is_worth_a_line
from gatewayd.core.model import BEFORE_THE_ANSWER, Channel, Decision, Handed, Leased
from gatewayd.core.persist import persist
from gatewayd.core.retry import RetryPolicy
from gatewayd.core.status import State
from gatewayd.core.timeline import tried
from gatewayd.work.copies import Copies, Policies, Policy, SaidUncertain
from gatewayd.work.marks import Mark, Marks
from gatewayd.work.statuses import RecentStatuses

log = Logger()


class MessageWork:
    """Work on the messages of one channel.

    `policies` are those of the routes that are configured. `heard_since` tells since when evidence of a route could
    reach us: before a second copy leaves, it has `uncertain_wait` from then on. `tells_later` says of a route whether
    it tells what became of a message that it took: of others this is the last that is known. `why_not` says why nothing
    can go out by any way of the channel, "" where something may.
    """

    def __init__(
        self,
        clock: Any,
        store: IQueues,
        channel: Channel,
        deliver: Callable[[Leased], Awaitable[Handed]],
        *,
        marks: Marks,
        statuses: RecentStatuses,
        evidence: EvidenceSink,
        retry: RetryPolicy,
        policies: Mapping[str, Policy],
        jitter: Callable[[], float],
        meter: IMeter,
        heard_since: Callable[[str], float] = lambda route: 0.0,
        tells_later: Callable[[str], bool] = lambda route: True,
        why_not: Callable[[], str] = lambda: "",
        decided: Decided = unrecorded,
    ) -> None:
        self._clock = clock
        self._why_not = why_not
        self._changes = 0  # of the ways out, by reloads
        self._rank = 0  # how far down the queue overdue messages were looked for
        self._store = store
        self._decided = decided
        self._said_uncertain = SaidUncertain()
        self._tells_later = tells_later
        self._channel = channel
        self._deliver = deliver
        self._marks = marks
        self._statuses = statuses
        self._evidence = evidence
        self._retry = retry
        self._copies = Copies(Policies(channel, policies), retry, heard_since)
        self.paused: frozenset[tuple[str, Channel]] = frozenset()
        self._jitter = jitter
        self._meter = meter

    def reconfigure(self, policies: Mapping[str, Policy]) -> None:
        """Go by these policies from the next attempt on; a route that is gone keeps the one that it had."""
        self._copies.policies.reconfigure(policies)

    def ways_changed(self) -> None:
        """An attempt that is under way goes by what was so before: where it fails, what is so now is tried at once."""
        self._changes += 1

    def key(self, item: Leased) -> str:
        """The message's id."""
        return item.message.id

    async def lease(self, limit: int) -> list[Leased]:
        """Due messages of the channel; only those past their deadline while no way is up, or nothing may be marked.

        Nothing else is tried then, looked up or written into timelines, however many wait.
        """
        if not self._why_nothing():
            self._rank = 0
            return await self._store.lease_messages(self._channel, limit)
        behind, found = await self._store.lease_overdue(self._channel, self._rank, limit)
        self._rank = self._rank + behind if behind + len(found) >= limit else 0
        return found

    async def do(self, item: Leased) -> None:
        """One attempt at a message: it ends as sent, again later, uncertain, failed or rejected."""
        message, now = item.message, self._clock.seconds()
        if (message.label, message.channel) in self.paused and now < message.deadline:
            await persist(self._clock, self._store.set_aside, message, lease=item.lease)
            self._count(item, "set_aside")
        elif now >= message.deadline:
            await self._end(item, State.FAILED, _too_late(item, now, self._why_nothing()))
        elif (mark := self._marks.forgotten(item)) is not None:
            await self._remember(item, mark)
        elif item.state is State.UNCERTAIN and (next_copy := self._copies.next_at(item, now)) > now:
            await self._again(item, next_copy, self._copies.why_not_now(item), counts=False, uncertain=True)
        else:
            await self._try(item)

    def _why_nothing(self) -> str:
        """Why nothing of the channel can leave, whoever it is for."""
        return self._why_not() or self._store.why_no_mark()

    async def _remember(self, item: Leased, mark: Mark) -> None:
        """The store has forgotten that it was written: no copy because of that, whatever the route's policy."""
        # A status that was told, or a receipt, may have ended it.
        await self._statuses.restate_one(item.message.id)
        if mark.handed is not None:
            await self._sent(item, mark.handed)
            return
        reason = f"Redis had forgotten that it was written to {mark.route}: held until its deadline"
        await self._again(item, item.message.deadline, reason, counts=False, uncertain=True, route=mark.route)

    async def _try(self, item: Leased) -> None:
        changes = self._changes
        try:
            handed = await self._deliver(item)
        except CancelledError:
            raise
        except LeaseLost:
            return
        except PermanentFailure as failure:
            if failure.hard:
                await persist(self._clock, self._evidence.record_hard_failure, item.message.id)
            await self._end(item, State.REJECTED, failure.reason)
        except Uncertain as failure:
            now = self._clock.seconds()
            await self._again(
                item,
                self._copies.next_at(_marked(item, failure.route, now), now),
                failure.reason,
                uncertain=True,
                route=failure.route,
                progress=failure.progress,
            )
        except TemporaryFailure as failure:
            due = self._next(item)
            if failure.not_before is not None:
                due = max(failure.not_before, due if failure.counts else failure.not_before)
            if changes != self._changes:
                due = self._clock.seconds()
            await self._again(item, due, failure.reason, counts=failure.counts, progress=failure.progress)
        except StoreUnavailable as error:
            # Before the wire, so nothing was sent.
            await self._again(item, self._next(item), str(error) or "Redis did not answer", counts=False)
        except Exception:
            log.failure(
                "a bug: an attempt of {message_id} failed; it is tried again, or held if it may have been sent",
                message_id=item.message.id,
            )
            # Nobody knows whether that was before the wire or behind it: the mark does.
            uncertain = await self._is_marked(item)
            await self._again(item, self._next(item), "internal error", uncertain=uncertain)
        else:
            await self._sent(item, handed)

    async def _is_marked(self, item: Leased) -> bool:
        known = await persist(self._clock, self._store.about, item.message.id)
        return known is not None and known.state is State.UNCERTAIN

    async def _sent(self, item: Leased, handed: Handed) -> None:
        message = item.message
        self._marks.sent(message.id, handed)
        settled = await persist(self._clock, self._store.settle_sent, message.id, message.channel, handed)
        self._marks.stored(message.id)
        self._count(item, "sent")
        if self._channel is Channel.EMAIL:
            self._meter.mailed(item.message.label, handed.route)
        self._decide(item, "sent", handed.route)
        if settled.has_arrived:
            self._decide(item, State.DELIVERED, BEFORE_THE_ANSWER)
        # One line a message, when it ends: its receipt's, or this one where none is to come.
        simulated = handed.detail.startswith("simulated")
        say = log.debug if self._tells_later(handed.route) else log.info
        say("message {message_id} is sent by {route}", message_id=item.message.id, route=handed.route)
        for receipt in settled.parked:
            await persist(self._clock, self._evidence.record_receipt, receipt)
        if simulated:
            await persist(self._clock, self._evidence.record_simulated, item.message.id)

    async def _again(
        self,
        item: Leased,
        due: float,
        reason: str,
        *,
        counts: bool = True,
        uncertain: bool = False,
        route: str = "",
        progress: tuple[str, ...] = (),
    ) -> None:
        due = min(due, item.message.deadline)
        if not uncertain and not progress and item.state is State.QUEUED:
            self._marks.refused(item.message.id)
        if not uncertain and not progress:
            self._marks.unwritten(item.message.id, item.lease)
        elif not uncertain and item.state is State.QUEUED:
            # Of an uncertain one there may be more than these segments.
            self._marks.half_sent(item.message.id, item.lease, item.route, progress)
        await persist(
            self._clock,
            self._store.settle_again,
            item.message,
            due,
            reason,
            lease=item.lease,
            counts=counts,
            uncertain=uncertain,
            route=route,
            progress=progress,
        )
        self._marks.put_back(item.message.id)
        if uncertain:
            self._decide_uncertain(item, item.copies + counts, reason)
        if counts:
            self._count(item, "uncertain" if uncertain else "again")
            self._say_when(item, due, reason, uncertain_on=(route or item.route) if uncertain else None)

    def _say_when(self, item: Leased, due: float, reason: str, *, uncertain_on: str | None) -> None:
        """For the log; `uncertain_on` is the route that may have it."""
        seconds = due - self._clock.seconds()
        if uncertain_on is not None and self._copies.policies.holds(uncertain_on):
            log.info(
                "message {message_id} is held as uncertain: {reason}",
                message_id=item.message.id,
                reason=reason,
                log_limited=True,
            )
        elif seconds > 0 and (uncertain_on is not None or is_worth_a_line(item.attempts + 1)):
            # Else its deadline passed in a pause of the process, and another line says how it ends.
            log.info(
                "message {message_id} is tried again in {seconds:.1f} s: {reason}",
                message_id=item.message.id,
                seconds=seconds,
                reason=reason,
                log_limited=True,
            )

    async def _end(self, item: Leased, state: State, reason: str) -> None:
        letters = "f" if state is State.FAILED else "r"
        await persist(self._clock, self._store.settle_final, item.message, state, reason, letters, lease=item.lease)
        self._count(item, state)
        self._decide(item, state, reason)
        log.info("message {message_id} is {state}: {reason}", message_id=item.message.id, state=state, reason=reason)

    def _decide_uncertain(self, item: Leased, copies: int, reason: str) -> None:
        """Whoever reads the audit log must see that it may have been sent: once of each copy, however often it is due.

        What was on the wire as a process died is said by the one that looks at it next.
        """
        if self._said_uncertain.is_new(item.message.id, copies):
            self._decide(item, "uncertain", reason)

    def _decide(self, item: Leased, what: str, reason: str) -> None:
        message = item.message
        decision = Decision(what, message.label, message.channel, message.id, message.uid, message.ext_user_id, reason)
        self._decided(decision)

    def _next(self, item: Leased) -> float:
        now = self._clock.seconds()
        return self._retry.next_due(item.attempts + 1, item.first_tried or now, now, self._jitter())

    def _count(self, item: Leased, outcome: str) -> None:
        message = item.message
        self._meter.settled(message.label, message.channel, outcome, self._clock.seconds() - message.accepted_at)


def _too_late(item: Leased, now: float, why_not: str) -> str:
    """Why a message ends at its deadline: after how long and how many tries, and what kept it from being taken last.

    A throttled try counts for no limit, and was one for all that.
    """
    waited = spoken(now - item.message.accepted_at)
    submits, last = tried(item.story)
    why = why_not or last
    tries = after(max(item.attempts, submits))
    return f"the deadline passed, {waited} after it was accepted, {tries}{why and ': ' + why}"


def _marked(item: Leased, route: str, now: float) -> Leased:
    return replace(
        item, state=State.UNCERTAIN, attempts=item.attempts + 1, route=route, marked_at=now, copies=item.copies + 1
    )

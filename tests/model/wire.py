"""What is outside: an SMSC and a relay that take, refuse and lose what is written, and a Smartico that hears statuses.

They count what each message costs: how often each segment was written, and what was heard in which order.
"""

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from gatewayd.core.errors import PermanentFailure, StoreUnavailable, TemporaryFailure, Uncertain
from gatewayd.core.model import Channel, Evidence, Handed, Leased, Receipt
from gatewayd.core.status import Event, Report
from gatewayd.smpp.token import names_of

SMSC, RELAY = "world", "main"
TAKEN, THROTTLED, REFUSED, LOST = "taken", "throttled", "refused", "lost"
ANSWERS = (TAKEN,) * 12 + (THROTTLED,) * 2 + (REFUSED,) + (LOST,) * 2


@dataclass
class Written:
    """A segment of an SMS, or an email, whose bytes have left and whose answer has not come."""

    instance: Any
    leased: Leased
    segment: int
    answer: Deferred[tuple[str, str]]


@dataclass
class News:
    """A receipt or a DSN that some instance is to take; brought again until one has."""

    bring: Any
    message_id: str = ""  # of an SMS, for one of whose segments this is the receipt
    by: Any = None


@dataclass
class Wire:
    """Both next hops."""

    world: Any
    copies: Counter[tuple[str, int]] = field(default_factory=Counter)
    slots: list[tuple[Any, Deferred[None]]] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    news: list[News] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: itertools.count(1))
    ids: dict[str, dict[str, str]] = field(default_factory=dict)  # by number, which message an id was given to

    async def send(self, instance: Any, channel: Channel, leased: Leased) -> Handed:
        """As IChannel.send: each segment waits for a slot, is marked, written and answered."""
        message, sms = leased.message, channel is Channel.SMS
        route = SMSC if sms else RELAY
        segments = self.world.segments[message.id]
        taken = list(leased.progress)
        begun = len(taken)
        for index in range(begun, segments):
            progress = tuple(taken)
            try:
                if index > begun:
                    await instance.store.record_segments(message.id, leased.lease, route, progress)
                await self._slot(instance)
                stamp = await instance.store.mark(
                    message, route, self.world.number_of(message), lease=leased.lease, segments=segments
                )
            except StoreUnavailable:
                if not taken:
                    raise
                raise TemporaryFailure("Redis did not answer", counts=False, progress=progress) from None
            except TemporaryFailure as failure:
                failure.progress = progress
                raise
            if not stamp:
                raise PermanentFailure("the user is on the stop list")
            instance.marks.written(message.id, channel, route, stamp)
            word, remote = await self._write(instance, leased, index)
            if word == LOST:
                raise Uncertain(f"{route}: the connection was lost", route=route, progress=progress)
            if word == THROTTLED:
                soon = instance.clock.seconds() + 1.0
                raise TemporaryFailure("throttled", not_before=soon, counts=False, progress=progress)
            if word == REFUSED:
                raise PermanentFailure("refused", progress=progress)
            taken.append(remote)
        return Handed(route, names_of(taken) if sms else (), f"{len(taken)} segment(s)")

    def _slot(self, instance: Any) -> Deferred[None]:
        slot: Deferred[None] = Deferred()
        self.slots.append((instance, slot))
        return slot

    def _write(self, instance: Any, leased: Leased, segment: int) -> Deferred[tuple[str, str]]:
        message = leased.message
        self.copies[message.id, segment] += 1
        self.world.say(f"{instance.name} writes {message.id[:8]} segment {segment}")
        if message.channel is Channel.SMS:
            assert self.copies[message.id, segment] == 1, f"segment {segment} of {message.id} was written twice"
        answer: Deferred[tuple[str, str]] = Deferred()
        self.written.append(Written(instance, leased, segment, answer))
        return answer

    def judge(self, written: Written) -> None:
        """Take it or not, and answer, where somebody is still there to hear it."""
        chance, message = self.world.chance, written.leased.message
        sms = message.channel is Channel.SMS
        word = chance.choice(ANSWERS) if not self.world.quiet else TAKEN
        remote = self._remote_id(message)
        if word == TAKEN or (word == LOST and chance.random() < 0.5):
            self._will_tell(message, remote if sms else "")
        elif sms and word in (THROTTLED, REFUSED):
            # Not taken: it may be written again.
            self.copies[message.id, written.segment] -= 1
        self.world.say(f"{message.id[:8]} segment {written.segment} is {word} as {remote}")
        self.world.bring(written.instance, lambda: written.answer.callback((word, remote)))

    def _remote_id(self, message: Any) -> str:
        """A new one; or, as of another node of the SMSC, one that another message to that number bears."""
        new, number = f"{next(self.numbers):06x}", self.world.number_of(message)
        known = self.ids.setdefault(number, {})
        others = [remote for remote, owner in known.items() if owner != message.id]
        if not self.world.shares_ids or not others or self.world.chance.random() < 0.5:
            known[new] = message.id
            return new
        self.world.happened["one id"] += 1
        return str(self.world.chance.choice(others))

    def _will_tell(self, message: Any, remote: str) -> None:
        chance = self.world.chance
        if chance.random() < 0.15:
            return
        event = Event.DELIVERED if chance.random() < 0.85 else Event.FAILED
        if remote:
            wording = f"{next(self.numbers)}"
            receipt = Receipt(SMSC, (remote,), event, "receipt", self.world.number_of(message), wording=wording)
            self.news.append(News(lambda instance: instance.tracker.record_receipt(receipt), message.id))
        else:
            evidence = Evidence(message.id, event, "dsn")
            self.news.append(News(lambda instance: instance.tracker.record(evidence)))


@dataclass
class Telling:
    """A GET that has left."""

    instance: Any
    job: Any
    answer: Deferred[None]


@dataclass
class Smartico:
    """Hears statuses."""

    world: Any
    heard: dict[str, list[str]] = field(default_factory=dict)
    tellings: list[Telling] = field(default_factory=list)

    def tell(self, instance: Any, job: Any) -> Deferred[None]:
        """As Reporter.tell."""
        before = instance.heard.get(job.message_id, [])
        assert job.status is not Report.ACCEPTED or not before, f"{job.message_id[:8]}: accepted behind {before}"
        answer: Deferred[None] = Deferred()
        self.tellings.append(Telling(instance, job, answer))
        return answer

    def judge(self, telling: Telling) -> None:
        """Hear it or not, and say so or not."""
        chance = self.world.chance
        fate = "heard" if self.world.quiet else chance.choice(("heard",) * 8 + ("unsaid", "busy"))
        if fate != "busy":
            self.heard.setdefault(telling.job.message_id, []).append(str(telling.job.status))
            self.world.say(f"Smartico hears {telling.job.status} of {telling.job.message_id[:8]}")
        if fate == "heard":

            def is_heard() -> None:
                telling.instance.heard.setdefault(telling.job.message_id, []).append(str(telling.job.status))
                telling.answer.callback(None)

            self.world.bring(telling.instance, is_heard)
        else:
            failure = TemporaryFailure(f"the callback host is {fate}")
            self.world.bring(telling.instance, lambda: telling.answer.errback(failure))

"""One gatewayd process in the model: the real store, outboxes, keeper and tracker on a simulated clock and wire."""

import itertools
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from fakes import FakeMeter
from gatewayd.config import Label
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import Acceptance
from gatewayd.core.model import Channel, Leased, Message
from gatewayd.core.persist import persist
from gatewayd.core.retry import RELAY, SMSC
from gatewayd.core.tokens import Keys
from gatewayd.evidence.track import Tracker
from gatewayd.store import RedisStore
from gatewayd.store.stop_list import StopList
from gatewayd.work.attempts import MessageWork
from gatewayd.work.keeper import Keeper
from gatewayd.work.last_words import LastWords
from gatewayd.work.marks import Marks
from gatewayd.work.outbox import Outbox
from gatewayd.work.report_attempts import ReportWork
from gatewayd.work.statuses import RecentStatuses
from model.redis_wire import Link

PREFIX = RedisStore.key_prefix("model:")
RETENTION = 86400.0
WINDOW = 6
_boots = itertools.count()


class Instance:
    """A process: `alive` until it is killed, `paused` while it is stopped (SIGSTOP)."""

    def __init__(self, world: Any, name: str, now: float, ahead: float) -> None:
        self.world = world
        self.name = name
        self.alive, self.paused, self.usurped = True, False, False
        self.ahead = ahead
        self.clock = Clock()
        self.clock.advance(now + ahead)
        # An older process of the name may be there yet: each has a boot of its own.
        boot = f"boot{next(_boots)}"
        self.link = Link(world.server, self.clock, PREFIX, RedisStore.script_arguments(name, 1000, RETENTION, boot))
        self.store = RedisStore(self.link, self.clock, name)
        meter = FakeMeter()
        self.marks = Marks(self.clock, self.store)
        self.statuses = RecentStatuses(self.clock, self.store)
        # What Smartico said that it heard from this process, by message id.
        self.heard: dict[str, list[str]] = {}
        self.tracker = Tracker(
            self.clock,
            self.store,
            StopList(self.link),
            Keys(b"k" * 32),
            {"amazing": Label.model_construct()},
            meter,
            recorded=self.statuses.recorded,
            received=self.statuses.received,
        )
        jitter = world.chance.random
        self.works = {
            channel: MessageWork(
                self.clock,
                self.store,
                channel,
                self._sender(channel),
                marks=self.marks,
                statuses=self.statuses,
                evidence=self.tracker,
                retry=RELAY if channel is Channel.EMAIL else SMSC,
                policies={},
                jitter=jitter,
                meter=meter,
            )
            for channel in (Channel.EMAIL, Channel.SMS)
        }
        self.outboxes: dict[str, Outbox[Any]] = {
            str(channel): Outbox(self.clock, work, WINDOW) for channel, work in self.works.items()
        }
        telling = ReportWork(self.clock, self.store, self._tell, statuses=self.statuses, jitter=jitter, meter=meter)
        reports = Outbox(self.clock, telling, WINDOW)
        self.outboxes["reports"] = reports
        self.store.feed_reports(reports.room, reports.offer)
        self.keeper = Keeper(
            self.clock,
            self.store,
            self.outboxes,
            on_paused=self._pause,
            evidence=self.tracker,
            marks=self.marks,
            statuses=self.statuses,
            last_words=LastWords(None, self.marks, self.statuses),
            on_usurped=self._usurp,
            instance=name,
        )
        self._attempts = itertools.count()
        for outbox in self.outboxes.values():
            outbox.startService()
        self.keeper.startService()

    def __repr__(self) -> str:
        return f"{self.name}{' (paused)' if self.paused else ''}{'' if self.alive else ' (dead)'}"

    @property
    def runs(self) -> bool:
        """Whether it does anything at this moment."""
        return self.alive and not self.paused

    def catch_up(self, now: float) -> None:
        """Let its clock come to the world's; what was due meanwhile happens late, at once."""
        behind = now + self.ahead - self.clock.seconds()
        if behind > 0:
            self.clock.advance(behind)
        elif behind < 0:
            # Set back: the hands move, and timers keep their distance.
            for call in self.clock.calls:
                call.time += behind
            self.clock.rightNow += behind

    async def accept(self, message: Message) -> tuple[Acceptance | None, str]:
        """As intake.accept: stored and begun at once where there is room; None where the caller was told try_again."""
        outbox = self.outboxes[str(message.channel)]
        attempt = f"{next(self._attempts)}"
        asked = Deferred.fromCoroutine(
            self.store.accept(
                message,
                "print",
                lease=outbox.room(),
                until=self.clock.seconds() + 4.0,
                attempt=attempt,
            )
        )
        try:
            outcome, owner = await asked
        except StoreUnavailable:
            taking = Deferred.fromCoroutine(
                persist(self.clock, self.store.undo_accept, message.id, message.channel, attempt)
            )
            taking.addErrback(self.world.trouble)
            return None, ""
        self.store.heard(attempt)
        if outcome is Acceptance.LEASED:
            outbox.offer(Leased(message, lease=attempt))
        return outcome, owner

    def _sender(self, channel: Channel) -> Callable[[Leased], Any]:
        async def send(leased: Leased) -> Any:
            return await self.world.wire.send(self, channel, leased)

        return send

    async def _tell(self, job: Any) -> None:
        await self.world.smartico.tell(self, job)

    def _pause(self, scopes: Any) -> None:
        for work in self.works.values():
            work.paused = scopes

    def _usurp(self) -> None:
        # reactor.stop(): nothing more is begun, what is on the wire gets its time.
        self.usurped = True
        # It ends as one that is killed: what it wrote since the backup it restates no more, and only it knows that.
        self.world.backed_up = None
        for service in (*self.outboxes.values(), self.keeper):
            ending = service.stopService()
            if ending is not None:
                ending.addErrback(lambda failure: failure.trap(CancelledError))

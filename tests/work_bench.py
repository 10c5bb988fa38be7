"""The queue's work in small."""

from collections.abc import Awaitable, Callable

from twisted.internet.task import Clock

from at_once import run
from fakes import FakeEvidence, FakeMeter, FakeStore
from gatewayd.config import Smsc
from gatewayd.core.model import Channel, Decision, Handed, Leased, Message, ReportJob, Sms
from gatewayd.core.retry import SMSC
from gatewayd.core.status import Report, State
from gatewayd.work.attempts import MessageWork
from gatewayd.work.marks import Marks
from gatewayd.work.outbox import Outbox
from gatewayd.work.report_attempts import ReportWork
from gatewayd.work.statuses import RecentStatuses

ID = "00000000-0000-4000-8000-000000000001"
HOLD = Smsc(host="h", system_id="s", password="p")


class Bench:
    """An outbox of SMS over a fake store, with a channel that the test scripts."""

    def __init__(self, policy: Smsc = HOLD, window: int = 10) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.store = FakeStore(self.clock)
        self.meter = FakeMeter()
        self.attempts: list[Leased] = []
        self.decisions: list[Decision] = []
        self.evidence = FakeEvidence()
        self.bound_since = 0.0
        self.down = ""
        self.outcome: Callable[[Leased], Awaitable[Handed]] = self.takes
        self.marks = Marks(self.clock, self.store)
        self.work = MessageWork(
            self.clock,
            self.store,
            Channel.SMS,
            self._deliver,
            marks=self.marks,
            statuses=RecentStatuses(self.clock, self.store),
            evidence=self.evidence,
            retry=SMSC,
            policies={"world": policy},
            jitter=lambda: 0.5,
            meter=self.meter,
            heard_since=lambda route: self.bound_since,
            tells_later=lambda route: route == "world",
            why_not=lambda: self.down,
            decided=self.decisions.append,
        )
        self.outbox = Outbox(self.clock, self.work, window)

    async def _deliver(self, leased: Leased) -> Handed:
        self.attempts.append(leased)
        return await self.outcome(leased)

    async def takes(self, leased: Leased) -> Handed:
        """The next hop takes it."""
        stamp = await self.store.mark(leased.message, "world", "hash", lease=leased.lease)
        self.marks.written(leased.message.id, Channel.SMS, "world", stamp)
        return Handed("world", ("r1",))

    def accept(self, number: int = 1, deadline: float = 3600) -> Message:
        """A message in the queue."""
        now = self.clock.seconds()
        message = Message(f"{ID[:-3]}{number:03d}", f"u{number}", "amazing", "p", Sms("A", "b"), now, now + deadline)
        run(self.store.accept(message, "f"))
        return message

    def state(self, number: int = 1) -> State:
        """What the store holds."""
        return self.store.db.rows[f"{ID[:-3]}{number:03d}"].state

    def told(self, number: int = 1) -> str:
        """The letters of the reports queued."""
        return self.store.db.rows[f"{ID[:-3]}{number:03d}"].queued


bench_of: list[Bench] = []


class Telling:
    """ReportWork over a fake store, with a caller that the test scripts."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.told: list[Report] = []
        self.failure: Exception | None = None
        self.meter = FakeMeter()
        self.work = ReportWork(
            self.bench.clock,
            self.bench.store,
            self._tell,
            statuses=RecentStatuses(self.bench.clock, self.bench.store),
            jitter=lambda: 0.5,
            meter=self.meter,
        )
        self.outbox = Outbox(self.bench.clock, self.work, 10)
        self.message = self.bench.accept()
        [leased] = run(self.bench.store.lease_messages(Channel.SMS, 1))
        run(self.bench.store.mark(leased.message, "world", "", lease=leased.lease))
        run(self.bench.store.settle_sent(self.message.id, Channel.SMS, Handed("world", ("r1",))))

    async def _tell(self, job: ReportJob) -> None:
        if self.failure:
            raise self.failure
        self.told.append(job.status)

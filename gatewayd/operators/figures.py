"""What an installation looks like now, and how it came to that: one snapshot, and a ring of samples for the plots.

Owns the timers that look at the store and at the reactor. Knows nothing of HTTP or HTML: the verbs and the pages ask,
and metrics.py hears on the way what it shows. What the figures mean for somebody says degraded_figures.py.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TooLate
from twisted.internet.interfaces import IReactorTime

from gatewayd.core.at_once import all_at_once
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import IChannel, IShownToPeople
from gatewayd.core.model import Channel, Degraded, QueueState, WayState
from gatewayd.core.regularly import Regularly
from gatewayd.operators.degraded_figures import full, left_behind, not_ready, unworked, whom_it_hits
from gatewayd.operators.metrics import Counts, Metrics

PATIENCE = 2.0
"""Seconds that Redis has to answer before an operator is told that it does not."""

DEAD_LIMIT = 500
"""How many dead letters are counted; past it the number is a lower bound."""

SAMPLE_EVERY = 10.0
SAMPLES = 721
"""Seconds between two samples, and how many are kept: two hours of them."""

RATE_OVER = 60.0
"""Seconds over which the rate that is shown beside a limit is taken."""


class Sample(Struct, frozen=True):
    """What is kept of a snapshot for the plots: numbers. `handed` is by channel and name of a way out."""

    at: float
    counts: Counts
    queues: Mapping[str, QueueState]
    handed: Mapping[tuple[Channel, str], int]


class Snapshot(Struct, frozen=True):
    """One look at everything. Empty mappings where Redis did not answer; `redis_trouble` then says so.

    `dead` is the number of dead letters, of which DEAD_LIMIT are counted.
    `callback_hosts` and `directories` say by name why one is down: "" for one that is up.
    """

    at: float
    redis_trouble: str = ""
    redis_seconds: float = 0.0
    counts: Counts = {}
    queues: Mapping[str, QueueState] = {}
    dead: int = 0
    paused: frozenset[tuple[str, Channel]] = frozenset()
    ways: Mapping[Channel, Mapping[str, WayState]] = {}
    callback_hosts: Mapping[str, str] = {}
    directories: Mapping[str, str] = {}
    degraded: tuple[Degraded, ...] = ()

    @property
    def dead_is_more(self) -> bool:
        """True where there may be more dead letters than were counted."""
        return self.dead >= DEAD_LIMIT

    def sample(self) -> Sample:
        """What of it the plots need."""
        handed = {(channel, name): way.handed for channel, ways in self.ways.items() for name, way in ways.items()}
        return Sample(self.at, self.counts, self.queues, handed)

    def reasons(self) -> tuple[str, ...]:
        """Why this process cannot do its work now; empty where it can."""
        return tuple(not_ready(self.redis_trouble, self.ways))


class Watch(MultiService):
    """Takes samples and keeps the latest; measures how late the reactor runs.

    `callback_hosts` says of each host that this process called back, `directories` of each directory, why it is down;
    `why_left` why nothing of a label goes out by a channel, as the file stands. Of messages `max_queued` may wait;
    `without_work` names the queues that no running process works on.
    """

    def __init__(
        self,
        clock: IReactorTime,
        store: IShownToPeople,
        channels: Mapping[Channel, IChannel],
        metrics: Metrics,
        *,
        callback_hosts: Callable[[], Mapping[str, str]],
        directories: Callable[[], Mapping[str, str]],
        degraded: Callable[[], tuple[Degraded, ...]],
        why_left: Callable[[str, Channel], str],
        max_queued: int,
        without_work: Callable[[], Collection[str]],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._clock = clock
        self._store = store
        self.channels = channels
        self._metrics = metrics
        self._callback_hosts = callback_hosts
        self._directories = directories
        self._degraded = degraded
        self._why_left = why_left
        self._max_queued = max_queued
        self._without_work = without_work
        self._left_behind: tuple[Degraded, ...] = ()
        self._full: tuple[Degraded, ...] = ()
        self._unworked: tuple[Degraded, ...] = ()
        self._redis_trouble = ""  # what Redis said when it was asked last
        self.samples: deque[Sample] = deque(maxlen=SAMPLES)
        self._count_keys: dict[tuple[str, Channel, str], tuple[str, Channel, str]] = {}
        self._due = 0.0
        # A sample that is being taken is waited for, PATIENCE at most.
        samples = Regularly(clock, SAMPLE_EVERY, self._sample, "taking figures for the dashboard", finishes=True)
        delays = Regularly(clock, 1.0, self._measure_delay, "measuring how late the reactor runs")
        first = Regularly(clock, 1.0, self._first_sample, "taking the first figures", at_once=False, finishes=True)
        for part in (samples, first, delays):
            part.setServiceParent(self)  # type: ignore[no-untyped-call]

    def startService(self) -> None:
        """Begin to take samples, the first at once."""
        self._due = self._clock.seconds()
        super().startService()  # type: ignore[no-untyped-call]

    def unused(self, label: str, channel: Channel | None) -> tuple[Channel, ...]:
        """`channel`, where it was asked for by itself and nothing of the label goes out by it."""
        return (channel,) if channel is not None and self._why_left(label, channel) else ()

    def watched(self) -> float:
        """How many seconds of the past the samples cover."""
        return self._clock.seconds() - self.samples[0].at if self.samples else 0.0

    async def look(self) -> Snapshot:
        """A snapshot of this moment; never raises where Redis is silent. Sets the gauges on the way."""
        ways = self._ways()
        for channel, states in ways.items():
            self._metrics.show_ways(channel, states)
        seen = Snapshot(
            self._clock.seconds(), ways=ways, callback_hosts=self._callback_hosts(), directories=self._directories()
        )
        try:
            seen = await Deferred.fromCoroutine(self._with_counts(seen)).addTimeout(PATIENCE, self._clock)
        except (StoreUnavailable, TooLate) as error:
            self._metrics.redis_silent()
            self._redis_trouble = trouble(error)
            seen = replace(seen, redis_trouble=self._redis_trouble)
        return replace(seen, degraded=self.degraded())

    def _ways(self) -> Mapping[Channel, Mapping[str, WayState]]:
        return {channel: way.states() for channel, way in self.channels.items()}

    def degraded(self) -> tuple[Degraded, ...]:
        """What does not work for somebody at this moment, whatever makes us not ready included; sets its gauge."""
        named = (*self._degraded(), *self._left_behind, *self._full, *self._unworked)
        found = tuple(sorted((*named, *whom_it_hits(self._redis_trouble, self._ways(), named))))
        self._metrics.show_degraded(found)
        return found

    async def _with_counts(self, seen: Snapshot) -> Snapshot:
        """The same with what Redis says."""
        seconds, counts, queues, letters, paused = await self._asked_at_once()
        self._left_behind = tuple(left_behind(counts, self._why_left))
        self._full = tuple(full(queues, self._max_queued, was_full=bool(self._full)))
        self._unworked = tuple(unworked(queues, self._without_work()))
        dead = len(letters)
        self._redis_trouble = ""
        self._metrics.redis_answered(seconds)
        self._metrics.show_messages(counts, queues)
        self._metrics.show_dead(dead)
        self._metrics.show_paused(paused)
        return replace(seen, redis_seconds=seconds, counts=counts, queues=queues, dead=dead, paused=paused)

    async def _asked_at_once(self) -> tuple[Any, ...]:
        """One after the other they would take longer than PATIENCE over a Redis that messages flow through."""
        store = self._store
        asking = store.ping(), store.counts(), store.queues(), store.dead_letters(DEAD_LIMIT), store.paused()
        return tuple(await all_at_once(asking))

    def line(self) -> str:
        """How things are, in one line, by the latest sample: first what does not work, a refused reload before all."""
        latest = self.samples[-1] if self.samples else None
        waiting = sum(queue.waiting + queue.leased for queue in latest.queues.values()) if latest else 0
        troubles = [*not_ready("", self._ways()), *(one.text for one in sorted(self.degraded(), key=_reload_first))]
        if troubles:
            more = f" (and {len(troubles) - 1} more: gatewayctl status)" if len(troubles) > 1 else ""
            return f"{troubles[0]}{more}"
        return f"ready; {waiting} in the queues" if latest else "starting"

    async def reasons(self) -> tuple[str, ...]:
        """As Snapshot.reasons, asked now, with one short question to Redis."""
        try:
            await Deferred.fromCoroutine(self._store.ping()).addTimeout(PATIENCE, self._clock)
        except (StoreUnavailable, TooLate) as error:
            self._redis_trouble = trouble(error)
        else:
            self._redis_trouble = ""
        return tuple(not_ready(self._redis_trouble, self._ways()))

    async def _first_sample(self) -> None:
        # At once there is none: Redis is not connected yet. The status line waits for one.
        if not self.samples:
            await self._sample()

    async def _sample(self) -> None:
        snapshot = await self.look()
        if not snapshot.redis_trouble:
            self.samples.append(self._sharing_keys(snapshot.sample()))

    def _sharing_keys(self, sample: Sample) -> Sample:
        """The same, with one key of each count for all samples: they would take three times the memory of the rest."""
        shared = self._count_keys
        counts = {shared.setdefault(key, key): number for key, number in sample.counts.items()}
        return replace(sample, counts=counts)

    def _measure_delay(self) -> None:
        now = self._clock.seconds()
        self._metrics.reactor_late(max(0.0, now - self._due))
        self._due = now + 1.0


def rate_of(history: Sequence[Sample], channel: Channel, name: str) -> float:
    """What a next hop took a second, over the last minute or what is known of it."""
    way = channel, name
    known = [(sample.at, sample.handed[way]) for sample in history if way in sample.handed]
    if not known:
        return 0.0
    end, latest = known[-1]
    start, earliest = next(pair for pair in known if pair[0] >= end - RATE_OVER)
    return max(0.0, latest - earliest) / (end - start) if end > start else 0.0


def trouble(error: BaseException) -> str:
    """Why Redis could not be asked, in words for an operator."""
    return f"no answer within {PATIENCE:g} s" if isinstance(error, TooLate) else str(error) or "no answer"


def _reload_first(one: Degraded) -> tuple[bool, bool, Degraded]:
    return one.kind != "reload", one.kind != "redis", one

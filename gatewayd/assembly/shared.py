"""What most parts are given: made first, and closed last."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gatewayd import __version__
from gatewayd.config import Config
from gatewayd.core.consent import Consent
from gatewayd.core.interfaces import Decided, unrecorded
from gatewayd.core.model import Channel
from gatewayd.core.persist import persist
from gatewayd.core.tokens import Keys
from gatewayd.directories import Directories
from gatewayd.directories.recipients import Recipients
from gatewayd.intake.guard import IntakeGuard
from gatewayd.operators.audit import AuditLog, open_audit
from gatewayd.operators.degraded import DegradedNow
from gatewayd.operators.metrics import Metrics
from gatewayd.operators.recent import RecentTroubles
from gatewayd.store import RedisStore
from gatewayd.store.access import key_ring, redis_link
from gatewayd.store.lifted_guards import LiftedGuards
from gatewayd.store.link import RedisLink
from gatewayd.store.stop_list import StopList
from gatewayd.work.last_words import LastWords
from gatewayd.work.marks import Marks
from gatewayd.work.statuses import RecentStatuses

log = Logger()


class Shared(Struct, frozen=True, kw_only=True):
    """What most parts are given.

    `jitter` gives numbers in [0, 1), `unique` a name that no other process has; `decided` is where the parts say what
    they decided, for the audit log.
    """

    reactor: Any
    config: Config
    jitter: Callable[[], float]
    unique: Callable[[], str]
    keys: Keys
    directories: Directories
    recipients: Recipients
    link: RedisLink
    store: RedisStore
    marks: Marks
    statuses: RecentStatuses
    last_words: LastWords
    metrics: Metrics
    degraded: DegradedNow
    recent: RecentTroubles
    audit: AuditLog | None
    decided: Decided
    stops: StopList
    consent: Consent
    guard: IntakeGuard

    def make_reports_due(self, message_ids: Collection[str]) -> None:
        """Make due what waits to be told of these messages: their callback host is back, or their label mended."""
        Deferred.fromCoroutine(self.store.make_reports_due(message_ids)).addErrback(
            lambda failure: log.failure(
                "could not reschedule callbacks of a host that is back, or of a label that is mended", failure
            )
        )

    def look_at_the_time(self) -> None:
        """This host's clock was set: what waits for an hour of the day is looked at again."""

        async def look() -> None:
            for channel in Channel:
                await self.store.make_due(channel)

        Deferred.fromCoroutine(persist(self.reactor, look)).addErrback(
            lambda failure: log.failure("could not look again at what waits for quiet hours to end", failure)
        )

    async def close(self) -> None:
        """Give back what is no service."""
        self.last_words.keep()
        await self.directories.close()
        if self.audit is not None:
            self.audit.close()


def make_shared(
    reactor: Any,
    config: Config,
    jitter: Callable[[], float],
    unique: Callable[[], str],
    environ: Mapping[str, str],
) -> Shared:
    """From the configuration; `environ` names the directory that outlives this process."""
    table = config.gatewayd
    link = redis_link(reactor, config.redis, table.instance, table.retention, unique()[:12], jitter)
    audit = open_audit(reactor, table)
    recent = RecentTroubles(reactor, audit.record if audit else unrecorded)
    directories = Directories(reactor, config.directories)
    stops = StopList(link)
    store = RedisStore(link, reactor, table.instance)
    marks, statuses = Marks(reactor, store), RecentStatuses(reactor, store)
    metrics = Metrics(CollectorRegistry(), instance=table.instance, version=__version__)
    metrics.expect(config.labels)
    return Shared(
        reactor=reactor,
        config=config,
        jitter=jitter,
        unique=unique,
        keys=key_ring(config),
        directories=directories,
        recipients=Recipients(reactor, directories, config.labels),
        link=link,
        store=store,
        marks=marks,
        statuses=statuses,
        last_words=LastWords(_kept_at(environ, table.instance), marks, statuses),
        metrics=metrics,
        degraded=DegradedNow(),
        audit=audit,
        recent=recent,
        decided=recent.record,
        stops=stops,
        consent=Consent(stops, recent.record),
        guard=IntakeGuard(reactor, store.reserve_soon, LiftedGuards(link), config.labels),
    )


def _kept_at(environ: Mapping[str, str], instance: str) -> Path | None:
    """Where what could not be stored is kept: systemd's runtime directory, which is no disk that fills up."""
    directory = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(directory) / f"not-stored-{quote(instance, safe='')}.json" if directory else None

"""`twistd gatewayd`: its options, and makeService, which reads as the parts list.

The only code of the daemon that touches the global reactor, the environment and randomness; every part gets what it
needs as arguments. Owns the order of starting and stopping; what a reload changes is in reload.py.
"""

import gc
import os
import random
import signal
import sys
import uuid
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.application.internet import TimerService
from twisted.application.service import IService, MultiService, Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import CannotListenError
from twisted.logger import ILogObserver, Logger
from twisted.python import usage

from gatewayd import __version__
from gatewayd.bounces.inbound import ReturnedMail
from gatewayd.callbacks import Callbacks
from gatewayd.config import Config, ConfigError, load
from gatewayd.core.interfaces import unrecorded
from gatewayd.core.model import Channel
from gatewayd.core.retry import RELAY, SMSC
from gatewayd.core.tokens import Keys
from gatewayd.directories import Directories, faults
from gatewayd.directories.recipients import Recipients
from gatewayd.evidence.public import Public
from gatewayd.evidence.track import Tracker
from gatewayd.http.web import Listener
from gatewayd.intake.accept import Acceptor
from gatewayd.intake.api import Api
from gatewayd.operators.admin import Admin
from gatewayd.operators.audit import AuditLog
from gatewayd.operators.log import Observer, under_journal
from gatewayd.operators.metrics import Metrics
from gatewayd.operators.systemd import Watchdog, notify
from gatewayd.reload import Parts, Reload, configured, policies, return_domains, stop_times
from gatewayd.smpp.channel import SmppChannel
from gatewayd.smpp.fit import Fit
from gatewayd.smtp.channel import SmtpChannel
from gatewayd.store import RedisStore
from gatewayd.store.access import redis_link
from gatewayd.work.attempts import MessageWork, ReportWork
from gatewayd.work.deliver import Deliverer
from gatewayd.work.keeper import Keeper
from gatewayd.work.outbox import Outbox
from gatewayd.work.report import Reporter

WINDOWS = {Channel.EMAIL: 256, Channel.SMS: 512}
REPORT_WINDOW = 128
"""Items in work at a time, for each kind."""

DEFAULT_CONFIG = "/etc/gatewayd/gatewayd.toml"
log = Logger()


class Options(usage.Options):
    """`twistd gatewayd`."""

    longdesc = "Takes emails and SMS from Smartico, sends them, and reports every status back."
    optParameters = [
        ["config", "c", DEFAULT_CONFIG, "the configuration file"],
        ["instance", "i", "", "this process's name among those that share the file; overrides [gatewayd] instance"],
    ]
    optFlags = [["check", None, "read the configuration, print what is wrong with it or `ok`, and end"]]

    def postOptions(self) -> None:
        """Read the configuration; with --check that is all."""
        try:
            self["loaded"] = self.read()
        except ConfigError as error:
            print("\n".join(error.errors), file=sys.stdout if self["check"] else sys.stderr)
            raise SystemExit(1) from None
        if self["check"]:
            print("ok")  # noqa: T201
            raise SystemExit(0)

    def read(self) -> Config:
        """The configuration. Raises ConfigError with what is wrong, and with what a directory can't be opened for."""
        from twisted.internet import reactor

        config = load(self["config"], os.environ, self["instance"])
        if errors := faults(reactor, config.directories):
            raise ConfigError(errors)
        return config


def makeService(options: Options) -> IService:
    """The daemon, for twistd."""
    from twisted.internet import reactor

    config: Config = options["loaded"]
    try:
        return Gatewayd(
            reactor,
            config,
            options.read,
            _observer(reactor, config, options),
        )
    except ConfigError as error:
        print("\n".join(error.errors), file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None


class Gatewayd(MultiService):
    """All parts: started in the order of the list below, stopped in the reverse order; what drains, drains at once."""

    def __init__(
        self,
        reactor: Any,
        config: Config,
        read_again: Callable[[], Config],
        observer: Observer | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._reactor = reactor
        self._config = config
        self._observer = observer
        self._ending = False
        instance = config.gatewayd.instance
        jitter = random.Random().random
        keys = _keys(config)
        labels = config.labels
        self._directories = directories = Directories(reactor, config.directories)
        recipients = Recipients(directories, labels)
        self._link = redis_link(reactor, config.redis, instance, config.gatewayd.retention, jitter)
        store = self._store = RedisStore(self._link, reactor, RedisStore.key_prefix(config.redis.key_prefix), instance)
        self._metrics = metrics = Metrics(CollectorRegistry(), instance=instance, version=__version__)
        self._audit = _audit_log(reactor, config)
        decided = self._audit.record if self._audit else unrecorded
        self._tracker = tracker = Tracker(reactor, store, keys, labels, metrics, decided)
        self._callbacks = Callbacks(reactor, jitter, on_return=self._hasten_reports)
        self._reporter = Reporter(reactor, self._callbacks, labels)
        self._smtp = SmtpChannel(
            reactor,
            config.relays,
            labels,
            keys=keys,
            return_domain=config.bounces.domain if config.bounces else "",
            base_url=config.public.base_url.rstrip("/") if config.public else "",
            jitter=jitter,
            reserve=store.reserve_soon,
        )
        self._smpp = SmppChannel(
            reactor,
            config.smscs,
            labels,
            number_hashes=keys.number_hashes,
            reserve=store.reserve,
            evidence=tracker,
            on_segment=store.record_segments,
            on_answer=metrics.submit_answered,
            jitter=jitter,
        )
        self._fit = fit = Fit(config.smscs)
        channels = {Channel.EMAIL: self._smtp, Channel.SMS: self._smpp}
        self._deliverer = deliverer = Deliverer(
            reactor,
            store,
            channels,
            recipients,
            keys,
            segments=fit.segments,
            labels=labels,
        )

        def message_work(channel: Channel) -> MessageWork:
            return MessageWork(
                reactor,
                store,
                channel,
                deliverer.deliver,
                evidence=tracker,
                retry=RELAY if channel is Channel.EMAIL else SMSC,
                policies=policies(config, channel),
                jitter=jitter,
                meter=metrics,
                heard_since=channels[channel].heard_since,
                decided=decided,
            )

        self._works = {channel: message_work(channel) for channel in Channel if channel in config.gatewayd.work}
        outboxes: dict[str, Outbox[Any]] = {
            channel: Outbox(reactor, work, WINDOWS[channel]) for channel, work in self._works.items()
        }
        if "reports" in config.gatewayd.work:
            reports = ReportWork(reactor, store, self._reporter.tell, jitter=jitter, meter=metrics)
            outboxes["reports"] = outbox = Outbox(reactor, reports, REPORT_WINDOW)
            store.feed_reports(outbox.room, outbox.offer)

        self._acceptor = Acceptor(
            reactor,
            store,
            recipients,
            keys,
            labels,
            fit=fit,
            outboxes={channel: outboxes[channel] for channel in self._works},
            decided=decided,
        )
        keeper = Keeper(
            reactor,
            store,
            uuid.uuid4().hex,
            outboxes,
            on_paused=self._pause,
            evidence=tracker,
            on_usurped=reactor.stop,
            instance=instance,
        )
        self._admin = Admin(
            reactor,
            store,
            keys,
            metrics,
            stop_times(labels),
            channels=configured(config, channels),
            instance=instance,
            version=__version__,
            hosts=config.admin.hosts,
            callback_hosts=self._callbacks.hosts,
            directories=directories.trouble,
            decided=decided,
        )
        self._api = Api(
            reactor,
            self._acceptor,
            labels,
            metrics,
            trusted_proxies=config.api.trusted_proxies,
            max_body=config.api.max_body,
        )
        for part in (
            self._link,
            self._callbacks,
            self._smtp,
            self._smpp,
            keeper,
            *outboxes.values(),
            self._admin.watch,
        ):
            self._add(part)
        self._listen(config, store, keys)
        parts = Parts(
            recipients=recipients,
            acceptor=self._acceptor,
            deliverer=deliverer,
            tracker=tracker,
            reporter=self._reporter,
            api=self._api,
            admin=self._admin,
            smtp=self._smtp,
            smpp=self._smpp,
            fit=fit,
            public=self._public,
            returned_mail=self._returned_mail,
            works=self._works,
            audit=self._audit,
            hasten=store.make_due,
        )
        self._reload = Reload(config, read_again, parts, os.environ)

    def _add(self, part: Service) -> None:
        part.setServiceParent(self)

    def _listen(self, config: Config, store: RedisStore, keys: Keys) -> None:
        reactor = self._reactor
        self._add(Listener(reactor, config.admin.listen, self._admin.site(reactor)))
        self._returned_mail: ReturnedMail | None = None
        self._public: Public | None = None
        if config.bounces:
            self._returned_mail = ReturnedMail(
                reactor,
                keys=keys,
                domains=return_domains(config),
                evidence=self._tracker,
                about=store.about,
                max_size=config.bounces.max_size,
                internal_relays=config.bounces.internal_relays,
                meter=self._metrics,
            )
            self._add(
                Listener(reactor, config.bounces.listen, self._returned_mail, reuse_port=config.bounces.reuse_port)
            )
        if config.public:
            self._public = Public(
                reactor,
                keys,
                evidence=self._tracker,
                esp=config.esp,
                seen=store.seen,
                remember=store.remember,
                fetch=self._callbacks.get,
                meter=self._metrics,
            )
            site = self._public.site(reactor)
            self._add(Listener(reactor, config.public.listen, site, reuse_port=config.public.reuse_port))
        site = self._api.site(reactor)
        self._add(Listener(reactor, config.api.listen, site, reuse_port=config.api.reuse_port))
        self._add(Watchdog(reactor, os.environ, os.getpid()))
        if self._observer is not None:
            self._add(TimerService(5.0, self._observer.flush))

    def setServiceParent(self, parent: Any) -> None:
        """Besides, give the application our log format."""
        if self._observer is not None and hasattr(parent, "setComponent"):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def privilegedStartService(self) -> None:
        """Open the ports while low ones may still be opened; where one can't be had, the log says so and all ends."""
        try:
            super().privilegedStartService()  # type: ignore[no-untyped-call]
        except CannotListenError:
            raise SystemExit(1) from None

    def startService(self) -> None:
        """Start all parts; take the signals once the reactor, which takes them first, runs."""
        super().startService()  # type: ignore[no-untyped-call]
        self._reactor.callWhenRunning(self._run)

    def _run(self) -> None:
        # twistd would end by the signal that stopped it; a drained daemon exits with 0.
        signal.signal(signal.SIGTERM, lambda *_: self._reactor.callFromThread(self._terminate))
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))
        log.info("gatewayd {version} runs as {instance}", version=__version__, instance=self._config.gatewayd.instance)
        # What stands now stays: looking for cycles in it, every few messages, was a tenth of all CPU.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        notify("READY=1", os.environ)

    def _terminate(self) -> None:
        if self._ending:
            log.info("draining already; SIGKILL would end it at once, and lose the answers it waits for")
            return
        self._ending = True
        self._reactor.stop()

    def stopService(self) -> Deferred[None]:
        """Drain: no new work, then what runs finishes, then the links unbind, Redis last."""
        notify("STOPPING=1", os.environ)
        self._acceptor.shutting_down = True
        self._admin.drain()
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        left = list(reversed(list(self)))
        # Each of these may take its whole time: one after the other they would outlast the 20 s that a drain has.
        for kinds in ((Listener,), (Outbox, SmtpChannel, SmppChannel)):
            together = [part for part in left if isinstance(part, kinds)]
            left = [part for part in left if part not in together]
            await DeferredList([Deferred.fromCoroutine(_stopped(part)) for part in together])
        for part in left:
            await _stopped(part)
        await self._directories.close()
        if self._audit is not None:
            self._audit.close()
        log.info("gatewayd has stopped")

    def _hasten_reports(self, message_ids: Collection[str]) -> None:
        Deferred.fromCoroutine(self._store.make_reports_due(message_ids)).addErrback(
            lambda failure: log.failure("what waits for its callback host keeps its time", failure)
        )

    def _pause(self, paused: frozenset[tuple[str, Channel]]) -> None:
        for work in self._works.values():
            work.paused = paused

    def reload(self) -> None:
        """Read the configuration again, unless this process is about to end."""
        if not self._ending:
            self._reload.run()


async def _stopped(part: Service) -> None:
    try:
        stopping = part.stopService()
        if stopping is not None:
            await stopping
    except Exception:
        log.failure("{part} did not stop cleanly", part=type(part).__name__)


def _audit_log(clock: Any, config: Config) -> AuditLog | None:
    table = config.gatewayd
    if not table.audit_log:
        return None
    path = Path(table.audit_log.replace("{instance}", table.instance))
    try:
        return AuditLog(clock, path, table.secret_key.reveal().encode(), table.instance)
    except OSError as error:
        raise ConfigError([f"gatewayd.audit_log: {path}: {error.strerror}"]) from None


def _keys(config: Config) -> Keys:
    previous = [key.reveal().encode() for key in config.gatewayd.previous_secret_keys]
    return Keys(config.gatewayd.secret_key.reveal().encode(), previous)


def _observer(reactor: Any, config: Config, options: Options) -> Observer | None:
    """Our own log format, where twistd logs to a file or to standard output; syslog keeps twistd's."""
    parent = getattr(options, "parent", None) or {}
    if parent.get("syslog") or parent.get("logger"):
        return None
    name = parent.get("logfile") or ("-" if parent.get("nodaemon") else "twistd.log")
    stream = sys.stdout if name == "-" else Path(name).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115
    at = os.fstat(stream.fileno())
    journal = under_journal(os.environ.get("JOURNAL_STREAM", ""), at.st_dev, at.st_ino)
    return Observer(stream, reactor, json=config.gatewayd.log == "json", journal=journal)

"""`twistd gatewayd`: its options, and makeService, which reads as the parts list.

The only code of the daemon that touches the global reactor, the environment and randomness; every part gets what it
needs as arguments. Owns the order of starting and stopping; what a reload changes is in reload.py.
"""

import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any

from msgspec import Struct
from prometheus_client import CollectorRegistry
from twisted.application.internet import TimerService
from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python import usage

from gatewayd import __version__
from gatewayd.bounces.inbound import ReturnedMail
from gatewayd.callbacks import Callbacks
from gatewayd.config import Config, ConfigError, load
from gatewayd.core.consent import Consent
from gatewayd.core.interfaces import Decided, IChannel, unrecorded
from gatewayd.core.model import Channel
from gatewayd.core.persist import persist
from gatewayd.core.retry import RELAY, SMSC
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.directories import Directories, faults
from gatewayd.directories.probe import Probe
from gatewayd.directories.recipients import Recipients
from gatewayd.evidence.public import Public
from gatewayd.evidence.track import Tracker
from gatewayd.evidence.unmatched import UnmatchedReceipts
from gatewayd.http.ports import Listener
from gatewayd.intake.accept import Acceptor
from gatewayd.intake.api import Api
from gatewayd.intake.guard import IntakeGuard
from gatewayd.operators.admin import Admin
from gatewayd.operators.audit import AuditLog, open_audit
from gatewayd.operators.audit_head import HeadKeeper
from gatewayd.operators.clock import SteadyClock, WallWatch, set_clock
from gatewayd.operators.daemon import Daemon
from gatewayd.operators.degraded import DegradedNow, WaysOut
from gatewayd.operators.log import Observer, observer
from gatewayd.operators.metrics import Metrics
from gatewayd.operators.recent import Recent
from gatewayd.operators.stop_orders import StopOrders
from gatewayd.operators.systemd import StatusLine, Watchdog
from gatewayd.providers.channel import HttpChannel
from gatewayd.reload import Parts, Reload, carrying, configured, policies, return_domains, stop_times
from gatewayd.smpp.channel import SmppChannel
from gatewayd.smpp.fit import Fit
from gatewayd.smtp.channel import SmtpChannel
from gatewayd.smtp.own_name import HostsOwnName
from gatewayd.store import RedisStore
from gatewayd.store.access import redis_link
from gatewayd.store.claims import EventClaims
from gatewayd.store.condition import Condition
from gatewayd.store.lifted_guards import LiftedGuards
from gatewayd.store.link import RedisLink
from gatewayd.store.stop_list import StopList
from gatewayd.work.attempts import MessageWork, ReportWork
from gatewayd.work.deliver import Deliverer
from gatewayd.work.keeper import Keeper
from gatewayd.work.marks import Marks
from gatewayd.work.outbox import Outbox
from gatewayd.work.report import Reporter
from gatewayd.work.shared_routes import SharedRoutes

WINDOWS = {Channel.EMAIL: 256, Channel.SMS: 512, Channel.IM: 256}
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
    clock = SteadyClock(time.monotonic, time.time)
    set_clock(reactor, clock)
    try:
        return gatewayd(
            reactor,
            clock,
            config,
            options.read,
            observer(reactor, getattr(options, "parent", None) or {}, os.environ, config.gatewayd),
        )
    except ConfigError as error:
        print("\n".join(error.errors), file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None


class Shared(Struct, frozen=True, kw_only=True):
    """What most parts are given. `decided` is where they say what they decided, for the audit log."""

    reactor: Any
    config: Config
    jitter: Callable[[], float]
    keys: Keys
    directories: Directories
    recipients: Recipients
    link: RedisLink
    store: RedisStore
    marks: Marks
    metrics: Metrics
    degraded: DegradedNow
    recent: Recent
    audit: AuditLog | None
    decided: Decided
    stops: StopList
    consent: Consent
    guard: IntakeGuard
    lifted: LiftedGuards

    def make_reports_due(self, message_ids: Collection[str]) -> None:
        """Make due what waits to be told of these messages: their callback host is back."""
        Deferred.fromCoroutine(self.store.make_reports_due(message_ids)).addErrback(
            lambda failure: log.failure("could not reschedule callbacks of a host that is back", failure)
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
        await self.directories.close()
        if self.audit is not None:
            self.audit.close()


class Ways(Struct, frozen=True, kw_only=True):
    """The ways out. `fit` says into how many segments an SMS falls by the SMSCs that it may take.

    `sms` are SMSCs and providers together, in each route's order.
    """

    smtp: SmtpChannel
    smpp: SmppChannel
    http: HttpChannel
    im: HttpChannel
    sms: SharedRoutes
    fit: Fit

    @property
    def by_channel(self) -> dict[Channel, Any]:
        """The way out of each channel."""
        return {Channel.EMAIL: self.smtp, Channel.SMS: self.sms, Channel.IM: self.im}

    def kind_of(self, channel: Channel, name: str) -> str:
        """What a way out is called in what operators read."""
        if channel is Channel.EMAIL:
            return "relay"
        return "provider" if channel is Channel.IM or self.http.knows(name) else "smsc"


def _works_on(work: Collection[str], channel: Channel) -> bool:
    """Who works on SMS works on instant messages, too: CONTRACT.md has no word of their own for these."""
    return channel in work or (channel is Channel.IM and Channel.SMS in work)


class Work(Struct, frozen=True, kw_only=True):
    """What is done with stored messages: how one is delivered, and the queues by name, reports among them."""

    deliverer: Deliverer
    messages: Mapping[Channel, MessageWork]
    outboxes: Mapping[str, Outbox[Any]]

    def pause(self, paused: frozenset[tuple[str, Channel]]) -> None:
        """Let these labels' channels wait, and no others."""
        for work in self.messages.values():
            work.paused = paused


def gatewayd(
    reactor: Any,
    clock: SteadyClock,
    config: Config,
    read_again: Callable[[], Config],
    observer: Observer | None = None,
) -> Daemon:
    """All parts. `read_again` is how a reload reads the configuration; raises ConfigError as it does.

    The reactor's timers go by `clock`.
    """
    shared = _shared(reactor, config)
    callbacks = Callbacks(reactor, shared.jitter, on_return=shared.make_reports_due)
    reporter = Reporter(reactor, callbacks, config.labels)
    unmatched = UnmatchedReceipts(reactor)
    tracker = Tracker(
        reactor,
        shared.store,
        shared.stops,
        shared.keys,
        config.labels,
        shared.metrics,
        shared.decided,
        audited=shared.audit is not None,
        unmatched=unmatched,
    )
    ways = _ways(shared, tracker)
    work = _work(shared, ways, tracker, reporter)
    acceptor = _acceptor(shared, ways, work)
    admin = _admin(shared, ways, callbacks, reporter)
    condition = Condition(reactor, shared.link, config.gatewayd.instance, time.time)
    ways_out = WaysOut(ways.by_channel, config.labels, ways.kind_of)
    api = _api(shared, acceptor)
    returned_mail = _returned_mail(shared, tracker)
    public = _public(shared, tracker, callbacks)
    parts = Parts(
        recipients=shared.recipients,
        guard=shared.guard,
        acceptor=acceptor,
        deliverer=work.deliverer,
        tracker=tracker,
        reporter=reporter,
        api=api,
        admin=admin,
        ways_out=ways_out,
        channels=ways.by_channel,
        smtp=ways.smtp,
        smpp=ways.smpp,
        http=ways.http,
        im=ways.im,
        fit=ways.fit,
        public=public,
        returned_mail=returned_mail,
        works=work.messages,
        audit=shared.audit,
        make_due=lambda channel, every: shared.store.make_due(channel, every=every),
    )

    head_keeper = _head_keeper(shared)
    reload = Reload(config, read_again, parts, os.environ)
    parts_that_say = (
        shared.store.degraded,
        condition.degraded,
        ways_out.degraded,
        shared.recipients.degraded,
        shared.guard.degraded,
        callbacks.degraded,
        reporter.degraded,
        unmatched.degraded,
        reload.degraded,
    )
    for says in (*parts_that_say, *(one.degraded for one in head_keeper)):
        shared.degraded.ask(says)

    def draining() -> None:
        acceptor.shutting_down = True
        admin.drain()

    return Daemon(
        reactor,
        os.environ,
        [
            shared.link,
            condition,
            *head_keeper,
            Probe(reactor, shared.recipients),
            callbacks,
            ways.smtp,
            ways.smpp,
            ways.http,
            ways.im,
            _keeper(shared, work, tracker),
            *work.outboxes.values(),
            admin.watch,
            *_listeners(shared, admin, returned_mail, public, api),
            WallWatch(reactor, clock, shared.look_at_the_time),
            Watchdog(reactor, os.environ, os.getpid()),
            StatusLine(reactor, os.environ, admin.status_line),
            *([TimerService(5.0, observer.flush)] if observer is not None else []),
        ],
        name=f"gatewayd {__version__} runs as {config.gatewayd.instance}",
        together=((Listener,), (Outbox, SmtpChannel, SmppChannel, HttpChannel)),
        draining=draining,
        closing=shared.close,
        reload=reload.run,
        observer=observer,
    )


def _shared(reactor: Any, config: Config) -> Shared:
    table, jitter = config.gatewayd, random.Random().random
    link = redis_link(reactor, config.redis, table.instance, table.retention, uuid.uuid4().hex[:12], jitter)
    audit = open_audit(reactor, table)
    recent = Recent(reactor, audit.record if audit else unrecorded)
    directories = Directories(reactor, config.directories)
    prefix = RedisStore.key_prefix(config.redis.key_prefix)
    stops, lifted = StopList(link, prefix), LiftedGuards(link, prefix)
    store = RedisStore(link, reactor, prefix, table.instance)
    return Shared(
        reactor=reactor,
        config=config,
        jitter=jitter,
        keys=Keys(table.secret_key.reveal().encode(), [key.reveal().encode() for key in table.previous_secret_keys]),
        directories=directories,
        recipients=Recipients(directories, config.labels),
        link=link,
        store=store,
        marks=Marks(reactor, store),
        metrics=Metrics(CollectorRegistry(), instance=table.instance, version=__version__),
        degraded=DegradedNow(),
        audit=audit,
        recent=recent,
        decided=recent.record,
        stops=stops,
        consent=Consent(stops, recent.record),
        guard=IntakeGuard(reactor, store.reserve_soon, lifted, config.labels),
        lifted=lifted,
    )


def _ways(shared: Shared, tracker: Tracker) -> Ways:
    config, keys, store = shared.config, shared.keys, shared.store
    base_url = config.public.base_url.rstrip("/") if config.public else ""
    smpp = SmppChannel(
        shared.reactor,
        config.smscs,
        config.labels,
        number_hashes=keys.number_hashes,
        reserve=store.reserve,
        evidence=tracker,
        on_segment=store.record_segments,
        on_answer=shared.metrics.submit_answered,
        jitter=shared.jitter,
    )

    def report_url(provider: str, message_id: str) -> str:
        return f"{base_url}/dlr/{provider}/{keys.token(Purpose.REPORT, message_id)}" if base_url else ""

    def by_http(carries: str) -> HttpChannel:
        return HttpChannel(
            shared.reactor,
            carrying(config, carries),
            report_url=report_url,
            reserve=store.reserve,
            jitter=shared.jitter,
            on_answer=shared.metrics.provider_answered,
        )

    http = by_http("sms")
    return Ways(
        smtp=SmtpChannel(
            shared.reactor,
            config.relays,
            config.labels,
            keys=keys,
            return_domain=config.bounces.domain if config.bounces else "",
            base_url=base_url,
            own_name=HostsOwnName(shared.reactor),
            jitter=shared.jitter,
            reserve=store.reserve_soon,
        ),
        smpp=smpp,
        http=http,
        im=by_http("im"),
        sms=SharedRoutes([smpp, http]),
        fit=Fit(config.smscs),
    )


def _work(shared: Shared, ways: Ways, tracker: Tracker, reporter: Reporter) -> Work:
    """What this process works on, as [gatewayd] work says."""
    reactor, config, store = shared.reactor, shared.config, shared.store
    channels = ways.by_channel
    deliverer = Deliverer(
        reactor,
        store,
        channels,
        shared.recipients,
        shared.keys,
        marks=shared.marks,
        segments=ways.fit.segments,
        labels=config.labels,
        consent=shared.consent,
        wall=time.time,
    )
    messages = {
        channel: MessageWork(
            reactor,
            store,
            channel,
            deliverer.deliver,
            marks=shared.marks,
            evidence=tracker,
            retry=RELAY if channel is Channel.EMAIL else SMSC,
            policies=policies(config, channel),
            jitter=shared.jitter,
            meter=shared.metrics,
            heard_since=channels[channel].heard_since,
            why_not=partial(_why_not, channels[channel]),
            decided=shared.decided,
        )
        for channel in Channel
        if _works_on(config.gatewayd.work, channel)
    }
    outboxes: dict[str, Outbox[Any]] = {
        channel: Outbox(reactor, work, WINDOWS[channel]) for channel, work in messages.items()
    }
    if "reports" in config.gatewayd.work:
        reports = ReportWork(reactor, store, reporter.tell, jitter=shared.jitter, meter=shared.metrics)
        outboxes["reports"] = outbox = Outbox(reactor, reports, REPORT_WINDOW)
        store.feed_reports(outbox.room, outbox.offer)
    return Work(deliverer=deliverer, messages=messages, outboxes=outboxes)


def _head_keeper(shared: Shared) -> list[HeadKeeper]:
    """One where there is an audit log, else none."""
    if shared.audit is None:
        return []
    store, instance = shared.store, shared.config.gatewayd.instance
    return [
        HeadKeeper(
            shared.reactor,
            shared.audit,
            lambda: store.audit_head(instance),
            lambda head: store.keep_audit_head(instance, head),
        )
    ]


def _why_not(channel: IChannel) -> str:
    """Why nothing can go out by any way of the channel."""
    return channel.why_not(tuple(channel.routes()))


def _keeper(shared: Shared, work: Work, tracker: Tracker) -> Keeper:
    return Keeper(
        shared.reactor,
        shared.store,
        work.outboxes,
        on_paused=work.pause,
        evidence=tracker,
        marks=shared.marks,
        on_usurped=shared.reactor.stop,
        instance=shared.config.gatewayd.instance,
    )


def _acceptor(shared: Shared, ways: Ways, work: Work) -> Acceptor:
    return Acceptor(
        shared.reactor,
        shared.store,
        shared.recipients,
        shared.keys,
        shared.config.labels,
        fit=ways.fit,
        outboxes={channel: work.outboxes[channel] for channel in work.messages},
        consent=shared.consent,
        guard=shared.guard,
        decided=shared.decided,
    )


def _api(shared: Shared, acceptor: Acceptor) -> Api:
    config = shared.config
    return Api(
        shared.reactor,
        acceptor,
        config.labels,
        shared.metrics,
        trusted_proxies=config.api.trusted_proxies,
        max_body=config.api.max_body,
    )


def _admin(shared: Shared, ways: Ways, callbacks: Callbacks, reporter: Reporter) -> Admin:
    config = shared.config
    return Admin(
        shared.reactor,
        shared.store,
        shared.keys,
        shared.metrics,
        stop_times(config.labels),
        channels=configured(config, ways.by_channel),
        stops=StopOrders(shared.reactor, shared.store, shared.stops, shared.keys, shared.recipients),
        lift_guard=shared.lifted.lift,
        instance=config.gatewayd.instance,
        version=__version__,
        hosts=config.admin.hosts,
        callback_hosts=lambda: {**callbacks.hosts(), **reporter.refusing()},
        directories=shared.directories.trouble,
        degraded=shared.degraded.now,
        recent=shared.recent,
        retention=config.gatewayd.retention,
        decided=shared.decided,
    )


def _returned_mail(shared: Shared, tracker: Tracker) -> ReturnedMail | None:
    config = shared.config
    if config.bounces is None:
        return None
    return ReturnedMail(
        shared.reactor,
        keys=shared.keys,
        domains=return_domains(config),
        evidence=tracker,
        about=shared.store.about,
        max_size=config.bounces.max_size,
        internal_relays=config.bounces.internal_relays,
        meter=shared.metrics,
    )


def _public(shared: Shared, tracker: Tracker, callbacks: Callbacks) -> Public | None:
    config = shared.config
    if config.public is None:
        return None
    return Public(
        shared.reactor,
        shared.keys,
        evidence=tracker,
        esp=config.esp,
        base_url=config.public.base_url,
        claims=EventClaims(shared.link, RedisStore.key_prefix(config.redis.key_prefix), uuid.uuid4().hex),
        ping=shared.store.ping,
        fetch=callbacks.get,
        meter=shared.metrics,
        providers=config.providers,
        about=shared.store.about,
    )


def _listeners(
    shared: Shared, admin: Admin, returned_mail: ReturnedMail | None, public: Public | None, api: Api
) -> Iterator[Listener]:
    """Last in the list, as whoever can be asked must be able to answer; Smartico's comes last of them."""
    reactor, config = shared.reactor, shared.config
    yield Listener(reactor, config.admin.listen, admin.site(reactor), socket_mode=0o660)
    if returned_mail is not None and config.bounces is not None:
        yield Listener(reactor, config.bounces.listen, returned_mail, reuse_port=config.bounces.reuse_port)
    if public is not None and config.public is not None:
        yield Listener(reactor, config.public.listen, public.site(reactor), reuse_port=config.public.reuse_port)
    yield Listener(reactor, config.api.listen, api.site(reactor), reuse_port=config.api.reuse_port)

"""SIGHUP: the configuration is read again and all of it is in force, or, where it has an error, nothing has changed.

Owns what a part is given of the configuration; assembly asks it at the start. What a daemon is connected to, and what
it listens on, stays until a restart; what its listeners show does not.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import partial
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd.bounces.inbound import ReturnedMail
from gatewayd.config import Config, ConfigError, Label, Provider
from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.model import Channel, Degraded
from gatewayd.directories.recipients import Recipients
from gatewayd.evidence.public import PublicPaths
from gatewayd.evidence.track import Tracker
from gatewayd.intake.accept import Acceptor
from gatewayd.intake.api import ApiPaths
from gatewayd.intake.guard import IntakeGuard
from gatewayd.operators.admin import AdminPaths
from gatewayd.operators.audit import AuditLog
from gatewayd.operators.certificates import ListenerCertificates
from gatewayd.operators.degraded import WaysOut
from gatewayd.operators.metrics import Metrics
from gatewayd.operators.systemd import notify
from gatewayd.providers.channel import HttpChannel
from gatewayd.smpp.channel import SmppChannel
from gatewayd.smpp.fit import Fit
from gatewayd.smtp.channel import SmtpChannel
from gatewayd.work.attempts import MessageWork
from gatewayd.work.deliver import Deliverer
from gatewayd.work.report import Reporter

_CONNECTED = ("gatewayd", "redis", "api", "public", "admin", "bounces")
"""Tables that are read when the daemon starts: a listener, the store and the keys stay as they are on a reload."""

_RELOADED: Mapping[str, Mapping[str, Any]] = {
    "api": {"trusted_proxies": ()},
    "bounces": {"max_size": 0, "internal_relays": ()},
}
"""Keys of these tables that a reload does bring into force, with a value that hides them."""

_LACKING = {
    "public": "mails of all labels have no pixel and no unsubscribe link, vendors no URL for reports, ESPs no answer",
    "bounces": "returned mail of all labels finds nobody",
}
"""What goes without a listener that the file has, and that the daemon was started without."""

log = Logger()


class Parts(Struct, frozen=True, kw_only=True):
    """What a reload reaches.

    `make_due` makes the messages of a channel due that wait for another try.
    """

    recipients: Recipients
    guard: IntakeGuard
    acceptor: Acceptor
    deliverer: Deliverer
    tracker: Tracker
    reporter: Reporter
    api: ApiPaths
    admin: AdminPaths
    ways_out: WaysOut
    channels: Mapping[Channel, Any]
    smtp: SmtpChannel
    smpp: SmppChannel
    http: HttpChannel
    im: HttpChannel
    fit: Fit
    public: PublicPaths | None
    returned_mail: ReturnedMail | None
    works: Mapping[Channel, MessageWork]
    audit: AuditLog | None
    certificates: ListenerCertificates
    metrics: Metrics
    make_due: Callable[[Channel], Coroutine[Any, Any, None]]


class Reload:
    """Gives the parts what a new configuration says.

    `read_again` raises ConfigError; `environ` is where systemd named its socket.
    """

    def __init__(
        self, config: Config, read_again: Callable[[], Config], parts: Parts, environ: Mapping[str, str]
    ) -> None:
        self._started = config
        self._config = config
        self._read_again = read_again
        self._parts = parts
        self._environ = environ
        self._refused: tuple[str, ...] = ()

    def degraded(self) -> Iterator[Degraded]:
        """That the file was refused, until a good one is read; that what else it says needs what is not there yet."""
        if self._refused:
            more = f" (and {len(self._refused) - 1} more)" if len(self._refused) > 1 else ""
            text = f"the configuration file was refused, all labels go by the former one: {self._refused[0]}{more}"
            yield Degraded("reload", "configuration", text)
        yield from not_begun(self._started, self._config)

    def run(self) -> None:
        """Read the configuration again, and the audit log's file; what is wrong is logged, a line for each error."""
        notify("RELOADING=1", self._environ)
        if self._parts.audit is not None:
            self._parts.audit.reopen()
        try:
            self._apply(self._read_again())
        except ConfigError as error:
            self._refused = tuple(error.errors)
            for line in error.errors:
                log.error("the configuration is kept as it was: {line}", line=line)
        except Exception as error:
            self._refused = (f"{type(error).__name__}, see the log",)
            log.failure("a bug: the configuration is kept as it was")
        else:
            self._refused = ()
            log.info("the configuration was read again")
        status = "\nSTATUS=" + next(self.degraded()).text if self._refused else ""
        notify(f"READY=1{status}", self._environ)

    def _apply(self, config: Config) -> None:
        parts, labels = self._parts, config.labels
        # First: what is new may fail to open, and then nothing else shall have changed.
        parts.recipients.reconfigure(config.directories, labels)
        for table in awaiting_restart(self._started, config):
            log.warn("[{part}] has changed: that takes a restart", part=table)
        parts.acceptor.reconfigure(labels)
        parts.guard.reconfigure(labels)
        parts.deliverer.reconfigure(labels)
        parts.tracker.reconfigure(labels)
        parts.reporter.reconfigure(labels)
        parts.api.reconfigure(labels, config.api.trusted_proxies)
        parts.admin.reload(stop_times(labels), configured(config, parts.channels))
        parts.ways_out.reconfigure(labels)
        parts.metrics.expect(labels)
        parts.smtp.reconfigure(config.relays, labels)
        parts.fit.reconfigure(config.smscs)
        parts.smpp.reconfigure(config.smscs, labels)
        parts.http.reconfigure(carrying(config, "sms"))
        parts.im.reconfigure(carrying(config, "im"))
        if parts.public is not None:
            parts.public.reload(config.esp, config.providers)
        if parts.returned_mail is not None and config.bounces is not None:
            parts.returned_mail.reconfigure(
                domains=config.return_domains,
                max_size=config.bounces.max_size,
                internal_relays=config.bounces.internal_relays,
            )
        for channel, work in parts.works.items():
            work.reconfigure(policies(config, channel))
        for channel in Channel:
            if any(said(config) != said(self._config) for said in (_ways, _quiet, partial(policies, channel=channel))):
                # Messages were put off by the old rates or refused by what is mended now, perhaps for minutes, are held
                # as the old table said, or wait for a label or route that was not there, or for the end of quiet hours
                # that are others now.
                if channel in parts.works:
                    parts.works[channel].ways_changed()
                done = Deferred.fromCoroutine(parts.make_due(channel)).addErrback(_not_made_due)
                done.addErrback(
                    lambda failure: log.failure(
                        "a bug: messages that wait for a way out keep the time of their next try", failure
                    )
                )
        parts.certificates.reload()
        self._config = config


def awaiting_restart(started: Config, read: Config) -> tuple[str, ...]:
    """The tables of the file in which something differs from what the daemon started with, and runs with still."""
    return tuple(name for name in _CONNECTED if _kept(started, name) != _kept(read, name))


def not_begun(started: Config, read: Config) -> Iterator[Degraded]:
    """The listeners that came into the file since the daemon started, and what goes without them until a restart."""
    for name, lacking in _LACKING.items():
        if getattr(started, name) is None and getattr(read, name) is not None:
            yield Degraded("reload", name, f"[{name}] is new in the file and takes a restart: until then {lacking}")


def _kept(config: Config, name: str) -> Any:
    """A table without what a reload brings into force."""
    table = getattr(config, name)
    return table and table.model_copy(update=_RELOADED.get(name, {}))


def _not_made_due(failure: Failure) -> None:
    failure.trap(StoreUnavailable)
    log.warn("messages that wait for a way out keep the time of their next try: Redis did not answer")


def _ways(config: Config) -> Mapping[str, Any]:
    """By which ways each label sends."""
    return {name: (label.relays, label.sms_routes, label.im_via) for name, label in config.labels.items()}


def _quiet(config: Config) -> Mapping[str, Any]:
    """When each label's campaigns wait."""
    return {name: (label.quiet_hours, label.quiet_timezone) for name, label in config.labels.items()}


def stop_times(labels: Mapping[str, Label]) -> dict[str, float]:
    """Seconds that each label's stop list keeps a player."""
    return {name: label.suppress_for for name, label in labels.items()}


def policies(config: Config, channel: Channel) -> Mapping[str, Any]:
    """How each way out of a channel treats a message whose answer was lost."""
    if channel is Channel.EMAIL:
        return config.relays
    providers = carrying(config, channel)
    return {**config.smscs, **providers} if channel is Channel.SMS else providers


def carrying(config: Config, carries: str) -> dict[str, Provider]:
    """The providers of one kind: sms or im."""
    return {name: table for name, table in config.providers.items() if table.carries == carries}


def configured(config: Config, channels: Mapping[Channel, Any]) -> dict[Channel, Any]:
    """Those of `channels` that have any way out."""
    return {channel: part for channel, part in channels.items() if policies(config, channel)}

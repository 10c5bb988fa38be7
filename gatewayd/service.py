"""`twistd gatewayd`: its options, and makeService, which reads as the parts list.

The only code of the daemon that touches the global reactor, the environment and randomness; every part gets what it
needs as arguments. Owns which parts there are, and the order of starting and stopping; how each is made of the
configuration is assembly's, what a reload changes reload.py's.
"""

import atexit
import os
import random
import re
import sys
import time
import uuid
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

import twisted
from twisted.application.service import IService
from twisted.python import usage

from gatewayd import __version__
from gatewayd.assembly.entrances import (
    make_acceptor,
    make_admin,
    make_api,
    make_listeners,
    make_public,
    make_returned_mail,
)
from gatewayd.assembly.queues import make_keeper, make_queues, make_working
from gatewayd.assembly.shared import Shared, make_shared
from gatewayd.assembly.ways import make_ways
from gatewayd.callbacks import Callbacks
from gatewayd.config import Config, ConfigError
from gatewayd.config.doors import only_by_systemd
from gatewayd.config.wording import meant
from gatewayd.core.drain import DOORS, IN_ALL
from gatewayd.core.log import Logger
from gatewayd.core.regularly import Regularly
from gatewayd.directories.faults import load
from gatewayd.directories.probe import Probe
from gatewayd.evidence.track import Tracker
from gatewayd.evidence.unmatched import UnmatchedReceipts
from gatewayd.http.ports import Listener
from gatewayd.http_client.lookups import in_threads_of_their_own
from gatewayd.intake.guard import LOOK_FOR_LIFTED
from gatewayd.operators.audit import fault_of
from gatewayd.operators.audit_head import HeadKeeper
from gatewayd.operators.certificates import ListenerCertificates
from gatewayd.operators.clock import SteadyClock, WallWatch, set_clock
from gatewayd.operators.daemon import Daemon
from gatewayd.operators.degraded import WaysOut
from gatewayd.operators.heaps import share_heaps
from gatewayd.operators.huge_pages import HugePages
from gatewayd.operators.log import Observer, observer
from gatewayd.operators.systemd import StatusLine, Watchdog
from gatewayd.providers.channel import HttpChannel
from gatewayd.reload import Parts, Reload
from gatewayd.smpp.channel import SmppChannel
from gatewayd.smtp.channel import SmtpChannel
from gatewayd.store.access import known_keys
from gatewayd.store.condition import LOOK_AT_REDIS, Condition
from gatewayd.store.key_marks import KeyMarks
from gatewayd.store.working import SAY_SO_EVERY
from gatewayd.work.outbox import Outbox
from gatewayd.work.report import Reporter

DEFAULT_CONFIG = "/etc/gatewayd/gatewayd.toml"


def _end(text: str, status: int) -> NoReturn:
    """Print `text` and leave with `status`, or with 1 where not all of it could be written."""
    if isinstance(sys.stdout, TextIOWrapper):
        # Keys may hold what an old locale has no letters for.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(text, flush=True)  # noqa: T201
    except OSError as error:
        # What is left in the buffer would fail again when Python ends.
        sys.stdout = None
        if not isinstance(error, BrokenPipeError):
            print(f"twistd gatewayd: not all of it could be written: {error.strerror}", file=sys.stderr)  # noqa: T201
        status = 1
    raise SystemExit(status) from None


class Options(usage.Options):
    """`twistd gatewayd`."""

    longdesc = "Takes emails and SMS from Smartico, sends them, and reports every status back."
    optParameters = [
        ["config", "c", DEFAULT_CONFIG, "the configuration file"],
        ["instance", "i", "", "this process's name among those that share the file; overrides [gatewayd] instance"],
    ]
    optFlags = [["check", None, "read the configuration, print what is wrong with it or `ok`, and end"]]

    def parseOptions(self, options: Any = None) -> None:
        """Read the command line; used wrongly it ends with 2, as gatewayctl does, and not with twistd's 1."""
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            unknown = re.search(r"option --(\S+) not recognized", str(error))
            hint = meant(unknown[1], [name.rstrip("=") for name in self.longOpt]) if unknown else ""
            self._used_wrongly(f"{error}{hint}")

    def opt_version(self) -> NoReturn:
        """Print gatewayd's version, and Twisted's, and end."""
        _end(f"gatewayd {__version__}, Twisted {twisted.__version__}", 0)

    def postOptions(self) -> None:
        """Read the configuration; with --check that is all."""
        try:
            self["loaded"] = self.read()
        except ConfigError as error:
            if self["check"]:
                _end("\n".join(error.errors), 1)
            print("\n".join(error.errors), file=sys.stderr)  # noqa: T201
            raise SystemExit(1) from None
        if self["check"]:
            if fault := fault_of(self["loaded"].gatewayd):
                _end(fault, 1)
            for line in only_by_systemd(self["loaded"].listens):
                print(line, file=sys.stderr)  # noqa: T201
            _end("ok", 0)
        for other in ("syslog", "logger"):
            if (getattr(self, "parent", None) or {}).get(other):
                self._used_wrongly(f"twistd's --{other} would write addresses that exceptions quote; use --logfile")
        # twistd goes to its --rundir before a reload can come.
        self["config"] = str(Path(self["config"]).absolute())

    def _used_wrongly(self, why: str) -> NoReturn:
        print(f"{self.getSynopsis()}\ntwistd gatewayd: {why}", file=sys.stderr)  # noqa: T201
        raise SystemExit(2) from None

    def read(self) -> Config:
        """The configuration. Raises ConfigError with what is wrong, and with what a directory can't be opened for."""
        return load(self["config"], os.environ, self["instance"], again="loaded" in self)


def makeService(options: Options) -> IService:
    """The daemon, for twistd."""
    from twisted.internet import reactor

    share_heaps()
    config: Config = options["loaded"]
    clock = SteadyClock(time.monotonic, time.time)
    set_clock(reactor, clock)
    reactor.installNameResolver(in_threads_of_their_own(reactor))  # type: ignore[attr-defined]
    twistds = getattr(options, "parent", None) or {}
    ours = observer(reactor, twistds, os.environ, config.gatewayd)
    Logger.debugging = ours.debugging
    try:
        daemon = gatewayd(reactor, clock, config, options.read, ours)
    except ConfigError as error:
        print("\n".join(error.errors), file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    daemon.starter_waits = not twistds.get("nodaemon", True)
    return daemon


def gatewayd(
    reactor: Any,
    clock: SteadyClock,
    config: Config,
    read_again: Callable[[], Config],
    observer: Observer | None = None,
) -> Daemon:
    """All parts. `read_again` is how a reload reads the configuration; raises ConfigError as it does.

    The reactor's timers go by `clock`. First what others ask, along a message's way; then what a reload changes, who
    says what does not work, and last the services, in the order in which they start.
    """
    shared = make_shared(reactor, config, random.Random().random, lambda: uuid.uuid4().hex, os.environ)
    callbacks = Callbacks(reactor, shared.jitter, on_return=shared.make_reports_due)
    # Its hosts are not Smartico's: what is wrong with them stops no status to Smartico.
    amazon = Callbacks(reactor, shared.jitter, who="host at Amazon")
    reporter = Reporter(reactor, callbacks, config.labels, shared.make_reports_due)
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
        recorded=shared.statuses.recorded,
        received=shared.statuses.received,
        recipients=shared.recipients,
    )
    ways = make_ways(shared, tracker)
    queues = make_queues(shared, ways, tracker, reporter)
    acceptor = make_acceptor(shared, ways, queues)
    ways_out = WaysOut(ways.by_channel, config.labels, ways.kind_of)
    working = make_working(shared, queues)
    admin = make_admin(shared, ways, ways_out, callbacks, reporter, working.without)
    condition = Condition(reactor, shared.link, config.gatewayd.instance, time.time)
    key_marks = KeyMarks(shared.link, config.gatewayd.instance, known_keys(config))
    api = make_api(shared, acceptor)
    returned_mail = make_returned_mail(shared, tracker)
    public = make_public(shared, ways, tracker, amazon)
    listeners = make_listeners(shared, admin, returned_mail, public, api)
    certificates = ListenerCertificates(reactor, listeners)
    parts = Parts(
        recipients=shared.recipients,
        guard=shared.guard,
        acceptor=acceptor,
        deliverer=queues.deliverer,
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
        works=queues.messages,
        audit=shared.audit,
        certificates=certificates,
        metrics=shared.metrics,
        make_due=lambda channel: shared.store.make_due(channel, every=True),
    )

    head_keeper = _head_keeper(shared)
    reload = Reload(config, read_again, parts, os.environ)
    for says in (
        shared.store.degraded,
        condition.degraded,
        key_marks.degraded,
        ways_out.degraded,
        shared.recipients.degraded,
        shared.guard.degraded,
        callbacks.degraded,
        reporter.degraded,
        unmatched.degraded,
        reload.degraded,
        certificates.degraded,
        api.degraded,
        *((public.degraded,) if public is not None else ()),
        *(one.degraded for one in head_keeper),
        *((observer.degraded,) if observer is not None else ()),
    ):
        shared.degraded.ask(says)

    def draining() -> None:
        acceptor.shutting_down = True
        admin.drain()

    return Daemon(
        reactor,
        os.environ,
        [
            shared.link,
            Regularly(reactor, LOOK_AT_REDIS, condition.look, "looking at Redis"),
            Regularly(reactor, LOOK_AT_REDIS, key_marks.look, "looking for other secret keys"),
            *head_keeper,
            Probe(reactor, shared.recipients),
            callbacks,
            amazon,
            ways.smtp,
            ways.smpp,
            ways.http,
            ways.im,
            make_keeper(shared, queues, tracker),
            *queues.outboxes.values(),
            admin.watch,
            Regularly(reactor, SAY_SO_EVERY, working.look, "saying what this process works on"),
            Regularly(reactor, LOOK_FOR_LIFTED, shared.guard.forget_lifted, "looking at guards"),
            *listeners.values(),
            WallWatch(reactor, clock, shared.look_at_the_time),
            HugePages(reactor),
            Watchdog(reactor, os.environ, os.getpid()),
            StatusLine(reactor, os.environ, admin.status_line),
            *([Regularly(reactor, 5.0, observer.flush, "flushing the log")] if observer is not None else []),
        ],
        name=f"gatewayd {__version__} runs as {config.gatewayd.instance}",
        together=(((Listener,), DOORS), ((Outbox, SmtpChannel, SmppChannel, HttpChannel), IN_ALL)),
        draining=draining,
        closing=shared.close,
        reload=reload.run,
        failing=exit_with_1,
        observer=observer,
    )


def exit_with_1() -> None:
    """Once twistd, whose own status says nothing of how it went, has cleaned up."""
    atexit.register(os._exit, 1)


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

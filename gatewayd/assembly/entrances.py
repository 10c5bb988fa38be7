"""Whoever may speak to us: Smartico, operators, returned mail, the world; and where each of them is listened for."""

from collections.abc import Callable, Collection

from gatewayd import __version__
from gatewayd.assembly.queues import Queues
from gatewayd.assembly.shared import Shared
from gatewayd.assembly.ways import Ways
from gatewayd.bounces.inbound import ReturnedMail
from gatewayd.callbacks import Callbacks
from gatewayd.evidence.public import PublicPaths
from gatewayd.evidence.track import Tracker
from gatewayd.http.ports import Listener
from gatewayd.intake.accept import Acceptor
from gatewayd.intake.api import ApiPaths
from gatewayd.operators.admin import AdminPaths
from gatewayd.operators.degraded import WaysOut
from gatewayd.operators.figures import Watch
from gatewayd.operators.stop_orders import StopOrders
from gatewayd.reload import configured, stop_times
from gatewayd.store.claims import EventClaims
from gatewayd.work.report import Reporter


def make_acceptor(shared: Shared, ways: Ways, queues: Queues) -> Acceptor:
    """Who takes messages on, and gives them to the queues that this process works on."""
    return Acceptor(
        shared.reactor,
        shared.store,
        shared.recipients,
        shared.keys,
        shared.config.labels,
        fit=ways.fit,
        outboxes={channel: queues.outboxes[channel] for channel in queues.messages},
        consent=shared.consent,
        guard=shared.guard,
        decided=shared.decided,
    )


def make_api(shared: Shared, acceptor: Acceptor) -> ApiPaths:
    """Smartico's."""
    config = shared.config
    return ApiPaths(
        shared.reactor,
        acceptor,
        config.labels,
        shared.metrics,
        trusted_proxies=config.api.trusted_proxies,
        max_body=config.api.max_body,
    )


def make_admin(
    shared: Shared,
    ways: Ways,
    ways_out: WaysOut,
    callbacks: Callbacks,
    reporter: Reporter,
    without_work: Callable[[], Collection[str]],
) -> AdminPaths:
    """Operators'."""
    config = shared.config
    labels = stop_times(config.labels)
    watch = Watch(
        shared.reactor,
        shared.store,
        configured(config, ways.by_channel),
        shared.metrics,
        callback_hosts=lambda: {**callbacks.hosts(), **reporter.refusing()},
        directories=shared.directories.trouble,
        degraded=shared.degraded.now,
        why_left=ways_out.why_left,
        max_queued=config.redis.max_queued,
        without_work=without_work,
    )
    return AdminPaths(
        shared.reactor,
        shared.store,
        shared.keys,
        shared.metrics,
        labels,
        watch,
        stops=StopOrders(shared.reactor, shared.store, shared.stops, shared.keys, shared.recipients, shared.decided),
        lift_guard=shared.guard.lift,
        instance=config.gatewayd.instance,
        version=__version__,
        hosts=config.admin.hosts,
        recent=shared.recent,
        retention=config.gatewayd.retention,
        decided=shared.decided,
    )


def make_returned_mail(shared: Shared, tracker: Tracker) -> ReturnedMail | None:
    """Returned mail's, where there is [bounces]."""
    config = shared.config
    if config.bounces is None:
        return None
    return ReturnedMail(
        shared.reactor,
        keys=shared.keys,
        domains=config.return_domains,
        evidence=tracker,
        about=shared.store.about,
        max_size=config.bounces.max_size,
        internal_relays=config.bounces.internal_relays,
        meter=shared.metrics,
    )


def make_public(shared: Shared, ways: Ways, tracker: Tracker, amazon: Callbacks) -> PublicPaths | None:
    """The world's, where there is [public]."""
    config = shared.config
    if config.public is None:
        return None
    return PublicPaths(
        shared.reactor,
        shared.keys,
        evidence=tracker,
        esp=config.esp,
        base_url=config.public.base_url,
        claims=EventClaims(shared.link, shared.unique()),
        ping=shared.store.ping,
        fetch=amazon.get,
        meter=shared.metrics,
        providers=config.providers,
        about=shared.store.about,
        mails_out=ways.smtp.handed_by,
    )


def make_listeners(
    shared: Shared, admin: AdminPaths, returned_mail: ReturnedMail | None, public: PublicPaths | None, api: ApiPaths
) -> dict[str, Listener]:
    """By the names of their tables. Last of what starts, as whoever can be asked must be able to answer; Smartico's
    comes last of them.
    """
    reactor, config = shared.reactor, shared.config
    found = {"admin": Listener(reactor, config.admin.listen, admin.site(reactor), socket_mode=0o660)}
    if returned_mail is not None and config.bounces is not None:
        found["bounces"] = Listener(reactor, config.bounces.listen, returned_mail, reuse_port=config.bounces.reuse_port)
    if public is not None and config.public is not None:
        site = public.site(reactor)
        found["public"] = Listener(reactor, config.public.listen, site, reuse_port=config.public.reuse_port)
    found["api"] = Listener(reactor, config.api.listen, api.site(reactor), reuse_port=config.api.reuse_port)
    return found

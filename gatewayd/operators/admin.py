"""The admin listener: health and metrics, and the paths of the verbs of gatewayctl and the pages of the dashboard.

Owns the table of this listener's paths, and where every failure becomes an answer; what is answered is for verbs.py,
player_verbs.py and pages.py, who may ask at all for houserules.py.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any
from urllib.parse import unquote

from klein import Klein
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException

from gatewayd.core.errors import StoreUnavailable, StoreUntouched
from gatewayd.core.interfaces import Decided, IChannel, IShownToPeople, unrecorded
from gatewayd.core.model import Channel
from gatewayd.core.tokens import Keys
from gatewayd.http.door import Answer
from gatewayd.http.routes import Route, Routes, static_routes
from gatewayd.http.site import Site
from gatewayd.operators.figures import Watch
from gatewayd.operators.houserules import MAX_BODY, Endpoint, HouseDoor, json_answer
from gatewayd.operators.known_labels import KnownLabels
from gatewayd.operators.message_orders import MessageOrders
from gatewayd.operators.metrics import Metrics
from gatewayd.operators.orders import Wrong
from gatewayd.operators.pages import PAGES, BrowserPages
from gatewayd.operators.player_verbs import PlayerVerbs
from gatewayd.operators.recent import RecentTroubles
from gatewayd.operators.stop_orders import StopOrders
from gatewayd.operators.verbs import Verbs

log = Logger()
_MESSAGE = "/messages/<path:name>"
_STATIC = "/static/<name>"

Reply = Any
"""An Answer: Routes takes it, Klein's own types do not know it."""


class AdminPaths:
    """Everything behind the admin listener.

    `labels` says for each label how many seconds its stop list keeps a player. `hosts` are further names under which
    browsers may ask for this listener, beside addresses, localhost and names that no stranger can own.
    """

    def __init__(
        self,
        clock: IReactorTime,
        store: IShownToPeople,
        keys: Keys,
        metrics: Metrics,
        labels: Mapping[str, float],
        watch: Watch,
        *,
        stops: StopOrders,
        lift_guard: Callable[[str, float], Awaitable[bool]],
        instance: str,
        version: str,
        hosts: Sequence[str] = (),
        recent: RecentTroubles,
        retention: float = 7 * 86400.0,
        decided: Decided = unrecorded,
    ) -> None:
        self._metrics = metrics
        self._labels = labels
        self._hosts = frozenset(hosts)
        self._draining = False
        self.watch = watch
        known = KnownLabels(store, self._labels_now, stops.has_any)
        orders = MessageOrders(store, keys, known, decided, retention=retention)
        verbs = Verbs(
            store,
            watch,
            self._labels_now,
            orders,
            known,
            lift_guard=lift_guard,
            decided=decided,
            with_draining=self._with_draining,
            instance=instance,
            version=version,
        )
        players = PlayerVerbs(store, keys, self._labels_now, known, stops, decided, watch.unused)
        self._pages = BrowserPages(
            clock,
            store,
            watch,
            self._labels_now,
            orders,
            known,
            recent,
            with_draining=self._with_draining,
            instance=instance,
            version=version,
            # A keyed hash that no stranger's page can know; the same in every process, as one proxy may face several.
            token=keys.user_hashes("\0form", "\0admin")[0],
        )
        self._app = self._answered_by(
            chain(self._endpoints(), verbs.endpoints(), players.endpoints(), self._pages.endpoints())
        )
        self._routes = static_routes(self._app)

    def _endpoints(self) -> Iterable[Endpoint]:
        return (
            ("GET", "/healthz", self.healthz),
            ("GET", "/readyz", self.readyz),
            ("GET", "/metrics", self.metrics),
        )

    def _answered_by(self, endpoints: Iterable[Endpoint]) -> Klein:
        """All paths of the listener as one app, in which an endpoint's name is its path."""
        app = Klein()
        for method, path, endpoint in endpoints:
            app.route(path, methods=[method], endpoint=path)(endpoint)
        # The first whose exception fits is the one that answers.
        app.handle_errors(Wrong)(self.wrong)
        app.handle_errors(StoreUnavailable)(self.unavailable)
        app.handle_errors(HTTPException)(self.no_such_path)
        app.handle_errors(Exception)(self.bug)
        return app

    def _labels_now(self) -> Mapping[str, float]:
        return self._labels

    def site(self, reactor: Any) -> Site:
        """What the listener serves, with its door."""
        routes = Routes(self._app, self._find)
        return Site(reactor, routes.answer, name="admin", max_body=MAX_BODY, door=HouseDoor(self._hosts))

    def _find(self, method: bytes, path: bytes) -> Route | None:
        """The way to an endpoint that a caller's hanging up does not cancel; an id may hold any character."""
        if path.startswith(b"/messages/") and method in (b"GET", b"HEAD"):
            return _MESSAGE, {"name": unquote(path[10:].decode("ascii", "replace"))}
        if path in self._pages.static_files and method in (b"GET", b"HEAD"):
            return _STATIC, {"name": path.decode().removeprefix("/static/")}
        return self._routes(method, path)

    def reload(self, labels: Mapping[str, float], channels: Mapping[Channel, IChannel] | None = None) -> None:
        """Use these labels from now on; with `channels`, these ways out too."""
        self._labels = labels
        if channels is not None:
            self.watch.channels = channels

    def drain(self) -> None:
        """Be not ready from now on: this process is about to stop."""
        self._draining = True

    def status_line(self) -> str:
        """How this process is, in one line for systemd."""
        return "draining" if self._draining else self.watch.line()

    # Health and figures ------------------------------------------------------------------------------------------

    def healthz(self, request: IRequest) -> Answer:
        """200 while the reactor turns: that this answers at all is the fact."""
        return json_answer({"healthy": True})

    async def readyz(self, request: IRequest) -> Answer:
        """200 where messages can be taken and sent now, else 503 and why; and what does not work for somebody."""
        reasons = self._with_draining(await self.watch.reasons())
        degraded = [one.text for one in self.watch.degraded()]
        return json_answer({"ready": not reasons, "reasons": reasons, "degraded": degraded}, 503 if reasons else 200)

    def _with_draining(self, reasons: tuple[str, ...]) -> tuple[str, ...]:
        return (*reasons, "draining: this process is about to stop") if self._draining else reasons

    async def metrics(self, request: IRequest) -> Answer:
        """The registry in Prometheus's text form, with a fresh look at what is not counted as it happens."""
        await self.watch.look()
        return Answer(generate_latest(self._metrics.registry), content_type=CONTENT_TYPE_LATEST.encode())

    # Where every failure becomes an answer -----------------------------------------------------------------------

    def wrong(self, request: IRequest, failure: Any) -> Reply:
        """What we refuse."""
        return self._in_words(request, failure.value.status, failure.value.message)

    def unavailable(self, request: IRequest, failure: Any) -> Reply:
        """Redis is silent. Whether an order that was given was carried out is not always known."""
        what = "nothing was done" if failure.check(StoreUntouched) else "it may have been done, or not"
        again = f"{what}; ask again once gatewayctl status says that Redis answers"
        return self._in_words(request, 503, f"gatewayd has no answer from its Redis: {failure.value} ({again})")

    def _in_words(self, request: IRequest, status: int, message: str) -> Answer:
        """A page where a page was asked for, else JSON."""
        if request.path in PAGES:
            return self._pages.notice(message, status)
        return json_answer({"error": message}, status)

    def no_such_path(self, request: IRequest, failure: Any) -> Reply:
        """404 and 405."""
        return json_answer({"error": failure.value.name.lower()}, failure.value.code)

    def bug(self, request: IRequest, failure: Any) -> Reply:
        """Anything else is ours to mend."""
        log.failure("a bug: a request to the admin listener was answered 500", failure=failure)
        return self._in_words(request, 500, "internal error; the log has it")

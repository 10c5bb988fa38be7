"""The admin listener: health, metrics, timelines, the verbs of gatewayctl, and the pages of the dashboard.

Owns the paths of this listener and who may ask on them. Knows the store and the channels only by their interfaces,
and no configuration but the few values that it is given. There is no log-in: the listener is for loopback or for a
reverse proxy that has one. What a browser must not be tricked into (a foreign page's form, a foreign name that
resolves to us) is refused here.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from hmac import compare_digest
from typing import Any
from urllib.parse import quote, unquote

from klein import Klein
from msgspec.structs import replace
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException

from gatewayd.core.errors import StoreUnavailable
from gatewayd.core.interfaces import Decided, IChannel, IStore, unrecorded
from gatewayd.core.model import Channel, Decision, Degraded, Json, Trace
from gatewayd.core.timeline import in_words
from gatewayd.core.tokens import Keys
from gatewayd.http.door import Answer
from gatewayd.http.routes import Route, Routes, static_routes
from gatewayd.http.site import Site
from gatewayd.operators.actions import ACTIONS, PAGES
from gatewayd.operators.dashboard import LISTED, SPANS, Lists, Pages, age
from gatewayd.operators.figures import DEAD_LIMIT, Watch
from gatewayd.operators.houserules import MAX_BODY, HouseDoor, asset, json_answer, page, see_other
from gatewayd.operators.metrics import Metrics
from gatewayd.operators.orders import Letter, Lift, Player, Span, Switch, Wrong, asked, body, channels, form
from gatewayd.operators.recent import Recent
from gatewayd.operators.shapes import dead_json, kept_json, status_json, stopped_json, trace_json
from gatewayd.operators.stop_orders import MOST_ROWS, StopOrders, StopsAsked, StopsBrought

log = Logger()
_DEAD_VERBS = ("retry", "drop")
Reply = Any
"""An Answer: Routes takes it, Klein's own types do not know it."""

_ALL = tuple(Channel)


class Admin:
    """Everything behind the admin listener.

    `labels` says for each label how many seconds its stop list keeps a player. `hosts` are further names under which
    browsers may ask for this listener, beside addresses, localhost and names that no stranger can own.
    `callback_hosts` says of each host that this process called back, `directories` of each directory, why it is down.
    """

    app = Klein()

    def __init__(
        self,
        clock: IReactorTime,
        store: IStore,
        keys: Keys,
        metrics: Metrics,
        labels: Mapping[str, float],
        *,
        channels: Mapping[Channel, IChannel],
        stops: StopOrders,
        lift_guard: Callable[[str, float], Awaitable[None]],
        instance: str,
        version: str,
        hosts: Sequence[str] = (),
        callback_hosts: Callable[[], Mapping[str, str]] = dict,
        directories: Callable[[], Mapping[str, str]] = dict,
        degraded: Callable[[], tuple[Degraded, ...]] = tuple,
        recent: Recent | None = None,
        retention: float = 7 * 86400.0,
        decided: Decided = unrecorded,
    ) -> None:
        self._clock = clock
        self._store = store
        self._keys = keys
        self._metrics = metrics
        self._labels = labels
        self._stop_orders = stops
        self._lift_guard = lift_guard
        self._instance = instance
        self._version = version
        self._decided = decided
        self._recent = recent or Recent(clock, decided)
        self._retention = retention
        self._hosts = frozenset(hosts)
        self._draining = False
        self._routes = static_routes(self.app)
        # A keyed hash that no page of a stranger's can know; the same in every process, as one proxy may face several.
        self._token = keys.user_hashes("\0form", "\0admin")[0]
        self._pages = Pages(instance=instance, version=version, token=self._token)
        self._static_files = {f"/static/{name}".encode(): asset(*file) for name, file in self._pages.static.items()}
        self.watch = Watch(
            clock,
            store,
            channels,
            metrics,
            callback_hosts=callback_hosts,
            directories=directories,
            degraded=degraded,
            labels=lambda: self._labels,
        )

    def site(self, reactor: Any) -> Site:
        """What the listener serves, with its door."""
        routes = Routes(self.app, self._find)
        return Site(reactor, routes.answer, name="admin", max_body=MAX_BODY, door=HouseDoor(self._hosts))

    def _find(self, method: bytes, path: bytes) -> Route | None:
        """The way to an endpoint that a caller's hanging up does not cancel; an id may hold any character."""
        if path.startswith(b"/messages/") and method in (b"GET", b"HEAD"):
            return "message", {"name": unquote(path[10:].decode("ascii", "replace"))}
        if path in self._static_files and method in (b"GET", b"HEAD"):
            return "static", {"name": path.decode()}
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

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: IRequest) -> Reply:
        """200 while the reactor turns: that this answers at all is the fact."""
        return json_answer({"healthy": True})

    @app.route("/readyz", methods=["GET"])
    async def readyz(self, request: IRequest) -> Reply:
        """200 where messages can be taken and sent now, else 503 and why; and what does not work for somebody."""
        reasons = self._and_draining(await self.watch.reasons())
        degraded = [one.text for one in self.watch.degraded()]
        return json_answer({"ready": not reasons, "reasons": reasons, "degraded": degraded}, 503 if reasons else 200)

    def _and_draining(self, reasons: tuple[str, ...]) -> tuple[str, ...]:
        return (*reasons, "draining: this process is about to stop") if self._draining else reasons

    @app.route("/metrics", methods=["GET"])
    async def metrics(self, request: IRequest) -> Reply:
        """The registry in Prometheus's text form, with a fresh look at what is not counted as it happens."""
        await self.watch.look()
        return Answer(generate_latest(self._metrics.registry), content_type=CONTENT_TYPE_LATEST.encode())

    @app.route("/verbs/status", methods=["GET"])
    async def status(self, request: IRequest) -> Reply:
        """All that the dashboard shows, for programs."""
        snapshot = await self.watch.look()
        reasons = self._and_draining(snapshot.reasons())
        told = status_json(
            snapshot,
            self.watch.samples,
            self._labels,
            instance=self._instance,
            version=self._version,
            reasons=reasons,
        )
        return json_answer(told)

    # One message -------------------------------------------------------------------------------------------------

    @app.route("/messages/<path:name>", methods=["GET"])
    async def message(self, request: IRequest, name: str) -> Reply:
        """The timeline of one message, by our id or by the caller's uid."""
        return json_answer(trace_json(await self._trace(name)))

    async def _trace(self, name: str) -> Trace:
        ids = [name.lower()]
        for label in self._labels:
            for channel in _ALL:
                ids += self._keys.message_ids(label, channel, name)
        trace = await self._store.trace(ids)
        if trace is None:
            raise Wrong(
                404,
                "no message with this id or uid is kept. Requests that were refused never are (the log has a line for"
                f" each, and the overview those of late); others are for {age(self._retention)} after their end",
            )
        return in_words(trace)

    @app.route("/verbs/record", methods=["GET"])
    async def record(self, request: IRequest) -> Reply:
        """One message's record as the store keeps it, by the names of its legend: for support."""
        trace = await self._trace(asked(request, "id").strip())
        found = await self._store.fields(trace.ext_message_id)
        told: Json = {"ext_message_id": trace.ext_message_id, "record": dict(found)}
        return json_answer(told)

    # Dead letters ------------------------------------------------------------------------------------------------

    @app.route("/verbs/dead-letters", methods=["GET"])
    async def dead_letters(self, request: IRequest) -> Reply:
        """The newest dead letters; `limit` in the query says how many (1 to 100000, default 100)."""
        text = (request.args or {}).get(b"limit", [b"100"])[0]
        limit = int(text) if text.isdigit() and len(text) <= 6 else 0
        if not 1 <= limit <= 100_000:
            raise Wrong(400, "limit must be a number from 1 to 100000")
        letters = await self._store.dead_letters(limit)
        return json_answer({"dead_letters": [dead_json(letter) for letter in letters]})

    @app.route("/verbs/dead-letters/retry", methods=["POST"])
    async def retry_dead(self, request: IRequest) -> Reply:
        """Queue a message's dead statuses again."""
        return await self._dead_letter("retry", body(request, Letter).id)

    @app.route("/verbs/dead-letters/drop", methods=["POST"])
    async def drop_dead(self, request: IRequest) -> Reply:
        """Forget a message's dead statuses."""
        return await self._dead_letter("drop", body(request, Letter).id)

    async def _dead_letter(self, verb: str, message_id: str) -> Answer:
        work, done = (self._store.retry_dead, "retried") if verb == "retry" else (self._store.drop_dead, "dropped")
        if not await work(message_id):
            raise Wrong(404, "this message has no dead letter")
        log.info("Dead letters of {message_id} {done} by an operator", message_id=message_id, done=done)
        return json_answer({"ext_message_id": message_id, "done": done})

    # Players -----------------------------------------------------------------------------------------------------

    @app.route("/verbs/suppress", methods=["POST"])
    async def suppress(self, request: IRequest) -> Reply:
        """Put a player on a label's stop list."""
        player = self._player(request)
        await self._stop_orders.put(player, self._labels[player.label])
        return json_answer({"label": player.label, "suppressed": channels(player.channel)})

    @app.route("/verbs/unsuppress", methods=["POST"])
    async def unsuppress(self, request: IRequest) -> Reply:
        """Take a player off a label's stop list; tells where they were on it."""
        player = self._player(request)
        return json_answer({"label": player.label, "unsuppressed": await self._stop_orders.take_off(player)})

    def _hashes(self, player: Player) -> tuple[str, ...]:
        return self._keys.user_hashes(player.label, player.ext_user_id)

    @app.route("/verbs/stops", methods=["POST"])
    async def stops(self, request: IRequest) -> Reply:
        """One step over a label's stop list; the asker goes on as with an erasure."""
        order = body(request, StopsAsked)
        self._known_label(order.label)
        return json_answer(await self._stop_orders.page(order))

    @app.route("/verbs/stops/import", methods=["POST"])
    async def import_stops(self, request: IRequest) -> Reply:
        """Put many on a label's stop list."""
        order = body(request, StopsBrought)
        self._known_label(order.label)
        if len(order.rows) > MOST_ROWS:
            raise Wrong(400, f"no more than {MOST_ROWS} rows at once")
        return json_answer(await self._stop_orders.bring(order, self._labels[order.label]))

    @app.route("/verbs/guard", methods=["POST"])
    async def guard(self, request: IRequest) -> Reply:
        """Lift a label's guard (intake_rate) for a time."""
        order = body(request, Lift)
        self._known_label(order.label)
        await self._lift_guard(order.label, order.seconds)
        log.info(
            "the guard of {label} is lifted for {seconds} s by an operator", label=order.label, seconds=order.seconds
        )
        return json_answer({"label": order.label, "lifted_for_seconds": order.seconds})

    @app.route("/verbs/erase", methods=["POST"])
    async def erase(self, request: IRequest) -> Reply:
        """One step of an erasure; the asker goes on with the answer's cursor until that is "0" again.

        The first tells how else the directory spells the id: what is stored under that is to be erased besides.
        """
        player = self._player(request)
        also: list[str] = []
        if player.cursor == "0":
            log.info("A player of {label} is being erased by an operator", label=player.label)
            users = await self._stop_orders.spellings(player.label, player.ext_user_id)
            await self._stop_orders.forget(player.label, users)
            also = [user for user in users if user != player.ext_user_id]
        cursor, erased = await self._store.erase_some(
            player.cursor, player.label, player.ext_user_id, hashes=self._hashes(player)
        )
        for message_id, channel in erased.ended:
            self._decided(Decision("failed", player.label, channel, message_id, reason="erased by an operator"))
        return json_answer(
            {
                "cursor": cursor,
                "seen": erased.seen,
                "removed": erased.removed,
                "waiting": erased.waiting,
                "also": also,
            }
        )

    @app.route("/verbs/export", methods=["POST"])
    async def export(self, request: IRequest) -> Reply:
        """One step of an export; the asker goes on as with an erasure. The first has the stop list besides."""
        player = self._player(request)
        cursor, seen, found = await self._store.export_some(
            player.cursor, player.label, player.ext_user_id, hashes=self._hashes(player)
        )
        told: Json = {
            "cursor": cursor,
            "seen": seen,
            "messages": [kept_json(replace(one, trace=in_words(one.trace))) for one in found],
        }
        if player.cursor == "0":
            log.info("A player of {label} is being exported by an operator", label=player.label)
            users = await self._stop_orders.spellings(player.label, player.ext_user_id)
            names = self._keys.stop_hashes(player.label, users, "")
            told["also"] = [user for user in users if user != player.ext_user_id]
            told["stop_list"] = {
                channel: stopped_json(await self._store.stopped(player.label, channel, names)) for channel in _ALL
            }
        return json_answer(told)

    @app.route("/verbs/replay", methods=["POST"])
    async def replay(self, request: IRequest) -> Reply:
        """One step of telling statuses again; the asker goes on as with an erasure."""
        span = body(request, Span)
        if span.label:
            self._known_label(span.label)
        if not 0 <= span.since < span.until:
            raise Wrong(400, "since must be before until")
        cursor, queued = await self._store.replay_some(span.cursor, span.label, span.since, span.until)
        if span.cursor == "0":
            log.info("Statuses of {label} are told again by an operator", label=span.label or "all labels")
        return json_answer({"cursor": cursor, "queued": queued})

    def _player(self, request: IRequest) -> Player:
        player = body(request, Player)
        self._known_label(player.label)
        if not player.ext_user_id:
            raise Wrong(400, "ext_user_id is empty")
        return player

    # Kill switch -------------------------------------------------------------------------------------------------

    @app.route("/verbs/pause", methods=["POST"])
    async def pause(self, request: IRequest) -> Reply:
        """Let a label's accepted messages wait."""
        switch = body(request, Switch)
        return json_answer({"label": switch.label, "paused": await self._switch(switch, on=False)})

    @app.route("/verbs/resume", methods=["POST"])
    async def resume(self, request: IRequest) -> Reply:
        """Let them go on."""
        switch = body(request, Switch)
        return json_answer({"label": switch.label, "resumed": await self._switch(switch, on=True)})

    async def _switch(self, switch: Switch, *, on: bool) -> tuple[Channel, ...]:
        self._known_label(switch.label)
        verb = self._store.resume if on else self._store.pause
        for channel in channels(switch.channel):
            await verb(switch.label, channel)
            log.info(
                "{label}/{channel} {done} by an operator",
                label=switch.label,
                channel=channel,
                done="resumed" if on else "paused",
            )
        return channels(switch.channel)

    def _known_label(self, label: str) -> None:
        if label not in self._labels:
            raise Wrong(404, f"there is no label {label!r}")

    # Pages -------------------------------------------------------------------------------------------------------

    @app.route("/", methods=["GET"])
    async def overview(self, request: IRequest) -> Reply:
        """The dashboard; `span` in the query says how much of the past the plots show."""
        snapshot = await self.watch.look()
        reasons = self._and_draining(snapshot.reasons())
        # The shortest that holds all that is known, so that the first minutes of a new process fill a plot too.
        fitting = next((name for name, seconds in SPANS.items() if seconds >= self.watch.watched()), "2h")
        span = asked(request, "span", fitting)
        if span not in SPANS:
            raise Wrong(400, f"span must be one of {', '.join(SPANS)}")
        lists = await self._lists(redis=not snapshot.redis_trouble)
        return page(self._pages.overview(snapshot, self.watch.samples, self._labels, reasons, span, lists))

    async def _lists(self, *, redis: bool) -> Lists:
        waiting: list[Trace] = []
        if redis:
            try:
                waiting = await self._store.longest_waiting(LISTED)
            except StoreUnavailable:
                # It went away since the snapshot: the next look says so.
                log.debug("the messages that wait longest could not be read")
        return Lists(tuple(waiting), tuple(self._recent.failed(LISTED)), tuple(self._recent.refused(LISTED)))

    @app.route("/static/<name>", methods=["GET"])
    def static(self, request: IRequest, name: str) -> Reply:
        """Style sheet, script and icon."""
        return self._static_files[name.encode()]

    @app.route("/trace", methods=["GET"])
    async def trace_page(self, request: IRequest) -> Reply:
        """One message's timeline, by our id or the caller's uid."""
        trace = await self._trace(asked(request, "id").strip())
        waiting = await self._store.waiting(trace.ext_message_id, trace.channel)
        return page(self._pages.timeline(trace, waiting, self._clock.seconds()))

    @app.route("/dead-letters", methods=["GET"])
    async def dead_letters_page(self, request: IRequest) -> Reply:
        """What was given up."""
        letters = await self._store.dead_letters(DEAD_LIMIT)
        return page(self._pages.dead_letters(letters, more=len(letters) == DEAD_LIMIT))

    @app.route("/confirm", methods=["GET"])
    def confirm(self, request: IRequest) -> Reply:
        """Asks before a verb is done."""
        verb = asked(request, "verb")
        action = ACTIONS.get(verb)
        if action is None:
            raise Wrong(404, "there is no such verb")
        fields = {name: asked(request, name) for name in action.fields}
        self._check_switch(fields)
        question = action.question.format(**fields)
        return page(self._pages.confirm(question, action.consequence, action.button, {"verb": verb, **fields}))

    @app.route("/do", methods=["POST"])
    async def do(self, request: IRequest) -> Reply:
        """Does what /confirm asked about, and goes back to where that shows."""
        fields = form(request)
        if not compare_digest(fields.get("token", "").encode(), self._token.encode()):
            raise Wrong(403, "this form is not one of ours, or it is from before a change of key: load the page again")
        verb = fields.get("verb", "")
        if verb in ("pause", "resume"):
            self._check_switch(fields)
            await self._switch(Switch(fields["label"], Channel(fields["channel"])), on=verb == "resume")
            return see_other(b"/")
        if verb == "retry-all":
            for message_id in {letter.message_id for letter in await self._store.dead_letters(DEAD_LIMIT)}:
                await self._store.retry_dead(message_id)
        elif verb == "try-now":
            message_id = fields.get("id", "")
            trace = await self._trace(message_id)
            if not await self._store.try_now(trace.ext_message_id, trace.channel):
                raise Wrong(409, "this message does not wait for another try")
            log.info("{message_id} is tried now, by an operator", message_id=trace.ext_message_id)
            return see_other(b"/trace?id=" + quote(trace.ext_message_id).encode())
        elif verb in _DEAD_VERBS:
            await self._dead_letter(verb, fields.get("id", ""))
        else:
            raise Wrong(404, "there is no such verb")
        return see_other(b"/dead-letters")

    def _check_switch(self, fields: Mapping[str, str]) -> None:
        """Raises Wrong where a form names a label or channel that is not there."""
        if "label" in fields:
            self._known_label(fields["label"])
        if fields.get("channel", "email") not in _ALL:
            raise Wrong(400, "channel must be email or sms")

    # Where every failure becomes an answer -----------------------------------------------------------------------

    @app.handle_errors(Wrong)
    def wrong(self, request: IRequest, failure: Any) -> Reply:
        """What we refuse."""
        return self._in_words(request, failure.value.status, failure.value.message)

    @app.handle_errors(StoreUnavailable)
    def unavailable(self, request: IRequest, failure: Any) -> Reply:
        """Redis is silent: nothing is known to have happened."""
        return self._in_words(request, 503, f"redis: {failure.value}")

    def _in_words(self, request: IRequest, status: int, message: str) -> Answer:
        """A page where a page was asked for, else JSON."""
        if request.path in PAGES:
            return page(self._pages.notice("That did not work", message), status)
        return json_answer({"error": message}, status)

    @app.handle_errors(HTTPException)
    def no_such_path(self, request: IRequest, failure: Any) -> Reply:
        """404 and 405."""
        return json_answer({"error": failure.value.name.lower()}, failure.value.code)

    @app.handle_errors(Exception)
    def bug(self, request: IRequest, failure: Any) -> Reply:
        """Anything else is ours to mend."""
        log.failure("The admin listener failed", failure=failure)
        return self._in_words(request, 500, "internal error; the log has it")

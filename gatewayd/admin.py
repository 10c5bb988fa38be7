"""The admin listener: health, metrics, timelines, the verbs of gatewayctl, and the pages of the dashboard.

Owns the paths of this listener and who may ask on them. Knows the store and the channels only by their interfaces,
and no configuration but the few values that it is given. There is no log-in: the listener is for loopback or for a
reverse proxy that has one. What a browser must not be tricked into (a foreign page's form, a foreign name that
resolves to us) is refused here.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec
from klein import Klein
from msgspec import Struct
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException

from gatewayd.errors import StoreUnavailable
from gatewayd.figures import Watch
from gatewayd.houserules import MAX_BODY, HouseDoor, json_answer
from gatewayd.interfaces import IChannel, IStore
from gatewayd.metrics import Metrics
from gatewayd.model import Channel, Trace
from gatewayd.shapes import dead_json, status_json, trace_json
from gatewayd.tokens import Keys
from gatewayd.web import Answer, LeanResource, LeanSite, Route, static_routes

log = Logger()
Body = TypeVar("Body", bound=Struct)
Reply = Any
"""An Answer: LeanResource takes it, Klein's own types do not know it."""

_BOTH = tuple(Channel)


class Wrong(Exception):
    """The asker is told `message` with HTTP status `status`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


class Player(Struct, forbid_unknown_fields=True):
    """Body of suppress, unsuppress and erase. `cursor` goes on with an erasure; `channel` missing means both."""

    label: str
    ext_user_id: str
    channel: Channel | None = None
    cursor: str = "0"


class Switch(Struct, forbid_unknown_fields=True):
    """Body of pause and resume."""

    label: str
    channel: Channel | None = None


class Letter(Struct, forbid_unknown_fields=True):
    """Body of dead-letters/retry and drop."""

    id: str


class Admin:
    """Everything behind the admin listener.

    `labels` says for each label how many seconds its stop list keeps a player. `hosts` are further names under which
    browsers may ask for this listener, beside addresses, localhost and names that no stranger can own.
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
        instance: str,
        version: str,
        hosts: Sequence[str] = (),
    ) -> None:
        self._clock = clock
        self._store = store
        self._keys = keys
        self._metrics = metrics
        self._labels = labels
        self._instance = instance
        self._version = version
        self._hosts = frozenset(hosts)
        self._draining = False
        self._static = static_routes(self.app)
        self.watch = Watch(clock, store, channels, metrics)

    def site(self, reactor: Any) -> LeanSite:
        """What the listener serves, with its door."""
        return LeanSite(reactor, LeanResource(self.app, self._find), max_body=MAX_BODY, door=HouseDoor(self._hosts))

    def _find(self, method: bytes, path: bytes) -> Route | None:
        """The way to an endpoint that a caller's hanging up does not cancel; an id may hold any character."""
        if path.startswith(b"/messages/") and method in (b"GET", b"HEAD"):
            return "message", {"name": unquote(path[10:].decode("ascii", "replace"))}
        return self._static(method, path)

    def reload(self, labels: Mapping[str, float]) -> None:
        """Use these labels from now on."""
        self._labels = labels

    def drain(self) -> None:
        """Be not ready from now on: this process is about to stop."""
        self._draining = True

    # Health and figures ------------------------------------------------------------------------------------------

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: IRequest) -> Reply:
        """200 while the reactor turns: that this answers at all is the fact."""
        return json_answer({"healthy": True})

    @app.route("/readyz", methods=["GET"])
    async def readyz(self, request: IRequest) -> Reply:
        """200 where messages can be taken and sent now, else 503 and why."""
        reasons = self._and_draining(await self.watch.reasons())
        return json_answer({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

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
        told = status_json(snapshot, self._labels, instance=self._instance, version=self._version, reasons=reasons)
        return json_answer(told)

    # One message -------------------------------------------------------------------------------------------------

    @app.route("/messages/<path:name>", methods=["GET"])
    async def message(self, request: IRequest, name: str) -> Reply:
        """The timeline of one message, by our id or by the caller's uid."""
        return json_answer(trace_json(await self._trace(name)))

    async def _trace(self, name: str) -> Trace:
        ids = [name.lower()]
        for label in self._labels:
            for channel in _BOTH:
                ids += self._keys.message_ids(label, channel, name)
        trace = await self._store.trace(ids)
        if trace is None:
            raise Wrong(404, "no message with this id or uid is kept")
        return trace

    # Dead letters ------------------------------------------------------------------------------------------------

    @app.route("/verbs/dead-letters", methods=["GET"])
    async def dead_letters(self, request: IRequest) -> Reply:
        """The newest dead letters; `limit` in the query says how many (1 to 100000, default 100)."""
        text = (request.args or {}).get(b"limit", [b"100"])[0]
        limit = int(text) if text.isdigit() else 0
        if not 1 <= limit <= 100_000:
            raise Wrong(400, "limit must be a number from 1 to 100000")
        letters = await self._store.dead_letters(limit)
        return json_answer({"dead_letters": [dead_json(letter) for letter in letters]})

    @app.route("/verbs/dead-letters/retry", methods=["POST"])
    async def retry_dead(self, request: IRequest) -> Reply:
        """Queue a message's dead statuses again."""
        return await self._dead_letter(request, self._store.retry_dead, "retried")

    @app.route("/verbs/dead-letters/drop", methods=["POST"])
    async def drop_dead(self, request: IRequest) -> Reply:
        """Forget a message's dead statuses."""
        return await self._dead_letter(request, self._store.drop_dead, "dropped")

    async def _dead_letter(
        self, request: IRequest, verb: Callable[[str], Coroutine[Any, Any, bool]], done: str
    ) -> Answer:
        letter = _body(request, Letter)
        if not await verb(letter.id):
            raise Wrong(404, "this message has no dead letter")
        log.info("Dead letters of {message_id} {done} by an operator", message_id=letter.id, done=done)
        return json_answer({"ext_message_id": letter.id, "done": done})

    # Players -----------------------------------------------------------------------------------------------------

    @app.route("/verbs/suppress", methods=["POST"])
    async def suppress(self, request: IRequest) -> Reply:
        """Put a player on a label's stop list."""
        player = self._player(request)
        name = self._keys.user_hashes(player.label, player.ext_user_id)[0]
        for channel in _channels(player.channel):
            await self._store.suppress(player.label, channel, name, self._labels[player.label])
        return json_answer({"label": player.label, "suppressed": _channels(player.channel)})

    @app.route("/verbs/unsuppress", methods=["POST"])
    async def unsuppress(self, request: IRequest) -> Reply:
        """Take a player off a label's stop list; tells where they were on it."""
        player = self._player(request)
        names = self._keys.user_hashes(player.label, player.ext_user_id)
        cleared = [
            channel
            for channel in _channels(player.channel)
            if await self._store.unsuppress(player.label, channel, names)
        ]
        return json_answer({"label": player.label, "unsuppressed": cleared})

    @app.route("/verbs/erase", methods=["POST"])
    async def erase(self, request: IRequest) -> Reply:
        """One step of an erasure; the asker goes on with the answer's cursor until that is "0" again."""
        player = self._player(request)
        cursor, erased = await self._store.erase_some(player.cursor, player.label, player.ext_user_id)
        if player.cursor == "0":
            log.info("A player of {label} is being erased by an operator", label=player.label)
        return json_answer(
            {"cursor": cursor, "seen": erased.seen, "removed": erased.removed, "waiting": erased.waiting}
        )

    def _player(self, request: IRequest) -> Player:
        player = _body(request, Player)
        self._known_label(player.label)
        if not player.ext_user_id:
            raise Wrong(400, "ext_user_id is empty")
        return player

    # Kill switch -------------------------------------------------------------------------------------------------

    @app.route("/verbs/pause", methods=["POST"])
    async def pause(self, request: IRequest) -> Reply:
        """Let a label's accepted messages wait."""
        switch = _body(request, Switch)
        return json_answer({"label": switch.label, "paused": await self._switch(switch, on=False)})

    @app.route("/verbs/resume", methods=["POST"])
    async def resume(self, request: IRequest) -> Reply:
        """Let them go on."""
        switch = _body(request, Switch)
        return json_answer({"label": switch.label, "resumed": await self._switch(switch, on=True)})

    async def _switch(self, switch: Switch, *, on: bool) -> tuple[Channel, ...]:
        self._known_label(switch.label)
        verb = self._store.resume if on else self._store.pause
        for channel in _channels(switch.channel):
            await verb(switch.label, channel)
            log.info(
                "{label}/{channel} {done} by an operator",
                label=switch.label,
                channel=channel,
                done="resumed" if on else "paused",
            )
        return _channels(switch.channel)

    def _known_label(self, label: str) -> None:
        if label not in self._labels:
            raise Wrong(404, f"there is no label {label!r}")

    # Where every failure becomes an answer -----------------------------------------------------------------------

    @app.handle_errors(Wrong)
    def wrong(self, request: IRequest, failure: Any) -> Reply:
        """What we refuse, as JSON."""
        return json_answer({"error": failure.value.message}, failure.value.status)

    @app.handle_errors(StoreUnavailable)
    def unavailable(self, request: IRequest, failure: Any) -> Reply:
        """Redis is silent: nothing is known to have happened."""
        return json_answer({"error": f"redis: {failure.value}"}, 503)

    @app.handle_errors(HTTPException)
    def no_such_path(self, request: Any, failure: Any) -> bytes:
        """404 and 405 come from Klein's own way, which takes bytes and no Answer."""
        answer = json_answer({"error": failure.value.name.lower()}, failure.value.code)
        request.setResponseCode(answer.status)
        length = b"%d" % len(answer.body)
        for name, value in ((b"Content-Type", answer.content_type), (b"Content-Length", length), *answer.headers):
            request.setHeader(name, value)
        return answer.body

    @app.handle_errors(Exception)
    def bug(self, request: IRequest, failure: Any) -> Reply:
        """Anything else is ours to mend."""
        log.failure("The admin listener failed", failure=failure)
        return json_answer({"error": "internal error; the log has it"}, 500)


def _body(request: Any, kind: type[Body]) -> Body:
    """The request's JSON. Its content type is asked for because no form of a stranger's page can send it."""
    if not (request.getHeader(b"content-type") or b"").startswith(b"application/json"):
        raise Wrong(415, "the body must be application/json")
    try:
        return msgspec.json.decode(request.content.read(), type=kind)
    except msgspec.DecodeError as error:
        raise Wrong(400, str(error)) from None


def _channels(one: Channel | None) -> tuple[Channel, ...]:
    return _BOTH if one is None else (one,)

"""The verbs of gatewayctl but those about players: status, one message, dead letters, guard, replay, kill switch.

Owns what each answers. Knows the store only by its interface, and the channels by what a Watch saw of them.
"""

import math
from collections.abc import Awaitable, Callable, Iterable, Mapping

from twisted.logger import Logger
from twisted.web.iweb import IRequest

from gatewayd.core.durations import spoken
from gatewayd.core.interfaces import Decided, IShownToPeople
from gatewayd.core.model import Decision, Json
from gatewayd.http.door import Answer
from gatewayd.operators.figures import Watch
from gatewayd.operators.houserules import Endpoint, json_answer
from gatewayd.operators.known_labels import KnownLabels
from gatewayd.operators.message_orders import MessageOrders
from gatewayd.operators.orders import MOST_DEAD_LETTERS, Letter, Lift, Span, Switch, Wrong, asked, asked_by, body
from gatewayd.operators.shapes import dead_json, iso, status_json, trace_json, without_way_out

log = Logger()

_LATEST = 1e12
"""Seconds since the epoch: a moment that is behind all."""


class Verbs:
    """Their endpoints. `with_draining` adds to reasons not to be ready that this process is about to stop."""

    def __init__(
        self,
        store: IShownToPeople,
        watch: Watch,
        labels: Callable[[], Mapping[str, float]],
        orders: MessageOrders,
        known: KnownLabels,
        *,
        lift_guard: Callable[[str, float], Awaitable[bool]],
        decided: Decided,
        with_draining: Callable[[tuple[str, ...]], tuple[str, ...]],
        instance: str,
        version: str,
    ) -> None:
        self._store = store
        self._watch = watch
        self._labels = labels
        self._orders = orders
        self._known = known
        self._lift_guard = lift_guard
        self._decided = decided
        self._with_draining = with_draining
        self._instance = instance
        self._version = version

    def endpoints(self) -> Iterable[Endpoint]:
        """The paths, and what answers on each."""
        return (
            ("GET", "/verbs/status", self.status),
            ("GET", "/messages/<path:name>", self.message),
            ("GET", "/verbs/record", self.record),
            ("GET", "/verbs/dead-letters", self.dead_letters),
            ("POST", "/verbs/dead-letters/retry", self.retry_dead),
            ("POST", "/verbs/dead-letters/drop", self.drop_dead),
            ("POST", "/verbs/guard", self.guard),
            ("POST", "/verbs/replay", self.replay),
            ("POST", "/verbs/pause", self.pause),
            ("POST", "/verbs/resume", self.resume),
        )

    async def status(self, request: IRequest) -> Answer:
        """All that the dashboard shows, for programs."""
        snapshot = await self._watch.look()
        reasons = self._with_draining(snapshot.reasons())
        answer = status_json(
            snapshot,
            self._watch.samples,
            self._labels(),
            instance=self._instance,
            version=self._version,
            reasons=reasons,
        )
        return json_answer(answer)

    async def message(self, request: IRequest, name: str) -> Answer:
        """The timeline of one message, by our id or by the caller's uid."""
        trace = await self._orders.trace(name)
        return json_answer(trace_json(trace, await self._orders.namesakes(trace, name)))

    async def record(self, request: IRequest) -> Answer:
        """One message's record as the store keeps it, by the names of its legend: for support."""
        trace = await self._orders.trace(asked(request, "id"))
        found = await self._store.fields(trace.ext_message_id)
        answer: Json = {"ext_message_id": trace.ext_message_id, "record": dict(found)}
        return json_answer(answer)

    async def dead_letters(self, request: IRequest) -> Answer:
        """The newest dead letters; the query says how many (`limit`: 1 to MOST_DEAD_LETTERS, default 100), and before
        when they were given up (`until`: seconds since the epoch).
        """
        text = (request.args or {}).get(b"limit", [b"100"])[0]
        limit = int(text) if text.isdigit() and len(text) <= 6 else 0
        if not 1 <= limit <= MOST_DEAD_LETTERS:
            raise Wrong(400, f"limit must be a number from 1 to {MOST_DEAD_LETTERS}")
        letters = await self._store.dead_letters(limit, _before(request))
        return json_answer({"dead_letters": [dead_json(letter) for letter in letters]})

    async def retry_dead(self, request: IRequest) -> Answer:
        """Queue a message's dead statuses again."""
        return await self._dead_letter("retry", request)

    async def drop_dead(self, request: IRequest) -> Answer:
        """Forget a message's dead statuses."""
        return await self._dead_letter("drop", request)

    async def _dead_letter(self, verb: str, request: IRequest) -> Answer:
        message_id = body(request, Letter).id
        done = await self._orders.dead_letter(verb, message_id, asked_by(request))
        return json_answer({"ext_message_id": message_id, "done": done})

    async def guard(self, request: IRequest) -> Answer:
        """Lift a label's guard (intake_rate) for a time."""
        order = body(request, Lift)
        self._known.check_configured(order.label)
        if not await self._lift_guard(order.label, order.seconds):
            raise Wrong(404, f"label {order.label!r} has no intake_rate: there is no guard to lift")
        by = asked_by(request)
        log.info(
            "the guard of {label} is lifted for {seconds:g} s by {by}", label=order.label, seconds=order.seconds, by=by
        )
        reason = f"for {spoken(order.seconds)}, by {by}" if order.seconds else f"no more, by {by}"
        self._decided(Decision("guard lifted", order.label, "", reason=reason))
        return json_answer({"label": order.label, "lifted_for_seconds": order.seconds})

    async def replay(self, request: IRequest) -> Answer:
        """One step of telling statuses again; the asker goes on as with an erasure."""
        span = body(request, Span)
        if span.label:
            await self._known.check(span.label)
        if span.since >= span.until:
            raise Wrong(400, "since must be before until, which is now where it is not given")
        cursor, queued = await self._store.replay_some(span.cursor, span.label, span.since, span.until)
        if span.cursor == "0":
            by = asked_by(request)
            reason = f"heard from {iso(span.since) or 'the beginning'} to {iso(span.until)}, by {by}"
            self._decided(Decision("statuses told again", span.label, "", reason=reason))
            log.info("Statuses of {label} are told again by {by}", label=span.label or "all labels", by=by)
        return json_answer({"cursor": cursor, "queued": queued})

    async def pause(self, request: IRequest) -> Answer:
        """Let a label's accepted messages wait."""
        switch = body(request, Switch)
        paused = await self._orders.switch(switch, asked_by(request), on=False)
        answer: Json = {"label": switch.label, "paused": paused}
        return json_answer(answer | without_way_out(self._watch.unused(switch.label, switch.channel)))

    async def resume(self, request: IRequest) -> Answer:
        """Let them go on."""
        switch = body(request, Switch)
        resumed = await self._orders.switch(switch, asked_by(request), on=True)
        return json_answer({"label": switch.label, "resumed": resumed})


def _before(request: IRequest) -> float:
    text = asked(request, "until", "inf")
    try:
        until = float(text)
    except ValueError:
        until = math.nan
    if math.isnan(until):
        raise Wrong(400, "until must be a number: seconds since the epoch")
    return min(max(until, 0.0), _LATEST)

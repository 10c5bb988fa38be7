"""The verbs of gatewayctl that are about players: the stop list, erasing, exporting.

Owns what each answers. Must not know how the list is kept: operators/stop_orders.py does what is asked of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace
from twisted.logger import Logger
from twisted.web.iweb import IRequest

from gatewayd.config.labels import SUPPRESS_FOR
from gatewayd.core.interfaces import Decided, IShownToPeople
from gatewayd.core.model import Channel, Decision, Json
from gatewayd.core.timeline import in_words
from gatewayd.core.tokens import Keys
from gatewayd.http.door import Answer
from gatewayd.operators.houserules import Endpoint, json_answer
from gatewayd.operators.known_labels import KnownLabels
from gatewayd.operators.orders import PlayerOrder, Wrong, asked_by, body, channels, check_id
from gatewayd.operators.shapes import kept_json, stopped_json, without_way_out
from gatewayd.operators.stop_orders import StopOrders, StopsAsked, StopsBrought
from gatewayd.operators.stop_rows import ROWS

log = Logger()


class PlayerVerbs:
    """Their endpoints. `labels` says for each label of now how many seconds its stop list keeps a player.

    `unused` gives back the channel that an order names where nothing of the label goes out by it.
    """

    def __init__(
        self,
        store: IShownToPeople,
        keys: Keys,
        labels: Callable[[], Mapping[str, float]],
        known: KnownLabels,
        stops: StopOrders,
        decided: Decided,
        unused: Callable[[str, Channel | None], Sequence[Channel]],
    ) -> None:
        self._store = store
        self._keys = keys
        self._labels = labels
        self._known = known
        self._stop_orders = stops
        self._decided = decided
        self._unused = unused

    def endpoints(self) -> Iterable[Endpoint]:
        """The paths, and what answers on each."""
        return (
            ("POST", "/verbs/suppress", self.suppress),
            ("POST", "/verbs/unsuppress", self.unsuppress),
            ("POST", "/verbs/stops", self.stops),
            ("POST", "/verbs/stops/import", self.import_stops),
            ("POST", "/verbs/erase", self.erase),
            ("POST", "/verbs/export", self.export),
        )

    async def suppress(self, request: IRequest) -> Answer:
        """Put a player on a label's stop list."""
        player = await self._player(request)
        check_id(player.ext_user_id)
        await self._stop_orders.put(player, self._suppress_for(player.label), asked_by(request))
        answer: Json = {"label": player.label, "suppressed": channels(player.channel)}
        answer |= without_way_out(self._unused(player.label, player.channel))
        return json_answer(answer | await self._stop_orders.unchecked(player.label, player.ext_user_id))

    async def unsuppress(self, request: IRequest) -> Answer:
        """Take a player off a label's stop list; tells where they were on it."""
        player = await self._player(request)
        answer: Json = {
            "label": player.label,
            "unsuppressed": await self._stop_orders.take_off(player, asked_by(request)),
        }
        return json_answer(answer | await self._stop_orders.unchecked(player.label, player.ext_user_id))

    async def stops(self, request: IRequest) -> Answer:
        """One step over a label's stop list; the asker goes on as with an erasure."""
        order = body(request, StopsAsked)
        await self._known.check(order.label)
        return json_answer(await self._stop_orders.page(order))

    async def import_stops(self, request: IRequest) -> Answer:
        """Put many on a label's stop list."""
        order = body(request, StopsBrought)
        await self._known.check(order.label)
        if len(order.rows) > ROWS:
            raise Wrong(400, f"no more than {ROWS} rows at once")
        return json_answer(await self._stop_orders.bring(order, self._suppress_for(order.label), asked_by(request)))

    async def erase(self, request: IRequest) -> Answer:
        """One step of an erasure; the asker goes on with the answer's cursor until that is "0" again.

        The first tells how else the directory spells the id: what is stored under that is to be erased besides.
        """
        player = await self._player(request)
        also: list[str] = []
        stops = 0
        by = asked_by(request)
        if player.cursor == "0":
            log.info("A player of {label} is being erased by {by}", label=player.label, by=by)
            users = await self._stop_orders.spellings(player.label, player.ext_user_id)
            stops = await self._stop_orders.forget(player.label, users)
            also = [user for user in users if user != player.ext_user_id]
        cursor, erased = await self._store.erase_some(
            player.cursor, player.label, player.ext_user_id, hashes=self._hashes(player)
        )
        if player.cursor == "0":
            # The log may not say whose it was: whoever is asked for proof has the id, and its keyed hash shows it.
            reason = f"by {by}, of whom the keyed hash is {self._hashes(player)[0]}"
            self._decided(Decision("player erased", player.label, "", reason=reason))
        for message_id, channel in erased.ended:
            self._decided(Decision("failed", player.label, channel, message_id, reason=f"erased by {by}"))
        return json_answer(
            {
                "cursor": cursor,
                "seen": erased.seen,
                "removed": erased.removed,
                "waiting": erased.waiting,
                "stops": stops,
                "also": also,
            }
        )

    async def export(self, request: IRequest) -> Answer:
        """One step of an export; the asker goes on as with an erasure. The first has the stop list besides."""
        player = await self._player(request)
        cursor, seen, found = await self._store.export_some(
            player.cursor, player.label, player.ext_user_id, hashes=self._hashes(player)
        )
        answer: Json = {
            "cursor": cursor,
            "seen": seen,
            "messages": [kept_json(replace(one, trace=in_words(one.trace))) for one in found],
        }
        if player.cursor == "0":
            by, keyed_hash = asked_by(request), self._hashes(player)[0]
            log.info("A player of {label} is being exported by {by}", label=player.label, by=by)
            reason = f"by {by}, of whom the keyed hash is {keyed_hash}"
            self._decided(Decision("player exported", player.label, "", reason=reason))
            users = await self._stop_orders.spellings(player.label, player.ext_user_id)
            answer["also"] = [user for user in users if user != player.ext_user_id]
            answer["keyed_hash"] = keyed_hash
            answer["stop_list"] = {
                channel: stopped_json(await self._stop_orders.stopped(player.label, player.ext_user_id, channel))
                for channel in Channel
            }
        return json_answer(answer)

    async def _player(self, request: IRequest) -> PlayerOrder:
        player = body(request, PlayerOrder)
        await self._known.check(player.label)
        if not player.ext_user_id:
            raise Wrong(400, "ext_user_id is empty")
        return player

    def _suppress_for(self, label: str) -> float:
        """Of a label that the configuration has no more, what one has that says nothing of it."""
        return self._labels().get(label, SUPPRESS_FOR)

    def _hashes(self, player: PlayerOrder) -> tuple[str, ...]:
        return self._keys.user_hashes(player.label, player.ext_user_id)

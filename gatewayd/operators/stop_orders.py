"""What the verbs do with the stop list: a player on it or off it, by every spelling of their id; a page; many at once.

Owns the bodies of these orders. Must not know HTTP or how the list is kept.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gatewayd.core.interfaces import Decided, IRecipients, IShownToPeople, IStopList, unrecorded
from gatewayd.core.model import Channel, Decision, Json, Stop, Stopped, WhyNot
from gatewayd.core.tokens import Keys
from gatewayd.operators.orders import PlayerOrder, Wrong, channels, check_id
from gatewayd.operators.shapes import iso

log = Logger()

PUT, LIFTED = "stop put", "stop lifted"
"""Decisions, as the audit log has them."""


class StopsAsked(Struct, forbid_unknown_fields=True):
    """Body of stops: those of one channel that began at `since` or later (seconds since the epoch)."""

    label: str
    channel: Channel
    since: float = 0.0
    cursor: Annotated[str, Meta(pattern="^(0|[0-9]{1,16}-[0-9a-f]{1,64})$")] = "0"


class StopRow(Struct, forbid_unknown_fields=True):
    """One stop to be brought: a player by their id, or whoever has this keyed hash of this installation's.

    `since` and `until` are seconds since the epoch; 0 for now, and for as long as the label keeps a player.
    """

    channel: Channel
    ext_user_id: str = ""
    keyed_hash: str = ""
    since: float = 0.0
    until: float = 0.0
    of_address: bool = False
    reason: str = ""


class StopsBrought(Struct, forbid_unknown_fields=True):
    """Body of stops/import."""

    label: str
    rows: list[StopRow]
    look_up: bool = False


class StopOrders:
    """Carries them out. A player is looked up in the directory, which may spell the id otherwise."""

    def __init__(
        self,
        clock: IReactorTime,
        store: IShownToPeople,
        stops: IStopList,
        keys: Keys,
        recipients: IRecipients,
        decided: Decided = unrecorded,
    ) -> None:
        self._clock = clock
        self._store = store
        self._stops = stops
        self._keys = keys
        self._recipients = recipients
        self._decided = decided

    async def spellings(self, label: str, user: str) -> tuple[str, ...]:
        """The player's id as the directory spells it, and as the asker did; once where that is the same."""
        found = await self._recipients.address(label, user, Channel.EMAIL)
        return tuple(dict.fromkeys((found.user, user)))

    async def unchecked(self, label: str, user: str) -> Json:
        """Nothing, or under `unchecked` why the directory can't say now how it spells the id."""
        found = await self._recipients.address(label, user, Channel.EMAIL)
        return {"unchecked": found.reason} if found.why_not is WhyNot.UNAVAILABLE else {}

    async def put(self, player: PlayerOrder, seconds: float, by: str) -> None:
        """On the list, under the directory's own spelling; `by` says who wants it, here and below."""
        user = (await self.spellings(player.label, player.ext_user_id))[0]
        keyed_hash = self._keys.user_hashes(player.label, user)[0]
        for channel in channels(player.channel):
            await self._stops.put(player.label, channel, keyed_hash, seconds, user=user, reason="operator")
            self._say(player.label, channel, user, PUT, "put on", by)

    async def take_off(self, player: PlayerOrder, by: str) -> list[Channel]:
        """Off the list, under every spelling; where they were on it."""
        users = await self.spellings(player.label, player.ext_user_id)
        cleared = [
            channel
            for channel in channels(player.channel)
            if await self._store.unsuppress(player.label, channel, await self._hashes(player.label, users, channel))
        ]
        for channel in cleared:
            self._say(player.label, channel, users[0], LIFTED, "taken off", by)
        return cleared

    async def stopped(self, label: str, user: str, channel: Channel) -> Stopped | None:
        """How a player stands on the list, by every spelling; None where they don't."""
        users = await self.spellings(label, user)
        return await self._store.stopped(label, channel, await self._hashes(label, users, channel))

    async def _hashes(self, label: str, users: Sequence[str], channel: Channel) -> tuple[str, ...]:
        """By what a player may be on the list: every spelling, and what a STOP came from, which may stand by itself."""
        address = ""
        if channel is not Channel.EMAIL:
            address = (await self._recipients.address(label, users[0], channel)).address
        return self._keys.stop_hashes(label, users, channel, address)

    async def forget(self, label: str, users: Sequence[str]) -> int:
        """Their stops hold, and do not say any more whose they are; how many these were."""
        hashes = self._keys.stop_hashes(label, users, "")
        return sum([await self._stops.forget(label, channel, hashes) for channel in Channel])

    async def has_any(self, label: str) -> bool:
        """Whether somebody is on the list, on any channel."""
        for channel in Channel:
            cursor, found = await self._stops.some(label, channel, "0")
            if found or cursor != "0":
                return True
        return False

    async def page(self, order: StopsAsked) -> Json:
        """One step over the list."""
        cursor, found = await self._stops.some(order.label, order.channel, order.cursor, order.since)
        return {"cursor": cursor, "stops": [_stop_json(stop) for stop in found]}

    async def bring(self, order: StopsBrought, seconds: float, by: str) -> Json:
        """Put many on the list; what ended already is left out. Doing so twice changes nothing.

        Raises Wrong, and puts none on it, where an id is one that no request can have, or is to be looked up in a
        directory that does not answer.
        """
        for row in order.rows:
            if row.ext_user_id:
                check_id(row.ext_user_id)
        now = self._clock.seconds()
        rows = [row for row in order.rows if not row.until or row.until > now]
        answer: Json = {"imported": len(rows), "ended": len(order.rows) - len(rows)}
        if order.look_up:
            given, rows = rows, await self._as_spelt(order.label, rows)
            answer["spelt_otherwise"] = sum(one is not other for one, other in zip(given, rows, strict=True))
        await self._stops.put_all([self._stop(order.label, row, now + seconds) for row in rows])
        for channel, count in Counter(row.channel for row in rows).items():
            self._decided(Decision(PUT, order.label, channel, reason=f"{count} from a file, by {by}"))
        return answer

    async def _as_spelt(self, label: str, rows: Sequence[StopRow]) -> list[StopRow]:
        """The rows with the directory's own spelling of each id; one after the other, beside all who look up too."""
        found = []
        for row in rows:
            if row.ext_user_id:
                player = await self._recipients.address(label, row.ext_user_id, Channel.EMAIL)
                if player.why_not is WhyNot.UNAVAILABLE:
                    raise Wrong(503, f"the directory of {label} can't say how it spells the ids: {player.reason}")
                if player.user != row.ext_user_id:
                    row = replace(row, ext_user_id=player.user)
            found.append(row)
        return found

    def _say(self, label: str, channel: Channel, user: str, what: str, done: str, by: str) -> None:
        log.info(
            "player {ext_user_id} of {label}/{channel} was {done} the stop list by {by}",
            ext_user_id=user,
            label=label,
            channel=channel.value,
            done=done,
            by=by,
        )
        self._decided(Decision(what, label, channel, ext_user_id=user, reason=f"by {by}"))

    def _stop(self, label: str, row: StopRow, usual: float) -> Stop:
        player = self._keys.user_hashes(label, row.ext_user_id)[0] if row.ext_user_id else ""
        return Stop(
            label,
            row.channel,
            row.keyed_hash if row.of_address else player or row.keyed_hash,
            row.since,
            row.until or usual,
            row.of_address,
            row.reason or "imported",
            row.ext_user_id,
            # Else nobody could take the address off again by the player's id.
            player if row.of_address else "",
        )


def _stop_json(stop: Stop) -> Json:
    return {
        "channel": stop.channel,
        "kind": "address" if stop.of_address else "player",
        "ext_user_id": stop.user,
        "keyed_hash": stop.keyed_hash,
        "since": iso(stop.since),
        "until": iso(stop.until),
        "reason": stop.reason,
    }

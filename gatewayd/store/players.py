"""The part of RedisStore that looks by player: the stop list, erasure and export; and replay, which looks by time.

A player's messages are found in lists: one for each day on which messages go, and each of BUCKETS parts of the players'
keyed hashes. What 0.1.0 stored stands in none of them, and is looked for among all that is kept. What was heard when is
found in lists, too: one for each minute and label.
"""

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from gatewayd.core.model import Channel, Erased, Kept, Stopped
from gatewayd.core.status import State
from gatewayd.store import lists, rows
from gatewayd.store.link import RedisLink
from gatewayd.store.part import AT_ONCE, StorePart

DAY = 86400.0
MINUTE = 60_000
"""Milliseconds for each of which there is a list of what was heard."""

LONGEST = 62
"""Days that a message may be kept beyond `retention`: until its deadline, and as a dead letter."""

_SCANNING = 10**15
"""Cursors from here on are Redis' own, of a look at all that is kept."""

_MOST_IN_A_MINUTE = 10**9

_LISTS_A_STEP = 64

REWRITE_AGAIN = 2.0
"""Seconds until Redis is asked once more to write its append-only file anew, while it is at it."""

_IS_AT_IT = "rewriting already in progress"


def bucket(player_hash: str) -> int:
    """The part of the players' keyed hashes that this one is in."""
    return int(player_hash[:8] or "0", 16) % lists.BUCKETS


class Players(StorePart):
    """Who must not be contacted, and what is stored of whom."""

    def __init__(self, link: RedisLink, clock: Any, instance: str) -> None:
        super().__init__(link, clock, instance)
        self._is_rewrite_due = False

    async def unsuppress(self, label: str, channel: Channel, hashes: Sequence[str]) -> bool:
        """As IStore."""
        return bool(await self._run("lift_stops", label, channel, list(hashes), ""))

    async def stopped(self, label: str, channel: Channel, hashes: Sequence[str]) -> Stopped | None:
        """As IStore."""
        scope, left, addresses = f"{label}:{channel}:", 0, 0
        for one in hashes:
            left = max(left, await self._link.command("PTTL", self._key("stop", scope + one)))
            owned = await self._link.command("SMEMBERS", self._key("stop_of", scope + one))
            if owned:
                keys = self._stop_keys(label, channel, [address.decode() for address in owned])
                addresses += await self._link.command("EXISTS", *keys)
        if not left and not addresses:
            return None
        return Stopped(self._clock.seconds() + left / 1000 if left else 0.0, addresses)

    async def erase_some(
        self, cursor: str, label: str, ext_user_id: str, *, hashes: Sequence[str] = ()
    ) -> tuple[str, Erased]:
        """As IStore."""
        following, seen, ids = await self._theirs_of(cursor, label, ext_user_id, hashes)
        replies = await self._run_all("erase_message", [(one, State.FAILED) for one in ids])
        removed = sum(1 for reply in replies if reply)
        pairs = zip(ids, replies, strict=True)
        ended = tuple((one, Channel(reply.decode())) for one, reply in pairs if isinstance(reply, bytes))
        if following == "0":
            await self._forget_the_file()
        return following, Erased(seen=seen, removed=removed, ended=ended)

    async def export_some(
        self, cursor: str, label: str, ext_user_id: str, *, hashes: Sequence[str] = ()
    ) -> tuple[str, int, list[Kept]]:
        """As IStore."""
        following, seen, ids = await self._theirs_of(cursor, label, ext_user_id, hashes)
        found = [await self._whole(one) for one in ids]
        return following, seen, [kept for kept in found if kept is not None]

    async def _whole(self, message_id: str) -> Kept | None:
        kept = await self._record(message_id)
        old_lines = await self._link.command("LRANGE", self._key("timeline", message_id), 0, -1)
        texts = [
            await self._link.command("GET", self._key(family, name)) or b""
            for family, name in (
                ("content", "" if rows.is_inside(kept) else rows.text(kept, "content")),
                ("callback", rows.text(kept, "callback")),
                ("body", message_id),
            )
        ]
        return rows.whole(message_id, kept, old_lines, self._moments, *texts)

    async def fields(self, message_id: str) -> dict[str, str]:
        """A message's record by the names of the legend, without what the message says; empty where none is kept."""
        kept = await self._record(message_id)
        found = rows.named(kept)
        if rows.is_inside(kept):
            found = {name: value for name, value in found.items() if not name.startswith("content ")}
            found["content"] = "(stands here; not shown)"
        return found

    # Lists of messages

    async def _theirs_of(self, cursor: str, label: str, user: str, hashes: Sequence[str]) -> tuple[str, int, list[str]]:
        """One step: the next cursor, how many were looked at, and the ids of this player's among them."""
        at = int(cursor)
        if at >= _SCANNING:
            following, ids = await self._some(str(at - _SCANNING))
            after = "0" if following == "0" else str(_SCANNING + int(following))
            return after, len(ids), await self._of_player(ids, label, user)
        days, buckets = self._days(), {bucket(name) for name in hashes}
        first = at * AT_ONCE
        ids, seen, is_last = [], 0, True
        for day in days:
            for number in sorted(buckets):
                some = await self._listed(day, number, first)
                seen += len(some)
                is_last = is_last and len(some) < AT_ONCE
                ids += await self._of_player(some, label, user)
        if not is_last:
            return str(at + 1), seen, list(dict.fromkeys(ids))
        scan = await self._link.command("EXISTS", self._key("old_data"))
        return str(_SCANNING) if scan else "0", seen, list(dict.fromkeys(ids))

    async def _listed(self, day: int, number: int, first: int) -> list[str]:
        """Some messages of a list, from the `first` on: fewer than AT_ONCE are its last ones."""
        ends = first * lists.ID, (first + AT_ONCE) * lists.ID - 1
        packed = await self._link.command("GETRANGE", self._key("players", f"{day}:{number}"), *ends)
        return lists.unpacked(packed)

    async def _of_player(self, ids: Sequence[str], label: str, user: str) -> list[str]:
        """Those of these messages that are this player's."""
        return [one.decode() for one in await self._run("filter_by_player", ids, label, user)] if ids else []

    def _days(self) -> range:
        today = int(self._now() / DAY)
        return range(today, today + int(self._keep / DAY) + LONGEST)

    @property
    def _keep(self) -> float:
        return float(self._link.arguments.keep)

    async def _some(self, cursor: str) -> tuple[str, list[str]]:
        head = self._key("message")
        pattern = head.replace("[", r"\[").replace("*", r"\*").replace("?", r"\?") + "*"
        following, keys = await self._link.command("SCAN", cursor, "MATCH", pattern, "COUNT", AT_ONCE)
        return following.decode(), [key.decode()[len(head) :] for key in keys]

    async def _forget_the_file(self) -> None:
        """The append-only file has what was erased until it is written anew."""
        try:
            await self._link.command("BGREWRITEAOF")
        except CancelledError:
            raise
        except Exception as error:
            if _IS_AT_IT in str(error):
                # What it writes now began before this erasure, so it has what was erased: once more behind it.
                self._rewrite_soon()
                return
            self.log.warn(
                "Redis' append-only file holds what was erased until BGREWRITEAOF, which failed: {reason}",
                reason=str(error),
            )

    def _rewrite_soon(self) -> None:
        if not self._is_rewrite_due:
            self._is_rewrite_due = True
            self._clock.callLater(REWRITE_AGAIN, self._rewrite_again)

    def _rewrite_again(self) -> None:
        self._is_rewrite_due = False
        rewriting = Deferred.fromCoroutine(self._forget_the_file())
        rewriting.addErrback(lambda failure: failure.trap(CancelledError))

    # Replay

    async def replay_some(self, cursor: str, label: str, start: float, end: float) -> tuple[str, int]:
        """As IStore. A cursor is where to go on, and behind a hyphen when the replay began, in ms of Redis' clock."""
        span = self._moments.theirs(start), self._moments.theirs(end)
        at, _, began = cursor.partition("-")
        since = await self._link.command("GET", self._key("heard_since"))
        listed = since is not None and span[0] >= float(since)
        step = self._replay_of_minutes if listed else self._replay_of_all
        following, queued, begun = await step(int(at), label, *span, int(began or 0))
        return f"{following}-{begun}" if following else "0", queued

    async def _replay_of_minutes(self, at: int, label: str, start: int, end: int, began: int) -> tuple[int, int, int]:
        labels = [label] if label else await self._labels()
        # The lists of messages that are kept no more are gone.
        first = max(start, rows.ms(self._now() - self._keep - 2 * DAY)) // MINUTE
        minute, begin = divmod(at, _MOST_IN_A_MINUTE) if at else (first, 0)
        item = (labels, start, end, minute, begin, AT_ONCE, began)
        queued, following, begin, began = await self._run("replay_minutes", *item)
        return following * _MOST_IN_A_MINUTE + begin, int(queued), int(began)

    async def _labels(self) -> list[str]:
        """All that a message was ever accepted for."""
        names = await self._link.command("HKEYS", self._key("counts"))
        return sorted({name.decode().partition("|")[0] for name in names})

    async def _replay_of_all(self, at: int, label: str, start: int, end: int, began: int) -> tuple[int, int, int]:
        """What the version before heard stands in no list of a minute."""
        span = start, end
        if at >= _SCANNING:
            following, ids = await self._some(str(at - _SCANNING))
            queued, began = await self._run("replay", ids, label, *span, began)
            return 0 if following == "0" else _SCANNING + int(following), int(queued), int(began)
        days = self._days()
        day, first = days[at // lists.BUCKETS], at % lists.BUCKETS
        some = [(number, length) for number, length in await self._lists_of(day) if number >= first]
        queued = 0
        for number, length in some[:_LISTS_A_STEP]:
            for begin in range(0, length, AT_ONCE):
                ids = await self._listed(day, number, begin)
                more, began = await self._run("replay", ids, label, *span, began)
                queued += int(more)
        if len(some) > _LISTS_A_STEP:
            return at // lists.BUCKETS * lists.BUCKETS + some[_LISTS_A_STEP][0], queued, began
        if day != days[-1]:
            return (at // lists.BUCKETS + 1) * lists.BUCKETS, queued, began
        scan = await self._link.command("EXISTS", self._key("old_data"))
        return _SCANNING if scan else 0, queued, began

    async def _lists_of(self, day: int) -> list[tuple[int, int]]:
        """The parts that have messages which go on this day, and how many."""
        found = await self._run("measure_player_lists", day, lists.BUCKETS)
        return list(zip(found[::2], found[1::2], strict=True))

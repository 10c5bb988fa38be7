"""Whether Redis still has what it was told: after FLUSHALL, a failover or a restored backup it may be older, or empty.

Each heartbeat is remembered in Redis: a dataset that lacks one of ours lacks what came after it, too. Who finds that
gives the dataset another name, and by it all others learn that what they wrote last may be missing. Pure.
"""

from msgspec import Struct, msgpack

ALL = 600.0
LATELY = 60.0
"""Seconds of marks that are restated where the dataset is another one; and those before the latest heartbeat that we
heard of after each other reconnection."""

TOLD_FOR = 3600.0
"""Seconds for which operators are told."""


class Heartbeat(Struct, frozen=True):
    """What a heartbeat has seen of a dataset, by `name`.

    It is the dataset's `count`-th; `missing` are those of ours that we heard of and it did not; `peers` live; nothing
    is leased or marked for `wait` seconds, in which every process restates its marks.
    """

    name: str
    count: int
    missing: int = 0
    peers: int = 0
    wait: float = 0.0


_NONE = Heartbeat("", 0)


class BeatReply(Struct, frozen=True, kw_only=True):
    """What Redis says to a heartbeat (lua/beat.lua), whose names these are; where the instance's name is another
    process's by now (not `ours`), that and the clock alone.

    `clock` is the server's, in seconds and microseconds; it was set `back` by so many ms, and deadlines lag behind it
    by `lag` ms, as it was told last; None where we begin, and our peers told it before the clock was set, perhaps.
    `dead` are instances that lived once, ourselves perhaps among them; `paused` are scopes.
    """

    ours: bool
    clock: tuple[int, int]
    dead: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()
    back: int = 0
    lag: float | None = None
    heartbeat: Heartbeat = _NONE


beat_reply = msgpack.Decoder(BeatReply).decode
"""A BeatReply from what the script gave."""


class Dataset:
    """What heartbeats have seen of it."""

    def __init__(self) -> None:
        self._latest = _NONE
        self._connection, self._seen_at = 0, 0.0
        self._restate = 0.0
        self._restating = self.restated = ""
        self._quiet_until = 0.0
        self._trouble, self._told_until = "", 0.0

    @property
    def latest(self) -> tuple[int, int]:
        """The number of our latest heartbeat that we heard of, 0 before the first; and 1 where no peer lived then."""
        return self._latest.count, int(not self._latest.peers)

    def seen(self, now: float, connection: int, beat: Heartbeat) -> str:
        """Redis answered a heartbeat over our `connection`-th connection.

        What is missing, for the log; empty where nothing is known to be.
        """
        before, lost = self._latest, ""
        if not before.name:
            # Who begins remembers nothing.
            self.restated = beat.name
        if beat.missing and beat.missing >= before.count:
            lost = "Redis came back empty, or with another dataset: what waited in it is gone"
        elif beat.missing:
            lost = f"Redis came back with an older dataset: {beat.missing} heartbeats are missing"
        if lost:
            self._lost(now, lost)
        elif before.name and beat.name != before.name:
            # Less than a heartbeat of ours, or we did not hear of the answer that said more.
            self._restate = ALL
        elif before.name and connection != self._connection:
            self._restate = max(self._restate, now - self._seen_at + LATELY)
        if beat.wait:
            self._quiet_until = now + beat.wait
        self._latest, self._connection, self._seen_at = beat, connection, now
        return lost

    def forgot(self, now: float, marks: int) -> str:
        """So many messages that we had written stood there as if we had not: a line for the log."""
        text = f"Redis had forgotten that {marks} messages had left: they are not sent again"
        self._lost(now, text)
        return text

    def is_known(self, now: float, connection: int) -> bool:
        """Whether a heartbeat has seen what this connection leads to, and nobody has to be waited for.

        Before our first one there is nothing that we could know better.
        """
        return not self._connection or (connection == self._connection and now >= self._quiet_until)

    def to_restate(self) -> float:
        """Seconds of marks to restate; 0 once it was asked."""
        seconds, self._restate = self._restate, 0.0
        self._restating = self._latest.name
        return seconds

    def has_restated(self) -> None:
        """That was done: `restated` is the name of the dataset that knows it."""
        self.restated = self._restating

    def trouble(self, now: float) -> str:
        """What operators should know; empty an hour later."""
        return self._trouble if now < self._told_until else ""

    def _lost(self, now: float, text: str) -> None:
        self._trouble, self._told_until = text, now + TOLD_FOR
        self._restate = ALL

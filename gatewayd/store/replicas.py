"""What a promise waits for: that enough replicas have all that was written to Redis before it.

WAIT speaks for the writes of its own connection. So each round is a small write and a WAIT, on a connection that does
nothing else: all that was answered before the round began stands before that write in Redis' stream, and nothing queues
behind the waiting. Those who ask during a round share the next one. Knows no script and no message.

`count` replicas are enough for a promise, and two things make it good where more follow. All of them are waited for:
killed, a master leaves its replicas some milliseconds apart, and Sentinel, which knows their offsets of seconds ago,
may choose the one that is behind (in one failover of seven). And where one leaves, nothing is confirmed for a while: it
may be the one that was just made master, while this one, which does not know it yet, is still followed by the others.

One that left before we came is not missed. So who follows is noted at first, and then the Sentinels are asked: what
they begin later is seen by who leaves, and what they had begun they say. They do begin a second failover right behind
the first: where one can't connect to the new master within its down-after-milliseconds, the votes against the old
master, which it keeps for 5 s, count against the new one.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from gatewayd.core.errors import NotReplicated, ReplicasMissing, StoreUnavailable
from gatewayd.store.sentinel import Outlook

_MARK = "redis.call('DEL', KEYS[1]) return redis.call('SET', KEYS[1], '1', 'EX', 60)"
"""A write that a full memory does not refuse: what was written already is waited for then, too."""

WAIT = 1.0
"""Seconds that the replicas have: a caller of the API is answered within 5."""

WAIT_FOR_ALL = 1.0
"""Seconds that the others have once `count` replicas are enough; who needs longer hangs, and is not waited for until it
has caught up."""

SETTLES = 5.0
"""Seconds after which one that left was no failover, unless a Sentinel says that one is under way: else this server
would be a replica by now."""

PROBE = 0.5
"""Seconds between two rounds while replicas are missing."""


_Addresses = frozenset[tuple[bytes, bytes]]


class Replicas:
    """`count` replicas behind one connection to the master; it ends with that connection, by `lost`.

    `ask` sends commands in one go, and gives their replies; `outlook` is whether this server stays the master.
    """

    def __init__(
        self,
        clock: Any,
        count: int,
        ask: Callable[..., Awaitable[list[Any]]],
        key: str,
        outlook: Callable[[], Awaitable[Outlook]],
    ) -> None:
        self._clock = clock
        self._count = count
        self._ask = ask
        self._mark = ("EVAL", _MARK, 1, key)
        self._outlook = outlook
        self._waiting: list[Deferred[None]] = []
        self._round: Deferred[None] | None = None
        self._gone = False
        self._following: _Addresses = frozenset()
        self._settled = False  # whether it is known that this server stays the master, unless one leaves
        self._unsettled_since: float = clock.seconds()
        self._left_at: float | None = None
        self._one_hangs = False
        self._written = 0
        self.missing = "the replicas were not asked yet"
        self._begin()

    def check(self) -> None:
        """Raise ReplicasMissing where replicas are known to be: then nothing need be promised, and undone."""
        if self.missing:
            raise ReplicasMissing(self.missing)

    def confirmed(self) -> Deferred[None]:
        """Fire once the replicas have all that was answered so far. Fails with NotReplicated where they don't."""
        waiter: Deferred[None] = Deferred()
        if self._gone:
            waiter.errback(StoreUnavailable("the connection to Redis was lost"))
            return waiter
        self._waiting.append(waiter)
        self._begin()
        return waiter

    def lost(self) -> None:
        """The connection is gone: what the next server has is not known."""
        self._gone = True
        if self._round is not None:
            self._round.cancel()
        self._end(self._waiting, StoreUnavailable("the connection to Redis was lost"))
        self._waiting = []

    def _begin(self) -> None:
        if self._round is None:
            self._round = running = Deferred.fromCoroutine(self._rounds())
            running.addErrback(lambda failure: failure.trap(CancelledError))
            if running.called:
                self._round = None

    async def _rounds(self) -> None:
        """Until nobody waits and nothing is missing."""
        while self._waiting or self.missing:
            asked, self._waiting = self._waiting, []
            try:
                reason = await self._why_not()
            except CancelledError:
                self._end(asked, StoreUnavailable("the connection to Redis was lost"))
                raise
            except Exception as error:
                reason = f"the replicas could not be asked: {str(error) or type(error).__name__}"
            self.missing = reason
            self._end(asked, NotReplicated(reason) if reason else None)
            if reason:
                await deferLater(self._clock, PROBE)
        self._round = None

    async def _why_not(self) -> str:
        """Why what was answered before can't be promised; empty where it can."""
        if not self._settled and (reason := await self._why_unsettled()):
            return reason
        mark, role = self._mark, ("ROLE",)
        everybody = max(len(self._following), self._count)
        if self._one_hangs or everybody == self._count:
            _, have, about = await self._ask(mark, ("WAIT", self._count, int(WAIT * 1000)), role)
        else:
            _, have, about = await self._ask(mark, ("WAIT", everybody, int(WAIT_FOR_ALL * 1000)), role)
            self._one_hangs = have < everybody
        _, written, replicas = about
        if all(int(heard) >= self._written for _, _, heard in replicas):
            self._one_hangs = False
        self._written = int(written)
        left = self._has_one_left(_addresses(about))
        if have < self._count:
            return f"{have} of {self._count} replicas have what was written"
        return "a replica has left, perhaps to be the master: nothing is promised for 5 s" if left else ""

    async def _why_unsettled(self) -> str:
        """Why this server may be replaced by one that left before anybody looked; empty where it is not."""
        # A replica refuses the write, and is left.
        _, about = await self._ask(self._mark, ("ROLE",))
        following = _addresses(about)
        if not self._following <= following:
            self._unsettled_since = self._clock.seconds()
        self._following = following
        # Not before: what begins between the two would be missed by both.
        outlook = await self._outlook()
        if outlook is Outlook.LEAVES:
            return "the Sentinels are making another server the master"
        if outlook is Outlook.UNKNOWN and self._clock.seconds() - self._unsettled_since < SETTLES:
            return "not every Sentinel says that this master stays: nothing is promised for 5 s"
        self._settled = True
        return ""

    def _has_one_left(self, following: _Addresses) -> bool:
        """Whether one of those before follows no more. Who confirmed it before leaving does not count: it was enough.

        By address, not by number: the old master may come back as a replica while another one is made master.
        """
        now = self._clock.seconds()
        if self._following <= following:
            self._following, self._left_at = following, None
            return False
        self._left_at = now if self._left_at is None else self._left_at
        if now - self._left_at >= SETTLES:
            self._settled, self._unsettled_since = False, self._left_at
            self._following, self._left_at = following, None
        return True

    def _end(self, waiting: list[Deferred[None]], trouble: StoreUnavailable | None) -> None:
        for waiter in waiting:
            if waiter.called:
                continue
            if trouble is not None:
                waiter.errback(trouble)
            else:
                waiter.callback(None)


def _addresses(role: Any) -> _Addresses:
    """Who follows, by what a master answers to ROLE."""
    _, _, replicas = role
    return frozenset((host, port) for host, port, _ in replicas)

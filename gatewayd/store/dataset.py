"""Whether Redis still has what it was told: after FLUSHALL, a failover or a restored backup it may be older, or empty.

Each heartbeat counts in Redis: one that is behind what we have seen has lost what came after it. Pure.
"""

ALL = 600.0
LATELY = 60.0
"""Seconds of marks that are restated where the dataset is another one, and after each reconnection: a failover may have
lost less than a heartbeat."""

QUIET = 3.0
"""Seconds in which nothing is leased once a loss was noticed: every process restates its marks in that time."""

TOLD_FOR = 3600.0
"""Seconds for which operators are told."""


class Dataset:
    """What heartbeats have seen of it."""

    def __init__(self) -> None:
        self._name = ""
        self._count = 0
        self._connection = 0
        self._restate = 0.0
        self._quiet_until = 0.0
        self._trouble, self._told_until = "", 0.0

    @property
    def latest(self) -> tuple[str, int]:
        """Its name, and the number of its heartbeats with our latest one; "" and 0 before our first."""
        return self._name, self._count

    def seen(self, now: float, connection: int, name: str, count: int) -> str:
        """A heartbeat over our `connection`-th connection came to the dataset `name`, as its `count`-th.

        What is missing of it, for the log; empty where nothing is.
        """
        lost = ""
        if self._name and name != self._name:
            lost = "Redis came back empty, or with another dataset: what waited in it is gone"
        elif self._name and count <= self._count:
            lost = f"Redis came back with an older dataset: {self._count - count + 1} heartbeats are missing"
        if lost:
            self._lost(now, lost)
        elif self._connection and connection != self._connection:
            self._restate = max(self._restate, LATELY)
        self._name, self._count, self._connection = name, count, connection
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
        return seconds

    def trouble(self, now: float) -> str:
        """What operators should know; empty an hour later."""
        return self._trouble if now < self._told_until else ""

    def _lost(self, now: float, text: str) -> None:
        self._trouble, self._told_until = text, now + TOLD_FOR
        self._restate, self._quiet_until = ALL, now + QUIET

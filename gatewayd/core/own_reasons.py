"""Whether a next hop, though up, refuses all that it is given, for reasons of its own: what `degraded` says of it.

Owns the count. What an answer speaks of, each channel's own table says; failover goes by each single answer, and not
by this.
"""

from gatewayd.core.in_a_row import STILL_SO

ENOUGH = 3
"""Different messages in a row that were refused so: one alone may be a matter of that one."""

ENOUGH_REJECTED = 10
"""Different messages in a row that were rejected as if each were at fault: so many hardly are."""

ENOUGH_HARD = 100
"""The same where it said that nobody has the address: an old list has ten in a row, but hardly so many."""


class OwnReasons:
    """The answers of one next hop since it last took a message. `what` it is given.

    It says in so many words that a reason is its own, or it rejects one message after the other: an account that is
    blocked, a host that it does not relay for and a sender that it does not know look like that.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._message_ids: set[str] = set()
        self._rejected_ids: set[str] = set()
        self._hard_ids: set[str] = set()
        self._rejected_at = 0.0  # what was rejected does not come again, and at night perhaps nothing else
        self._said = ""

    def refused(self, message_id: str, said: str) -> None:
        """It refused this message for a reason of its own, in these words."""
        self._said = said
        if len(self._message_ids) < ENOUGH:
            self._message_ids.add(message_id)

    def rejected(self, message_id: str, said: str, now: float, *, hard: bool = False) -> None:
        """It refused this message for good, and for what it is, in these words; `hard`: nobody has the address."""
        self._said = said
        self._message_ids.clear()
        self._rejected_at = now
        found, enough = (self._hard_ids, ENOUGH_HARD) if hard else (self._rejected_ids, ENOUGH_REJECTED)
        if len(found) < enough:
            found.add(message_id)

    def forget(self) -> None:
        """It works, or its configuration was changed."""
        self._message_ids.clear()
        self._rejected_ids.clear()
        self._hard_ids.clear()

    def words(self, now: float) -> str:
        """For people: that it refuses everything, and with what; empty where it does not."""
        if len(self._message_ids) >= ENOUGH:
            return f"it refuses every {self._what}, the latest with {self._said}"
        many = len(self._rejected_ids) >= ENOUGH_REJECTED or len(self._hard_ids) >= ENOUGH_HARD
        if many and now - self._rejected_at <= STILL_SO:
            return f"it rejects one {self._what} after the other, the latest with {self._said}"
        return ""

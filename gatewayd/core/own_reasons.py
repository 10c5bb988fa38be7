"""Whether a next hop, though up, refuses all that it is given, for reasons of its own: what `degraded` says of it.

Owns the counts. What an answer speaks of, each channel's own table says; failover goes by each single answer, and not
by this.
"""

from twisted.internet.interfaces import IReactorTime

from gatewayd.core.in_a_row import InARow, Run

ENOUGH = 3
"""Different messages in a row that were refused so: one alone may be a matter of that one."""

ENOUGH_REJECTED = 10
"""Different messages in a row that were rejected as if each were at fault: so many hardly are."""

ENOUGH_HARD = 100
"""The same where it said that nobody has the address: an old list has ten in a row, but hardly so many."""

FOR_LONG = 60.0
"""Seconds between the first and the latest message in vain, none having got through, after which that is said: "slow
down" is no trouble of its own, and a restart of the next hop ends many connections at once.
"""

IN_VAIN_FOR = 3600.0
"""Seconds since the latest for which it counts: nobody may have sent anything since."""

_ALL = ""  # what is a next hop's own reason hits all labels alike


class OwnReasons:
    """The answers of one next hop since it last took a message. `what` it is given.

    It says in so many words that a reason is its own, or it rejects one message after the other: an account that is
    blocked, a host that it does not relay for and a sender that it does not know look like that. The sender is one
    label's: what is rejected is counted by label. Or none gets through for long. Each counts for an hour: what was
    refused may have gone by another way, and does not come again.
    """

    def __init__(self, clock: IReactorTime, what: str) -> None:
        self._what = what
        self._refused = InARow(clock, ENOUGH)
        self._rejected = InARow(clock, ENOUGH_REJECTED)
        self._hard = InARow(clock, ENOUGH_HARD)
        self._clock = clock
        self._in_vain: tuple[float, float, str] | None = None  # since when, the latest, and what that ended with

    def in_vain(self, said: str) -> None:
        """A message was put off, or its connection lost: it ended with `said`, and is neither taken nor refused."""
        now = self._clock.seconds()
        since = now if self._in_vain is None else self._in_vain[0]
        self._in_vain = since, now, said

    def refused(self, message_id: str, said: str) -> None:
        """It refused this message for a reason of its own, in these words."""
        self._in_vain = None
        self._refused.failed(_ALL, said, message_id)

    def rejected(self, label: str, message_id: str, said: str, *, hard: bool = False) -> None:
        """It refused this message for good, and for what it is, in these words; `hard`: nobody has the address."""
        self._in_vain = None
        self._refused.forget()
        (self._hard if hard else self._rejected).failed(label, said, message_id)

    def works(self, label: str) -> None:
        """It took a message of this label, or has nothing against it but for now."""
        self._in_vain = None
        self._refused.forget()
        self._rejected.worked(label)
        self._hard.worked(label)

    def forget(self) -> None:
        """Its configuration was changed."""
        self._in_vain = None
        for count in (self._refused, self._rejected, self._hard):
            count.forget()

    def words(self) -> str:
        """For people: that it refuses everything, or all of `labels`, and with what; empty where it does not."""
        for _, run in self._refused.found():
            return f"it refuses every {self._what}, the latest with {run.why}"
        for _, run in self._rejecting():
            return f"it rejects one {self._what} after the other, the latest with {run.why}"
        if self._in_vain is not None:
            since, latest, said = self._in_vain
            if latest - since >= FOR_LONG and self._clock.seconds() - latest < IN_VAIN_FOR:
                return f"no {self._what} gets through, the latest ended with {said}"
        return ""

    def labels(self) -> tuple[str, ...]:
        """Of which it rejects one message after the other; none where it refuses everything, or nothing."""
        if any(self._refused.found()):
            return ()
        return tuple(sorted({label for label, _ in self._rejecting()}))

    def _rejecting(self) -> list[tuple[str, Run]]:
        return [*self._rejected.found(), *self._hard.found()]

"""What is wrong with a provider, by what it posts: several in a row say so, and one that is as it should be ends it.

All are refused: a secret or a key of theirs is not what our file has. All are about messages of others: our token does
not come back. It says that no more will come, or that no message arrives. Who posts is known by a secret path or a
signed token, so no stranger is counted.
"""

from collections.abc import Callable, Iterator

from twisted.internet.interfaces import IReactorTime

from gatewayd.core.in_a_row import NOT_ARRIVED, InARow
from gatewayd.core.model import Degraded

AT_LEAST = 3
"""So many refused in a row, and none that was good, say that something is wrong."""

STRANGERS = 20
"""So many events in a row that name no message of ours."""

MAILS = 10
"""So many mails must have left by it before that: others that share the account write at night, and we may not."""

MATCHED_COUNTS = 86400.0
"""Seconds since one that did, for which such events are those of another system that shares the account."""


class PostTroubles:
    """`source` is the table's name: esp.sendgrid, providers.twilio. `mails_out`: the mails that this process sent by
    an ESP of this name.
    """

    def __init__(self, clock: IReactorTime, mails_out: Callable[[str], int]) -> None:
        self._mails_out = mails_out
        self._mails_before: dict[str, int] = {}  # of each source, since it named a message of ours
        self._refused = InARow(clock, AT_LEAST)
        self._ended = InARow(clock, 1)
        self._clock = clock
        self._strangers = InARow(clock, STRANGERS)
        self._not_arrived = InARow(clock, NOT_ARRIVED)
        self._matched_at: dict[str, float] = {}

    def refused(self, source: str, why: str) -> None:
        """A post of this one was not taken."""
        self._refused.failed(source, why)

    def good(self, source: str) -> None:
        """One was."""
        self._refused.worked(source)
        self._ended.worked(source)

    def ended(self, source: str, why: str) -> None:
        """It says itself that no more will come."""
        self._ended.failed(source, why)

    def matched(self, source: str) -> None:
        """One of its events named a message of ours."""
        self._strangers.worked(source)
        self._matched_at[source] = self._clock.seconds()
        self._mails_before.pop(source, None)

    def stranger(self, source: str) -> None:
        """One named none."""
        mails_out = self._mails_out(source.partition(".")[2])
        if mails_out - self._mails_before.setdefault(source, mails_out) < MAILS:
            return
        matched_at = self._matched_at.get(source)
        if matched_at is None or self._clock.seconds() - matched_at > MATCHED_COUNTS:
            self._strangers.failed(source)

    def arrived(self, source: str, label: str) -> None:
        """A message of this label did."""
        self._not_arrived.worked(f"{source}/{label}")

    def not_arrived(self, source: str, label: str, message_id: str, word: str) -> None:
        """This one did not, in the vendor's word; of one whose table knows a word for those that did."""
        self._not_arrived.failed(f"{source}/{label}", word, message_id)

    def forget(self) -> None:
        """The file has been read again."""
        self._refused.forget()
        self._strangers.forget()
        self._not_arrived.forget()
        self._mails_before.clear()

    def degraded(self) -> Iterator[Degraded]:
        """See SaysDegraded."""
        for source, run in self._refused.found():
            text = f"{source}: its latest {run.count} posts were refused: {run.why}"
            yield Degraded("events", source, f"{text}; what became of its messages nobody hears")
        for name, run in self._not_arrived.found():
            source, _, label = name.partition("/")
            text = f"{source}: one message of {label} after the other did not arrive, the latest {run.why}"
            yield Degraded("events", name, f"{text}: does it block the sender, or the account?")
        for source, run in self._ended.found():
            yield Degraded("events", source, f"{source}: {run.why}; what became of its messages nobody hears")
        for source, run in self._strangers.found():
            text = (
                f"{source}: its latest {run.count} events name no message of ours: does a relay have its provider,"
                " which puts our token into mails, and do they come back with it, or do others use the account?"
            )
            yield Degraded("events", source, text)

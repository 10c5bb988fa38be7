"""Which callback hosts hear statuses and take none, or none of one label's: said after several in a row.

Knows no URL and no answer: report.py says what was refused, and by what.
"""

from collections.abc import Callable, Iterator

import msgspec
from twisted.internet.interfaces import IReactorTime

from gatewayd.core.memory import Memory
from gatewayd.core.model import MOST_NAMED, Degraded
from gatewayd.core.retry import STILL_SO

REFUSED_IN_A_ROW = 5
"""Refusals without a status taken between them, after which a host is said to take none."""

MAX_HOSTS = 1000


class _Refusals(msgspec.Struct, frozen=True):
    """The latest of `host` was at `at` (seconds since the epoch), of a status of `label`.

    `suspect` is the label's key that may be wrong: then these are of that label alone, for the host may take those of
    others; "" where the host has a trouble of its own. `whose` are the messages that it does not know: told again, the
    statuses of one say no more of the host.
    """

    at: float
    host: str
    label: str
    suspect: str = ""
    in_a_row: int = 0
    reason: str = ""
    whose: frozenset[str] = frozenset()

    @property
    def is_all(self) -> bool:
        """Whether it takes none, as far as can be seen."""
        return self.in_a_row >= REFUSED_IN_A_ROW

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.reason} ({self.in_a_row} times in a row)"

    @property
    def name(self) -> str:
        """Of whom they are."""
        return _of_label(self.label, self.host) if self.suspect else self.host


class RefusedStatuses:
    """By host, and by label where a key of the label's may be wrong."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        # Bounded: a label's callback_hosts may be a pattern, and a request name any host of it.
        self._refusals: Memory[str, _Refusals] = Memory(MAX_HOSTS, STILL_SO)

    def count(self, host: str, label: str, reason: str, *, suspect: str = "", whose: str = "") -> None:
        """`host` took no status of `label`; `suspect` and `whose` (at most one message) as in _Refusals."""
        new = _Refusals(self._clock.seconds(), host, label, suspect, reason=reason)
        before = self._refusals.get(new.name) or new
        in_a_row, known = before.in_a_row, before.whose
        if whose not in known:
            in_a_row += 1
        if whose and in_a_row <= REFUSED_IN_A_ROW:
            known |= {whose}
        self._refusals.put(new.name, msgspec.structs.replace(new, in_a_row=in_a_row, whose=known))

    def took(self, host: str, label: str) -> None:
        """It took one: what was before is past."""
        self._refusals.forget(host)
        self._refusals.forget(_of_label(label, host))

    def forget(self, is_past: Callable[[str], bool]) -> None:
        """What was refused of labels of which `is_past` is true."""
        for refusals in list(self._lately()):
            if is_past(refusals.label):
                self._refusals.forget(refusals.name)

    def refusing(self) -> dict[str, str]:
        """Hosts that answer, and take no status, or none of a label: why, by host. One that says no is not up."""
        found: dict[str, str] = {}
        for refusals in self._lately():
            if refusals.is_all:
                why = f"{refusals.label}: {refusals.words}" if refusals.suspect else refusals.words
                found[refusals.host] = f"{found[refusals.host]}; {why}" if refusals.host in found else why
        return found

    def degraded(self) -> Iterator[Degraded]:
        """Those hosts, and the labels whose statuses they refuse: some by name, as requests name hosts."""
        # In an order that stays: whichever was tried last, the same ones are named.
        all_refused = sorted((one for one in self._lately() if one.is_all), key=lambda one: one.name)
        for refusals in all_refused[:MOST_NAMED]:
            suspect, label = refusals.suspect, refusals.label
            whose, hint = (f" of {label}", f"is {suspect} of {label} right? Statuses") if suspect else ("", "statuses")
            text = f"Smartico at {refusals.host} takes no status{whose}: {refusals.words}; {hint} wait"
            yield Degraded("callbacks", refusals.name, text)
        if (more := len(all_refused) - MOST_NAMED) > 0:
            yield Degraded("callbacks", "more", f"Smartico at {more} more hosts takes no status; statuses wait")

    def _lately(self) -> Iterator[_Refusals]:
        """Of whoever is asked no more nothing is said for ever."""
        for some in self._refusals.since(self._clock.seconds() - STILL_SO, MAX_HOSTS):
            for _, refusals in some:
                yield refusals


def _of_label(label: str, host: str) -> str:
    """What is counted of one label's statuses at a host."""
    return f"{label} at {host}"

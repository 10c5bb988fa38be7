"""Generic_nacks that may mean one of our submits, or something else: what can be believed of them, and when.

Owns the nacks of one session that name no submit, or name one whose number is that of an answer of ours as well. To
believe one too early sends an SMS twice, so it waits: for the answer that its submit may still get.
"""

from collections import deque
from collections.abc import Mapping

from msgspec import Struct

from gatewayd.smpp.codec.pdu import Disposition, Pdu, disposition, status_name

SETTLED = 10.0
"""Seconds within which an SMSC that takes none of our answers of a kind has nacked the first one: all are alike."""

ANSWERS_KEPT = 200
"""Of so many answers of ours the latest numbers are known, for a nack of one comes soon."""

_OF_SUBMITS = frozenset({Disposition.THROTTLED, Disposition.PERMANENT})
"""Nobody throttles an answer, or has something against whom it is for."""


class Nack(Struct, frozen=True):
    """When it came, and what it says."""

    at: float
    status: int


class Nacks:
    """What waits for its submit's time to be over; once one meant something else, none of this session is believed."""

    def __init__(self) -> None:
        self._nacks: list[Nack] = []
        self._submits: dict[int, float] = {}  # those that may be meant, without an answer yet: when each was written
        self._first: dict[tuple[type[Pdu], int], float] = {}  # of our answers of each kind: when it was written
        self._answers: deque[int] = deque(maxlen=ANSWERS_KEPT)
        self._trusted = True

    def we_answered(self, answer: Pdu, now: float) -> None:
        """An answer of ours is about to be written: it may be nacked, too."""
        self._first.setdefault((type(answer), answer.status), now)
        self._answers.append(answer.sequence)

    def may_mean_an_answer(self, sequence: int, status: int) -> bool:
        """Whether a nack with the number of a submit may be about our answer with that number."""
        return sequence in self._answers and disposition(status) not in _OF_SUBMITS

    def came(self, nack: Nack, submits: Mapping[int, float], keep: float) -> None:
        """One came that may mean each of these submits; `keep` is for how many seconds one waits for certainty."""
        if not self._trusted or (self._nacks and nack.at > self._nacks[0].at + keep):
            self._nacks, self._submits = [], {}
        self._nacks.append(nack)
        self._submits |= submits
        if not submits or any(nack.at < first + SETTLED for first in self._first.values()):
            self._trusted = False
        self._doubt()

    def answered(self, sequence: int) -> None:
        """A submit has its answer: no nack meant it."""
        if self._submits.pop(sequence, None) is not None:
            self._doubt()

    def verdict(self, sequence: int) -> Nack | None:
        """For a submit that gets no answer any more: the nack that is its answer, for nothing else can be meant."""
        if not self._trusted or sequence not in self._submits or len(self._submits) > len(self._nacks):
            return None
        order = sorted(self._submits, key=self._submits.__getitem__)
        del self._submits[sequence]
        return self._nacks.pop(order.index(sequence))

    def words(self, sequence: int) -> str:
        """What to tell of a submit without an answer that one may mean; else an empty string."""
        if sequence not in self._submits:
            return ""
        names = ", ".join(dict.fromkeys(status_name(nack.status) for nack in self._nacks))
        return f"; {names} came by a generic_nack that names no submit and may mean this one"

    def _doubt(self) -> None:
        """Each nack needs a submit of its own, written before it: else one means something else, and all may."""
        written = sorted(self._submits.values())
        too_few = len(written) < len(self._nacks)
        if too_few or any(nack.at < at for nack, at in zip(self._nacks, written, strict=False)):
            self._trusted = False

"""What an SMSC or provider said "slow down" to: which is about the message itself, and which goes ahead of others.

Pure. It knows message ids and moments (seconds of one clock), no connection, text or pace.
"""

KEPT = 10_000
"""Throttled messages are known again up to this number; some come back to another process, or not at all."""

OWN_MATTER = 3
"""Throttled so often in a row, while later submits of others were accepted, a message is refused for itself: its
recipient's queue is full, and no pace of ours helps.
"""

MANY_NUMBERS, MOST_NUMBERS = 3, 10
"""So many messages refused for themselves, less those that were taken when they came again, and a refusal that may be
about one number is so from its first time on; and the most that is counted, so that it can be learned anew.
"""

SOME = 20
"""Answers over which it is measured how many are accepted."""

LATELY = 5.0
"""Seconds for which an accepted submit shows that others are taken."""


class SentBack:
    """Of one SMSC or provider."""

    def __init__(self) -> None:
        self._put_off: dict[str, None] = {}
        self._refused: dict[str, tuple[int, float]] = {}  # how often while others were accepted, and when the last time
        self._passing = 1.0  # the share of the latest submits that was accepted
        self._numbers = 0  # messages refused for themselves, less those taken after a refusal; up to MOST_NUMBERS
        self._accepted_of = 0.0  # when the latest submit of those accepted was written

    def put_off(self, message_id: str) -> None:
        """The next hop said "slow down" to this message: it was at the head of the queue, and comes back to it."""
        self._put_off[message_id] = None
        if len(self._put_off) > KEPT:
            del self._put_off[next(iter(self._put_off))]

    def is_refused_for_itself(self, message_id: str, now: float, *, by_number: bool = False) -> bool:
        """Whether a "slow down" to this message, which is noted, is about it and not about the pace.

        `by_number`: such words may be about one number by themselves. Where they turned out so of many, and others are
        taken, the pace is left alone: else a campaign would stand still for the numbers whose queues are full.
        """
        self._passing -= self._passing / SOME
        times, at = self._refused.pop(message_id, (0, -1.0))
        others_pass = self._accepted_of > at
        times += others_pass
        self._refused[message_id] = (times, now)
        if len(self._refused) > KEPT:
            del self._refused[next(iter(self._refused))]
        if others_pass and times == OWN_MATTER:
            self._numbers = min(self._numbers + 1, MOST_NUMBERS)
        are_numbers = by_number and self._numbers >= MANY_NUMBERS and now - self._accepted_of < LATELY
        return are_numbers or (others_pass and times >= OWN_MATTER)

    def accepted(self, message_id: str, written_at: float) -> None:
        """The next hop accepted a submit of this message."""
        self._accepted_of = max(self._accepted_of, written_at)
        self._passing += (1.0 - self._passing) / SOME
        if self._refused and self._refused.pop(message_id, None) is not None:
            self._numbers = max(self._numbers - 1, 0)

    def most_pass(self) -> bool:
        """Whether of the latest submits more were accepted than sent back."""
        return self._passing > 0.5

    def goes_ahead(self, message_id: str) -> bool:
        """Whether it was put off before; asked once for each attempt."""
        if message_id not in self._put_off:
            return False
        del self._put_off[message_id]
        return True

"""Which of this process's calls to `accept` are not decided: their callers may hear "stored" or "nothing stored". Pure.

Who asks for a message to be stored answers its caller by what Redis replies, and by "nothing was stored" where the
reply does not come in time. What was stored all the same is taken back, once Redis is there again. Until then nobody
else may send it, and Redis can't know by itself what the caller heard; nor would another round trip tell, for its reply
can be lost as well. So each process says, with what it asks anyway, up to which of its calls all are decided, and what
a later call stored is lent to nobody else. It is not kept back for ever: a process that is silent for longer is taken
for dead, and then a caller who was answered 0 in its last moments must not lose the message.
"""

UNHEARD_FOR = 30.0
"""Seconds, by Redis' clock, for which a message that its process does not say more of is lent to nobody else."""


class Unheard:
    """The calls that are not decided, by their numbers: a process counts its calls up from 0."""

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._next = 0

    def asked(self, attempt: str) -> None:
        """It is on its way, or its caller was refused and it is still to be taken back."""
        number = int(attempt)
        self._open.add(number)
        self._next = max(self._next, number + 1)

    def decided(self, attempt: str) -> None:
        """Its caller was told of its message, or there is no such message."""
        self._open.discard(int(attempt))

    def first(self) -> int:
        """All calls before this one are decided."""
        return min(self._open, default=self._next)

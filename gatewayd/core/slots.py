"""Slots: what a next hop lets us do at a time, each given back once, and by itself.

Owns how many are in use. What is done in a slot it does not know.
"""

import math
from collections.abc import Callable
from types import TracebackType
from typing import Self

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from gatewayd.core.line import Line


class Slot:
    """The right to one thing at a time: `release` gives it back, once, however often it is called. For a `with`."""

    __slots__ = ("_give_back",)

    def __init__(self, give_back: Callable[[], None]) -> None:
        self._give_back: Callable[[], None] | None = give_back

    def release(self) -> None:
        """It is not needed any more."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()

    def __enter__(self) -> Self:
        """It is held already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give it back, however the block ended."""
        self.release()


class Slots:
    """`limit` slots, and the line before them: `patience` and `too_long` are the Line's.

    A limit that is lowered counts as slots come back; nobody loses the one they have.
    """

    def __init__(
        self,
        clock: IReactorTime,
        limit: int,
        patience: float = math.inf,
        too_long: Callable[[], Exception] = TimeoutError,
    ) -> None:
        self._limit = limit
        self._used = 0
        self._line: Line[Slot] = Line(clock, patience, too_long)

    @property
    def limit(self) -> int:
        """How many there are."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._serve()

    @property
    def used(self) -> int:
        """How many are held."""
        return self._used

    @property
    def waiting(self) -> int:
        """How many wait for one."""
        return len(self._line)

    def take_now(self) -> Slot | None:
        """A slot, where one is free at this moment."""
        if self._used >= self._limit:
            return None
        self._used += 1
        return Slot(self._give_back)

    def take(self, *, ahead: bool = False) -> Deferred[Slot]:
        """A slot, at once or in turn; to be awaited at once, and released in the end. Errs with `too_long`."""
        slot = self.take_now()
        return succeed(slot) if slot is not None else self._line.join(ahead=ahead)

    def fail(self, why: Callable[[], Exception]) -> None:
        """Send all away who wait; slots that are held stay held."""
        self._line.fail(why)

    def _give_back(self) -> None:
        self._used -= 1
        self._serve()

    def _serve(self) -> None:
        self._line.serve_from(self.take_now)

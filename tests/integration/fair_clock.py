"""Time as the tests count it: what a busy machine withheld from us is not held against us.

    stretch = Stretch()
    ...
    assert stretch.seconds() < 5

Linux says of each thread how long it stood ready to run and got no core. That is left out, for this process and for all
that it has started: on an idle machine a bound is as strict as it reads, beside others it asks for no more.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

AT_LEAST = 0.2
"""The part of the real time that always counts, so that what never comes is given up on any machine."""


class Stretch:
    """The time since its beginning."""

    def __init__(self) -> None:
        self._waits = dict(_waits(os.getpid()))
        self._began = time.monotonic()

    def seconds(self) -> float:
        """Seconds so far, less those in which we waited for a core. A process that has ended meanwhile is forgotten."""
        passed = time.monotonic() - self._began
        waited = sum(wait - self._waits.get(thread, 0) for thread, wait in _waits(os.getpid()))
        return max(passed - waited / 1e9, AT_LEAST * passed)

    def withheld(self) -> float:
        """The part of the time so far that it leaves out."""
        passed = time.monotonic() - self._began
        return max(1.0 - self.seconds() / passed, 0.0)

    def is_over(self, limit: float) -> bool:
        """Whether so many seconds are over. It looks closely only where they may be."""
        return time.monotonic() - self._began > limit and self.seconds() > limit


def _waits(pid: int) -> Iterator[tuple[str, int]]:
    """Each thread of a process and of those that it started, and how many nanoseconds it has waited for a core."""
    # What ends while we look has nothing to say, and a kernel that does not tell makes every bound strict.
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                yield thread.name, int((thread / "schedstat").read_text().split()[1])
            with suppress(OSError):
                for child in (thread / "children").read_text().split():
                    yield from _waits(int(child))

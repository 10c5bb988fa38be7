"""The process' memory in pages of 2 MB, where Linux gives them: one message is spread over thousands of 4 kB.

A CPU remembers where some 2,000 pages lie and looks up all others in memory, under a hypervisor twice: with huge pages
a message takes 5 to 9 % less of its time. Knows nothing of what lies in them.
"""

import ctypes
import re
from collections.abc import Callable, Iterator
from mmap import PAGESIZE
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from gatewayd.core.regularly import Regularly

HUGE = 2_097_152
"""Bytes of a huge page."""

INTERVAL = 3.0
"""Seconds between two looks at how much memory there is; only what has grown is moved. Short runs do without: the first
move takes 0.1 s of CPU."""

FULL = 0.8
"""Part of a mapping that must be in memory already: the stack of a thread is nearly empty, and would be filled."""

_COLLAPSE = 25
"""madvise(2): move what lies there into huge pages now, whatever the kernel does by itself. Linux 6.1 and later."""

_POLICY = Path("/sys/kernel/mm/transparent_hugepage/enabled")

_IN_USE = re.compile(
    # In smaps: memory of our own, of no file, which nobody shares.
    r"^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ 0 .*\n"
    r"(?:[A-Z].*\n)*?Rss: +(\d+) kB\n(?:[A-Z].*\n)*?AnonHugePages: +(\d+) kB\n",
    re.MULTILINE,
)

log = Logger()


def resident() -> int:
    """Bytes of this process that are in memory (statm in proc(5)); 0 where nobody says."""
    pages = _said("/proc/self/statm").split()
    return int(pages[1]) * PAGESIZE if pages else 0


class HugePages(Regularly):
    """Moves what was allocated into huge pages, in a thread, unless the host's policy is `never`.

    `resident` says how many bytes are in memory: a process that has not grown by a huge page since has nothing to move.
    """

    def __init__(self, reactor: Any, resident: Callable[[], int] = resident) -> None:
        super().__init__(reactor, INTERVAL, self._look, "moving memory into huge pages", at_once=False)
        self._reactor = reactor
        self._resident = resident
        self._least = 0  # bytes in memory after the last move, or fewer where some were given back since

    async def _look(self) -> None:
        now = self._resident()
        self._least = min(self._least, now)
        if now < self._least + HUGE:
            return
        moved = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), use_huge_pages)
        self._least = self._resident()
        if moved:
            log.debug("{megabytes} MB of memory were moved into huge pages", megabytes=moved >> 20)


def use_huge_pages() -> int:
    """Bytes of this process' memory that were moved; 0 where the kernel does not, or the host does not want it."""
    if "[never]" in _said(_POLICY):
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    stretches = worth_moving(_said("/proc/self/smaps"))
    return sum(size for start, size in stretches if madvise(start, size, _COLLAPSE) == 0)


def worth_moving(smaps: str) -> Iterator[tuple[int, int]]:
    """The first address and the size of each stretch of whole huge pages that is in use, and not in such pages yet.

    `smaps` is /proc/PID/smaps (proc(5)). Files, and memory that is shared or can't be written, are left alone.
    """
    for first, end, resident, huge in _IN_USE.findall(smaps):
        begins, ends = int(first, 16), int(end, 16)
        start, stop = -(-begins // HUGE) * HUGE, ends // HUGE * HUGE
        if int(resident) * 1024 >= FULL * (ends - begins) and int(huge) * 1024 < stop - start:
            yield start, stop - start


def _said(file: str | Path) -> str:
    """What Linux says there; "" where it does not."""
    try:
        return Path(file).read_text()
    except OSError:
        return ""

"""The process' memory in pages of 2 MB, where Linux gives them: one message is spread over thousands of 4 kB.

A CPU remembers where some 2,000 pages lie and looks up all others in memory, under a hypervisor twice: with huge pages
a message takes 5 to 9 % less of its time. Knows nothing of what lies in them.
"""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from gatewayd.core.regularly import Regularly

HUGE = 2_097_152
"""Bytes of a huge page."""

INTERVAL = 30.0
"""Seconds between two looks at what was allocated since; the first comes so late that short runs do without."""

FULL = 0.8
"""Part of a mapping that must be in memory already: the stack of a thread is nearly empty, and would be filled."""

_COLLAPSE = 25
"""madvise(2): move what lies there into huge pages now, whatever the kernel does by itself. Linux 6.1 and later."""

_POLICY = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ (\d+)")
_FIGURE = re.compile(r"(\w+): +(\d+) kB")

log = Logger()


class HugePages(Regularly):
    """Moves what is allocated into huge pages, in a thread, unless the host's policy is `never`."""

    def __init__(self, reactor: Any) -> None:
        super().__init__(reactor, INTERVAL, self._look, "moving memory into huge pages", at_once=False)
        self._reactor = reactor

    async def _look(self) -> None:
        moved = await deferToThreadPool(self._reactor, self._reactor.getThreadPool(), use_huge_pages)
        if moved:
            log.debug("{megabytes} MB of memory were moved into huge pages", megabytes=moved >> 20)


def use_huge_pages() -> int:
    """Bytes of this process' memory that were moved; 0 where the kernel does not, or the host does not want it."""
    try:
        if "[never]" in _POLICY.read_text():
            return 0
        smaps = Path("/proc/self/smaps").read_text()
    except OSError:
        return 0
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return sum(size for start, size in worth_moving(smaps) if madvise(start, size, _COLLAPSE) == 0)


def worth_moving(smaps: str) -> Iterator[tuple[int, int]]:
    """The first address and the size of each stretch of whole huge pages that is in use, and not in such pages yet.

    `smaps` is /proc/PID/smaps (proc(5)). Files, and memory that is shared or can't be written, are left alone.
    """
    first = end = resident = 0
    for line in smaps.splitlines():
        if mapping := _MAPPING.match(line):
            is_ours = mapping[3] == "rw-p" and mapping[4] == "0"
            first, end = (int(mapping[1], 16), int(mapping[2], 16)) if is_ours else (0, 0)
        elif figure := _FIGURE.match(line):
            size = int(figure[2]) * 1024
            if figure[1] == "Rss":
                resident = size
            elif figure[1] == "AnonHugePages" and resident >= FULL * (end - first):
                start, stop = -(-first // HUGE) * HUGE, end // HUGE * HUGE
                if size < stop - start:
                    yield start, stop - start

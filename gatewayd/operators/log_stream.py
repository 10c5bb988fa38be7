"""Where the log's lines go: at once, and never waiting for somebody to read them.

A pipe or socket that nobody reads (a log shipper that hangs, a stopped journal) takes some 64 KiB, and then whoever
writes waits: the whole daemon, with all its callers. Here lines wait in its place, and past a limit they are lost and
counted: a message more is worth more than a line more. So are lines that a full disk has no room for. What must not be
lost is in the audit log.
"""

import os
import select
import stat
from collections import deque
from collections.abc import Callable
from typing import TextIO

KEPT = 1_048_576
"""Octets of lines that wait for a reader."""

_AT_ONCE = 4096
"""Octets that Linux takes without waiting from who was told that there is room (PIPE_BUF of pipe(7); sockets more)."""

_LAST_WAIT = 50
"""Milliseconds for which each piece of a process' last lines may wait for its reader."""


class LogStream:
    """Lines to `stream`. Whatever has no descriptor, as a test's memory, is written to as it is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._kept: deque[bytes] = deque()
        self._size = 0
        self._lost = 0
        self._why_lost = ""  # the latest
        self._trouble = ""
        self._room: select.poll | None = None
        try:
            self._fd = stream.fileno()
        except OSError:
            self._fd = -1
            return
        self._encoding = stream.encoding
        mode = os.fstat(self._fd).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
            self._room = select.poll()
            self._room.register(self._fd, select.POLLOUT)

    @property
    def waiting(self) -> int:
        """Lines that nobody has read yet, so that they wait here; the first may be half written."""
        return len(self._kept)

    @property
    def lost(self) -> int:
        """Lines that were lost since `tell_lost`."""
        return self._lost

    @property
    def trouble(self) -> str:
        """Why the latest line could not be written at all; "" where it could, or waits."""
        return self._trouble

    def write(self, line: str) -> None:
        """Write a line with its end, or keep it until there is room; where it can't be written, it is lost."""
        if self._fd < 0:
            self._stream.write(line)
            self._stream.flush()
            return
        octets = line.encode(self._encoding, "backslashreplace")
        if self._kept:
            self.drain()
        if not self._kept:
            octets = self._written(octets)
        if not octets:
            return
        if self._size + len(octets) > KEPT:
            self._lost += 1
            self._why_lost = "nobody read it"
            return
        self._kept.append(octets)
        self._size += len(octets)

    def drain(self, patience: int = 0) -> None:
        """Write what waits, as far as there is room within `patience` milliseconds for each piece."""
        while self._kept:
            first = self._kept.popleft()
            self._size -= len(first)
            if left := self._written(first, patience):
                self._kept.appendleft(left)
                self._size += len(left)
                return

    def tell_lost(self, line_of: Callable[[int, str], str]) -> None:
        """Write what `line_of` makes of how many lines were lost, and why, once what was kept is written.

        Then it is counted anew; where that line can't be written either, they are still to be told.
        """
        if self._kept or not self._lost:
            return
        lost, self._lost = self._lost, 0
        self.write(line_of(lost, self._why_lost))
        if self._lost:
            self._lost = lost

    def close(self) -> None:
        """The process ends: what waits has a last chance."""
        self.drain(_LAST_WAIT)

    def _written(self, octets: bytes, patience: int = 0) -> bytes:
        """What there was no room for."""
        while octets:
            if self._room is not None and not self._room.poll(patience):
                return octets
            try:
                octets = octets[os.write(self._fd, octets[:_AT_ONCE]) :]
            except BlockingIOError:
                # Whoever shares the descriptor with us set it so.
                return octets
            except OSError as error:
                self._lost += 1
                self._trouble = error.strerror or "no reason is known"
                self._why_lost = f"it could not be written: {self._trouble}"
                return b""
        self._trouble = ""
        return octets

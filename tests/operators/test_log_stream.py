"""Where the log's lines go: a reader that does not read holds nobody up, and what is lost is counted."""

import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from twisted.internet.task import Clock
from twisted.logger import Logger

from gatewayd.operators.log import Observer
from gatewayd.operators.log_stream import KEPT, LogStream


class Read:
    """A stream and its other end; `read` gives all that came there until now."""

    def __init__(self, kind: str) -> None:
        if kind == "pipe":
            self._here, there = os.pipe()
        else:
            ours, theirs = socket.socketpair()
            self._here, there = ours.detach(), theirs.detach()
        os.set_blocking(self._here, False)
        self.stream: IO[str] = os.fdopen(there, "w", encoding="utf-8")

    def read(self) -> str:
        """All that is there now."""
        found = b""
        try:
            while some := os.read(self._here, 65536):
                found += some
        except BlockingIOError:
            pass
        return found.decode()

    def hang_up(self) -> None:
        """Nobody will read any more."""
        os.close(self._here)
        self._here = -1

    def close(self) -> None:
        """Close both ends."""
        self.stream.close()
        if self._here >= 0:
            self.hang_up()


@pytest.fixture(params=["pipe", "socket"])
def other(request: pytest.FixtureRequest) -> Iterator[Read]:
    """A pipe, as of a container or a shell; a socket, as of the journal."""
    one = Read(request.param)
    yield one
    one.close()


def lines(count: int) -> list[str]:
    """As many numbered lines, some longer than a pipe takes at once."""
    return [f"{number} {'x' * (9000 if number % 100 == 7 else 200)}\n" for number in range(count)]


def test_what_is_read_comes_whole_and_in_order(other: Read) -> None:
    """However long a line is."""
    stream = LogStream(other.stream)
    found = ""
    for line in lines(20):
        stream.write(line)
        assert (stream.waiting, stream.lost) == (0, 0)
        found += other.read()
    assert found == "".join(lines(20))


def test_a_reader_that_is_late_gets_every_line(other: Read) -> None:
    """Whoever writes does not wait for it: this test would stand still."""
    stream = LogStream(other.stream)
    written = lines(2000)
    for line in written:
        stream.write(line)
    assert stream.waiting
    found = other.read()
    while stream.waiting:
        stream.drain()
        found += other.read()
    assert found == "".join(written)
    assert stream.lost == 0


def test_past_a_limit_lines_are_lost_whole_and_counted(other: Read) -> None:
    """None is cut in two, and memory has an end."""
    stream = LogStream(other.stream)
    written = [f"{number} {'x' * 10_000}\n" for number in range(2 * KEPT // 10_000)]
    for line in written:
        stream.write(line)
    assert stream.lost
    stream.tell_lost(lambda lines, why: "too early\n")  # it is told behind the lines that came before
    found = other.read()
    while stream.waiting:
        stream.drain()
        found += other.read()
    stream.write("after\n")
    found += other.read()
    whole = found.splitlines(keepends=True)
    assert whole[-1] == "after\n"
    assert set(whole[:-1]) <= set(written)
    assert len(whole) - 1 + stream.lost == len(written)
    for _ in range(2):
        stream.tell_lost(lambda lines, why: f"{lines}: {why}\n")
    assert other.read() == f"{len(written) - len(whole) + 1}: nobody read it\n"


def test_a_reader_that_is_gone_is_no_error(other: Read) -> None:
    """There is nobody to tell it."""
    stream = LogStream(other.stream)
    other.hang_up()
    stream.write("x\n")
    stream.close()


def test_a_file_is_written_at_once(tmp_path: Path) -> None:
    """And what its encoding has no letters for is escaped."""
    path = tmp_path / "log"
    with path.open("w", encoding="latin-1") as file:
        LogStream(file).write("ü \u0433\n")
        assert path.read_text("latin-1") == "ü \\u0433\n"


def test_a_full_disk_loses_lines_and_says_so(tmp_path: Path) -> None:
    """`degraded` does meanwhile, and the log itself once there is room; nothing that logs fails."""
    clock = Clock()
    path = tmp_path / "log"
    with Path("/dev/full").open("a") as file:
        observer = Observer(file, clock)
        log = Logger(namespace="x", observer=observer)
        for number in range(3):
            log.info("lost {number}", number=number)
        clock.advance(5)
        observer.flush()
        [one] = observer.degraded()
        assert (one.kind, one.name) == ("log", "unwritten")
        assert "the log can't be written: No space left on device, 3 are lost" in one.text
        with path.open("a") as room:
            os.dup2(room.fileno(), file.fileno())
        log.info("there is room")
        assert [*observer.degraded()] == []
        clock.advance(5)
        observer.flush()
    first, second = path.read_text().splitlines()
    assert first.endswith("x: there is room")
    assert second.endswith("3 lines of this log were lost, because it could not be written: No space left on device")


def test_memory_will_do() -> None:
    """As tests have it."""
    memory = io.StringIO()
    LogStream(memory).write("x\n")
    assert memory.getvalue() == "x\n"


def test_the_log_says_what_it_lost(other: Read) -> None:
    """Behind what came before; meanwhile `degraded` says that nobody reads."""
    clock = Clock()
    observer = Observer(other.stream, clock)
    log = Logger(namespace="x", observer=observer)
    assert [*observer.degraded()] == []
    for _ in range(2 * KEPT // 10_000):
        log.info("{words}", words="x" * 10_000)
    [one] = observer.degraded()
    assert (one.kind, one.name) == ("log", "unread")
    assert "nobody reads the log" in one.text
    while [*observer.degraded()]:
        other.read()
    other.read()
    clock.advance(5)
    observer.flush()
    assert "lines of this log were lost, because nobody read it" in other.read()

"""The audit log: a line for each decision, and no change that goes unseen."""

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from gatewayd.audit import AuditLog, verify
from gatewayd.model import Channel, Decision

SECRET = b"s" * 32


def decision(number: int) -> Decision:
    """The decision of that number."""
    return Decision("accepted", "amazing", Channel.EMAIL, f"id-{number}", f"uid-{number}", "player")


def written(path: Path, count: int = 5) -> list[bytes]:
    """A log of so many decisions, written by two processes one after the other."""
    clock = Clock()
    clock.advance(1_800_000_000.25)
    for part in (range(count // 2), range(count // 2, count)):
        audit = AuditLog(clock, path, SECRET, "gw1")
        for number in part:
            audit.record(decision(number))
        audit.close()
    return path.read_bytes().splitlines(keepends=True)


def problems(path: Path, *secrets: bytes) -> list[str]:
    """What verify says but for its last sentence."""
    return list(verify(path, secrets or (SECRET,)))[:-1]


def test_an_untouched_log_is_whole(tmp_path: Path) -> None:
    """The chain holds over a restart of the process, and the end is told."""
    path = tmp_path / "audit.log"
    lines = written(path)
    assert problems(path) == []
    assert list(verify(path, (SECRET,)))[-1].startswith("5 lines, the chain ends at ")
    assert b'"at":"2027-01-15T08:00:00.250Z"' in lines[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines[:2], lines[2].replace(b"id-2", b"id-9"), *lines[3:]],
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [*lines[:2], lines[3], lines[2], lines[4]],
        lambda lines: [*lines[:2], lines[1], *lines[2:]],
        lambda lines: [*lines[:3], b"not json\n", *lines[3:]],
        lambda lines: lines[1:],
    ],
)
def test_a_change_shows(tmp_path: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """A line changed, removed, moved, doubled or put in is found."""
    path = tmp_path / "audit.log"
    lines = written(path)
    path.write_bytes(b"".join(change(lines)))
    assert problems(path)


def test_nobody_without_the_key_can_write_a_chain(tmp_path: Path) -> None:
    """A whole log made with another key is refused line by line; a previous key of the ring is accepted."""
    path = tmp_path / "audit.log"
    written(path)
    assert len(problems(path, b"x" * 32)) == 5
    assert problems(path, b"x" * 32, SECRET) == []


def test_an_empty_log_is_a_beginning(tmp_path: Path) -> None:
    """A file that is there but empty starts a chain."""
    path = tmp_path / "audit.log"
    path.touch()
    written(path, 1)
    assert problems(path) == []

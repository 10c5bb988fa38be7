"""The audit log: a line for each decision, and no change that goes unseen."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from gatewayd.config import Secret
from gatewayd.config.process import Gatewayd
from gatewayd.core.model import AuditHead, Channel, Decision
from gatewayd.operators.audit import AuditLog, FileTaken, NoAuditLog, fault_of
from gatewayd.operators.audit_head import HeadKeeper
from gatewayd.operators.audit_proof import MOST_FAULTS, cut_off, line_of, verified, verify

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
        lambda line: line.replace(b'"chain"', b'"approved":"by nobody","chain"'),
        lambda line: line.replace(b'"reason"', b'"reason":"another","reason"'),
        lambda line: line.replace(b'":"', b'": "'),
        lambda line: line.replace(b"player", b"pl\\u0061yer"),
    ],
)
def test_what_was_added_to_a_line_shows(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """A field more, or one twice, of which another reader takes the first; line ends of another system are none."""
    path = tmp_path / "audit.log"
    lines = written(path)
    path.write_bytes(b"".join([*lines[:2], change(lines[2]), *lines[3:]]))
    assert problems(path) == ["line 3 is not as it was written: something was added to it or changed"]
    path.write_bytes(b"".join(line[:-1] + b"\r\n" for line in lines))
    assert problems(path) == []


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


def test_a_key_that_is_missing_is_guessed_and_fills_no_screen(tmp_path: Path) -> None:
    """As after a rotation whose former key was taken out: a line for each line of a year would say nothing."""
    path = tmp_path / "audit.log"
    one, other = b"a" * 32, b"b" * 32
    for secret, count in ((one, MOST_FAULTS + 20), (other, 3)):
        log = AuditLog(Clock(), path, secret, "gw1")
        for number in range(count):
            log.record(Decision("accepted", "amazing", Channel.SMS, f"id-{number}"))
        log.close()
    faults, summary, _ = verified(path, (other,))
    assert faults[0].startswith("line 1 does not follow")
    assert faults[MOST_FAULTS:] == ["and 20 places more"]
    assert summary.endswith(f"; no key here binds the first {MOST_FAULTS + 20}: do previous_secret_keys lack one?")
    assert verified(path, (other, one))[0] == []
    assert "no key here" not in verified(path, (other, one))[1]


def test_one_process_writes_a_file(tmp_path: Path) -> None:
    """A second one is refused in words, and has it once the first is gone."""
    path = tmp_path / "audit.log"
    first = AuditLog(Clock(), path, SECRET, "gw1")
    with pytest.raises(FileTaken, match="another process writes it"):
        AuditLog(Clock(), path, SECRET, "gw2")
    first.close()
    AuditLog(Clock(), path, SECRET, "gw2").close()


@pytest.mark.parametrize("there", [b"127.0.0.1 localhost\n", b'{"at":1}\n{"level":"info"}\n', b"\x1f\x8b\x08", None])
def test_what_is_no_audit_log_is_left_as_it_is(tmp_path: Path, there: bytes | None) -> None:
    """Another program's file, or a device, that the configuration names by mistake: nothing is written behind it."""
    path = tmp_path / "hosts"
    if there is None:
        path.symlink_to("/dev/null")
    else:
        path.write_bytes(there)
    table = Gatewayd(secret_key=Secret("k" * 32), instance="one", audit_log=str(tmp_path / "{instance}.log"))
    assert fault_of(table) == ""
    assert fault_of(table.model_copy(update={"audit_log": str(path)})).startswith(f"gatewayd.audit_log: {path}: this")
    with pytest.raises(NoAuditLog, match="this is no audit log, and nothing is written to it"):
        AuditLog(Clock(), path, SECRET, "gw1")
    assert path.read_bytes() == (there or b"")


@pytest.mark.parametrize("there", [b"", b'{"at":"2027-01-15T08:0', b"\0" * 512])
def test_a_beginning_that_a_power_cut_tore_is_an_audit_log(tmp_path: Path, there: bytes) -> None:
    """Its first line, in part or as zeros: the daemon starts, and writes on."""
    path = tmp_path / "audit.log"
    path.write_bytes(there)
    audit = AuditLog(Clock(), path, SECRET, "gw1")
    audit.record(decision(1))
    audit.close()
    assert problems(path) == (["line 1 is not a line of an audit log"] if there else [])


@pytest.mark.parametrize("way", ["moved", "moved and created", "copied and emptied"])
def test_a_rotated_log_goes_on(tmp_path: Path, way: str) -> None:
    """The new file names the old one's head: each is whole by itself, and a missing one shows."""
    path, old, older = tmp_path / "audit.log", tmp_path / "audit.log.1", tmp_path / "audit.log.2"
    audit = AuditLog(Clock(), path, SECRET, "gw1")
    for round_of in (older, old):
        audit.record(decision(1))
        if way == "copied and emptied":
            round_of.write_bytes(path.read_bytes())
            path.write_bytes(b"")
        else:
            path.rename(round_of)
            # Until it is told, it writes to the moved file.
            audit.record(decision(2))
        if way == "moved and created":
            path.touch()
        audit.reopen()
        audit.reopen()
    audit.record(decision(3))
    assert audit.head().lines == len(path.read_bytes().splitlines()), "as `verify --head` compares it"
    audit.close()
    again = AuditLog(Clock(), path, SECRET, "gw1")
    again.record(decision(4))
    again.close()
    heads = {}
    for file in (older, old, path):
        assert problems(file) == []
        heads[file] = list(verify(file, (SECRET,)))[-1].split("ends at ")[1].split(";")[0]
    assert list(verify(path, (SECRET,)))[-1].endswith(f"; it goes on from {heads[old]}")
    assert list(verify(path, (SECRET,), heads[old]))[:-1] == []
    assert "is missing" in next(verify(path, (SECRET,), heads[older]))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0].replace(heads[old].encode(), heads[older].encode()) + b"".join(lines[1:]))
    assert len(problems(path)) == 1, "what a file goes on from cannot be changed"


def test_a_log_that_cannot_be_opened_anew_goes_on_as_it_was(tmp_path: Path) -> None:
    """A directory that is gone costs no line; the operator is told."""
    directory = tmp_path / "away"
    directory.mkdir()
    audit = AuditLog(Clock(), directory / "audit.log", SECRET, "gw1")
    audit.record(decision(1))
    directory.rename(tmp_path / "elsewhere")
    with capturedLogs() as events:
        audit.reopen()
    assert [event["log_level"].name for event in events] == ["critical"]
    audit.record(decision(2))
    audit.close()
    assert problems(tmp_path / "elsewhere" / "audit.log") == []


def test_a_log_that_was_removed_goes_on_in_a_new_one(tmp_path: Path) -> None:
    """What is written into a file without a name is lost: at the next look there is one, and it says what went on."""
    path = tmp_path / "audit.log"
    redis = Kept()
    audit = AuditLog(Clock(), path, SECRET, "gw1")
    keeper = HeadKeeper(Clock(), audit, redis.read, redis.write)
    audit.record(decision(0))
    keeper.startService()
    path.unlink()
    with capturedLogs() as told:
        audit.look_after()
        audit.look_after()
    assert [formatEvent(event)[:34] for event in told if event["log_level"].name == "critical"] == [
        "the audit log's file was removed, "
    ]
    audit.record(decision(1))
    keeper.stopService()
    audit.close()
    assert problems(path) == []
    assert list(verify(path, (SECRET,)))[-1].startswith("2 lines, the chain ends at ")
    assert "it goes on from" in list(verify(path, (SECRET,)))[-1]
    assert keeper.degraded() == ()


def test_a_log_that_was_removed_with_its_folder_is_a_trouble(tmp_path: Path) -> None:
    """For as long as there is no place for a new one; it is said once."""
    folder = tmp_path / "log"
    folder.mkdir()
    audit = AuditLog(Clock(), folder / "audit.log", SECRET, "gw1")
    audit.record(decision(0))
    (folder / "audit.log").unlink()
    folder.rmdir()
    audit.look_after()
    assert audit.trouble.startswith("the audit log's file was removed")
    folder.mkdir()
    audit.look_after()
    assert audit.trouble == ""
    audit.record(decision(1))
    audit.close()
    assert problems(folder / "audit.log") == []


def test_a_torn_last_line_is_one_fault(tmp_path: Path) -> None:
    """A power cut in the middle of a line: the chain goes on from the last whole one, and verify names the torn one."""
    path = tmp_path / "audit.log"
    lines = written(path)
    path.write_bytes(b"".join(lines[:4]) + lines[4][:50])
    audit = AuditLog(Clock(), path, SECRET, "gw1")
    audit.record(decision(9))
    audit.close()
    assert problems(path) == ["line 5 is not a line of an audit log"]


@pytest.mark.parametrize("damage", [lambda raw: raw[:-30], lambda raw: raw[:40] + b"\xff" * 20 + raw[60:]])
def test_a_packed_log_that_is_not_whole_is_a_fault(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """Cut short by a full disk, or damaged: said as any other fault."""
    written(tmp_path / "audit.log")
    packed = tmp_path / "audit.log.1.gz"
    packed.write_bytes(damage(gzip.compress((tmp_path / "audit.log").read_bytes())))
    assert problems(packed)[-1].endswith("the packed file is damaged or ends too early")
    assert line_of(packed, "none") == 0


def test_a_packed_log_is_read(tmp_path: Path) -> None:
    """As logrotate leaves it."""
    path = tmp_path / "audit.log"
    packed = tmp_path / "audit.log.2.gz"
    packed.write_bytes(gzip.compress(b"".join(written(path))))
    assert problems(packed) == []


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from twisted.internet.task import Clock
from gatewayd.operators.audit import AuditLog
from gatewayd.operators.audit_head import HeadKeeper
from gatewayd.core.model import Channel, Decision

def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def nothing(*_):
    return None

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
clock = Clock()
audit = AuditLog(clock, Path(sys.argv[1]), b"s" * 32, "gw1")
keeper = HeadKeeper(clock, audit, nothing, nothing)
keeper.startService()
what = Decision("accepted", "amazing", Channel.EMAIL)
room(1000)
for _ in range(5):
    audit.record(what)
print(*keeper.degraded())
room(resource.RLIM_INFINITY)
"""


def after_a_full_disk(path: Path, then: str) -> tuple[str, list[str]]:
    """A log of five decisions, of which some did not fit, and what was done then: what it printed, what verify says."""
    found = subprocess.run(
        [sys.executable, "-c", FULL_DISK + then, str(path)], check=True, capture_output=True, text=True
    )
    return found.stdout, problems(path)


@pytest.mark.parametrize(
    "then", ["audit.record(what)", "clock.advance(1.0)", "audit.close()"], ids=["decision", "second", "end"]
)
def test_what_a_full_disk_took_is_said_for_good(tmp_path: Path, then: str) -> None:
    """In `degraded` while it lasts, and by a line of the chain as soon as there is room; no line is torn."""
    path = tmp_path / "audit.log"
    said, faults = after_a_full_disk(path, then + "\nprint('now', *keeper.degraded())")
    whole = [line for line in path.read_bytes().splitlines() if b'"decision":"accepted"' in line]
    lost = 5 - len(whole) + ("record" in then)
    assert 0 < lost < 5, "some did not fit"
    assert "kind='audit', name='file'" in said
    assert f"{lost} decisions are missing from it" in said
    assert said.splitlines()[-1] == "now"
    [fault] = faults
    assert f"decisions are missing before it: {lost} decisions could not be written: " in fault


def test_a_file_that_began_on_a_full_disk_names_the_one_before(tmp_path: Path) -> None:
    """Its first line waits for room, as all the others; `verify` over both files finds what is missing, and no more."""
    path, old = tmp_path / "audit.log", tmp_path / "audit.log.1"
    then = """
Path(sys.argv[1]).rename(sys.argv[1] + ".1")
room(0)
audit.reopen()
audit.record(what)
room(resource.RLIM_INFINITY)
audit.record(what)
"""
    _, [fault] = after_a_full_disk(path, then)
    assert fault.startswith("line 2: decisions are missing before it: ")
    faults, _, head = verified(old, (b"s" * 32,))
    assert faults == []
    assert verified(path, (b"s" * 32,), head)[0] == [fault]


def test_an_empty_log_is_a_beginning(tmp_path: Path) -> None:
    """A file that is there but empty starts a chain."""
    path = tmp_path / "audit.log"
    path.touch()
    written(path, 1)
    assert problems(path) == []


class Kept:
    """What Redis remembers of one audit log."""

    def __init__(self) -> None:
        self.head: AuditHead | None = None

    async def read(self) -> AuditHead | None:
        """As the store."""
        return self.head

    async def write(self, head: AuditHead) -> None:
        """As the store."""
        self.head = head


def kept(path: Path, redis: Kept, *numbers: int) -> tuple[list[str], list[str]]:
    """One life of a process that records these decisions: what it said is degraded, and what it logged as critical."""
    clock = Clock()
    clock.advance(1_800_000_000.25)
    audit = AuditLog(clock, path, SECRET, "gw1")
    keeper = HeadKeeper(clock, audit, redis.read, redis.write)
    with capturedLogs() as events:
        keeper.startService()
        for number in numbers:
            audit.record(decision(number))
            clock.advance(1.0)
        said = [one.text for one in keeper.degraded()]
        keeper.stopService()
    audit.close()
    return said, [formatEvent(event) for event in events if event["log_level"].name == "critical"]


def test_an_end_that_was_cut_off_over_a_restart_is_noticed(tmp_path: Path) -> None:
    """The chain of what is left is whole; Redis remembers the head that was there."""
    path, redis = tmp_path / "audit.log", Kept()
    assert kept(path, redis, 1, 2, 3) == ([], [])
    assert kept(path, redis, 4) == ([], [])
    head = redis.head
    assert head is not None
    assert (head.lines, line_of(path, head.chain)) == (4, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert problems(path) == []
    assert line_of(path, head.chain) == 0
    said, logged = kept(path, redis)
    assert "Redis remembers" in said[0]
    assert "after 4 lines" in logged[0]
    # Redis remembers the new head by now; the chain itself says what was missing, and goes on saying it.
    assert kept(path, redis, 5) == ([], [])
    [fault] = problems(path)
    assert fault == f"line 4: Redis remembered {head.chain[:16]}... after 4 lines: the end was cut off there"
    again = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(again[:3]))
    kept(path, redis)
    assert len(problems(path)) == 1, "who takes that line away leaves another one"


def test_a_stop_on_a_full_disk_forgets_nothing(tmp_path: Path) -> None:
    """Redis knows how many are missing: the next start writes it down, once, also where it was killed right after."""
    path, redis = tmp_path / "audit.log", Kept()
    kept(path, redis, 1)
    assert redis.head is not None
    full = redis.head = replace(redis.head, missing=3)
    assert "3 decisions could not be written" in cut_off(path, full)
    kept(path, redis, 2)
    assert redis.head.missing == 0
    [fault] = problems(path)
    assert fault.startswith("line 2: decisions are missing before it: 3 decisions could not be written")
    redis.head = full
    kept(path, redis, 3)
    assert problems(path) == [fault]


def test_how_many_a_full_disk_took_is_kept_beside_the_head(tmp_path: Path) -> None:
    """With the same chain: the number alone is a change that Redis hears of."""
    said, _ = after_a_full_disk(
        tmp_path / "audit.log",
        "room(0)\nkept = []\nasync def keep(head): kept.append(head)\n"
        "HeadKeeper(clock, audit, nothing, keep).startService()\n"
        "audit.record(what)\nclock.advance(1.0)\n"
        "print(kept[1].missing - kept[0].missing, kept[0].chain == kept[1].chain)",
    )
    assert said.splitlines()[-1] == "1 True"


def test_a_file_that_was_moved_away_while_nobody_wrote_is_whole_with_it(tmp_path: Path) -> None:
    """The new one's first line names the head of the old one; alone it says that something was there."""
    path, old, redis = tmp_path / "audit.log", tmp_path / "audit.log.1", Kept()
    kept(path, redis, 1, 2)
    path.rename(old)
    said, _ = kept(path, redis, 3)
    assert "moved away" in said[0]
    faults, _, head = verified(old, (SECRET,))
    assert faults == []
    assert verified(path, (SECRET,), head)[0] == []
    assert len(verified(path, (SECRET,))[0]) == 1


def test_a_file_that_went_on_after_the_last_look_and_one_that_was_rotated_are_whole(tmp_path: Path) -> None:
    """A crash loses the latest heads, not lines; a new file's first line names the head of the old one."""
    path, redis = tmp_path / "audit.log", Kept()
    kept(path, redis, 1, 2)
    before = redis.head
    kept(path, redis, 3)
    redis.head = before
    assert kept(path, redis) == ([], [])
    clock = Clock()
    clock.advance(1_800_000_100)
    audit = AuditLog(clock, path, SECRET, "gw1")
    path.rename(tmp_path / "audit.log.1")
    audit.reopen()
    audit.close()
    assert kept(path, redis, 5) == ([], [])

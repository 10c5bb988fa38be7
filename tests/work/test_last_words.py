"""What was answered while Redis took no writes outlives a stop: it is neither sent nor told again."""

import stat
from pathlib import Path

import pytest
from twisted.logger import LogLevel, globalLogPublisher

from at_once import run
from fakes import FakeEvidence
from gatewayd.core.model import Channel, Handed, Leased
from gatewayd.core.status import Report, State
from gatewayd.work.last_words import LastWords
from gatewayd.work.marks import KEPT_FOR, Marks
from gatewayd.work.statuses import RecentStatuses
from work_bench import Bench


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where they are kept."""
    return tmp_path / "not-stored-one.json"


def ended_on_a_full_disk() -> Bench:
    """A process whose next hop took a message that its store could not settle; it was stopped then."""
    bench = Bench()

    async def takes(leased: Leased) -> Handed:
        handed = await bench.takes(leased)
        bench.store.down = True
        return handed

    bench.outcome = takes
    bench.accept()
    bench.outbox.startService()
    stopped: list[None] = []
    bench.outbox.stopService().addCallback(stopped.append)
    bench.clock.pump([1.0] * 40)
    assert stopped == [None]
    bench.store.down = False
    assert bench.state() is State.UNCERTAIN
    return bench


def test_what_could_not_be_stored_is_known_after_the_next_start(path: Path) -> None:
    """The successor says to the store what the next hop had said, and nothing leaves a second time."""
    bench = ended_on_a_full_disk()
    LastWords(path, bench.marks, RecentStatuses(bench.clock, bench.store)).keep()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    marks, statuses = Marks(bench.clock, bench.store), RecentStatuses(bench.clock, bench.store)
    words = LastWords(path, marks, statuses)
    words.recall()
    assert words.are_to_be_said()
    assert run(marks.restate(KEPT_FOR, FakeEvidence())) == 0, "the store had forgotten nothing"
    assert (bench.state(), bench.told()) == (State.SENT, "a")
    words.said()
    assert not words.are_to_be_said()
    assert not path.exists()
    assert (marks.not_stored(), statuses.not_stored()) == ({}, {})


def test_a_status_that_was_told_is_not_told_again(path: Path) -> None:
    """Smartico took it, and the store did not hear of that, nor for long after the next start."""
    bench = ended_on_a_full_disk()
    bench.store.down = False
    message_id = bench.attempts[0].message.id
    run(bench.store.settle_sent(message_id, Channel.SMS, Handed("world", ("r1",))))
    statuses = RecentStatuses(bench.clock, bench.store)
    statuses.heard(message_id, Report.ACCEPTED)
    LastWords(path, bench.marks, statuses).keep()
    statuses = RecentStatuses(bench.clock, bench.store)
    LastWords(path, Marks(bench.clock, bench.store), statuses).recall()
    [job] = run(bench.store.lease_reports(1))
    assert run(statuses.is_to_tell(job)) is False
    again = RecentStatuses(bench.clock, bench.store)
    LastWords(path, Marks(bench.clock, bench.store), again).recall()
    bench.clock.advance(2 * KEPT_FOR)
    for other in "xyz":
        again.heard(other, Report.ACCEPTED)
        again.stored(other)
    assert run(again.is_to_tell(job)) is False
    assert run(again.restate(KEPT_FOR)) == 0, "said already"
    assert again.not_stored() == statuses.not_stored() == {message_id: "a"}


def test_what_a_process_has_not_said_its_successor_says(path: Path) -> None:
    """It ends before the store hears of what it recalled: the file stays as it is."""
    bench = ended_on_a_full_disk()
    LastWords(path, bench.marks, RecentStatuses(bench.clock, bench.store)).keep()
    before = path.read_bytes()
    words = LastWords(path, Marks(bench.clock, bench.store), RecentStatuses(bench.clock, bench.store))
    words.recall()
    words.keep()
    assert path.read_bytes() == before


def test_what_is_not_stored_is_not_forgotten_for_others(path: Path) -> None:
    """However long the store takes no writes, and whatever is sent before it has heard of it."""
    bench = ended_on_a_full_disk()
    LastWords(path, bench.marks, RecentStatuses(bench.clock, bench.store)).keep()
    marks = Marks(bench.clock, bench.store)
    LastWords(path, marks, RecentStatuses(bench.clock, bench.store)).recall()
    bench.clock.advance(2 * KEPT_FOR)
    for other in "xyz":
        marks.written(other, Channel.SMS, "world", 1)
    mark = marks.forgotten(bench.attempts[0])
    assert mark is not None
    assert mark.handed == Handed("world", ("r1",))
    run(marks.restate(KEPT_FOR, FakeEvidence()))
    assert bench.told() == "a"


def test_a_usual_stop_leaves_no_file(path: Path) -> None:
    """What is stored needs no other place."""
    bench = Bench()
    bench.accept()
    bench.outbox.startService()
    bench.clock.advance(0)
    assert bench.state() is State.SENT
    words = LastWords(path, bench.marks, RecentStatuses(bench.clock, bench.store))
    words.recall()
    words.keep()
    assert not words.are_to_be_said()
    assert not path.exists()


@pytest.mark.parametrize("where", ["nowhere", "in what is no directory"])
def test_what_can_not_be_kept_is_said(tmp_path: Path, where: str) -> None:
    """Nobody is to wonder about second copies."""
    bench = ended_on_a_full_disk()
    place = None if where == "nowhere" else tmp_path / "away" / "words.json"
    told: list[tuple[object, str]] = []
    observer = lambda event: told.append((event["log_level"], event["words"]))  # noqa: E731
    globalLogPublisher.addObserver(observer)
    try:
        LastWords(place, bench.marks, RecentStatuses(bench.clock, bench.store)).keep()
    finally:
        globalLogPublisher.removeObserver(observer)
    assert told == [(LogLevel.error, "what became of 1 messages, and that 0 had a status told")]


@pytest.mark.parametrize("content", [b"", b"{", b'{"taken": 1}', b"\xff"])
def test_a_file_that_can_not_be_read_stops_no_start(path: Path, content: bytes) -> None:
    """The next process begins as if there were none."""
    path.write_bytes(content)
    bench = Bench()
    words = LastWords(path, bench.marks, RecentStatuses(bench.clock, bench.store))
    words.recall()
    assert not words.are_to_be_said()

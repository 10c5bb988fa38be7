"""An SMSC whose ids are read by a wrong rule is named within a minute, and forgotten once it is mended."""

from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from gatewayd.core.model import Degraded
from gatewayd.evidence.unmatched import UnmatchedReceipts


def looked_at(counts: UnmatchedReceipts, clock: Clock, strangers: int, matched: int = 0) -> list[Degraded]:
    """So many receipts, looked up as the store has it until they are 64 seconds old; what is said after 40 of them."""
    came_at, said = clock.seconds(), []
    for _ in range(matched):
        counts.matched("world")
    for age in (2, 4, 8, 16, 32, 64):
        clock.advance(came_at + age - clock.seconds())
        for _ in range(strangers):
            counts.stranger("world", came_at)
        if age == 32:
            said = list(counts.degraded())
    return said


def test_receipts_that_match_nothing_name_their_smsc() -> None:
    """Three of them, and none that matches: within a minute, once in the log, for as long as it lasts."""
    clock = Clock()
    counts = UnmatchedReceipts(clock)
    with capturedLogs() as logs:
        (one,) = looked_at(counts, clock, 3)
        list(counts.degraded())
    assert (one.kind, one.name) == ("receipts", "world")
    assert one.text.startswith(
        "3 receipts of world in the last minute match no message, 0 do: is its message_ids right"
    )
    assert len(logs) == 1
    clock.advance(60)
    assert list(counts.degraded()) == []


def test_a_few_strangers_among_many_are_nobodys_fault() -> None:
    """Fewer than three, or fewer than ten for each that matches: another system's."""
    clock = Clock()
    assert looked_at(UnmatchedReceipts(clock), clock, 2) == []
    assert looked_at(UnmatchedReceipts(clock), clock, 9, matched=1) == []
    assert len(looked_at(UnmatchedReceipts(clock), clock, 10, matched=1)) == 1


def test_each_stranger_counts_once() -> None:
    """However often it is looked up."""
    clock = Clock()
    counts = UnmatchedReceipts(clock)
    (one,) = looked_at(counts, clock, 5)
    assert one.text.startswith("5 receipts")
    assert next(iter(counts.degraded())).text.startswith("5 receipts")

"""huge_pages.py: which memory is worth moving, by what Linux says of it."""

from typing import Any

import pytest
from twisted.internet.task import Clock

from gatewayd.operators.huge_pages import HUGE, INTERVAL, HugePages, resident, use_huge_pages, worth_moving

MB = 1_048_576


def mapping(
    first: int, size: int, *, rights: str = "rw-p", inode: int = 0, rss: int | None = None, huge: int = 0
) -> str:
    """One entry of smaps; all of it is in memory, unless `rss` says how much is."""
    return (
        f"{first:x}-{first + size:x} {rights} 00000000 00:00 {inode}    [heap]\n"
        f"Size:           {size >> 10} kB\nKernelPageSize:        4 kB\n"
        f"Rss:            {(size if rss is None else rss) >> 10} kB\n"
        f"AnonHugePages:         {huge >> 10} kB\nVmFlags: rd wr mr mw me ac\n"
    )


def test_a_full_mapping_is_moved_from_its_first_whole_page_to_its_last() -> None:
    """What stands before and behind the whole huge pages stays where it is."""
    assert list(worth_moving(mapping(7 * MB, 8 * MB))) == [(8 * MB, 6 * MB)]


@pytest.mark.parametrize(
    "smaps",
    [
        "",
        mapping(8 * MB, 8 * MB, rights="r-xp", inode=7),
        mapping(8 * MB, 8 * MB, inode=7),
        mapping(8 * MB, 8 * MB, rights="rw-s"),
        mapping(8 * MB, 8 * MB, rss=MB),
        mapping(8 * MB, 8 * MB, huge=8 * MB),
        mapping(9 * MB, 2 * MB),
    ],
    ids=["nothing", "code", "a file", "shared", "a thread's stack", "moved already", "no whole page"],
)
def test_what_would_bring_nothing_is_left_alone(smaps: str) -> None:
    """Files, what others see, what is nearly empty, what is huge already."""
    assert list(worth_moving(smaps)) == []


def test_each_mapping_is_looked_at_by_itself() -> None:
    """The figures of one say nothing of the next."""
    smaps = mapping(8 * MB, 8 * MB, rss=0) + mapping(32 * MB, 4 * MB) + mapping(64 * MB, 2 * MB, inode=3)
    assert list(worth_moving(smaps)) == [(32 * MB, 4 * MB)]


def test_whatever_the_host_says_the_process_goes_on() -> None:
    """A kernel that does not do it, or a policy against it, is no error."""
    assert use_huge_pages() % HUGE == 0


class Thread(Clock):
    """A reactor with one thread, which keeps what it is to do."""

    def __init__(self) -> None:
        super().__init__()
        self.work: list[Any] = []
        self.done: list[Any] = []

    def getThreadPool(self) -> Any:
        """Itself."""
        return self

    def callFromThread(self, call: Any, *words: Any) -> None:
        """At once."""
        call(*words)

    def callInThreadWithCallback(self, result: Any, call: Any) -> None:
        """Keep it."""
        self.work.append(call)
        self.done.append(result)


def test_it_is_moved_in_a_thread_and_not_at_the_start() -> None:
    """To move it takes some 100 ms, for which nobody waits; a run of a few seconds does without."""
    thread = Thread()
    pages = HugePages(thread)
    pages.startService()
    thread.advance(INTERVAL / 2)
    assert thread.work == []
    thread.advance(INTERVAL / 2)
    (work,) = thread.work
    assert work() % HUGE == 0
    pages.stopService()


def test_only_who_has_grown_is_looked_at_again() -> None:
    """By a huge page, since the last move or since some was given back."""
    thread, sizes = Thread(), iter([50 * MB, 51 * MB, 52 * MB, 40 * MB, 41 * MB, 42 * MB, 42 * MB, 43 * MB])
    pages = HugePages(thread, lambda: next(sizes))
    pages.startService()
    moved = []
    for _ in range(6):
        thread.advance(INTERVAL)
        moved.append(len(thread.work))
        while thread.work:
            thread.work.pop()
            thread.done.pop()(True, 0)
    assert moved == [1, 0, 0, 0, 1, 0]
    pages.stopService()


def test_what_is_in_memory_is_what_linux_says() -> None:
    """A process that runs Python has some megabytes."""
    assert resident() > MB

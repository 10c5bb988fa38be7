"""A worker collects a file when it is to run it: to import all before the first test would take each worker seconds.

So to xdist a file is one item, a `Share`, and its tests are reported as ever. Where the command line chooses tests
(`-k`, `--lf`), all of them are collected before, as pytest does.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

LAST = "pace"
"""The mark of tests that measure, and the name of the shares that hold them."""

REST = "tests"
"""The name of the other shares."""

CHOOSING = ("keyword", "markexpr", "deselect", "lf", "failedfirst", "newfirst", "stepwise")
"""pytest's options that choose or sort tests, so that all have to be known."""


class Share(pytest.Item):
    """What one worker runs of one file in one go: the tests that measure, or all others."""

    def __init__(self, name: str, **words: Any) -> None:
        super().__init__(name, **words)
        # Each of its tests has a limit of its own.
        self.add_marker(pytest.mark.timeout(0))
        if name == LAST:
            self.add_marker(LAST)

    def runtest(self) -> None:
        """Never called: `Shares` runs its tests."""
        raise NotImplementedError

    def tests(self) -> list[pytest.Item]:
        """Import the file, and have its tests in order. Where it can't be imported pytest reports that."""
        module = pytest.Module.from_parent(self.parent.parent, path=self.path)
        found = [
            one
            for one in self.session.genitems(module)
            if (one.get_closest_marker(LAST) is not None) == (self.name == LAST)
        ]
        self.config.hook.pytest_collection_modifyitems(session=self.session, config=self.config, items=found)
        return found


class SharedFile(pytest.File):
    """A file that is not imported yet."""

    def collect(self) -> Iterator[Share]:
        """Its share, or two."""
        yield Share.from_parent(self, name=REST)
        if measuring(self.path):
            yield Share.from_parent(self, name=LAST)


class Shares:
    """What a worker does with shares."""

    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> pytest.Collector:
        """pytest: what stands for a test file."""
        return SharedFile.from_parent(parent, path=module_path)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """pytest: run an item. For a share that is each of its tests."""
        if not isinstance(item, Share):
            return None
        session, tests = item.session, item.tests()
        place = session.items.index(item)
        if not tests:
            # What the test before left standing for this file may not be what the next one stands on.
            session._setupstate.teardown_exact(nextitem)
        for one, after in zip(tests, [*tests[1:], nextitem], strict=False):
            # xdist wants reports of none but the item that it gave.
            session.items[place] = one
            item.config.hook.pytest_runtest_protocol(item=one, nextitem=after)
            if session.shouldfail or session.shouldstop:
                break
        return True


class Progress:
    """What tells pytest how many tests there are, which nobody knows before the end: by the size of their files."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._done = 0
        self._reported: set[str] = set()
        self._session: pytest.Session | None = None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """pytest: the run begins."""
        self._session = session

    def pytest_xdist_node_collection_finished(self, node: Any, ids: Sequence[str]) -> None:
        """xdist: the items are known."""
        if all(name.endswith((f"::{REST}", f"::{LAST}")) for name in ids):
            root = node.config.rootpath
            self._sizes = {name: (root / name.partition("::")[0]).stat().st_size for name in ids}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """pytest: a test was set up, run or torn down."""
        self._reported.add(report.nodeid)
        self._estimate()

    def done(self, name: str) -> None:
        """An item has ended."""
        self._done += self._sizes.pop(name, 0)
        self._estimate()

    def _estimate(self) -> None:
        if self._session is not None:
            whole = self._done + sum(self._sizes.values())
            # Before the first file is done: one per cent.
            self._session.testscollected = len(self._reported) * whole // max(self._done, whole // 100, 1)


def may_share(config: pytest.Config) -> bool:
    """Whether whole files are wanted, and no choice of tests."""
    chosen = any(config.getoption(option, None) for option in CHOOSING)
    return not chosen and not any("::" in word for word in config.args)


@functools.cache
def measuring(file: Path) -> frozenset[str]:
    """The tests of a file that measure. Who shares out sees names only, so this reads the file."""
    return frozenset(
        re.findall(rf"(?m)^@pytest\.mark\.{LAST}\n(?:[^\n]+\n)*?(?:async )?def (test_\w+)", file.read_text("utf-8"))
    )

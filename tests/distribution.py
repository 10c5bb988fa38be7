"""How the tests are shared out among the workers of pytest-xdist.

A file is run by one worker, the heavy rooms first so that none is left for the end. Last, when all other workers have
ended, come two at once: one runs the tests that bound real rates (`pace`), the other those that bound a time that
they wait for (`elapsed`), which leave nearly all of the machine to the first.
"""

import fcntl
import functools
import re
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

WORKERS = 6
"""Two thirds of a test's time is waiting, so that two cores carry six."""

LAST = ("pace", "elapsed")
"""The marks of tests that measure: in this order where one process runs all."""

HEAVY = ("integration", "store", "model", "smtp", "check", "tests")
"""The rooms whose tests start processes or wait in real time: these first. `tests` are the files beside the rooms."""


class Distribution(LoadScopeScheduling):
    """Whole files in order of weight; then what measures, each kind on one of the two workers left at the end."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, rest = nodeid.partition("::")
        name = rest.rpartition("::")[2].partition("[")[0]
        return _marks(self.config.rootpath / file).get(name, file)

    def _reschedule(self, node: Any) -> None:
        if self.workqueue and set(self.workqueue) <= set(LAST) and not node.shutting_down:
            if self._pending_of(self.assigned_work[node]) > 2:
                return
            free = [one for one in self.nodes if not one.shutting_down and not self._measures(one)]
            if len(free) > len(self.workqueue) or (free and node not in free):
                node.shutdown()
                return
        super()._reschedule(node)

    def _measures(self, node: Any) -> bool:
        return not self.assigned_work[node].keys().isdisjoint(LAST)


def weight(item: pytest.Item) -> tuple[int, int]:
    """Where an item comes in the order: what measures is last, the heavy rooms are first."""
    marks = [number for number, mark in enumerate(LAST, 1) if item.get_closest_marker(mark)]
    room = item.path.parent.name
    return max(marks, default=0), HEAVY.index(room) if room in HEAVY else len(HEAVY)


@functools.cache
def _marks(file: Path) -> dict[str, str]:
    """The tests of a file that measure, each with its mark. Who shares out sees names only, so this reads the file."""
    found = re.findall(
        rf"(?m)^@pytest\.mark\.({'|'.join(LAST)})\n(?:[^\n]+\n)*?(?:async )?def (test_\w+)", file.read_text("utf-8")
    )
    return {name: mark for mark, name in found}


def mark(items: list[pytest.Item]) -> None:
    """Put the items in order."""
    items.sort(key=weight)


class Controller:
    """The process that shares out: it makes the file that the workers lock."""

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="gatewayd-tests-")  # noqa: SIM115

    def pytest_configure_node(self, node: Any) -> None:
        """xdist: tell a worker the file's name."""
        node.workerinput["lock"] = self._file.name

    def pytest_unconfigure(self) -> None:
        """pytest: the end."""
        self._file.close()


class Worker:
    """One of several: it shares the lock until its last ordinary test is done; what measures waits for all to be."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open()  # noqa: SIM115
        fcntl.flock(self._file, fcntl.LOCK_SH)
        self._measures = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Wait until the others have ended; a lock goes with its process, however that ends."""
        if not self._measures and any(item.get_closest_marker(mark) for mark in LAST):
            fcntl.flock(self._file, fcntl.LOCK_EX)
            # The other one that measures need not wait for this one.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._measures = True
        return (yield)

    def pytest_sessionfinish(self) -> None:
        """pytest: this worker has done its part, though its process stays until all have."""
        self._file.close()


def workers(config: pytest.Config) -> int:
    """How many for `-n auto`: for a few files named on the command line none is worth its start."""
    whole = {config.rootpath / "tests", config.rootpath / "tests" / "integration"}
    wanted = {(config.invocation_params.dir / word.split("::")[0]).resolve() for word in config.args}
    return WORKERS if wanted & whole else 0


def set_up(config: pytest.Config) -> None:
    """Be the one that shares out, one of those who get their share, or neither."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Worker(config.workerinput["lock"]), "gatewayd-worker")
    elif config.getoption("numprocesses", 0):
        config.option.loadscopereorder = False
        config.pluginmanager.register(Controller(), "gatewayd-controller")

"""How the tests are shared out among the workers of pytest-xdist.

A file is run by one worker, the heavy rooms first so that none is left for the end. Tests that are marked `pace`
themselves bound real rates or elapsed time: they come last, one after the other, when all other workers have ended.
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

WORKERS = 4
"""Half of a test's time is waiting, so that two cores carry four."""

PACE = "pace"


class Distribution(LoadScopeScheduling):
    """Whole files in order of weight, and what is marked `pace` on the one worker that is left at the end."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, rest = nodeid.partition("::")
        name = rest.rpartition("::")[2].partition("[")[0]
        return PACE if name in _of_real_pace(self.config.rootpath / file) else file

    def _reschedule(self, node: Any) -> None:
        others = [other for other in self.nodes if other is not node and not other.shutting_down]
        if list(self.workqueue) == [PACE] and others and not node.shutting_down:
            if self._pending_of(self.assigned_work[node]) <= 2:
                node.shutdown()
            return
        super()._reschedule(node)


def weight(item: pytest.Item) -> tuple[int, int]:
    """Where an item comes in the order: `pace` last, what starts processes first."""
    return (1 if item.get_closest_marker(PACE) else 0, 0 if "/integration/" in str(item.path) else 1)


@functools.cache
def _of_real_pace(file: Path) -> frozenset[str]:
    """The tests of a file that bear the mark. Who shares out sees names only, so this reads the file."""
    text = file.read_text("utf-8")
    return frozenset(re.findall(r"(?m)^@pytest\.mark\.pace\n(?:[^\n]+\n)*?(?:async )?def (test_\w+)", text))


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
    """One of several: it shares the lock until its last ordinary test is done, and `pace` needs it alone."""

    def __init__(self, path: str) -> None:
        self._file = Path(path).open()  # noqa: SIM115
        fcntl.flock(self._file, fcntl.LOCK_SH)
        self._alone = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Wait until the others have ended; a lock goes with its process, however that ends."""
        if item.get_closest_marker(PACE) and not self._alone:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._alone = True
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

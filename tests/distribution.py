"""How the tests are shared out among the workers of pytest-xdist.

A file is run by one worker, the slowest first so that none is left for the end. Last, when all other workers have
ended, come the tests that bound real rates (`pace`), on two workers: each leaves half of two cores to the other.
"""

import fcntl
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from shares import LAST, Progress, Shares, may_share, measuring

WORKERS = 8
"""Two thirds of a test's time is waiting, so that two cores carry eight: a start costs each a second."""

CONTROLLER = "gatewayd-controller"
"""The plug-in of the process that shares out."""

PROGRESS = "gatewayd-progress"
"""The plug-in that knows how far it is."""

AT_ONCE = 2
"""How many workers measure."""

SLOWEST = (
    "test_daemon",
    "test_smpp_whole",
    "test_operations",
    "test_contract_signals",
    "test_smpp_peers",
    "test_ctl",
    "test_model",
    "test_contract_providers",
    "test_reports",
    "test_check",
    "test_contract_away",
    "test_failover",
    "test_contract_intake",
    "test_email_life",
    "test_contract_check",
    "test_contract_processes",
    "test_contract_email",
    "test_directories_sql",
    "test_sentinel",
    "test_link",
    "test_signals",
    "test_contract_proofs",
    "test_smpp_daemon",
    "test_returned_mail",
    "test_contract_callbacks",
    "test_contract_keys",
    "test_hanging",
    "test_dashboard",
    "test_export",
    "test_kannel",
    "test_contract_smpp",
    "test_clock_is_set",
    "test_contract_commands",
    "test_contract_sms",
    "test_sandbox_ends",
    "test_usual_at_random",
    "test_audit",
    "test_smtp_peers",
    "test_campaigns",
    "test_receipts_at_random",
    "test_foreign_world",
    "test_odd_relays",
    "test_overload",
    "test_house",
    "test_unsubscribe_page",
)
"""The files that take longest, by name."""

COSTLY = (
    "test_strangers",
    "test_pdu",
    "test_receipt",
    "test_vendor_reports",
    "test_mime",
    "test_api",
    "test_arrivals",
    "test_config",
    "test_expressions",
    "test_dsn",
    "test_stops",
    "test_admin",
    "test_client",
    "test_channel",
    "test_session",
    "test_incoming",
)
"""Those that wait for nothing and compute for seconds: they come beside the others, not after them."""

SLOWEST_TO_MEASURE = (
    "test_smpp_whole",
    "test_providers_shared",
    "test_contract_smpp",
    "test_contract_keys",
)
"""The same of the tests that measure."""

HEAVY = ("integration", "store", "model", "smtp", "check", "tests")
"""The rooms whose tests start processes or wait in real time: these next. `tests` are the files beside the rooms."""


class Distribution(LoadScopeScheduling):
    """Whole files in order of weight; then what measures, on the workers left at the end."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, rest = nodeid.partition("::")
        name = rest.rpartition("::")[2].partition("[")[0]
        return f"{LAST} {file}" if name == LAST or name in measuring(self.config.rootpath / file) else file

    def _reschedule(self, node: Any) -> None:
        if self.workqueue and not node.shutting_down:
            # One in advance: xdist's worker wants to know what comes next before it begins.
            if self._pending_of(self.assigned_work[node]) > 1:
                return
            measuring = all(map(_is_last, self.workqueue))
            if measuring and not self._measures(node) and sum(map(self._measures, self.nodes)) >= AT_ONCE:
                node.shutdown()
                return
        super()._reschedule(node)

    def remove_node(self, node: Any) -> str | None:
        """The test that ran when a worker crashed, where xdist knows its file only."""
        crashed = super().remove_node(node)
        running: set[str] = self.config.pluginmanager.get_plugin(CONTROLLER).running
        file = (crashed or "").partition("::")[0]
        return next((test for test in running if test.partition("::")[0] == file), crashed)

    def mark_test_complete(self, node: Any, item_index: int, duration: float = 0) -> None:
        """A test, or a share, has ended."""
        assert self.collection is not None
        self.config.pluginmanager.get_plugin(PROGRESS).done(self.collection[item_index])
        super().mark_test_complete(node, item_index, duration)

    def _measures(self, node: Any) -> bool:
        return any(map(_is_last, self.assigned_work[node]))


def _is_last(scope: str) -> bool:
    return scope.startswith(f"{LAST} ")


def weight(item: pytest.Item) -> tuple[bool, int, int]:
    """Where an item comes in the order: what measures is last, the slowest files and the heavy rooms are first."""
    file, room, measures = item.path.stem, item.path.parent.name, item.get_closest_marker(LAST) is not None
    first = SLOWEST_TO_MEASURE if measures else (*SLOWEST, *COSTLY)
    return measures, _place(file, first), _place(room, HEAVY)


def _place(name: str, names: tuple[str, ...]) -> int:
    return names.index(name) if name in names else len(names)


def mark(items: list[pytest.Item]) -> None:
    """Put the items in order."""
    items.sort(key=weight)


class Controller:
    """The process that shares out: it makes the file that the workers lock."""

    def __init__(self) -> None:
        self._file = tempfile.NamedTemporaryFile(prefix="gatewayd-tests-")  # noqa: SIM115
        self.running: set[str] = set()
        """The tests that have begun and not ended, by their ids."""

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """pytest: before the workers start."""
        compile_once(session.config.rootpath)

    def pytest_configure_node(self, node: Any) -> None:
        """xdist: tell a worker the file's name."""
        node.workerinput["lock"] = self._file.name

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """pytest: a worker begins a test."""
        self.running.add(nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """pytest: it has ended."""
        self.running.discard(nodeid)

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
        if not self._measures and item.get_closest_marker(LAST):
            fcntl.flock(self._file, fcntl.LOCK_EX)
            # The other one that measures need not wait for this one.
            fcntl.flock(self._file, fcntl.LOCK_UN)
            self._measures = True
        return (yield)

    def pytest_sessionfinish(self) -> None:
        """pytest: this worker has done its part, though its process stays until all have."""
        self._file.close()


def compile_once(root: Path) -> None:
    """Have compiled what all workers import: on a fresh checkout each of them would do it, at the same time."""
    if (root / "gatewayd").is_dir():
        words = ["-q", "-x", r"/test_\w+\.py$", "gatewayd", "tests"]
        subprocess.run([sys.executable, "-m", "compileall", *words], cwd=root, stdout=subprocess.DEVNULL, check=False)


def workers(config: pytest.Config) -> int:
    """How many for `-n auto`: for a few files named on the command line none is worth its start."""
    whole = {config.rootpath / "tests", config.rootpath / "tests" / "integration"}
    wanted = {(config.invocation_params.dir / word.split("::")[0]).resolve() for word in config.args}
    return WORKERS if wanted & whole else 0


def set_up(config: pytest.Config) -> None:
    """Be the one that shares out, one of those who get their share, or neither."""
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Worker(config.workerinput["lock"]), "gatewayd-worker")
        if may_share(config):
            config.pluginmanager.register(Shares(), "gatewayd-shares")
    elif config.getoption("numprocesses", 0):
        config.option.loadscopereorder = False
        config.pluginmanager.register(Controller(), CONTROLLER)
        config.pluginmanager.register(Progress(), PROGRESS)

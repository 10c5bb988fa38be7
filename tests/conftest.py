"""Shared fixtures: what the tests start, they stop; what the machine lacks makes them skip, or fail in CI.

And what becomes of a test that hangs. pytest-timeout's signal raises wherever the main thread is: in a test that holds
it, which then fails as it should, but for an `async def` test in the reactor's loop, which logs the exception and turns
on for ever. So such a test is cancelled instead, and whatever still hangs after that ends the whole run.
"""

import faulthandler
import functools
import gc
import inspect
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_timeout
import pytest_twisted
from hypothesis import HealthCheck, settings
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

import distribution

# No look for cycles need visit what has been imported.
gc.freeze()

IN_CI = os.environ.get("CI") == "true"

# Some machines have this set: then each daemon that a test starts would compile all of gatewayd anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

GRACE = float(os.environ.get("GATEWAYD_TEST_GRACE", "30"))
"""Seconds past its time that a test has to clean up, before it ends the run."""

LIMIT = pytest.StashKey[float]()

FUZZ_EXAMPLES = int(os.environ.get("GATEWAYD_FUZZ_EXAMPLES", "500"))
"""How many inputs each fuzzer of the SMPP codec tries; 12000 by hand before a change of the codec is done.

Where it is set Hypothesis draws other inputs at each run. Else they are the same for the same tests, so that whoever
runs the suite of one commit hears one verdict.
"""

SMPP_MESSAGES = int(os.environ.get("GATEWAYD_SMPP_MESSAGES", "3000"))
"""How many messages go through the SMPP run with random resets; 20000 by hand."""

# The first text that Hypothesis draws on a fresh checkout takes seconds: that says nothing of what is tested.
settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="GATEWAYD_FUZZ_EXAMPLES" not in os.environ,
)
settings.load_profile("any machine")

CORPUS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus"


PACKAGES = {
    "bearerbox": "kannel",
    "chromium": "chromium",
    "curl": "curl",
    "libfaketime": "faketime",
    "libodbc": "libodbc2",
    "epmd": "rabbitmq-server",
    "groff": "groff-base",
    "haproxy": "haproxy",
    "initdb": "postgresql",
    "mariadbd": "mariadb-server-core",
    "nginx": "nginx",
    "node": "nodejs",
    "npm": "npm",
    "perl": "perl",
    "pgbouncer": "pgbouncer",
    "psqlODBC": "odbc-postgresql",
    "postfix": "postfix",
    "postqueue": "postfix",
    "smsbox": "kannel",
    "smtp-sink": "postfix",
}
"""Debian's packages of the programs that a test may need and the README's machine lacks."""


def missing(what: str, remedy: str = "") -> None:
    """Skip the test because the machine lacks `what`; with CI=true none may skip that a package would mend, so fail."""
    if IN_CI:
        pytest.fail(f"CI must provide {what}")
    pytest.skip(f"this machine lacks {what}{remedy and ': '}{remedy}")


def impossible(what: str) -> None:
    """Skip the test, in CI too, because this machine has no `what`, which no package brings."""
    pytest.skip(f"this machine has no {what}")


def need(program: str) -> str:
    """The path of `program`, also looked for in the sbin directories; skips (fails in CI) where there is none."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which(program, path=path)
    if found is None:
        missing(program, f"apt-get install {PACKAGES[program]}")
    assert found is not None
    return found


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """xdist: several for the whole suite, this very process for a few files."""
    return distribution.workers(config)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> distribution.Distribution:
    """xdist: whole files, the heavy rooms first, what measures last."""
    return distribution.Distribution(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """pytest: who are we?"""
    config.addinivalue_line("markers", "pace: bounds real rates; comes last, beside one other at most")
    distribution.set_up(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """pytest: the order of all tests."""
    distribution.mark(items)


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The directory of real bounces and ESP events; it lies beside the project, where it is present at all."""
    if not CORPUS.is_dir():
        pytest.skip(f"no corpus at {CORPUS}")
    return CORPUS


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Any]:
    """One real Redis for the whole session; each test uses a key prefix of its own."""
    from redis_server import RedisServer

    server = RedisServer()
    pytest_twisted.blockon(Deferred.fromCoroutine(server.start()))
    yield server
    server.remove()


class Watchdog:
    """One thread that ends the run where a test does not end: a timer a test would be a thread a test."""

    def __init__(self) -> None:
        self._watched: tuple[pytest.Item, float, float] | None = None
        self._runs = False

    def watch(self, item: pytest.Item, limit: float) -> None:
        """From now on this test has so many seconds, and GRACE."""
        self._watched = item, limit, time.monotonic() + limit + GRACE
        if not self._runs:
            self._runs = True
            threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def rest(self) -> None:
        """The test has ended."""
        self._watched = None

    def _run(self) -> None:
        never = threading.Event()
        while not never.wait(0.5):
            watched = self._watched
            if watched is not None and time.monotonic() > watched[2]:
                self.rest()
                end_the_run(*watched[:2])


WATCHDOG = Watchdog()


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """Watch over setup, call and teardown; True, so that there is no signal, for a test that is cancelled."""
    item.stash[LIMIT] = settings.timeout
    WATCHDOG.watch(item, settings.timeout)
    return True if inspect.iscoroutinefunction(getattr(item, "obj", None)) else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """The watchdog goes when the test has been torn down, and not before."""
    try:
        return (yield)
    finally:
        WATCHDOG.rest()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Cancel an `async def` test at its time: it fails where it waits, and its `finally` clauses run."""
    test, limit = pyfuncitem.obj, pyfuncitem.stash.get(LIMIT, None)
    if limit is not None and inspect.iscoroutinefunction(test):

        @functools.wraps(test)
        def limited(**fixtures: Any) -> Deferred[Any]:
            running = Deferred.fromCoroutine(test(**fixtures))
            cancelling = IReactorTime(reactor).callLater(limit, running.cancel)

            def ended(result: Any) -> Any:
                if cancelling.active():
                    cancelling.cancel()
                elif isinstance(result, Failure) and result.value is not None:
                    result.value.add_note(f"{pyfuncitem.nodeid} did not end within {limit:.0f} s")
                return result

            return running.addBoth(ended)

        pyfuncitem.obj = limited
    return (yield)


def end_the_run(item: pytest.Item, limit: float) -> None:
    """Say what failed, what hangs and where each thread is, and leave no child process behind: exit status 1."""
    if pytest_timeout.is_debugging():
        return
    plugins = item.config.pluginmanager
    with suppress(Exception):
        plugins.getplugin("capturemanager").suspend_global_capture(in_=True)
        plugins.getplugin("terminalreporter").summary_failures()
    words = f"{item.nodeid} hangs, {GRACE:.0f} s after its {limit:.0f} s: the run ends here"
    print(f"\n{words}", file=sys.__stderr__, flush=True)
    with suppress(Exception):
        # Where it goes to a file or a pipe it waits in a buffer, which _exit forgets.
        sys.stdout.flush()
        sys.__stdout__.flush()  # type: ignore[union-attr]
    faulthandler.dump_traceback(2)
    for thread in Path("/proc/self/task").iterdir():
        for child in (thread / "children").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
    os._exit(1)

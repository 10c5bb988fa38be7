"""What conftest.py does with a test that hangs, on a pytest of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEAD = """
import subprocess
import pytest_twisted
from twisted.internet.defer import Deferred
"""


def run(directory: Path, tests: str) -> subprocess.CompletedProcess[str]:
    """Run these tests with a limit of 1 s and as much to clean up."""
    (directory / "test_it.py").write_text(HEAD + tests)
    (directory / "pytest.ini").write_text("[pytest]\ntimeout = 1\n")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(HERE.parent), str(HERE))),
        "GATEWAYD_TEST_GRACE": "1",
    }
    words = ["-m", "pytest", "-v", "-p", "conftest", "-p", "no:cacheprovider", "test_it.py"]
    return subprocess.run(
        [sys.executable, *words],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_test_that_waits_for_ever_fails_and_the_next_one_runs(tmp_path: Path) -> None:
    """It fails where it waits, with its name; what it started is ended by its own `finally`."""
    done = run(
        tmp_path,
        """
@pytest_twisted.ensureDeferred
async def test_hangs():
    try:
        await Deferred()
    finally:
        open("ended", "w").close()

@pytest_twisted.ensureDeferred
async def test_is_fine():
    pass

def test_blocks():
    while True:
        pass
""",
    )
    assert done.returncode == 1
    assert "test_hangs did not end within 1 s" in done.stdout
    assert re.search(r"^> +await Deferred\(\)", done.stdout, re.M)
    assert (tmp_path / "ended").exists()
    assert "2 failed, 1 passed" in done.stdout


def test_a_test_that_does_not_end_even_so_ends_the_run(tmp_path: Path) -> None:
    """The run says what failed before, which test hangs and where, and leaves no child process behind."""
    done = run(
        tmp_path,
        """
def test_fails():
    assert "an earlier failure" == 0

@pytest_twisted.ensureDeferred
async def test_hangs():
    child = subprocess.Popen(["sleep", "600"])
    open("child", "w").write(str(child.pid))
    while True:
        try:
            await Deferred()
        except BaseException:
            pass

def test_never_begins():
    pass
""",
    )
    assert done.returncode == 1
    assert "an earlier failure" in done.stdout
    assert "test_it.py::test_hangs hangs, 1 s after its 1 s: the run ends here" in done.stderr
    assert "doPoll" in done.stderr
    assert "test_never_begins" not in done.stdout
    child = Path("/proc", (tmp_path / "child").read_text(), "status")
    assert not child.exists() or "zombie" in child.read_text()

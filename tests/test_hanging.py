"""What conftest.py does with a test that hangs, on a pytest of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from outside_ports import until

HERE = Path(__file__).resolve().parent
HEAD = """
import subprocess
import pytest_twisted
from twisted.internet.defer import Deferred
"""


def has_ended(pid: str) -> bool:
    """Whether there is no such process, or nobody has asked yet how it ended."""
    try:
        return "zombie" in Path("/proc", pid, "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def run(directory: Path, tests: str, *words: str, grace: float = 1, **files: str) -> subprocess.CompletedProcess[str]:
    """Run these tests with a limit of 1 s and so much to clean up."""
    for name, text in ({"test_it": tests} | files).items():
        (directory / f"{name}.py").write_text(HEAD + text)
    (directory / "pytest.ini").write_text("[pytest]\ntimeout = 1\n")
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join((str(HERE.parent), str(HERE))),
        "GATEWAYD_TEST_GRACE": str(grace),
    }
    # Our own environment may be a worker's.
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    command = [
        "-m",
        "pytest",
        "-v",
        "-p",
        "conftest",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:valkey",
        *words,
        *(f"{name}.py" for name in (*files, "test_it")),
    ]
    return subprocess.run(
        [sys.executable, *command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
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
        grace=20,
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
    until(lambda: has_ended((tmp_path / "child").read_text()), 30, "the child has ended")


def test_a_worker_that_hangs_ends_the_run(tmp_path: Path) -> None:
    """Its test is named, in the closing lines too; what was not begun is not run by another worker."""
    done = run(
        tmp_path,
        """
@pytest_twisted.ensureDeferred
async def test_hangs():
    while True:
        try:
            await Deferred()
        except BaseException:
            pass
""",
        *("-n", "2", "--dist", "loadfile", "--max-worker-restart", "0"),
    )
    assert done.returncode == 1
    assert "test_it.py::test_hangs hangs, 1 s after its 1 s: the run ends here" in done.stderr
    assert "crashed while running 'test_it.py::test_hangs'" in done.stdout
    assert "1 failed" in done.stdout


def test_what_measures_comes_last(tmp_path: Path) -> None:
    """With several workers two of them, and in one process: after all others, though its file comes first."""
    say = """
import os
import pytest
import threading
from pathlib import Path

def note(word):
    with Path("said").open("a") as said:
        said.write(word + ":" + os.environ.get("PYTEST_XDIST_WORKER", "") + " ")
"""
    measures = """
@pytest.mark.pace
@pytest.mark.parametrize("number", range(3))
def test_pace(number):
    note("pace")

def test_ordinary():
    note("ordinary")
"""
    slow = """
def test_slow():
    threading.Event().wait(0.5)
    note("ordinary")

def test_another():
    note("ordinary")
"""
    for words in ((), ("-n", "3", "--dist", "loadfile")):
        done = run(tmp_path, say + slow, *words, test_a=say + measures, test_b=say + measures)
        assert "10 passed" in done.stdout, done.stdout
        said = [word.split(":") for word in (tmp_path / "said").read_text().split()]
        assert [word for word, _ in said] == ["ordinary"] * 4 + ["pace"] * 6
        assert len({worker for _, worker in said[4:]}) == (2 if words else 1), "the third one has ended"
        (tmp_path / "said").unlink()


def test_a_file_that_only_measures_leaves_nothing_standing(tmp_path: Path) -> None:
    """Its share of ordinary tests is empty; the next file's first test, in another folder, is set up all the same."""
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    measures = "\nimport pytest\n@pytest.mark.pace\ndef test_pace(): pass\n"
    ordinary = "\ndef test_ordinary(): pass\n"
    files = {"b/test_a": ordinary, "b/test_b": measures, "c/test_c": ordinary}
    done = run(tmp_path, ordinary, "-n", "1", "--dist", "loadfile", "--import-mode=importlib", **files)
    assert "4 passed" in done.stdout, done.stdout

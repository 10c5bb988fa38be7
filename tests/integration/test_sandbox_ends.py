"""The sandbox for somebody who tries it: how it ends, and what remains of it; directories of any name."""

import json
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from outside import command, environment, until

from conftest import impossible


@pytest.fixture
def temporary() -> Iterator[Path]:
    """What is the sandbox's TMPDIR."""
    with tempfile.TemporaryDirectory(prefix="gwt-") as directory:
        yield Path(directory)


def sandbox(temporary: Path, *words: str, **options: Any) -> "subprocess.Popen[str]":
    """A running sandbox, its complaints apart; a closed terminal ends it, though the tests may run under nohup."""
    return subprocess.Popen(
        ["env", "--default-signal=HUP", command("gatewayctl"), "sandbox", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(TMPDIR=str(temporary)),
        **options,
    )


def children(pid: int) -> list[int]:
    """Whom the process has started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def runs(pid: int) -> bool:
    """Whether it does; what nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_no_process_remains_of_a_sandbox_however_it_ends(temporary: Path, number: signal.Signals) -> None:
    """Its terminal is closed, or it is killed: gatewayd and Redis end with it. After SIGHUP no file remains, either."""
    run = sandbox(temporary, "--json")
    assert run.stdout is not None
    assert json.loads(run.stdout.readline())["worked"]
    started = children(run.pid)
    assert len(started) == 2
    run.send_signal(number)
    run.communicate(timeout=300)
    until(lambda: not any(map(runs, started)))
    if number == signal.SIGHUP:
        assert run.returncode == 0
        assert not list(temporary.iterdir())


def test_a_sandbox_whose_reader_has_seen_enough_ends_without_a_traceback(temporary: Path) -> None:
    """`gatewayctl sandbox | head`: status 1, as the other commands that find something out; nothing remains."""
    run = sandbox(temporary)
    assert run.stdout is not None
    assert run.stderr is not None
    assert "redis" in run.stdout.readline()
    run.stdout.close()
    assert run.stderr.read() == ""
    assert run.wait(timeout=300) == 1
    run.stderr.close()
    assert not list(temporary.iterdir())


def test_a_redis_that_ends_at_once_is_said_at_once(temporary: Path) -> None:
    """With its own words, as of a --dir whose append-only file is broken; and with no log of an earlier run."""
    where = temporary / "kept"
    (where / "appendonlydir").mkdir(parents=True)
    (where / "appendonlydir" / "appendonly.aof.manifest").write_text("no manifest\n")
    (where / "gatewayd.log").write_text("of yesterday\n")
    begun = time.monotonic()
    run = sandbox(temporary, "--once", "--dir", str(where))
    told, _ = run.communicate(timeout=300)
    assert run.returncode == 1
    assert re.search(r"ended at once with status 1: .*manifest", told)
    assert "yesterday" not in told
    # It waits 20 s for one that does not answer.
    assert time.monotonic() - begun < 15


def test_a_directory_may_have_any_name_and_is_one_sandboxs(temporary: Path) -> None:
    """Blanks, quotes, colons and a deep TMPDIR; the trace line can be pasted; a second sandbox there is refused."""
    deep = temporary / ("co:lon " + "d" * 100)
    deep.mkdir()
    where = deep / "a 'b' \"c\" \\d"
    run = sandbox(deep, "--dir", str(where))
    assert run.stdout is not None
    line = next(line for line in run.stdout if line.startswith("  timeline"))
    words = shlex.split(line.partition("timeline")[2])
    assert words[2] == str(where / "gatewayd.toml")
    traced = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=300, check=False)
    assert (traced.returncode, traced.stderr) == (0, "")
    second = sandbox(deep, "--once", "--json", "--dir", str(where))
    told, complaint = second.communicate(timeout=300)
    assert (second.returncode, complaint) == (1, "")
    assert json.loads(told)["reason"] == f"another sandbox runs in {where}"
    run.send_signal(signal.SIGINT)
    assert run.communicate(timeout=300)[1] == ""
    assert run.returncode == 0


def test_a_host_without_ipv4_is_told_so(temporary: Path) -> None:
    """Every part listens on 127.0.0.1: one line and status 1 where there is none, and nothing is left behind."""
    bare = 'ip link set lo up && ip address delete 127.0.0.1/8 dev lo && exec "$@"'
    apart = ["unshare", "--map-root-user", "--net", "sh", "-c", bare, "sh"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        impossible("network namespaces for everybody")
    done = subprocess.run(
        [*apart, command("gatewayctl"), "sandbox", "--once"],
        capture_output=True,
        text=True,
        env=environment(TMPDIR=str(temporary)),
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout.endswith("no port to be had on 127.0.0.1: Cannot assign requested address\n"), done.stdout
    assert done.stderr == ""
    assert list(temporary.iterdir()) == []

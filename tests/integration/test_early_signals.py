"""Signals that come while the daemon starts."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon import environment
from outside import command


@pytest.fixture
def directory() -> Iterator[Path]:
    """An empty one."""
    with tempfile.TemporaryDirectory(prefix="gwe-") as made:
        yield Path(made)


def test_a_sighup_while_it_starts_does_not_end_it(directory: Path) -> None:
    """It reads its file, a pipe that makes it wait, when the signal comes: it reads it once more as soon as it runs."""
    fifo = directory / "gatewayd.toml"
    text = f"""
[gatewayd]
secret_key = "{"k" * 40}"
[redis]
endpoint = "unix:{directory}/nobody.sock"
[api]
listen = ["unix:{directory}/api.sock"]
[admin]
listen = ["unix:{directory}/admin.sock"]
"""
    subprocess.run(["mkfifo", str(fifo)], check=True)
    run = subprocess.Popen(
        [command("twistd"), "-n", "--pidfile=", "gatewayd", "--config", str(fifo)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(directory),
        cwd=directory,
    )
    assert run.stdout is not None
    # Opening waits for its reader, and the reader for what is written.
    with fifo.open("w") as pipe:
        run.send_signal(signal.SIGHUP)
        pipe.write(text)
        # What is at work waits for no pipe.
        fifo.unlink()
        fifo.write_text(text)
    first = []
    for line in run.stdout:
        first.append(line)
        if " runs as " in line:
            break
    else:
        pytest.fail(f"it ended: {run.wait()} {first}")
    assert any("the configuration was read again" in line for line in run.stdout)
    run.terminate()
    run.communicate(timeout=300)
    assert run.returncode == 0

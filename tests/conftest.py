"""Shared fixtures: what the tests start, they stop; what the machine lacks makes them skip, or fail in CI."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

IN_CI = os.environ.get("CI") == "true"

FUZZ_EXAMPLES = int(os.environ.get("GATEWAYD_FUZZ_EXAMPLES", "12000" if IN_CI else "2000"))
"""How many inputs each fuzzer of the SMPP codec tries: in CI about a minute for all of them together."""

SMPP_MESSAGES = int(os.environ.get("GATEWAYD_SMPP_MESSAGES", "20000" if IN_CI else "3000"))
"""How many messages go through the SMPP run with random resets."""

CORPUS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus"


def missing(what: str) -> None:
    """Skip the test because the machine lacks `what`; with CI=true nothing may skip, so fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must provide {what}")
    pytest.skip(f"this machine lacks {what}")


def need(program: str) -> str:
    """The path of `program`, also looked for in the sbin directories; skips (fails in CI) where there is none."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    found = shutil.which(program, path=path)
    if found is None:
        missing(program)
    assert found is not None
    return found


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

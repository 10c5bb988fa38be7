"""Free ports and patience, for peers and tests that share no code with gatewayd."""

import os
import random
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fair_clock import Stretch


def until(condition: Callable[[], Any], seconds: float = 60.0, what: str = "") -> Any:
    """What `condition` gives, once that is true. AssertionError after `seconds`, counted as fair_clock.py does.

    It is asked whenever a peer has noted something. But what no peer sees, such as a state, a line of a log or an end,
    belongs to processes that tell nobody when it changes: so it is asked every 20 ms as well.
    """
    stretch = Stretch()
    while True:
        found = condition()
        if found:
            return found
        assert not stretch.is_over(seconds), f"did not come within {seconds} s: {what or condition}"
        with _news:
            _news.wait(0.02)


def noted() -> None:
    """A peer has something new, and has answered it: who waits looks again."""
    with _news:
        _news.notify_all()


def free_port() -> int:
    """A TCP port of loopback that nobody has, and that nobody gets before its owner listens.

    The system gives ports from 32768 on to outgoing connections: one of those would be taken by the next connection.
    Below that, each worker of pytest-xdist has a range of its own.
    """
    while True:
        port = _chance.choice(_OURS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def _range_of(worker: str, workers: str) -> range:
    number, count = int(worker.removeprefix("gw") or 0), int(workers or 1)
    size = 20_000 // count
    return range(12_000 + number * size, 12_000 + (number + 1) * size)


_OURS = _range_of(os.environ.get("PYTEST_XDIST_WORKER", ""), os.environ.get("PYTEST_XDIST_WORKER_COUNT", ""))
# Not the common source: Hypothesis puts that back to where it was, in every process alike.
_chance = random.SystemRandom()
_given: set[int] = set()
_news = threading.Condition()

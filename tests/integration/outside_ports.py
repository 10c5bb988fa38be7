"""Free ports and patience, for peers and tests that share no code with gatewayd."""

import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 15.0, what: str = "") -> Any:
    """What `condition` gives, once that is true. AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, f"did not come within {seconds} s: {what or condition}"
        time.sleep(0.02)


def free_port() -> int:
    """A TCP port of loopback that nobody has, and that nobody gets before its owner listens.

    The system gives ports from 32768 on to outgoing connections: one of those would be taken by the next connection.
    """
    while True:
        port = _chance.randrange(12_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


# Not the common source: Hypothesis puts that back to where it was, in every process alike.
_chance = random.SystemRandom()
_given: set[int] = set()

"""Free ports and patience, for peers and tests that share no code with gatewayd."""

import socket
import time
from collections.abc import Callable
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
    """A TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""What this host calls itself in EHLO."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gatewayd.smtp.own_name import PATIENCE, HostsOwnName, full_name


@pytest.mark.parametrize(
    ("own", "canonical", "name"),
    [
        ("gw1.amazing.co", "", "gw1.amazing.co"),
        ("GW1.Amazing.co.", "", "gw1.amazing.co"),
        ("gw1", "gw1.amazing.co", "gw1.amazing.co"),
        ("gw1", "gw1", ""),
        ("gw1", "", ""),
        ("localhost", "localhost", ""),
        ("localhost", "localhost.localdomain", ""),
        ("3f2a9c1b7d60", "3f2a9c1b7d60", ""),
        ("127.0.0.1", "", ""),
        ("gw_1.amazing.co", "", ""),
        ("", "", ""),
    ],
)
def test_a_full_name_has_a_domain(own: str, canonical: str, name: str) -> None:
    """A bare host name, a container's id and an address are none: EHLO says the address literal then."""
    assert full_name(own, lambda _: canonical) == name


class Threads(Clock):
    """A clock with a thread pool of its own, which runs nothing before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.work: list[Callable[[], None]] = []

    def getThreadPool(self) -> Any:
        """Itself."""
        return self

    def callInThreadWithCallback(self, result: Any, call: Any, *args: Any) -> None:
        """Keep it."""
        self.work.append(lambda: result(True, call(*args)))

    def callFromThread(self, call: Any, *args: Any) -> None:
        """There is one thread only."""
        call(*args)


async def test_it_is_looked_up_once_and_not_for_long() -> None:
    """A name service that is down holds up no mail; once it answers, nobody asks again."""
    threads = Threads()
    own_name = HostsOwnName(threads, lambda: "gw1.amazing.co")
    late = Deferred.fromCoroutine(own_name())
    threads.advance(PATIENCE)
    assert await late == ""
    known = Deferred.fromCoroutine(own_name())
    threads.work.pop()()
    assert await known == "gw1.amazing.co"
    assert await own_name() == "gw1.amazing.co"
    assert len(threads.work) == 1

"""What this host calls itself in EHLO."""

import socket
from collections.abc import Callable
from threading import Event, current_thread
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gatewayd.smtp.own_name import PATIENCE, HostsOwnName, canonical, full_name


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
    """A clock, and threads that run nothing before they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.work: list[Callable[[], None]] = []

    def callFromThread(self, call: Any, *args: Any) -> None:
        """There is one thread only."""
        call(*args)


def answers(*said: str | OSError) -> Callable[[], str]:
    """Says these, one after the other."""
    left = list(said)

    def ask() -> str:
        found = left.pop(0)
        if isinstance(found, OSError):
            raise found
        return found

    return ask


async def test_it_is_looked_up_once_and_not_for_long() -> None:
    """A name service that is down holds up no mail, and one thread, whoever asks; what is known isn't asked again."""
    threads = Threads()
    own_name = HostsOwnName(threads, answers("gw1.amazing.co"), threads.work.append)
    late = [Deferred.fromCoroutine(own_name()) for _ in range(3)]
    threads.advance(PATIENCE)
    assert [await one for one in late] == [""] * 3
    known = Deferred.fromCoroutine(own_name())
    assert len(threads.work) == 1
    threads.work.pop()()
    assert await known == "gw1.amazing.co"
    assert await own_name() == "gw1.amazing.co"
    assert not threads.work
    assert not threads.getDelayedCalls()


async def test_what_no_name_server_could_say_is_asked_again() -> None:
    """Started before its name servers a host would say its address literal for as long as the process lives."""
    threads = Threads()
    own_name = HostsOwnName(threads, answers(OSError("not now"), "gw1.amazing.co"), threads.work.append)
    for name in ("", "gw1.amazing.co"):
        asked = Deferred.fromCoroutine(own_name())
        threads.work.pop()()
        assert await asked == name


@pytest.mark.parametrize(
    ("error", "name"), [(socket.EAI_NONAME, ""), (socket.EAI_NODATA, ""), (socket.EAI_AGAIN, None)]
)
def test_a_host_without_a_name_is_told_from_name_servers_that_are_down(error: int, name: str | None) -> None:
    """The first is so for good."""

    def look_up(*_: object, **__: object) -> None:
        raise socket.gaierror(error, "so")

    if name is None:
        with pytest.raises(OSError, match="so"):
            canonical("gw1", look_up)
    else:
        assert canonical("gw1", look_up) == name


async def test_threads_that_hang_keep_no_process_from_its_end() -> None:
    """As name servers that are dead do."""
    began, threads = Event(), Threads()
    kinds: list[bool] = []

    def ask() -> str:
        kinds.append(current_thread().daemon)
        began.set()
        return ""

    Deferred.fromCoroutine(HostsOwnName(threads, ask)())
    assert began.wait(30)
    assert kinds == [True]

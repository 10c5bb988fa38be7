"""Names whose name servers are dead: they hold no thread that mail needs, and nobody's end."""

import socket
from threading import Event, current_thread
from typing import Any

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IResolutionReceiver
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from gatewayd.http_client.lookups import AT_A_TIME, in_threads_of_their_own


@implementer(IResolutionReceiver)
class Asker:
    """Hears the addresses of one name."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.done: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolution: object) -> None:
        """Nothing yet."""

    def addressResolved(self, address: Any) -> None:
        """One of them."""
        assert isinstance(address, IPv4Address)
        self.hosts.append(address.host)

    def resolutionComplete(self) -> None:
        """All of them."""
        self.done.callback(self.hosts)


@pytest_twisted.ensureDeferred
async def test_names_that_hang_hold_none_of_the_reactors_threads() -> None:
    """As many as may be looked up at a time, each asked for twice: a thread for each, and no end waits for it."""
    answer, looked_up = Event(), list[tuple[str, bool]]()

    def look_up(host: str, *_: object) -> list[Any]:
        looked_up.append((host, current_thread().daemon))
        answer.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 25))]

    resolver = in_threads_of_their_own(reactor, look_up)
    askers = [Asker() for _ in range(2 * AT_A_TIME)]
    for number, asker in enumerate(askers):
        resolver.resolveHostName(asker, f"mx{number % AT_A_TIME}.example", 25)
    try:
        assert await deferToThread(lambda: "mail") == "mail"
    finally:
        answer.set()
    assert [await asker.done for asker in askers] == [["192.0.2.1"]] * len(askers)
    assert sorted(looked_up) == sorted((f"mx{number}.example", True) for number in range(AT_A_TIME))

"""What a request leaves behind goes by itself: a search for cycles among all that is alive holds up every caller."""

import gc
from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from gatewayd.http.door import Answer
from gatewayd.http.site import Site
from gatewayd.http_client.answers import AnswerReader
from gatewayd.intake.patience import within

REPEATS = 200


def connection() -> None:
    """A caller, an answer, the end."""
    site = Site(Clock(), lambda request: Answer(b"done"))
    one = site.buildProtocol(None)
    one.makeConnection(StringTransport())
    one.dataReceived(b"POST /x HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
    one.connectionLost()
    # A transport forgets its protocol where it is lost; this one does not.
    one.transport.producer = one.transport = None


def answer() -> None:
    """One that we read."""
    assert AnswerReader().received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def wait() -> None:
    """One that ends in time."""
    clock, working = Clock(), Deferred[int]()

    async def work() -> int:
        return await working

    waiting = within(clock, 5, work())
    working.callback(1)
    assert waiting.called


@pytest.mark.parametrize("once", [connection, answer, wait])
def test_it_leaves_no_cycles(once: Callable[[], None]) -> None:
    """However often."""
    once()
    gc.collect()
    gc.disable()
    try:
        for _ in range(REPEATS):
            once()
        found = gc.collect()
    finally:
        gc.enable()
    assert found < REPEATS, "each leaves some"

"""Writes that do not wait for a turn, on real sockets."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport

from gatewayd.http.eager import write_now


class Writers:
    """Of a reactor, who waits for room to write."""

    def __init__(self) -> None:
        self.waiting: list[object] = []

    def addWriter(self, writer: object) -> None:
        """Twisted: tell it when there is room."""
        self.waiting.append(writer)

    def removeWriter(self, writer: object) -> None:
        """Twisted: it has written all."""
        self.waiting.remove(writer)


class Pair:
    """A transport and the socket at its other end."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        for end in (ours, self.theirs):
            end.setblocking(False)
        self.writers = Writers()
        self.transport: Any = Connection(ours, Protocol(), self.writers)
        self.transport.connected = 1

    def read(self) -> bytes:
        """What has arrived."""
        try:
            return self.theirs.recv(10_000_000)
        except BlockingIOError:
            return b""


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Open, with nothing written yet."""
    made = Pair()
    yield made
    made.transport.socket.close()
    made.theirs.close()


def test_what_the_kernel_takes_is_gone_at_once(pair: Pair) -> None:
    """Nobody waits for room that is there."""
    write_now(pair.transport, b"an answer")
    assert (pair.read(), pair.writers.waiting) == (b"an answer", [])


def test_what_does_not_fit_is_written_in_its_turn_and_nothing_overtakes_it(pair: Pair) -> None:
    """In the order in which it was given, each byte once."""
    large = bytes(range(256)) * 20_000
    write_now(pair.transport, large)
    assert pair.writers.waiting
    write_now(pair.transport, b"the end")
    heard = b""
    while pair.writers.waiting:
        heard += pair.read()
        assert pair.transport.doWrite() is None
    assert heard + pair.read() == large + b"the end"


def test_a_lost_connection_is_found_by_the_reactor(pair: Pair) -> None:
    """As after a write of Twisted's own: whoever writes hears of it a turn later."""
    pair.theirs.close()
    write_now(pair.transport, b"an answer")
    assert isinstance(pair.transport.doWrite(), Exception)


def test_who_is_closing_or_gone_writes_nothing(pair: Pair) -> None:
    """What is written after the end is dropped."""
    pair.transport.connected = 0
    write_now(pair.transport, b"an answer")
    assert (pair.read(), pair.writers.waiting) == (b"", [])


def test_under_tls_nothing_goes_past_it(pair: Pair) -> None:
    """The socket under it is never written to in clear text."""
    said = []
    pair.transport.TLS = True
    pair.transport.protocol.write = said.append
    write_now(pair.transport, b"a secret")
    assert (said, pair.read()) == ([b"a secret"], b"")


def test_what_is_no_socket_is_written_to_as_ever() -> None:
    """Such as a TLS connection's, which stands before its socket."""
    transport = StringTransport()
    write_now(transport, b"an answer")
    assert transport.value() == b"an answer"

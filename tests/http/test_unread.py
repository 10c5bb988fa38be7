"""Callers who do not read what we say: a kernel that tells how much they have read, and one that does not."""

import socket
from collections.abc import Iterator

import pytest

from gatewayd.http.unread import IN_ALL, UNREAD, Unread

NOW = 1_790_000_000.0


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A caller and us, on TCP. The caller's host takes little that the caller has not read."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as caller:
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        caller.connect(server.getsockname())
        ours, _ = server.accept()
        with ours:
            ours.setblocking(False)
            yield caller, ours


def fill(ours: socket.socket) -> None:
    """Say more than the caller's host takes."""
    while True:
        try:
            ours.send(b"x" * 65536)
        except BlockingIOError:
            return


@pytest.mark.parametrize("closing", [False, True])
def test_who_reads_nothing_has_little_time(ends: tuple[socket.socket, socket.socket], closing: bool) -> None:
    """Whether there is more to say or not."""
    _, ours = ends
    fill(ours)
    unread = Unread(ours)
    at: float | None = unread.begins(NOW, closing=closing)
    assert at == NOW + UNREAD
    looked_at = 0.0
    while at is not None:
        # Their host may still take the last of what it has room for.
        looked_at, at = at, unread.next_look(at)
    assert looked_at < NOW + IN_ALL


def test_who_reads_has_more_and_not_for_ever(ends: tuple[socket.socket, socket.socket]) -> None:
    """A look at a time, until all their time is up."""
    caller, ours = ends
    fill(ours)
    unread = Unread(ours)
    at: float | None = unread.begins(NOW, closing=False)
    looks = 0
    while at is not None and at < NOW + IN_ALL:
        read_on(caller, unread)
        fill(ours)
        at = unread.next_look(at)
        looks += 1
    assert (at, looks) == (NOW + IN_ALL, 5)
    read_on(caller, unread)
    assert unread.next_look(NOW + IN_ALL) is None


def read_on(caller: socket.socket, unread: Unread) -> None:
    """Read until the kernel on our side knows of it."""
    caller.settimeout(30)
    probe = Unread(unread._bare)
    probe.begins(NOW, closing=False)
    while probe.next_look(NOW) is None:
        caller.recv(65536)


def test_where_nobody_can_say_they_have_all_the_time() -> None:
    """But for who shall close."""
    unread = Unread(None)
    assert unread.begins(NOW, closing=False) == NOW + IN_ALL
    assert unread.begins(NOW, closing=True) == NOW + UNREAD
    assert unread.next_look(NOW + UNREAD) is None

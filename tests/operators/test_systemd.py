"""systemd.py: what is said to the notification socket, and when."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from gatewayd.operators.systemd import StatusLine, Watchdog, notify


@pytest.fixture
def heard() -> Iterator[socket.socket]:
    """A notification socket such as systemd's."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"{directory}/notify")
        listening.setblocking(False)
        yield listening


def everything(heard: socket.socket) -> list[bytes]:
    """All datagrams that wait."""
    found = []
    while True:
        try:
            found.append(heard.recv(4096))
        except BlockingIOError:
            return found


def test_a_state_is_one_datagram(heard: socket.socket) -> None:
    """What is said arrives as it is."""
    environ = {"NOTIFY_SOCKET": heard.getsockname()}
    assert notify("READY=1", environ)
    assert notify("STOPPING=1\nSTATUS=draining", environ)
    assert everything(heard) == [b"READY=1", b"STOPPING=1\nSTATUS=draining"]


def test_an_abstract_socket(heard: socket.socket) -> None:
    """A name that begins with @ lies in the abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        name = f"gatewayd-test-{Path(heard.getsockname()).parent.name}"
        listening.bind("\0" + name)
        listening.setblocking(False)
        assert notify("READY=1", {"NOTIFY_SOCKET": "@" + name})
        assert everything(listening) == [b"READY=1"]


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}])
def test_without_systemd_nothing_is_said(environ: dict[str, str]) -> None:
    """Outside systemd the call does nothing."""
    assert notify("READY=1", environ) is False


def test_a_socket_that_is_gone_is_no_trouble() -> None:
    """A daemon does not fall over because nobody listens."""
    assert notify("READY=1", {"NOTIFY_SOCKET": "/nonexistent/notify"}) is False


def test_the_watchdog_pings_at_half_its_time(heard: socket.socket) -> None:
    """A ping each half interval while the clock turns, none before the first, none once stopped."""
    clock = Clock()
    watchdog = Watchdog(clock, {"NOTIFY_SOCKET": heard.getsockname(), "WATCHDOG_USEC": "30000000"})
    watchdog.startService()
    assert everything(heard) == []
    clock.pump([5] * 9)
    assert everything(heard) == [b"WATCHDOG=1"] * 3
    watchdog.stopService()
    clock.pump([5] * 9)
    assert everything(heard) == []
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "7"}])
def test_no_watchdog_unless_it_is_asked_of_us(environ: dict[str, str]) -> None:
    """Without $WATCHDOG_USEC, or with another process's, there is no timer."""
    clock = Clock()
    watchdog = Watchdog(clock, environ, pid=8)
    watchdog.startService()
    assert clock.getDelayedCalls() == []
    watchdog.stopService()


def test_the_status_line_is_said_when_it_changes(heard: socket.socket) -> None:
    """Every few seconds it is looked at; a line that is as it was is not said again, and it is always one line."""
    clock, lines = Clock(), ["ready; 0 in the queues"]
    status = StatusLine(clock, {"NOTIFY_SOCKET": heard.getsockname()}, lambda: lines[-1])
    status.startService()
    assert everything(heard) == []
    clock.pump([1.0] * 3)
    assert everything(heard) == [b"STATUS=ready; 0 in the queues"]
    lines.append("other: no email\ncan go out")
    clock.advance(1.0)
    assert everything(heard) == [b"STATUS=other: no email can go out"]
    status.stopService()
    assert clock.getDelayedCalls() == []

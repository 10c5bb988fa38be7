"""Listening ports: what is said when no more connections can be accepted."""

import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import capturedLogs, formatEvent

from gatewayd.http.door import Answer
from gatewayd.http.ports import Listener, listen
from gatewayd.http.site import Site


class NoFiles:
    """A listening socket of a process that may open no more files."""

    def __init__(self, port: Any) -> None:
        self._socket = port.socket
        self.asked = 0
        port.socket = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def accept(self) -> Any:
        """Fails, but for every other call, which Twisted makes with the file that it kept in reserve."""
        self.asked += 1
        if self.asked % 3 == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        if self.asked % 3 == 0:
            raise OSError(errno.EAGAIN, "nobody")
        ours, theirs = socket.socketpair()
        theirs.close()
        return ours, ("127.0.0.1", 1)


@pytest_twisted.ensureDeferred
async def test_at_the_file_limit_the_log_gets_one_line() -> None:
    """However many connections are dropped."""
    port: Any = await listen(reactor, "tcp:0:interface=127.0.0.1", Factory.forProtocol(Protocol))
    full = NoFiles(port)
    try:
        with capturedLogs() as events:
            for _ in range(100):
                port.doRead()
    finally:
        port.socket = full._socket
        await port.stopListening()
    said = [formatEvent(event) for event in events]
    assert said == ["connections could not be accepted: this process has as many files open as it may (LimitNOFILE)"]


def test_a_socket_that_systemd_did_not_hand_over_is_said_in_words() -> None:
    """Not as Python's KeyError; the start ends as with a port that is taken."""
    listener = Listener(reactor, ["systemd:domain=INET:name=gatewayd.socket"], Site(reactor, lambda request: Answer()))
    with capturedLogs() as events, pytest.raises(CannotListenError):
        listener.startService()
    assert [formatEvent(event) for event in events] == [
        "can't listen on systemd:domain=INET:name=gatewayd.socket: systemd handed no such socket to this process"
    ]


def test_a_socket_in_a_directory_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    """Not as a traceback of Twisted's lock; the start ends as with a port that is taken."""
    where = f"unix:{tmp_path}/nowhere/admin.sock"
    listener = Listener(reactor, [where], Site(reactor, lambda request: Answer()))
    with capturedLogs() as events, pytest.raises(CannotListenError):
        listener.startService()
    words = "No such file or directory (its directory, and the lock beside it)"
    assert formatEvent(events[-1]) == f"can't listen on {where}: {words}"


@pytest.mark.parametrize("pid", [os.getpid(), 1, 2**22 + 1, None], ids=["ours", "init", "nobodys", "none"])
@pytest_twisted.ensureDeferred
async def test_a_killed_process_leaves_no_socket_that_bars_its_successor(tmp_path: Path, pid: int | None) -> None:
    """Whoever has its process id by now: in a container that is ourselves. Twisted goes by the id alone."""
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    if pid is not None:
        Path(f"{path}.lock").symlink_to(str(pid))
    port: Any = await listen(reactor, f"unix:{path}", Factory.forProtocol(Protocol))
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))
    await port.stopListening()
    assert not list(tmp_path.iterdir())


@pytest_twisted.ensureDeferred
async def test_a_socket_on_which_somebody_listens_is_theirs(tmp_path: Path) -> None:
    """Also while they accept nobody."""
    path = tmp_path / "admin.sock"
    Path(f"{path}.lock").symlink_to(str(os.getpid()))
    with socket.socket(socket.AF_UNIX) as theirs, socket.socket(socket.AF_UNIX) as waiting:
        theirs.bind(str(path))
        theirs.listen(0)
        waiting.connect(str(path))
        with pytest.raises(CannotListenError):
            await listen(reactor, f"unix:{path}", Factory.forProtocol(Protocol))
    assert path.is_socket()

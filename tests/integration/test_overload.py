"""More than can be answered in time: callers are told to try again, and nothing of what they asked is done."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from outside import SECRET, Outside, until

from gatewayd.intake.accept import BEGUN_WITHIN

NEWCOMERS = 60
"""More than Twisted's port fetches in a turn; fewer than any kernel's queue holds."""
KNOWN = 3
ON_THE_WAY = 20
AHEAD = 100
"""Requests that one caller sends without waiting for answers."""


@pytest.fixture
def world() -> Iterator[Outside]:
    """Nothing runs yet."""
    with Outside() as world:
        yield world


class Caller:
    """One connection, and what is asked on it."""

    def __init__(self, world: Outside, path: str = "") -> None:
        if path:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(60)
            self._socket.connect(path)
        else:
            self._socket = socket.create_connection(("127.0.0.1", world.api), timeout=60)
        self._heard = b""
        self.fields: dict[str, str] = {}

    def ask(self, fields: dict[str, str]) -> None:
        """Send a request."""
        self.fields = fields
        body = json.dumps(fields)
        head = (
            f"POST /amazing/sms HTTP/1.1\r\nHost: gw\r\nAuthorization: {SECRET}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall((head + body).encode())

    def code(self) -> int:
        """The error_code of the next answer."""
        while b"}" not in self._heard:
            piece = self._socket.recv(65536)
            assert piece, self._heard
            self._heard += piece
        answer, _, self._heard = self._heard.partition(b"}")
        code: int = json.loads(answer.partition(b"\r\n\r\n")[2] + b"}")["error_code"]
        return code

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def taken_now(world: Outside, fields: dict[str, str]) -> list[int]:
    """The error_code, unless it is too much for this machine, too."""
    code: int = world.post("/amazing/sms", fields).json["error_code"]
    return [code] if code != 10 else []


@pytest.mark.timeout(120)
def test_what_waited_for_too_long_is_refused_and_never_sent(world: Outside) -> None:
    """A process that was stopped finds requests that are too old, on new and on kept connections: code 10 for each.

    None of them was stored: the same uids are free for other content, and only that is sent, once each. Of those that
    came right before the stop just the ones are sent whose callers hear 0.
    """
    world.start()
    callers = [Caller(world) for _ in range(KNOWN)]
    for caller in callers:
        caller.ask(world.sms_fields())
        assert caller.code() == 0
    until(lambda: len(world.smsc.submits) == KNOWN, 30)
    hurried = [Caller(world) for _ in range(ON_THE_WAY)]
    for number, caller in enumerate(hurried):
        caller.ask(world.sms_fields(body=f"hurried {number}"))
    world.daemon.signal(signal.SIGSTOP)
    try:
        callers += [Caller(world) for _ in range(NEWCOMERS)]
        for caller in callers:
            caller.ask(world.sms_fields())
        for _ in range(AHEAD):
            callers[0].ask(world.sms_fields())
        asked_at = time.monotonic()
        until(lambda: time.monotonic() - asked_at > BEGUN_WITHIN + 0.1, 60)
    finally:
        world.daemon.signal(signal.SIGCONT)
    assert [caller.code() for caller in callers] == [10] * (KNOWN + NEWCOMERS)
    assert [callers[0].code() for _ in range(AHEAD)] == [10] * AHEAD
    taken = [f"hurried {number}" for number, caller in enumerate(hurried) if caller.code() == 0]
    for caller in callers + hurried:
        caller.close()
    for number, caller in enumerate(callers[:10]):
        fields = caller.fields | {"body": f"other {number}"}
        assert until(lambda fields=fields: taken_now(world, fields), 30) == [0]
    until(lambda: len(world.smsc.submits) >= KNOWN + len(taken) + 10, 30)
    sent = sorted(submit.content.decode() for submit in world.smsc.submits[KNOWN:])
    assert sent == sorted(taken + [f"other {number}" for number in range(10)])


def sleeps(world: Outside) -> bool:
    """Whether the daemon waits for something to do."""
    assert world.daemon.process is not None
    return Path(f"/proc/{world.daemon.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def code_of_a_newcomer(world: Outside, path: str) -> int:
    """What one more request hears."""
    caller = Caller(world, path)
    try:
        caller.ask(world.sms_fields())
        return caller.code()
    finally:
        caller.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("stopped_in", ["its work", "its sleep"])
def test_what_waited_on_a_unix_socket_is_refused_too(world: Outside, stopped_in: str) -> None:
    """The kernel says nothing of its age, but when it was asked before: on new and on kept connections.

    Where a sleeping process is stopped, the kernel's answer to what it waits for is that there was nothing.
    """
    path = str(world.directory / "api.sock")
    world.settings["api"]["listen"].append(f"unix:{path}")
    world.start()
    callers = [Caller(world, path) for _ in range(KNOWN)]
    for caller in callers:
        caller.ask(world.sms_fields())
        assert caller.code() == 0
    if stopped_in == "its sleep":
        world.idle("sms", "reports")
        until(lambda: sleeps(world), 30)
    world.daemon.signal(signal.SIGSTOP)
    try:
        callers += [Caller(world, path) for _ in range(NEWCOMERS)]
        for caller in callers:
            caller.ask(world.sms_fields())
        asked_at = time.monotonic()
        until(lambda: time.monotonic() - asked_at > BEGUN_WITHIN + 0.5, 60)
    finally:
        world.daemon.signal(signal.SIGCONT)
    assert [caller.code() for caller in callers] == [10] * (KNOWN + NEWCOMERS)
    for caller in callers:
        caller.close()
    # Who comes while the daemon still answers these may be as old as they are, for all it knows.
    until(lambda: code_of_a_newcomer(world, path) == 0, 30)

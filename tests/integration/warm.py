"""Starts of the daemon without its imports: one process has made them, and each start is a fork of that.

    process = start(words, cwd=directory, log=stream)

Nearly all CPU of a start is Python that imports: 0.7 s, for each of hundreds of starts. The fork runs `twistd` with
the words of the command line, as the installed command does. That command itself is what the tests of `--check` run,
those of the sandbox, and each daemon that has a `prefix` or an environment of its own.

Knows nothing of gatewayd but the name of its module.
"""

import ctypes
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).resolve().parent.parent.parent
DIE_WITH_PARENT = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


class Started:
    """A fork that became the daemon, with the verbs of Popen."""

    def __init__(self, pid: int, end: socket.socket) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._end = end

    def poll(self) -> int | None:
        """The exit status, negative for the signal that ended it; None while it runs."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once there is one. TimeoutExpired, as Popen's."""
        found = self._ended(timeout)
        if found is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return found

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, seconds: float | None) -> int | None:
        if self.returncode is None:
            self._end.settimeout(seconds)
            try:
                word = self._end.recv(16)
            except (TimeoutError, BlockingIOError):
                return None
            self._end.close()
            # Where nobody is left who could tell, it was killed with its parent.
            self.returncode = int(word or -signal.SIGKILL)
        return self.returncode


def start(words: list[str], *, env: Mapping[str, str], cwd: Path, log: IO[bytes]) -> Started:
    """Run `twistd` with these words; standard output and standard error go to `log`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        order = json.dumps({"words": words, "env": dict(env), "cwd": str(cwd)}).encode()
        socket.send_fds(_waiting()[1], [order], [log.fileno(), theirs.fileno()])
    return Started(int(ours.recv(16)), ours)


@cache
def _waiting() -> tuple["subprocess.Popen[bytes]", socket.socket]:
    """The process that has imported all, and the socket on which it is asked. It ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        env = os.environ | {"PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen([sys.executable, __file__, str(number)], pass_fds=[number], env=env), ours


# -- what the waiting process does -------------------------------------------------------------------------------------


def serve(asked: socket.socket) -> None:
    """Fork for each order, and say how each fork ended. Returns in a fork; ends with the asker."""
    ends: dict[int, socket.socket] = {}
    wake, woken = socket.socketpair()
    for one in (wake, woken):
        one.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with selectors.DefaultSelector() as selector:
        selector.register(asked, selectors.EVENT_READ)
        selector.register(wake, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select()]
            if wake in ready:
                wake.recv(1024)
                tell(ends)
            if asked in ready:
                raw, fds, _, _ = socket.recv_fds(asked, 1 << 20, 2)
                if not raw:
                    sys.exit()
                log, end = fds[0], socket.socket(fileno=fds[1])
                child = os.fork()
                if not child:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for held in (asked, wake, woken, end, *ends.values()):
                        held.close()
                    become(json.loads(raw), log)
                    return
                os.close(log)
                end.send(str(child).encode())
                ends[child] = end


def tell(ends: dict[int, socket.socket]) -> None:
    """Say of each fork that has ended how it did."""
    while ends:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with ends.pop(pid) as end, suppress(OSError):
            end.send(str(os.waitstatus_to_exitcode(status)).encode())


def become(order: dict[str, object], log: int) -> None:
    """Be a process that was started with the order's words, in its directory and environment."""
    # A daemon that nobody could kill any more would outlive the tests.
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    words, env = order["words"], order["env"]
    assert isinstance(words, list)
    assert isinstance(env, dict)
    for number in (1, 2):
        os.dup2(log, number)
    os.close(log)
    os.chdir(str(order["cwd"]))
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = ["twistd", *words]


def main() -> None:
    """Import what a daemon imports, fork for each who asks, and in a fork run twistd."""
    sys.path[0] = ""
    import twisted.plugins
    from twisted.internet import reactor
    from twisted.scripts.twistd import run

    importlib.import_module("gatewayd.service")
    # Where the checkout is not installed the plugin is found all the same.
    twisted.plugins.__path__.append(str(CHECKOUT / "plugins"))
    serve(socket.socket(fileno=int(sys.argv[1])))
    # What waits for readable sockets was made before the fork: each process needs its own.
    type(reactor).__init__(reactor)
    run()


if __name__ == "__main__":
    main()

"""Starts of our commands without their imports: one process has made them, and each start is a fork of that.

    process = start("twistd", ["-n", "gatewayd"], env=os.environ, cwd=directory, out=log, err=log)
    done = run("gatewayctl", ["status"], env=os.environ, cwd=directory)

Nearly all CPU of a start is Python that imports: 0.7 s, for each of hundreds of starts. The fork calls what the
installed command calls, with the same command line. That command itself is what the tests of `--check` run, those of
the sandbox, and each daemon that has a `prefix` or an environment of its own.

Knows nothing of gatewayd but names of its modules and functions.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn

CHECKOUT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = {"twistd": ("twisted.scripts.twistd", "run"), "gatewayctl": ("gatewayd.ctl", "main")}
"""Module and function behind each command."""

LATE = ("email_validator", "encodings.idna", "jinja2", "phonenumbers.data.region_GB", "sqlite3", "stringprep")
"""What a daemon of the tests imports only once it runs."""

WORKED_OUT = {
    "gatewayd.config.profiles": "profiles",
    "gatewayd.evidence.unsubscribe": "unsubscribe_pages",
    "gatewayd.store.scripts": "all_scripts",
}
"""Functions that remember what they return."""

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


def start(
    program: str, words: Sequence[str], *, env: Mapping[str, str], cwd: Path, out: IO[bytes], err: IO[bytes]
) -> Started:
    """Run one of PROGRAMS with these words; what it prints goes to `out` and `err`."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        order = json.dumps({"program": program, "words": words, "env": dict(env), "cwd": str(cwd)}).encode()
        socket.send_fds(_waiting(), [order], [out.fileno(), err.fileno(), theirs.fileno()])
    return Started(int(ours.recv(16)), ours)


def run(
    program: str, words: Sequence[str], *, env: Mapping[str, str], cwd: Path, timeout: float = 300.0
) -> "subprocess.CompletedProcess[str]":
    """Run one of PROGRAMS to its end; what it printed. TimeoutExpired after so many seconds, and it is killed."""
    with TemporaryFile() as out, TemporaryFile() as err:
        process = start(program, words, env=env, cwd=cwd, out=out, err=err)
        try:
            status = process.wait(timeout)
        finally:
            process.kill()
        printed = []
        for stream in (out, err):
            stream.seek(0)
            printed.append(stream.read().decode())
        return subprocess.CompletedProcess([program, *words], status, *printed)


@cache
def _waiting() -> socket.socket:
    """Where the process is asked that has imported all. It ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        number = theirs.fileno()
        env = os.environ | {"PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, __file__, str(number)]
        waiting = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[number], env=env)
    # The last one is called first: its end of the socket closed, it ends.
    atexit.register(waiting.wait)
    atexit.register(ours.close)
    return ours


# -- what the waiting process does -------------------------------------------------------------------------------------


def serve(asked: socket.socket) -> str:
    """Fork for each order, and say how each fork ended. Returns in a fork, what that has to be; ends with the asker."""
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
                raw, fds, _, _ = socket.recv_fds(asked, 1 << 20, 3)
                if not raw:
                    sys.exit()
                *streams, number = fds
                end = socket.socket(fileno=number)
                child = os.fork()
                if not child:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for held in (asked, wake, woken, end, *ends.values()):
                        held.close()
                    return become(json.loads(raw), streams)
                for stream in streams:
                    os.close(stream)
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


def become(order: dict[str, Any], streams: list[int]) -> str:
    """Be as a process that was started with the order's words, in its directory and environment; its program."""
    # A daemon that nobody could kill any more would outlive the tests.
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    program = str(order["program"])
    sys.argv = [program, *order["words"]]
    return program


def leave(status: object) -> NoReturn:
    """End as `sys.exit(status)` does, but for the teardown of the interpreter: it would copy all that forks share.

    That costs twice what the verbs of gatewayctl do.
    """
    if not isinstance(status, int | None):
        sys.exit(str(status))
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        status = 120
    os._exit(status or 0)


def main() -> NoReturn:
    """Import what a daemon imports, fork for each who asks, and in a fork do what the program does."""
    sys.path[0] = ""
    import twisted.plugin
    import twisted.plugins
    from twisted.application.service import IServiceMaker
    from twisted.internet import reactor

    imported = {name: importlib.import_module(module) for name, (module, _) in PROGRAMS.items()}
    for name in ("gatewayd.service", *LATE):
        importlib.import_module(name)
    # Where the checkout is not installed the plugin is found all the same.
    twisted.plugins.__path__.append(str(CHECKOUT / "plugins"))
    # What each start would work out anew, always the same: who else is a plug-in, the scripts, the vendors' profiles.
    list(twisted.plugin.getPlugins(IServiceMaker))
    for module, function in WORKED_OUT.items():
        getattr(importlib.import_module(module), function)()
    # What a collector never visits, forks share: no page of it is copied.
    gc.freeze()
    program = serve(socket.socket(fileno=int(sys.argv[1])))
    # What waits for readable sockets was made before the fork: each process needs its own.
    type(reactor).__init__(reactor)
    try:
        status = getattr(imported[program], PROGRAMS[program][1])()
    except SystemExit as ended:
        status = ended.code
    leave(status)


if __name__ == "__main__":
    main()

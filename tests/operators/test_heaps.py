"""heaps.py: what glibc says of itself, in a process of its own, since no process gets rid of a heap."""

import subprocess
import sys

from conftest import impossible
from gatewayd.operators.heaps import HEAPS

_PROGRAM = """
import ctypes, sys, threading
from gatewayd.operators.heaps import share_heaps

shared = "share" in sys.argv and share_heaps()
everybody_has_some = threading.Barrier(6)
def allocate():
    kept = [bytes(5000) for _ in range(50)]
    everybody_has_some.wait()
threads = [threading.Thread(target=allocate) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def heaps(*words: str) -> int:
    """How many a process with six busy threads has."""
    said = subprocess.run([sys.executable, "-c", _PROGRAM, *words], stdout=subprocess.PIPE, text=True, check=True)
    return said.stdout.count("<heap ")


def test_threads_share_one_heap() -> None:
    """Beside the reactor's; without it each has its own."""
    if heaps() <= HEAPS:
        impossible("C library with a heap for each thread that says how many it has")
    assert heaps("share") == HEAPS

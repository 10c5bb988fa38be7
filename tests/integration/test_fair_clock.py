"""The clock by which tests bound what takes time."""

import os
import subprocess
import sys
import threading
import time

from fair_clock import AT_LEAST, Stretch

SPIN = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass"


def test_where_nobody_waits_for_a_core_it_is_the_real_time() -> None:
    """Sleeping is no waiting; and it is never ahead of the real time."""
    began, stretch = time.monotonic(), Stretch()
    assert not stretch.is_over(0.2)
    threading.Event().wait(0.3)
    seconds, passed = stretch.seconds(), time.monotonic() - began
    assert AT_LEAST * 0.3 <= seconds <= passed
    assert not stretch.is_over(3600)


def test_what_children_waited_for_is_left_out() -> None:
    """More of them than there are cores to run them, pinned to one."""
    spin = ["taskset", "-c", str(min(os.sched_getaffinity(0))), sys.executable, "-c", SPIN]
    began, stretch = time.monotonic(), Stretch()
    children = [subprocess.Popen(spin) for _ in range(4)]
    threading.Event().wait(0.8)
    seconds, passed = stretch.seconds(), time.monotonic() - began
    for child in children:
        child.kill()
        child.wait()
    assert seconds < passed - 0.2, "three of four wait at any time"

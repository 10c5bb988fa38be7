"""What the sandbox starts ends with it, in any way: Linux kills a child that asked for it when its parent is gone."""

import ctypes
import signal

_SET_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""

_prctl = getattr(ctypes.CDLL(None), "prctl", None)


def end_with_parent() -> None:
    """Called in the child: SIGKILL when the thread that started it ends. Another system than Linux has no such wish."""
    if _prctl is not None:
        _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL.value)

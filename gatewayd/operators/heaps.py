"""How many heaps the C library keeps for the threads of this process.

glibc gives nearly each thread a heap of its own, eight for each core. Ours wait for a database; what one of them has
freed, in the one moment in which all were busy, no other uses again, and it is not given back. Knows no thread.
"""

import ctypes

HEAPS = 2
"""The reactor's, and one that all other threads share: it waits for none of them."""

_ARENA_MAX = -8
"""mallopt(3): M_ARENA_MAX. It holds for the heaps that are not made yet."""


def share_heaps() -> bool:
    """Have HEAPS at most, however many threads come; False where the C library knows no such thing (musl)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_ARENA_MAX, HEAPS) == 1

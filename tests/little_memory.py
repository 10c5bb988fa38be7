"""A process that may have no more memory than it has, for as long as a test wants that."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MUCH = 64 * 1024 * 1024
"""Octets that no heap has lying about: they must be asked of the kernel."""


@contextmanager
def no_more_memory() -> Iterator[None]:
    """As `ulimit -v` does it, or a host that overcommits nothing: `MUCH` octets are not to be had."""
    before, most = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MUCH // 2, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, most))

"""What takes long to read, off the reactor's thread."""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import DeferredLock
from twisted.internet.threads import deferToThreadPool

InThread = Callable[..., Awaitable[Any]]
"""`in_thread(octets, call, *args)`: what call(*args) gives, off the reactor's thread; it reads so many octets."""


def one_at_a_time(reactor: Any, small: int) -> InThread:
    """Of `small` octets or fewer it is called at once: the way to a thread and back costs more.

    One at a time: several threads would leave the reactor's own only a small share of the interpreter.
    """
    turn = DeferredLock()

    async def run(octets: int, call: Callable[..., Any], *args: Any) -> Any:
        if octets <= small:
            return call(*args)
        return await turn.run(deferToThreadPool, reactor, reactor.getThreadPool(), call, *args)

    return run

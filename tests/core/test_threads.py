"""What takes long to read has a thread."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from gatewayd.core.threads import one_at_a_time

SMALL = 100


async def test_what_is_big_is_read_one_at_a_time() -> None:
    """However many come together, the reactor's thread has its half of the interpreter; small ones need no thread."""
    reactor = Threads()
    run = one_at_a_time(reactor, SMALL)
    first, second = (Deferred.fromCoroutine(run(SMALL + 1, len, "x" * (SMALL + 1))) for _ in range(2))
    assert await run(5, len, "small") == 5
    assert len(reactor.work) == 1
    reactor.work.pop(0)()
    assert await first == SMALL + 1
    reactor.work.pop(0)()
    assert await second == SMALL + 1


class Threads:
    """A reactor whose thread pool runs what it was given when the test says so."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def getThreadPool(self) -> Any:
        """Itself."""
        return self

    def callInThreadWithCallback(self, result: Any, call: Any, *args: Any) -> None:
        """Keep it."""
        self.work.append(lambda: result(True, call(*args)))

    def callFromThread(self, call: Any, *args: Any) -> None:
        """There is one thread only."""
        call(*args)

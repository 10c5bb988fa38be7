"""How the process ends: in which order, and within which time."""

import io
from typing import Any

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure

from gatewayd.core.drain import DOORS, DRAIN, IN_ALL, STORED
from gatewayd.core.lateness import READING
from gatewayd.operators.daemon import Daemon
from gatewayd.operators.log import Observer


class Part(Service):
    """One that takes `seconds` to stop; for ever where that is None."""

    def __init__(self, clock: Clock, name: str, seconds: float | None, stopped: list[str]) -> None:
        self.label = name
        self._clock = clock
        self._seconds = seconds
        self._stopped = stopped

    def stopService(self) -> Deferred[None]:
        """Say that it was asked to."""
        self._stopped.append(self.label)
        ended: Deferred[None] = Deferred()
        ended.addCallback(lambda _: self._stopped.append(f"{self.label} has ended"))
        if self._seconds is not None:
            self._clock.callLater(self._seconds, ended.callback, None)
        return ended


class Door(Part):
    """Stopped before all others."""


class Queue(Part):
    """Stopped after doors."""


@pytest.mark.parametrize(
    ("door", "queue", "other", "most"),
    [
        (0.5, 2.0, 0.0, 2.5),
        (5.0, 2.0, 0.0, 5.0),
        (5.0, DRAIN, 3.0, 20.0),
        (5.0, DRAIN + STORED, 0.0, 20.0),
        (0.5, DRAIN + STORED, 0.0, 19.5),
        (0.5, DRAIN + STORED, None, 20.0),
        (None, None, None, 20.0),
    ],
)
def test_a_stop_takes_twenty_seconds_at_most(
    door: float | None, queue: float | None, other: float | None, most: float
) -> None:
    """Redis is silent, and each part has a limit of its own: the sum of them is nobody's to wait for."""
    clock, stopped, closed = Clock(), list[str](), list[float]()

    async def closing() -> None:
        closed.append(clock.seconds())

    parts = [Part(clock, "redis", 0.0, stopped), Part(clock, "keeper", other, stopped)]
    parts += [Part(clock, "watch", other, stopped), Queue(clock, "queue", queue, stopped)]
    parts += [Door(clock, "door", door, stopped)]
    daemon = Daemon(
        clock,
        {},
        parts,
        name="a daemon",
        together=(((Door,), DOORS), ((Queue,), IN_ALL)),
        draining=lambda: stopped.append("draining"),
        closing=closing,
        reload=lambda: None,
        failing=lambda: None,
    )
    ended = daemon.stopService()
    while not ended.called:
        assert clock.seconds() <= most + 0.2
        clock.advance(0.05)
    asked = [each for each in stopped if not each.endswith("has ended")]
    assert asked == ["draining", "door", "queue", "watch", "keeper", "redis"]
    assert len(closed) == 1
    if door is not None and queue is not None:
        # What was given up is stored before Redis is left, and so is what a slow door brought.
        assert {"door has ended", "queue has ended"} < set(stopped[: stopped.index("watch")])


@pytest.mark.parametrize("door", [0.2, 5.0])
@pytest.mark.parametrize("before", [0.5, 5.0, 18.5])
def test_what_a_stop_was_slept_through_is_nobodys_time(door: float, before: float) -> None:
    """SIGTERM, and then the process is stopped: awake, what waited for answers reads them, and has them stored."""
    clock, stopped = Clock(), list[str]()

    class Asleep(Queue):
        """It waits for an answer, that is there at once."""

        def stopService(self) -> Deferred[None]:
            """The limit of what it waits for is over, too, once the process is awake."""
            self._seconds = max(before + 60 - clock.seconds(), 0.0) + READING + STORED
            return super().stopService()

    async def closing() -> None:
        stopped.append("closed")

    parts = [Part(clock, "redis", 0.0, stopped), Part(clock, "watch", 0.1, stopped)]
    parts += [Asleep(clock, "queue", None, stopped), Door(clock, "door", door, stopped)]
    daemon = Daemon(
        clock,
        {},
        parts,
        name="a daemon",
        together=(((Door,), DOORS), ((Queue,), IN_ALL)),
        draining=lambda: None,
        closing=closing,
        reload=lambda: None,
        failing=lambda: None,
    )
    ended = daemon.stopService()
    clock.pump([0.05] * round(before / 0.05))
    clock.advance(60)
    clock.pump([0.05] * 40)
    assert ended.called
    assert stopped.index("queue has ended") < stopped.index("watch") < stopped.index("redis")


def test_who_had_no_memory_left_drains_and_ends() -> None:
    """What failed for it may have left others waiting for ever; it is said once, by whatever thread, and at the end."""
    clock, stopped, failed = Clock(), list[str](), list[int]()
    reactor: Any = clock
    reactor.stop = lambda: stopped.append("stopped")
    reactor.callFromThread = lambda call, *args: clock.callLater(0, call, *args)
    observer = Observer(io.StringIO(), reactor)

    async def closing() -> None:
        """Nothing to close."""

    Daemon(
        reactor,
        {},
        [],
        name="a daemon",
        together=(),
        draining=lambda: None,
        closing=closing,
        reload=lambda: None,
        failing=lambda: failed.append(1),
        observer=observer,
    )
    with capturedLogs() as logs:
        for error in (ValueError(), MemoryError(), MemoryError()):
            observer({"log_failure": Failure(error), "log_level": LogLevel.critical})
            clock.advance(0)
            assert len(logs) == len(stopped) == len(failed) == isinstance(error, MemoryError)

"""What a foreign SMSC was sent, counted; and a backlog of SMS for it."""

from collections import Counter
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from gatewayd.core.errors import TemporaryFailure, Uncertain
from gatewayd.core.model import Handed
from smpp_world import World, order


def a_second(report: dict[str, Any]) -> float:
    """How many were taken a second, from the first to the last."""
    seconds: float = report["at"][-1] - report["at"][0]
    return (report["taken"] - 1) / seconds


def met(report: dict[str, Any]) -> bool:
    """What we promise of a strict limiter. A machine that stands still for a while may break it, but not every time."""
    return a_second(report) >= 95 and report["throttled"] / report["submits"] < 0.02


async def backlog(world: World, count: int, why: Counter[str], at_once: int = 300) -> int:
    """Send `count` messages as the outbox would: again when told, not before the time told. The number handed over."""
    waiting = list(range(count))
    handed: list[Handed] = []
    done: Deferred[None] = Deferred()
    open_now = 0

    def go() -> None:
        nonlocal open_now
        while waiting and open_now < at_once:
            open_now += 1
            number = waiting.pop()
            one(number, (), 1)

    def one(number: int, progress: tuple[str, ...], attempt: int) -> None:
        sending = world.send(order(number, phone=f"+4477{number:08d}", progress=progress, attempt=attempt))
        sending.addCallbacks(taken, failed, errbackArgs=(number,))
        sending.addErrback(done.errback)

    def taken(result: Handed) -> None:
        nonlocal open_now
        handed.append(result)
        over()

    def over() -> None:
        nonlocal open_now
        open_now -= 1
        go()
        if not waiting and not open_now and not done.called:
            done.callback(None)

    def failed(failure: Any, number: int) -> None:
        failure.trap(TemporaryFailure, Uncertain)
        why[type(failure.value).__name__ + ": " + str(failure.value)[:40]] += 1
        if isinstance(failure.value, Uncertain):
            over()
            return
        now = reactor.seconds()
        due = max(failure.value.not_before or now + 0.5, now) - now
        reactor.callLater(due, one, number, failure.value.progress, 2)

    go()
    await done
    return len(handed)

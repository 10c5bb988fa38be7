"""The clock is set back and on under the running daemon and Redis, by libfaketime (Debian's package `faketime`)."""

from collections.abc import Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_twisted
from daemon import World
from fair_clock import Stretch
from fake_time import FakeTime, redis_program
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from gatewayd.sandbox.smsc import Behaviour
from gatewayd.smpp.codec import pdu as smpp
from gatewayd.smpp.codec.codes import Status
from redis_server import until

T = TypeVar("T")


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeTime]:
    """A clock that can be set; nothing of it stays in our own environment."""
    clock = FakeTime(tmp_path / "offset")
    yield clock
    clock.end()


LONGEST = 5.0
"""Seconds for which a jump may stop anything; a first new try may take as many by itself."""


WHOSE = ("the daemon's", "the daemon's and Redis'", "Redis'")


class Case:
    """A world of which the clock is set: whose, in the words of WHOSE."""

    def __init__(self, whose: str) -> None:
        self.whose = whose
        self.refused: set[bytes] = set()
        self.world = World(reactor, players=20, behaviour=Behaviour(receipt_delay=0.1, judge=self._judge))

    def _judge(self, submit: smpp.SubmitSm) -> int:
        """A system error for each text that is to be tried again, once."""
        first = b"again" in submit.short_message and submit.short_message not in self.refused
        self.refused.add(submit.short_message)
        return Status.RSYSERR if first else Status.ROK

    async def start(self, fake: FakeTime, stack: AsyncExitStack) -> None:
        """Run Redis and daemon, with a clock that can be set where it is theirs."""
        world = self.world
        if "Redis" in self.whose:
            world.redis.program = redis_program()
            fake.begin()
        await stack.enter_async_context(world)
        fake.end()
        world.write()
        if "daemon" in self.whose:
            fake.begin()
        # Started by Python itself: a library is preloaded for the whole process or not at all.
        world.daemon.prefix = ()
        world.daemon.spawn()
        fake.end()
        await world.daemon.healthy()
        await world.daemon.ready()

    async def wait_for_another_try(self, number: int) -> str:
        """The id of an SMS that was refused for now."""
        waiting = await self.world.sms("p1", f"tried again {number}")
        await until(lambda: len(self.refused) >= 2 * number)
        return waiting.ext_message_id

    async def heal(self, number: int, waiting: str, usual: float) -> None:
        """Within LONGEST beyond the usual time all works, and what waited is tried again."""
        world, stretch = self.world, Stretch()
        assert await life(world, f"after {number}") < LONGEST + usual, self.whose
        await world.daemon.logged("clock was set", times=number)
        assert stretch.seconds() < LONGEST + usual, self.whose
        await world.daemon.ready()
        await world.smartico.until_heard(waiting, "accepted", "delivered")
        assert stretch.seconds() < 2 * LONGEST + usual, self.whose


@pytest_twisted.ensureDeferred
async def test_a_clock_that_is_set_stops_nothing_for_long(fake: FakeTime) -> None:
    """Back by 1, 10 and 60 minutes, and on by all of them: within 5 s messages leave, a retry comes, it is said.

    That is beyond what the same takes on this machine without a jump; the daemon's clock, Redis', or both.
    """
    cases = [Case(whose) for whose in WHOSE]
    async with AsyncExitStack() as stack:
        for case in cases:
            await case.start(fake, stack)
        usual = max(await together(life(case.world, "before") for case in cases))
        for number, offset in enumerate((-60, -660, -4260, 0), 1):
            waiting = await together(case.wait_for_another_try(number) for case in cases)
            fake.set(offset)
            await together(case.heal(number, one, usual) for case, one in zip(cases, waiting, strict=True))
        for case in cases:
            assert "Traceback" not in case.world.daemon.log, case.whose


async def together(tasks: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, which run at the same time."""
    found: list[T] = await gatherResults([Deferred.fromCoroutine(task) for task in tasks], consumeErrors=True)
    return found


async def life(world: World, word: str) -> float:
    """An SMS and an email all the way; the seconds that it took."""
    stretch = Stretch()
    text = await world.sms("p2", f"text {word}")
    mail = await world.email("p3", subject=f"mail {word}")
    await world.smartico.until_heard(text.ext_message_id, "accepted", "delivered")
    await world.smartico.until_heard(mail.ext_message_id, "accepted")
    return stretch.seconds()

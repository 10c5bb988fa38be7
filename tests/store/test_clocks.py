"""Clocks that differ and clocks that are set, on a real Redis whose clock the test pushes."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.logger import capturedLogs, formatEvent

from gatewayd.core.model import Channel, Message, Sms
from gatewayd.core.status import State
from gatewayd.store import RedisStore
from gatewayd.store.link import RedisLink
from gatewayd.store.moments import FOLLOW, Moments
from redis_server import RedisServer, ShiftedClock

PREFIX = RedisStore.key_prefix("clocks:")
_serial = itertools.count()


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[tuple[RedisLink, ShiftedClock]]:
    """A link whose scripts go by a clock that can be set; nothing of another test."""
    clock = ShiftedClock()
    arguments = RedisStore.script_arguments("one", 5000, 7 * 86400.0, "boot")
    client = redis_server.client()
    link = RedisLink(clock, client, jitter=lambda: 0.5, arguments=arguments, prefix=PREFIX, shift=lambda: clock.offset)
    link.startService()
    pytest_twisted.blockon(ensureDeferred(link.command("FLUSHDB")))
    yield link, clock
    pytest_twisted.blockon(link.stopService())


def sms(clock: Any) -> Message:
    """A fresh SMS."""
    number, now = next(_serial), clock.seconds()
    content = Sms("Amazing", "Hello")
    return Message(f"00000000-0000-4000-8000-{number:012d}", f"u{number}", "amazing", "p1", content, now, now + 3600)


def test_a_deadline_follows_a_jump_slowly() -> None:
    """What is stamped goes by the other clock at once; a message does not end because that clock was set on."""
    moments = Moments()
    assert moments.compared(100, 100, (140, 0)) == 0
    assert moments.theirs(100) == pytest.approx(140_000, abs=1)
    assert moments.ours(140_000) == pytest.approx(100, abs=0.001)
    assert moments.kept(200) == pytest.approx(240, abs=0.001)
    assert moments.compared(101, 101, (3741, 0)) == pytest.approx(3600, abs=0.01)
    assert moments.theirs(101) == pytest.approx(3_741_000, abs=1)
    assert moments.kept(200) == pytest.approx(240 + FOLLOW, abs=0.001)
    assert moments.read(moments.kept(200)) == pytest.approx(200)
    assert moments.compared(102, 102, (3742, 0)) == 0
    assert moments.compared(103, 103, (143, 0)) == pytest.approx(-3600, abs=0.01)


def test_a_slow_answer_moves_nothing() -> None:
    """Redis answered somewhere between: where what is known fits, it stays, so that slots of a rate keep their gaps."""
    moments = Moments()
    moments.compared(100, 100.001, (140, 500))
    known = moments.ahead
    moments.compared(101, 101.4, (141, 350_000))
    assert moments.ahead == known
    moments.compared(102, 102.002, (142, 51_000))
    assert moments.ahead == pytest.approx(40.049, abs=0.002)


class Away:
    """The clock of a host that is so many seconds off."""

    def __init__(self, clock: Any, off: float) -> None:
        self._clock = clock
        self._off = off

    def seconds(self) -> float:
        """The present moment, as that host sees it."""
        return float(self._clock.seconds()) + self._off


@pytest_twisted.ensureDeferred
async def test_hosts_whose_clocks_differ_share_their_work(redis: tuple[RedisLink, ShiftedClock]) -> None:
    """40 s apart either way: nobody is dead for another, what is due in 10 s is due in 10 s, and deadlines are one."""
    link, clock = redis
    here, late, early = (RedisStore(link, Away(clock, off), PREFIX, f"{off}") for off in (0.0, -40.0, 40.0))
    for _ in range(7):
        for store in (here, late, early):
            assert (await store.beat(first=False, dead_after=15))[1] == []
        clock.advance(3)
    message = sms(clock)
    await here.accept(message, "f")
    (leased,) = await late.lease_messages(Channel.SMS, 10)
    theirs = clock.seconds() - 40
    assert leased.message.deadline - theirs == pytest.approx(message.deadline - clock.seconds(), abs=0.1)
    await late.settle_again(leased.message, theirs + 10, "busy", lease=leased.lease)
    assert await early.lease_messages(Channel.SMS, 10) == []
    clock.advance(10.1)
    (leased,) = await early.lease_messages(Channel.SMS, 10)
    assert leased.first_tried == pytest.approx(clock.seconds() + 40 - 10.1, abs=0.2)


@pytest.mark.parametrize("back", [60.0, 600.0, 3600.0])
@pytest_twisted.ensureDeferred
async def test_a_clock_that_is_set_back_stops_nothing(redis: tuple[RedisLink, ShiftedClock], back: float) -> None:
    """With the next heartbeat what was due is due, a lease has its age, the rate goes on, and the log says it."""
    link, clock = redis
    host = Away(reactor, 0.0)
    store = RedisStore(link, host, PREFIX, "one")
    await store.beat(first=True, dead_after=15)
    await gatherResults([ensureDeferred(store.accept(sms(host), "f")) for _ in range(1200)])
    held = sms(host)
    await store.accept(held, "f", lease=True)
    first = await store.reserve("uk", 1, 1.0, 0.0)
    clock.advance(-back)
    with capturedLogs() as told:
        await store.beat(first=False, dead_after=15)
        await store.come_forward()
    assert any("was set back by" in formatEvent(event) for event in told)
    found = [one for _ in range(7) for one in await store.lease_messages(Channel.SMS, 200)]
    assert len(found) == 1200
    assert await store.stray_leases("sms", 0.0)
    second = await store.reserve("uk", 1, 1.0, 0.0)
    assert first < second < first + 5


@pytest.mark.parametrize("drift", [0.0007, -0.0007, 3600.0, -3600.0])
@pytest_twisted.ensureDeferred
async def test_an_uncertain_message_stays_so_whatever_the_clocks_do(
    redis: tuple[RedisLink, ShiftedClock], drift: float
) -> None:
    """It bears the mark that it bore when it was leased: nothing was written since, and no second copy may leave."""
    link, clock = redis
    store = RedisStore(link, Away(reactor, 0.0), PREFIX, "one")
    await store.beat(first=True, dead_after=15)
    message = sms(Away(reactor, 0.0))
    await store.accept(message, "f", lease=True)
    await store.mark(message, "uk", "hash", lease="")
    await store.settle_again(message, reactor.seconds() - 1, "lost", lease="", uncertain=True, route="uk")
    (leased,) = await store.lease_messages(Channel.SMS, 1)
    clock.advance(drift)
    await store.beat(first=False, dead_after=15)
    await store.settle_again(leased.message, reactor.seconds(), "uk is down", lease=leased.lease)
    known = await store.about(message.id)
    assert known is not None
    assert known.state is State.UNCERTAIN

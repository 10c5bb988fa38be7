"""Pacing of relays and recipient domains."""

import pytest
import pytest_twisted
from twisted.internet.defer import gatherResults

from gatewayd.config import Domains
from gatewayd.core.errors import TemporaryFailure, Uncertain
from gatewayd.sandbox.relay import Act
from smtp_orders import NOW, failure, order, world


@pytest.mark.pace
@pytest_twisted.ensureDeferred
async def test_a_relays_rate_is_paced_evenly() -> None:
    """20/s: 11 messages take half a second, and no two come closer than that by much."""
    async with world(table={"rate": "20/s"}) as w:
        await w.send(order(99))
        began = NOW.seconds()
        await gatherResults([w.send(order(number)) for number in range(1, 11)])
        assert 0.45 <= NOW.seconds() - began < 3


@pytest_twisted.ensureDeferred
async def test_a_shared_rate_is_taken_from_all_processes() -> None:
    """With IStore.reserve_soon the places come from there."""
    asked: list[tuple[str, float, float]] = []

    async def reserve(bucket: str, interval: float, patience: float) -> tuple[bool, float]:
        asked.append((bucket, interval, patience))
        return True, NOW.seconds()

    async with world(table={"rate": "20/s"}, reserve=reserve) as w:
        await w.send()
        assert asked == [("relay:main", 0.05, 5.0)]


@pytest_twisted.ensureDeferred
async def test_one_domain_is_paced_without_stopping_others() -> None:
    """Its messages come back later without counting as failed; others go at full speed."""
    async with world(table={"domains": {"slow.test": Domains(rate="1/h")}}) as w:
        await w.send(order(1, to="a@slow.test"))
        error = await failure(w.send(order(2, to="b@SLOW.test")))
        assert (type(error), error.counts) == (TemporaryFailure, False)
        assert error.not_before > NOW.seconds() + 1000
        for number in range(3, 13):
            await w.send(order(number))


@pytest_twisted.ensureDeferred
async def test_what_is_under_way_is_never_more_than_there_is_room_for() -> None:
    """A connection counts once, though a second mail may follow behind the one that is not answered yet."""
    async with world(table={"connections": 1}) as w:
        await w.send(order(1))
        w.relays["main"].script["dot"].append(Act.HANG)
        stuck = [w.send(order(number)) for number in (2, 3)]
        await w.relays["main"].until(lambda: not w.relays["main"].script["dot"])
        state = w.channel.states()["main"]
        assert (state.in_flight, state.window) == (1, 1)
        w.relays["main"].drop_all()
        for one in stuck:
            await one.addErrback(lambda failure: failure.trap(Uncertain) and None)


@pytest_twisted.ensureDeferred
async def test_one_domain_has_its_own_connection_limit() -> None:
    """While one message to it is under way the next waits a little; mail to others passes by."""
    async with world(table={"domains": {"slow.test": Domains(connections=1)}}) as w:
        w.relays["main"].script["dot"].append(Act.HANG)
        stuck = w.send(order(1, to="a@slow.test"))
        await w.relays["main"].until(lambda: not w.relays["main"].script["dot"])
        waiting = w.send(order(2, to="b@slow.test"))
        await w.send(order(3))
        assert not waiting.called
        w.relays["main"].drop_all()
        assert type(await failure(stuck)) is Uncertain
        assert (await waiting).route == "main"


@pytest_twisted.ensureDeferred
async def test_a_domain_that_says_421_is_left_alone_for_a_while() -> None:
    """Mail to it comes back later, not counted; mail to others is untouched."""
    async with world() as w:
        w.relays["main"].script["RCPT"].append(b"421 4.7.28 rate limited")
        assert (await failure(w.send(order(1, to="a@big.test")))).counts
        error = await failure(w.send(order(2, to="b@big.test")))
        assert (type(error), error.counts) == (TemporaryFailure, False)
        assert NOW.seconds() < error.not_before <= NOW.seconds() + 5
        await w.send(order(3))
        assert w.channel.states()["main"].throttled == 1


@pytest_twisted.ensureDeferred
async def test_previews_go_at_their_own_low_rate() -> None:
    """A burst of a few, then slowly; ordinary mail is not held up."""
    async with world() as w:
        for number in range(1, 6):
            await w.send(order(number, activity_type="preview"))
        error = await failure(w.send(order(6, activity_type="preview")))
        assert (type(error), error.counts) == (TemporaryFailure, False)
        await w.send(order(7))

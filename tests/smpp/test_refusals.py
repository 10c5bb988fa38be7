"""What an SMSC's statuses make of a message, and which route is next."""

import pytest
import pytest_twisted
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import DeferredList

from gatewayd.core.errors import PermanentFailure, TemporaryFailure
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.smpp.codec.pdu import Status
from redis_server import until
from smpp_world import Memory, World, label, order, refusal, running, settings

OWN_REASONS = [
    *(Status.RSYSERR, Status.RX_T_APPN, Status.RDELIVERYFAILURE),
    *(Status.RINVBNDSTS, Status.RALYBND, Status.RBINDFAIL),
    *(Status.RINVPASWD, Status.RINVSYSID, Status.RINVSYSTYP),
    *(Status.RINVCMDLEN, Status.RINVCMDID),
    *(Status.RSUBMITFAIL, Status.RUNKNOWNERR, 0x400, 0x4FF, 0x12345678),
]
"""What says nothing of the message, or nobody knows of what."""


@pytest_twisted.ensureDeferred
async def test_vendor_statuses_mean_what_the_operator_says() -> None:
    """A carrier's own code is permanent, temporary or a throttle where submit_statuses says so."""
    verdict = [0x400]
    meanings = {"0x400": "rejected", "1025": "retry", "0x402": "throttled"}
    async with running(Behaviour(judge=lambda _: verdict[0]), submit_statuses=meanings) as (world, _):
        assert isinstance(await refusal(world), PermanentFailure)
        verdict[0] = 0x401
        failure = await refusal(world, attempt=9)
        assert isinstance(failure, TemporaryFailure)
        assert failure.counts
        verdict[0] = 0x402
        failure = await refusal(world, attempt=9)
        assert isinstance(failure, TemporaryFailure)
        assert not failure.counts


@pytest_twisted.ensureDeferred
async def test_statuses_mean_what_the_table_says() -> None:
    """Permanent, temporary, limited: each status raises its kind of failure, and no number is in any of them."""
    verdict = [0]
    async with running(Behaviour(judge=lambda _: verdict[0])) as (world, _):
        verdict[0] = Status.RINVDSTADR
        failure = await refusal(world)
        assert isinstance(failure, PermanentFailure)
        assert failure.hard
        verdict[0] = Status.RX_P_APPN
        failure = await refusal(world)
        assert isinstance(failure, PermanentFailure)
        assert not failure.hard
        verdict[0] = Status.RSYSERR
        failure = await refusal(world)
        assert isinstance(failure, TemporaryFailure)
        assert failure.counts
        verdict[0] = 0x400
        failure = await refusal(world, attempt=4)
        assert isinstance(failure, TemporaryFailure)
        failure = await refusal(world, attempt=5)
        assert isinstance(failure, PermanentFailure)
        assert "447700900999" not in str(failure)
        verdict[0] = Status.RINVCMDID
        failure = await refusal(world, attempt=50)
        assert isinstance(failure, TemporaryFailure)
        assert failure.counts
        verdict[0] = 0
        assert (await world.send(order())).route == "world"


@pytest_twisted.ensureDeferred
async def test_what_may_mean_anything_ends_no_message_while_another_route_may_come_back() -> None:
    """Of two routes one refuses the fifth time and one is down: the message waits."""
    async with running(Behaviour(judge=lambda _: 0x400)) as (world, _):
        failure = await refusal(world, attempt=5, routes=("world", "gone"))
        assert isinstance(failure, TemporaryFailure)
        assert isinstance(await refusal(world, attempt=5), PermanentFailure)


@pytest_twisted.ensureDeferred
async def test_what_may_mean_anything_to_a_later_segment_is_limited_too() -> None:
    """What the SMSC has of the message stays its progress, until the fifth time ends it."""
    async with running(Behaviour(judge=lambda submit: 0x400 if submit.short_message[5] == 2 else 0)) as (world, _):
        failure = await refusal(world, attempt=4, body="x" * 200)
        assert isinstance(failure, TemporaryFailure)
        assert len(failure.progress) == 1
        failure = await refusal(world, attempt=5, body="x" * 200)
        assert isinstance(failure, PermanentFailure)
        assert len(failure.progress) == 1


@pytest_twisted.ensureDeferred
async def test_an_smsc_that_refuses_everything_says_so() -> None:
    """From the third message on, by any status that is its own; the next that it takes or judges ends that."""
    verdict = [Status.RINVCMDID]
    async with running(Behaviour(judge=lambda _: verdict[0])) as (world, _):
        for answer in (0, Status.RINVDSTADR):
            verdict[0] = Status.RINVCMDID
            for number in (1, 1, 1, 2):
                await refusal(world, number)
            assert world.channel.states()["world"].refuses == ""
            await refusal(world, 3)
            words = "it refuses every submit, the latest with ESME_RINVCMDID"
            assert world.channel.states()["world"].refuses == world.channel.states()["world"].reason == words
            verdict[0] = Status(answer)
            await DeferredList([world.send(order(4))], consumeErrors=True)
            assert world.channel.states()["world"].refuses == ""


def test_an_smsc_that_throttles_all_for_long_says_so() -> None:
    """Some answer so where the account has no credit left: it was up, and nobody was told until the deadlines."""
    verdict = [Status.RTHROTTLED]
    memory = Memory(Behaviour(judge=lambda _: verdict[0]))
    world = memory.world()
    said = []
    for number in range(20):
        world.send(order(number)).addErrback(lambda failure: failure.trap(TemporaryFailure))
        memory.advance(10)
        said.append(world.channel.states()["world"].refuses)
    assert said[:6] == [""] * 6
    assert said[-1] == "no submit gets through, the latest ended with ESME_RTHROTTLED"
    verdict[0] = Status.ROK
    world.send(order(99)).addErrback(lambda failure: failure.trap(TemporaryFailure))
    memory.advance(60)
    assert world.channel.states()["world"].refuses == ""
    world.channel.stopService()
    memory.advance(30)


@pytest_twisted.ensureDeferred
async def test_an_smsc_that_rejects_one_message_after_the_other_says_so() -> None:
    """From the tenth in a row on, of different messages; what it takes ends that."""
    verdict = [Status.RINVSRCADR]
    async with running(Behaviour(judge=lambda _: verdict[0])) as (world, _):
        for number in (1, 1, 2, 3, 4, 5, 6, 7, 8, 9):
            await DeferredList([world.send(order(number))], consumeErrors=True)
            assert world.channel.states()["world"].refuses == ""
        await DeferredList([world.send(order(10))], consumeErrors=True)
        words = "it rejects one submit after the other, the latest with ESME_RINVSRCADR"
        assert world.channel.states()["world"].refuses == words
        verdict[0] = Status(0)
        await world.send(order(11))
        assert world.channel.states()["world"].refuses == ""


@pytest_twisted.ensureDeferred
async def test_a_label_of_which_an_smsc_rejects_every_sms_is_said_though_it_takes_those_of_others() -> None:
    """A sender that is not registered is one brand's."""
    verdict = [Status.RINVSRCADR]
    options = {"labels": {"amazing": label(), "other": label()}}
    async with running(Behaviour(judge=lambda _: verdict[0]), options=options) as (world, _):
        for number in range(10):
            assert world.channel.states()["world"].refuses == ""
            verdict[0] = Status.RINVSRCADR
            await DeferredList([world.send(order(number))], consumeErrors=True)
            verdict[0] = Status(0)
            one = order(100 + number)
            await world.send(replace(one, message=replace(one.message, label="other")))
        assert world.channel.states()["world"].refuses_of == ("amazing",)
        await world.send(order(11))
        assert (world.channel.states()["world"].refuses, world.channel.states()["world"].refuses_of) == ("", ())


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_written_is_refused_before_the_mark() -> None:
    """A sender of twelve letters, one in Cyrillic, a text past 255 segments: permanent, nothing marked or written."""
    async with running() as (world, smsc):
        for bad in (
            order(sender="TwelveLetter"),
            order(sender="Казино"),
            order(body="x" * (255 * 153 + 1)),
            order(body="x", phone="+" + "1" * 30),
        ):
            ((ok, failure),) = await DeferredList([world.send(bad)], consumeErrors=True)
            assert not ok
            assert isinstance(failure.value, PermanentFailure)
        assert world.marks == []
        assert smsc.submits == []


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("attempt", [1, 5])
@pytest.mark.parametrize("status", OWN_REASONS)
async def test_a_route_that_refuses_for_its_own_reasons_hands_on_to_the_next(status: int, attempt: int) -> None:
    """Its account, session, system, commands, or codes of its own: the next route takes it, with a mark of its own."""
    uk, elsewhere = SmscSimulator(reactor, Behaviour(judge=lambda _: status)), SmscSimulator(reactor)
    world = World({"uk": settings(await uk.start()), "world": settings(await elsewhere.start())})
    world.channel.startService()
    try:
        await until(world.all_bound)
        handed = await world.send(order(routes=("uk", "world"), attempt=attempt))
        assert handed.route == "world"
        assert world.marks == ["uk", "world"]
        assert len(uk.submits) == len(elsewhere.messages) == 1
    finally:
        await world.channel.stopService()
        await uk.stop()
        await elsewhere.stop()


@pytest_twisted.ensureDeferred
async def test_the_first_route_that_is_up_is_taken_at_send_time() -> None:
    """A route that is down is passed over without a mark; when it is back it is first again; none is temporary."""
    uk, elsewhere = SmscSimulator(reactor), SmscSimulator(reactor)
    port = await uk.start()
    world = World({"uk": settings(port), "world": settings(await elsewhere.start())})
    world.channel.startService()
    try:
        await until(world.all_bound)
        assert (await world.send(order(1, routes=("uk", "world")))).route == "uk"
        await uk.stop()
        await until(lambda: world.channel.routes() == {"uk": False, "world": True})
        assert (await world.send(order(2, routes=("uk", "world")))).route == "world"
        failure = await refusal(world, 3, routes=("uk",))
        assert isinstance(failure, TemporaryFailure)
        assert failure.counts
        failure = await refusal(world, 3, routes=("gone",))
        assert isinstance(failure, TemporaryFailure)
        await uk.start(f"tcp:{port}:interface=127.0.0.1")
        await until(world.all_bound)
        assert (await world.send(order(4, routes=("uk", "world")))).route == "uk"
        assert world.marks == ["uk", "world", "uk"]
    finally:
        await world.channel.stopService()
        await uk.stop()
        await elsewhere.stop()


@pytest_twisted.ensureDeferred
async def test_validity_is_left_out_where_it_is_refused() -> None:
    """RINVEXPIRY to a submit with validity_period: the message is no worse for it, and later ones go without."""
    behaviour = Behaviour(judge=lambda submit: Status.RINVEXPIRY if submit.validity_period else 0)
    async with running(behaviour) as (world, smsc):
        failure = await refusal(world)
        assert isinstance(failure, TemporaryFailure)
        assert not failure.counts
        assert (await world.send(order())).route == "world"
        assert smsc.submits[-1].validity_period == b""

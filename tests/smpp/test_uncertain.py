"""The mark, lost answers, and what had been taken by then."""

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import DeferredList
from twisted.internet.error import ConnectionLost

from gatewayd.core.errors import LeaseLost, TemporaryFailure, Uncertain
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.smpp.codec.pdu import Status, SubmitSm
from gatewayd.smpp.submits import reference
from redis_server import until
from smpp_world import LONG, Memory, World, order, refusal, running, settings


@pytest_twisted.ensureDeferred
async def test_nothing_is_written_without_the_lease() -> None:
    """LeaseLost from the mark comes out as it is; no octet went out, and the place in the window is free again."""
    async with running(window=1) as (world, smsc):

        async def lost(route: str) -> None:
            raise LeaseLost(route)

        ((ok, failure),) = await DeferredList([world.send(order(), lost)], consumeErrors=True)
        assert not ok
        assert isinstance(failure.value, LeaseLost)
        assert smsc.submits == []
        assert (await world.send(order())).route == "world"


@pytest_twisted.ensureDeferred
async def test_a_link_lost_during_the_mark_writes_nothing() -> None:
    """With no other bind the attempt is temporary, not uncertain; with one the submit goes there at once."""
    for binds in (1, 2):
        async with running(binds=binds) as (world, smsc):

            async def mark(route: str) -> None:
                next(session for session in smsc.sessions).abort()
                await until(lambda: not all(link.phase == "bound" for link in world.channel.states()["world"].binds))

            ((ok, result),) = await DeferredList([world.send(order(), mark)], consumeErrors=True)
            if binds == 2:
                assert ok
                assert len(smsc.submits) == 1
            else:
                assert isinstance(result.value, TemporaryFailure)
                assert smsc.submits == []


def test_a_place_is_given_back_once_where_the_last_bind_goes_down() -> None:
    """Submits that wait for the rate while their bind is lost are temporary, and count no place in the next one."""
    memory = Memory()
    world = memory.world(rate="1/s", window=4)
    failures: list[BaseException] = []
    for number in range(3):
        sending = world.send(order(number, now=memory.clock.seconds()))
        sending.addErrback(lambda failure: failures.append(failure.value))
    memory.advance(0.2)
    memory.refuses = True
    memory.wires[0].cut(ConnectionLost())
    memory.advance(10)
    assert [type(failure) for failure in failures] == [TemporaryFailure] * len(failures)
    assert len(failures) >= 2
    memory.refuses = False
    memory.advance(30)
    assert world.all_bound()
    stopped: list[None] = []
    world.channel.stopService().addCallback(stopped.append)
    memory.advance(1)
    assert stopped == [None]


@pytest_twisted.ensureDeferred
async def test_a_reset_after_the_submit_is_uncertain() -> None:
    """The connection is cut before the answer: the message may have been taken; its receipt still comes later."""
    async with running(Behaviour(reset_every=1)) as (world, smsc):
        failure = await refusal(world)
        assert isinstance(failure, Uncertain)
        assert failure.route == "world"
        smsc.behaviour = Behaviour()
        await until(lambda: len(world.evidence.receipts) == 1)
        assert world.evidence.receipts[0].number_hash == "#447700900999"


def test_a_late_answer_is_evidence() -> None:
    """No answer in time is uncertain; the answer, when it comes, is told with all ids, once."""
    memory = Memory(Behaviour(answer_delay=8.0))
    world = memory.world(response_timeout="5s")
    failures: list[BaseException] = []
    sending = world.send(order(body="x" * 200, now=memory.clock.seconds()))
    sending.addErrback(lambda failure: failures.append(failure.value))
    memory.advance(7)
    assert isinstance(failures[0], Uncertain)
    assert failures[0].progress == ()
    memory.advance(5)
    assert world.evidence.late == []
    # The first of two segments is there, the second was never written: the message may go on behind it.
    ((message_id, smsc, mark, ids, reason),) = world.evidence.resumed
    assert (message_id, smsc, ids) == (order().message.id, "world", (memory.smsc.taken[0][0],))
    assert mark == 1, "the first mark's stamp"
    assert reason == "world answered late: ESME_ROK"
    short = world.send(order(2, now=memory.clock.seconds()))
    short.addErrback(lambda failure: failures.append(failure.value))
    memory.advance(10)
    assert isinstance(failures[1], Uncertain)
    ((message_id, smsc, remote_ids),) = world.evidence.late
    assert (message_id, smsc) == (order(2).message.id, "world")
    assert remote_ids == (memory.smsc.taken[-1][0],)
    world.channel.stopService()
    memory.advance(30)


def test_a_late_answer_that_names_all_segments_alike_names_the_message_once() -> None:
    """As one in time: the receipts of such an SMSC bear one id, and the first of them is about the whole."""
    memory = Memory(Behaviour(answer_delay=8.0))
    world = memory.world(response_timeout="5s")
    begun = order(body="x" * 200, now=memory.clock.seconds(), progress=("8000001",), begun_on="world")
    world.send(begun).addErrback(lambda _: None)
    memory.advance(12)
    assert [remote_id for remote_id, _ in memory.smsc.taken] == ["8000001"]
    assert world.evidence.late == [(begun.message.id, "world", ("8000001",))]
    world.channel.stopService()
    memory.advance(30)


def test_a_late_refusal_proves_that_nothing_was_taken() -> None:
    """A submit that was given up is refused after all: told with what the SMSC has of the message, which is nothing."""
    memory = Memory(Behaviour(answer_delay=8.0, judge=lambda submit: Status.RSYSERR))
    world = memory.world(response_timeout="5s")
    failures: list[BaseException] = []
    sending = world.send(order(now=memory.clock.seconds()))
    sending.addErrback(lambda failure: failures.append(failure.value))
    memory.advance(12)
    assert isinstance(failures[0], Uncertain)
    ((message_id, smsc, _, ids, reason),) = world.evidence.resumed
    assert (message_id, smsc, ids, world.evidence.late) == (order().message.id, "world", (), [])
    assert reason == "world answered late: ESME_RSYSERR"
    world.channel.stopService()
    memory.advance(30)


@pytest_twisted.ensureDeferred
async def test_answers_are_counted_by_status() -> None:
    """Every answer is told with its status's name and its time; what no table names is "other"."""
    verdict = [0]
    async with running(Behaviour(judge=lambda submit: verdict[0])) as (world, _):
        for verdict[0] in (0, Status.RINVDSTADR, 0x401, 0x12345):
            await DeferredList([world.send(order())], consumeErrors=True)
        assert [answer[:2] for answer in world.answers] == [
            ("world", "ESME_ROK"),
            ("world", "ESME_RINVDSTADR"),
            ("world", "0x00000401"),
            ("world", "other"),
        ]
        assert all(0 <= seconds < 5 for _, _, seconds in world.answers)


@pytest_twisted.ensureDeferred
async def test_an_attempt_goes_on_behind_the_segments_that_were_taken() -> None:
    """The second attempt sends what the first did not, with the same reference, and hands over all ids."""
    refuse = [False]

    def judge(submit: SubmitSm) -> int:
        refuse[0] = submit.short_message[5] == 3 and not refuse[0]
        return Status.RSYSERR if refuse[0] else 0

    async with running(Behaviour(judge=judge)) as (world, smsc):
        failure = await refusal(world, body=LONG)
        assert isinstance(failure, TemporaryFailure)
        assert len(failure.progress) == 2
        handed = await world.send(order(body=LONG, progress=failure.progress, begun_on="world", attempt=2))
        assert handed.remote_ids[:2] == failure.progress
        assert len(handed.remote_ids) == 6
        assert [submit.short_message[5] for submit in smsc.submits] == [1, 2, 3, 3, 4, 5, 6]
        assert {submit.short_message[3] for submit in smsc.submits} == {reference(order().message.id) & 0xFF}
        assert [message.text for message in smsc.messages] == [LONG]


@pytest_twisted.ensureDeferred
async def test_a_begun_message_waits_for_the_smsc_that_began_it() -> None:
    """Another SMSC would know nothing of the first segments: no failover; unless that SMSC is routed to no more."""
    world_smsc = SmscSimulator(reactor)
    world = World({"uk": settings(1), "world": settings(await world_smsc.start())})
    world.channel.startService()
    try:
        await until(lambda: world.channel.routes()["world"])
        failure = await refusal(world, body=LONG, routes=("uk", "world"), progress=("1", "2"), begun_on="uk")
        assert isinstance(failure, TemporaryFailure)
        assert failure.progress == ("1", "2")
        assert world_smsc.submits == []
        handed = await world.send(order(body=LONG, routes=("world",), progress=("1", "2"), begun_on="uk"))
        assert len(handed.remote_ids) == len(world_smsc.submits) == 6
    finally:
        await world.channel.stopService()
        await world_smsc.stop()

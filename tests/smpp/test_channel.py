"""SMS by a channel of SMSCs: segments, windows, rates, and changes of the accounts."""

import re
from typing import Any

import pytest
import pytest_twisted
from fair_clock import Stretch
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults

from gatewayd.core.errors import StoreUnavailable, TemporaryFailure
from gatewayd.core.interfaces import IChannel
from gatewayd.core.model import WayState
from gatewayd.core.status import Event
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.smpp.codec.pdu import Status, SubmitSm
from redis_server import until
from smpp_world import LONG, PHONE, Memory, World, order, refusal, running, settings


def rate_now(way: WayState) -> float:
    """The rate to which an SMSC has throttled us, as people are told."""
    said = re.match(r"throttled: ([\d.]+) of 100 a second", way.reason)
    assert said is not None, way.reason
    return float(said[1])


@pytest_twisted.ensureDeferred
async def test_one_sms_is_handed_over_and_its_receipt_comes() -> None:
    """A short SMS is marked, submitted, answered with a remote id, and its receipt names that id."""
    async with running() as (world, smsc):
        assert IChannel.providedBy(world.channel)
        handed = await world.send(order(body="Hello €"))
        assert handed.route == "world"
        assert world.marks == ["world"]
        await until(lambda: len(world.evidence.receipts) == 1)
        (receipt,) = world.evidence.receipts
        assert handed.remote_ids[0] in receipt.remote_ids
        assert receipt.event is Event.DELIVERED
        assert receipt.number_hashes == ("#447700900999", "once #447700900999")
        assert [message.text for message in smsc.messages] == ["Hello €"]
        (submit,) = smsc.submits
        assert (submit.source_addr_ton, submit.source_addr_npi, submit.source_addr) == (5, 0, b"Amazing")
        assert (submit.dest_addr_ton, submit.dest_addr_npi, submit.destination_addr) == (1, 1, b"447700900999")
        assert submit.registered_delivery == 1
        assert submit.validity_period in (b"000000005959000R", b"000000010000000R")
        (way,) = world.channel.states().values()
        assert (way.up, way.word, way.handed) == (True, "bound", 1)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("long_messages", ["udh", "udh16", "sar", "payload"])
async def test_a_long_sms_goes_in_segments_over_one_bind(long_messages: str) -> None:
    """Every segment is marked and asks for a receipt, and the SMSC can put the text together."""
    async with running(binds=2, long_messages=long_messages) as (world, smsc):
        handed = await world.send(order(body=LONG))
        assert world.marks == ["world"] * len(smsc.submits)
        assert [message.text for message in smsc.messages] == [LONG]
        assert len(handed.remote_ids) == len(smsc.submits) == (1 if long_messages == "payload" else 6)
        assert all(submit.registered_delivery == 1 for submit in smsc.submits)
        await until(lambda: len(world.evidence.receipts) == len(handed.remote_ids))


@pytest_twisted.ensureDeferred
async def test_what_was_taken_of_a_long_sms_is_kept_before_its_next_segment_waits() -> None:
    """A crash then leaves nothing uncertain that was answered: each answer but the last is told with all before it."""
    told: list[tuple[str, str, str, tuple[str, ...]]] = []
    marks: list[int] = []

    async def taken(*said: Any) -> None:
        told.append(said)  # type: ignore[arg-type]

    async def mark(route: str) -> None:
        marks.append(len(told))

    async with running(options={"on_segment": taken}) as (world, _smsc):
        sent = replace(order(body=LONG), lease="a lease")
        ids = (await world.send(sent, mark)).remote_ids
    assert told == [(sent.message.id, "a lease", "world", ids[:count]) for count in range(1, 6)]
    assert marks == list(range(6))


@pytest_twisted.ensureDeferred
async def test_a_long_sms_whose_receipt_is_one_ends_by_the_name_of_its_last_segment() -> None:
    """The names of the others were told as they were taken."""
    told: list[tuple[str, ...]] = []

    async def taken(message_id: str, lease: str, smsc: str, remote_ids: tuple[str, ...]) -> None:
        told.append(remote_ids)

    async with running(options={"on_segment": taken}, long_receipts="one") as (world, smsc):
        handed = await world.send(order(body=LONG))
        ids = tuple(remote_id for remote_id, _ in smsc.taken)
        assert (*told[-1], *handed.remote_ids) == ids
        assert len(handed.remote_ids) == 1


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("where", ["mark", "taken"])
async def test_redis_lost_in_the_middle_of_a_long_sms_loses_no_segment(where: str) -> None:
    """Nothing is on the wire: another attempt goes on behind what was taken."""
    told: list[Any] = []

    async def taken(*said: Any) -> None:
        told.append(said)
        if where == "taken":
            raise StoreUnavailable("down")

    async def mark(route: str) -> None:
        if told:
            raise StoreUnavailable("down")

    async with running(options={"on_segment": taken}) as (world, smsc):
        failing = world.send(order(body=LONG), mark)
        with pytest.raises(TemporaryFailure) as caught:
            await failing
        assert len(smsc.submits) == len(caught.value.progress) == 1
        assert not caught.value.counts


@pytest_twisted.ensureDeferred
async def test_segments_of_one_message_stay_in_order_on_one_bind() -> None:
    """With four binds and many long messages at once, each message's segments come in order by one session."""
    async with running(binds=4, window=3, rate="1000/s") as (world, smsc):
        seen: dict[bytes, list[tuple[int, int]]] = {}
        sessions = list(smsc.sessions)
        original = smsc.submit

        def submit(session: object, request: SubmitSm) -> None:
            place = (sessions.index(session), request.short_message[5])  # type: ignore[arg-type]
            seen.setdefault(request.destination_addr, []).append(place)
            original(session, request)  # type: ignore[arg-type]

        smsc.submit = submit  # type: ignore[method-assign]
        await gatherResults([world.send(order(n, LONG, phone=f"+4477009{n:05d}")) for n in range(40)])
        assert len(seen) == 40
        for places in seen.values():
            assert [number for _, number in places] == [1, 2, 3, 4, 5, 6]
            assert len({session for session, _ in places}) == 1
        assert len({places[0][0] for places in seen.values()}) == 4


@pytest_twisted.ensureDeferred
async def test_a_thousand_messages_go_out() -> None:
    """The window and the rate let a thousand through, each once."""
    async with running(rate="2000/s") as (world, smsc):
        # Nobody waits long for the window, however slow the machine.
        for first in range(0, 1000, 50):
            await gatherResults([world.send(order(number)) for number in range(first, first + 50)])
        assert len(smsc.messages) == 1000
        await until(lambda: len(world.evidence.receipts) == 1000)
        assert world.rates.calls < 400


@pytest_twisted.ensureDeferred
async def test_a_store_that_refuses_all_marks_costs_no_slot() -> None:
    """Hundreds wait for the window, and the mark of each fails as its turn comes: then the window is as before."""
    async with running(Behaviour(answer_delay=0.05), rate="", window=2) as (world, smsc):
        marked = []

        async def mark(route: str) -> None:
            marked.append(route)
            if len(marked) > 2:
                raise TemporaryFailure("being restated", counts=False)

        done = await DeferredList([world.send(order(n), mark) for n in range(400)], consumeErrors=True)
        assert [ok for ok, _ in done].count(True) == 2
        for number in range(400, 404):
            await world.send(order(number))
        assert len(smsc.messages) == 6


# Window, rate, throttling ------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_the_window_is_never_exceeded() -> None:
    """With a window of 3 the SMSC never has more than 3 of ours unanswered."""
    most = [0]
    async with running(Behaviour(answer_delay=0.01), window=3, rate="1000/s") as (world, smsc):

        def judge(_: SubmitSm) -> int:
            most[0] = max(most[0], sum(link.in_flight for link in world.channel.states()["world"].binds))
            return 0

        smsc.behaviour = Behaviour(answer_delay=0.01, judge=judge)
        await gatherResults([world.send(order(n)) for n in range(100)])
        assert most[0] == 3


@pytest_twisted.ensureDeferred
async def test_throttling_sends_the_message_back_and_slows_down() -> None:
    """RTHROTTLED and RMSGQFUL: the attempt does not count and has a time; said twice, the rate is halved."""
    for status in (Status.RTHROTTLED, Status.RMSGQFUL):
        verdict = [status]
        async with running(Behaviour(judge=lambda _: verdict[0])) as (world, _):  # noqa: B023
            for least, most, rate in ((0.05, 0.2, 90), (0.5, 1.5, 47)):
                failure = await refusal(world)
                assert isinstance(failure, TemporaryFailure)
                assert not failure.counts
                assert failure.not_before is not None
                assert least < failure.not_before - reactor.seconds() < most
                (state,) = world.channel.states().values()
                assert rate_now(state) == pytest.approx(rate, abs=5)
            assert world.channel.states()["world"].throttled == 2
            assert "throttled" in world.channel.states()["world"].reason
            verdict[0] = Status.ROK
            assert (await world.send(order())).route == "world"
            assert reactor.seconds() >= failure.not_before


def test_what_was_throttled_comes_back_to_the_head() -> None:
    """Sent again at its time, it goes before those who have waited in memory meanwhile."""
    memory = Memory()
    world = memory.world(rate="10/s")
    seen: list[bytes] = []
    verdict = [Status.RTHROTTLED]

    def judge(submit: SubmitSm) -> int:
        seen.append(submit.short_message)
        return verdict.pop() if verdict else 0

    memory.smsc.behaviour = Behaviour(judge=judge)
    now = memory.clock.seconds()
    sent = world.send(order(1, "first", now=now))
    failures: list[BaseException] = []
    sent.addErrback(lambda failure: failures.append(failure.value))
    memory.advance(0.05, 0.01)
    assert isinstance(failures[0], TemporaryFailure)
    for number in range(2, 6):
        world.send(order(number, f"later {number}", now=now)).addErrback(lambda _: None)
    again = world.send(order(1, "first", now=now))
    memory.advance(2.0, 0.01)
    assert seen[:3] == [b"first", b"first", b"later 2"]
    assert again.called
    assert len(seen) == 6


def test_a_number_whose_queue_is_full_slows_nobody_else() -> None:
    """RMSGQFUL to one number and no other: its message waits for itself, and the rate is left alone from then on."""
    memory = Memory()
    world = memory.world(rate="10/s")
    memory.smsc.behaviour = Behaviour(judge=lambda submit: Status.RMSGQFUL if submit.short_message == b"full" else 0)
    failures: list[TemporaryFailure] = []
    for number in range(5):
        now = memory.clock.seconds()
        world.send(order(1, "full", now=now)).addErrback(lambda failure: failures.append(failure.value))
        memory.advance(2.0, 0.05)
        others = world.send(order(number + 2, "other", now=now))
        memory.advance(2.0, 0.05)
        assert others.called
    assert [failure.counts for failure in failures] == [False, False, True, True, True]
    assert failures[-1].reason == "world answered ESME_RMSGQFUL again, and takes others"
    assert failures[-1].not_before is None
    assert world.channel.states()["world"].throttled == 2


@pytest.mark.parametrize("rate", ["50/s", ""])
def test_a_campaign_does_not_stand_still_for_the_numbers_whose_queues_are_full(rate: str) -> None:
    """RMSGQFUL to one in twenty numbers: the others are sent at half of the pace that they come in, or better."""
    memory = Memory()
    world = memory.world(rate=rate)
    memory.smsc.behaviour = Behaviour(judge=lambda submit: Status.RMSGQFUL if submit.short_message == b"full" else 0)
    begin = memory.clock.seconds()
    taken: list[float] = []
    due = {number: begin + number / 50 for number in range(1, 1001)}

    def send(number: int) -> None:
        def again(failure: Any) -> None:
            later = memory.clock.seconds() + 2.0
            due[number] = later if failure.value.counts else failure.value.not_before

        body = "full" if number % 20 == 0 else "other"
        sent = world.send(order(number, body, now=memory.clock.seconds()))
        sent.addCallbacks(lambda _: taken.append(memory.clock.seconds()), again)

    while memory.clock.seconds() < begin + 40.0:
        for number in [number for number, at in due.items() if at <= memory.clock.seconds()]:
            del due[number]
            send(number)
        memory.advance(0.05, 0.05)
    assert len(taken) == 950
    assert taken[-1] < begin + 40.0


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("receipts", "asked"), [("final", 0x01), ("failure", 0x02), ("intermediate", 0x11), ("none", 0x00)]
)
async def test_the_operator_says_which_receipts_are_asked_for(receipts: str, asked: int) -> None:
    """registered_delivery (SMPP 3.4, 5.2.17), the same in every segment."""
    async with running(receipts=receipts) as (world, smsc):
        await world.send(order(body=LONG))
        assert {submit.registered_delivery for submit in smsc.submits} == {asked}


@pytest_twisted.ensureDeferred
async def test_texts_go_out_in_the_form_that_the_smsc_wants() -> None:
    """Alphabet, data_coding and what is left out are the account's; a reload changes them without a new connection."""
    form = {"default_alphabet": "gsm-packed", "data_codings": {"default": 0x10, "ucs2": 0x18}, "surrogates": "strip"}
    async with running(**form) as (world, smsc):
        await world.send(order(1, "hellohello"))
        await world.send(order(2, "да 🎉"))
        assert [submit.data_coding for submit in smsc.submits] == [0x10, 0x18]
        assert smsc.submits[0].short_message.hex() == "e8329bfd4697d9ec37"
        assert smsc.submits[1].short_message == "да ".encode("utf-16-be")
        world.channel.reconfigure({"world": settings(smsc.port, default_alphabet="ascii")}, world.labels)
        await world.send(order(3, "[hello]"))
        assert (smsc.submits[2].data_coding, smsc.submits[2].short_message) == (0, b"[hello]")
        assert smsc.binds == 1


@pytest.mark.pace
@pytest_twisted.ensureDeferred
async def test_a_slow_smsc_does_not_gather_messages_in_memory() -> None:
    """Past two seconds' worth the message goes back with a time of its own; another SMSC is not touched by it."""
    slow, quick = SmscSimulator(reactor), SmscSimulator(reactor)
    world = World({"slow": settings(await slow.start(), rate="10/s"), "world": settings(await quick.start())})
    world.channel.startService()
    try:
        await until(world.all_bound)
        sending = [world.send(order(n, routes=("slow",))) for n in range(200)]
        outcome: Deferred[list[tuple[bool, object]]] = DeferredList(sending, consumeErrors=True)
        stretch = Stretch()
        await gatherResults([world.send(order(1000 + n)) for n in range(50)])
        assert stretch.seconds() < 2
        results = await outcome
        refused = [result.value for ok, result in results if not ok]
        assert 150 < len(refused) < 190
        assert all(isinstance(failure, TemporaryFailure) and not failure.counts for failure in refused)
        moments = [failure.not_before for failure in refused]
        assert moments == sorted(moments)
        assert moments[-1] - moments[0] > 10
    finally:
        await world.channel.stopService()
        await slow.stop()
        await quick.stop()


@pytest_twisted.ensureDeferred
async def test_a_store_that_gives_no_place_is_temporary() -> None:
    """Without the shared rate nothing is written, and the attempt does not count."""
    async with running() as (world, smsc):
        world.rates.down = True
        failure = await refusal(world)
        assert isinstance(failure, TemporaryFailure)
        assert not failure.counts
        assert smsc.submits == []
        world.rates.down = False
        assert (await world.send(order())).route == "world"


# Reconfiguring -----------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_rates_and_windows_change_without_a_new_connection() -> None:
    """New rate, window, forms and binds: the connection that stays configured is not dropped."""
    async with running() as (world, smsc):
        port = smsc.port
        world.channel.reconfigure({"world": settings(port, rate="7/s", window=5)}, world.labels)
        assert smsc.binds == 1
        (state,) = world.channel.states().values()
        assert (state.rate, state.binds[0].window) == (7.0, 5)
        world.channel.reconfigure({"world": settings(port, binds=3)}, world.labels)
        await until(lambda: world.all_bound() and len(smsc.sessions) == 3)
        assert smsc.binds == 3
        world.channel.reconfigure({"world": settings(port, binds=1)}, world.labels)
        await until(lambda: len(smsc.sessions) == 1)
        assert smsc.binds == 3
        assert (await world.send(order())).route == "world"


@pytest_twisted.ensureDeferred
async def test_a_changed_account_is_bound_anew_and_a_removed_one_unbound() -> None:
    """Another system_id takes a new bind; an SMSC that is gone from the file is unbound."""
    async with running() as (world, smsc):
        world.channel.reconfigure({"world": settings(smsc.port, system_id="other")}, world.labels)
        await until(lambda: [session.system_id for session in smsc.sessions] == ["other"])
        await until(world.all_bound)
        world.channel.reconfigure({}, world.labels)
        await until(lambda: smsc.sessions == [])
        assert [step.what for step in smsc.steps].count("unbind") == 2
        assert world.channel.routes() == {}


@pytest_twisted.ensureDeferred
async def test_an_id_that_holds_the_number_is_handed_on_without_it() -> None:
    """Of each segment, in answer and receipt alike: all that is kept of it is what its message is found by."""
    behaviour = Behaviour(ids_from=int(PHONE) * 1000)
    async with running(behaviour) as (world, smsc):
        handed = await world.send(order(body=LONG))
        await until(lambda: len(world.evidence.receipts) == len(smsc.submits))
        said = {one for receipt in world.evidence.receipts for one in receipt.remote_ids}
        assert set(handed.remote_ids) <= said
        assert not any(PHONE.strip("+") in one for one in (*said, *handed.remote_ids))

"""The SMPP channel against our own SMSC simulator, over real loopback sockets."""

import re
from typing import Any

import pytest
import pytest_twisted
from fair_clock import Stretch
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.error import ConnectionLost

from gatewayd.core.errors import LeaseLost, PermanentFailure, StoreUnavailable, TemporaryFailure, Uncertain
from gatewayd.core.interfaces import IChannel
from gatewayd.core.model import WayState
from gatewayd.core.status import Event
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.smpp.codec.pdu import Status, SubmitSm
from gatewayd.smpp.submits import reference
from redis_server import until
from smpp_world import Memory, World, order, running, settings

LONG = "Ünï ¢ " * 60


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
        await gatherResults([world.send(order(number)) for number in range(1000)])
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


# Receipts and texts --------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("behaviour", "changed"),
    [
        ({"receipt_form": "text"}, {}),
        ({"receipt_form": "tlv"}, {}),
        ({"receipt_form": "capitals"}, {}),
        ({"receipt_form": "payload"}, {}),
        ({"receipt_by": "data_sm"}, {}),
        ({"receipt_by": "data_sm", "receipt_form": "tlv"}, {}),
        ({"submit_ids": "hex", "receipt_ids": "decimal"}, {}),
        ({"submit_ids": "hex", "receipt_ids": "decimal"}, {"message_ids": "decimal"}),
        ({"receipt_ids": "hex"}, {"message_ids": "hex"}),
        ({"submit_ids": "zeros"}, {}),
        ({"submit_ids": "text"}, {"message_ids": "as-is"}),
        ({"receipt_before_answer": True}, {}),
        ({"receipt_on_other_bind": True}, {"binds": 2}),
        ({"fragment": 1}, {}),
        ({}, {"bind": "transmitter+receiver"}),
    ],
)
async def test_receipts_in_every_form_name_the_submit(behaviour: dict[str, object], changed: dict[str, object]) -> None:
    """Text, TLVs, capitals, data_sm, other id forms, early, on another bind, in crumbs: the stored id is met."""
    async with running(Behaviour(**behaviour), **changed) as (world, smsc):  # type: ignore[arg-type]
        handed = await world.send(order())
        await until(lambda: len(world.evidence.receipts) == 1)
        assert handed.remote_ids[0] in world.evidence.receipts[0].remote_ids
        assert world.evidence.receipts[0].event is Event.DELIVERED
        await smsc.until(lambda: smsc.receipts_acknowledged == 1)


@pytest_twisted.ensureDeferred
async def test_receipts_twice_and_on_the_way() -> None:
    """ENROUTE settles nothing, and two final receipts are two facts: matching them is the store's work."""
    async with running(Behaviour(intermediate=True, receipt_copies=2)) as (world, _):
        await world.send(order())
        await until(lambda: len(world.evidence.receipts) == 3)
        assert [receipt.event for receipt in world.evidence.receipts] == [None, Event.DELIVERED, Event.DELIVERED]


@pytest_twisted.ensureDeferred
async def test_a_receipt_is_not_acknowledged_before_it_is_durable() -> None:
    """While the store is down the SMSC gets RX_T_APPN, and brings receipt and text again until they are taken."""
    async with running(Behaviour(receipt_retry=0.05)) as (world, smsc):
        world.evidence.down = True
        await world.send(order())
        smsc.say("+447700900999", "12345", "STOP")
        await smsc.until(lambda: smsc.receipts_refused >= 4)
        assert smsc.receipts_acknowledged == 0
        assert not world.evidence.receipts
        world.evidence.down = False
        await smsc.until(lambda: smsc.receipts_acknowledged == 2)
        assert len(world.evidence.receipts) == len(world.evidence.inbound) == 1


@pytest_twisted.ensureDeferred
async def test_a_players_text_comes_in_with_the_number_as_a_hash() -> None:
    """GSM and UCS-2 texts are decoded; the number is only seen by the hash."""
    async with running() as (world, smsc):
        smsc.say("+447700900999", "12345", "STOP €")
        smsc.say("+447700900998", "12345", "Стоп")
        await until(lambda: len(world.evidence.inbound) == 2)
        assert [(text.number_hash, text.text) for text in world.evidence.inbound] == [
            ("#447700900999", "STOP €"),
            ("#447700900998", "Стоп"),
        ]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("source", "destination", "numbers"),
    [
        ("447700900999", "Amazing", ["447700900999"]),
        ("Amazing", "447700900999", ["447700900999"]),
        ("12345", "447700900999", ["12345", "447700900999"]),
        ("00447700900999", "12345", ["447700900999", "12345"]),
        ("4477009*****", "", []),
        ("", "", []),
    ],
)
async def test_a_receipts_number_may_stand_at_either_end(source: str, destination: str, numbers: list[str]) -> None:
    """SMSCs turn the addresses round, leave them as they were, write them otherwise, or leave them out."""
    async with running() as (world, smsc):
        smsc.say(source, destination, "id:17 sub:001 dlvrd:001 stat:DELIVRD err:000")
        await until(lambda: len(world.evidence.receipts) == 1)
        names = tuple(name for number in numbers for name in (f"#{number}", f"once #{number}"))
        assert world.evidence.receipts[0].number_hashes == names


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
async def test_vendor_words_mean_what_the_operator_says() -> None:
    """receipt_states gives a meaning to a word that no table knows."""
    behaviour = Behaviour(receipt_form="text", receipt_word=lambda _: "BLOCKED")
    async with running(behaviour, receipt_states={"BLOCKED": "rejected"}) as (world, _):
        await world.send(order())
        await until(lambda: len(world.evidence.receipts) == 1)
        assert world.evidence.receipts[0].event is Event.REJECTED


# Refusals, routes ----------------------------------------------------------------------------------------------


async def refusal(world: World, *args: object, **changed: object) -> BaseException:
    """What a send ends with."""
    ((ok, failure),) = await DeferredList([world.send(order(*args, **changed))], consumeErrors=True)  # type: ignore[arg-type]
    assert not ok
    return failure.value


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
        verdict[0] = 0
        assert (await world.send(order())).route == "world"


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
@pytest.mark.parametrize("status", [Status.RINVSYSID, Status.RINVBNDSTS, Status.RSYSERR])
async def test_a_route_that_refuses_for_its_own_reasons_hands_on_to_the_next(status: int) -> None:
    """An account, session or system fault is not the message's: the next route takes it, with a mark of its own."""
    uk, elsewhere = SmscSimulator(reactor, Behaviour(judge=lambda _: status)), SmscSimulator(reactor)
    world = World({"uk": settings(await uk.start()), "world": settings(await elsewhere.start())})
    world.channel.startService()
    try:
        await until(world.all_bound)
        handed = await world.send(order(routes=("uk", "world")))
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


# The mark, uncertain outcomes, progress ---------------------------------------------------------------------


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
    ((message_id, smsc, written_at, ids, reason),) = world.evidence.resumed
    assert (message_id, smsc, ids) == (order().message.id, "world", (memory.smsc.taken[0][0],))
    assert memory.smsc.submitted_at[0] == written_at
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

"""The whole daemon and its SMS side: STOP, two processes on one account, late refusals, and what an operator sees."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
import pytest_twisted
from daemon import SECRET, Daemon, World, get
from evenness import fullest_second, tries
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults

from gatewayd.sandbox import sms
from gatewayd.sandbox.players import SAMPLES, Player
from gatewayd.sandbox.smartico import GatewayAnswer
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.smpp.codec.pdu import Command, Status, SubmitSm

PLAYER = SAMPLES[0]
PHONE = "+447700900123"
TOLD = ["accepted", "delivered"]


async def post(world: World, daemon: Daemon, number: int) -> GatewayAnswer:
    """One SMS by this daemon."""
    fields = {"ext_user_id": PLAYER.id, "body": f"Number {number}", "im_uid": f"{daemon.instance}-{number}"}
    return await world.smartico.send_sms(daemon.api, "amazing", SECRET, **fields)


async def status(daemon: Daemon) -> dict[str, Any]:
    """What gatewayctl status gets."""
    _, body = await get(f"{daemon.admin}/verbs/status")
    told: dict[str, Any] = json.loads(body)
    return told


@pytest_twisted.ensureDeferred
async def test_a_labels_own_stop_word_unsubscribes() -> None:
    """A chat changes nothing; the label's own word is told as unsubscribed, and the next SMS is refused with 5."""
    async with World(reactor) as world:
        world.label["stop_words"] = ["Genug"]
        await world.start()
        assert PLAYER.phone == PHONE
        first = await world.sms(PLAYER.id, "An offer")
        await world.smartico.until_heard(first.ext_message_id, *TOLD)
        world.smsc.say(PHONE, "Amazing", "Genug ist nicht genug")
        latest = await world.sms(PLAYER.id, "A third")
        await world.smartico.until_heard(latest.ext_message_id, *TOLD)
        world.smsc.say(PHONE, "Amazing", " genug! ")
        await world.smartico.until_heard(latest.ext_message_id, "unsubscribed")
        refused = await world.sms(PLAYER.id, "After all")
        assert (refused.error_code, refused.ext_message_id) == (5, "")
        assert world.smartico.statuses(first.ext_message_id) == TOLD


@pytest_twisted.ensureDeferred
async def test_who_was_erased_and_texts_stop_is_not_written_to_again() -> None:
    """The number alone says who it is; an operator takes it off by the player whom the database has under it."""
    async with World(reactor) as world:
        await world.start()
        first = await world.sms(PLAYER.id, "An offer")
        await world.smartico.until_heard(first.ext_message_id, *TOLD)
        await world.daemon.verb("erase", label="amazing", ext_user_id=PLAYER.id)
        world.smsc.say(PHONE, "Amazing", "Stop")
        await world.daemon.logged("a stop word came by world from a number to which no message is kept")
        assert PHONE.lstrip("+") not in world.daemon.log
        refused = await world.sms(PLAYER.id, "After all")
        assert (refused.error_code, refused.ext_message_id) == (5, "")
        await world.daemon.verb("unsuppress", label="amazing", ext_user_id=PLAYER.id, channel="sms")
        assert (await world.sms(PLAYER.id, "After all")).error_code == 0


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("told_of", ["first", "middle", "last"])
async def test_one_receipt_for_a_long_sms(told_of: str, before: bool) -> None:
    """Whichever segment's id it bears, and whether it comes before the answer or behind it, it tells of the whole."""
    number = {"first": 1, "middle": 2, "last": 3}[told_of]

    def word(submit: SubmitSm) -> str:
        part = sms.part_of(submit)
        if part.total > 1 and part.number != number:
            return ""
        return "UNDELIV" if "lost" in part.text else "DELIVRD"

    async with World(reactor, behaviour=Behaviour(receipt_word=word, receipt_before_answer=before)) as world:
        world.settings["smscs"]["world"]["long_receipts"] = "one"
        await world.start()
        arrived = await world.sms(PLAYER.id, "An offer that arrives. " * 15)
        await world.smartico.until_heard(arrived.ext_message_id, *TOLD)
        lost = await world.sms(PLAYER.id, "An offer that is lost. " * 15)
        await world.smartico.until_heard(lost.ext_message_id, "failed")
        short = await world.sms(PLAYER.id, "An offer")
        await world.smartico.until_heard(short.ext_message_id, *TOLD)
        assert [message.segments for message in world.smsc.messages] == [3, 3, 1]
        await world.idle("sms", "reports")
        assert world.smartico.statuses(arrived.ext_message_id) == TOLD
        assert world.smartico.statuses(lost.ext_message_id) == ["accepted", "failed"]


@pytest_twisted.ensureDeferred
async def test_receipts_come_back_on_the_other_daemons_bind() -> None:
    """One account, two processes: each gets the other's receipts, and every message ends as delivered."""
    async with World(reactor, behaviour=Behaviour(receipt_on_other_bind=True)) as world:
        await world.start()
        other = world.another("gw2")
        await other.start()
        await other.ready()
        assert len(world.smsc.sessions) == 2
        daemons = (world.daemon, other)
        for number in range(10):
            for daemon in daemons:
                answer = await post(world, daemon, number)
                await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        taken = [(await status(daemon))["routes"][-1]["handed"] for daemon in daemons]
        assert sum(taken) == 20
        assert min(taken) > 0


@pytest.mark.pace
@pytest_twisted.ensureDeferred
async def test_two_daemons_keep_one_rate() -> None:
    """A backlog in both of them leaves at the account's rate against a limiter of 100/s with a bucket of 10.

    Evenly: no second holds over 110 % of it, at least 95 are taken a second, under 2 % are throttled, by both.
    """
    count = 200
    for one in tries():
        async with World(reactor, behaviour=Behaviour(rate=100, bucket=10, answer_delay=0.02)) as world:
            world.settings["smscs"]["world"]["rate"] = "100/s"
            await world.start()
            other = world.another("gw2")
            await other.start()
            await other.ready()
            daemons = (world.daemon, other)
            # What a pause has laid aside leaves both at once: posted at this rate, it would be no backlog.
            await world.daemon.verb("pause", label="amazing")
            for number in range(count):
                for daemon in daemons:
                    assert (await post(world, daemon, number)).error_code == 0
            await world.daemon.verb("resume", label="amazing")
            await world.smsc.until(lambda: len(world.smsc.messages) == 2 * count)
            moments = world.smsc.submitted_at
            rate = (2 * count - 1) / (moments[-1] - moments[0])
            throttled = world.smsc.throttled
            handed = [(await status(daemon))["routes"][-1]["handed"] for daemon in daemons]
            fullest = fullest_second(moments)
            one.judge(
                fullest <= 110 and rate >= 95 and throttled < 0.02 * len(moments) and min(handed) > 20,
                f"{fullest} in a second, {rate:.1f} a second, {throttled} throttled, {handed}",
            )


@pytest_twisted.ensureDeferred
async def test_a_late_refusal_sends_the_message_again() -> None:
    """Unanswered in time it is uncertain and held; refused late it was not taken: one copy arrives, long before the
    deadline.
    """

    def judge(submit: SubmitSm) -> int:
        world.smsc.behaviour = Behaviour()
        return Status.RSYSERR

    async with World(reactor, behaviour=Behaviour(answer_delay=2.5, judge=judge)) as world:
        world.settings["smscs"]["world"]["response_timeout"] = "1s"
        await world.start()
        answer = await world.sms(PLAYER.id, "Once")
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        assert len(world.smsc.messages) == 1
        trace = await world.daemon.messages(answer.ext_message_id)
        assert trace is not None
        events = [(event["event"], event.get("detail", "")) for event in trace["timeline"]]
        assert ("again", "world answered late: ESME_RSYSERR") in events
        assert events[0][0] == "taken"
        assert sum(one.get("times", 1) for one in trace["timeline"] if one["event"] == "submitting") == 2


@pytest_twisted.ensureDeferred
async def test_what_an_operator_sees_of_the_binds() -> None:
    """gatewayctl status, the dashboard and the metrics show a bind that is missing; a reload switches the trace on."""
    refuse = Behaviour(judge_bind=lambda bind: Status.RALYBND * (bind.kind == Command.BIND_RECEIVER))
    async with World(reactor, behaviour=refuse) as world:
        world.settings["smscs"]["world"]["bind"] = "transmitter+receiver"
        await world.start()
        (route,) = [route for route in (await status(world.daemon))["routes"] if route["channel"] == "sms"]
        assert route["word"] == "degraded: 1 of 2 bound"
        assert [(bind["mode"], bind["state"] == "bound") for bind in route["binds"]] == [
            ("transmitter", True),
            ("receiver", False),
        ]
        assert route["binds"][1]["last_error"] == "bind refused, ESME_RALYBND"
        _, page = await get(f"{world.daemon.admin}/")
        assert b"transmitter 0: <b>bound</b>" in page
        assert b"bind refused, ESME_RALYBND" in page

        answer = await world.sms(PLAYER.id, "Before")
        await world.smartico.until_heard(answer.ext_message_id, "accepted")
        assert "submit_sm" not in world.daemon.log
        world.settings["smscs"]["world"]["trace"] = True
        world.write()
        world.daemon.hang_up()
        await world.daemon.logged("the configuration was read again")
        world.smsc.behaviour = Behaviour()
        answer = await world.sms(PLAYER.id, "Meet at nine")
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        await world.daemon.logged("world/transmitter/0 -> submit_sm")
        await world.daemon.logged("world/receiver/0 <- deliver_sm")
        for secret in (PHONE, PHONE.strip("+"), "Meet at nine", "smppsec"):
            assert secret not in world.daemon.log
        metrics = await world.daemon.metrics()
        for line in (
            'gatewayd_smpp_answers_total{smsc="world",status="ESME_ROK"} 2.0',
            'gatewayd_smpp_answer_seconds_count{smsc="world"} 2.0',
            'gatewayd_smpp_bind_up{bind="receiver 0",smsc="world"} 1.0',
            'gatewayd_smpp_bind_in_flight{bind="transmitter 0",smsc="world"} 0.0',
        ):
            assert line in metrics


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_said() -> None:
    """/readyz and the state name it, the log too; the account is not tried again at once."""
    async with World(reactor, behaviour=Behaviour(password="another")) as world:
        world.write()
        await world.daemon.start()
        await world.daemon.logged("bind refused, ESME_RINVPASWD")
        (route,) = [route for route in (await status(world.daemon))["routes"] if route["channel"] == "sms"]
        assert not route["up"]
        assert "password or system_type is wrong; next try in a minute" in route["reason"]
        code, body = await get(f"{world.daemon.admin}/readyz")
        assert code == 503
        (reason,) = json.loads(body)["reasons"]
        assert reason.startswith("sms: no SMSC or provider is up (world: bind refused, ESME_RINVPASWD")
        assert [step.what for step in world.smsc.steps].count("connected") == 1
        assert "smppsec" not in world.daemon.log


@pytest_twisted.ensureDeferred
async def test_length_and_sender_are_judged_by_the_labels_smsc() -> None:
    """Where data_coding 0 is Latin-1: 140 letters are one segment, 141 two; a name in Latin-1 goes, a Greek one not."""
    async with World(reactor) as world:
        world.settings["smscs"]["world"]["default_alphabet"] = "latin1"
        world.label.update(max_segments=1, sms_senders=["*"])
        await world.start()
        said = await gatherResults(
            [
                _answer(world, body="x" * 141),
                _answer(world, body="x", from_number="Ωmega"),
                _answer(world, body="x" * 140, from_number="naïve"),
            ]
        )
        assert [answer.error_code for answer in said] == [8, 6, 0]
        await world.smartico.until_heard(said[-1].ext_message_id, *TOLD)
        (submit,) = world.smsc.submits
        assert (submit.source_addr, len(submit.short_message), submit.data_coding) == (b"na\xefve", 140, 0)


def _answer(world: World, **fields: Any) -> Any:
    return Deferred.fromCoroutine(world.sms(PLAYER.id, **fields))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("source", ["07700900123", "7700900123", "00447700900123"])
async def test_a_stop_from_a_number_without_country_code_unsubscribes(source: str) -> None:
    """As a phone wrote it and the SMSC handed it on: the players' country is that of the SMSC."""
    async with World(reactor) as world:
        await world.start()
        first = await world.sms(PLAYER.id, "An offer")
        await world.smartico.until_heard(first.ext_message_id, *TOLD)
        world.smsc.say(source, "Amazing", "STOP")
        await world.smartico.until_heard(first.ext_message_id, "unsubscribed")
        refused = await world.sms(PLAYER.id, "After all")
        assert (refused.error_code, refused.ext_message_id) == (5, "")


@pytest.mark.parametrize("players", [SAMPLES[:2], [PLAYER, PLAYER]], ids=["two players", "one player"])
@pytest_twisted.ensureDeferred
async def test_two_nodes_of_one_account_that_count_alike(players: Sequence[Player]) -> None:
    """Each answers 5001 to another message, and brings each of its receipts twice: both are delivered, once."""
    behaviour = Behaviour(answer_delay=0.5, receipt_delay=1.0, receipt_copies=2, intermediate=True)
    second = SmscSimulator(reactor, behaviour)
    port = await second.start()
    async with World(reactor, behaviour=behaviour) as world:
        try:
            world.settings["smscs"]["world"] |= {"binds": 2, "more_hosts": [f"127.0.0.1:{port}"]}
            await world.start()
            await world.smsc.until(lambda: world.smsc.binds > 0)
            await second.until(lambda: second.binds > 0)
            sending = [world.sms(player.id, "An offer") for player in players]
            said = await gatherResults([Deferred.fromCoroutine(each) for each in sending])
            for each in said:
                await world.smartico.until_heard(each.ext_message_id, *TOLD)
            # Both went by different nodes under one id, or there was nothing to tell apart.
            taken = [[remote_id for remote_id, _ in smsc.taken] for smsc in (world.smsc, second)]
            assert taken[0] == taken[1] != []
            for each in said:
                assert world.smartico.statuses(each.ext_message_id) == TOLD
        finally:
            await second.stop()


@pytest_twisted.ensureDeferred
async def test_a_route_has_a_sender_and_an_smsc_its_parameters() -> None:
    """sms_routes[].sender counts over what the request names; service_type and tlvs are in each submit."""
    async with World(reactor) as world:
        world.settings["smscs"]["world"] |= {"service_type": "CMT", "tlvs": {"0x1400": "1101234567"}}
        world.label["sms_routes"] = [{"prefix": "+44", "via": ["world"], "sender": "AMAZING-GB"}]
        await world.start()
        said = await world.sms(PLAYER.id, "An offer")
        await world.smartico.until_heard(said.ext_message_id, *TOLD)
        ((_, submit),) = world.smsc.taken
        assert (submit.source_addr, submit.service_type) == (b"AMAZING-GB", b"CMT")
        assert submit.tlvs == ((0x1400, b"1101234567"),)


@pytest_twisted.ensureDeferred
async def test_a_wrong_rule_for_ids_is_said_within_a_minute() -> None:
    """Receipts in hexadecimal read as they are match nothing: the log and /readyz name the key that is wrong."""
    async with World(reactor, behaviour=Behaviour(receipt_ids="hex")) as world:
        world.settings["smscs"]["world"]["message_ids"] = "as-is"
        await world.start()
        for number in range(4):
            said = await world.sms(PLAYER.id, f"Number {number}")
            await world.smartico.until_heard(said.ext_message_id, "accepted")
        await world.daemon.logged("is its message_ids right")
        _, body = await get(f"{world.daemon.admin}/readyz")
        assert any("is its message_ids right" in text for text in json.loads(body)["degraded"])

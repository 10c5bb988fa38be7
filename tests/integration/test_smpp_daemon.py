"""The whole daemon against an SMSC that is not ours (npm `smpp`): kill -9, resets, a strict limiter."""

import pytest
import pytest_twisted
from evenness import fullest_second, tries
from foreign_smsc import around, copies, copies_there
from load import TOLD, Load
from smpp_counts import a_second, met

from redis_server import until


@pytest_twisted.ensureDeferred
async def test_short_and_long_sms_go_all_the_way() -> None:
    """Hexadecimal answers, decimal receipts that come before them: accepted and delivered, once each, in order."""
    behaviour = {"ids": "hex", "receipt_ids": "decimal", "before": True, "form": "text", "answer_delay": 30}
    async with around(0, {"message_ids": "auto"}, **behaviour) as (world, peer):
        await world.start()
        bodies = ["Hello", "It costs 5 € [net] " * 20, "Стоп 👍 " * 30]
        said = [await world.sms(body=body) for body in bodies]
        for answer in said:
            await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        await world.idle("sms", "reports")
        for answer in said:
            assert world.smartico.statuses(answer.ext_message_id) == TOLD
        report = await peer.ask()
        assert [message["text"] for message in report["messages"]] == bodies
        assert [message["segments"] for message in report["messages"]] == [1, 3, 4]


@pytest_twisted.ensureDeferred
async def test_kill_9_under_load() -> None:
    """Killed amid submits, with a window of 20 in flight: nothing is sent twice, nothing that was taken is lost."""
    async with around(400, {"window": 20}, answer_delay=20, receipt_delay=200) as (world, peer):
        await world.start()
        load = Load(world, "sms", 400)
        for so_many in (60, 200):

            async def reached(least: int = so_many) -> bool:
                return bool((await peer.ask())["submits"] >= least)

            await until(reached)
            world.daemon.kill()
            await world.daemon.start()
        await load.done
        held = await load.all_settled(lambda: copies_there(peer))
        assert max(copies(await peer.ask()).values()) == 1
        assert len(held) <= 2 * 20
        for text in load.ids:
            assert load.is_told_or_held(text, held)


@pytest_twisted.ensureDeferred
async def test_random_resets_under_load() -> None:
    """The SMSC cuts the connection again and again, having taken the message or not: none twice, none forgotten."""
    smsc = {"binds": 2, "uncertain_wait": "1s"}
    async with around(300, smsc, reset=25, reset_takes=True, receipt_delay=100) as (world, peer):
        await world.start()
        load = Load(world, "sms", 300)
        await load.done
        held = await load.all_settled(lambda: copies_there(peer))
        report = await peer.ask()
        assert report["resets"] >= 5
        assert max(copies(report).values()) == 1
        for text in load.ids:
            assert load.is_told_or_held(text, held)


@pytest.mark.pace
@pytest_twisted.ensureDeferred
async def test_a_strict_limiter_is_met_by_the_whole_daemon() -> None:
    """100/s with a bucket of 10, a backlog of 500: at least 95 taken a second, under 2 % throttled, all delivered."""
    smsc = {"rate": "100/s"}
    for one in tries():
        async with around(500, smsc, rate=100, bucket=10, answer_delay=20, receipt_delay=100) as (world, peer):
            await world.start()
            # What a pause has laid aside is a backlog however slowly it was posted.
            await world.daemon.verb("pause", label="amazing")
            load = Load(world, "sms", 500)
            await load.done
            await world.daemon.verb("resume", label="amazing")
            await load.all_final()
            report = await peer.ask()
            assert report["taken"] == 500
            for text in load.ids:
                assert load.statuses(text) == TOLD
            fullest = fullest_second(report["at"])
            one.judge(
                met(report) and fullest <= 110,
                f"{report['throttled']} throttled, {a_second(report):.1f} taken a second, {fullest} in one",
            )

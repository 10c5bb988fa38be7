"""The whole way on real parts: the daemon as a child process between real Redis and simulators on real sockets."""

import random
from collections import Counter
from typing import Any

import pytest
import pytest_twisted
from daemon import SECRET, World, all_keys
from fair_clock import Stretch
from load import TOLD, Load, copies, copies_now, mails
from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint

from gatewayd.callbacks import MOST
from gatewayd.core.errors import ErrorCode
from gatewayd.sandbox.players import Player
from gatewayd.sandbox.smartico import BROKEN, HANGING, OK, CallbackAnswer
from gatewayd.sandbox.smsc import Behaviour
from gatewayd.store.link import RedisLink
from redis_server import later, until


@pytest_twisted.ensureDeferred
async def test_an_email_and_an_sms_go_all_the_way() -> None:
    """Each is taken, delivered, and Smartico hears accepted and delivered: in this order, once each."""
    async with World(reactor) as world:
        world.daemon.prefix = ()
        await world.start()
        email, sms = await world.email(), await world.sms()
        assert (email.http_status, email.error_code) == (200, 0)
        assert (sms.http_status, sms.error_code) == (200, 0)
        for answer in (email, sms):
            await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        again = await world.sms(im_uid="once")
        assert (await world.sms(im_uid="once")).ext_message_id == again.ext_message_id
        assert (await world.sms(im_uid="once", body="other")).error_code == ErrorCode.UID_CONFLICT
        await world.smartico.until_heard(again.ext_message_id, *TOLD)
        await world.idle("email", "sms", "reports")
        for answer in (email, sms, again):
            assert world.smartico.statuses(answer.ext_message_id) == TOLD
        kinds = {heard.ext_message_id: heard.type for heard in world.smartico.heard}
        assert kinds[email.ext_message_id] == "email"
        assert kinds[sms.ext_message_id] == "sms"
        assert world.relay.taken[0].recipients == ("anna@players.example",)
        assert len(world.smsc.messages) == 2


@pytest_twisted.ensureDeferred
async def test_kill_9_in_the_middle_of_a_long_sms_sends_the_rest_and_no_segment_twice() -> None:
    """What was answered is known, and the receipt of the segment on the wire shows that it was taken."""
    behaviour = Behaviour(answer_delay=0.3, receipt_delay=1.0)
    async with World(reactor, behaviour=behaviour) as world:
        await world.start()
        text = "".join(f"{number:05d} " for number in range(130))
        answer = await world.sms(body=text)
        await world.smsc.until(lambda: len(world.smsc.submits) == 3)
        world.daemon.kill()
        await world.daemon.start()
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        assert len(world.smsc.submits) == 6
        assert copies(world) == Counter([text])


@pytest_twisted.ensureDeferred
async def test_a_reload_counts_for_what_is_held_already() -> None:
    """An operator who would rather have them twice than not at all says so, and need not wait for the deadline."""
    async with World(reactor, behaviour=Behaviour(submit_mute=True)) as world:
        world.settings["smscs"]["world"]["response_timeout"] = "1s"
        await world.start()
        answer = await world.sms()
        await world.daemon.logged(f"message {answer.ext_message_id} is held as uncertain")
        world.smsc.behaviour = Behaviour()
        world.settings["smscs"]["world"] |= {"on_uncertain": "resend", "uncertain_wait": "1s"}
        world.write()
        world.daemon.hang_up()
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)


@pytest_twisted.ensureDeferred
async def test_redis_killed_under_load_loses_nothing() -> None:
    """Redis is killed and comes back: every accepted message arrives, no SMS twice, and the log has no traceback."""
    behaviour = Behaviour(answer_delay=0.02, receipt_delay=0.2)
    async with World(reactor, players=500, behaviour=behaviour) as world:
        await world.start()
        texts, subjects = Load(world, "sms", 400), Load(world, "email", 200, 4)
        for so_many, away in ((60, 0.5), (200, 6.0)):
            await world.smsc.until(lambda least=so_many: len(world.smsc.submits) >= least)
            world.redis.kill()
            await later(away)
            await world.redis.start()
        await texts.done
        await subjects.done
        await texts.all_final()
        await subjects.all_final()
        assert copies(world) == Counter(list(texts.ids))
        assert set(mails(world)) == set(subjects.ids)
        for load in (texts, subjects):
            for text in load.ids:
                assert load.statuses(text) == TOLD
        assert {answer.error_code for answer in texts.refused} <= {ErrorCode.TRY_AGAIN}
        assert "Traceback" not in world.daemon.log


@pytest_twisted.ensureDeferred
async def test_redis_is_away_while_hundreds_wait_for_the_window() -> None:
    """Each mark fails at once as its turn comes, and once Redis is back all go out: no slot of the window was lost."""
    async with World(reactor, players=400, behaviour=Behaviour(answer_delay=0.3)) as world:
        world.settings["smscs"]["world"]["rate"] = ""
        await world.start()
        texts = Load(world, "sms", 400, 20)
        await texts.done
        world.redis.kill()
        await later(1.0)
        await world.redis.start()
        await world.daemon.logged("Redis is connected", times=2)
        world.smsc.behaviour = Behaviour()
        await texts.all_final()
        assert copies(world) == Counter(list(texts.ids))


@pytest_twisted.ensureDeferred
async def test_everything_at_once() -> None:
    """Four kills, Redis killed too, an SMSC that resets, a caller that fails: no SMS twice, nothing without an end."""
    chance = random.Random(1)
    behaviour = Behaviour(answer_delay=0.03, receipt_delay=0.4, reset_every=97)
    async with World(reactor, players=400, behaviour=behaviour) as world:
        world.smartico.answers = lambda heard: BROKEN if chance.random() < 0.1 else OK
        await world.start()
        texts, subjects = Load(world, "sms", 400), Load(world, "email", 150, 4)
        for number in range(4):
            await later(chance.uniform(0.2, 1.0))
            if number == 2:
                world.redis.kill()
                await later(chance.uniform(0.1, 1.5))
                await world.redis.start()
            world.daemon.kill()
            await world.daemon.start()
        await texts.done
        await subjects.done
        held = await texts.all_settled(lambda: copies_now(world))
        await subjects.all_final(90)
        assert max(copies(world).values()) == 1
        for text in texts.ids:
            assert texts.is_told_or_held(text, held)
        assert set(mails(world)) == set(subjects.ids)
        for subject in subjects.ids:
            assert subjects.statuses(subject) == TOLD
        ids = {(str(mail.headers["Subject"]), mail.headers["Message-ID"]) for mail in world.relay.taken}
        assert len(ids) == len(subjects.ids), "a second copy bears the Message-ID of the first"
        assert "Traceback" not in world.daemon.log


@pytest_twisted.ensureDeferred
async def test_a_peer_takes_over_from_one_that_died() -> None:
    """What a killed instance had leased is finished by another one 15 s after its last heartbeat."""
    behaviour = Behaviour(answer_delay=0.3, receipt_delay=0.2)
    async with World(reactor, players=200, behaviour=behaviour) as world:
        await world.start()
        # What a pause has laid aside is a backlog however slowly it was posted.
        await world.daemon.verb("pause", label="amazing")
        texts = Load(world, "sms", 150)
        await texts.done
        await world.daemon.verb("resume", label="amazing")
        # Until now nobody else could lease any of it: the one that dies holds leases.
        await world.smsc.until(lambda: len(world.smsc.submits) >= 40)
        peer = world.another("gw2")
        peer.spawn()
        world.daemon.kill()
        await peer.healthy(40.0)
        await peer.ready()
        world.daemon = peer
        held = await texts.all_settled(lambda: copies_now(world))
        assert max(copies(world).values()) == 1
        for text in texts.ids:
            assert texts.is_told_or_held(text, held)
        assert len(held) <= 20
        assert "leases of gw1" in peer.log


CANARY_EMAIL = "k4n4ry.zyx@canary-players.example"
CANARY_PREVIEW = "pr3v13w.zyx@canary-preview.example"
CANARY_PHONE = "+447700954321"
CANARIES = {
    "address": "k4n4ry.zyx",
    "preview address": "pr3v13w.zyx",
    "domain": "canary-players",
    "number": "7700954321",
    "authorization": SECRET,
    "api key": "canary-api-key-1",
    "smsc password": "cnryPwd",
    "secret key": "canary-secret-key",
    "relay password": "canary-relay-password",
}
CONTENT = {"text": "CANARY-TEXT", "html": "CANARY-HTML", "subject": "CANARY-SUBJECT"}


@pytest_twisted.ensureDeferred
async def test_addresses_secrets_and_content_are_nowhere() -> None:
    """Planted canaries are in no key or value of Redis, log line, metric or timeline; content goes with its message."""
    async with World(reactor, behaviour=Behaviour(password="cnryPwd")) as world:
        world.settings["gatewayd"]["secret_key"] = "canary-secret-key" * 3
        world.settings["smscs"]["world"]["password"] = "cnryPwd"
        world.label.update(api_key="canary-api-key-1", preview_domains=["canary-preview.example"])
        world.players.put(Player("canary", CANARY_EMAIL, CANARY_PHONE))
        world.players.put(Player("refused", f"refused.{CANARY_EMAIL}", CANARY_PHONE))
        world.relay.users = {"relay": "canary-relay-password"}
        world.settings["relays"]["main"] |= {"username": "relay", "password": "canary-relay-password"}

        def judge(step: str, argument: str) -> bytes | None:
            return b"550 5.1.1 <%s>: no such user here" % argument.encode() if "refused." in argument else None

        world.relay.decide = judge
        await world.start()
        words = {"subject": CONTENT["subject"], "body": CONTENT["html"], "text_body": CONTENT["text"]}
        await world.daemon.verb("pause", label="amazing", channel="sms")
        answers = [
            await world.email("canary", **words),
            await world.email("refused", **words),
            await world.email("canary", **words, activity_type="preview", to_email_address=CANARY_PREVIEW),
            await world.sms("canary", CONTENT["text"]),
        ]
        assert [answer.error_code for answer in answers] == [0] * 4, answers
        refusals = [
            await world.email("nobody", **words, to_email_address=CANARY_PREVIEW),
            await world.sms("canary", from_number=CANARY_PHONE),
            await world.email("canary", **words | {"from_email_address": CANARY_EMAIL}),
            await world.smartico.send_email(world.daemon.api, "amazing", "wrong " + SECRET),
        ]
        assert 0 not in [answer.error_code for answer in refusals]
        await until(lambda: len(world.relay.taken) == 2)
        waiting = await everything(world)
        await world.daemon.verb("resume", label="amazing", channel="sms")
        await world.smartico.until_heard(answers[0].ext_message_id, *TOLD)
        await world.smartico.until_heard(answers[1].ext_message_id, "rejected")
        await world.smartico.until_heard(answers[2].ext_message_id, *TOLD)
        await world.smartico.until_heard(answers[3].ext_message_id, *TOLD)
        world.smsc.say(CANARY_PHONE, "Amazing", "STOP")
        await world.smartico.until_heard(answers[3].ext_message_id, "unsubscribed")
        ended = await everything(world)
        outside = world.daemon.log + await world.daemon.metrics()
        for answer in answers:
            outside += str(await world.daemon.messages(answer.ext_message_id))
        for refusal in refusals:
            outside += refusal.body.decode()

    assert CONTENT["text"] in waiting, "the scan sees what is stored while a message waits"
    for name, canary in CANARIES.items():
        for place, text in {"Redis, waiting": waiting, "Redis, ended": ended, "outside": outside}.items():
            assert canary not in text, f"{name} in {place}"
    for name, canary in CONTENT.items():
        assert canary not in ended, f"{name} in Redis after the end"
        assert canary not in outside, f"{name} in log, metrics or timeline"


async def everything(world: World) -> str:
    """All keys of Redis with all their values, whatever their type."""
    link = RedisLink(reactor, UNIXClientEndpoint(reactor, str(world.redis.socket)), jitter=lambda: 0.5)
    link.startService()
    found = []
    async for key in all_keys(link):
        kind = (await link.command("TYPE", key)).decode()
        words: tuple[Any, ...] = {
            "string": ("GET", key),
            "hash": ("HGETALL", key),
            "list": ("LRANGE", key, 0, -1),
            "set": ("SMEMBERS", key),
            "zset": ("ZRANGE", key, 0, -1),
            # It ended since it was found.
            "none": ("GET", key),
        }[kind]
        found.append(f"{key!r} {await link.command(*words)!r}")
    await link.stopService()
    assert found
    return "\n".join(found)


@pytest.mark.pace
@pytest_twisted.ensureDeferred
async def test_a_dead_callback_host_does_not_slow_sending() -> None:
    """With a Smartico that never answers 300 SMS reach the SMSC as quickly as ever, and the statuses wait."""
    async with World(reactor, players=300, behaviour=Behaviour(receipt_delay=0.05)) as world:
        await world.start()
        port = world.smartico.port
        world.smartico.answers = lambda heard: HANGING
        stretch = Stretch()
        texts = Load(world, "sms", 300)
        await texts.done
        await world.smsc.until(lambda: len(world.smsc.messages) == 300)
        assert stretch.seconds() < 6
        # Its calls end now, not by their time-out.
        await world.smartico.close()
        world.smartico.answers = lambda heard: OK
        await world.smartico.listen(port)
        await texts.all_final()


@pytest_twisted.ensureDeferred
async def test_a_callback_host_that_is_back_hears_at_once_what_it_had_turned_away() -> None:
    """What waits only because the host was down is told when it is up again, however much later it was due."""
    async with World(reactor, players=2 * MOST) as world:
        await world.start()
        port = world.smartico.port
        await world.smartico.close()
        texts = Load(world, "sms", 2 * MOST)
        await texts.done
        await world.daemon.logged("is left alone for a while")
        link = RedisLink(reactor, UNIXClientEndpoint(reactor, str(world.redis.socket)), jitter=lambda: 0.5)
        link.startService()
        queue, turned_away = "gatewayd:{gw}:Q:reports", 0

        async def all_wait() -> bool:
            return bool(await link.command("ZCARD", queue) == 2 * MOST)

        await until(all_wait)
        for member in await link.command("ZRANGE", queue, 0, -1):
            if not int(await link.command("HGET", b"gatewayd:{gw}:m:" + member, "pn") or 0):
                turned_away += await link.command("ZADD", queue, "XX", "INCR", 600_000, member) is not None
        await link.stopService()
        assert turned_away
        await world.smartico.listen(port)
        await texts.all_final()
        assert all(texts.statuses(text) == TOLD for text in texts.ids)


@pytest.mark.pace
@pytest_twisted.ensureDeferred
async def test_a_slow_callback_host_does_not_slow_sending() -> None:
    """With 2 s for each callback the SMS go out at once; each message's statuses stay in order."""
    async with World(reactor, players=100, behaviour=Behaviour(receipt_delay=0.05)) as world:
        await world.start()
        world.smartico.answers = lambda heard: CallbackAnswer(delay=2.0)
        stretch = Stretch()
        texts = Load(world, "sms", 60)
        await texts.done
        await world.smsc.until(lambda: len(world.smsc.messages) == 60)
        assert stretch.seconds() < 4
        world.smartico.answers = lambda heard: OK
        await texts.all_final()
        for text in texts.ids:
            assert texts.statuses(text) == TOLD

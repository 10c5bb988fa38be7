"""SIGHUP, SIGTERM and the kill switch on the daemon as it runs, under load, with everybody's connections counted."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from daemon import World, get
from fair_clock import Stretch
from load import TOLD, Load, copies, mails
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.web.client import RequestTransmissionFailed, ResponseNeverReceived

from gatewayd.core.errors import ErrorCode
from gatewayd.operators.log import REPEATS
from gatewayd.sandbox.players import SAMPLES, Player, PlayerDatabase
from gatewayd.sandbox.smartico import CallbackAnswer, GatewayAnswer
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.store.link import RedisLink
from redis_server import until


async def reloaded(world: World) -> None:
    """Write the settings, and return once the daemon has read them."""
    before = world.daemon.log.count("the configuration was read again")
    world.write()
    world.daemon.hang_up()
    await world.daemon.logged("the configuration was read again", times=before + 1)


@pytest_twisted.ensureDeferred
async def test_a_reload_changes_all_that_it_may_and_drops_no_connection() -> None:
    """Labels, routes, rates, allow-lists, secrets, directories and callback hosts; each SMSC and relay saw one client.

    A changed SMSC password binds that one anew, and no other; a broken file changes nothing.
    """
    async with World(reactor, behaviour=Behaviour(receipt_delay=0.05)) as world:
        second = SmscSimulator(reactor, Behaviour(receipt_delay=0.05))
        port = await second.start()
        world.settings["smscs"]["second"] = world.settings["smscs"]["world"] | {"port": port}
        await world.start()
        await until(lambda: second.binds == 1)
        for answer in (await world.email(), await world.sms()):
            await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        mail_connections, daemon, began = world.relay.connections_made, world.daemon.pid, reactor.seconds()

        def renewed() -> int:
            """How often a connection that has little to do is renewed by itself: after 24 s at the earliest."""
            return int((reactor.seconds() - began) / 20)

        assert (world.smsc.binds, second.binds, len(second.submits)) == (1, 1, 0)

        # Route, and a label that was not there.
        world.label["sms_routes"] = [{"prefix": "+44", "via": ["second"]}]
        world.settings["labels"]["other"] = world.label | {"authorization": ["of-the-other"]}
        await reloaded(world)
        api = world.daemon.api
        answer = await world.smartico.send_sms(api, "other", "of-the-other")
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        assert (len(world.smsc.submits), len(second.submits)) == (1, 1)

        # Secret, sender list, and the label goes.
        del world.settings["labels"]["other"]
        world.label.update(authorization=["changed"], sms_senders=["Changed"], sms_sender="Changed")
        await reloaded(world)
        assert (await world.smartico.send_sms(api, "other", "of-the-other")).error_code == ErrorCode.NOT_AUTHORISED
        assert (await world.sms()).error_code == ErrorCode.NOT_AUTHORISED
        refused = await world.smartico.send_sms(api, "amazing", "changed")
        assert refused.error_code == ErrorCode.SENDER_NOT_ALLOWED
        world.label.update(authorization=["sandbox-authorization"], sms_senders=["Amazing"], sms_sender="Amazing")

        # Callback hosts.
        world.label["callback_hosts"] = ["*.smartico.ai"]
        del world.label["callback_url"]
        await reloaded(world)
        refused = await world.sms(callback_url=world.callback)
        assert refused.error_code == ErrorCode.CALLBACK_NOT_ALLOWED
        world.label.update(callback_hosts=["127.0.0.1"], callback_url=world.callback)

        # Another directory under the same name, and a rate.
        players = PlayerDatabase(world.directory / "others.db", SAMPLES[:1])
        players.put(Player("only-there", "there@players.example", "+447700900777"))
        world.settings["directories"]["players"]["connect"] = {"database": str(players.path)}
        world.settings["smscs"]["second"]["rate"] = "5/s"
        await reloaded(world)
        assert (await world.sms("1001")).error_code == ErrorCode.USER_NOT_FOUND
        answer = await world.email("only-there")
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        assert world.relay.taken[-1].recipients == ("there@players.example",)
        begun = len(second.submits)
        answers = [await world.sms("only-there") for _ in range(15)]
        for answer in answers:
            await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        times = second.submitted_at[begun:]
        assert times[-1] - times[0] > 2.0, "fifteen at five a second"

        # Who may call; a broken file meanwhile.
        good = world.config.read_text("utf-8")
        world.config.write_text(good.replace('password = "smppsec"', "window = 0"), "utf-8")
        world.daemon.hang_up()
        await world.daemon.logged("the configuration is kept as it was: smscs.world.window")
        await world.daemon.logged("the configuration is kept as it was: smscs.world.password")
        assert (await world.email()).error_code == 0
        world.label["allow_from"] = ["203.0.113.0/24"]
        await reloaded(world)
        assert (await world.email()).http_status == 403
        world.label["allow_from"] = ["127.0.0.0/8"]
        await reloaded(world)

        assert (world.smsc.binds, second.binds) == (1, 1)
        assert world.relay.connections_made <= mail_connections + renewed()

        # A new password for one of the two.
        second.behaviour = Behaviour(receipt_delay=0.05, password="another")
        world.settings["smscs"]["second"] |= {"password": "another", "rate": "2000/s"}
        await reloaded(world)
        await until(lambda: second.binds == 2)
        answer = await world.sms("only-there")
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        assert world.smsc.binds == 1
        assert world.relay.connections_made <= mail_connections + renewed()
        assert "session lost" not in [step.what for step in world.smsc.steps]
        assert world.daemon.pid == daemon
        assert "Traceback" not in world.daemon.log
        await second.stop()


@pytest_twisted.ensureDeferred
async def test_a_daemon_that_stops_says_what_it_had_only_counted() -> None:
    """The last minute's repeats, too, in the words that all of them share."""
    async with World(reactor) as world:
        await world.start()
        for _ in range(REPEATS + 5):
            await get(f"{world.daemon.api}/amazing/sms")
        world.daemon.terminate()
        assert await world.daemon.exit_status() == 0
        *before, last = world.daemon.log.splitlines()
        assert "repeated 5 times more: refused a request to amazing/sms: 3 " in "\n".join(before)
        assert "gatewayd has stopped" in last


@pytest_twisted.ensureDeferred
async def test_a_reload_says_what_takes_a_restart_by_what_runs() -> None:
    """As often as the file and the process differ, and no more once the file is as it was."""
    async with World(reactor) as world:
        await world.start()
        words, listen = "[api] has changed: that takes a restart", world.settings["api"]["listen"]
        world.settings["api"]["listen"] = [*listen, f"unix:{world.directory / 'api'}"]
        for times in (1, 2):
            await reloaded(world)
            assert world.daemon.log.count(words) == times
        world.settings["api"]["listen"] = listen
        await reloaded(world)
        assert world.daemon.log.count(words) == 2


@pytest_twisted.ensureDeferred
async def test_a_reload_of_a_rate_while_redis_is_down_is_no_fault_of_the_daemons() -> None:
    """What waits can't be hastened then: said in a line, without a traceback."""
    async with World(reactor) as world:
        await world.start()
        world.redis.kill()
        world.settings["relays"]["main"]["rate"] = "5/s"
        await reloaded(world)
        await world.daemon.logged("keep the time of their next try: Redis did not answer")
        assert "Traceback" not in world.daemon.log


@pytest_twisted.ensureDeferred
async def test_a_reload_loses_nothing_that_is_on_the_wire() -> None:
    """Under load, with a password that changes and comes back: each SMS once, each status once."""
    async with World(reactor, players=300, behaviour=Behaviour(answer_delay=0.05, receipt_delay=0.1)) as world:
        world.label["sms_deadline"] = "30s"
        await world.start()
        texts = Load(world, "sms", 300)
        for password in ("1", "2", "3"):
            await world.smsc.until(lambda least=int(password) * 60: len(world.smsc.submits) >= least)
            world.settings["smscs"]["world"]["password"] = password
            await reloaded(world)
        await texts.done
        await texts.all_final()
        assert copies(world) == dict.fromkeys(texts.ids, 1)
        for text in texts.ids:
            assert world.smartico.statuses(texts.ids[text]) == TOLD
        assert world.smsc.binds == 4


@pytest_twisted.ensureDeferred
async def test_sigterm_under_load_loses_nothing_and_answers_everybody() -> None:
    """Who got through is answered, statuses on their way are not told twice, and a second SIGTERM changes nothing."""
    behaviour = Behaviour(answer_delay=0.2, receipt_delay=0.1)
    async with World(reactor, players=3000, behaviour=behaviour) as world:
        await world.start()
        world.smartico.answers = lambda heard: CallbackAnswer(delay=0.5)
        taken: dict[str, str] = {}
        unanswered: list[BaseException] = []
        sent: set[str] = set()

        async def one(number: int, kind: str) -> None:
            uid = f"{kind}-{number}"
            try:
                answer = await _post(world, kind, number, uid)
            except ConnectError:
                return
            except (ResponseNeverReceived, RequestTransmissionFailed, ConnectionDone, ConnectionLost) as error:
                unanswered.append(error)
                return
            assert answer.http_status == 200
            if answer.error_code == 0:
                taken[uid] = answer.ext_message_id
            else:
                assert answer.error_code == ErrorCode.TRY_AGAIN

        async def caller(first: int, kind: str) -> None:
            for number in range(first, 1000, 8):
                if world.daemon.ended is not None:
                    return
                sent.add(f"{kind}-{number}")
                await one(number, kind)

        async def draining() -> bool:
            try:
                return (await get(f"{world.daemon.admin}/readyz"))[0] == 503
            except (ConnectError, ResponseNeverReceived):
                return True

        callers = [Deferred.fromCoroutine(caller(n, kind)) for n in range(1, 9) for kind in ("sms", "email")]
        load = DeferredList(callers, fireOnOneErrback=True)
        await world.smsc.until(lambda: len(world.smsc.submits) >= 60)
        stretch = Stretch()
        world.daemon.terminate()
        await until(draining, 5)
        world.daemon.terminate()
        world.daemon.hang_up()
        assert await world.daemon.exit_status() == 0
        assert stretch.seconds() < 25
        await load
        assert unanswered == []
        assert "Traceback" not in world.daemon.log
        assert "draining already" in world.daemon.log
        assert "the configuration was read again" not in world.daemon.log
        assert "gatewayd has stopped" in world.daemon.log
        assert "unbind" in [step.what for step in world.smsc.steps]
        begun = len(taken)
        assert 60 <= begun < 2000, "it ended amid the load"
        # Asked of Redis before the next start: a new process has marked its own submits as soon as it is there.
        link = RedisLink(reactor, UNIXClientEndpoint(reactor, str(world.redis.socket)), jitter=lambda: 0.5)
        link.startService()
        states = {await link.command("HGET", f"gatewayd:{{gw}}:m:{one}", "s") for one in taken.values()}
        stood = {state.partition(b"|")[0] for state in states}
        assert stood <= {b"queued", b"sent", b"delivered"}, "each submit's answer was waited for"
        await link.stopService()

        world.smartico.answers = lambda heard: CallbackAnswer()
        await world.daemon.start()
        final = {"delivered"}

        def over() -> bool:
            ended = {heard.ext_message_id for heard in world.smartico.heard if heard.status in final}
            return ended >= set(taken.values())

        await until(over, 60)
        for uid, message_id in taken.items():
            assert world.smartico.statuses(message_id) == TOLD, uid
        assert max(copies(world).values()) == 1
        assert max(mails(world).values()) == 1


async def _post(world: World, kind: str, number: int, uid: str) -> GatewayAnswer:
    if kind == "sms":
        return await world.sms(f"p{number}", uid, im_uid=uid)
    return await world.email(f"p{number}", subject=uid, email_uid=uid)


async def laid_aside(world: World, message_id: str) -> bool:
    """Whether it was taken out of the queue, with all that was due before it, because of a pause."""
    told = await world.daemon.messages(message_id)
    return told is not None and told["timeline"][-1]["event"] == "paused"


@pytest_twisted.ensureDeferred
async def test_nothing_is_sent_after_a_pause_was_answered() -> None:
    """Two processes under load, both channels: what was marked before the pause goes out, and then nothing more.

    The other label goes on meanwhile; resumed, everything arrives once.
    """
    behaviour = Behaviour(receipt_delay=0.05)
    async with World(reactor, players=3000, behaviour=behaviour) as world:
        world.settings["labels"]["other"] = dict(world.label)
        await world.start()
        peer = world.another("gw2")
        await peer.start()
        await peer.ready()
        posted: dict[str, str] = {}
        stop = False

        async def caller(first: int, daemon: Any, kind: str) -> None:
            number = first
            while not stop and number < 3000:
                uid = f"{kind}-{number}"
                names = ("im_uid", "body") if kind == "sms" else ("email_uid", "subject")
                send = world.smartico.send_sms if kind == "sms" else world.smartico.send_email
                fields = {"ext_user_id": f"p{number}", names[0]: uid, names[1]: uid}
                answer = await send(daemon.api, "amazing", "sandbox-authorization", **fields)
                assert answer.error_code == 0
                posted[uid] = answer.ext_message_id
                number += 4

        callers = [
            Deferred.fromCoroutine(caller(first + 2 * place, daemon, kind))
            for place, daemon in enumerate((world.daemon, peer))
            for kind in ("sms", "email")
            for first in (1, 2)
        ]
        load = DeferredList(callers, fireOnOneErrback=True)
        await world.smsc.until(lambda: len(world.smsc.submits) >= 100)
        # One process is told; the switch is everybody's.
        await peer.verb("pause", label="amazing")
        answered = reactor.seconds()
        mails_then = world.relay.count
        at_once = await world.smartico.send_sms(world.daemon.api, "other", "sandbox-authorization", body="goes on")
        await world.smartico.until_heard(at_once.ext_message_id, *TOLD)
        so_many = len(posted)
        await until(lambda: len(posted) >= so_many + 200)
        stop = True
        await load
        for message_id in list(posted.values())[-8:]:
            await until(lambda message_id=message_id: laid_aside(world, message_id))
        late = [
            at - answered
            for at, submit in zip(world.smsc.submitted_at, world.smsc.submits, strict=True)
            if at > answered and submit.short_message != b"goes on"
        ]
        # Marked before the answer, a window full in each process at the most; on a busy machine read a moment later.
        assert len(late) <= 2 * 20, late
        assert not late or max(late) < 1.0, late
        assert world.relay.count - mails_then <= 20
        waiting = len(posted) - len(world.smsc.messages) - world.relay.count
        assert waiting > 50, "they were accepted all the while"

        await world.daemon.verb("resume", label="amazing")

        def over() -> bool:
            ended = {heard.ext_message_id for heard in world.smartico.heard if heard.status == "delivered"}
            return ended >= set(posted.values())

        await until(over, 60)
        assert max(copies(world).values()) == 1
        assert max(mails(world).values()) == 1


@pytest_twisted.ensureDeferred
async def test_a_directory_that_was_replaced_is_closed() -> None:
    """A reload that brings another database leaves no file of the old one open."""
    async with World(reactor) as world:
        await world.start()
        assert (await world.sms()).error_code == 0
        moved = world.directory / "moved.db"
        with closing(sqlite3.connect(world.players.path)) as source, closing(sqlite3.connect(moved)) as target:
            source.backup(target)
        world.settings["directories"]["players"]["connect"] = {"database": str(moved)}
        await reloaded(world)
        assert (await world.sms()).error_code == 0
        old = str(world.players.path)

        def closed() -> bool:
            return old not in open_files(world.daemon.pid)

        await until(closed, 10)
        world.daemon.terminate()
        assert await world.daemon.exit_status() == 0


def open_files(pid: int) -> set[str]:
    """The files that a process has open."""

    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(link.readlink()))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("first", ["signal", "successor"])
@pytest_twisted.ensureDeferred
async def test_a_signal_and_a_successor_of_the_same_name_end_a_process_once(first: str) -> None:
    """In either order: what is on the wire gets its answer, and nothing is called a bug."""
    async with World(reactor, behaviour=Behaviour(answer_delay=5.0)) as world:
        await world.start()
        text = await world.sms()
        await world.smsc.until(lambda: len(world.smsc.submits) == 1)
        older = world.daemon
        if first == "signal":
            older.terminate()
        world.daemon = world.another("gw1")
        await world.daemon.start()
        await older.logged("another process uses the instance name gw1")
        if first == "successor":
            older.terminate()
        assert await older.exit_status() == 0
        assert "Traceback" not in older.log
        await world.smartico.until_heard(text.ext_message_id, *TOLD)
        assert len(world.smsc.submits) == 1

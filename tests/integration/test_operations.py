"""What an operator relies on, on the daemon as it runs: audit log, export, test mode, retention, logs, metrics."""

import json
import os
import pty
import re
import threading
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pytest
import pytest_twisted
from daemon import World, all_keys, environment
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.threads import deferToThread
from warm import run, start

from ctl_words import VERBS
from gatewayd.sandbox.players import Player
from gatewayd.sandbox.smartico import BROKEN, OK
from gatewayd.sandbox.smsc import Behaviour
from gatewayd.store.link import RedisLink
from redis_server import later, until

TOLD = ["accepted", "delivered"]


async def ctl(world: World, *words: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of gatewayctl."""
    line, env = ["--config", str(world.config), *words], environment(world.directory)
    done = await deferToThread(run, "gatewayctl", line, env=env, cwd=world.directory)
    return done.returncode, done.stdout, done.stderr


# The audit log ---------------------------------------------------------------------------------------------------


def audited(path: Path) -> list[dict[str, str]]:
    """The lines of an audit log."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def decisions(path: Path, message_id: str) -> list[str]:
    """What was decided about one message, in order."""
    return [line["decision"] for line in audited(path) if line["ext_message_id"] == message_id]


async def until_decided(path: Path, message_id: str, *words: str) -> None:
    """Return once exactly this was decided: a status may be heard before its line is written."""
    await until(lambda: len(decisions(path, message_id)) >= len(words))
    assert decisions(path, message_id) == list(words)


@pytest_twisted.ensureDeferred
async def test_the_audit_log_tells_every_decision_and_shows_what_was_changed() -> None:
    """Accepted, refused and why, sent, ended; whole over a kill, a restart and a rotation; a changed line is found."""

    def judge(step: str, argument: str) -> bytes | None:
        return b"550 5.1.1 no such user here" if "refused@" in argument else None

    def word(submit: Any) -> str:
        return "UNDELIV" if submit.destination_addr.endswith(b"999") else "DELIVRD"

    async with World(reactor, behaviour=Behaviour(receipt_word=word)) as world:
        path = world.directory / "audit-gw1.log"
        world.settings["gatewayd"]["audit_log"] = str(world.directory / "audit-{instance}.log")
        world.relay.decide = judge
        world.add_player(Player("refused", "refused@players.example", "+447700900999"))
        await world.start()
        status, out, _ = await ctl(world, "audit", "verify", "--head")
        assert (status, out.count("ok ")) == (0, 2), "nothing was decided yet, and nothing is missing"
        email, sms = await world.email(), await world.sms()
        rejected, failed = await world.email("refused"), await world.sms("refused")
        unknown = await world.sms("nobody", im_uid="uid-of-nobody")
        assert unknown.error_code == 1
        for answer, *statuses in ((email, *TOLD), (sms, *TOLD), (rejected, "rejected"), (failed, "accepted", "failed")):
            await world.smartico.until_heard(answer.ext_message_id, *statuses)
        ended = {
            email.ext_message_id: ["accepted", "sent", "delivered"],
            sms.ext_message_id: ["accepted", "sent", "delivered"],
            rejected.ext_message_id: ["accepted", "rejected"],
            failed.ext_message_id: ["accepted", "sent", "failed"],
        }
        # A status may be heard before its line is written.
        await until(lambda: {one: decisions(path, one) for one in ended} == ended)
        (refusal,) = (line for line in audited(path) if line["uid"] == "uid-of-nobody")
        assert (refusal["decision"], refusal["label"], refusal["channel"]) == ("refused", "amazing", "sms")
        assert refusal["reason"].startswith("1 ")
        assert "@" not in path.read_text("utf-8")
        assert "7700900" not in path.read_text("utf-8")

        world.daemon.kill()
        await world.daemon.start()
        await world.daemon.verb("pause", label="amazing", channel="sms")
        waiting = await world.sms("1001")
        assert (await ctl(world, "erase", "amazing", "1001"))[0] == 0
        assert decisions(path, waiting.ext_message_id) == ["accepted", "failed"]
        assert (await ctl(world, "audit", "verify"))[0] == 0

        old = path.with_suffix(".log.1")
        path.rename(old)
        world.daemon.hang_up()
        await world.daemon.logged("the audit log goes on in a new file")
        later_on = await world.email()
        await world.smartico.until_heard(later_on.ext_message_id, *TOLD)
        assert audited(path)[0]["decision"] == "continued"
        world.daemon.terminate()
        assert await world.daemon.exit_status() == 0
        status, out, _ = await ctl(world, "audit", "verify", str(old), str(path), "--json")
        assert (status, json.loads(out)["ok"]) == (0, True)
        head = json.loads(out)["files"][-1]["summary"].split("ends at ")[1].split(";")[0]
        assert f"the audit log's chain ends at {head}" in world.daemon.log

        lines = old.read_text("utf-8").splitlines(keepends=True)
        old.write_text("".join(lines).replace('"decision":"rejected"', '"decision":"delivered"', 1), "utf-8")
        status, out, _ = await ctl(world, "audit", "verify", str(old), str(path), "--json")
        assert status == 1
        assert [len(one["faults"]) for one in json.loads(out)["files"]] == [1, 0]
        old.write_text("".join(lines[:-1]), "utf-8")
        assert (await ctl(world, "audit", "verify", str(old)))[0] == 0, "an end cut off shows only by what follows"
        assert (await ctl(world, "audit", "verify", str(old), str(path)))[0] == 1
        assert (await ctl(world, "audit", "verify", "--head", str(path)))[0] == 0
        path.write_text("".join(path.read_text("utf-8").splitlines(keepends=True)[:-1]), "utf-8")
        assert (await ctl(world, "audit", "verify", str(path)))[0] == 0
        assert (await ctl(world, "audit", "verify", "--head", str(path)))[0] == 1, "Redis remembers the end"


@pytest_twisted.ensureDeferred
async def test_two_processes_do_not_write_one_audit_log() -> None:
    """The second one does not start, and says what to write; the first is not disturbed."""
    async with World(reactor) as world:
        world.settings["gatewayd"]["audit_log"] = str(world.directory / "audit.log")
        await world.start()
        peer = world.another("gw2")
        peer.spawn()
        assert await peer.exit_status() == 1
        assert "gatewayd.audit_log: " in peer.log
        assert "{instance} in its name" in peer.log
        assert "Traceback" not in peer.log
        assert (await world.sms()).error_code == 0
        assert (await ctl(world, "audit", "verify"))[0] == 0


# Export and the other verbs --------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_export_from_the_running_daemon() -> None:
    """Everything of one player and of nobody else; what waits with its content; gone after an erasure."""
    async with World(reactor) as world:
        await world.start()
        sent = await world.email("1001")
        await world.sms()
        await world.smartico.until_heard(sent.ext_message_id, *TOLD)
        await world.daemon.verb("pause", label="amazing", channel="sms")
        waiting = await world.sms("1001", "a text that waits")
        await world.daemon.verb("suppress", label="amazing", ext_user_id="1001", channel="email")
        status, out, error = await ctl(world, "export", "amazing", "1001")
        told = json.loads(out)
        assert (status, error) == (0, "")
        assert [one["ext_message_id"] for one in told["messages"]] == [sent.ext_message_id, waiting.ext_message_id]
        mail, text = told["messages"]
        assert mail.items() >= (await world.daemon.messages(sent.ext_message_id) or {}).items()
        assert (mail["state"], [one["status"] for one in mail["reports"]], mail["route"]) == ("delivered", TOLD, "main")
        assert "content" not in mail
        assert text["content"]["body"] == "a text that waits"
        assert told["stop_list"]["sms"] is None
        assert told["stop_list"]["email"]["addresses"] == 0
        assert "@" not in out.replace("noreply@amazing.co", "")
        assert "900124" not in out
        assert (await ctl(world, "erase", "amazing", "1001"))[0] == 0
        assert json.loads((await ctl(world, "export", "amazing", "1001"))[1])["messages"] == []


@pytest_twisted.ensureDeferred
async def test_every_verb_that_asks_the_daemon_prints_json() -> None:
    """0 with JSON on standard output and nothing on standard error; 1 with JSON that says why where nobody answers."""
    asking = {
        "status": (),
        "trace": None,
        "dead-letters": (),
        "suppress": ("amazing", "1001"),
        "unsuppress": ("amazing", "1001"),
        "erase": ("amazing", "1001"),
        "export": ("amazing", "1001"),
        "pause": ("amazing",),
        "resume": ("amazing",),
        "replay": ("--since", "2026-01-31T12:00"),
        "stops": ("amazing",),
        "guard": ("amazing", "--lift", "1h"),
    }
    assert set(asking) | {"check", "smpp-probe", "providers", "provider-probe", "audit", "sandbox"} == VERBS
    async with World(reactor) as world:
        world.label["intake_rate"] = "100/s"
        await world.start()
        answer = await world.email()
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        asking["trace"] = (answer.ext_message_id,)
        for verb, words in {**asking, "dead-letters retry-all": (), "check": ()}.items():
            status, out, error = await ctl(world, *verb.split(), *(words or ()), "--json")
            assert (status, error) == (0, ""), (verb, out)
            assert isinstance(json.loads(out), dict), verb
        world.daemon.kill()
        for verb, words in asking.items():
            status, out, error = await ctl(world, verb, *(words or ()), "--json")
            assert (status, error) == (1, ""), verb
            assert "Is it running?" in json.loads(out)["error"]


@pytest_twisted.ensureDeferred
async def test_long_work_shows_its_progress() -> None:
    """retry-all, erase, export and replay draw a bar on a terminal, on standard error only."""
    async with World(reactor) as world:
        await world.start()
        answer = await world.email()
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        for words, shown in (
            (("dead-letters", "retry-all"), "Queueing again"),
            (("export", "amazing", "hhu234556"), "Looking at kept messages"),
            (("replay", "--since", "2026-01-31T12:00"), "Statuses queued again"),
            (("erase", "amazing", "hhu234556"), "Looking at kept messages"),
        ):
            status, out, bar = await deferToThread(on_a_terminal, world, *words)
            assert status == 0
            assert shown in bar, words
            assert shown not in out


def on_a_terminal(world: World, *words: str) -> tuple[int, str, str]:
    """Exit status, standard output, and what a terminal on standard error got."""
    ours, theirs = pty.openpty()
    seen = bytearray()

    def watch() -> None:
        try:
            while chunk := os.read(ours, 4096):
                seen.extend(chunk)
        except OSError:
            # That is how a terminal ends.
            pass

    env = {**environment(world.directory), "TERM": "xterm", "COLUMNS": "100"}
    with TemporaryFile() as out, os.fdopen(theirs, "wb", 0) as err:
        line = ["--config", str(world.config), *words]
        child = start("gatewayctl", line, env=env, cwd=world.directory, out=out, err=err)
        err.close()
        watcher = threading.Thread(target=watch)
        watcher.start()
        status = child.wait(300)
        watcher.join()
        os.close(ours)
        out.seek(0)
        return status, out.read().decode(), seen.decode("utf-8", "replace")


# Test mode -------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_in_test_mode_only_the_listed_are_sent_to() -> None:
    """Others are taken and told as delivered, and neither relay nor SMSC hears of them; a reload ends it."""
    async with World(reactor) as world:
        audit = world.directory / "audit.log"
        world.settings["gatewayd"]["audit_log"] = str(audit)
        world.label["only_users"] = ["1001"]
        await world.start()
        others = [await world.email(), await world.sms(), await world.sms("1002")]
        for answer in others:
            assert answer.error_code == 0
            await world.smartico.until_heard(answer.ext_message_id, *TOLD)
            assert world.smartico.statuses(answer.ext_message_id) == TOLD
            told = await world.daemon.messages(answer.ext_message_id)
            assert told is not None
            assert "test mode" in json.dumps(told["timeline"])
            await until_decided(audit, answer.ext_message_id, "accepted", "sent", "delivered")
        assert (await world.email("nobody")).error_code == 1, "the intake is the same"
        assert (len(world.relay.taken), len(world.smsc.submits)) == (0, 0)
        for answer in (await world.email("1001"), await world.sms("1001")):
            await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        assert [mail.recipients for mail in world.relay.taken] == [("bertrand@players.example",)]
        assert len(world.smsc.submits) == 1

        del world.label["only_users"]
        world.write()
        world.daemon.hang_up()
        await world.daemon.logged("the configuration was read again")
        answer = await world.sms()
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        assert len(world.smsc.submits) == 2


# Retention -------------------------------------------------------------------------------------------------------

ENDLESS = re.compile(
    r"layout|heard-since|beats|audit:.*|stops:.*|key-marks|counts|waiting|inst|boots|paused|parks|parked|dead|deadwhy|Q:(email|sms|reports)|[HL]:(email|sms|reports):gw\d|x:.*"
)
"""Keys of the installation, not of a message: queues, counts, and the names of instances."""


@pytest_twisted.ensureDeferred
async def test_whatever_is_kept_of_a_message_has_an_end() -> None:
    """After lives of every kind no content is left, and each key of a message, player or receipt has a time to live."""

    def judge(step: str, argument: str) -> bytes | None:
        return b"550 5.1.1 no such user here" if "refused@" in argument else None

    def word(submit: Any) -> str:
        return "UNDELIV" if submit.destination_addr.endswith(b"999") else "DELIVRD"

    async with World(reactor, behaviour=Behaviour(receipt_word=word, receipt_delay=0.3)) as world:
        world.relay.decide = judge
        world.add_player(Player("refused", "refused@players.example", "+447700900999"))
        await world.start()
        lives = [
            (await world.email(), *TOLD),
            (await world.email(activity_type="bonus", callback_url=world.callback), *TOLD),
            (await world.sms(), *TOLD),
            (await world.sms(body="a long text, " * 40), *TOLD),
            (await world.email("refused"), "rejected"),
            (await world.sms("refused"), "accepted", "failed"),
        ]
        for answer, *statuses in lives:
            await world.smartico.until_heard(answer.ext_message_id, *statuses)
        world.smsc.say("+447700900123", "Amazing", "STOP")
        world.smsc.say("+447700900999", "Amazing", "STOP")
        await world.smartico.until_heard(lives[3][0].ext_message_id, "unsubscribed")
        # One erased between its submit and its receipt; one that waits.
        world.smsc.behaviour = Behaviour(receipt_delay=1.5)
        erased = await world.sms("1001")
        await world.smartico.until_heard(erased.ext_message_id, "accepted")
        assert (await ctl(world, "erase", "amazing", "1001"))[0] == 0
        await world.daemon.logged("receipt from world for " + erased.ext_message_id)
        await world.daemon.verb("pause", label="amazing", channel="sms")
        waiting = await world.sms("1002", "a long text that waits, " * 20)
        kept = await keys(world)
        message, content = f"m:{waiting.ext_message_id}", "c:<what it says>"
        endless = {name for name, life in kept.items() if life < 0 and not ENDLESS.fullmatch(name)}
        assert {content if name.startswith("c:") else name for name in endless} == {message, content}
        assert (await ctl(world, "erase", "amazing", "1002"))[0] == 0
        await world.smartico.until_heard(waiting.ext_message_id, "failed")

        async def all_told() -> bool:
            return not any(name.startswith(("Q:reports", "H:reports")) for name in await keys(world))

        await until(all_told)
        kept = await keys(world)
        endless = {name for name, life in kept.items() if life < 0}
        assert {name for name in endless if not ENDLESS.fullmatch(name)} == set()
        kinds = {name.partition(":")[0] for name in kept.keys() - endless}
        assert {"m", "w", "rm", "la", "pl", "stop"} <= kinds, "there was something to look at"
        assert not kinds & {"b", "c", "t"}
        for name, life in kept.items():
            # What is shared stays for the latest of its messages, had that one waited for its whole day.
            longer = {"stop": 365, "stopped-of": 365, "beaten": 14, "w": 9, "pl": 9, "rm": 8, "la": 8, "hi": 8}
            days = longer.get(name.partition(":")[0], 7)
            assert life <= days * 86400 + 1, name


async def keys(world: World) -> dict[str, float]:
    """Every key of Redis behind the prefix, and the seconds that it has to live; -1 where it has no end."""
    link = RedisLink(reactor, UNIXClientEndpoint(reactor, str(world.redis.socket)), jitter=lambda: 0.5)
    link.startService()
    found = {}
    async for key in all_keys(link):
        life = await link.command("PTTL", key)
        name = key.decode().removeprefix("gatewayd:{gw}:")
        assert name != key.decode(), "every key has the prefix and the hash tag"
        if life != -2:
            found[name] = life / 1000 if life > 0 else -1
    await link.stopService()
    return found


# Logs ------------------------------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_json_logs_tell_a_message_by_its_id() -> None:
    """Each line is an object, from start to stop; the id finds taken, tried again, sent, evidence and told."""
    async with World(reactor) as world:
        world.settings["gatewayd"]["log"] = "json"
        world.relay.script["MAIL"].append(b"451 4.3.0 not now")
        await world.start()
        world.smartico.answers = lambda heard: BROKEN if not heard.before else OK
        email, sms = await world.email(), await world.sms()
        for answer in (email, sms):
            await world.daemon.logged(f"told delivered of {answer.ext_message_id}")
        world.daemon.terminate()
        assert await world.daemon.exit_status() == 0
        lines = [json.loads(line) for line in world.daemon.log.splitlines()]
    assert len(lines) > 10
    for line in lines:
        assert line.keys() >= {"at", "level", "place", "message"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["at"])
    for answer, words in (
        (email, ("leased", "tried again", "sent by", "dsn", "is told again", "told accepted", "told delivered")),
        (sms, ("leased", "sent by", "receipt", "is told again", "told accepted", "told delivered")),
    ):
        told = [line["message"] for line in lines if line.get("message_id") == answer.ext_message_id]
        at = [next((number for number, text in enumerate(told) if word in text), None) for word in words]
        assert None not in at, (words, told)
        assert at[0] == 0, told


@pytest_twisted.ensureDeferred
async def test_at_info_a_message_that_goes_well_is_one_line() -> None:
    """An email's is its relay's answer and not its success report; an SMS's the last receipt of its segments."""
    async with World(reactor) as world:
        world.settings["gatewayd"]["log_level"] = "info"
        await world.start()
        emails = [await world.email() for _ in range(5)]
        texts = [await world.sms(body=body) for body in ("short", "x" * 300)]
        for answer in (*emails, *texts):
            await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        world.daemon.terminate()
        assert await world.daemon.exit_status() == 0
        lines = world.daemon.log.splitlines()
    for answers, words in ((emails, "is sent by main"), (texts, "receipt from world for")):
        for answer in answers:
            (line,) = [line for line in lines if answer.ext_message_id in line]
            assert words in line


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("receipts", ["none", "failure"])
async def test_at_info_an_sms_without_a_receipt_ends_when_it_is_taken(receipts: str) -> None:
    """Nothing more is to come of it: this is its one line. Where failures come by receipt, such a one says so, too."""
    async with World(reactor) as world:
        world.settings["gatewayd"]["log_level"] = "info"
        world.settings["smscs"]["world"]["receipts"] = receipts
        await world.start()
        answers = [await world.sms(body=body) for body in ("short", "x" * 300)]
        for answer in answers:
            await world.smartico.until_heard(answer.ext_message_id, "accepted")
            await world.daemon.logged(answer.ext_message_id)
        world.daemon.terminate()
        assert await world.daemon.exit_status() == 0
        lines = world.daemon.log.splitlines()
    for answer in answers:
        (line,) = [line for line in lines if answer.ext_message_id in line]
        assert "is sent by world" in line


@pytest_twisted.ensureDeferred
async def test_a_flood_of_the_same_warning_is_counted() -> None:
    """A broken file that is read thirty times is twenty lines, and the daemon works on."""
    async with World(reactor) as world:
        await world.start()
        good = world.config.read_text("utf-8")
        world.config.write_text(good.replace("[gatewayd]", "[gatewayd]\nnonsense = 1"), "utf-8")
        for number in range(30):
            world.daemon.hang_up()
            if number < 20:
                await world.daemon.logged("kept as it was: gatewayd.nonsense", times=number + 1)
            await later(0.05)
        answer = await world.sms()
        await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        assert world.daemon.log.count("kept as it was: gatewayd.nonsense") == 20


# Metrics ---------------------------------------------------------------------------------------------------------

_NOT_BASE = re.compile(r"_(milliseconds|ms|minutes|hours|days|kilobytes|percent|count|sum|bucket|counter|gauge)$")


@pytest_twisted.ensureDeferred
async def test_the_metrics_page_is_one_that_promtool_would_pass() -> None:
    """Parsed by the client's own parser: help for each, base units, counters in _total, no label twice."""
    async with World(reactor) as world:
        await world.start()
        for answer in (await world.email(), await world.sms()):
            await world.smartico.until_heard(answer.ext_message_id, *TOLD)
        page = await world.daemon.metrics()
        families = list(text_string_to_metric_families(page))
        assert len({family.name for family in families}) == len(families) > 20
        seen = set()
        for family in families:
            assert family.documentation, family.name
            assert re.fullmatch(r"gatewayd_[a-z][a-z0-9_]*", family.name)
            assert not _NOT_BASE.search(family.name.removesuffix("_total")), family.name
            assert family.type in {"counter", "gauge", "histogram", "info"}, family.name
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                assert key not in seen, key
                seen.add(key)
                assert all(re.fullmatch(r"[a-z_]+", name) for name in sample.labels)
                if family.type == "counter":
                    assert sample.name.endswith(("_total", "_created"))
        assert value(page, "gatewayd_intake_total", label="amazing", channel="email", result="taken") == 1
        assert value(page, "gatewayd_callbacks_total", label="amazing", status="delivered", result="told") == 2


def value(page: str, name: str, **labels: str) -> float:
    """One sample of a metrics page."""
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    raise AssertionError(f"{name} {labels} is not on the page")


@pytest_twisted.ensureDeferred
async def test_all_is_accounted_for_after_chaos() -> None:
    """kill -9, a lost Redis and cut links amid load: accepted is final plus in flight, and in the end nothing waits."""
    behaviour = Behaviour(answer_delay=0.02, receipt_delay=0.2)
    async with World(reactor, players=300, behaviour=behaviour) as world:
        world.label["sms_deadline"] = "15s"
        await world.start()
        ids: set[str] = set()

        async def post(number: int) -> None:
            channel = world.sms if number % 3 else world.email
            uid = {"im_uid" if number % 3 else "email_uid": f"chaos-{number}"}
            while True:
                try:
                    answer = await channel(f"p{number}", **uid)
                except Exception:
                    await later(0.1)
                    continue
                if answer.error_code == 0:
                    ids.add(answer.ext_message_id)
                    return
                await later(0.1)

        async def caller(first: int) -> None:
            for number in range(first, 301, 6):
                await post(number)

        load = DeferredList([Deferred.fromCoroutine(caller(first)) for first in range(1, 7)], fireOnOneErrback=True)
        await world.smsc.until(lambda: len(world.smsc.submits) >= 30)
        world.daemon.kill()
        await world.daemon.start()
        await world.smsc.until(lambda: len(world.smsc.submits) >= 70)
        world.redis.kill()
        await later(0.5)
        await world.redis.start()
        await world.smsc.until(lambda: len(world.smsc.submits) >= 110)
        world.smsc.reset()
        world.relay.drop_all()
        await load
        assert len(ids) == 300
        final = {"delivered", "failed", "rejected"}
        await until(
            lambda: {heard.ext_message_id for heard in world.smartico.heard if heard.status in final} >= ids, 60
        )
        await world.idle("email", "sms", "reports", seconds=30)
        page = await world.daemon.metrics()
        accepted = 0.0
        for channel in ("email", "sms"):
            assert value(page, "gatewayd_unreconciled_messages", channel=channel) == 0
            assert value(page, "gatewayd_unaccounted_messages", label="amazing", channel=channel) == 0
            accepted += value(page, "gatewayd_messages_accepted_total", label="amazing", channel=channel)
            ends = [
                value(page, "gatewayd_messages", label="amazing", channel=channel, state=state)
                for state in ("waiting", "sent", "delivered", "failed", "rejected")
            ]
            assert sum(ends) == value(page, "gatewayd_messages_accepted_total", label="amazing", channel=channel)
            assert ends[:2] == [0, 0]
        assert accepted == 300

"""CONTRACT.md over time: signals, kills, Redis away, several processes, and the operator's commands."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fair_clock import Stretch
from outside import SECRET, Daemon, Outside, Smartico, Smsc, command, environment, free_port, until


@pytest.fixture
def world() -> Iterator[Outside]:
    """A world that is not started yet."""
    with Outside() as world:
        yield world


@pytest.fixture(scope="module")
def shared() -> Iterator[Outside]:
    """One that runs, for what breaks nothing."""
    with Outside() as world:
        world.label["preview_domains"] = ["amazing.co"]
        world.settings["labels"]["other"] = world.label | {"api_key": "other"}
        world.start()
        yield world


def admin(world: Outside, path: str) -> Any:
    """GET from the admin listener."""
    return world.http("GET", path, port=world.admin)


# ── admin ──


def test_health_and_readiness(shared: Outside) -> None:
    """200, JSON from /readyz."""
    assert admin(shared, "/healthz").status == 200
    reply = admin(shared, "/readyz")
    assert reply.status == 200
    json.loads(reply.body)


def test_metrics_begin_with_gatewayd(shared: Outside) -> None:
    """Prometheus text; every name of ours."""
    shared.sms()
    reply = admin(shared, "/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain")
    names = {
        re.split(r"[{ ]", line)[0] for line in reply.body.decode().splitlines() if line and not line.startswith("#")
    }
    assert names
    assert all(name.startswith("gatewayd_") for name in names), names


STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def test_the_shape_of_messages(shared: Outside) -> None:
    """Exactly the contract's keys; by id and by uid; times in ISO 8601 UTC with milliseconds; 404 for others."""
    fields = shared.sms_fields()
    found = shared.post("/amazing/sms", fields).json["ext_message_id"]
    shared.until_heard(found, "accepted", "delivered")
    until(lambda: all(report["answered_at"] for report in shared.message(found)["reports"]))
    shape = shared.message(found)
    assert set(shape) == {"ext_message_id", "uid", "label", "channel", "ext_user_id", "state", "reports", "timeline"}
    assert {key: shape[key] for key in ("ext_message_id", "uid", "label", "channel", "ext_user_id", "state")} == {
        "ext_message_id": found,
        "uid": fields["im_uid"],
        "label": "amazing",
        "channel": "sms",
        "ext_user_id": "anna",
        "state": "delivered",
    }
    assert [report["status"] for report in shape["reports"]] == ["accepted", "delivered"]
    for report in shape["reports"]:
        assert set(report) == {"status", "at", "answered_at"}
        assert STAMP.fullmatch(report["at"])
        assert STAMP.fullmatch(report["answered_at"])
    assert shape["timeline"]
    assert all(STAMP.fullmatch(entry["at"]) and entry["event"] for entry in shape["timeline"])
    assert shared.message(fields["im_uid"]) == shape
    for unknown in ("nothing", str(uuid.uuid4()), "a%2Fb", "%00"):
        assert admin(shared, f"/messages/{unknown}").status == 404
    email = shared.email_fields()
    shared.post("/amazing/email", email)
    until(lambda: shared.state(email["email_uid"]) == "sent")
    assert shared.message(email["email_uid"])["channel"] == "email"


def test_a_good_message_is_one_line_in_the_log(world: Outside) -> None:
    """At level info, when it ends; a refused request is a line, too, and so is what went wrong before."""
    world.start()
    mail, sms = world.email()["ext_message_id"], world.sms()["ext_message_id"]
    world.until_heard(mail, "accepted")
    world.until_heard(sms, "accepted", "delivered")
    world.idle()
    lines = world.daemon.log.read_text().splitlines()
    for found, words in ((mail, "is sent by main"), (sms, "receipt from world")):
        (line,) = [line for line in lines if found in line]
        assert words in line
    world.post("/amazing/sms", world.sms_fields(), {"Authorization": "wrong"})
    world.daemon.logged("the Authorization header is none of the label's")


def test_the_admin_socket_is_for_its_group(world: Outside) -> None:
    """Mode 0660, so that not every user of the host may pause, suppress and erase; gatewayctl asks through it."""
    path = world.directory / "admin.sock"
    world.settings["admin"]["listen"].append(f"unix:{path}")
    world.start()
    assert path.stat().st_mode & 0o777 == 0o660
    world.settings["admin"]["listen"] = [f"unix:{path}"]
    world.write()
    assert world.ctl("status").returncode == 0


def test_the_dashboard_is_a_page(shared: Outside) -> None:
    """HTML, nothing of the api there."""
    reply = admin(shared, "/")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/html")
    assert admin(shared, "/amazing/email").status == 404


# ── gatewayctl ──


def test_status(shared: Outside) -> None:
    """Text, and JSON with --json before or behind the verb."""
    run = shared.ctl("status")
    assert run.returncode == 0
    for word in ("email", "sms", "main", "world"):
        assert word in run.stdout
    for words in (("status", "--json"), ("--json", "status")):
        run = shared.ctl(*words)
        assert run.returncode == 0, run
        json.loads(run.stdout)


def test_trace(shared: Outside) -> None:
    """By id and by uid; no address; JSON; 1 for what is not known."""
    fields = shared.sms_fields()
    found = shared.post("/amazing/sms", fields).json["ext_message_id"]
    shared.until_heard(found, "accepted", "delivered")
    for name in (found, fields["im_uid"]):
        run = shared.ctl("trace", name)
        assert run.returncode == 0
        assert found in run.stdout
        assert "delivered" in run.stdout
        assert "447700900101" not in run.stdout
        assert "Get the offer" not in run.stdout
        run = shared.ctl("trace", name, "--json")
        assert json.loads(run.stdout)["ext_message_id"] == found
    assert shared.ctl("trace", "nothing").returncode == 1


@pytest.mark.parametrize("channel", ["email", "sms", ""])
def test_suppress_and_unsuppress(shared: Outside, channel: str) -> None:
    """One channel or both; of one label; activity_type passes."""
    words = ["--channel", channel] if channel else []
    run = shared.ctl("suppress", "amazing", "ben", *words)
    assert run.returncode == 0, run
    wanted = {"email": 5 if channel in ("email", "") else 0, "sms": 5 if channel in ("sms", "") else 0}
    assert shared.email(ext_user_id="ben")["error_code"] == wanted["email"]
    assert shared.sms(ext_user_id="ben")["error_code"] == wanted["sms"]
    assert shared.post("/other/sms", shared.sms_fields(ext_user_id="ben")).json["error_code"] == 0
    assert shared.email(ext_user_id="ben", activity_type="EmailCustomerSupport")["error_code"] == 0
    assert shared.ctl("unsuppress", "amazing", "ben").returncode == 0
    assert shared.email(ext_user_id="ben")["error_code"] == 0
    assert shared.sms(ext_user_id="ben")["error_code"] == 0


def test_verbs_on_an_unknown_label_fail(shared: Outside) -> None:
    """Exit status 1 or 2, said why, nothing done."""
    for words in (
        ("suppress", "nothing", "x"),
        ("unsuppress", "nothing", "x"),
        ("pause", "nothing"),
        ("resume", "nothing"),
        ("erase", "nothing", "x"),
    ):
        run = shared.ctl(*words)
        assert run.returncode in (1, 2), words
        assert "nothing" in run.stderr + run.stdout
        assert "Traceback" not in run.stderr


def others_go_on(world: Outside) -> None:
    """An SMS and an email of the other label are refused once and go out then: every queue was looked at meanwhile."""
    sms = world.post("/other/sms", world.sms_fields(body=uuid.uuid4().hex)).json["ext_message_id"]
    refused: list[Any] = []

    def later(submit: Any) -> None:
        refused.append(submit)
        world.smsc.ok(submit, 0x58)
        world.smsc.submitted = world.smsc.deliver_at_once

    def busy(address: str) -> str:
        refused.append(address)
        world.relay.mail = lambda _: ""
        return "451 4.3.0 later"

    world.until_heard(sms, "accepted", "delivered")
    world.smsc.submitted, world.relay.mail = later, busy
    sms, email = (
        world.post(f"/other/{kind}", fields).json["ext_message_id"]
        for kind, fields in (("sms", world.sms_fields()), ("email", world.email_fields()))
    )
    world.until_heard(sms, "accepted", "delivered")
    world.until_heard(email, "accepted")
    assert len(refused) == 2


def test_pause_and_resume(shared: Outside) -> None:
    """From the command's end accepted messages wait, while others go at their second try; resumed, they go."""
    assert shared.ctl("pause", "amazing", "--channel", "sms").returncode == 0
    waiting = shared.sms()
    assert waiting["error_code"] == 0
    others_go_on(shared)
    shared.until_heard(shared.email()["ext_message_id"], "accepted")
    assert shared.smartico.statuses(waiting["ext_message_id"]) == []
    assert shared.state(waiting["ext_message_id"]) == "queued"
    assert shared.ctl("pause", "amazing").returncode == 0
    mail = shared.email()
    others_go_on(shared)
    assert shared.smartico.statuses(mail["ext_message_id"]) == []
    assert shared.state(mail["ext_message_id"]) == "queued"
    assert shared.ctl("resume", "amazing").returncode == 0
    shared.until_heard(waiting["ext_message_id"], "accepted", "delivered", seconds=10)
    shared.until_heard(mail["ext_message_id"], "accepted", seconds=10)


def test_pause_is_kept_over_a_restart(world: Outside) -> None:
    """The kill switch stays on, for that label."""
    world.settings["labels"]["other"] = world.label | {"api_key": "other"}
    world.start()
    assert world.ctl("pause", "amazing").returncode == 0
    world.daemon.terminate()
    world.daemon.start()
    answer = world.sms()
    others_go_on(world)
    assert world.smartico.statuses(answer["ext_message_id"]) == []
    assert world.ctl("resume", "amazing").returncode == 0
    world.until_heard(answer["ext_message_id"], "accepted", "delivered", seconds=10)


def test_erase(shared: Outside) -> None:
    """Waiting messages are reported failed; ext_user_id, content and timeline are gone; told what was removed."""
    player = "abroad"
    done = shared.sms(ext_user_id=player)
    shared.until_heard(done["ext_message_id"], "accepted", "delivered")
    assert shared.ctl("pause", "amazing").returncode == 0
    waiting = shared.sms(ext_user_id=player, body="erase-canary-text")
    assert "erase-canary-text" in shared.everything_in_redis()
    run = shared.ctl("erase", "amazing", player)
    assert run.returncode == 0
    assert run.stdout.strip()
    shared.until_heard(waiting["ext_message_id"], "failed")
    until(lambda: player not in shared.everything_in_redis(), 5)
    assert "erase-canary-text" not in shared.everything_in_redis()
    assert shared.ctl("resume", "amazing").returncode == 0
    run = shared.ctl("erase", "amazing", player, "--json")
    assert run.returncode == 0
    json.loads(run.stdout)
    assert shared.sms(ext_user_id=player)["error_code"] == 0


def test_dead_letters_empty(shared: Outside) -> None:
    """A list, with JSON; retry and drop of nothing fail."""
    assert shared.ctl("dead-letters").returncode == 0
    run = shared.ctl("dead-letters", "list", "--json")
    assert run.returncode == 0
    assert json.loads(run.stdout) is not None
    assert shared.ctl("dead-letters", "retry", str(uuid.uuid4())).returncode == 1
    assert shared.ctl("dead-letters", "drop", str(uuid.uuid4())).returncode == 1


def test_check_connects_to_everything(shared: Outside) -> None:
    """A line each, exit status 0; 1 where one fails, and which."""
    run = shared.ctl("check", seconds=90)
    assert run.returncode == 0, run.stdout + run.stderr
    for word in ("redis", "players", "main", "world", "127.0.0.1"):
        assert word in run.stdout.lower(), run.stdout
    path = shared.directory / "broken.toml"
    shared.write(path, relays={"main": {"host": "127.0.0.1", "port": free_port()}})
    run = shared.ctl("check", config=path, seconds=90)
    assert run.returncode == 1
    assert "main" in run.stdout


def test_a_verb_without_a_daemon_fails(world: Outside) -> None:
    """Exit status 1, one line, no traceback."""
    world.write()
    for words in (("status",), ("trace", "x"), ("pause", "amazing")):
        run = world.ctl(*words)
        assert run.returncode == 1
        assert "Traceback" not in run.stderr
        assert run.stderr.strip()


# ── dead letters and callbacks that fail for long are not waited for here: 48 hours ──


# ── signals ──


def test_sigterm_drains(world: Outside) -> None:
    """New requests are refused or not connected; a submit on the wire gets its slow answer; then exit status 0."""
    world.smsc.submitted = lambda submit: None
    world.start()
    found = world.sms()["ext_message_id"]
    until(lambda: world.smsc.submits)
    world.daemon.signal(signal.SIGTERM)
    told = time.time()

    def refuses() -> bool:
        with suppress(OSError):
            return bool(world.sms()["error_code"] == 10)
        return True

    until(refuses)
    until(lambda: time.time() > told + 2)
    assert world.daemon.ended is None
    world.smsc.ok(world.smsc.submits[0])
    assert world.daemon.process is not None
    assert world.daemon.process.wait(5) == 0
    assert world.smsc.unbinds == 1
    world.smsc.submitted = world.smsc.deliver_at_once
    world.daemon.start()
    world.until_heard(found, "accepted")
    assert len(world.smsc.submits) == 1


def test_sigterm_does_not_wait_for_ever(world: Outside) -> None:
    """An answer that never comes: at most 20 s and a little, exit status 0; uncertain afterwards, not sent again."""
    world.smsc.submitted = lambda submit: None
    world.start()
    found = world.sms(body="only once")["ext_message_id"]
    until(lambda: world.smsc.submits)
    stretch = Stretch()
    assert world.daemon.terminate() == 0
    assert stretch.seconds() < 25
    world.smsc.submitted = world.smsc.deliver_at_once
    world.settings["labels"]["other"] = world.label | {"api_key": "other"}
    world.start()
    others_go_on(world)
    assert world.state(found) == "uncertain"
    assert world.smartico.statuses(found) == []
    assert [submit.text for submit in world.smsc.submits].count("only once") == 1


def test_sighup_reads_the_configuration_again(world: Outside) -> None:
    """Secrets, allow-lists, labels and rates change; no link is dropped; a broken file changes nothing."""
    world.start()
    assert world.sms()["error_code"] == 0
    binds = len(world.smsc.binds)
    world.settings["labels"] = {
        "amazing": world.label | {"authorization": ["new"], "email_senders": ["*@new.co"]},
        "second": world.label | {"allow_from": ["203.0.113.0/24"]},
    }
    world.settings["smscs"]["world"]["rate"] = "500/s"
    world.write()
    world.daemon.signal(signal.SIGHUP)
    until(lambda: world.sms()["error_code"] == 4, 10)
    assert world.post("/amazing/sms", world.sms_fields(), {"Authorization": "new"}).json["error_code"] == 0
    assert world.post("/amazing/email", world.email_fields(), {"Authorization": "new"}).json["error_code"] == 6
    assert world.post("/second/sms", world.sms_fields()).status == 403
    world.config.write_text("[gatewayd]\nnonsense = 1\n")
    world.daemon.signal(signal.SIGHUP)
    world.daemon.logged("gatewayd.nonsense")
    found = world.post("/amazing/sms", world.sms_fields(), {"Authorization": "new"}).json["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")
    assert len(world.smsc.binds) == binds


def test_the_backlog_of_what_was_taken_out_of_the_file_waits(world: Outside) -> None:
    """A label, a relay and a route that are gone reject nothing; their messages go out once the file has them again."""
    world.start()
    world.relay.stop()
    world.smsc.stop()
    until(lambda: admin(world, "/readyz").status == 503, 10)
    waiting = [world.email()["ext_message_id"], world.sms()["ext_message_id"]]
    whole = dict(world.label)
    for less in ({"relays": [], "sms_routes": []}, None):
        world.settings["labels"] = {"amazing": whole | less} if less else {"other": whole}
        world.write()
        reloads = world.daemon.log.read_text().count("was read again")
        world.daemon.signal(signal.SIGHUP)
        until(lambda reloads=reloads: world.daemon.log.read_text().count("was read again") > reloads, 10)
        word = "has no email route" if less else "in the configuration no more"
        until(lambda word=word: word in str(world.message(waiting[0])["timeline"]), 20)
        assert [world.state(found) for found in waiting] == ["queued", "queued"]
    world.relay.start()
    world.smsc.start()
    world.settings["labels"] = {"amazing": whole}
    world.write()
    world.daemon.signal(signal.SIGHUP)
    world.until_heard(waiting[0], "accepted", seconds=15)
    world.until_heard(waiting[1], "accepted", "delivered", seconds=15)


def test_what_is_stored_of_a_label_that_was_taken_out_can_be_found_and_erased(world: Outside) -> None:
    """By Smartico's uid and by the player's id, while it waits for the label's return; a mistyped label is none."""
    world.start()
    assert world.ctl("pause", "amazing").returncode == 0
    fields = world.sms_fields(im_uid="left-behind")
    found = world.post("/amazing/sms", fields).json["ext_message_id"]
    world.settings["labels"] = {"other": dict(world.label)}
    world.write()
    world.daemon.signal(signal.SIGHUP)
    world.daemon.logged("the configuration was read again")
    player = str(fields["ext_user_id"])
    assert json.loads(world.ctl("trace", "left-behind", "--json").stdout)["ext_message_id"] == found
    assert found in world.ctl("export", "amazing", player).stdout
    for words in (["suppress", "amazing", player], ["stops", "amazing"], ["pause", "amazing"], ["resume", "amazing"]):
        done = world.ctl(*words)
        assert done.returncode == 0, done.stderr
    mistyped = world.ctl("erase", "amazin", player)
    assert mistyped.returncode == 1
    assert "did you mean amazing?" in mistyped.stderr
    assert json.loads(world.ctl("erase", "amazing", player, "--json").stdout)["removed"] == 1
    assert json.loads(world.ctl("export", "amazing", player).stdout)["messages"] == []
    told = world.message(found)
    assert (told["uid"], told["ext_user_id"], told["state"]) == ("", "", "failed")
    assert world.ctl("unsuppress", "amazing", player).returncode == 0


def test_sighup_adds_ways_out_and_removes_them(world: Outside) -> None:
    """A new SMSC is bound, one that is gone is unbound, the other stays."""
    more = Smsc()
    world.peers.append(more)
    world.start()
    world.settings["smscs"]["more"] = world.settings["smscs"]["world"] | {"port": more.port}
    world.label["sms_routes"] = [{"prefix": "", "via": ["more", "world"]}]
    world.write()
    world.daemon.signal(signal.SIGHUP)
    until(lambda: more.links, 10)
    found = world.sms()["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")
    assert len(more.submits) == 1
    del world.settings["smscs"]["more"]
    world.label["sms_routes"] = [{"prefix": "", "via": ["world"]}]
    world.write()
    world.daemon.signal(signal.SIGHUP)
    until(lambda: more.unbinds, 10)
    assert len(world.smsc.binds) == 1


def test_kill_9_and_restart(world: Outside) -> None:
    """Nothing that was answered with 0 is lost; each status at least once; the uid is remembered."""
    world.start()
    uids = [uuid.uuid4().hex for _ in range(60)]
    answers: dict[str, str] = {}

    def post(number: int) -> None:
        for uid in uids[number::4]:
            with suppress(OSError):
                fields = world.sms_fields(im_uid=uid, body=uid)
                answer = world.post("/amazing/sms", fields).json
                if answer["error_code"] == 0:
                    answers[uid] = answer["ext_message_id"]

    threads = [threading.Thread(target=post, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) > 20)
    world.daemon.kill()
    for thread in threads:
        thread.join()
    world.daemon.start()
    for uid, found in list(answers.items()):
        assert world.sms(im_uid=uid, body=uid)["ext_message_id"] == found
    # A receipt that the daemon had not answered when it was killed comes again, as from any SMSC.
    for submit in list(world.smsc.submits):
        world.smsc.receipt(submit)

    def is_told_or_held(found: str) -> bool:
        return set(world.smartico.statuses(found)) >= {"accepted", "delivered"} or world.state(found) == "uncertain"

    until(lambda: all(map(is_told_or_held, answers.values())), 30)
    # What was marked and is still on its way to the wire looks held as well: it is out before one that comes later.
    world.until_heard(world.sms(body="one more")["ext_message_id"], "accepted", "delivered")
    until(lambda: all(map(is_told_or_held, answers.values())), 30)
    texts = [submit.text for submit in world.smsc.submits]
    assert len(texts) == len(set(texts))


# ── Redis away ──


def refused_for_now(world: Outside) -> None:
    """An SMS and an email at the same time: each hears try_again within 5 s, and the daemon is healthy meanwhile."""
    stretch = Stretch()
    with ThreadPoolExecutor() as callers:
        answers = [callers.submit(post) for post in (world.sms, world.email)]
        assert admin(world, "/healthz").status == 200
        assert [answer.result()["error_code"] for answer in answers] == [10, 10]
    assert stretch.seconds() < 5


def test_redis_down_is_try_again_within_5_s_and_comes_back_within_5_s(world: Outside) -> None:
    """try_again, stored nothing; /readyz follows within 10 s; once Redis is back the same uid is taken."""
    world.start()
    world.stop_redis()
    refused_for_now(world)
    fields = world.sms_fields()
    assert world.post("/amazing/sms", fields).json["error_code"] == 10
    until(lambda: admin(world, "/readyz").status == 503, 10)
    assert json.loads(admin(world, "/readyz").body)["reasons"]
    world.start_redis()
    # Other content under the uid that was refused: nothing was stored of it.
    fields |= {"body": "x"}
    until(lambda: world.post("/amazing/sms", fields).json["error_code"] == 0, 5.5)
    until(lambda: admin(world, "/readyz").status == 200, 10)


def test_a_port_that_another_program_has_ends_the_start_with_one_line(world: Outside) -> None:
    """The log names the endpoint and the system's reason, without a traceback; the exit status is 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        world.settings["api"]["listen"] = [f"tcp:{port}:interface=127.0.0.1"]
        world.write()
        ran = subprocess.run(
            [command("twistd"), "-n", "--pidfile=", "gatewayd", "--config", str(world.daemon.config)],
            capture_output=True,
            text=True,
            timeout=300,
            env=environment(),
            cwd=world.directory,
            check=False,
        )
    assert ran.returncode == 1
    printed = ran.stdout + ran.stderr
    assert re.search(rf"can't listen on tcp:{port}:interface=127\.0\.0\.1: .*Address already in use", printed)
    assert "Traceback" not in printed


def test_a_redis_that_hangs_is_try_again_within_5_s_and_stores_nothing_that_was_refused(world: Outside) -> None:
    """SIGSTOP: it takes connections and answers nothing. The uids are free for other content once it goes on."""
    world.start()
    assert world.redis.process is not None
    # Redis knows the script from now on: it would run it.
    world.until_heard(world.sms()["ext_message_id"], "accepted", "delivered")
    fields = world.sms_fields()
    world.redis.process.send_signal(signal.SIGSTOP)
    try:
        assert world.post("/amazing/sms", fields).json["error_code"] == 10
        refused_for_now(world)
        until(lambda: admin(world, "/readyz").status == 503, 10)
    finally:
        world.redis.process.send_signal(signal.SIGCONT)
    fields |= {"body": "other content"}
    answer = until(lambda: [one for one in [world.post("/amazing/sms", fields).json] if one["error_code"] != 10], 5)[0]
    assert answer["error_code"] == 0
    world.until_heard(answer["ext_message_id"], "accepted", "delivered")
    assert [submit.content for submit in world.smsc.submits[1:]] == [b"other content"]


def test_starts_without_redis_and_finds_it_later(world: Outside) -> None:
    """Healthy, not ready; then ready."""
    world.stop_redis()
    world.write()
    world.daemon.start(ready=False)
    assert admin(world, "/readyz").status == 503
    assert world.sms()["error_code"] == 10
    world.start_redis()
    until(lambda: admin(world, "/readyz").status == 200, 15)
    found = world.sms()["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")


def test_readyz_follows_the_ways_out_within_10_s(world: Outside) -> None:
    """A relay or an SMSC that goes away, and comes back; the first new try within 5 s."""
    world.start()
    for peer, word in ((world.smsc, "sms"), (world.relay, "email")):
        peer.stop()
        until(lambda: admin(world, "/readyz").status == 503, 10)
        assert word in admin(world, "/readyz").body.decode()
        peer.start()
        until(lambda: admin(world, "/readyz").status == 200, 10)


def test_the_high_water_mark(world: Outside) -> None:
    """Past max_queued: error_code 10, nothing stored; below it again: taken."""
    world.settings["redis"]["max_queued"] = 5
    world.smsc.stop()
    world.write()
    world.daemon.start(ready=False)
    until(lambda: world.sms()["error_code"] == 0)
    codes = [world.sms()["error_code"] for _ in range(10)]
    assert codes == [0] * 4 + [10] * 6
    world.smsc.start()
    until(lambda: world.sms()["error_code"] == 0, 15)


# ── directories ──


def test_a_directory_that_is_down_or_slow_does_not_refuse(world: Outside) -> None:
    """Taken within 5 s, resolved at delivery; `rejected` if the player is unknown then."""
    moved = world.database.with_name("moved.db")
    world.start()
    world.database.rename(moved)
    world.database.mkdir()
    stretch = Stretch()
    known, unknown = world.sms(), world.sms(ext_user_id="nobody")
    assert stretch.seconds() < 10
    assert (known["error_code"], unknown["error_code"]) == (0, 0)
    for answer in (known, unknown):
        # Tried at delivery, and put off.
        until(lambda answer=answer: len(world.message(answer["ext_message_id"])["timeline"]) > 1)
        assert world.state(answer["ext_message_id"]) == "queued"
    assert world.smartico.heard == []
    world.database.rmdir()
    moved.rename(world.database)
    world.until_heard(known["ext_message_id"], "accepted", "delivered", seconds=15)
    world.until_heard(unknown["ext_message_id"], "rejected", seconds=15)


def test_a_locked_database_does_not_hold_up_the_answer(world: Outside) -> None:
    """Slow: the answer comes within 5 s all the same."""
    world.start()
    lock = sqlite3.connect(world.database, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    stretch = Stretch()
    answer = world.sms()
    assert answer["error_code"] == 0
    assert stretch.seconds() < 5
    lock.execute("ROLLBACK")
    lock.close()
    world.until_heard(answer["ext_message_id"], "accepted", "delivered", seconds=15)


def test_an_http_directory(world: Outside) -> None:
    """JSON with the columns' names; 404: not known; 500: taken; its Authorization; the id is quoted into the path."""
    pam = Smartico()
    world.peers.append(pam)
    records = {
        "/players/anna": (200, {"email": "anna@pam.example", "phone": "+447700900555"}),
        "/players/out": (200, {"email": "out@pam.example", "phone": "+447700900556", "opted_out": True}),
        "/players/a%20b%3F": (200, {"email": "odd@pam.example", "phone": "07700 900557"}),
        "/players/down": (500, {}),
    }
    seen: list[str] = []
    goes_on = threading.Event()

    def answer(heard: Any) -> tuple[int, bytes, dict[str, str]]:
        seen.append(heard.headers.get("Authorization", ""))
        if heard.target == "/players/hangs":
            goes_on.wait(60)
        status, record = records.get(heard.target, (404, {}))
        return status, json.dumps(record).encode(), {}

    pam.answer = answer
    world.settings["directories"]["pam"] = {
        "type": "http",
        "url": f"http://127.0.0.1:{pam.port}/players/{{ext_user_id}}",
        "authorization": "pam-secret",
        "default_region": "GB",
    }
    world.label["directory"] = "pam"
    world.start()
    found = world.sms()["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")
    assert world.smsc.submits[0].dest == "447700900555"
    assert world.sms(ext_user_id="nobody")["error_code"] == 1
    assert world.sms(ext_user_id="out")["error_code"] == 5
    assert world.sms(ext_user_id="a b?")["error_code"] == 0
    for other_path in ("../admin", "a/b", "a\\b", ".."):
        assert world.sms(ext_user_id=other_path)["error_code"] == 1, "it could be another path to some server"
    down = world.sms(ext_user_id="down")
    stretch = Stretch()
    hangs = world.email(ext_user_id="hangs")
    assert stretch.seconds() < 5
    assert (down["error_code"], hangs["error_code"]) == (0, 0)
    records["/players/down"] = records["/players/hangs"] = records["/players/anna"]
    goes_on.set()
    world.until_heard(down["ext_message_id"], "accepted", "delivered")
    world.until_heard(hangs["ext_message_id"], "accepted")
    assert set(seen) == {"pam-secret"}


# ── several processes ──


def test_two_instances_share_a_port(world: Outside) -> None:
    """reuse_port, --instance, {instance}; each uid once, whichever takes it; one goes, the other goes on."""
    world.settings["gatewayd"]["log_level"] = "debug"
    world.settings["api"]["reuse_port"] = True
    world.settings["admin"]["listen"] = [f"unix:{world.directory}/admin-{{instance}}.sock"]
    world.settings["public"]["listen"] = [f"unix:{world.directory}/public-{{instance}}.sock"]
    world.settings["bounces"]["listen"] = [f"unix:{world.directory}/lmtp-{{instance}}.sock"]
    world.write()
    daemons = [Daemon(world, world.config, world.api, 0, "--instance", name) for name in ("one", "two")]
    world.daemons += daemons
    for daemon, name in zip(daemons, ("one", "two"), strict=True):
        daemon.spawn()
        until((world.directory / f"admin-{name}.sock").exists, 20)
    until(lambda: len(world.smsc.links) == 2, 20)

    def healthy(name: str) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"{world.directory}/admin-{name}.sock")
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(1000).startswith(b"HTTP/1.1 200")

    for name in ("one", "two"):
        until(lambda name=name: healthy(name), 10)
    fields = [world.sms_fields(body=uuid.uuid4().hex) for _ in range(40)]
    ids = {}
    for _ in range(2):
        for one in fields:
            answer = world.post("/amazing/sms", one).json
            assert answer["error_code"] == 0
            assert ids.setdefault(one["im_uid"], answer["ext_message_id"]) == answer["ext_message_id"]
    for found in ids.values():
        until(lambda found=found: world.smartico.statuses(found) == ["accepted", "delivered"])
    assert len(world.smsc.submits) == 40
    assert all("leased" in daemon.log.read_text() or "stored" in daemon.log.read_text() for daemon in daemons)
    assert world.ctl("--instance", "one", "status").returncode == 0
    assert daemons[0].terminate() == 0
    for _ in range(10):
        found = world.sms()["ext_message_id"]
        world.until_heard(found, "accepted", "delivered")


def test_a_process_that_works_on_nothing_but_its_listeners(world: Outside) -> None:
    """work = [] on one, the other sends: what the first takes the second delivers, by its own name at the SMSC."""
    world.settings["gatewayd"]["work"] = []
    world.start(ready=False)
    found = world.sms()["ext_message_id"]
    world.settings["smscs"]["world"]["system_id"] = "gw2"
    api, port = free_port(), free_port()
    other = world.directory / "other.toml"
    world.write(
        other,
        gatewayd=world.settings["gatewayd"] | {"instance": "gw2", "work": ["email", "sms", "reports"]},
        api={"listen": [f"tcp:{api}:interface=127.0.0.1"]},
        admin={"listen": [f"tcp:{port}:interface=127.0.0.1"]},
        public={"listen": [f"tcp:{free_port()}:interface=127.0.0.1"], "base_url": "https://go.amazing.co"},
        bounces={"listen": [f"tcp:{free_port()}:interface=127.0.0.1"], "domain": "bounces.amazing.co"},
    )
    daemon = Daemon(world, other, api, port)
    world.daemons.append(daemon)
    daemon.start()
    world.told(found, "accepted", "delivered")
    assert [submit.link.system_id for submit in world.smsc.submits] == ["gw2"]


def test_the_sandbox(world: Outside) -> None:
    """--once: exit status 0, both channels delivered; --messages prints the rate; --dir keeps its files."""
    where = world.directory / "box"
    for words in (["--once"], ["--once", "--messages", "20", "--dir", str(where)]):
        run = subprocess.run(
            [command("gatewayctl"), "sandbox", *words],
            capture_output=True,
            text=True,
            env=environment(),
            timeout=300,
            check=False,
            cwd=world.directory,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert "delivered" in run.stdout
    assert "messages a second" in run.stdout
    assert any(where.iterdir())


def sandbox(world: Outside, *words: str, **options: Any) -> "subprocess.Popen[str]":
    """A running sandbox."""
    return subprocess.Popen(
        [command("gatewayctl"), "sandbox", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(),
        cwd=world.directory,
        **options,
    )


def test_the_sandbox_for_programs(world: Outside) -> None:
    """--json: one object with what came of the round trip and each step; where it can't begin, the reason."""
    run = sandbox(world, "--once", "--json")
    told = json.loads(run.communicate(timeout=300)[0])
    assert (run.returncode, told["worked"], told["messages"]) == (0, True, 2)
    parts = {"redis", "relay", "smsc", "vendor", "inbox", "players", "smartico", "gatewayd"}
    assert parts == {step["who"] for step in told["steps"]}
    (world.directory / "file").touch()
    run = sandbox(world, "--once", "--json", "--dir", "file/box")
    told = json.loads(run.communicate(timeout=300)[0])
    assert (run.returncode, told["worked"]) == (1, False)
    assert told["reason"].startswith("cannot make ")


def test_ctrl_c_ends_a_sandbox_that_a_script_has_put_behind_itself(world: Outside) -> None:
    """Shells start such jobs deaf to SIGINT; the curl line works until then; a second signal is as quiet; status 0."""
    run = sandbox(world, "--json", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert run.stdout is not None
    told = json.loads(run.stdout.readline())
    path = os.pathsep.join((os.environ["PATH"], str(Path(__file__).parent / "stand_in")))
    env = os.environ | {"PATH": path}
    answers = {subprocess.check_output(told["curl"], shell=True, stderr=subprocess.DEVNULL, env=env) for _ in range(2)}
    assert len(answers) == 1
    assert json.loads(answers.pop())["error_code"] == 0
    # Two at once, whatever the machine does meanwhile; the same one twice would come as one.
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        run.send_signal(number)
    for line in run.communicate(timeout=300)[0].splitlines():
        assert json.loads(line)["who"]
    assert run.returncode == 0


def test_the_log_never_shows_what_is_private(world: Outside) -> None:
    """Text and JSON; the canaries are an address, a number, a secret, content, the key and the callback."""
    world.settings["gatewayd"]["log"] = "json"
    world.relay.rcpt = lambda address: f"550 5.1.1 <{address}>: no such user"
    world.start()
    world.email(subject="canary-subject", body="canary-body", text_body="canary-text")
    found = world.sms(body="canary-sms")["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")
    until(lambda: "rejected" in [heard.status for heard in world.smartico.heard])
    text = world.daemon.log.read_text() + world.everything_in_redis() + admin(world, "/metrics").body.decode()
    for line in world.daemon.log.read_text().splitlines():
        json.loads(line)
    for canary in ("anna@players", "7700900101", SECRET, "canary-", "48a8-11ee", "smppsec", "0123456789abcdef"):
        assert canary not in text, canary
    assert f":{world.smartico.port}/cb" not in world.daemon.log.read_text()


def test_a_raised_rate_is_felt_at_once(world: Outside) -> None:
    """SIGHUP: what waits because of the old rate goes at the new one, not in half a minute."""
    world.settings["smscs"]["world"]["rate"] = "2/s"
    world.start()
    began = time.time()
    ids = [world.sms()["ext_message_id"] for _ in range(60)]
    until(lambda: len(world.smsc.submits) >= 3)
    assert len(world.smsc.submits) <= 3 + 2 * (time.time() - began)
    world.settings["smscs"]["world"]["rate"] = "500/s"
    world.write()
    world.daemon.signal(signal.SIGHUP)
    until(lambda: len(world.smsc.submits) == 60)
    for found in ids:
        world.until_heard(found, "accepted", "delivered")

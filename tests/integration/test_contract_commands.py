"""CONTRACT.md's admin listener, log and gatewayctl: what an operator asks of a daemon, and what it shows of itself."""

import json
import re
import uuid
from collections.abc import Iterator

import pytest
from outside import SECRET, Outside, free_port, until
from outside_life import admin, others_go_on


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


def test_the_admin_socket_is_for_its_group(world: Outside) -> None:
    """Mode 0660 or less, so that not every user of the host may pause, suppress and erase; gatewayctl asks by it."""
    path, open_to_all, own = (world.directory / f"{name}.sock" for name in ("admin", "open", "own"))
    listens = [f"unix:{path}", f"unix:address={open_to_all}:mode=777", f"unix:{own}:mode=600:lockfile=0"]
    world.settings["admin"]["listen"] += listens
    world.start()
    assert [each.stat().st_mode & 0o777 for each in (path, open_to_all, own)] == [0o660, 0o660, 0o600]
    world.settings["admin"]["listen"] = [f"unix:{path}"]
    world.write()
    assert world.ctl("status").returncode == 0


def test_the_dashboard_is_a_page(shared: Outside) -> None:
    """HTML, nothing of the api there."""
    reply = admin(shared, "/")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/html")
    assert admin(shared, "/amazing/email").status == 404


# ── log ──


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


def test_check_says_what_only_the_running_daemon_sees(world: Outside) -> None:
    """Root may read a database that the daemon may not: what does not work for the daemon is told, too."""
    good = dict(world.settings["directories"]["players"])
    world.settings["directories"]["players"] = good | {"connect": {"database": "/nowhere/players.db"}}
    world.start()
    until(lambda: "players" in admin(world, "/readyz").body.decode())
    world.settings["directories"]["players"] = good
    world.write()
    run = world.ctl("check", seconds=90)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"(?m)^ok +directory players: ", run.stdout)
    assert re.search(r"(?m)^warn  running gatewayd: directory players: ", run.stdout)
    told = json.loads(world.ctl("check", "--json", seconds=90).stdout)["findings"]
    assert [one["what"] for one in told if one["result"] == "warn"].count("running gatewayd") == 1


def test_a_verb_without_a_daemon_fails(world: Outside) -> None:
    """Exit status 1, one line, no traceback."""
    world.write()
    for words in (("status",), ("trace", "x"), ("pause", "amazing")):
        run = world.ctl(*words)
        assert run.returncode == 1
        assert "Traceback" not in run.stderr
        assert run.stderr.strip()


# ── dead letters and callbacks that fail for long are not waited for here: 48 hours ──

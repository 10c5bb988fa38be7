"""gatewayctl against a listener on a real socket: what people and programs read, and how it leaves."""

import errno
import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.threads import deferToThread

from admin_world import KEYS, SMS, World
from certificates import Authority
from ctl_words import VERBS
from gatewayd import ctl
from gatewayd.config import endpoint_words
from gatewayd.core.model import BindState, Decision, WayState
from gatewayd.operators.adminclient import AdminClient, NoDaemon, open_client
from gatewayd.operators.audit import AuditLog
from gatewayd.operators.command_line import command_line

Run = Any


@pytest.fixture
def world() -> World:
    """An Admin on a fake store."""
    return World()


class Desk:
    """A configuration file, a listener, and gatewayctl run as a person would."""

    def __init__(self, directory: Path, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self.world = world
        self.config = directory / "gatewayd.toml"
        self._capsys = capsys
        self._ports: list[Any] = []

    async def open(self, listen: str) -> None:
        """Listen on `listen`, and write the configuration that says so; port 0 becomes the real one."""
        port = await serverFromString(reactor, listen).listen(self.world.admin.site(reactor))
        self._ports.append(port)
        if listen.startswith("tcp:0"):
            listen = listen.replace("tcp:0", f"tcp:{port.getHost().port}", 1)
        self.config.write_text(f'[gatewayd]\ninstance = "gw1"\n[admin]\nlisten = ["{listen}"]\n')

    async def close(self) -> None:
        """Listen no more."""
        for port in self._ports:
            await port.stopListening()

    async def run(self, *words: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of gatewayctl with these words."""
        self._capsys.readouterr()
        status = await deferToThread(_status_of, ["--config", str(self.config), *words])
        out, error = self._capsys.readouterr()
        return status, out, error


def _status_of(words: list[str]) -> int:
    try:
        return ctl.main(words)
    except SystemExit as leaving:
        return int(leaving.code or 0)


@pytest.fixture
def desk(
    tmp_path: Path, world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """A desk; what it opened is closed at the end."""
    monkeypatch.setenv("COLUMNS", "200")
    one = Desk(tmp_path, world, capsys)
    yield one
    pytest_twisted.blockon(Deferred.fromCoroutine(one.close()))


LOCAL = "tcp:0:interface=127.0.0.1"


@pytest_twisted.ensureDeferred
async def test_status_for_people_and_for_programs(desk: Desk, world: World) -> None:
    """The same facts as tables and as JSON; --json goes before or after the verb."""
    await desk.open(LOCAL)
    world.accept()
    world.email.ways = {"main": False}
    status, out, _ = await desk.run("status")
    assert status == 0
    for word in ("not ready", "no relay is up (main)", "amazing", "world", "No dead letters"):
        assert word in out
    for words in (("status", "--json"), ("--json", "status")):
        status, out, _ = await desk.run(*words)
        assert status == 0
        assert json.loads(out)["labels"]["amazing"]["sms"]["accepted"] == 1


@pytest_twisted.ensureDeferred
async def test_status_shows_each_bind(desk: Desk, world: World) -> None:
    """Where one stands, how full its window is, and why it is down; JSON has the same under the route."""
    await desk.open(LOCAL)
    bound = BindState("world", 0, "transmitter", "bound", 1.0, 20, 7, reconnects=2, handed=41, latency=0.021)
    down = BindState("world", 0, "receiver", "waiting", 1.0, 20, last_error="bind refused, ESME_RALYBND")
    way = WayState(True, "degraded: 1 of 2 bound", binds=(bound, down))
    world.sms.states = lambda: {"world": way}  # type: ignore[attr-defined]
    _, out, _ = await desk.run("status")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "world transmitter 0 bound 7/20 41 0 2 21 ms" in lines
    assert "world receiver 0 waiting - 0 0 0 -" in lines
    assert "world receiver 0: bind refused, ESME_RALYBND" in lines
    _, out, _ = await desk.run("status", "--json")
    binds = json.loads(out)["routes"][-1]["binds"]
    assert [(bind["mode"], bind["state"], bind["in_flight"]) for bind in binds] == [
        ("transmitter", "bound", 7),
        ("receiver", "waiting", 0),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("replay --since yesterday", "'yesterday' is neither a time such as 2026-01-31T12:00 nor one such as 7d"),
        ("replay --since 0001-01-01", "'0001-01-01' is neither a time"),
        ("dead-letters retry-all --until 1", "'1' is neither a time"),
        ("sandbox --messages many", "must be a number, 1 or more"),
        ("smpp-probe world --to mum", "must be a number such as +447700900123"),
        ("smpp-probe world --to 447700900123 --from a\x01b", "without control characters"),
        ("provider-probe inbox --to \udcff", "must be UTF-8"),
        ("dead-letters list --limit 0", "must be a number, 1 or more"),
        ("dead-letters list --limit " + "9" * 5000, "must be a number, 1 or more"),
        ("dead-letters --limit 100001", "must be at most 100000"),
        ("trace -uid", "an id that begins with a hyphen goes behind --"),
        ("suppress amazing -player", "an id that begins with a hyphen goes behind --"),
    ],
)
def test_a_wrong_argument_is_said_in_words(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, and what would have been right."""
    assert _status_of(words.split()) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", ["stops amazing", "replay", "dead-letters retry-all"])
def test_every_range_of_time_may_begin_so_long_ago(words: str) -> None:
    """An outage is remembered as two hours ago, not as a time of UTC."""
    parser = command_line(dict.fromkeys(VERBS, lambda options: 0), 10_000.0)
    assert parser.parse_args([*words.split(), "--since", "2h"]).since == 2_800


def test_an_old_locale_is_no_traceback(tmp_path: Path) -> None:
    """What it has no letters for is written as an escape."""
    words = ["-m", "gatewayd.ctl", "--config", f"{tmp_path}/\u0433.toml", "check"]
    environ = os.environ | {"PYTHONIOENCODING": "ascii"}
    run = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environ, check=False)
    assert (run.returncode, run.stderr) == (1, "")
    assert "\\u0433.toml: No such file or directory" in run.stdout


@pytest.mark.parametrize(
    "words", [["check"], ["--json", "check"], ["--json", "status"], ["providers"], ["--help"], ["trace", "--help"]]
)
def test_a_full_disk_is_no_traceback(words: list[str]) -> None:
    """What goes to a file there, as a report of cron's does, fails in one line."""
    command = [sys.executable, "-m", "gatewayd.ctl", "--config", "/nowhere.toml", *words]
    # Python's argparse passes over what an unbuffered output refuses, from 3.12 on.
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(command, env=buffered, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (run.returncode, run.stderr) == (1, "gatewayctl: not all of it could be written: No space left on device\n")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["providers"], 0),
        (["--json", "providers"], 0),
        (["check"], 1),
        (["--json", "check"], 1),
        (["--json", "status"], 1),
    ],
)
def test_a_reader_that_has_seen_enough_is_no_failure(words: list[str], status: int) -> None:
    """As `head` is; but a check whose end nobody read found nothing to be good."""
    command = [sys.executable, "-m", "gatewayd.ctl", "--config", "/nowhere.toml", *words]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        run = subprocess.run(command, stdout=broken, stderr=subprocess.PIPE, text=True, check=False)
    assert (run.returncode, run.stderr) == (status, "")


@pytest.mark.parametrize("words", [["providers"], ["--json", "providers"]])
def test_a_closed_output_is_no_traceback(words: list[str]) -> None:
    """Some that start programs close it."""
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-m", "gatewayd.ctl", *words]
    run = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


@pytest_twisted.ensureDeferred
async def test_what_goes_to_a_pipe_is_not_wrapped(desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long reason stands on one line, for grep and for tickets; a terminal's width is for terminals."""
    monkeypatch.setenv("COLUMNS", "80")
    await desk.open(LOCAL)
    reason = "bind refused, ESME_RINVPASWD: system_id, password or system_type is wrong; next try in a minute"
    world.sms.states = lambda: {"world": WayState(False, "waiting", reason)}  # type: ignore[attr-defined]
    world.directories = {"players": "the database failed"}
    _, out, _ = await desk.run("status")
    lines = [line.strip() for line in out.splitlines()]
    assert f"world: {reason}" in lines
    assert f"sms: no SMSC or provider is up (world: {reason})" in lines
    assert "players: the database failed" in lines


@pytest_twisted.ensureDeferred
async def test_trace_by_id_and_by_uid(desk: Desk, world: World) -> None:
    """A support engineer has either of the two; nothing found is exit status 1."""
    await desk.open(LOCAL)
    message = world.sent("uid/ä 1")
    for name in (message.id, "uid/ä 1"):
        status, out, _ = await desk.run("trace", name)
        assert status == 0
        assert message.id in out
        assert "accepted" in out
        status, out, error = await desk.run("trace", name, "--record")
        assert error == ""
        assert (status, json.loads(out)["record"]["state"]) == (0, "sent")
    other = world.accept("uid/ä 1", label="other")
    status, out, _ = await desk.run("trace", "uid/ä 1")
    assert f"this uid has another message: {other.id} (other, sms, queued)" in out
    status, out, _ = await desk.run("trace", "uid/ä 1", "--json")
    named = {"ext_message_id": other.id, "label": "other", "channel": "sms", "state": "queued"}
    assert json.loads(out)["same_uid"] == [named]
    assert "same_uid" not in json.loads((await desk.run("trace", message.id, "--json"))[1])
    page = world.ask(f"/trace?id={quote('uid/ä 1')}").body.decode()
    assert f"/trace?id={other.id}" in page
    for stranger in ("nobody", "\udcff"):
        status, out, error = await desk.run("trace", stranger)
        assert (status, out) == (1, "")
        assert "no message with this id or uid" in error


@pytest_twisted.ensureDeferred
async def test_a_trace_says_that_its_player_was_erased(desk: Desk, world: World) -> None:
    """A person reads it in words; a program finds the fields empty, as they are."""
    await desk.open(LOCAL)
    message = world.sent("uid-1")
    await desk.run("erase", "amazing", message.ext_user_id)
    status, out, _ = await desk.run("trace", message.id)
    assert status == 0
    assert out.splitlines()[1:3] == ["an SMS of label amazing to player (erased)", "uid (erased)"]
    told = json.loads((await desk.run("trace", message.id, "--json"))[1])
    assert (told["ext_user_id"], told["uid"]) == ("", "")
    [report] = told["reports"]
    assert report["at"]
    # An earlier version's erasure took when the statuses were told as well.
    world.store.db.rows[message.id].erased = ()
    out = (await desk.run("trace", message.id))[1]
    assert out.split()[-3:] == ["accepted", "-", "(erased)"]
    page = world.ask(f"/trace?id={message.id}").body.decode()
    assert "<td>–</td><td>erased</td>" in page


@pytest_twisted.ensureDeferred
async def test_a_unix_socket_will_do(desk: Desk, world: World) -> None:
    """The admin listener may be a socket that only a group can open; {instance} is in its name."""
    path = desk.directory / "gw1.sock"
    await desk.open(f"unix:{path}")
    desk.config.write_text(
        f'[gatewayd]\ninstance = "gw0"\n[admin]\nlisten = ["unix:{desk.directory}/{{instance}}.sock"]\n'
    )
    status, out, _ = await desk.run("--instance", "gw1", "status", "--json")
    assert (status, json.loads(out)["instance"]) == (0, "gw1")
    status, _, error = await desk.run("status")
    assert status == 1
    assert "gw0.sock" in error


def test_who_may_not_ask_is_told_who_may() -> None:
    """It runs: "is it running?" would send somebody the wrong way at night."""

    class Barred(HTTPConnection):
        """A socket of root's, to somebody else."""

        def connect(self) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    client = AdminClient(lambda: Barred("localhost"), "/run/gatewayd/admin.sock")
    with pytest.raises(NoDaemon, match="by this user: it is for root and the group gatewayd"):
        client.get("/verbs/status")


@pytest_twisted.ensureDeferred
async def test_dead_letters_listed_retried_dropped(desk: Desk, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """list is what happens without a further word, with whole ids; retry-all takes all that are left."""
    monkeypatch.setenv("COLUMNS", "80")
    await desk.open(LOCAL)
    first, second, third = (world.dead(f"uid-{number}") for number in (1, 2, 3))
    status, out, _ = await desk.run("dead-letters")
    assert status == 0
    assert first.id in out
    assert "500" in out
    _, out, _ = await desk.run("dead-letters", "list", "--json")
    assert len(json.loads(out)["dead_letters"]) == 3
    for words in (("list", "--limit", "2"), ("--limit", "2"), ("--limit", "9", "list", "--limit", "2")):
        assert len(json.loads((await desk.run("dead-letters", *words, "--json"))[1])["dead_letters"]) == 2
    assert (await desk.run("dead-letters", "retry", first.id))[0] == 0
    assert (await desk.run("dead-letters", "drop", second.id))[0] == 0
    assert (await desk.run("dead-letters", "drop", second.id))[0] == 1
    status, out, _ = await desk.run("dead-letters", "retry-all", "--json")
    assert (status, json.loads(out)) == (0, {"messages_retried": 1, "gone_meanwhile": 0})
    jobs = world.run(world.store.lease_reports(10))
    assert {job.message_id for job in jobs} == {first.id, third.id}


@pytest_twisted.ensureDeferred
async def test_dead_letters_of_a_range_of_time(desk: Desk, world: World) -> None:
    """After Smartico's outage from ten to twelve, only what was given up then is told again."""
    await desk.open(LOCAL)
    world.dead("before")
    world.clock.advance(3600)
    meant = world.dead("meant")
    world.clock.advance(3600)
    world.dead("after")
    words = ("--since", "2026-09-21T15:00:00+00:00", "--until", "2026-09-21T16:00:00+00:00", "--json")
    _, out, _ = await desk.run("dead-letters", "retry-all", *words)
    assert json.loads(out)["messages_retried"] == 1
    assert [job.message_id for job in world.run(world.store.lease_reports(10))] == [meant.id]


@pytest_twisted.ensureDeferred
async def test_the_stop_list(desk: Desk, world: World) -> None:
    """suppress and unsuppress do as CONTRACT.md says, and an unknown label is exit status 1."""
    await desk.open(LOCAL)
    status, out, _ = await desk.run("suppress", "amazing", "player-1", "--channel", "sms", "--json")
    assert (status, json.loads(out)["suppressed"]) == (0, ["sms"])
    assert list(world.store.db.stop) == [("amazing", SMS, KEYS.user_hashes("amazing", "player-1")[0])]
    _, out, _ = await desk.run("unsuppress", "amazing", "player-1")
    assert "Player player-1 is off the stop list of amazing: sms." in out
    assert not world.store.db.stop
    status, _, error = await desk.run("suppress", "nobody", "player-1")
    assert status == 1
    assert "there is no label" in error


@pytest_twisted.ensureDeferred
async def test_an_id_that_is_not_utf_8_is_said_in_words(desk: Desk) -> None:
    """What a shell of another encoding gives is no id that a request could have."""
    await desk.open(LOCAL)
    stops = desk.world.store.db.stop
    for words in (("erase", "amazing", "\udcff"), ("pause", "\udcff"), ("dead-letters", "drop", "\udcff")):
        status, _, error = await desk.run(*words)
        assert (status, "is not UTF-8" in error) == (1, True)
    # As an old locale has it.
    _, out, _ = await desk.run("suppress", "amazing", "j\udcc3\udcbcrgen", "--json")
    assert json.loads(out)["label"] == "amazing"
    assert ("amazing", SMS, KEYS.user_hashes("amazing", "j\N{LATIN SMALL LETTER U WITH DIAERESIS}rgen")[0]) in stops


@pytest_twisted.ensureDeferred
async def test_an_id_writes_nothing_on_a_terminal_but_itself(desk: Desk) -> None:
    """Its controls are escapes in a sentence, too."""
    await desk.open(LOCAL)
    status, out, _ = await desk.run("unsuppress", "amazing", "\x1b[31mred")
    assert (status, out) == (0, "Player \\x1b[31mred was not on the stop list of amazing.\n")


@pytest_twisted.ensureDeferred
async def test_erase_says_what_was_removed(desk: Desk, world: World) -> None:
    """All steps are summed up; waiting messages are told apart."""
    await desk.open(LOCAL)
    world.accept("uid-1", user="gone")
    world.accept("uid-2", user="stays")
    status, out, _ = await desk.run("erase", "amazing", "gone", "--json")
    told = json.loads(out)
    assert (status, told["removed"], told["waiting"]) == (0, 1, 1)
    _, out, _ = await desk.run("erase", "amazing", "gone")
    assert "No message of player gone is kept under label amazing" in out
    await desk.run("suppress", "amazing", "listed", "--channel", "sms")
    _, out, _ = await desk.run("erase", "amazing", "listed")
    assert "The id is gone from 1 stops" in out


@pytest_twisted.ensureDeferred
async def test_export_is_json_for_people_too(desk: Desk, world: World) -> None:
    """All messages of one player in order, with and without --json; a player of whom nothing is kept is no failure."""
    await desk.open(LOCAL)
    world.accept("uid-1", user="asks")
    world.clock.advance(5)
    world.sent("uid-2", user="asks")
    world.accept("uid-3", user="other")
    for words in (("export", "amazing", "asks"), ("export", "amazing", "asks", "--json")):
        status, out, error = await desk.run(*words)
        told = json.loads(out)
        assert (status, error) == (0, "")
        assert [one["uid"] for one in told["messages"]] == ["uid-1", "uid-2"]
        assert told["messages"][0]["content"]["body"] == "hello"
        assert (told["label"], told["ext_user_id"]) == ("amazing", "asks")
        assert told["keyed_hash"] == KEYS.user_hashes("amazing", "asks")[0]
        assert told["stop_list"] == {"email": None, "sms": None, "im": None}
    status, out, _ = await desk.run("export", "amazing", "unknown")
    assert (status, json.loads(out)["messages"]) == (0, [])
    assert (await desk.run("export", "nobody", "asks"))[0] == 1
    assert (await desk.run("export", "amazing"))[0] == 2


@pytest_twisted.ensureDeferred
async def test_replay_of_a_range_of_time(desk: Desk, world: World) -> None:
    """What Smartico heard then is told once more; what it heard before is not."""
    await desk.open(LOCAL)
    for uid in ("before", "meant"):
        world.sent(uid)
        (job,) = world.run(world.store.lease_reports(10))
        world.run(world.store.report_heard(job))
        world.clock.advance(3600)
    words = ("replay", "--since", "2026-09-21T15:00:00+00:00", "--until", "2026-09-21T16:00:00+00:00", "--json")
    status, out, _ = await desk.run(*words)
    assert (status, json.loads(out)) == (0, {"statuses_queued": 1})
    assert [job.message_id for job in world.run(world.store.lease_reports(10))] == [
        KEYS.message_ids("amazing", SMS, "meant")[0]
    ]
    assert (await desk.run("replay", "--since", "2026-09-21T15:00", "--label", "nobody"))[0] == 1
    assert (await desk.run("replay", "--since", "2026-09-21T15:00", "--until", "2026-09-21T14:00"))[0] == 1
    assert (await desk.run("replay"))[0] == 2


@pytest_twisted.ensureDeferred
async def test_pause_and_resume(desk: Desk, world: World) -> None:
    """The kill switch from a terminal."""
    await desk.open(LOCAL)
    assert (await desk.run("pause", "amazing", "--channel", "sms"))[0] == 0
    assert world.run(world.store.paused()) == {("amazing", SMS)}
    assert "paused" in (await desk.run("status"))[1]
    assert (await desk.run("resume", "amazing"))[0] == 0
    assert not world.run(world.store.paused())


@pytest_twisted.ensureDeferred
async def test_a_daemon_that_is_not_there(desk: Desk) -> None:
    """The message says where it was looked for and what to do; --json gives programs the same."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    desk.config.write_text(f'[admin]\nlisten = ["tcp:{port}:interface=127.0.0.1"]\n')
    status, out, error = await desk.run("status")
    assert (status, out) == (1, "")
    assert f"does not answer at 127.0.0.1:{port}" in error
    assert "Is it running?" in error
    status, out, _ = await desk.run("status", "--json")
    assert status == 1
    assert "does not answer" in json.loads(out)["error"]


@pytest_twisted.ensureDeferred
async def test_no_configuration(desk: Desk) -> None:
    """A missing or broken file is exit status 1 and named."""
    status, _, error = await desk.run("status")
    assert status == 1
    assert f"cannot read {desk.config}" in error
    desk.config.write_text("[admin\n")
    status, _, error = await desk.run("status")
    assert status == 1
    assert "not TOML" in error
    desk.config.write_text('[admin]\nlisten = ["tcp:http"]\n')
    status, _, error = await desk.run("status")
    assert status == 1
    assert "admin.listen names no tcp: or unix: endpoint" in error


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("login", "sudo", "name"),
    [
        ("0", "", "root"),
        ("4294967295", "alice", "alice"),
        ("", "alice", "alice"),
        ("0", "alice", "root"),
        ("4294967294", "", "uid-4294967294"),
    ],
)
async def test_whoever_runs_it_is_named_in_the_audit_log(
    desk: Desk, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str, sudo: str, name: str
) -> None:
    """By the log-in, which the kernel keeps over sudo and su; where there was none, by what sudo says."""
    if login:
        (tmp_path / "loginuid").write_text(login)
    monkeypatch.setattr(ctl, "LOGIN", tmp_path / "loginuid")
    monkeypatch.setenv("SUDO_USER", sudo)
    await desk.open(LOCAL)
    assert (await desk.run("pause", "amazing", "--channel", "sms"))[0] == 0
    assert [one.reason for one in world.decisions] == [f"by operator {name}"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["no-such-verb"],
        ["trace"],
        ["pause", "amazing", "--channel", "fax"],
        ["dead-letters", "retry"],
        ["dead-letters", "retry-all", "--since", "yesterday"],
        ["sandbox", "--messages", "0"],
        ["status", "--config", "x"],
        ["stops", "amazing", "--look-up"],
        ["stops", "amazing", "--since", "7d", "--import", "x.csv"],
        ["stops", "amazing", "--export", "x.csv", "--import", "x.csv"],
        ["stops", "amazing", "--import", ""],
        ["stops", "amazing", "--export", ""],
    ],
)
def test_wrong_use_is_exit_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """And the usage is printed."""
    assert _status_of(words) == 2
    assert "usage: gatewayctl" in capsys.readouterr().err


def test_these_are_all_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """What the next test and others go through is what there is."""
    assert _status_of(["--help"]) == 0
    assert set(re.findall(r"(?m)^    ([a-z-]+)(?: |$)", capsys.readouterr().out.partition("verbs:")[2])) == VERBS


@pytest.mark.parametrize(
    "words",
    [
        [],
        *([verb] for verb in sorted(VERBS)),
        *(["dead-letters", one] for one in ("list", "retry", "drop", "retry-all")),
    ],
)
def test_help_everywhere(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """--help of every verb prints usage on standard output and leaves with 0."""
    assert _status_of([*words, "--help"]) == 0
    assert "usage: gatewayctl" in capsys.readouterr().out


def test_endpoint_strings_are_read_as_twisted_does() -> None:
    """A backslash takes the next character as it is."""
    assert endpoint_words.words(r"unix:/run/a\:b.sock:mode=660") == endpoint_words.Words(
        "unix", ("/run/a:b.sock",), {"mode": "660"}
    )
    assert endpoint_words.words(r"tcp6:9090:interface=\:\:1") == endpoint_words.Words(
        "tcp6", ("9090",), {"interface": "::1"}
    )


@pytest.mark.parametrize(
    ("listen", "where"),
    [
        ("tcp:9090", "127.0.0.1:9090"),
        ("tcp:port=9091:interface=10.0.0.5", "10.0.0.5:9091"),
        (r"tcp6:9090:interface=\\:\\:", "[::1]:9090"),
        ("unix:/run/gw.sock:mode=660", "/run/gw.sock"),
    ],
)
def test_where_the_listener_is_asked(tmp_path: Path, listen: str, where: str) -> None:
    """An interface that means all of them is asked on loopback."""
    config = tmp_path / "c.toml"
    config.write_text(f'[admin]\nlisten = ["{listen}"]\n')
    assert open_client(config)._where == where


@pytest.mark.parametrize(
    "listen", ["tcp:9:interface=no..host", "tcp:9:interface=" + "x" * 64, "unix:a\\u0000b", "tcp:" + "9" * 20]
)
def test_a_listener_that_can_not_be_is_no_traceback(
    tmp_path: Path, listen: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says where it was looked for, or that nothing names a place."""
    config = tmp_path / "c.toml"
    config.write_text(f'[admin]\nlisten = ["{listen}"]\n')
    assert ctl.main(["--config", str(config), "status"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest_twisted.ensureDeferred
async def test_audit_verify(desk: Desk) -> None:
    """An untouched log is good; a changed line, or one that was taken out, is exit status 1 and named."""
    path = desk.directory / "audit.log"
    secret = "s" * 32
    desk.config.write_text(
        f'[gatewayd]\ninstance = "gw1"\nsecret_key = "{secret}"\naudit_log = "{path}"\n[redis]\nendpoint = "unix:/s"\n'
    )
    status, _, error = await desk.run("audit", "verify")
    assert status == 1
    assert "No such file" in error
    log = AuditLog(desk.world.clock, path, secret.encode(), "gw1")
    for name in ("accepted", "sent", "delivered"):
        log.record(Decision(name, "amazing", SMS, message_id=name))
    log.close()
    status, out, _ = await desk.run("audit", "verify")
    assert status == 0
    assert "3 lines" in out
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    status, out, _ = await desk.run("audit", "verify", "--json")
    told = json.loads(out)
    assert (status, told["ok"]) == (1, False)
    assert told["files"][0]["faults"][0].startswith("line 2 ")
    path.write_text(lines[0].replace("amazing", "other"))
    assert (await desk.run("audit", "verify", str(path)))[0] == 1
    status, out, _ = await desk.run("audit", "verify", "--json", str(path))
    assert (status, json.loads(out)["ok"]) == (1, False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["staus"], "there is no 'staus' here; did you mean 'status'?"),
        (["dead-letters", "retri"], "did you mean 'retry'?"),
        (["zz"], "there is no 'zz' here; one of check, status"),
    ],
)
def test_an_unknown_verb_says_what_was_perhaps_meant(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the usage, and exit status 2."""
    with pytest.raises(SystemExit) as left:
        ctl.main(words)
    assert left.value.code == 2
    assert said in capsys.readouterr().err


def test_an_admin_listener_with_tls_is_believed_by_the_file_that_it_shows(tmp_path: Path) -> None:
    """Its certificate is for the host's name, and gatewayctl asks at an address; a renewed file is another."""
    certificate, key = Authority(tmp_path).files("gw.internal")
    renewed, _ = Authority(tmp_path).files("renewed.internal")

    class Healthy(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"healthy": true}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    config = tmp_path / "gatewayd.toml"
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        where = f"{server.server_port}:interface=127.0.0.1"
        try:
            config.write_text(f'[admin]\nlisten = ["ssl:{where}:privateKey={key}:certKey={certificate}"]\n')
            assert open_client(config).get("/healthz") == {"healthy": True}
            config.write_text(f'[admin]\nlisten = ["ssl:{where}:privateKey={key}:certKey={renewed}"]\n')
            with pytest.raises(NoDaemon, match="a renewed one counts after a reload"):
                open_client(config).get("/healthz")
            config.write_text(f'[admin]\nlisten = ["ssl:{where}:privateKey={tmp_path}/gone.pem"]\n')
            with pytest.raises(NoDaemon, match="No such file or directory"):
                open_client(config).get("/healthz")
        finally:
            server.shutdown()
            serving.join()

"""CONTRACT.md on processes: one that can't start, several that share the work, and the sandbox."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon import TWISTD
from daemon import environment as of_the_checkout
from outside import Daemon, Outside, command, environment, free_port, until


@pytest.fixture
def world() -> Iterator[Outside]:
    """A world that is not started yet."""
    with Outside() as world:
        yield world


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


def test_who_starts_it_in_the_background_hears_that_it_did_not_start(world: Outside) -> None:
    """twistd without -n waited for word for ever where a port was taken, and left its pid file behind."""
    log, pid = world.directory / "background.log", world.directory / "background.pid"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        world.settings["api"]["listen"] = [f"tcp:{port}:interface=127.0.0.1"]
        world.write()
        words = f"--pidfile={pid}", f"--logfile={log}", "gatewayd", "--config", str(world.daemon.config)
        ran = subprocess.run(
            [sys.executable, "-c", TWISTD, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            env=of_the_checkout(world.directory),
            cwd=world.directory,
            check=False,
        )
    assert ran.returncode == 1
    assert "Address a" in ran.stderr
    # It has told why before it cleans up and ends.
    until(lambda: not pid.exists())
    assert f"can't listen on tcp:{port}:interface=127.0.0.1: " in log.read_text()
    assert "Traceback" not in log.read_text()


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


# ── the sandbox ──


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

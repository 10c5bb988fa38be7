"""CONTRACT.md, configuration: --check by itself, and the daemon and gatewayctl on broken files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from subprocess import CompletedProcess
from typing import Any

import inside
import pytest
import warm
from outside import Outside, command, environment, toml
from twisted.scripts.twistd import ServerOptions

from certificates import Authority
from gatewayd import __version__
from gatewayd.service import Options

GOOD: dict[str, Any] = {
    "gatewayd": {"secret_key": "0123456789abcdef" * 2},
    "redis": {"endpoint": "unix:/run/redis/redis-server.sock"},
    "labels": {
        "amazing": {
            "allow_from": ["203.0.113.0/24"],
            "authorization": ["secret"],
            "api_key": "key",
            "callback_hosts": ["*.smartico.ai"],
            "directory": "players",
        }
    },
    "directories": {
        "players": {
            "type": "sql",
            "driver": "sqlite3",
            "query": "SELECT email, phone FROM players WHERE id = :ext_user_id",
        }
    },
}


@pytest.fixture(scope="module")
def world() -> Iterator[Outside]:
    """Nothing runs."""
    world = Outside()
    yield world
    world.__exit__()


def changed(path: str, value: Any, tables: dict[str, Any] = GOOD) -> dict[str, Any]:
    """The tables with the key at a dotted path set, or removed with None."""
    tables = deepcopy(tables)
    *way, last = path.split(".")
    table = tables
    for name in way:
        table = table.setdefault(name, {})
    if value is None:
        del table[last]
    else:
        table[last] = value
    return tables


def checked(world: Outside, text: str, **environ: str) -> CompletedProcess[str]:
    """--check of a file with this text, in process."""
    return inside.check(world.directory / "checked.toml", text, environ)


def test_a_good_file_is_ok(world: Outside) -> None:
    """`ok`, exit status 0, with and without -n; nothing is connected to; a real start says what one in process says."""
    for words in ((), ("-n",)):
        run = world.check(toml(GOOD), *words)
        assert (run.returncode, run.stdout, run.stderr) == (0, "ok\n", ""), run
    run = checked(world, toml(GOOD))
    assert (run.returncode, run.stdout, run.stderr) == (0, "ok\n", ""), run


def test_a_door_of_systemd_is_named_and_all_else_is_checked(world: Outside) -> None:
    """Outside systemd, too: no error by itself, and it hides none. A start by hand says what is not there."""
    listen = ["systemd:domain=INET:name=gatewayd.socket"]
    run = checked(world, toml(changed("api.listen", listen)))
    assert (run.returncode, run.stdout) == (0, "ok\n"), run
    assert run.stderr.startswith(f"api.listen[0]: only systemd can open {listen[0]}: ")
    run = checked(world, toml(changed("gatewayd.unknown", 1, changed("api.listen", listen))))
    assert (run.returncode, run.stdout.count("\n"), run.stdout.partition(":")[0]) == (1, 1, "gatewayd.unknown")


def test_a_real_start_prints_the_errors_that_one_in_process_prints(world: Outside) -> None:
    """On standard output, exit status 1, with and without -n: what the tests below see is what an operator sees."""
    text = toml(changed("gatewayd.unknown", 1, changed("labels.amazing.allow_from", ["nowhere"])))
    own = checked(world, text)
    assert own.returncode == 1
    assert own.stdout.count("\n") == 2
    for words in ((), ("-n",)):
        run = world.check(text, *words)
        assert (run.returncode, run.stdout, run.stderr) == (own.returncode, own.stdout, own.stderr), run


START = "import sys; from gatewayd.service import Options; Options().parseOptions(sys.argv[1:])"


@pytest.mark.parametrize("text", [toml(GOOD), "schlüssel = 1"])
@pytest.mark.parametrize(
    ("takes", "said"),
    [
        ("/dev/full", "twistd gatewayd: not all of it could be written: No space left on device\n"),
        ("a pipe that nobody reads", ""),
    ],
)
def test_an_output_that_takes_nothing_is_no_traceback(world: Outside, text: str, takes: str, said: str) -> None:
    """A report on a full disk, a reader that has gone: one line at most, and what nobody could read is not good."""
    file = world.directory / "unheard.toml"
    file.write_text(text)
    if takes == "/dev/full":
        output = os.open(takes, os.O_WRONLY)
    else:
        reader, output = os.pipe()
        os.close(reader)
    words = [sys.executable, "-c", START, "--config", str(file), "--check"]
    with os.fdopen(output, "w") as nowhere:
        run = subprocess.run(words, env=environment(), stdout=nowhere, stderr=subprocess.PIPE, text=True, check=False)
    assert (run.returncode, run.stderr) == (1, said), run


def test_an_old_locale_is_no_traceback(world: Outside) -> None:
    """A key that it has no letters for is written as an escape."""
    file = world.directory / "letters.toml"
    file.write_text('[gatewayd]\n"schlüssel" = 1\n', "utf-8")
    words = [sys.executable, "-c", START, "--config", str(file), "--check"]
    environ = environment(PYTHONIOENCODING="ascii")
    run = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (1, "")
    assert "gatewayd.schl\\xfcssel: unknown key\n" in run.stdout


CONTRACT_KEYS = """
[gatewayd]
instance = "gw1"
secret_key = "file:{dir}/secret.key"
previous_secret_keys = []
work = ["email", "sms", "reports"]
retention = "7d"
log = "text"

[redis]
endpoint = "unix:/run/redis/redis-server.sock"
database = 0
password = ""
key_prefix = "gatewayd:"
max_queued = 1000000

[api]
listen = ["tcp:8080:interface=127.0.0.1"]
reuse_port = false
trusted_proxies = []
max_body = 2097152

[public]
listen = ["tcp:8081:interface=127.0.0.1"]
base_url = "https://go.amazing.co"

[admin]
listen = ["tcp:9090:interface=127.0.0.1"]

[bounces]
listen = ["tcp:2424:interface=127.0.0.1"]
domain = "bounces.amazing.co"
max_size = 5242880

[labels.amazing]
allow_from = ["203.0.113.0/24"]
authorization = ["file:{dir}/amazing.auth"]
sms_authorization = true
api_key = "file:{dir}/amazing.api-key"
callback_url = "https://api.smartico.ai/xyz/callback"
callback_hosts = ["*.smartico.ai"]
callback_http = false
email_senders = ["*@amazing.co"]
sms_senders = ["Amazing", "+447700900123"]
sms_sender = "Amazing"
preview_domains = []
directory = "players"
relays = ["main", "backup"]
sms_routes = [{{prefix = "+44", via = ["uk", "world"]}}, {{prefix = "", via = ["world"]}}]
email_deadline = "24h"
sms_deadline = "4h"
max_segments = 10
track_opens = false
one_click_unsubscribe = false
bounce_domain = "b.amazing.co"
suppress_for = "365d"
suppress_on_unsubscribe = true
suppress_on_complaint = true
suppress_on_hard_bounce = true

[directories.players]
type = "sql"
driver = "sqlite3"
connect = {{database = "/var/lib/players.db"}}
query = "SELECT email, phone, opted_out FROM players WHERE id = :ext_user_id"
timeout = "2s"
cache = "30s"
default_region = "GB"

[directories.pam]
type = "http"
url = "https://pam.internal/players/{{ext_user_id}}"
authorization = "file:{dir}/pam.auth"

[relays.main]
host = "127.0.0.1"
port = 25
tls = "none"
username = ""
password = ""
connections = 10
rate = ""
provider = ""
on_uncertain = "resend"
uncertain_wait = "10s"

[relays.backup]
host = "backup"
tls = "starttls"
ca_file = "{dir}/ca.pem"
certificate = "{dir}/c.pem"
private_key = "{dir}/c.key"

[smscs.world]
host = "127.0.0.1"
port = 2775
tls = false
system_id = "gw"
password = "file:{dir}/smsc.password"
system_type = ""
bind = "transceiver"
binds = 1
window = 20
rate = "100/s"
enquire_link = "30s"
response_timeout = "60s"
long_messages = "udh"
message_ids = "auto"
source_ton_npi = ""
dest_ton_npi = ""
receipt_states = {{}}
on_uncertain = "hold"
uncertain_wait = "10s"

[smscs.uk]
host = "127.0.0.1"
system_id = "gw"
password = "x"
source_ton_npi = "5,1"
dest_ton_npi = "1,1"
receipt_states = {{BLOCKED = "rejected"}}

[esp.ses]
secret = "x"
topic_arns = ["arn:aws:sns:eu-west-1:1:bounces"]
[esp.mailgun]
secret = "x"
signing_key = "k"
[esp.sendgrid]
secret = "x"
public_key = "{key}"
[esp.postmark]
secret = "x"
username = "u"
password = "p"
"""
SENDGRID = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpV"
    "KS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g=="
)


def test_every_key_of_the_contract_is_known(world: Outside) -> None:
    """The contract's own file, with files for the secrets."""
    for name, text in {
        "secret.key": "k" * 32 + "\n",
        "amazing.auth": "a\n",
        "amazing.api-key": "k\n",
        "pam.auth": "p\n",
        "smsc.password": "s\n",
    }.items():
        (world.directory / name).write_text(text)
    Authority(world.directory).client("c")
    run = checked(world, CONTRACT_KEYS.format(dir=world.directory, key=SENDGRID))
    assert (run.returncode, run.stdout.strip()) == (0, "ok"), run


ERRORS = [
    ("gatewayd.secret_key", None),
    ("gatewayd.secret_key", "short"),
    ("gatewayd.secret_key", "file:/nowhere/at/all"),
    ("gatewayd.secret_key", "env:NOT_SET_ANYWHERE"),
    ("gatewayd.secret_key", "credential:nothing"),
    ("gatewayd.log", "xml"),
    ("gatewayd.retention", "7 days"),
    ("gatewayd.retention", 7),
    ("gatewayd.retention", "0s"),
    ("gatewayd.unknown", 1),
    ("redis.endpoint", "http://x"),
    ("redis.endpoint", None),
    ("redis.database", "0"),
    ("redis.max_queued", 0),
    ("redis.unknown", 1),
    ("api.max_body", 0),
    ("api.reuse_port", "yes"),
    ("api.unknown", 1),
    ("bounces.domain", "x y"),
    ("labels.amazing.allow_from", None),
    ("labels.amazing.authorization", []),
    ("labels.amazing.authorization", None),
    ("labels.amazing.api_key", None),
    ("labels.amazing.api_key", ""),
    ("labels.amazing.callback_hosts", None),
    ("labels.amazing.callback_url", "http://api.smartico.ai/x"),
    ("labels.amazing.callback_url", "nothing"),
    ("labels.amazing.directory", None),
    ("labels.amazing.directory", "elsewhere"),
    ("labels.amazing.email_deadline", "1x"),
    ("labels.amazing.max_segments", 0),
    ("labels.amazing.unknown", 1),
    ("labels.amazing.sms_authorization", 1),
    ("labels.amazing.sms_sender", "TwelveLetter"),
    ("directories.players.query", None),
    ("directories.players.driver", None),
    ("directories.players.timeout", 2),
    ("directories.players.unknown", 1),
    ("directories.players.default_region", "Britain"),
    ("relays.main", {}),
    ("relays.main.tls", "maybe"),
    ("relays.main.port", 70000),
    ("smscs.world.window", 0),
    ("smscs.world.rate", "fast"),
    ("smscs.world.bind", "tx"),
    ("smscs.world.source_ton_npi", "5"),
    ("smscs.world.receipt_states", {"X": "gone"}),
    ("esp.unknown", {"secret": "x"}),
    ("nothing", {"a": 1}),
    ("labels.amazing.track_opens", True),
    ("labels.amazing.one_click_unsubscribe", True),
]


def batches() -> list[list[tuple[str, Any]]]:
    """ERRORS in groups that name no key twice, for all errors are told at once."""
    found: list[dict[str, Any]] = []
    for path, value in ERRORS:
        for batch in found:
            if not any(path.startswith(other) or other.startswith(path) for other in batch):
                batch[path] = value
                break
        else:
            found.append({path: value})
    return [list(batch.items()) for batch in found]


@pytest.mark.parametrize("batch", batches())
def test_all_errors_are_told_with_their_keys(world: Outside, batch: list[tuple[str, Any]]) -> None:
    """At once, a line each on standard output that begins with the full key path; exit status 1, no traceback."""
    tables = GOOD
    for path, value in batch:
        tables = changed(path, value, tables)
    run = checked(world, toml(tables))
    assert run.returncode == 1, run
    told = {line.partition(": ")[0] for line in run.stdout.splitlines()}
    for path, value in batch:
        assert any(key.startswith(path) for key in told), (path, value, run.stdout)
    assert "Traceback" not in run.stdout + run.stderr


def test_an_error_in_a_list_is_told_with_its_index(world: Outside) -> None:
    """`labels.amazing.allow_from[0]: ...`."""
    tables = GOOD
    for path, value in (
        ("labels.amazing.allow_from", ["nowhere", "10.0.0.0/8", "10.0.0.1/8"]),
        ("labels.amazing.authorization", ["x", "file:/nowhere"]),
        ("labels.amazing.relays", ["none"]),
        (
            "labels.amazing.sms_routes",
            [{"prefix": "+44", "via": ["none"]}, {"prefix": "44", "via": []}, {"prefix": ""}],
        ),
        ("api.listen", ["nothing:1"]),
        ("api.trusted_proxies", ["x"]),
        ("gatewayd.work", ["email", "fax"]),
        ("gatewayd.previous_secret_keys", ["short"]),
    ):
        tables = changed(path, value, tables)
    run = checked(world, toml(tables))
    assert run.returncode == 1
    assert {line.partition(": ")[0] for line in run.stdout.splitlines()} == {
        "labels.amazing.allow_from[0]",
        "labels.amazing.allow_from[2]",
        "labels.amazing.authorization[1]",
        "labels.amazing.relays[0]",
        "labels.amazing.sms_routes[0].via[0]",
        "labels.amazing.sms_routes[1].prefix",
        "labels.amazing.sms_routes[1].via",
        "labels.amazing.sms_routes[2].via",
        "api.listen[0]",
        "api.trusted_proxies[0]",
        "gatewayd.work[1]",
        "gatewayd.previous_secret_keys[0]",
    }


def test_syntax_errors_and_missing_files_are_told(world: Outside) -> None:
    """Exit status 1, no traceback."""
    run = checked(world, "[gatewayd\nx = 1")
    assert run.returncode == 1
    assert "line 1" in run.stdout
    assert "Traceback" not in run.stderr
    run = inside.ctl("--config", str(world.directory / "not there.toml"), "check")
    assert run.returncode == 1
    assert "not there.toml" in run.stdout + run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("query", "SELECT email, phone FROM players", "directories.players.query: has no :ext_user_id"),
        ("driver", "no_such_driver", "directories.players.driver: the module no_such_driver is not installed"),
    ],
)
def test_a_directory_that_can_not_be_opened_is_told(
    world: Outside, path: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon would not start with it, so the file is not ok; both say it in one line."""
    tables = changed(f"directories.players.{path}", value)
    run = checked(world, toml(tables))
    assert (run.returncode, run.stdout.strip(), run.stderr) == (1, said, "")
    with pytest.raises(SystemExit) as left:
        Options().parseOptions(["--config", str(world.directory / "checked.toml")])
    assert left.value.code == 1
    assert capsys.readouterr().err.strip() == said


BAD_QUERY = "directories.players.query: has no :ext_user_id"
BAD_DRIVER = "directories.players.driver: the module sqlit3 is not installed"


@pytest.mark.parametrize(
    ("other", "value", "said"),
    [
        ("gatewayd.instancex", "a", "gatewayd.instancex: unknown key (did you mean instance?)"),
        ("labels.amazing.relays", ["mian"], "labels.amazing.relays[0]: there is no [relays.mian]"),
        ("directories.players.driver", "sqlit3", BAD_DRIVER),
        ("directories.players.timeout", 2, "directories.players.timeout: "),
        ("directories.players.connect", {"password": "file:/nowhere"}, "directories.players.connect.password: "),
        ("directories.pam", {"type": "http", "url": "https://pam.internal/x"}, "directories.pam.url: has no {ext_user"),
        ("directories.own", {"type": "sqll"}, 'directories.own.type: "sqll" is neither sql nor http'),
    ],
)
def test_a_bad_query_is_told_beside_any_other_error(world: Outside, other: str, value: Any, said: str) -> None:
    """Two lines for two faults, whatever stage of the reading finds them; gatewayctl check says them, too."""
    text = toml(changed(other, value, changed("directories.players.query", "SELECT email FROM players")))
    run = checked(world, text)
    lines = run.stdout.splitlines()
    assert (run.returncode, len(lines)) == (1, 2), run
    assert any(line.startswith(said) for line in lines), run
    assert BAD_QUERY in lines
    if other != "gatewayd.instancex":
        return
    ctl = inside.ctl("--config", str(world.directory / "checked.toml"), "check")
    assert ctl.returncode == 1
    assert all(line in ctl.stdout for line in lines), ctl


def test_a_directory_broken_in_itself_has_no_follow_up(world: Outside) -> None:
    """What is missing or wrong by its kind is said once, and nothing is said of what could not be read."""
    players = {"type": "sql", "driver": 5, "connect": 7}
    pam = {"type": "http", "url": "ftp://pam"}
    tables = changed("directories.pam", pam, changed("directories.players", players))
    keys = [line.partition(":")[0] for line in checked(world, toml(tables)).stdout.splitlines()]
    assert sorted(keys) == [
        "directories.pam.url",
        "directories.players.connect",
        "directories.players.driver",
        "directories.players.query",
    ]


def test_no_secret_is_told(world: Outside) -> None:
    """An error on a secret does not repeat it."""
    run = checked(world, toml(changed("gatewayd.secret_key", "canary-secret")))
    assert "canary" not in run.stdout + run.stderr


def test_secrets_come_from_where_they_say(world: Outside) -> None:
    """env:, credential: with systemd's directory, and file: with its newline dropped."""
    (world.directory / "key").write_text("k" * 32 + "\n")
    assert checked(world, toml(changed("gatewayd.secret_key", "env:THE_KEY")), THE_KEY="x" * 32).returncode == 0
    run = checked(
        world, toml(changed("gatewayd.secret_key", "credential:key")), CREDENTIALS_DIRECTORY=str(world.directory)
    )
    assert run.returncode == 0
    assert checked(world, toml(changed("gatewayd.secret_key", f"file:{world.directory}/key"))).returncode == 0
    (world.directory / "key").write_text("k" * 31 + "\n")
    assert checked(world, toml(changed("gatewayd.secret_key", f"file:{world.directory}/key"))).returncode == 1


def test_instance_stands_in_listen_strings(world: Outside) -> None:
    """{instance} in any listen string, and --instance by twistd."""
    tables = changed("api.listen", ["unix:/run/gatewayd/{instance}.sock"])
    assert checked(world, toml(tables)).returncode == 0


def test_the_daemon_does_not_start_on_a_wrong_file(world: Outside) -> None:
    """Exit status 1, and the error is told; a warm start, as most tests have it, says the same."""
    path = world.directory / "wrong.toml"
    path.write_text(toml(changed("gatewayd.unknown", 1)))
    words = ["-n", "--pidfile=", "gatewayd", "--config", str(path)]
    run = subprocess.run(
        [command("twistd"), *words],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=300,
        check=False,
    )
    assert run.returncode == 1
    assert "gatewayd.unknown" in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    forked = warm.run("twistd", words, env=environment(), cwd=world.directory)
    assert (forked.returncode, forked.stdout, forked.stderr) == (run.returncode, run.stdout, run.stderr)


def test_every_verb_has_help(world: Outside) -> None:
    """Exit status 0; one real start prints what one in process prints."""
    run = world.ctl("trace", "--help")
    assert (run.returncode, run.stdout) == (0, inside.ctl("trace", "--help").stdout)
    for verb in (
        "",
        "check",
        "status",
        "trace",
        "dead-letters",
        "suppress",
        "unsuppress",
        "erase",
        "pause",
        "resume",
        "sandbox",
    ):
        run = inside.ctl(*([verb] if verb else []), "--help")
        assert run.returncode == 0
        assert "usage" in run.stdout.lower()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nothing"],
        ["trace"],
        ["suppress"],
        ["suppress", "amazing"],
        ["suppress", "amazing", "x", "--channel", "fax"],
        ["pause"],
        ["erase", "amazing"],
        ["dead-letters", "retry"],
        ["status", "--nothing"],
        ["dead-letters", "eat", "x"],
    ],
)
def test_used_wrongly_is_2(world: Outside, words: list[str]) -> None:
    """Nothing is done."""
    assert inside.ctl("--config", str(world.config), *words).returncode == 2


def test_the_daemon_says_its_own_version() -> None:
    """And not Twisted's alone, as plug-ins do that say nothing."""
    said = inside.daemon("--version")
    assert (said.returncode, said.stdout.split(",")[0]) == (0, f"gatewayd {__version__}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--chekc"], "option --chekc not recognized (did you mean check?)"),
        (["--nothing"], "option --nothing not recognized"),
        (["--config"], "option --config requires argument"),
        (["nothing"], "Wrong number of arguments"),
    ],
)
def test_the_daemon_used_wrongly_is_2(words: list[str], said: str) -> None:
    """Said on standard error; twistd itself would end with 1, as for a wrong file."""
    run = inside.daemon(*words)
    assert run.returncode == 2
    assert said in run.stderr


@pytest.mark.parametrize("words", [["--syslog"], ["--logger", "module.observer"]])
def test_a_log_of_twistds_own_is_refused(world: Outside, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It would write exceptions with all that they quote."""
    file = world.directory / "checked.toml"
    file.write_text(toml(GOOD))

    class Twistd(ServerOptions):
        """It knows no other plug-in."""

        subCommands = (("gatewayd", None, Options, ""),)

    with pytest.raises(SystemExit) as left:
        Twistd().parseOptions([*words, "gatewayd", "--config", str(file)])
    assert left.value.code == 2
    assert f"twistd's {words[0]} would write addresses" in capsys.readouterr().err


def test_a_real_start_that_is_used_wrongly_is_2(world: Outside) -> None:
    """With the usage on standard error."""
    run = world.ctl("dead-letters", "eat", "x")
    assert run.returncode == 2
    assert "usage: gatewayctl" in run.stderr

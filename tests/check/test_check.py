"""`gatewayctl check` against real neighbours: a line for each, and a failure for whatever would stop a message."""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from outside_redis import Redis
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from warm import run

from certificates import Authority
from gatewayd.check import FAIL, OK, SKIP, WARN, Finding, failed, look_at_everything
from gatewayd.check.dns import CannotLookUp, sender_domains
from gatewayd.check.neighbours import callback, callback_targets
from gatewayd.check.providers import look as provider
from gatewayd.check.redis import needed as needed_commands
from gatewayd.config import Config, parse
from gatewayd.core.tokens import Keys
from gatewayd.sandbox.relay import SimulatedRelay
from gatewayd.sandbox.smsc import Behaviour, SmscSimulator
from gatewayd.store import RedisStore
from gatewayd.store.key_marks import KeyMarks, KnownKeys
from redis_server import RedisServer, ShiftedClock
from store_world import on_redis

LOOPBACK = "127.0.0.1"


class Silent(Protocol):
    """Takes a connection and says nothing."""


class Net:
    """Neighbours on real ports, and a configuration that names them. `raw` may be changed before `config`."""

    def __init__(self, directory: Path, redis: RedisServer) -> None:
        self.directory = directory
        self.authority = Authority(directory)
        self.relay = SimulatedRelay(reactor, tls=self.authority.server(LOOPBACK), users={"gw": "right"})
        self.smsc = SmscSimulator(reactor, Behaviour(system_id="gw", password="right"))
        self.redis = redis
        self._ports: list[Any] = []
        self.raw: dict[str, Any] = {}

    async def open(self) -> None:
        """Start all that is well."""
        relay = await self.relay.listen(TCP4ServerEndpoint(reactor, 0, interface=LOOPBACK))
        smsc = await self.smsc.start()
        callback = await self.listen(self.authority.endpoint(reactor, LOOPBACK), Factory.forProtocol(Silent))
        players = self.directory / "players.db"
        with closing(sqlite3.connect(players)) as database, database:
            database.execute("CREATE TABLE players (id TEXT, email TEXT, phone TEXT)")
            database.execute("INSERT INTO players VALUES ('1', 'anna@players.example', '+447700900123')")
        self.raw = {
            "gatewayd": {"secret_key": "k" * 32},
            "redis": {"endpoint": self.redis.endpoint},
            "labels": {
                "amazing": {
                    "allow_from": ["127.0.0.0/8"],
                    "authorization": ["secret"],
                    "api_key": "key",
                    "callback_url": f"https://{LOOPBACK}:{callback}/cb",
                    "callback_hosts": ["*.smartico.ai", LOOPBACK],
                    "email_senders": ["*@amazing.example"],
                    "directory": "players",
                    "relays": ["main"],
                    "sms_routes": [{"prefix": "", "via": ["world"]}],
                }
            },
            "directories": {
                "players": {
                    "type": "sql",
                    "driver": "sqlite3",
                    "connect": {"database": str(players)},
                    "query": "SELECT id, email, phone FROM players WHERE id = :ext_user_id",
                }
            },
            "relays": {
                "main": {
                    "host": LOOPBACK, "port": relay, "tls": "starttls", "ca_file": self.authority.ca_file,
                    "username": "gw", "password": "right",
                }
            },
            "smscs": {"world": {"host": LOOPBACK, "port": smsc, "system_id": "gw", "password": "right"}},
        }  # fmt: skip

    async def listen(self, endpoint: Any, factory: Factory) -> int:
        """Serve `factory` until the end; the port."""
        port = await endpoint.listen(factory)
        self._ports.append(port)
        return int(port.getHost().port)

    async def close(self) -> None:
        """Stop all."""
        await self.relay.stop()
        await self.smsc.stop()
        for port in self._ports:
            await port.stopListening()

    def config(self) -> Config:
        """What the file would be read as."""
        return parse(self.raw, {})

    async def look(self) -> dict[str, Finding]:
        """The last finding on each subject, without the DNS."""
        told: list[Finding] = []
        found = await look_at_everything(reactor, self.config(), told.append, lookup=nobody)
        assert told == found
        return {finding.what: finding for finding in found}


async def nobody(name: str, kind: str) -> list[str]:
    """A machine without a resolver."""
    raise CannotLookUp("TimeoutError")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One append-only Redis for all tests here."""
    one = RedisServer()
    pytest_twisted.blockon(Deferred.fromCoroutine(one.start()))
    yield one
    one.remove()


@pytest.fixture
def net(tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Net]:
    """A world in which all is well."""
    one = Net(tmp_path, server)
    monkeypatch.setenv("SSL_CERT_FILE", one.authority.ca_file)
    pytest_twisted.blockon(Deferred.fromCoroutine(one.open()))
    yield one
    pytest_twisted.blockon(Deferred.fromCoroutine(one.close()))


@pytest_twisted.ensureDeferred
async def test_all_is_well(net: Net) -> None:
    """Each neighbour is reached in its own protocol, and none of them gets a message."""
    found = await net.look()
    port = net.raw["relays"]["main"]["port"]
    assert not failed(found.values())
    assert found["redis"].word == found["redis appendonly"].word == found["redis maxmemory-policy"].word == OK
    assert found["directory players"].word == OK
    assert found["relay main"].found.startswith(f"127.0.0.1:{port}: EHLO, TLS with a good certificate, logged in")
    assert "bind_transceiver taken by 'SANDBOX', enquire_link" in found["smsc world"].found
    assert [finding.found for what, finding in found.items() if what.startswith("callback host")] == [
        "TLS handshake with a good certificate"
    ]
    assert not net.relay.taken
    assert not net.smsc.submits


@pytest_twisted.ensureDeferred
async def test_the_reactor_turns_before_the_last_look_begins(net: Net) -> None:
    """On a busy machine to begin all takes longer than each of them may take: local ones were told as silent."""
    turned: list[bool] = []
    seen: list[int] = []

    async def asked(name: str, kind: str) -> list[str]:
        seen.append(len(turned))
        raise CannotLookUp("TimeoutError")

    reactor.callLater(0, turned.append, True)
    await look_at_everything(reactor, net.config(), lambda _: None, lookup=asked)
    assert seen[0] == 1


@pytest_twisted.ensureDeferred
async def test_an_smsc_that_takes_a_longer_password_than_smpp_has_room_for(net: Net) -> None:
    """It is a warning that names the key and not the value: the next SMSC may cut it, or refuse the bind for it."""
    net.raw["smscs"]["world"]["password"] = "right-and-long"
    net.smsc.behaviour = Behaviour(system_id="gw", password="right-and-long")
    found = (await net.look())["smsc world"]
    assert found.word == WARN
    assert found.found.startswith("smscs.world.password has more than the 8 characters")


@pytest_twisted.ensureDeferred
async def test_a_secret_key_that_is_not_that_of_the_others_fails(net: Net) -> None:
    """A second host, before it is started: nobody whom the first one stopped would be stopped there."""
    other = "another key of at least 32 bytes"
    prefix = RedisStore.key_prefix("gatewayd:")
    link, _ = on_redis(net.redis, ShiftedClock(), prefix, "gw1")
    await link.command("HSET", prefix + "counts", "amazing|sms|accepted", 1)
    await KeyMarks(link, "gw1", KnownKeys(Keys(other.encode()).marks, 1.0)).look()
    found = (await net.look())["secret_key"]
    assert found.word == FAIL
    assert "last by gw1" in found.found
    net.raw["gatewayd"]["previous_secret_keys"] = [other]
    assert "secret_key" not in await net.look()
    net.raw["gatewayd"]["previous_secret_keys"] = []
    await link.command("DEL", prefix + "key-marks", prefix + "counts")
    await link.stopService()


@pytest_twisted.ensureDeferred
async def test_a_redis_from_which_commands_were_taken_fails(net: Net, tmp_path: Path) -> None:
    """It answers each PING, and the first message would be refused, or stored by half."""
    poor = RedisServer()
    (tmp_path / "redis.conf").write_text('rename-command DEL ""\nrename-command EVALSHA ""\nrename-command KEYS ""\n')
    try:
        await poor.start("--include", str(tmp_path / "redis.conf"))
        net.raw["redis"] = {"endpoint": poor.endpoint}
        found = await net.look()
        assert found["redis commands"].word == FAIL
        assert found["redis commands"].found.startswith("it has no DEL, EVALSHA, taken away by rename-command")
    finally:
        poor.remove()
    net.raw["redis"] = {"endpoint": net.redis.endpoint}
    assert "redis commands" not in await net.look()


@pytest_twisted.ensureDeferred
async def test_a_query_without_an_address_is_seen_by_its_columns(net: Net) -> None:
    """Before the first player is missed: the column, the label and what it sends are named."""
    net.raw["directories"]["players"]["query"] = "SELECT id, phone FROM players WHERE id = :ext_user_id"
    found = (await net.look())["directory players"]
    assert found.word == FAIL
    assert found.found == "the query has no column email, and labels.amazing sends email: nobody would get any"


@pytest_twisted.ensureDeferred
async def test_a_column_that_a_join_gives_twice_is_a_warning(net: Net) -> None:
    """Which of them counts is not for the order of tables to say."""
    net.raw["directories"]["players"]["query"] = "SELECT *, email FROM players WHERE id = :ext_user_id"
    found = (await net.look())["directory players"]
    assert found.word == WARN
    assert found.found.startswith("the query has several columns email, of which the last counts")


@pytest_twisted.ensureDeferred
async def test_a_flag_that_is_not_read_is_a_warning(net: Net) -> None:
    """By another name it keeps nobody from getting messages, and nothing else says so."""
    query = "SELECT id, email, phone, 0 AS OptedOut, 0 AS self_excluded, 1 AS vip FROM players WHERE id = :ext_user_id"
    net.raw["directories"]["players"]["query"] = query
    found = (await net.look())["directory players"]
    assert found.word == WARN
    assert found.found.startswith("the query's optedout, self_excluded keeps nobody from getting messages")
    net.raw["directories"]["players"]["query"] = query.replace("OptedOut", "opted_out").replace("self_", "")
    assert (await net.look())["directory players"].word == OK


@pytest_twisted.ensureDeferred
async def test_a_look_up_that_may_coerce_is_a_warning(net: Net) -> None:
    """Without the database's own spelling another one passes the stop list; comparing texts is safe."""
    players = net.raw["directories"]["players"]
    players["query"] = "SELECT email, phone FROM players WHERE id = :ext_user_id"
    found = (await net.look())["directory players"]
    assert (found.word, "no column id" in found.found) == (WARN, True)
    players["query"] = "SELECT email, phone FROM players WHERE CAST(id AS TEXT) = :ext_user_id"
    assert (await net.look())["directory players"].word == OK


@pytest.mark.parametrize(
    ("what", "break_it", "words"),
    [
        ("redis", lambda raw: raw["redis"].update(endpoint="unix:/nowhere/redis.sock"), "cannot be reached"),
        ("directory players", lambda raw: raw["directories"]["players"].update(query="SELECT 1 FROM nowhere"), ""),
        (
            "directory players",
            lambda raw: raw["directories"]["players"].update(
                query="SELECT id, email, phone FROM players WHERE :ext_user_id <> ''"
            ),
            "does not exist",
        ),
        ("relay main", lambda raw: raw["relays"]["main"].update(password="wrong"), "AUTH"),
        ("relay main", lambda raw: raw["relays"]["main"].update(host="localhost"), "not for this host"),
        ("relay main", lambda raw: raw["relays"]["main"].update(port=1), "refused: does it run, and listen on"),
        ("smsc world", lambda raw: raw["smscs"]["world"].update(password="wrong"), "ESME_R"),
        ("smsc world", lambda raw: raw["smscs"]["world"].update(port=1), "refused"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_wrong_fails_and_is_named(
    net: Net, what: str, break_it: Callable[[dict[str, Any]], None], words: str
) -> None:
    """One broken neighbour fails on its own line; the others are still looked at; no password is printed."""
    break_it(net.raw)
    found = await net.look()
    assert found[what].word == FAIL
    assert words in found[what].found
    assert {finding.what for finding in found.values() if finding.word == FAIL} == {what}
    assert not any("wrong" in finding.found and "password is wrong" not in finding.found for finding in found.values())


@pytest_twisted.ensureDeferred
async def test_a_callback_host_whose_certificate_is_not_trusted(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the daemon would refuse, the check refuses."""
    monkeypatch.delenv("SSL_CERT_FILE")
    found = await net.look()
    (line,) = [one for what, one in found.items() if what.startswith("callback host")]
    assert line.word == FAIL
    assert "certificate verify failed" in line.found
    assert line.found.endswith("or name a file of authorities in SSL_CERT_FILE")


@pytest_twisted.ensureDeferred
async def test_a_callback_url_that_the_label_itself_refuses(net: Net) -> None:
    """It would be found out with the first message otherwise."""
    net.raw["labels"]["amazing"]["callback_hosts"] = ["*.smartico.ai"]
    found = await net.look()
    assert found["callback of amazing"].word == FAIL
    said = "has a private or loopback host, which is not on the label's list by itself: a request that brings none"
    assert said in found["callback of amazing"].found


@pytest_twisted.ensureDeferred
async def test_an_account_whose_binds_are_all_held_is_no_failure(net: Net) -> None:
    """The check runs beside a running daemon, which may hold the only bind."""
    net.smsc.behaviour = Behaviour(bind_status=0x05)
    found = await net.look()
    assert found["smsc world"].word == WARN
    assert "ESME_RALYBND" in found["smsc world"].found


@pytest_twisted.ensureDeferred
async def test_neighbours_that_say_nothing_do_not_hold_the_others_up(net: Net) -> None:
    """Each is given up in time, as a failure; what is well is told at once."""
    mute = await net.listen(TCP4ServerEndpoint(reactor, 0, interface=LOOPBACK), Factory.forProtocol(Silent))
    net.raw["relays"]["main"] |= {"port": mute}
    net.raw["smscs"]["world"] |= {"port": mute}
    net.raw["labels"]["amazing"]["callback_url"] = f"https://{LOOPBACK}:{mute}/cb"
    net.raw["redis"] = {"endpoint": f"tcp:{LOOPBACK}:{mute}"}

    async def never(name: str, kind: str) -> list[str]:
        await Deferred()
        return []

    found = await look_at_everything(reactor, net.config(), lambda _: None, lookup=never, patience=0.5)
    words = {finding.what: finding.word for finding in found}
    assert words.pop("dns") == SKIP
    assert words.pop("directory players") == OK
    assert words.pop("label amazing") == WARN
    assert words == {
        "redis": FAIL,
        "relay main": FAIL,
        "smsc world": FAIL,
        f"callback host {LOOPBACK}:{mute}": FAIL,
    }


@pytest_twisted.ensureDeferred
async def test_a_callback_host_that_does_not_speak_tls_is_named(net: Net) -> None:
    """It takes the connection and waits for a request, as a web server does on its plain port."""
    mute = await net.listen(TCP4ServerEndpoint(reactor, 0, interface=LOOPBACK), Factory.forProtocol(Silent))
    (found,) = await callback(reactor, "https", LOOPBACK, mute, patience=0.3)
    assert (found.word, found.found) == (FAIL, "connected, but no end of the TLS handshake within 0.3 s")


@pytest_twisted.ensureDeferred
async def test_a_callback_host_on_another_servers_port_is_seen(net: Net) -> None:
    """As a provider's: a mail server greets, a web server never speaks first."""
    port = net.raw["relays"]["main"]["port"]
    (found,) = await callback(reactor, "http", LOOPBACK, port, listened=2.0)
    assert (found.word, found.found) == (FAIL, "it speaks before it is asked, which is not HTTP")


@pytest_twisted.ensureDeferred
async def test_who_wants_a_certificate_of_ours_says_so_behind_the_handshake(net: Net) -> None:
    """In TLS 1.3 the handshake is complete by then, and all looked well until the first status or SMS."""
    asking = net.authority.endpoint(reactor, LOOPBACK, client_certificates=True)
    port = await net.listen(asking, Factory.forProtocol(Silent))
    (found,) = await callback(reactor, "https", LOOPBACK, port, listened=60)
    assert found.word == FAIL
    assert "certificate required" in found.found
    net.raw["providers"] = {
        "vendor": {"url": f"https://{LOOPBACK}:{port}/", "fields": {"to": "{to}"}, "ca_file": net.authority.ca_file}
    }
    (found,) = await provider(reactor, "vendor", net.config().providers["vendor"], listened=60)
    assert found.word == FAIL
    assert "certificate required" in found.found
    certificate, key = net.authority.client("gw")
    net.raw["providers"]["vendor"] |= {"certificate": certificate, "private_key": key}
    (found,) = await provider(reactor, "vendor", net.config().providers["vendor"], listened=0.1)
    assert (found.word, found.found) == (OK, f"{LOOPBACK}:{port}: TLS with a good certificate")


@pytest_twisted.ensureDeferred
async def test_a_provider_on_another_servers_port_is_seen(net: Net) -> None:
    """A mail server greets; a web server never speaks first."""
    port = net.raw["relays"]["main"]["port"]
    net.raw["providers"] = {"vendor": {"url": f"http://{LOOPBACK}:{port}/", "fields": {"to": "{to}"}}}
    (found,) = await provider(reactor, "vendor", net.config().providers["vendor"], listened=2.0)
    assert found.word == FAIL
    assert "it speaks before it is asked, which is not HTTP" in found.found


@pytest_twisted.ensureDeferred
async def test_transmitter_and_receiver_are_both_tried(net: Net) -> None:
    """Two binds, two lines."""
    net.raw["smscs"]["world"]["bind"] = "transmitter+receiver"
    found = await look_at_everything(reactor, net.config(), lambda _: None, lookup=nobody)
    lines = [finding.found for finding in found if finding.what == "smsc world"]
    assert len(lines) == 2
    assert "bind_transmitter taken" in lines[0]
    assert "bind_receiver taken" in lines[1]


@pytest_twisted.ensureDeferred
async def test_every_host_of_an_account_is_tried(net: Net) -> None:
    """One that refuses is a failure of its own beside one that answers."""
    net.raw["smscs"]["world"]["more_hosts"] = [f"{LOOPBACK}:1"]
    everything = await look_at_everything(reactor, net.config(), lambda _: None, lookup=nobody)
    found = [finding for finding in everything if finding.what == "smsc world"]
    assert [finding.word for finding in found] == [OK, FAIL]
    assert found[1].found.startswith(f"{LOOPBACK}:1: ")


@pytest_twisted.ensureDeferred
async def test_without_a_resolver_nothing_fails(net: Net) -> None:
    """Each record says clearly that it could not be looked up."""
    found = await net.look()
    for kind in ("SPF", "DMARC", "MX"):
        assert found[f"dns {kind} amazing.example"].word == SKIP
        assert "could not look up" in found[f"dns {kind} amazing.example"].found


# The DNS, by values ----------------------------------------------------------------------------------------------


def test_domains_come_from_the_senders(net: Net) -> None:
    """Patterns without a domain name nobody; a label without relays sends no email."""
    net.raw["labels"]["amazing"]["email_senders"] = ["*@amazing.example", "Noreply@Shop.example", "*", "*@*.example"]
    assert sender_domains(*net.config().labels.values()) == ["amazing.example", "shop.example"]
    net.raw["labels"]["amazing"]["relays"] = []
    assert sender_domains(*net.config().labels.values()) == []


def test_callback_targets(net: Net) -> None:
    """The label's URL with its port, and listed hosts that are no patterns at https's."""
    own = net.raw["labels"]["amazing"]
    own |= {"callback_url": "https://api.smartico.ai:8443/x", "callback_hosts": ["*.smartico.ai", "cb.amazing.example"]}
    assert set(callback_targets(net.config().labels)) == {
        ("https", "api.smartico.ai", 8443),
        ("https", "cb.amazing.example", 443),
    }


# The command -----------------------------------------------------------------------------------------------------


def written(net: Net) -> Path:
    """The configuration as a file."""

    def value(item: Any) -> str:
        if isinstance(item, dict):
            return "{" + ", ".join(f"{name} = {value(inner)}" for name, inner in item.items()) + "}"
        if isinstance(item, list):
            return "[" + ", ".join(map(value, item)) + "]"
        return json.dumps(item)

    lines = [f"{table} = {value(content)}" for table, content in net.raw.items()]
    path = net.directory / "gatewayd.toml"
    path.write_text("\n".join(lines))
    return path


async def gatewayctl(*words: str) -> tuple[str, str, int]:
    """Standard output, standard error and exit status of the command in a process of its own."""
    done = await deferToThread(run, "gatewayctl", words, env=os.environ, cwd=Path.cwd())
    return done.stdout, done.stderr, done.returncode


@pytest_twisted.ensureDeferred
async def test_the_command(net: Net) -> None:
    """A line each and 0; with a broken neighbour 1; JSON for programs."""
    path = written(net)
    out, error, status = await gatewayctl("--config", str(path), "check")
    assert (status, error) == (0, ""), out
    assert "ok    smsc world:" in out
    net.raw["smscs"]["world"]["password"] = "wrong"
    out, _, status = await gatewayctl("--config", str(written(net)), "check", "--json")
    assert status == 1
    told = json.loads(out)
    assert told["ok"] is False
    assert [line["what"] for line in told["findings"] if line["result"] == "fail"] == ["smsc world"]


@pytest_twisted.ensureDeferred
async def test_a_bad_certificate_is_a_line_and_no_traceback(net: Net) -> None:
    """What Twisted says of it by itself stays unsaid."""
    label = net.raw["labels"]["amazing"]
    label["callback_url"] = label["callback_url"].replace(LOOPBACK, "localhost")
    label["callback_hosts"] = ["localhost"]
    out, error, status = await gatewayctl("--config", str(written(net)), "check")
    assert (status, error) == (1, "")
    assert re.search(r"FAIL  callback host localhost:\d+: .*certificate", out)


@pytest_twisted.ensureDeferred
async def test_a_wrong_configuration_is_told_whole_and_nothing_is_connected_to(net: Net) -> None:
    """All errors at once, with their keys, exit status 1."""
    net.raw["relays"]["main"]["prot"] = 25
    net.raw["labels"]["amazing"]["allow_from"] = ["300.0.0.0/8"]
    out, _, status = await gatewayctl("--config", str(written(net)), "check")
    assert status == 1
    assert "relays.main.prot: unknown key" in out
    assert "labels.amazing.allow_from[0]:" in out
    assert not net.smsc.binds


@pytest_twisted.ensureDeferred
async def test_smpp_probe_learns_and_advises(net: Net) -> None:
    """Texts go out, receipts come, and what to configure is printed; the number is nobody's but the asker's."""
    words = ("smpp-probe", "world", "--to", "+447700900123", "--from", "Amazing", "--wait", "20")
    out, error, status = await gatewayctl("--config", str(written(net)), *words)
    assert (status, error) == (0, ""), out
    assert "To put under [smscs.world]:" in out
    assert "message_ids = " in out
    assert net.smsc.submits
    out, _, status = await gatewayctl("--config", str(written(net)), "smpp-probe", "wolrd", "--to", "+44", "--json")
    assert status == 1
    assert re.search(r"there is no \[smscs.wolrd\] in .* \(did you mean world\?\)", json.loads(out)["error"])


def rights_of_the_manual() -> list[str]:
    """What chapter 8.4 gives to a user of Redis, behind its name."""
    chapter = (Path(__file__).parents[2] / "debian" / "manual" / "8-scaling.md").read_text("utf-8")
    (rights,) = re.findall(r"^ACL SETUSER gatewayd ([^`]*)", chapter, re.MULTILINE)
    return [str(word) for word in rights.split()]


@pytest_twisted.ensureDeferred
async def test_a_user_of_redis_without_a_right_fails(net: Net) -> None:
    """With those of the manual nothing is missing; each command that is, and keys of another prefix, are named.

    It answered each PING, and the first message was refused with words that name no command.
    """
    given = rights_of_the_manual()
    needed = {f"+{name.lower()}" for name in needed_commands()}
    least = {"on", ">REDIS-PASSWORD", "~gatewayd:*", "-@all", "+command|info", "+multi", "+discard"}
    assert set(given) == needed | least | {"+info", "+role", "+bgrewriteaof"}
    unseen = "its rights can't be looked at: Redis says NOPERM this user has no permissions to run the"
    cases: list[tuple[tuple[str, ...], dict[str, str]]] = [
        ((), {}),
        (("-zadd", "-set"), {FAIL: "may not run SET, ZADD: no message can be stored without"}),
        (("-info",), {WARN: "may not run INFO: nobody can say whether it keeps what it is given"}),
        (("resetkeys", "~gate:*"), {FAIL: "may not use keys that begin with gatewayd: (ACL SETUSER ... ~gatewayd:*)"}),
        (("-multi",), {SKIP: f"{unseen} 'multi' command"}),
        (("-discard",), {SKIP: f"{unseen} 'discard' command"}),
        (("-command|info",), {SKIP: f"{unseen} 'command|info' command"}),
    ]
    for less, words in cases:
        assert Redis(net.redis.directory).ask("ACL", "SETUSER", "gw", "reset", *given, *less) == "OK"
        net.raw["redis"] |= {"username": "gw", "password": "REDIS-PASSWORD"}
        found = await net.look()
        # The words of 7.0; a younger one names the user.
        of_user = [one for what, one in found.items() if what == "redis user gw"]
        assert {one.word: one.found.replace("User gw has", "this user has") for one in of_user} == words
        assert found["redis"].word == OK

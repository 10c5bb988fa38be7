"""gatewayd.toml: every key of CONTRACT.md is read, and whatever is wrong is named with its full path."""

import re
import tomllib
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import BaseModel

import gatewayd.config as configuration
from certificates import Authority
from gatewayd.config import ConfigError, HttpDirectory, Secret, SqlDirectory, doors, load, parse
from gatewayd.config.doors import only_by_systemd
from gatewayd.config.endpoint_words import collide

SMALL = """
[gatewayd]
secret_key = "0123456789012345678901234567890123456789"
instance = "gw1"
[redis]
endpoint = "unix:/run/redis/redis-server.sock"
[bounces]
domain = "bounces.amazing.co"
[public]
base_url = "https://go.amazing.co"
listen = ["unix:/run/{instance}.sock"]
[labels.amazing]
allow_from = ["203.0.113.0/24", "2001:db8::/32"]
authorization = ["one", "two"]
api_key = "key"
callback_hosts = ["*.smartico.ai"]
directory = "players"
relays = ["main"]
sms_routes = [{prefix = "+44", via = ["world"]}]
[directories.players]
type = "sql"
driver = "sqlite3"
connect = {database = "/var/lib/players.db"}
query = "SELECT email, phone FROM players WHERE id = :ext_user_id"
[relays.main]
host = "127.0.0.1"
[smscs.world]
host = "127.0.0.1"
system_id = "gw"
password = "secret"
"""


RSA = rsa.generate_private_key(65537, 1024)
DKIM = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
RSA_PUBLIC, EC_PUBLIC = (
    key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for key in (RSA, ec.generate_private_key(ec.SECP256R1()))
)


def raw(**changes: Any) -> dict[str, Any]:
    """The small configuration with values changed by dotted path (double underscores)."""
    tree = tomllib.loads(SMALL)
    for path, value in changes.items():
        *tables, key = path.split("__")
        place: Any = tree
        for name in tables:
            place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
        place[key] = value
    return tree


def errors(**changes: Any) -> list[str]:
    """What is said about the changed configuration."""
    with pytest.raises(ConfigError) as caught:
        parse(raw(**changes), {})
    return caught.value.errors


def test_a_key_that_proves_nothing_is_told_beside_any_other_error() -> None:
    """What a secret holds is looked at though another table, or another key of its own, is wrong."""
    said = errors(
        gatewayd__unknown=1,
        esp={"sendgrid": {"secret": "x" * 16, "public_key": "abc", "more": 1}, "postmark": {"secret": "env:NONE"}},
        providers={
            "vendor": {
                "url": "https://api.vendor.example/",
                "rate": 5,
                "reports": {"signature": "telnyx", "secret": "abc"},
            }
        },
    )
    assert sorted(line.partition(":")[0] for line in said) == [
        "esp.postmark.secret",
        "esp.sendgrid.more",
        "esp.sendgrid.public_key",
        "gatewayd.unknown",
        "providers.vendor.rate",
        "providers.vendor.reports.secret",
    ]


def test_each_wrong_tag_and_status_is_told() -> None:
    """By its own key: the first one is not all."""
    said = errors(
        smscs__world__tlvs={"0x99999": "1", "0x14g": "2", "0x1400": 5, "0x1401": "3"},
        smscs__world__submit_statuses={"x": "retry", "0x400": "later", "1024": "retry", "0x500": "retry"},
    )
    assert [line.partition(":")[0] for line in said] == [
        *(f"smscs.world.submit_statuses.{code}" for code in ("x", "0x400", "1024")),
        *(f"smscs.world.tlvs.{tag}" for tag in ("0x99999", "0x14g", "0x1400")),
    ]


@pytest.mark.parametrize(
    ("tag", "how"),
    [
        ("1400", ": write 0x1400 (or 0x0578 for decimal 1400)"),
        ("140a", ": write 0x140a"),
        ("14000", ": write 0x36b0 for decimal 14000"),
        ("0000", ' such as "0x1400"'),
        ("0x0", ' such as "0x1400"'),
        ("99999", ' such as "0x1400"'),
    ],
)
def test_a_tag_without_0x_could_be_another_one(tag: str, how: str) -> None:
    """Carriers' pages say 1400 and mean hexadecimal: nobody guesses, and the error has both ways to write it."""
    said = f"smscs.world.tlvs.{tag}: is not the tag of an optional parameter{how}"
    assert errors(smscs__world__tlvs={tag: "1"}) == [said]


@pytest.mark.parametrize(
    "wrong", ["s3cret\n", "s3cret\r\n", " s3cret", "s3cret ", "\ts3cret", "s3\0cret", "s3\ncret", "\x7f"]
)
def test_what_no_request_can_send_as_its_authorization_is_an_error(wrong: str, tmp_path: Path) -> None:
    """In the file, in the environment, or in a file of its own, whose last line break is none of the secret's."""
    said = errors(labels__amazing__authorization=["ok", wrong])
    assert [line.partition(":")[0] for line in said] == ["labels.amazing.authorization[1]"]
    assert "s3" not in said[0]
    with pytest.raises(ConfigError):
        parse(raw(labels__amazing__authorization=["env:WRONG"]), {"WRONG": wrong})
    (tmp_path / "secret").write_bytes(f"{wrong}\n".encode())
    assert errors(labels__amazing__authorization=[f"file:{tmp_path}/secret"])


def test_a_list_whose_only_entry_is_wrong_is_not_called_empty() -> None:
    """That would be a second line about one fault, and untrue; a list that is empty is called so."""
    said = errors(
        labels__amazing__authorization=["s3cret\n"], labels__amazing__sms_routes=[{"prefix": "+44", "via": [""]}]
    )
    assert [line.partition(":")[0] for line in said] == [
        "labels.amazing.authorization[0]",
        "labels.amazing.sms_routes[0].via[0]",
    ]
    assert errors(labels__amazing__authorization=[]) == ["labels.amazing.authorization: must not be empty"]


def test_an_authorization_may_have_blanks_in_it(tmp_path: Path) -> None:
    """A scheme and what follows it; the line break at the end of its file is dropped."""
    (tmp_path / "secret").write_text("Bearer s3\tcret\n")
    label = parse(raw(labels__amazing__authorization=["Basic eDp5", f"file:{tmp_path}/secret"]), {}).labels["amazing"]
    assert [one.reveal() for one in label.authorization] == ["Basic eDp5", "Bearer s3\tcret"]


def test_a_second_route_of_a_prefix_is_told() -> None:
    """It would never be taken; each further one by its own key."""
    routes = [{"prefix": prefix, "via": ["world"]} for prefix in ("+44", "", "+44", "+447", "", "+44")]
    assert errors(labels__amazing__sms_routes=routes) == [
        f'labels.amazing.sms_routes[{index}].prefix: sms_routes[{first}] has "{prefix}", too, and takes all its numbers'
        for index, first, prefix in ((2, 0, "+44"), (4, 1, ""), (5, 0, "+44"))
    ]


CLIENT = "redis.endpoint: is not a Twisted client endpoint string: "
SERVER = "api.listen[0]: is not a Twisted server endpoint string: "
SYSTEMD = "systemd:domain=INET:name=NAME, or index=NUMBER"


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("tcp:127.0.0.1", "it has no port: tcp:HOST:PORT"),
        ("tcp:127.0.0.1:", "it has no port: tcp:HOST:PORT"),
        ("tcp:host=127.0.0.1", "it has no port: tcp:HOST:PORT"),
        ("tcp", "it has no host and no port: tcp:HOST:PORT"),
        ("tcp::6379", "it has no host: tcp:HOST:PORT"),
        ("tls:redis.internal", "it has no port: tls:HOST:PORT"),
        ("unix", "it has no path: unix:PATH"),
        ("unix:", "it has no path: unix:PATH"),
        ("tcp:127.0.0.1:redis", "its port is no number: redis"),
        ("tcp:127.0.0.1:6379:database=2", "there is no database="),
        ("tls:127.0.0.1:6379:database=2", "there is no database="),
        ("tcp:127.0.0.1:6379:2:3:4", "it has too many parts (a colon in one of them is written \\:)"),
        ("tcp:::1:6379", "it has too many parts (a colon in one of them is written \\:)"),
    ],
)
def test_what_a_client_endpoint_lacks_is_said_in_words(endpoint: str, why: str) -> None:
    """Not in Python's, and with the form that it should have."""
    assert errors(redis={"endpoint": endpoint}) == [CLIENT + why]


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("tcp", "it has no port: tcp:PORT:interface=ADDRESS"),
        ("tcp:", "it has no port: tcp:PORT:interface=ADDRESS"),
        ("tcp:127.0.0.1:8080", "its port is no number: 127.0.0.1"),
        ("tcp:8080:host=127.0.0.1", "there is no host="),
        ("tcp:8080:1:2:3:4", "it has too many parts (a colon in one of them is written \\:)"),
        ("unix:", "it has no address: unix:ADDRESS"),
        ("tcp:8080:interface=::1", "it has too many parts (a colon in one of them is written \\:)"),
        ("unix:/run/x:mode=rw", "'rw' is no number"),
        ("unix:/run/{instanc}.sock", "the only place-holder is {instance}"),
        ("nothing:1", "Unknown endpoint type: 'nothing'"),
        ("systemd:INET:0", f"there is no INET: {SYSTEMD}"),
        ("systemd:domain=INET:index=0:port=1", f"there is no port=: {SYSTEMD}"),
        ("systemd:index=0", f"its domain is none of INET, INET6, UNIX: {SYSTEMD}"),
        ("systemd:domain=INET", f"it has both a name and an index, or none: {SYSTEMD}"),
        ("systemd:domain=INET:index=0:name=api", f"it has both a name and an index, or none: {SYSTEMD}"),
        ("systemd:domain=INET:index=first", "its index is no number: first"),
        ("systemd:domain=INET:name=", f"it has no name: {SYSTEMD}"),
    ],
)
def test_what_a_server_endpoint_lacks_is_said_in_words(endpoint: str, why: str) -> None:
    """As of those that we connect by."""
    assert errors(api={"listen": [endpoint]}) == [SERVER + why]


TLS = "ssl:PORT:privateKey=FILE:certKey=FILE, both in PEM; or tcp: and a proxy in front that does TLS"
SNI = "tls:DIRECTORY:port=PORT, or ssl:PORT:privateKey=FILE:certKey=FILE"


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("ssl", "it has no port: ssl:PORT:interface=ADDRESS"),
        ("ssl:443", f"it has no privateKey= and no certKey=: {TLS}"),
        ("ssl:443:interface=127.0.0.1", f"it has no privateKey= and no certKey=: {TLS}"),
        ("ssl:443:certKey={there}/a.pem", f"it has no privateKey=: {TLS}"),
        ("ssl:443:privateKey={there}/none.key", "cannot read {there}/none.key: No such file or directory"),
        (
            "ssl:443:privateKey={there}/a.key:certKey={there}/none.crt",
            "cannot read {there}/none.crt: No such file or directory",
        ),
        ("ssl:443:privateKey={there}/a.key", f"it has no certKey=, and privateKey= is no PEM file of both: {TLS}"),
        (
            "ssl:443:privateKey={there}/a.pem:certKey={there}/a.pem",
            "privateKey= and certKey= are no PEM files of a key and its certificate",
        ),
        ("ssl:443:privateKey={there}/a.key:certKey={there}/a.pem:x=1", "there is no x="),
        ("tls:443", f"443 is no directory of PEM files: {SNI}"),
        ("tls:{there}/none:port=443", f"{{there}}/none is no directory of PEM files: {SNI}"),
        ("tls::port=443", f"it names no directory of PEM files: {SNI}"),
        ("tls:port=443", f"it names no directory of PEM files: {SNI}"),
    ],
)
def test_what_a_door_with_tls_lacks_is_said_in_words(tmp_path: Path, endpoint: str, why: str) -> None:
    """Not that there is no server.pem, of which nobody has spoken."""
    Authority(tmp_path).client("a")
    given = endpoint.format(there=tmp_path)
    assert errors(api={"listen": [given]}) == [SERVER + why.format(there=tmp_path)]


def test_a_door_that_only_systemd_opens_is_no_error_outside_systemd() -> None:
    """It is named; two that want the same socket are an error."""
    found = parse(raw(api__listen=["systemd:domain=INET:name={instance}.socket"]), {}, "gw2")
    assert found.listens["api"] == ("systemd:domain=INET:name=gw2.socket",)
    same = ["systemd:domain=UNIX:index=1"] * 2
    assert errors(api={"listen": same}) == [f"api.listen[1]: api.listen[0] listens there ({same[0]})"]
    assert list(only_by_systemd({"api": ("tcp:8080", "systemd:domain=INET:index=0"), "admin": ()})) == [
        "api.listen[1]: only systemd can open systemd:domain=INET:index=0: whether it does shows when it starts us"
    ]


@pytest.mark.parametrize("region", ["Britain", "UK", "XX", ["GB"]])
def test_a_wrong_region_of_the_players_is_told_once(region: object) -> None:
    """The SMSCs that would have it as a default say nothing."""
    assert [line.partition(":")[0] for line in errors(directories__players__default_region=region)] == [
        "directories.players.default_region"
    ]


@pytest.mark.parametrize(("region", "hint"), [("UK", " (did you mean GB?)"), ("de", " (did you mean DE?)"), ("XX", "")])
def test_a_country_by_another_code_is_said_before_its_numbers_are_not_read(region: str, hint: str) -> None:
    """UK is what people write of GB; players' numbers would be no address, and a STOP from one nobody's."""
    assert errors(directories__players__default_region=region) == [
        f"directories.players.default_region: is no country's code by ISO 3166, such as GB{hint}"
    ]


@pytest.mark.parametrize("value", [None, 5, 1.5, True, "", "x", [], [5], ["x", []], {}, {"x": 5}, {"x": {"y": []}}])
def test_a_value_of_any_kind_at_any_key_is_an_error_or_right(value: Any) -> None:
    """Never another exception, at whatever stage."""

    def places(tree: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
        return [found for key, one in inner for found in [(*way, key), *places(one, (*way, key))]]

    changes = {
        "directories__players__default_region": "GB",
        "smscs__world__tlvs": {"0x1400": "1"},
        "esp": {"ses": {"secret": "x"}},
        "providers": {"vendor": {"url": "https://x.example/", "fields": {"a": "{to}"}, "headers": {"X-A": "b"}}},
    }
    for way in places(raw(**changes)):
        tree = deepcopy(raw(**changes))
        place = tree
        for key in way[:-1]:
            place = place[key]
        place[way[-1]] = deepcopy(value)
        with suppress(ConfigError):
            parse(tree, {})


def test_defaults_are_the_contracts() -> None:
    """Numbers, times, rates, booleans and empty values that are not given are those of CONTRACT.md."""
    config = parse(raw(), {})
    assert (config.gatewayd.retention, config.gatewayd.work) == (7 * 86400, ("email", "sms", "reports"))
    assert (config.redis.database, config.redis.max_queued, config.redis.key_prefix) == (0, 1_000_000, "gatewayd:")
    assert (config.api.max_body, config.api.reuse_port) == (2_097_152, False)
    label = config.labels["amazing"]
    assert (label.email_deadline, label.sms_deadline, label.max_segments) == (86400, 14400, 10)
    assert (label.sms_authorization, label.callback_http, label.callback_url) == (True, False, "")
    relay, smsc = config.relays["main"], config.smscs["world"]
    assert (relay.port, relay.tls, relay.connections, relay.rate) == (25, "none", 10, 0)
    assert (relay.on_uncertain, relay.uncertain_wait) == ("resend", 10)
    assert (smsc.port, smsc.window, smsc.rate, smsc.enquire_link) == (2775, 20, 100, 30)
    assert (smsc.on_uncertain, smsc.message_ids, smsc.source_ton_npi) == ("hold", "auto", None)
    directory = config.directories["players"]
    assert isinstance(directory, SqlDirectory)
    assert (directory.timeout, directory.cache) == (2, 30)


def test_sentinels_stand_in_the_endpoints_place() -> None:
    """With the master's name, users of both kinds, TLS and a number of replicas."""
    keys = {"sentinels": ["10.0.0.11", "[2001:db8::1]:26380"], "master": "gateway", "tls": True, "replicas": 1}
    users = {"sentinel_username": "gw", "sentinel_password": "s", "username": "gw", "password": "p"}
    config = parse(raw(redis={**keys, **users}), {})
    assert config.redis.sentinels == ("10.0.0.11", "[2001:db8::1]:26380")
    assert (config.redis.tls, config.redis.replicas, config.redis.master) == (True, 1, "gateway")
    assert "is required with sentinel_username" in errors(redis={**keys, "sentinel_username": "gw"})[0]


def test_the_contracts_example_is_a_configuration(tmp_path: Path) -> None:
    """The commented example that we install reads without an error once its secrets are there."""
    keys = {"amazing.dkim": DKIM, "sendgrid": EC_PUBLIC}
    text = (Path(__file__).parent.parent.parent / "etc" / "gatewayd.toml").read_text()
    uncommented = re.sub(r"^#(?=[\[\w\"'}\]])", "", text, flags=re.M)
    for source in {text, uncommented}:
        for name in re.findall(r'"file:([^"]+)"', source):
            secret = tmp_path / Path(name).name
            secret.write_text(keys.get(secret.stem, "x" * 40) + "\n")
            source = source.replace(f"file:{name}", f"file:{secret}")
        source = re.sub(r'"credential:([^"]+)"', '"' + "x" * 40 + '"', source)
        parse(tomllib.loads(source), {})


def test_the_installed_file_explains_every_key() -> None:
    """Each key of each table stands in etc/gatewayd.toml."""
    text = (Path(__file__).parent.parent.parent / "etc" / "gatewayd.toml").read_text()
    tables = [*vars(configuration).values()]
    models = [table for table in tables if isinstance(table, type) and issubclass(table, BaseModel)]
    keys = {name for model in models if model is not configuration.Config for name in model.model_fields}
    assert {key for key in keys if not re.search(rf"\b{key}\b", text)} == set()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gatewayd__foo": 1}, "gatewayd.foo: unknown key"),
        ({"labels__amazing__allow_from": ["300.0.0.0/8"]}, "labels.amazing.allow_from[0]: is not an IPv4 or IPv6"),
        ({"labels__amazing__allow_from": ["10.0.0.0/8", 3]}, "labels.amazing.allow_from[1]: is not"),
        ({"gatewayd__secret_key": "short"}, "gatewayd.secret_key: must have at least 32 bytes"),
        ({"gatewayd__secret_key": "file:/nonexistent"}, "gatewayd.secret_key: cannot read secret file /nonexistent"),
        ({"gatewayd__secret_key": "env:NOPE"}, "gatewayd.secret_key: environment variable NOPE is not set"),
        ({"relays__main__headers": {"X Y": "1"}}, "relays.main.headers.X Y: is not the name of a header field"),
        ({"relays__main__headers": {"X-SMTPAPI": "{}"}}, "relays.main.headers.X-SMTPAPI: is a header field that"),
        ({"labels__amazing__headers": {"List-Id": "a\r\nb"}}, "labels.amazing.headers.List-Id: is not one line"),
        ({"labels__amazing__headers": {"bcc": "a@b.c"}}, "labels.amazing.headers.bcc: is a header field that"),
        ({"gatewayd__work": ["mail"]}, "gatewayd.work[0]: must be one of"),
        ({"gatewayd__retention": "7"}, "gatewayd.retention: is not a time"),
        ({"gatewayd__retention": "0s"}, "gatewayd.retention: must be longer than zero"),
        ({"redis__endpoint": "localhost"}, "redis.endpoint: must begin with"),
        ({"redis__endpoint": ""}, "redis.endpoint: is required"),
        ({"labels__amazing__quiet_hours": "22-8"}, "labels.amazing.quiet_hours: is not a span of hours"),
        ({"labels__amazing__quiet_hours": "22:00-22:00"}, "labels.amazing.quiet_hours: is not a span of hours"),
        ({"labels__amazing__quiet_hours": "24:00-08:00"}, "labels.amazing.quiet_hours: is not a span of hours"),
        ({"labels__amazing__quiet_timezone": "Mars/Olympus"}, "labels.amazing.quiet_timezone: is not the name"),
        ({"labels__amazing__quiet_timezone": "../etc/passwd"}, "labels.amazing.quiet_timezone: is not the name"),
        ({"labels__amazing__intake_rate": "6000"}, "labels.amazing.intake_rate: is not a rate"),
        ({"labels__amazing__intake_rate": "0/m"}, "labels.amazing.intake_rate: is not a rate"),
        ({"redis__sentinels": ["10.0.0.11:26379"]}, "redis.master: is required with sentinels"),
        ({"redis__sentinels": ["a b"], "redis__master": "m"}, "redis.sentinels[0]: is not a host"),
        ({"redis__master": "gateway"}, "redis.master: needs sentinels"),
        ({"redis__sentinel_password": "x"}, "redis.sentinel_password: needs sentinels"),
        ({"redis__tls": True}, "redis.tls: a unix: endpoint has none"),
        ({"redis__replicas": -1}, "redis.replicas: "),
        ({"redis__ca_file": "/etc/ssl/x.pem", "redis__endpoint": "tcp:localhost:1"}, "redis.ca_file: needs a tls:"),
        ({"redis__database": "0"}, "redis.database: must be a whole number"),
        ({"api__listen": ["tcp:xyz"]}, "api.listen[0]: is not a Twisted server endpoint"),
        ({"api__listen": ["tcp:99999"]}, "api.listen[0]: has no port 99999: 1 to 65535"),
        (
            {"labels__amazing__callback_url": "https://api.smartico.ai:99999/cb"},
            "labels.amazing.callback_url: has no port 99999",
        ),
        ({"public__base_url": "https://[::1]:0"}, "public.base_url: has no port 0"),
        ({"api__listen": ["tcp:-1"]}, "api.listen[0]: has no port -1"),
        ({"api__listen": ["haproxy:tcp6:port=70000"]}, "api.listen[0]: has no port 70000"),
        ({"redis__endpoint": "tcp:localhost:65536"}, "redis.endpoint: has no port 65536"),
        ({"redis__endpoint": "tls:localhost:0"}, "redis.endpoint: has no port 0"),
        ({"api__listen": ["tcp:9090"]}, "admin.listen[0]: api.listen[0] listens there (tcp:9090)"),
        ({"api__listen": ["tcp:7000:interface=127.0.0.1"] * 2}, "api.listen[1]: api.listen[0] listens there"),
        ({"labels__amazing__directory": "nowhere"}, "labels.amazing.directory: there is no [directories.nowhere]"),
        ({"labels__amazing__relays": ["main", "b"]}, "labels.amazing.relays[1]: there is no [relays.b]"),
        ({"labels__amazing__sms_routes__0__via": ["x"]}, "labels.amazing.sms_routes[0].via[0]: there is no [smscs.x]"),
        ({"labels__amazing__authorization": []}, "labels.amazing.authorization: must not be empty"),
        ({"labels__amazing__authorization": [""]}, "labels.amazing.authorization[0]: the secret is empty"),
        ({"labels__amazing__sms_sender": "TwelveLetter"}, "labels.amazing.sms_sender: is neither a number nor a name"),
        ({"labels__amazing__callback_url": "http://x.smartico.ai/"}, "labels.amazing.callback_url: is not https"),
        ({"labels__amazing__email_deadline": 5}, "labels.amazing.email_deadline: is not a time"),
        ({"labels__amazing__sms_deadline": "3654d"}, "labels.amazing.sms_deadline: is longer than ten years"),
        ({"labels__amazing__suppress_for": "99999999d"}, "labels.amazing.suppress_for: is longer than ten years"),
        ({"gatewayd__retention": "99999999d"}, "gatewayd.retention: is longer than ten years"),
        ({"smscs__world__rate": "fast"}, "smscs.world.rate: is not a rate"),
        ({"smscs__world__host": "smsc_1"}, "smscs.world.host: is neither an address nor a name"),
        ({"smscs__world__more_hosts": ["a..b:2775"]}, "smscs.world.more_hosts[0]: is neither an address nor a name"),
        ({"relays__main__host": "::1::"}, "relays.main.host: "),
        ({"relays__main__host": "-relay"}, "relays.main.host: is neither an address nor a name"),
        ({"smscs__world__bind": "receiver"}, "smscs.world.bind: must be one of"),
        ({"smscs__world__window": 0}, "smscs.world.window: "),
        ({"smscs__world__source_ton_npi": "5"}, "smscs.world.source_ton_npi: is not a pair"),
        ({"smscs__world__password": "x" * 129}, "smscs.world.password: must have at most 128 characters"),
        ({"smscs__world__password": "pass\0"}, "smscs.world.password: has a character that SMPP has no place for"),
        ({"smscs__world__password": "πάσο"}, "smscs.world.password: has a character that SMPP has no place for"),
        ({"smscs__world__system_id": "s" * 16}, "smscs.world.system_id: must have at most 15 characters"),
        ({"smscs__world__system_id": "gω"}, "smscs.world.system_id: has a character that SMPP has no place for"),
        ({"smscs__world__system_type": "s" * 13}, "smscs.world.system_type: must have at most 12 characters"),
        ({"smscs__world__submit_statuses": {"x": "retry"}}, "smscs.world.submit_statuses.x: is not a command_status"),
        ({"smscs__world__submit_statuses": {"0x400": "no"}}, "smscs.world.submit_statuses"),
        ({"smscs__world__data_codings": {"ucs2": 256}}, "smscs.world.data_codings.ucs2: "),
        ({"smscs__world__data_codings": {"gsm": 0}}, "smscs.world.data_codings.gsm: unknown key"),
        (
            {"smscs__world__data_codings": {"default": 3}, "smscs__world__default_alphabet": "gsm"},
            "smscs.world.data_codings.default: 3 names latin1, and default_alphabet is gsm",
        ),
        (
            {"smscs__world__data_codings": {"default": 1}, "smscs__world__default_alphabet": "latin1"},
            "smscs.world.data_codings.default: 1 names ascii, and default_alphabet is latin1",
        ),
        ({"smscs__world__data_codings": {"default": 8}}, "smscs.world.data_codings.default: 8 names UCS-2"),
        ({"smscs__world__data_codings": {"default": 4}}, "smscs.world.data_codings.default: 4 names binary"),
        ({"smscs__world__data_codings": {"default": 0x18}}, "smscs.world.data_codings.default: 24 names UCS-2"),
        ({"smscs__world__data_codings": {"default": 0xF4}}, "smscs.world.data_codings.default: 244 names binary"),
        ({"smscs__world__data_codings": {"ucs2": 3}}, "smscs.world.data_codings.ucs2: 3 names latin1, and not UCS-2"),
        ({"smscs__world__data_codings": {"ucs2": 0}}, "smscs.world.data_codings.ucs2: 0 names the SMSC's default"),
        ({"smscs__world__default_region": "gb"}, "smscs.world.default_region: is no country's code"),
        ({"smscs__world__default_region": "UK"}, "smscs.world.default_region: is no country's code"),
        ({"smscs__world__service_type": "toolong"}, "smscs.world.service_type: must have at most 5 characters"),
        ({"smscs__world__address_range": "9" * 41}, "smscs.world.address_range: must have at most 40 characters"),
        ({"smscs__world__tlvs": {"x": "1"}}, "smscs.world.tlvs.x: is not the tag of an optional parameter"),
        ({"smscs__world__tlvs": {"0x10000": "1"}}, "smscs.world.tlvs.0x10000: is not the tag"),
        ({"smscs__world__tlvs": {"0x0424": "1"}}, "smscs.world.tlvs.0x0424: is message_payload, which gatewayd writes"),
        ({"smscs__world__tlvs": {"0x1400": "hex:0"}}, "smscs.world.tlvs.0x1400: is not hexadecimal"),
        ({"smscs__world__tlvs": {"0x1400": "π"}}, "smscs.world.tlvs.0x1400: is not Latin-1"),
        ({"smscs__world__tlvs": {"0x1400": 5}}, "smscs.world.tlvs.0x1400: is neither a text nor octets"),
        ({"smscs__world__tlvs": {"0x1400": "x" * 256}}, "smscs.world.tlvs.0x1400: has more than 255 octets"),
        ({"smscs__world__tlvs": {"0x400": "1", "0X0400": "2"}}, "smscs.world.tlvs.0X0400: is there twice"),
        ({"smscs__world__tlvs": "0x1400"}, "smscs.world.tlvs: must be a table"),
        (
            {"labels__amazing__sms_routes__0__sender": "TwelveLetter"},
            "labels.amazing.sms_routes[0].sender: is neither a number nor a name",
        ),
        (
            {"smscs__world__certificate_pins": ["ab:cd"]},
            "smscs.world.certificate_pins[0]: is not a SHA-256 fingerprint",
        ),
        ({"smscs__world__certificate_pins": ["AB:" * 31 + "AB"]}, "smscs.world.certificate_pins: needs tls = true"),
        ({"relays__main__tls": True}, "relays.main.tls: must be one of"),
        ({"relays__main__port": 70000}, "relays.main.port: "),
        ({"relays__main__username": "u"}, "relays.main.password: is required with username"),
        ({"directories__players__type": "http"}, "directories.players.url: is required"),
        ({"directories__players": 3}, "directories.players: must be a table"),
        ({"directories__players__type": "sqll"}, "directories.players.type: is neither 'sql' nor 'http'"),
        ({"directories__players__connect": {"p": "env:NOPE"}}, "directories.players.connect.p: environment variable"),
        ({"labels__str": {"ratte": 1}}, "labels.str.ratte: unknown key"),
        ({"relays__tuple[0": {"host": 5}}, "relays.tuple[0.host: must be a string"),
        ({"esp__pigeon": {"secret": "s"}}, "esp.pigeon: unknown provider"),
        ({"esp__mailgun": {"secret": "s"}}, "esp.mailgun.signing_key: is required"),
        ({"esp__ses": {"secret": "s"}}, "esp.ses.topic_arns: is required"),
    ],
)
def test_a_wrong_value_is_named(changes: dict[str, Any], said: str) -> None:
    """The error begins with the key's full path and says what is wrong."""
    assert any(line.startswith(said) for line in errors(**changes)), errors(**changes)


@pytest.mark.parametrize("text", ["no key", DKIM[:-60], "ec", ""])
def test_a_key_that_can_not_sign_is_named(text: str, tmp_path: Path) -> None:
    """DKIM's key is read when the configuration is; the reason does not show it."""
    if text == "ec":
        key = ec.generate_private_key(ec.SECP256R1())
        text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    (tmp_path / "key").write_text(text)
    table = {"domain": "amazing.co", "selector": "s", "private_key": f"file:{tmp_path}/key"}
    (said,) = errors(labels__amazing__dkim=table)
    assert said.startswith("labels.amazing.dkim.private_key: ")
    assert "BEGIN" not in said
    (said,) = errors(labels__amazing__dkim=[table | {"private_key": DKIM}, table])
    assert said.startswith("labels.amazing.dkim[1].private_key: ")
    (tmp_path / "key").write_text(DKIM)
    assert len(parse(raw(labels__amazing__dkim=table), {}).labels["amazing"].dkim_keys) == 1
    assert len(parse(raw(labels__amazing__dkim=[table, table]), {}).labels["amazing"].dkim_keys) == 2
    assert errors(labels__amazing__dkim="x") == ["labels.amazing.dkim: must be a table"]


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ({"sendgrid": {"public_key": "bm8ga2V5"}}, "esp.sendgrid.public_key: is not a public key"),
        ({"sendgrid": {"public_key": RSA_PUBLIC}}, "esp.sendgrid.public_key: is not an ECDSA public key"),
        (
            {"ses": {"public_key": RSA_PUBLIC, "topic_arns": ["arn:aws:sns:eu-west-1:1:t"]}},
            "esp.ses.public_key: is not a certificate in PEM form",
        ),
    ],
)
def test_a_key_that_can_prove_no_event_is_named(provider: dict[str, dict[str, Any]], said: str) -> None:
    """An unusable public_key would refuse all of a provider's events: it is told when the file is read."""
    given = {name: {"secret": "a" * 32} | keys for name, keys in provider.items()}
    assert errors(esp=given) == [said]
    usable = {"sendgrid": {"secret": "a" * 32, "public_key": EC_PUBLIC}}
    assert parse(raw(esp=usable), {}).esp["sendgrid"].public_key.reveal() == EC_PUBLIC


@pytest.mark.parametrize("table", ["redis", "relays.main", "smscs.world"])
def test_certificate_files_that_can_not_be_used_are_named(table: str, tmp_path: Path) -> None:
    """Missing, not a certificate, not a key, of another key: told when the file is read, each with its key."""
    authority = Authority(tmp_path)
    (certificate, key), (_, other) = authority.client("one"), authority.client("two")
    place, none = table.replace(".", "__"), str(tmp_path / "none.pem")

    def files(**paths: str) -> dict[str, Any]:
        return {"redis__endpoint": "tls:localhost:6379"} | {f"{place}__{name}": path for name, path in paths.items()}

    parse(raw(**files(ca_file=authority.ca_file, certificate=certificate, private_key=key)), {})
    no_such = f"cannot read {none}: No such file or directory"
    assert errors(**files(ca_file=none, certificate=none, private_key=none)) == [
        f"{table}.{name}: {no_such}" for name in ("ca_file", "certificate", "private_key")
    ]
    assert errors(**files(ca_file=key, certificate=certificate, private_key=certificate)) == [
        f"{table}.ca_file: {key} holds no certificate in PEM form",
        f"{table}.private_key: {certificate} holds no unencrypted private key in PEM form",
    ]
    mismatch = f"{table}.private_key: does not belong to certificate"
    assert errors(**files(certificate=certificate, private_key=other)) == [mismatch]
    assert errors(**files(private_key=key)) == [f"{table}.certificate: is required with private_key"]
    (said,) = errors(**files(certificate=certificate))
    assert said.startswith(f"{table}.private_key: {certificate} holds no unencrypted private key")


def test_the_alphabet_follows_the_value_that_it_goes_out_under() -> None:
    """data_coding 1 and 3 name ASCII and Latin-1; what names no alphabet leaves it as it is."""
    for value, alphabet in ((1, "ascii"), (3, "latin1"), (0, "gsm"), (0x10, "gsm"), (0xF0, "gsm")):
        config = parse(raw(smscs__world__data_codings={"default": value}), {})
        assert config.smscs["world"].default_alphabet == alphabet
    config = parse(raw(smscs__world__data_codings={"default": 3}, smscs__world__default_alphabet="ascii"), {})
    assert config.smscs["world"].default_alphabet == "ascii"


def test_the_region_of_all_players_is_that_of_an_smsc() -> None:
    """Where every directory names the same one; what [smscs.NAME] itself says counts over it."""
    players = {"type": "sql", "driver": "sqlite3", "query": "SELECT 1"}
    for regions, own, found in (
        (("GB", "GB"), {}, "GB"),
        (("GB", "IE"), {}, ""),
        (("GB", ""), {}, ""),
        (("GB", "GB"), {"smscs__world__default_region": "IE"}, "IE"),
        (("GB", "GB"), {"smscs__world__default_region": ""}, "GB"),
    ):
        directories = {
            name: players | ({"default_region": region} if region else {})
            for name, region in zip(("players", "others"), regions, strict=True)
        }
        config = parse(raw(directories=directories, **own), {})
        assert config.smscs["world"].default_region == found


def test_tlvs_are_texts_or_octets() -> None:
    """By tag, in hexadecimal or decimal, in the order of the file."""
    config = parse(raw(smscs__world__tlvs={"0x1400": "1101234567", "0x1401": "hex:0a0B", "0x1402": ""}), {})
    assert config.smscs["world"].tlvs == ((0x1400, b"1101234567"), (0x1401, b"\x0a\x0b"), (0x1402, b""))


@pytest.mark.parametrize(
    ("listen", "is_open"),
    [
        ("tcp:9090", True),
        ("tcp:9090:interface=0.0.0.0", True),
        ("tcp:9090:interface=10.0.0.5", True),
        ("tcp:9090:interface=gw1.lan", True),
        ("tcp6:9090", True),
        ("ssl:9090:privateKey=a:certKey=b", True),
        ("haproxy:tcp:9090", True),
        ("tcp:9090:interface=127.0.0.1", False),
        ("tcp:9090:interface=localhost", False),
        ("tcp6:9090:interface=\\:\\:1", False),
        ("unix:/run/gatewayd/admin.sock", False),
        ("systemd:domain=UNIX:index=0", False),
        ("systemd:domain=INET:index=0", True),
        ("haproxy:tcp:9090:interface=127.0.0.1", False),
    ],
)
@pytest.mark.parametrize("part", ["admin", "bounces"])
def test_a_door_without_a_lock_is_open_to_others_on_purpose_only(part: str, listen: str, is_open: bool) -> None:
    """Not loopback and no socket: an error unless the table says that it is meant."""
    domain = {"bounces__domain": "bounces.amazing.co"} if part == "bounces" else {}
    said = [line for line in doors.open_doors(raw(**{f"{part}__listen": [listen]} | domain)) if line]
    assert [line.partition(":")[0] for line in said] == ([f"{part}.listen[0]"] if is_open else [])
    assert list(doors.open_doors(raw(**{f"{part}__listen": [listen], f"{part}__open": True} | domain))) == []


@pytest.mark.parametrize(
    ("redis", "wrong"),
    [
        ({"endpoint": "tcp:10.1.2.3:6379"}, "redis.endpoint"),
        ({"endpoint": "tcp:redis.internal:6379"}, "redis.endpoint"),
        ({"endpoint": "tcp:host=10.1.2.3:port=6379"}, "redis.endpoint"),
        ({"sentinels": ["10.0.0.11:26379"], "master": "m"}, "redis.sentinels[0]"),
        ({"endpoint": "tcp:10.1.2.3:6379", "clear_text": True}, ""),
        ({"endpoint": "tls:10.1.2.3:6379"}, ""),
        ({"endpoint": "tcp:127.0.0.1:6379"}, ""),
        ({"endpoint": "tcp:localhost:6379"}, ""),
        ({"endpoint": "unix:/run/redis.sock"}, ""),
    ],
)
def test_redis_on_another_machine_goes_by_tls(redis: dict[str, Any], wrong: str) -> None:
    """Or its table says that clear text is meant."""
    assert [line.partition(":")[0] for line in doors.clear_redis(redis)] == ([wrong] if wrong else [])


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        ({"secret": "short"}, True),
        ({"secret": "env:SHORT"}, True),
        ({"secret": "short", "username": "u", "password": "p"}, False),
        ({"secret": "long-enough-to-be-no-guess"}, False),
    ],
)
def test_a_path_that_can_be_guessed_is_no_proof(table: dict[str, Any], wrong: bool) -> None:
    """An ESP without a signature and without Basic has a path of at least 16 characters, wherever that is kept."""
    given = raw(esp__mailjet=table, public__base_url="https://go.amazing.co")
    try:
        parse(given, {"SHORT": "short"})
        said: list[str] = []
    except ConfigError as error:
        said = error.errors
    assert [line.partition(":")[0] for line in said] == (["esp.mailjet.secret"] if wrong else [])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels__amazing__calback_url": "x"}, "labels.amazing.calback_url: unknown key (did you mean callback_url?)"),
        ({"lables": {}}, "lables: unknown key (did you mean labels?)"),
        ({"relays__main__usrname": "x"}, "relays.main.usrname: unknown key (did you mean username?)"),
        ({"smscs__world__data_codings": {"defualt": 1}}, "smscs.world.data_codings.defualt: unknown key (did you mean"),
        ({"directories__players__qwery": "x"}, "directories.players.qwery: unknown key (did you mean query?)"),
        ({"redis__zzz": 1}, "redis.zzz: unknown key"),
        ({"labels__amazing__relays": ["mian"]}, "there is no [relays.mian] (did you mean main?)"),
    ],
)
def test_an_unknown_word_says_what_was_perhaps_meant(changes: dict[str, Any], said: str) -> None:
    """The nearest key of that very table, or the nearest table."""
    assert any(said in line for line in errors(**changes)), errors(**changes)


def test_a_file_in_another_encoding_shows_its_line(tmp_path: Path) -> None:
    """An umlaut by an editor that writes Latin-1: how many octets stand before it helps nobody."""
    path = tmp_path / "gatewayd.toml"
    path.write_bytes("[redis]\nendpoint = 'x'\n# Jürgen's\n".encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    said = "line 3: not TOML: a character that is not UTF-8: save the file in that encoding"
    assert caught.value.errors == [f"{path}: {said}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[redis]\nrate = 100/s\n", "line 2: not TOML"),
        ("[redis]\nrate = 100/s\n", ": rate = 100/s"),
        ('[redis]\npassword = "hunter2\n', ": password = …"),
        ("[redis]\npassword = hunter2\n", ": password = …"),
        ("[redis\n", ": [redis"),
    ],
)
def test_a_syntax_error_shows_its_line_and_no_secret(tmp_path: Path, text: str, said: str) -> None:
    """The line at which the reader gave up; what may be a secret is cut."""
    path = tmp_path / "gatewayd.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    (line,) = caught.value.errors
    assert said in line
    assert "hunter2" not in line


def test_names_of_the_admin_listener() -> None:
    """Domain names, in lower case as Host headers are compared; whatever else is an error."""
    assert parse(raw(admin__hosts=["GW.Amazing.co"]), {}).admin.hosts == ("gw.amazing.co",)
    assert errors(admin__hosts=["gw.amazing.co", "a b"]) == ["admin.hosts[1]: is not a host name"]


def test_all_errors_come_at_once() -> None:
    """Three faults give three lines."""
    assert len(errors(gatewayd__foo=1, redis__database="x", relays__main__port=0)) == 3


@pytest.mark.parametrize("url", [5, "x", {"a": 1}])
def test_a_url_that_may_be_empty_has_one_error(url: object) -> None:
    """Nothing is said about the other thing that it could have been."""
    assert len(errors(labels__amazing__callback_url=url)) == 1


@pytest.mark.parametrize("kind", [5, True, [], ["sql"], {"sql": 1}])
def test_a_directory_without_a_type_has_one_error(kind: object) -> None:
    """Which keys belong to it is not known, so none of them is called wrong."""
    assert errors(directories__players__type=kind) == ["directories.players.type: must be a string"]
    tree = raw()
    del tree["directories"]["players"]["type"]
    with pytest.raises(ConfigError) as caught:
        parse(tree, {})
    assert caught.value.errors == ["directories.players.type: is required"]


def test_what_contradicts_between_tables_comes_beside_what_is_wrong_inside_one() -> None:
    """A reference to a missing table is told even where another value keeps the file from being read whole."""
    found = errors(gatewayd__foo=1, labels__amazing__directory="none", labels__amazing__relays=["nowhere"])
    assert {line.partition(":")[0] for line in found} == {
        "gatewayd.foo",
        "labels.amazing.directory",
        "labels.amazing.relays[0]",
    }


@pytest.mark.parametrize("part", ["gatewayd", "redis", "labels", "relays", "smscs", "directories", "esp", "public"])
@pytest.mark.parametrize(
    "value", [1, "x", [], {"a": 1}, {"a": []}, {"a": {"relays": 1, "sms_routes": [1], "directory": []}}]
)
def test_no_shape_of_a_table_is_a_failure_inside(part: str, value: object) -> None:
    """Whatever stands where a table should: an error of the file, not of ours."""
    tree = raw() | {part: value}
    with suppress(ConfigError):
        parse(tree, {})


def test_required_keys_are_named() -> None:
    """A table without what it needs says which keys are missing."""
    tree = raw()
    tree["labels"]["b"] = {}
    with pytest.raises(ConfigError) as caught:
        parse(tree, {})
    required = {line for line in caught.value.errors if line.endswith("is required")}
    names = ("allow_from", "authorization", "api_key", "callback_hosts", "directory")
    assert required == {f"labels.b.{name}: is required" for name in names}


@pytest.mark.parametrize("host", ["2001:db8::1", "[2001:db8::1]"])
def test_a_host_may_be_an_ipv6_address_with_or_without_brackets(host: str) -> None:
    """Its port is a key of its own, so that nothing needs them."""
    config = parse(raw(relays__main__host=host, smscs__world__host=host), {})
    assert config.relays["main"].host == config.smscs["world"].host == "2001:db8::1"


def test_secrets(tmp_path: Path) -> None:
    """A secret comes from a file (its newline dropped), a credential, the environment or the text; it never prints."""
    (tmp_path / "s").write_text("from-file\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "PW": "from-env"}
    values = [f"file:{tmp_path}/s", "credential:s", "env:PW", "plain"]
    config = parse(raw(labels__amazing__authorization=values), environ)
    secrets = config.labels["amazing"].authorization
    assert [secret.reveal() for secret in secrets] == ["from-file", "from-file", "from-env", "plain"]
    assert "from-" not in repr(config)
    assert repr(Secret("x")) == "<secret>"


def test_connect_values_may_be_secrets() -> None:
    """A directory's connect() arguments are resolved like secrets and do not print."""
    tree = raw(directories__players__connect={"database": "d", "password": "env:DBPW", "port": 5})
    directory = parse(tree, {"DBPW": "hidden"}).directories["players"]
    assert isinstance(directory, SqlDirectory)
    assert directory.connect == {"database": "d", "password": "hidden", "port": 5}
    assert "hidden" not in repr(directory)


def test_the_instance_is_overridden_and_put_into_listen() -> None:
    """--instance wins over the file, and {instance} in a listen string is replaced by it."""
    config = parse(raw(), {}, "gw7")
    assert config.gatewayd.instance == "gw7"
    assert config.public is not None
    assert config.public.listen == ("unix:/run/gw7.sock",)


def test_an_http_directory() -> None:
    """type = "http" makes an HttpDirectory."""
    tree = raw(directories__players={"type": "http", "url": "https://pam.internal/players/{ext_user_id}"})
    assert isinstance(parse(tree, {}).directories["players"], HttpDirectory)


def test_files_that_are_no_configuration(tmp_path: Path) -> None:
    """A missing file and broken TOML are errors that name the file and the line."""
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "none.toml", {})
    broken = tmp_path / "broken.toml"
    broken.write_text("[gatewayd]\nx = = 1\n")
    with pytest.raises(ConfigError, match="line 2"):
        load(broken, {})


@pytest.mark.parametrize("sentinel", ["10.0.0.11", "10.0.0.11:26379", "[2001:db8::1]:26379", "redis.internal"])
def test_a_sentinel_on_another_machine_goes_by_tls(sentinel: str) -> None:
    """With a port or without: the password and the messages go the same way."""
    (said,) = errors(redis={"sentinels": [sentinel], "master": "gateway"})
    assert said.startswith("redis.sentinels[0]: ")
    parse(raw(redis={"sentinels": [sentinel], "master": "gateway", "tls": True}), {})


@pytest.mark.parametrize(
    ("one", "other", "both_can"),
    [
        ("tcp:7000:interface=127.0.0.1", "tcp:7000:interface=127.0.0.1", False),
        ("tcp:7000:interface=127.0.0.1", "tcp:7000", False),
        ("tcp:port=7000", "haproxy:tcp:7000:interface=10.0.0.1", False),
        ("tcp6:7000:interface=\\:\\:", "tcp6:7000:interface=\\:\\:1", False),
        ("unix:/run/a", "unix:address=/run/a:mode=600", False),
        ("tcp:7000:interface=127.0.0.1", "tcp:7000:interface=127.0.0.2", True),
        ("tcp:7000:interface=127.0.0.1", "tcp:7001:interface=127.0.0.1", True),
        ("tcp:7000:interface=127.0.0.1", "tcp6:7000:interface=\\:\\:1", True),
        ("tcp:7000", "tcp:7000:interface=\\:\\:1", True),
        ("tcp6:7000", "tcp:7000:interface=\\:\\:1", False),
        ("tcp:0:interface=127.0.0.1", "tcp:0:interface=127.0.0.1", True),
        ("unix:/run/a", "unix:/run/b", True),
    ],
)
def test_who_can_listen_beside_whom(one: str, other: str, both_can: bool) -> None:
    """One socket or port has one listener, and all interfaces are each of them; another family's is another's."""
    assert collide(one, other) is not both_can
    assert collide(other, one) is not both_can


@pytest.mark.parametrize("text", ["", "\n \n", "# [gatewayd]\n"])
def test_an_empty_file_is_named_first(tmp_path: Path, text: str) -> None:
    """A copy that failed half-way, or a disk that was full; what it would need at least follows."""
    path = tmp_path / "gatewayd.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert caught.value.errors == [
        f"{path}: is empty, or has nothing but comments",
        "gatewayd: is required",
        "redis: is required",
    ]

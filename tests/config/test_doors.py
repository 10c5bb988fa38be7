"""What listens and what is asked: endpoints in words, doors with locks, who can listen beside whom."""

from pathlib import Path
from typing import Any

import pytest

from certificates import Authority
from config_world import errors, raw
from gatewayd.config import ConfigError, doors, parse
from gatewayd.config.doors import only_by_systemd
from gatewayd.config.endpoint_words import collide

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


def test_sentinels_stand_in_the_endpoints_place() -> None:
    """With the master's name, users of both kinds, TLS and a number of replicas."""
    keys = {"sentinels": ["10.0.0.11", "[2001:db8::1]:26380"], "master": "gateway", "tls": True, "replicas": 1}
    users = {"sentinel_username": "gw", "sentinel_password": "s", "username": "gw", "password": "p"}
    config = parse(raw(redis={**keys, **users}), {})
    assert config.redis.sentinels == ("10.0.0.11", "[2001:db8::1]:26380")
    assert (config.redis.tls, config.redis.replicas, config.redis.master) == (True, 1, "gateway")
    assert "is required with sentinel_username" in errors(redis={**keys, "sentinel_username": "gw"})[0]


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


def test_names_of_the_admin_listener() -> None:
    """Domain names, in lower case as Host headers are compared; whatever else is an error."""
    assert parse(raw(admin__hosts=["GW.Amazing.co"]), {}).admin.hosts == ("gw.amazing.co",)
    assert errors(admin__hosts=["gw.amazing.co", "a b"]) == ["admin.hosts[1]: is not a host name"]


@pytest.mark.parametrize("host", ["2001:db8::1", "[2001:db8::1]"])
def test_a_host_may_be_an_ipv6_address_with_or_without_brackets(host: str) -> None:
    """Its port is a key of its own, so that nothing needs them."""
    config = parse(raw(relays__main__host=host, smscs__world__host=host), {})
    assert config.relays["main"].host == config.smscs["world"].host == "2001:db8::1"


def test_the_instance_is_overridden_and_put_into_listen() -> None:
    """--instance wins over the file, and {instance} in a listen string is replaced by it."""
    config = parse(raw(), {}, "gw7")
    assert config.gatewayd.instance == "gw7"
    assert config.public is not None
    assert config.public.listen == ("unix:/run/gw7.sock",)


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

"""A wrong value is named with its key, and what would be right."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certificates import Authority
from config_world import DKIM, EC_PUBLIC, RSA_PUBLIC, errors, raw
from gatewayd.config import ConfigError, load, parse


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


@pytest.mark.parametrize("part", ["labels", "relays", "smscs", "providers", "directories"])
def test_a_name_with_odd_characters_is_told(part: str) -> None:
    """They stand in paths, in Redis, in metrics, in lines of the log and on the command line."""
    odd = ["", "uk premium", "a:b", "a|b", "-x", "a/b", "münchen", "a\nb: forged", "x" * 65]
    fine = ["x" * 64, "0a_b-c.D"]
    table = raw()[part]["main" if part == "relays" else next(iter(raw()[part]))] if part in raw() else {}
    said = errors(**{part: dict.fromkeys([*odd, *fine], table)})
    told = [line for line in said if "is no name for a table" in line]
    assert [line.partition(": is no name")[0] for line in told] == [f"{part}.{json.dumps(name)}" for name in odd]


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


@pytest.mark.parametrize("table", ["relays__main", "smscs__world"])
def test_a_key_in_place_of_its_path_is_not_said_again(table: str) -> None:
    """An error goes to the log, too."""
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQ" + "s3cret" * 200 + "\n-----END PRIVATE KEY-----\n"
    said = errors(**{f"{table}__private_key": key, f"{table}__certificate": key})
    name = table.replace("__", ".")
    assert f"{name}.private_key: is the path of a PEM file, and not what stands in it" in said
    assert f"{name}.certificate: is the path of a PEM file, and not what stands in it" in said
    assert "s3cret" not in "".join(said)


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
        (
            {"redis__endpoint": "tls:localhost:1:trustRoots=/etc/ssl"},
            "redis.endpoint: has trustRoots=: whom to believe",
        ),
        ({"redis__ca_file": "/etc/ssl/x.pem", "redis__endpoint": "tcp:localhost:1"}, "redis.ca_file: needs a tls:"),
        ({"redis__database": "0"}, "redis.database: must be a whole number"),
        ({"api__listen": ["tcp:xyz"]}, "api.listen[0]: is not a Twisted server endpoint"),
        ({"api__listen": ["tcp:99999"]}, "api.listen[0]: has no port 99999: 1 to 65535"),
        (
            {"labels__amazing__callback_url": "https://api.smartico.ai:99999/cb"},
            "labels.amazing.callback_url: has no port 99999",
        ),
        *(
            ({key: f"https://{where}/"}, f"{key.replace('__', '.')}: is not an http or https URL")
            for key in ("labels__amazing__callback_url", "public__base_url")
            for where in ("[", "]", "[::1", "[::1]x", "[zz]", "a]b", ":443", "h:abc", "h:443:1", "[::1]:abc", "h:+80")
        ),
        *(
            ({"providers__vendor": {"url": f"https://{where}/"}}, "providers.vendor.url: is not an http or https URL")
            for where in ("[", ":443", "h:abc")
        ),
        *(
            (
                {"directories__http": {"type": "http", "url": f"https://{where}/{{ext_user_id}}"}},
                "directories.http.url: is not an http or https URL",
            )
            for where in ("[", ":443", "h:abc")
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
        ({"bounces__domain": f"{'b' * 64}.amazing.co"}, "bounces.domain: is not a domain name: at most 63"),
        ({"bounces__domain": f"{'b.' * 125}amazing.co"}, "bounces.domain: is not a domain name: at most 63"),
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
        (
            {"relays__main__host": "smtp://gw:hush@relay.test:587"},
            "relays.main.host: is no IPv6 address; a port",
        ),
        ({"relays__main__host": "-relay"}, "relays.main.host: is neither an address nor a name"),
        ({"smscs__world__bind": "receiver"}, "smscs.world.bind: must be one of"),
        ({"smscs__world__window": 0}, "smscs.world.window: "),
        ({"smscs__world__binds": 1001}, "smscs.world.binds: must be at most 1000"),
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
        (
            {
                "directories__http": {"type": "http", "url": "http://[::1]/{ext_user_id}", "ca_file": "/none"},
            },
            "directories.http.ca_file: needs an https URL",
        ),
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
    ("values", "line"),
    [
        (
            {"labels__amazing__email_senders": ["*@amazing.co", "amazing.co"]},
            'labels.amazing.email_senders[1]: is no address and no pattern of one, such as "*@amazing.co"',
        ),
        *(
            (
                {"labels__amazing__email_senders": [wrong]},
                'labels.amazing.email_senders[0]: is no bare address and no pattern of one, such as "*@amazing.co"',
            )
            for wrong in ("Amazing <a@amazing.co>", "@amazing.co", "*@amazing.co.", "a@b@amazing.co", "*@a.co, *@b.co")
        ),
        *(
            (
                {"public__base_url": f"https://go.amazing.co{wrong}"},
                "public.base_url: has a query, or a path with what must be percent-encoded: links go on behind it",
            )
            for wrong in ("?x=1", "/a?", "/ä", "/<b>", "/%zz")
        ),
        (
            {"labels__amazing__sms_senders": ["Amazing*", "TooLongSenderName"]},
            "labels.amazing.sms_senders[1]: is neither a number nor a name of at most 11 characters",
        ),
        (
            {"gatewayd__instance": "gw 1"},
            "gatewayd.instance: is not 1 to 64 letters, digits, dots, dashes and underscores",
        ),
        ({"redis__key_prefix": "{a}"}, "redis.key_prefix: has a blank or a brace"),
        ({"redis__replicas": -1}, "redis.replicas: must be at least 0"),
        ({"labels__amazing__max_segments": 256}, "labels.amazing.max_segments: must be at most 255"),
    ],
)
def test_what_could_never_work_is_told_in_words(values: dict[str, Any], line: str) -> None:
    """A sender that no request could name, a name that can't be; never the validator's own words."""
    assert errors(**values) == [line]


@pytest.mark.parametrize("wrong", ["mün chen.example", "m*ü.example", "ü..example", "ü.example:8443", "\u2603.example"])
def test_a_name_that_is_none_is_told_with_its_key(wrong: str) -> None:
    """In each list of hosts: as it stands it could match nothing."""
    said = errors(
        labels__amazing__callback_hosts=[wrong],
        admin={"hosts": ["ok.example", wrong]},
        bounces={"domain": "b.example", "internal_relays": [wrong]},
    )
    assert [line.partition(":")[0] for line in said] == [
        "admin.hosts[1]",
        "bounces.internal_relays[0]",
        "labels.amazing.callback_hosts[0]",
    ]
    assert all("is not a host name" in line for line in said)


@pytest.mark.parametrize(
    "wrong",
    ["https://cb.example", "cb.example:8443", "*.cb.example/", "cb example", "[cb.example", "cb..example", "a_b"],
)
def test_a_callback_host_that_no_url_could_have_is_told(wrong: str) -> None:
    """The pattern has neither scheme nor port: with one each request would get code 7, and --check had said ok."""
    said = errors(labels__amazing__callback_hosts=["ok.example", wrong])
    assert [line.partition(":")[0] for line in said] == ["labels.amazing.callback_hosts[1]"]


def test_a_callback_host_is_a_name_an_address_or_a_pattern() -> None:
    """Whatever the host of a callback_url may match stays as it is written."""
    hosts = ["*", "*.smartico.ai", "cb*.Smartico.ai", "cb.example.", "127.0.0.1", "10.*", "::1", "[2001:db8::1]"]
    assert parse(raw(labels__amazing__callback_hosts=hosts), {}).labels["amazing"].callback_hosts == tuple(hosts)


def test_a_base_url_may_have_a_path_and_a_sender_any_star() -> None:
    """A proxy may serve our links below a path of its own."""
    senders = ["*", "*@*", "*amazing.co", "a.b+c@münchen.example"]
    config = parse(
        raw(public__base_url="https://go.amazing.co:8443/gw/%C3%A4", labels__amazing__email_senders=senders), {}
    )
    assert config.public is not None
    assert config.public.base_url == "https://go.amazing.co:8443/gw/%C3%A4"
    assert config.labels["amazing"].email_senders == tuple(senders)


def test_names_in_unicode_are_read_as_a_labels() -> None:
    """Browsers, callers and resolvers have no other spelling."""
    config = parse(
        raw(
            labels__amazing__callback_hosts=["münchen.example", "*.straße.example"],
            labels__amazing__preview_domains=["München.example"],
            admin={"hosts": ["MÜNCHEN.example"]},
            bounces={"domain": "münchen.example", "internal_relays": ["münchen.example"]},
            public={"base_url": "https://münchen.example:8443/a"},
            relays__main__host="MÜNCHEN.example",
            smscs__world__host="straße.example",
            smscs__world__more_hosts=["Straße.example:2776", "straße.example"],
        ),
        {},
    )
    plain = "xn--mnchen-3ya.example"
    amazing = config.labels["amazing"]
    assert amazing.callback_hosts == (plain, "*.xn--strae-oqa.example")
    assert amazing.preview_domains == config.admin.hosts == (plain,)
    assert config.bounces is not None
    assert (config.bounces.domain, config.bounces.internal_relays) == (plain, (plain,))
    assert config.public is not None
    assert config.public.base_url == f"https://{plain}:8443/a"
    other = "xn--strae-oqa.example"
    world = config.smscs["world"]
    assert (config.relays["main"].host, world.host, world.more_hosts) == (plain, other, (f"{other}:2776", other))


@pytest.mark.parametrize("key", ["whsec_", "whsec_c2hvcnQ=", "no base64 at all", "whsec_!"])
def test_a_key_of_resends_that_proves_nothing_is_told(key: str) -> None:
    """A signature under an empty key is anybody's."""
    tables = {"public": {"base_url": "https://go.example"}, "esp": {"resend": {"secret": "p", "signing_key": key}}}
    assert errors(**tables) == [
        "esp.resend.signing_key: is not what Resend shows: whsec_ and at least 16 bytes in base64"
    ]


def test_a_file_for_a_proof_that_is_empty_is_told(tmp_path: Path) -> None:
    """A signature under an empty key is anybody's; an empty text is the default all the same."""
    empty = tmp_path / "empty"
    empty.write_text("\n")
    tables = {
        "public": {"base_url": "https://go.example"},
        "esp": {
            "mailgun": {"secret": "p", "signing_key": f"file:{empty}", "public_key": ""},
            "postmark": {"secret": "p", "username": "u", "password": f"file:{empty}"},
        },
        "providers": {
            "vendor": {
                "profile": "twilio",
                "username": "AC1",
                "password": "t",
                "reports": {"secret": f"file:{empty}"},
            }
        },
    }
    assert sorted(errors(**tables)) == [
        "esp.mailgun.signing_key: the secret is empty",
        "esp.postmark.password: the secret is empty",
        "providers.vendor.reports.secret: the secret is empty",
    ]


@pytest.mark.parametrize("host", ["sms_gateway", "a..example", "-a.example", "a" * 64 + ".example"])
def test_a_url_whose_host_nobody_can_look_up_is_told(host: str) -> None:
    """As with relays and SMSCs: each try to connect would be an error. A URL that only others ask may have one."""
    vendor = {"url": f"http://{host}:8080/{{to}}", "clear_text": True, "fields": {"text": "{text}"}}
    said = errors(
        labels__amazing__callback_url=f"https://{host}/cb",
        directories__http={"type": "http", "url": f"https://{host}/{{ext_user_id}}"},
        providers={"vendor": vendor},
        public={"base_url": f"https://{host}"},
    )
    fault = "has a host that is neither an address nor a name that can be looked up"
    keys = ("labels.amazing.callback_url", "directories.http.url", "providers.vendor.url")
    assert sorted(said) == sorted(f"{key}: {fault}" for key in keys)


@pytest.fixture(params=["device", "pipe", "directory", "huge"])
def no_small_file(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """The path of something that must not be read to its end, and what is said of it."""
    path = tmp_path / "secret-canary"
    if request.param == "device":
        return "/dev/zero", "Not a regular file"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "directory":
        path.mkdir()
        return str(path), "Is a directory"
    else:
        path.write_text("canary-content")
        os.truncate(path, 1 << 40)
        return str(path), "Has more than"
    return str(path), "Not a regular file"


def test_what_is_no_small_file_is_not_read(no_small_file: tuple[str, str]) -> None:
    """A start or a reload that reads a device, a pipe or a whole disk would never end; nor is anything of it shown."""
    path, why = no_small_file
    said = errors(gatewayd__secret_key=f"file:{path}", relays__main__ca_file=path, relays__main__certificate=path)
    assert [line.partition(": ")[0] for line in said] == [
        "gatewayd.secret_key",
        "relays.main.ca_file",
        "relays.main.certificate",
    ]
    assert all(why in line and path in line and "canary-content" not in line for line in said)


def test_a_configuration_that_is_no_file_holds_up_no_daemon(no_small_file: tuple[str, str]) -> None:
    """A reload would wait for a pipe's writer with all that waits for it, and a device filled the host's memory."""
    path, why = no_small_file
    with pytest.raises(ConfigError, match=why) as refused:
        load(path, {}, again=True)
    assert refused.value.errors[0].startswith(f"{path}: ")
    with pytest.raises(ConfigError, match="Has more than"):
        load("/dev/zero", {})


def test_a_configuration_may_come_from_a_shell_s_pipe() -> None:
    """<(COMMAND) is read as a file is, where somebody is there to see it wait."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        pipe.write("[redis]\r\nendpoint = 7\r\n")
    try:
        with pytest.raises(ConfigError, match=r"redis\.endpoint"):
            load(f"/dev/fd/{reader}", {})
    finally:
        os.close(reader)


def test_a_secret_in_a_file_of_another_system_is_the_same(tmp_path: Path) -> None:
    """One line break behind it is dropped, and those within are read as one kind, as in any text file."""
    for at_end in ("", "\n", "\r\n", "\r"):
        (tmp_path / "key").write_bytes(b"0123456789abcdef\r\n0123456789abcdef" + at_end.encode())
        kept = parse(raw(gatewayd__secret_key=f"file:{tmp_path / 'key'}"), {}).gatewayd.secret_key
        assert kept.reveal() == "0123456789abcdef\n0123456789abcdef"

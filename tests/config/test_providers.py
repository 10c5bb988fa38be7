"""[providers.*]: what is read, what a profile fills, and what contradicts, each named by its key."""

import math
import tomllib
from typing import Any

import pytest

from gatewayd.config import ConfigError, Provider, parse
from gatewayd.config.clear_text import beyond_loopback
from gatewayd.config.profiles import Profile, filled
from gatewayd.config.providers import Verbatim

SMALL = """
[gatewayd]
secret_key = "0123456789012345678901234567890123456789"
[redis]
endpoint = "unix:/run/redis/redis-server.sock"
[public]
base_url = "https://go.amazing.co"
[labels.amazing]
allow_from = ["203.0.113.0/24"]
authorization = ["one"]
api_key = "key"
callback_hosts = ["*.smartico.ai"]
directory = "players"
[directories.players]
type = "sql"
driver = "sqlite3"
query = "SELECT email, phone FROM players WHERE id = :ext_user_id"
[smscs.world]
host = "127.0.0.1"
system_id = "gw"
password = "secret"
"""
VENDOR = {"url": "https://api.vendor.example/send", "fields": {"to": "{to}", "text": "{text}"}}


def read(**vendor: Any) -> Provider:
    """The table [providers.vendor] with these keys over a small one's."""
    return parse(tree(**vendor), {"KEY": "{to} is mine"}).providers["vendor"]


def tree(**vendor: Any) -> dict[str, Any]:
    """A configuration with [providers.vendor]; the key `file` is merged into the whole."""
    raw = tomllib.loads(SMALL)
    for table, keys in vendor.pop("file", {}).items():
        raw[table] = raw.get(table, {}) | keys
    raw["providers"] = {"vendor": VENDOR | vendor}
    return raw


def errors(**vendor: Any) -> list[str]:
    """What is said of it."""
    with pytest.raises(ConfigError) as caught:
        parse(tree(**vendor), {"KEY": "{to} is mine"})
    return caught.value.errors


def test_defaults_are_the_contracts() -> None:
    """What is not given is as CONTRACT.md says."""
    vendor = read()
    assert (vendor.carries, vendor.method, vendor.body, vendor.rate, vendor.connections) == (
        "sms",
        "POST",
        "json",
        0,
        10,
    )
    assert (vendor.timeout, vendor.on_uncertain, vendor.uncertain_wait) == (10, "hold", 10)
    assert [match.status for match in vendor.answer.taken] == ["2xx"]
    assert (vendor.answer.rejected, vendor.answer.throttled, vendor.answer.ids) == ((), (), "")
    assert (vendor.reports.id, vendor.reports.states, vendor.reports.signature) == ("", {}, "")


def test_numbers_and_truths_in_matches_are_read_as_text() -> None:
    """TOML's 200, 0 and true are the words that an answer has at that place."""
    match = read(answer={"taken": [{"status": 200, "path": "a", "values": [0, True, "x"]}]}).answer.taken[0]
    assert (match.status, match.values) == ("200", ("0", "true", "x"))


def test_a_secret_from_elsewhere_is_no_template() -> None:
    """Braces in a file's, credential's or variable's secret are its own."""
    headers = read(headers={"X-Key": "env:KEY", "X-Id": "{uid}"}).headers
    assert isinstance(headers["X-Key"], Verbatim)
    assert headers["X-Key"].reveal() == "{to} is mine"
    assert not isinstance(headers["X-Id"], Verbatim)
    assert read(headers={"X-Key": "env:KEY", "X-Id": "{uid}"}).place_holders == {"to", "text", "uid"}


@pytest.mark.parametrize(
    ("vendor", "said"),
    [
        ({"carries": "fax"}, "providers.vendor.carries: must be one of"),
        ({"urll": "x"}, "providers.vendor.urll: unknown key"),
        ({"url": "ftp://x"}, "providers.vendor.url: is not an http or https URL"),
        ({"url": "https://{label}.example/"}, "providers.vendor.url: place-holders belong into the path or the query"),
        ({"url": "http://api.vendor.example/"}, "providers.vendor.url: goes in clear text to another machine"),
        ({"url": "https://x.example/{too}"}, "providers.vendor.url: {too} is unknown"),
        ({"fields": {"a": [{"b": "{foo}"}]}}, "providers.vendor.fields.a[0].b: {foo} is unknown"),
        ({"headers": {"X-A": "{foo}"}}, "providers.vendor.headers.X-A: {foo} is unknown"),
        ({"fields": {"a": ["{text"]}}, "providers.vendor.fields.a[0]: has a brace around no place-holder"),
        ({"fields": {"a": "{text }"}}, "providers.vendor.fields.a: has a brace around no place-holder"),
        ({"fields": {"a": "{{text}}"}}, "providers.vendor.fields.a: has a brace around no place-holder"),
        ({"fields": {"a": "text}"}}, "providers.vendor.fields.a: has a brace around no place-holder"),
        ({"fields": {"a": "{}"}}, "providers.vendor.fields.a: has a brace around no place-holder"),
        ({"fields": {"a": ["file:/etc/key"]}}, "providers.vendor.fields.a[0]: is no secret here, and would be sent"),
        (
            {"fields": {"a": {"b": "credential:key"}}},
            "providers.vendor.fields.a.b: is no secret here, and would be sent",
        ),
        ({"fields": {"a": "env:VENDOR_KEY"}}, "providers.vendor.fields.a: is no secret here, and would be sent"),
        ({"fields": {"a": "{te-xt}"}}, "providers.vendor.fields.a: has a brace around no place-holder"),
        ({"fields": {"{to": {"b": 1}}}, "providers.vendor.fields.{to: has a brace around no place-holder"),
        ({"fields": {"a": [{"{foo}": 1}]}}, "providers.vendor.fields.a[0].{foo}: {foo} is unknown"),
        ({"url": "https://x.example/{to"}, "providers.vendor.url: has a brace around no place-holder"),
        ({"headers": {"X-A": "{uid"}}, "providers.vendor.headers.X-A: has a brace around no place-holder"),
        ({"fields": {"a": "{nobody:number}"}}, "providers.vendor.fields.a: {nobody} is unknown"),
        ({"fields": {"a": "0{to_digits:number}"}}, "providers.vendor.fields.a: {...:number} is a field's whole value"),
        ({"fields": {"a": "{to:digits}"}}, "providers.vendor.fields.a: has a brace around no place-holder"),
        ({"authorization": "App {key}"}, "providers.vendor.authorization: {key} is unknown"),
        ({"authorization": "App {uid"}, "providers.vendor.authorization: has a brace around no place-holder"),
        ({"authorization": "App {password}"}, "providers.vendor.password: is required: providers.vendor.authorization"),
        ({"profile": "nobody", "fields": {"a": "{foo}"}}, "providers.vendor.fields.a: {foo} is unknown"),
        ({"headers": {"Host": "x"}}, "providers.vendor.headers.Host: is a header that gatewayd writes itself"),
        ({"headers": {"X-A": "a\r\nb"}}, "providers.vendor.headers.X-A: has a character that a header"),
        ({"fields": {"a": 1, "to": "{username}"}}, "providers.vendor.username: is required: "),
        ({"username": "a"}, "providers.vendor.password: is required with username"),
        ({"method": "GET", "body": "json"}, "providers.vendor.body: a GET has none"),
        ({"profile": "nobody"}, "providers.vendor.profile: is none of "),
        ({"answer": {"taken": []}}, "providers.vendor.answer.taken: must not be empty"),
        ({"fields": {"a": [math.inf]}}, "providers.vendor.fields.a[0]: is a number that JSON has not"),
        (
            {"headers": {"AUTHORIZATION": "a"}, "authorization": "b"},
            "providers.vendor.headers.AUTHORIZATION: stands in authorization, too",
        ),
        ({"answer": {"taken": [{"status": "20"}]}}, "providers.vendor.answer.taken[0].status: is not a status"),
        ({"reports": {"states": {"A": "sent"}}}, "providers.vendor.reports.states.A: must be one of"),
        ({"reports": {"signature": "twilio"}}, "providers.vendor.reports.secret: is required"),
        ({"reports": {"signature": "telnyx", "secret": "abc"}}, "providers.vendor.reports.secret: is not a public key"),
        (
            {"reports": {"signature": "telnyx", "secret": "env:KEY"}},
            "providers.vendor.reports.secret: is not a public key",
        ),
        ({"answer": {"ids": "$.id"}}, "providers.vendor.answer.ids: is no path: keys and positions with dots between"),
        ({"answer": {"ids": "$"}}, "providers.vendor.answer.ids: is no path"),
        ({"answer": {"ids": "$[0]"}}, "providers.vendor.answer.ids: is no path"),
        ({"answer": {"ids": "/id"}}, "providers.vendor.answer.ids: is no path"),
        ({"answer": {"ids": "messages[0].id"}}, "providers.vendor.answer.ids: is no path"),
        ({"answer": {"ids": "ids[*]"}}, "providers.vendor.answer.ids: is no path"),
        ({"answer": {"ids": "messages..id"}}, "providers.vendor.answer.ids: is no path"),
        ({"answer": {"ids": ".id"}}, "providers.vendor.answer.ids: is no path"),
        ({"answer": {"ids": "messages.id."}}, "providers.vendor.answer.ids: is no path"),
        ({"answer": {"taken": [{"path": "a[0].b"}]}}, "providers.vendor.answer.taken[0].path: is no path"),
        ({"reports": {"status": "results[0].status"}}, "providers.vendor.reports.status: is no path"),
        ({"inbound": {"text": "$.text"}}, "providers.vendor.inbound.text: is no path"),
        ({"file": {"smscs": {"vendor": {}}}}, "providers.vendor: there is an [smscs.vendor]"),
    ],
)
def test_what_is_wrong_is_named(vendor: dict[str, Any], said: str) -> None:
    """Each fault by its key."""
    assert any(line.startswith(said) for line in errors(**vendor)), errors(**vendor)


@pytest.mark.parametrize("path", ["", "id", "0.id", "*.status", "a.b-c.d_e.*", "report[status]", "$type", "a/b"])
def test_a_path_may_have_any_key_in_it(path: str) -> None:
    """As forms and JSON have them, blanks and the brackets of PHP included."""
    assert read(reports={"status": path}).reports.status == path


def test_a_misspelt_key_hides_no_key_that_is_required() -> None:
    """A profile without a url of its own: that it needs one is said beside the typo."""
    raw = tree()
    raw["providers"]["vendor"] = {"profile": "infobip", "password": "x", "urll": "https://x.api.infobip.com/sms"}
    with pytest.raises(ConfigError) as caught:
        parse(raw, {})
    assert caught.value.errors == [
        "providers.vendor.url: is required",
        "providers.vendor.urll: unknown key (did you mean url?)",
    ]


def test_a_brace_that_may_be_a_secrets_is_not_quoted() -> None:
    """A key in the file itself may hold one: the error says where it can stand."""
    [said] = errors(headers={"X-Key": "s3c}ret"})
    assert said == (
        "providers.vendor.headers.X-Key: has a brace around no place-holder: these are written {text}, without blanks;"
        " a secret that has braces belongs into a file"
    )


def test_report_url_needs_the_public_listener() -> None:
    """Without [public] nobody could call it."""
    raw = tree(fields={"to": "{to}", "dlr": ["{report_url}"]})
    del raw["public"]
    with pytest.raises(ConfigError) as caught:
        parse(raw, {})
    assert "providers.vendor.fields.dlr[0]: {report_url} needs [public]" in caught.value.errors


@pytest.mark.parametrize(
    ("inbound", "more", "said"),
    [
        ({"secret": "short", "number": "a", "text": "b"}, {}, "secret: has fewer than 16 characters"),
        ({"secret": "x" * 16, "text": "b"}, {}, "number: is required with secret"),
        ({"secret": "x" * 16, "number": "a"}, {}, "text: is required with secret"),
    ],
)
def test_texts_of_players_need_all_that_they_are_known_by(
    inbound: dict[str, str], more: dict[str, str], said: str
) -> None:
    """Half of it would let every STOP go by unheard."""
    with pytest.raises(ConfigError) as caught:
        parse(tree(inbound=inbound, **more), {})
    assert [line for line in caught.value.errors if line.startswith(f"providers.vendor.inbound.{said}")]


def test_reports_by_the_vendors_own_ids_need_all_that_they_are_known_by() -> None:
    """Its answers must have named them, and the URL must prove what comes."""
    good = {"url_secret": "r" * 16, "id": "id", "status": "status", "states": {"OK": "delivered"}}
    assert read(answer={"ids": "id"}, reports=good).tells_later
    for reports, answer, said in (
        (good | {"url_secret": "short"}, {"ids": "id"}, "reports.url_secret: has fewer than 16 characters"),
        (good | {"id": ""}, {"ids": "id"}, "reports.id: is required with url_secret"),
        (good, {}, "answer.ids: is required with reports.url_secret"),
        (good | {"token": "ref"}, {"ids": "id"}, "reports.token: stands beside url_secret"),
    ):
        found = errors(answer=answer, reports=reports)
        assert any(line.startswith(f"providers.vendor.{said}") for line in found), found
    raw = tree(answer={"ids": "id"}, reports=good)
    del raw["public"]
    with pytest.raises(ConfigError) as caught:
        parse(raw, {})
    assert "providers.vendor.reports.url_secret: needs [public], to which reports come" in caught.value.errors


def test_a_token_goes_out_and_comes_back() -> None:
    """Either alone would leave every message accepted for good; and without [public] nobody could bring it."""
    for keys, said in (
        ({"fields": {"ref": "{report_token}"}}, "fields.ref: {report_token} needs reports.token"),
        ({"fields": {"ref": "{short_token}"}}, "fields.ref: {short_token} needs reports.token"),
        ({"reports": {"token": "a.ref", "status": "a.s"}}, "reports.token: nothing comes back there"),
    ):
        with pytest.raises(ConfigError) as caught:
            parse(tree(**keys), {})
        assert [line for line in caught.value.errors if line.startswith(f"providers.vendor.{said}")]
    raw = tree(fields={"ref": "{report_token}"}, reports={"token": "a.ref", "status": "a.s"})
    assert parse(raw, {}).providers["vendor"].tells_later
    del raw["public"]
    with pytest.raises(ConfigError) as caught:
        parse(raw, {})
    assert "providers.vendor.fields.ref: {report_token} needs [public]" in caught.value.errors


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ({"im_via": ["nobody"]}, "labels.amazing.im_via[0]: there is no [providers.nobody]"),
        ({"im_via": ["vendor"]}, 'labels.amazing.im_via[0]: [providers.vendor] has carries = "sms", and not "im"'),
        (
            {"sms_routes": [{"prefix": "", "via": ["world", "x"]}]},
            "labels.amazing.sms_routes[0].via[1]: there is no [smscs",
        ),
        ({"im_via": ["world"]}, "labels.amazing.im_via[0]: there is no [providers.world]"),
    ],
)
def test_labels_name_ways_that_carry_what_they_are_named_for(label: dict[str, Any], said: str) -> None:
    """A route to nowhere, or to a way of another kind, is named at its place."""
    raw = tree()
    raw["labels"]["amazing"] |= label
    with pytest.raises(ConfigError) as caught:
        parse(raw, {})
    assert any(line.startswith(said) for line in caught.value.errors), caught.value.errors


def test_both_kinds_stand_in_one_route() -> None:
    """`via` takes SMSCs and providers in one order."""
    raw = tree()
    raw["labels"]["amazing"]["sms_routes"] = [{"prefix": "", "via": ["vendor", "world"]}]
    assert parse(raw, {}).labels["amazing"].sms_routes[0].via == ("vendor", "world")


PROFILE = Profile(
    "ready",
    {
        "url": "https://ready.example/x",
        "fields": {"to": "{to_digits}", "text": "{text}"},
        "answer": {"taken": [{"status": "202"}], "ids": "id"},
        "reports": {"status": "s", "states": {"ok": "delivered"}, "signature": "vonage"},
    },
    {},
)


def lay(**table: Any) -> dict[str, Any]:
    """[providers.vendor] with these keys over the profile's."""
    vendor: dict[str, Any] = filled({"providers": {"vendor": {"profile": "ready"} | table}}, {"ready": PROFILE})
    return dict(vendor["providers"]["vendor"])


def test_a_profile_lies_under_what_is_written() -> None:
    """Tables are merged key by key; anything else that is written takes the profile's place."""
    vendor = lay(
        fields={"extra": "1", "to": "{to}"},
        answer={"taken": [{"status": "200"}]},
        reports={"states": {"no": "failed"}},
    )
    assert vendor["url"] == "https://ready.example/x"
    assert vendor["fields"] == {"to": "{to}", "text": "{text}", "extra": "1"}
    assert vendor["answer"] == {"taken": [{"status": "200"}], "ids": "id"}
    assert vendor["reports"]["states"] == {"ok": "delivered", "no": "failed"}


def test_a_profiles_own_signature_counts_where_its_secret_is_set() -> None:
    """One that the file names is needed all the same."""
    assert "signature" not in lay()["reports"]
    assert lay(reports={"secret": "s"})["reports"]["signature"] == "vonage"
    assert lay(reports={"signature": "vonage"})["reports"]["signature"] == "vonage"


@pytest.mark.parametrize(
    ("host", "beyond"),
    [
        ("127.0.0.1", False),
        ("[::1]", False),
        ("localhost", False),
        ("::ffff:127.0.0.1", False),
        ("10.0.0.1", True),
        ("api.vendor.example", True),
        ("localhost.example", True),
    ],
)
def test_what_stays_on_this_machine(host: str, beyond: bool) -> None:
    """Loopback by address or name; all else goes over a network."""
    assert beyond_loopback(host) is beyond

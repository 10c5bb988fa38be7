"""The whole file: the contract's example and defaults, secrets, all errors at once."""

import re
import tomllib
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import gatewayd.config as configuration
from config_world import DKIM, EC_PUBLIC, errors, raw
from gatewayd.config import ConfigError, HttpDirectory, Secret, SqlDirectory, load, parse


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
        ({"labels__amazing__calback_url": "x"}, "labels.amazing.calback_url: unknown key (did you mean callback_url?)"),
        ({"lables": {}}, "lables: unknown key (did you mean labels?)"),
        ({"relays__main__usrname": "x"}, "relays.main.usrname: unknown key (did you mean username?)"),
        ({"smscs__world__data_codings": {"defualt": 1}}, "smscs.world.data_codings.defualt: unknown key (did you mean"),
        ({"directories__players__qwery": "x"}, "directories.players.qwery: unknown key (did you mean query?)"),
        ({"directories__players__url": "x"}, "directories.players.url: unknown key in a table of this type"),
        ({"directories__players__type": "sqll"}, "directories.players.query: unknown key in a table of this type"),
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


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """Some editors write one, and no editor shows it."""
    path = tmp_path / "gatewayd.toml"
    path.write_bytes(b"\xef\xbb\xbf[gatewayd]\nx = 1\n")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert "gatewayd.x: unknown key" in caught.value.errors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[redis]\nrate = 100/s\n", "line 2: not TOML"),
        ("[redis]\nrate = 100/s\n", ": rate = 100/s"),
        ('[redis]\npassword = "hunter2\n', ": password = …"),
        ("[redis]\npassword = hunter2\n", ": password = …"),
        ("[redis]\npassword hunter2\n", ": password …"),
        ("[redis]\npassword: hunter2\n", ": password …"),
        ("[redis]\nhunter2\n", ": …"),
        ("[labels.a]\nauthorization = [\nhunter2,\n]\n", ": …"),
        ("[directories.a]\nconnect = {pwd = hunter2, host = 1}\n", ": connect = …"),
        ("[directories.a.connect]\npwd = hunter2\n", ": pwd = …"),
        ("[redis\n", ": [redis"),
        ("a = " + "[" * 3000, "not TOML"),
        ("a = " + "1" * 5000, "not TOML"),
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


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("track_opens", True, "public"),
        ("one_click_unsubscribe", True, "public"),
        ("bounce_domain", "b.amazing.co", "bounces"),
        ("complaint_address", True, "bounces"),
    ],
)
def test_what_a_label_can_only_do_with_a_table_says_which(key: str, value: object, part: str) -> None:
    """Without it the key would do nothing, and nobody would know."""
    tree = raw(**{f"labels__amazing__{key}": value})
    tree.pop(part)
    with pytest.raises(ConfigError) as caught:
        parse(tree, {})
    assert f"labels.amazing.{key}: needs [{part}]" in caught.value.errors


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

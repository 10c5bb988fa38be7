"""etc/gatewayd.toml: as installed it is a configuration, and with all its settings switched on, too."""

import re
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from config_world import with_secrets
from gatewayd import config
from gatewayd.config.esp import ESP_NAMES

FILE = Path(__file__).parent.parent.parent / "etc" / "gatewayd.toml"


def everything_on() -> str:
    """The file with all its settings switched on."""
    return re.sub(r"(?m)^#(?=[\w\[])", "", FILE.read_text())


def test_as_installed_it_is_valid(tmp_path: Path) -> None:
    """A fresh installation starts, with no label yet."""
    loaded = config.parse(with_secrets(FILE.read_text(), tmp_path), {})
    assert loaded.labels == {}


def test_every_setting_in_it_is_valid(tmp_path: Path) -> None:
    """With all settings switched on at once it is valid still."""
    loaded = config.parse(with_secrets(everything_on(), tmp_path), {})
    assert loaded.labels["amazing"].dkim is not None
    assert set(loaded.esp) <= set(ESP_NAMES)


def test_every_key_is_there() -> None:
    """Each table of the file, its settings switched on, has all keys that the code knows for it."""
    raw = tomllib.loads(everything_on())
    label, relay = raw["labels"]["amazing"], raw["relays"]["main"]
    vendor = raw["providers"]["vendor"]
    shown: dict[type[BaseModel], dict[str, Any]] = {
        config.Config: raw,
        config.Gatewayd: raw["gatewayd"],
        config.Redis: raw["redis"],
        config.Api: raw["api"],
        config.Public: raw["public"],
        config.Admin: raw["admin"],
        config.Bounces: raw["bounces"],
        config.Label: label,
        config.SmsRoute: label["sms_routes"][1],
        config.Dkim: label["dkim"],
        config.SqlDirectory: raw["directories"]["players"],
        config.HttpDirectory: raw["directories"]["pam"],
        config.PluginDirectory: raw["directories"]["own"],
        config.Relay: relay,
        config.Domains: relay["domains"]["example.com"],
        config.Smsc: raw["smscs"]["world"],
        config.DataCodings: raw["smscs"]["world"]["data_codings"],
        config.Provider: vendor,
        config.ProviderAnswer: vendor["answer"],
        config.ProviderReports: vendor["reports"],
        config.ProviderMatch: vendor["answer"]["taken"][0],
        config.Esp: {key: value for provider in raw["esp"].values() for key, value in provider.items()},
    }
    known = {value for value in vars(config).values() if isinstance(value, type) and issubclass(value, BaseModel)}
    tables = {table for table in known if table.__module__.startswith(config.__name__) and table.model_fields}
    assert tables == set(shown)
    for table, keys in shown.items():
        assert set(keys) == set(table.model_fields), table.__name__


EXAMPLES = ("receipt_states", "submit_statuses", "tlvs", "domains", "headers", "endpoint")
"""What the file shows a value of that is no default."""


def test_defaults_are_what_the_code_has(tmp_path: Path) -> None:
    """What the file shows as a default is the default."""
    shown = config.parse(with_secrets(everything_on(), tmp_path), {})
    for table in (shown.api, shown.admin, shown.redis, shown.relays["main"], shown.smscs["world"]):
        for name, field in type(table).model_fields.items():
            if not field.is_required() and name not in EXAMPLES:
                assert getattr(table, name) == field.get_default(call_default_factory=True), name

"""What a reload can't bring into force is said, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from gatewayd.config import Config, parse
from gatewayd.reload import awaiting_restart, not_begun
from gatewayd.service import Options


def configured(**tables: dict[str, Any]) -> Config:
    """A configuration with these tables."""
    needed = {"gatewayd": {"secret_key": "0123456789abcdef" * 4, "instance": "gw1"}, "redis": {"endpoint": "unix:/r"}}
    return parse(needed | tables, {})


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {}, ()),
        ({}, {"api": {"listen": ["tcp:9000"]}}, ("api",)),
        ({"api": {"max_body": 1000}}, {"admin": {"hosts": ["a.example"]}}, ("api", "admin")),
        ({}, {"public": {"base_url": "https://go.example"}}, ("public",)),
        ({"bounces": {"domain": "b.example"}}, {}, ("bounces",)),
        ({"bounces": {"domain": "b.example"}}, {"bounces": {"domain": "c.example"}}, ("bounces",)),
        ({}, {"api": {"trusted_proxies": ["10.0.0.1/32"]}}, ()),
        ({"bounces": {"domain": "b.example"}}, {"bounces": {"domain": "b.example", "max_size": 1000}}, ()),
        (
            {"bounces": {"domain": "b.example"}},
            {"bounces": {"domain": "b.example", "internal_relays": ["10.0.0.1"]}},
            (),
        ),
    ],
)
def test_a_table_that_takes_a_restart_is_named(before: Any, after: Any, said: tuple[str, ...]) -> None:
    """A listener, the store, the keys; not the few keys of such a table that a reload does bring into force."""
    assert awaiting_restart(configured(**before), configured(**after)) == said


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ({}, {"public": {"base_url": "https://go.example"}, "bounces": {"domain": "b.example"}}, ["public", "bounces"]),
        ({"public": {"base_url": "https://go.example"}}, {"public": {"base_url": "https://new.example"}}, []),
        ({"bounces": {"domain": "b.example"}}, {}, []),
    ],
)
def test_a_listener_that_is_new_in_the_file_is_missed_until_a_restart(
    before: Any, after: Any, named: list[str]
) -> None:
    """What a reload brought into force beside it, a label's links or a vendor's reports, goes without it meanwhile."""
    found = list(not_begun(configured(**before), configured(**after)))
    assert [(one.kind, one.name) for one in found] == [("reload", name) for name in named]
    assert all("takes a restart" in one.text and "all labels" in one.text for one in found)


def test_a_reload_reads_the_file_that_was_started_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative --config is from where twistd was called, also once it has gone to its --rundir."""
    (tmp_path / "gw.toml").write_text(
        f'[gatewayd]\nsecret_key = "{"0123456789abcdef" * 4}"\ninstance = "gw1"\n[redis]\nendpoint = "unix:/r"\n'
    )
    monkeypatch.chdir(tmp_path)
    options = Options()
    options.parseOptions(["--config", "gw.toml"])
    monkeypatch.chdir("/")
    assert options.read() == options["loaded"]


def test_check_names_an_audit_log_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon would not start with it; whether it can be written only the daemon's own user can say."""
    other = tmp_path / "other.log"
    other.write_text("something else\n")
    (tmp_path / "gw.toml").write_text(
        f'[gatewayd]\nsecret_key = "{"0123456789abcdef" * 4}"\naudit_log = "{other}"\n[redis]\nendpoint = "unix:/r"\n'
    )
    with pytest.raises(SystemExit) as left:
        Options().parseOptions(["--check", "--config", str(tmp_path / "gw.toml")])
    assert left.value.code == 1
    assert capsys.readouterr().out.startswith(f"gatewayd.audit_log: {other}: this is no audit log")

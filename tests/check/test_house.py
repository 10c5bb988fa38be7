"""What the file itself says that an operator would want to hear."""

import time
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority
from gatewayd.check.finding import FAIL, WARN, Finding
from gatewayd.check.house import keeps_out, look, secrets
from gatewayd.config import parse
from labels import LABEL

PLAYERS = {"type": "sql", "driver": "sqlite3", "query": "SELECT 1"}


def findings(**tables: Any) -> list[Finding]:
    """What is found in these tables."""
    raw = {
        "gatewayd": {"secret_key": "k" * 32, "instance": "gw1"},
        "redis": {"endpoint": "unix:/run/redis.sock"},
        "directories": {"players": PLAYERS},
        **tables,
    }
    return look(parse(raw, {}), time.time())


def said(**tables: Any) -> dict[str, str]:
    """What is found in these tables, by subject."""
    return {one.what: one.found for one in findings(**tables)}


def test_a_label_without_a_way_out_and_ways_that_nobody_uses() -> None:
    """Each is named, with the key that would change it."""
    found = said(
        labels={"amazing": LABEL},
        relays={"main": {"host": "127.0.0.1"}},
        smscs={"world": {"host": "127.0.0.1", "system_id": "gw", "password": "p"}},
        directories={"players": PLAYERS, "old": PLAYERS},
    )
    assert set(found) == {"label amazing", "relay main", "smsc world", "directory old"}
    assert "no way out" in found["label amazing"]


def test_an_esp_of_which_one_half_is_missing() -> None:
    """A relay that marks its mails for events that nobody takes, and events about mails that nobody marked."""
    found = said(
        labels={"amazing": LABEL | {"relays": ["one", "two", "main"]}},
        relays={
            "one": {"host": "127.0.0.1", "provider": "mailgun"},
            "two": {"host": "127.0.0.1", "provider": "brevo"},
            "main": {"host": "127.0.0.1"},
        },
        esp={
            "brevo": {"secret": "s" * 20, "username": "u", "password": "p"},
            "postmark": {"secret": "s" * 20, "username": "u", "password": "p"},
        },
        public={"base_url": "https://go.amazing.co"},
    )
    assert set(found) == {"relay one", "esp postmark"}
    assert "no [esp.mailgun]" in found["relay one"]
    assert 'provider = "postmark"' in found["esp postmark"]


def test_a_provider_of_whose_reports_a_part_is_missing() -> None:
    """Every message would stay accepted; a vendor that reports nothing at all is none of these."""
    url, status, states = {"dlr": "{report_url}"}, {"status": "status"}, {"states": {"OK": "delivered"}}
    tables: dict[str, dict[str, Any]] = {
        "whole": {"fields": url, "reports": status | states},
        "none": {},
        "untold": {"reports": status | states},
        "unread": {"fields": url, "reports": states},
        "unknown": {"fields": url, "reports": status},
        "told": {"fields": url},
    }
    label = LABEL | {"sms_routes": [{"prefix": "", "via": list(tables)}], "sms_senders": ["A"], "sms_sender": "A"}
    found = said(
        labels={"amazing": label},
        providers={name: {"url": "https://api.vendor.example/"} | table for name, table in tables.items()},
        public={"base_url": "https://go.amazing.co"},
    )
    assert set(found) == {"provider untold", "provider unread", "provider unknown", "provider told"}
    assert found["provider untold"].endswith("{report_url} in its fields is missing")
    assert found["provider unread"].endswith("reports.status is missing")
    assert found["provider unknown"].endswith("reports.states is missing")
    assert found["provider told"].endswith("reports.status and reports.states are missing")


def test_a_refusal_that_is_read_as_a_yes() -> None:
    """The first match counts, and taken's come first: its default fits every 2xx."""
    no = {"status": "200", "path": "code", "values": ["7"]}
    tables: dict[str, dict[str, Any]] = {
        "default": {"rejected": [{"status": "4xx"}, no], "throttled": [{"status": "2xx", "path": "slow"}]},
        "any": {"taken": [{"path": "id"}, {}], "rejected": [{"status": "400"}]},
        "good": {"taken": [{"status": "201"}, {"status": "2xx", "path": "id"}], "rejected": [no, {"path": "code"}]},
    }
    label = LABEL | {"sms_routes": [{"prefix": "", "via": list(tables)}], "sms_senders": ["A"], "sms_sender": "A"}
    providers = {name: {"url": "https://api.vendor.example/", "answer": answer} for name, answer in tables.items()}
    assert set(said(labels={"amazing": label}, providers=providers)) == {
        "providers.default.answer.rejected[1]",
        "providers.default.answer.throttled[0]",
        "providers.any.answer.rejected[0]",
    }


def test_a_label_in_test_mode() -> None:
    """Whoever forgets it hears that all was delivered."""
    sends: dict[str, Any] = LABEL | {"relays": ["main"]}
    labels = {"live": sends, "some": sends | {"only_users": ["1", "2"]}, "none": sends | {"only_users": []}}
    found = said(labels=labels, relays={"main": {"host": "127.0.0.1"}})
    assert set(found) == {"label some", "label none"}
    assert "sends to 2 of its players" in found["label some"]
    assert "sends to nobody" in found["label none"]


def test_a_night_that_is_longer_than_the_deadline() -> None:
    """An SMS that falls into it ends as failed before it is over; of a channel without a way out nothing is said."""
    sends: dict[str, Any] = LABEL | {"relays": ["main"], "sms_routes": [{"prefix": "", "via": ["world"]}]}
    night = sends | {"quiet_hours": "22:00-08:00"}
    labels = {
        "night": night,
        "noon": sends | {"quiet_hours": "12:00-13:30"},
        "mail": night | {"sms_routes": []},
        "patient": night | {"sms_deadline": "12h"},
    }
    found = said(
        labels=labels,
        relays={"main": {"host": "127.0.0.1"}},
        smscs={"world": {"host": "127.0.0.1", "system_id": "gw", "password": "p"}},
    )
    assert found == {"label night": "quiet_hours last 10 h, and sms_deadline less: what waits in them fails"}


def test_clear_text_to_another_machine() -> None:
    """Relays and SMSCs, where carriers leave no choice: a warning; on loopback there is nobody to read it."""
    label = LABEL | {"relays": ["near", "far"], "sms_routes": [{"prefix": "", "via": ["uk", "us"]}]}
    found = said(
        labels={"amazing": label},
        relays={"near": {"host": "127.0.0.1"}, "far": {"host": "10.1.2.3"}},
        smscs={
            "uk": {"host": "smsc.example.com", "system_id": "gw", "password": "p"},
            "us": {"host": "smsc.example.com", "system_id": "gw", "password": "p", "tls": True},
        },
    )
    assert set(found) == {"relay far", "smsc uk"}


def test_certificates_that_nobody_looks_at(tmp_path: Path) -> None:
    """Who names an authority means TLS: without the key beside it all goes in clear text, to loopback, too."""
    ca_file = Authority(tmp_path).ca_file
    account = {"host": "127.0.0.1", "system_id": "gw", "password": "p", "ca_file": ca_file}
    label = LABEL | {"relays": ["main", "secure"], "sms_routes": [{"prefix": "", "via": ["uk", "us"]}]}
    relay = {"host": "127.0.0.1", "ca_file": ca_file}
    found = said(
        labels={"amazing": label},
        relays={"main": relay, "secure": relay | {"tls": "starttls"}},
        smscs={"uk": account, "us": account | {"tls": True}},
    )
    assert set(found) == {"relays.main.tls", "smscs.uk.tls"}


def test_secrets_that_others_can_read(tmp_path: Path) -> None:
    """One in the file itself, where that is open, and one in a file that is; closed ones are no news."""
    open_file, closed = tmp_path / "open.key", tmp_path / "closed.key"
    tmp_path.chmod(0o755)
    for path, mode in ((open_file, 0o644), (closed, 0o600)):
        path.write_text("x" * 32)
        path.chmod(mode)
    config = tmp_path / "gatewayd.toml"
    config.write_text(
        f'[gatewayd]\nsecret_key = "file:{open_file}"\nprevious_secret_keys = ["file:{closed}"]\n'
        '[redis]\npassword = "hunter2"\nendpoint = "unix:/run/redis.sock"\n'
        '[labels.amazing]\nauthorization = ["a", "b"]\n'
    )
    config.chmod(0o644)
    found = secrets(config)
    assert [one.what for one in found] == [
        "gatewayd.secret_key",
        "redis.password",
        "labels.amazing.authorization[0]",
        "labels.amazing.authorization[1]",
    ]
    assert not any("hunter2" in one.found for one in found)
    config.chmod(0o640)
    assert [one.what for one in secrets(config)] == ["gatewayd.secret_key"]
    # What is in a directory of root's and the daemon's is not made unreadable to the daemon for nothing.
    tmp_path.chmod(0o750)
    assert not [one for one in secrets(config) if "every user" in one.found]


def test_the_key_of_a_certificate_is_a_secret_and_its_path_is_none(tmp_path: Path) -> None:
    """A key that everybody can read; the certificate is for everybody, and so is where they are."""
    config, key, certificate = (tmp_path / name for name in ("gatewayd.toml", "gw.key", "gw.pem"))
    tmp_path.chmod(0o755)
    config.write_text(f'[relays.main]\nprivate_key = "{key}"\ncertificate = "{certificate}"\n')
    for path in (config, key, certificate):
        path.touch()
        path.chmod(0o644)
    [found] = secrets(config)
    assert (found.what, f"can read {key}" in found.found) == ("relays.main.private_key", True)
    key.chmod(0o600)
    assert not secrets(config)


def test_a_secret_that_the_daemon_is_kept_from() -> None:
    """Root wrote it without thinking of the group that may enter its directory: check, run by root, reads it all the
    same, and the daemon would not start.
    """
    secrets_of = (0o40750, 0, 997)  # mode, owner, group
    assert keeps_out(secrets_of, (0o100600, 0, 0))
    assert keeps_out(secrets_of, (0o100640, 0, 0))
    assert keeps_out(secrets_of, (0o100600, 0, 997))
    assert not keeps_out(secrets_of, (0o100640, 0, 997))
    assert not keeps_out(secrets_of, (0o100644, 0, 0))
    assert not keeps_out(secrets_of, (0o100600, 997, 997))
    # A directory of root's alone, or of everybody's, says nothing of who is to read what is in it.
    assert not keeps_out((0o40700, 0, 0), (0o100600, 0, 0))
    assert not keeps_out((0o40755, 0, 0), (0o100600, 0, 0))


def test_a_secret_file_by_a_path_that_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is started in another directory than the daemon: it finds what that one does not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text("k\n")
    (tmp_path / "key").chmod(0o600)
    path = tmp_path / "gatewayd.toml"
    path.write_text(f'[labels.a]\napi_key = "file:key"\n[labels.b]\napi_key = "file:{tmp_path}/key"\n')
    [found] = secrets(path)
    assert found.what == "labels.a.api_key"
    assert "write the whole path" in found.found


def test_a_secret_file_with_more_than_a_secret(tmp_path: Path) -> None:
    """Only one line break at the end is dropped: a second one, a blank or a byte order mark is sent along, unseen."""
    texts = {"one": "k\n", "crlf": "k\r\n", "two": "k\n\n", "blank": "k \n", "mark": "\ufeffk\n", "lines": "a\nb\n"}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text.encode())
        (tmp_path / name).chmod(0o600)
    labels = "".join(f'[labels.{name}]\napi_key = "file:{tmp_path}/{name}"\n' for name in texts)
    own = f'[gatewayd]\nsecret_key = "file:{tmp_path}/lines"\n[labels.gone]\napi_key = "file:{tmp_path}/gone"\n'
    path = tmp_path / "gatewayd.toml"
    path.write_text(own + labels)
    found = {one.what for one in secrets(path)}
    assert found == {f"labels.{name}.api_key" for name in ("two", "blank", "mark", "lines")}


@pytest.mark.parametrize(
    ("days", "word", "why"),
    [
        ((-80, 10), WARN, "expires in 10 d"),
        ((-80, 20), "", ""),
        ((-5, 2), "", ""),
        ((-90, -2), FAIL, "has expired, 2 d ago"),
        ((3, 90), WARN, "is not valid before"),
    ],
)
def test_a_certificate_of_ours_that_ends_soon(tmp_path: Path, days: tuple[int, int], word: str, why: str) -> None:
    """A listener's, and one that is shown to a relay; of one that lives for a week the last day alone counts."""
    certificate, key = Authority(tmp_path).files("go.amazing.co", days)
    found = findings(
        labels={"amazing": LABEL | {"relays": ["main"]}},
        api={"listen": [f"ssl:443:privateKey={key}:certKey={certificate}"]},
        relays={"main": {"host": "::1", "tls": "implicit", "certificate": certificate, "private_key": key}},
    )
    assert [(one.word, one.what) for one in found] == (
        [(word, "api.listen[0]"), (word, "relays.main.certificate")] if word else []
    )
    assert all(f"the certificate in {certificate} {why}" in one.found for one in found)

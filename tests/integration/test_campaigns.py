"""Campaigns held back: quiet hours, the guard against the wrong campaign, stops and consents; by the whole daemon."""

import csv
import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from outside import Outside, until

from gatewayd.store.legend import FIELDS, KEYS


@pytest.fixture
def world() -> Iterator[Outside]:
    """A world of its own for each: they change the configuration."""
    with Outside() as world:
        yield world


def accepted_earlier(world: Outside, message_id: str, seconds: int) -> None:
    """As if it had been accepted so long before, and been held up since."""
    (key,) = world.redis_cli("KEYS", f"*{KEYS['message'].short}{message_id}").splitlines()
    world.redis_cli("HINCRBY", key, FIELDS["accepted_at"].short, str(-1000 * seconds))


def around_now(minutes: int, zone_hours: int = 0) -> str:
    """Quiet hours from so long ago to as long from now, by the clocks of a zone that is so many hours before UTC."""
    now = datetime.now(UTC) + timedelta(hours=zone_hours)
    length = timedelta(minutes=minutes)
    return f"{now - length:%H:%M}-{now + length:%H:%M}"


def test_in_quiet_hours_a_late_campaign_waits_and_what_is_asked_for_goes(world: Outside) -> None:
    """Late is what was accepted over 5 minutes ago; the timeline says why it waits, and a reload may end it."""
    world.start()
    assert world.ctl("pause", "amazing").returncode == 0
    campaign = [world.sms()["ext_message_id"], world.email()["ext_message_id"]]
    asked_for = world.email(activity_type="EmailCustomerSupport")["ext_message_id"]
    for message_id in (*campaign, asked_for):
        accepted_earlier(world, message_id, 301)
    # Ten hours before UTC: the zone counts, and not ours.
    world.label |= {"quiet_hours": around_now(90, -10), "quiet_timezone": "Pacific/Honolulu"}
    world.write()
    world.daemon.signal(signal.SIGHUP)
    world.daemon.logged("the configuration was read again")
    assert world.ctl("resume", "amazing").returncode == 0
    world.until_heard(asked_for, "accepted")
    fresh = world.sms()["ext_message_id"]
    world.until_heard(fresh, "accepted", "delivered")
    for waiting in campaign:
        until(lambda waiting=waiting: "quiet hours of amazing" in json.dumps(world.message(waiting)["timeline"]))
        assert world.state(waiting) == "queued"
        why = f"({world.label['quiet_hours']} Pacific/Honolulu): it waits until they end"
        assert why in world.ctl("trace", waiting).stdout
        assert world.smartico.statuses(waiting) == []
    assert len(world.smsc.submits) == 1
    assert len(world.relay.mails) == 1
    world.label["quiet_hours"] = ""
    world.write()
    world.daemon.signal(signal.SIGHUP)
    world.until_heard(campaign[0], "accepted", "delivered")
    world.until_heard(campaign[1], "accepted")


def degraded(world: Outside) -> str:
    """What does not work for somebody, as /readyz says."""
    return json.dumps(world.http("GET", "/readyz", port=world.admin).json["degraded"])


def test_the_guard_stops_the_wrong_campaign_until_an_operator_lifts_it(world: Outside) -> None:
    """One more than intake_rate is try_again and stored nowhere; it is said in one line; lifting counts at once."""
    world.label["intake_rate"] = "20/h"
    world.settings["labels"]["other"] = world.label | {"intake_rate": ""}
    world.start()
    uids = [f"campaign-{number}" for number in range(30)]
    answers = [world.sms(im_uid=uid) for uid in uids]
    assert [answer["error_code"] for answer in answers[:20]] == [0] * 20
    assert {answer["error_code"] for answer in answers[20:]} == {10}
    assert "20/h" in answers[-1]["error_message"]
    assert world.post("/other/sms", world.sms_fields()).json["error_code"] == 0
    assert "label amazing: more than 20/h (intake_rate)" in degraded(world)
    assert "other" not in degraded(world)
    assert (
        'gatewayd_degraded{kind="guard",name="amazing"} 1.0'
        in world.http("GET", "/metrics", port=world.admin).body.decode()
    )
    assert world.daemon.log.read_text().count("is asked for more than 20/h") == 1
    lifted = world.ctl("guard", "amazing", "--lift", "1h")
    assert lifted.returncode == 0, lifted.stderr
    assert degraded(world) == "[]"
    assert [world.sms(im_uid=uid)["error_code"] for uid in uids] == [0] * 30
    assert world.ctl("guard", "amazing", "--lift", "0s").returncode == 0
    assert world.sms()["error_code"] == 10
    assert "more than 20/h" in degraded(world)
    # As another process does it.
    (counted,) = world.redis_cli("KEYS", "*intake:amazing").splitlines()
    prefix = counted.partition(KEYS["rate"].short)[0]
    world.redis_cli("SET", f"{prefix}{KEYS['lifted'].short}amazing", "1", "EX", "3600")
    until(lambda: degraded(world) == "[]")
    for words in (["amazing"], ["other", "--lift", "1h"], ["nobody", "--lift", "1h"], ["amazing", "--lift", "soon"]):
        assert world.ctl("guard", *words).returncode in (1, 2)


def test_a_player_who_agreed_again_is_written_to(world: Outside) -> None:
    """A stop of ours that is older than `consented_at` is lifted, in each form of a moment; a newer one holds."""
    audit = world.directory / "audit.log"
    world.settings["gatewayd"]["audit_log"] = str(audit)
    with closing(sqlite3.connect(world.database)) as players, players:
        players.execute("ALTER TABLE players ADD COLUMN consented_at")
    world.settings["directories"]["players"]["query"] = (
        "SELECT email, phone, consented_at FROM players WHERE id = :ext_user_id"
    )
    world.start()

    def consent(moment: object) -> None:
        with closing(sqlite3.connect(world.database)) as players, players:
            players.execute("UPDATE players SET consented_at = ? WHERE id = 'anna'", (moment,))

    forms: list[Callable[[], object]] = [
        lambda: datetime.now(UTC).isoformat(),
        lambda: datetime.now(timezone(timedelta(hours=5))).isoformat(sep=" "),
        time.time,
        lambda: f"{time.time():.3f}",
    ]
    for moment in forms:
        assert world.ctl("suppress", "amazing", "anna", "--channel", "sms").returncode == 0
        assert world.sms()["error_code"] == 5, "the consent is older"
        consent(moment())
        assert world.sms()["error_code"] == 0
        assert "anna" not in world.ctl("stops", "amazing").stdout
    lifted = [line for line in map(json.loads, audit.read_text().splitlines()) if line["decision"] == "stop lifted"]
    assert [line["ext_user_id"] for line in lifted] == ["anna"] * len(forms)
    assert "consented_at" in lifted[0]["reason"]


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file."""
    with path.open(newline="") as text:
        return list(csv.DictReader(text))


def test_the_stop_list_goes_out_and_comes_back(world: Outside) -> None:
    """By player id, in the columns that the manual names; --since; a faulty line is named and nothing is lost."""
    world.start()
    assert world.ctl("suppress", "amazing", "anna").returncode == 0
    theirs = world.directory / "theirs.csv"
    many = "".join(f"player-{number},2026-01-02T03:04:05Z\n" for number in range(1200))
    theirs.write_text(f'ext_user_id,since\nben,\n"with, comma",\n{many}')
    told = world.ctl("stops", "amazing", "--channel", "email", "--import", str(theirs), "--json")
    assert json.loads(told.stdout) == {"label": "amazing", "imported": 1202, "ended": 0}
    assert world.email(ext_user_id="ben")["error_code"] == 5
    assert world.sms(ext_user_id="ben")["error_code"] == 0
    out = world.directory / "out.csv"
    assert world.ctl("stops", "amazing", "--export", str(out)).returncode == 0
    found = rows(out)
    assert list(found[0]) == ["channel", "kind", "ext_user_id", "keyed_hash", "since", "until", "reason"]
    assert len(found) == 1202 + 3
    assert {(row["channel"], row["ext_user_id"]) for row in found} >= {("email", "with, comma"), ("im", "anna")}
    recent = world.ctl("stops", "amazing", "--since", "1h", "--json")
    assert len(json.loads(recent.stdout)["stops"]) == 5
    assert "player-7" not in recent.stdout
    assert "anna" in world.ctl("stops", "amazing", "--channel", "im").stdout
    theirs.write_text("ext_user_id,channel\nnoemail,sms\nnophone,fax\n")
    refused = world.ctl("stops", "amazing", "--import", str(theirs))
    assert (refused.returncode, "line 3: channel is none of email, sms, im" in refused.stderr) == (1, True)
    assert world.sms(ext_user_id="noemail")["error_code"] == 0
    world.redis_cli("FLUSHALL")
    assert world.email(ext_user_id="ben")["error_code"] == 0
    assert world.ctl("stops", "amazing", "--import", str(out)).returncode == 0
    assert world.email(ext_user_id="ben")["error_code"] == 5
    again = world.directory / "again.csv"
    assert world.ctl("stops", "amazing", "--export", str(again)).returncode == 0
    without_end = [{name: text for name, text in row.items() if name != "until"} for row in found]
    assert [{name: text for name, text in row.items() if name != "until"} for row in rows(again)] == without_end

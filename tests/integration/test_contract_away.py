"""CONTRACT.md where something is away, slow or full: Redis, the ways out, the players' directory."""

import json
import signal
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fair_clock import Stretch
from outside import Outside, Smartico, until
from outside_life import admin


@pytest.fixture
def world() -> Iterator[Outside]:
    """A world that is not started yet."""
    with Outside() as world:
        yield world


# ── Redis away ──


def refused_for_now(world: Outside) -> None:
    """An SMS and an email at the same time: each hears try_again within 5 s, and the daemon is healthy meanwhile."""
    stretch = Stretch()
    with ThreadPoolExecutor() as callers:
        answers = [callers.submit(post) for post in (world.sms, world.email)]
        assert admin(world, "/healthz").status == 200
        assert [answer.result()["error_code"] for answer in answers] == [10, 10]
    assert stretch.seconds() < 5


def test_redis_down_is_try_again_within_5_s_and_comes_back_within_5_s(world: Outside) -> None:
    """try_again, stored nothing; /readyz follows within 10 s; once Redis is back the same uid is taken."""
    world.start()
    world.stop_redis()
    refused_for_now(world)
    fields = world.sms_fields()
    assert world.post("/amazing/sms", fields).json["error_code"] == 10
    until(lambda: admin(world, "/readyz").status == 503, 10)
    assert json.loads(admin(world, "/readyz").body)["reasons"]
    world.start_redis()
    # Other content under the uid that was refused: nothing was stored of it.
    fields |= {"body": "x"}
    until(lambda: world.post("/amazing/sms", fields).json["error_code"] == 0, 5.5)
    until(lambda: admin(world, "/readyz").status == 200, 10)


def test_a_redis_that_hangs_is_try_again_within_5_s_and_stores_nothing_that_was_refused(world: Outside) -> None:
    """SIGSTOP: it takes connections and answers nothing. The uids are free for other content once it goes on."""
    world.start()
    assert world.redis.process is not None
    # Redis knows the script from now on: it would run it.
    world.until_heard(world.sms()["ext_message_id"], "accepted", "delivered")
    fields = world.sms_fields()
    world.redis.process.send_signal(signal.SIGSTOP)
    try:
        assert world.post("/amazing/sms", fields).json["error_code"] == 10
        refused_for_now(world)
        until(lambda: admin(world, "/readyz").status == 503, 10)
    finally:
        world.redis.process.send_signal(signal.SIGCONT)
    fields |= {"body": "other content"}
    answer = until(lambda: [one for one in [world.post("/amazing/sms", fields).json] if one["error_code"] != 10], 5)[0]
    assert answer["error_code"] == 0
    world.until_heard(answer["ext_message_id"], "accepted", "delivered")
    assert [submit.content for submit in world.smsc.submits[1:]] == [b"other content"]


def test_starts_without_redis_and_finds_it_later(world: Outside) -> None:
    """Healthy, not ready; then ready."""
    world.stop_redis()
    world.write()
    world.daemon.start(ready=False)
    assert admin(world, "/readyz").status == 503
    assert world.sms()["error_code"] == 10
    world.start_redis()
    until(lambda: admin(world, "/readyz").status == 200, 15)
    found = world.sms()["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")


def test_readyz_follows_the_ways_out_within_10_s(world: Outside) -> None:
    """A relay or an SMSC that goes away, and comes back; the first new try within 5 s."""
    world.start()
    for peer, word in ((world.smsc, "sms"), (world.relay, "email")):
        peer.stop()
        until(lambda: admin(world, "/readyz").status == 503, 10)
        assert word in admin(world, "/readyz").body.decode()
        peer.start()
        until(lambda: admin(world, "/readyz").status == 200, 10)


def test_the_high_water_mark(world: Outside) -> None:
    """Past max_queued: error_code 10, nothing stored; below it again: taken."""
    world.settings["redis"]["max_queued"] = 5
    world.smsc.stop()
    world.write()
    world.daemon.start(ready=False)
    until(lambda: world.sms()["error_code"] == 0)
    codes = [world.sms()["error_code"] for _ in range(10)]
    assert codes == [0] * 4 + [10] * 6
    world.smsc.start()
    until(lambda: world.sms()["error_code"] == 0, 15)


# ── directories ──


def test_a_directory_that_is_down_or_slow_does_not_refuse(world: Outside) -> None:
    """Taken within 5 s, resolved at delivery; `rejected` if the player is unknown then."""
    moved = world.database.with_name("moved.db")
    world.start()
    world.database.rename(moved)
    world.database.mkdir()
    stretch = Stretch()
    known, unknown = world.sms(), world.sms(ext_user_id="nobody")
    assert stretch.seconds() < 10
    assert (known["error_code"], unknown["error_code"]) == (0, 0)
    for answer in (known, unknown):
        # Tried at delivery, and put off.
        until(lambda answer=answer: len(world.message(answer["ext_message_id"])["timeline"]) > 1)
        assert world.state(answer["ext_message_id"]) == "queued"
    assert world.smartico.heard == []
    world.database.rmdir()
    moved.rename(world.database)
    world.until_heard(known["ext_message_id"], "accepted", "delivered", seconds=15)
    world.until_heard(unknown["ext_message_id"], "rejected", seconds=15)


def test_a_locked_database_does_not_hold_up_the_answer(world: Outside) -> None:
    """Slow: the answer comes within 5 s all the same."""
    world.start()
    lock = sqlite3.connect(world.database, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    stretch = Stretch()
    answer = world.sms()
    assert answer["error_code"] == 0
    assert stretch.seconds() < 5
    lock.execute("ROLLBACK")
    lock.close()
    world.until_heard(answer["ext_message_id"], "accepted", "delivered", seconds=15)


def test_an_http_directory(world: Outside) -> None:
    """JSON with the columns' names; 404: not known; 500: taken; its Authorization; the id is quoted into the path."""
    pam = Smartico()
    world.peers.append(pam)
    records = {
        "/players/anna": (200, {"email": "anna@pam.example", "phone": "+447700900555"}),
        "/players/out": (200, {"email": "out@pam.example", "phone": "+447700900556", "opted_out": True}),
        "/players/a%20b%3F": (200, {"email": "odd@pam.example", "phone": "07700 900557"}),
        "/players/down": (500, {}),
    }
    seen: list[str] = []
    goes_on = threading.Event()

    def answer(heard: Any) -> tuple[int, bytes, dict[str, str]]:
        seen.append(heard.headers.get("Authorization", ""))
        if heard.target == "/players/hangs":
            goes_on.wait(60)
        status, record = records.get(heard.target, (404, {}))
        return status, json.dumps(record).encode(), {}

    pam.answer = answer
    world.settings["directories"]["pam"] = {
        "type": "http",
        "url": f"http://127.0.0.1:{pam.port}/players/{{ext_user_id}}",
        "authorization": "pam-secret",
        "default_region": "GB",
    }
    world.label["directory"] = "pam"
    world.start()
    found = world.sms()["ext_message_id"]
    world.until_heard(found, "accepted", "delivered")
    assert world.smsc.submits[0].dest == "447700900555"
    assert world.sms(ext_user_id="nobody")["error_code"] == 1
    assert world.sms(ext_user_id="out")["error_code"] == 5
    assert world.sms(ext_user_id="a b?")["error_code"] == 0
    for other_path in ("../admin", "a/b", "a\\b", ".."):
        assert world.sms(ext_user_id=other_path)["error_code"] == 1, "it could be another path to some server"
    down = world.sms(ext_user_id="down")
    stretch = Stretch()
    hangs = world.email(ext_user_id="hangs")
    assert stretch.seconds() < 5
    assert (down["error_code"], hangs["error_code"]) == (0, 0)
    records["/players/down"] = records["/players/hangs"] = records["/players/anna"]
    goes_on.set()
    world.until_heard(down["ext_message_id"], "accepted", "delivered")
    world.until_heard(hangs["ext_message_id"], "accepted")
    assert set(seen) == {"pam-secret"}

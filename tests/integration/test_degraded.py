"""The operator sees what does not work for somebody, while the daemon is ready: four places that say the same."""

import json
import signal
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from outside import Outside, until


@pytest.fixture
def world() -> Iterator[Outside]:
    """A world that is not started yet."""
    with Outside() as world:
        yield world


def ready(world: Outside) -> Any:
    """The JSON of /readyz."""
    return json.loads(world.http("GET", "/readyz", port=world.admin).body)


def test_what_does_not_work_for_somebody_is_said_in_four_places(world: Outside) -> None:
    """A label's only relay is down, Redis evicts, the players are away, a reload was refused; each goes again."""
    world.settings["relays"]["dark"] = world.settings["relays"]["main"] | {"port": 1}
    world.settings["labels"]["other"] = world.label | {"api_key": "other", "relays": ["dark"]}
    world.start()
    until(lambda: any("other: no email can go out" in text for text in ready(world)["degraded"]), 15)
    world.redis_cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    world.redis_cli("CONFIG", "SET", "appendonly", "no")
    good = world.config.read_text()
    world.config.write_text(good + "\n[labels.broken]\n")
    world.daemon.signal(signal.SIGHUP)
    lock = sqlite3.connect(world.database, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")

    def all_is_said() -> bool:
        texts = " | ".join(ready(world)["degraded"])
        words = ("relay dark is down", "allkeys-lru", "appendonly no", "labels.broken", "directory players")
        return all(word in texts for word in words)

    until(all_is_said, 15)
    assert ready(world)["ready"] is True
    told = json.loads(world.ctl("status", "--json").stdout)["degraded"]
    assert sorted(one["text"] for one in told) == sorted(ready(world)["degraded"])
    page = world.http("GET", "/", port=world.admin).body.decode()
    assert "Ready, but not for all" in page
    assert page.index("other: no email can go out") < page.index("<article")
    metrics = world.http("GET", "/metrics", port=world.admin).body.decode()
    assert 'gatewayd_degraded{kind="label",name="other/email"} 1.0' in metrics
    assert 'gatewayd_degraded{kind="reload",name="configuration"} 1.0' in metrics

    lock.execute("ROLLBACK")
    lock.close()
    world.redis_cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
    world.redis_cli("CONFIG", "SET", "appendonly", "yes")
    world.settings["relays"].pop("dark")
    world.settings["labels"].pop("other")
    world.write()
    world.daemon.signal(signal.SIGHUP)
    until(lambda: ready(world)["degraded"] == [], 15)
    assert "gatewayd_degraded{" not in world.http("GET", "/metrics", port=world.admin).body.decode()
    assert "Ready, but" not in world.http("GET", "/", port=world.admin).body.decode()


def test_amazon_out_of_reach_is_no_callback_host_of_smarticos(world: Outside) -> None:
    """Its certificate can't be had: that is said of esp.ses, and Smartico's statuses wait for nothing."""
    topic = "arn:aws:sns:eu-nowhere-9:123456789012:gatewayd"
    world.settings["esp"] = {"ses": {"secret": "s" * 32, "topic_arns": [topic]}}
    world.start()
    address = "https://sns.eu-nowhere-9.amazonaws.com/SimpleNotificationService-" + "0" * 32 + ".pem"
    note = json.dumps({"Type": "Notification", "TopicArn": topic, "SigningCertURL": address}).encode()
    for _ in range(3):
        assert world.http("POST", f"/esp/ses/{'s' * 32}", note, port=world.public).status == 503
    (said,) = ready(world)["degraded"]
    assert "esp.ses: its latest 3 posts were refused: host at Amazon not found" in said
    assert "amazonaws" not in world.ctl("status", "--json").stdout

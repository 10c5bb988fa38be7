"""gatewayd as the ESME of a real Jasmin: PyPI's, on RabbitMQ and Redis, before a carrier on the npm package."""

from collections.abc import Iterator

import pytest
from jasmin_gateway import PASSWORD, USER, Jasmin
from outside import Outside


@pytest.fixture
def world() -> Iterator[Outside]:
    """All SMS go by Jasmin, whose table says no more than manual 5.7 does."""
    with Outside() as world:
        jasmin = Jasmin(world.directory / "jasmin", receipt_delay=200)
        world.peers.append(jasmin)
        world.jasmin = jasmin  # type: ignore[attr-defined]
        world.settings["smscs"] = {
            "jasmin": {"host": "127.0.0.1", "port": jasmin.port, "system_id": USER, "password": PASSWORD}
        }
        world.label["sms_routes"] = [{"prefix": "", "via": ["jasmin"]}]
        yield world


@pytest.mark.timeout(300)
def test_one_each_way(world: Outside) -> None:
    """Short, long and Cyrillic go out once and whole, its receipts are delivered and failed, and `check` is fine."""
    jasmin = world.jasmin  # type: ignore[attr-defined]
    world.start()
    texts = ["Get the offer €", "x" * 400, "Стоп и старт"]
    ids = [world.sms(body=text)["ext_message_id"] for text in texts]
    for message_id in ids:
        world.told(message_id, "accepted", "delivered", seconds=90)
    took = jasmin.carrier.report(word="UNDELIV")["messages"]
    assert sorted(message["text"] for message in took) == sorted(texts)
    assert {(message["source"], message["destination"]) for message in took} == {("Amazing", "447700900101")}
    assert sorted(message["segments"] for message in took) == [1, 1, 3]
    failed = world.sms(body="Nobody is there")["ext_message_id"]
    world.told(failed, "accepted", "failed", seconds=90)
    checked = world.ctl("check")
    assert checked.returncode == 0, checked.stdout

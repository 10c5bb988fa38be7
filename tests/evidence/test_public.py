"""The pixel, and what is not there."""

import pytest

from gatewayd.core.model import Evidence
from gatewayd.core.status import Event
from gatewayd.core.tokens import Purpose
from gatewayd.evidence.public import PIXEL
from public_world import BAD, ID, KEYS, PATH, World, esp

PERSON = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"}


def opening(message_id: str = ID) -> str:
    """The pixel's path."""
    return f"/o/{KEYS.token(Purpose.OPEN, message_id)}.gif"


def test_a_fetched_pixel_is_an_open() -> None:
    """43 bytes of GIF that nobody may keep, and the message's open."""
    world = World()
    reply = world.ask("GET", opening(), headers=PERSON)
    assert (reply.status, reply.body, len(reply.body)) == (200, PIXEL, 43)
    assert (reply.headers["content-type"], reply.headers["cache-control"]) == ("image/gif", "no-store")
    assert "set-cookie" not in reply.headers
    assert world.took == [Evidence(ID, Event.OPENED, "open")]


@pytest.mark.parametrize(
    ("method", "agent", "event"),
    [
        ("GET", "Mozilla/5.0", Event.MACHINE_OPENED),
        ("HEAD", PERSON["User-Agent"], Event.MACHINE_OPENED),
        (
            "GET",
            "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
            Event.OPENED,
        ),
    ],
)
def test_machines_that_say_so_are_told_apart(method: str, agent: str, event: Event) -> None:
    """Apple's bare name and HEAD are machines; Gmail's proxy fetches when a person opens."""
    world = World()
    reply = world.ask(method, opening(), headers={"User-Agent": agent})
    assert (reply.status, reply.headers["content-length"]) == (200, "43")
    assert [evidence.event for evidence in world.took] == [event]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_pixel_looks_like_a_good_one(bad: str) -> None:
    """No answer tells whether a token is ours; a bad one is counted, and is no evidence."""
    world = World()
    assert world.ask("GET", f"/o/{bad}.gif", headers=PERSON) == World().ask("GET", opening(), headers=PERSON)
    assert world.took == []
    assert world.meter.facts == [("open", "opened", "orphaned")]


def test_the_pixel_is_a_picture_with_the_store_down() -> None:
    """A mail must not show a broken picture because of us."""
    world = World()
    world.store.down = True
    assert world.ask("GET", opening(), headers=PERSON).body == PIXEL


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/o/x.png", 404),
        ("GET", "/o/.gif", 404),
        ("GET", "/u/", 404),
        ("GET", "/u/a/b", 404),
        ("POST", "/o/x.gif", 405),
        ("DELETE", "/u/x", 405),
        ("GET", "/esp/mailjet/" + PATH, 405),
        ("GET", "/u/%2e%2e/x", 404),
    ],
)
def test_nothing_else_is_there(method: str, path: str, status: int) -> None:
    """Other paths are 404, other methods 405."""
    assert World(mailjet=esp()).ask(method, path).status == status


def test_a_pixel_that_is_fetched_for_ever_is_recorded_a_few_times() -> None:
    """Whoever holds the mail can fetch as often as he likes; the picture comes each time."""
    world = World()
    path = f"/o/{KEYS.token(Purpose.OPEN, ID)}.gif"
    assert {world.ask("GET", path).status for _ in range(230)} == {200}
    assert len(world.took) == 50
    world.ask("HEAD", path)
    assert world.took[-1].event is Event.MACHINE_OPENED

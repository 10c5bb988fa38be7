"""The page and the one-click POST that unsubscribe."""

import tomllib
from importlib import resources

import pytest
from twisted.internet.defer import Deferred

from gatewayd.core.model import Evidence
from gatewayd.core.status import Event
from gatewayd.core.tokens import Purpose
from gatewayd.evidence.unsubscribe import UnsubscribePages
from public_world import BAD, FORM, ID, KEYS, World, leaving

ONE_CLICK = b"List-Unsubscribe=One-Click"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_at_the_page_changes_nothing(method: str) -> None:
    """Scanners follow links."""
    world = World()
    reply = world.ask(method, leaving())
    assert reply.status == 200
    assert world.took == []
    assert (b'<form method="post">' in reply.body) == (method == "GET")


def test_the_page_runs_nothing_keeps_nothing_and_tells_nobody() -> None:
    """No script, no cookie, no referrer, no index, and a policy under which only its own style and form work."""
    reply = World().ask("GET", leaving())
    assert "set-cookie" not in reply.headers
    assert reply.headers["referrer-policy"] == "no-referrer"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-robots-tag"] == "noindex, nofollow"
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert b"<script" not in reply.body
    assert b"http://" not in reply.body
    assert b"https://" not in reply.body


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("xx,fr;q=0.3,it;q=0.7", "it"),
        ("no", "nb"),
        ("pt-BR", "pt-br"),
        ("pt-PT", "pt"),
        ("zh-CN", "en"),
        ("de;q=0,ja;q=0.1", "ja"),
        ("", "en"),
        ("*", "en"),
        ("de;q=x,,;;,uk", "uk"),
        ("a" * 5000, "en"),
    ],
)
def test_the_page_speaks_the_readers_language(asked: str, language: str) -> None:
    """The best of Accept-Language that there is, else English; the answer says which."""
    reply = World().ask("GET", leaving(), headers={"Accept-Language": asked})
    assert reply.headers["content-language"] == language
    assert f'<html lang="{language}">'.encode() in reply.body
    assert reply.headers["vary"] == "Accept-Language"


def test_every_language_has_every_text() -> None:
    """At least those that the players speak, none of them in English by mistake."""
    pages = UnsubscribePages()
    needed = {
        "en",
        "de",
        "es",
        "fr",
        "it",
        "pt",
        "nl",
        "sv",
        "fi",
        "nb",
        "da",
        "pl",
        "ro",
        "tr",
        "el",
        "ru",
        "uk",
        "ja",
    }
    words = resources.files("gatewayd.evidence") / "templates" / "unsubscribe.toml"
    languages = set(tomllib.loads(words.read_text("utf-8")))
    assert needed <= languages
    assert len({pages.page(language).ask for language in languages}) == len(languages)
    assert len({pages.page(language).done for language in languages}) == len(languages)


MULTIPART = b'--b1\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b1--\r\n'


@pytest.mark.parametrize(
    ("body", "kind", "how"),
    [
        (ONE_CLICK, "application/x-www-form-urlencoded", "one-click"),
        (ONE_CLICK, "application/x-www-form-urlencoded; charset=utf-8", "one-click"),
        (b"List%2DUnsubscribe=One%2DClick", "application/x-www-form-urlencoded", "one-click"),
        (ONE_CLICK + b"\r\n", "application/x-www-form-urlencoded", "one-click"),
        (MULTIPART, "multipart/form-data; boundary=b1", "one-click"),
        (MULTIPART.replace(b"b1", b"--x y"), 'multipart/form-data; boundary="--x y"', "one-click"),
        (b"unsubscribe=yes", "application/x-www-form-urlencoded", "page"),
    ],
)
def test_one_post_unsubscribes_at_once(body: bytes, kind: str, how: str) -> None:
    """RFC 8058: urlencoded or multipart, 200, no redirect; and the page's own button."""
    world = World()
    reply = world.ask("POST", leaving(), body, {"Content-Type": kind})
    assert reply.status == 200
    assert b"<form" not in reply.body
    assert world.took == [
        Evidence(
            ID,
            Event.UNSUBSCRIBED,
            "unsubscribe",
            how,
            label="amazing",
            user_hash=KEYS.user_hashes("amazing", "hhu234556")[0],
        )
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", ""),
        (b"List-Unsubscribe=no", FORM["Content-Type"]),
        (b"\xff\xfe=\x00", FORM["Content-Type"]),
        (b"&" * 900, FORM["Content-Type"]),
        (b"--b1", "multipart/form-data; boundary=b1"),
        (b"x", "multipart/form-data"),
        (MULTIPART, "multipart/form-data; boundary=b2"),
        (MULTIPART.replace(b"One-Click", b"One-Click\r\n"), "multipart/form-data; boundary=b1"),
        (b'{"List-Unsubscribe": "One-Click"}', "application/json"),
    ],
)
def test_a_post_that_does_not_ask_for_it_does_not_unsubscribe(body: bytes, kind: str) -> None:
    """It gets the page with the button, and 400."""
    world = World()
    reply = world.ask("POST", leaving(), body, {"Content-Type": kind})
    assert (reply.status, world.took) == (400, [])
    assert b"<form" in reply.body


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_bad_token_gets_a_good_ones_answer(bad: str, method: str) -> None:
    """Page and button alike."""
    body = ONE_CLICK if method == "POST" else b""
    world = World()
    assert world.ask(method, f"/u/{bad}", body, FORM) == World().ask(method, leaving(), body, FORM)
    assert world.took == []


def test_unsubscribing_waits_for_the_store() -> None:
    """503 and when to come again, for a bad token as for a good one; the page is there all the time."""
    world = World()
    world.store.down = True
    good = world.ask("POST", leaving(), ONE_CLICK, FORM)
    assert (good.status, good.headers["retry-after"]) == (503, "10")
    assert world.ask("POST", f"/u/{BAD[0]}", ONE_CLICK, FORM) == good
    assert world.ask("GET", leaving()).status == 200


def test_a_caller_who_hangs_up_has_unsubscribed_all_the_same() -> None:
    """What was begun is finished: state and stop list belong together."""
    world = World()
    world.hold = Deferred()
    transport = world.send("POST", leaving(), ONE_CLICK, FORM)
    assert transport.value() == b""
    world.site.crowd.connections.copy().pop().connectionLost()
    world.hold.callback(None)
    assert [evidence.event for evidence in world.took] == [Event.UNSUBSCRIBED]


def test_an_unsubscribe_is_heard_however_often_the_pixel_was_fetched() -> None:
    """What one kind of fact used up is not taken from another."""
    world = World()
    for _ in range(60):
        world.ask("GET", f"/o/{KEYS.token(Purpose.OPEN, ID)}.gif")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    path = f"/u/{KEYS.subscription(ID, 'amazing', '1001')}"
    for _ in range(60):
        assert world.ask("POST", path, b"List-Unsubscribe=One-Click", form).status == 200
    assert [evidence.event for evidence in world.took].count(Event.UNSUBSCRIBED) == 50

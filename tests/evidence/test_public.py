"""The public listener, over its real site in memory: the pixel, the unsubscribe page, the providers' events."""

import base64
import hmac
import json
import tomllib
import uuid
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs

from esp_requests import (
    ARN,
    CERTIFICATE_URL,
    EC_PUBLIC,
    NOW,
    PEM,
    SES_SETTINGS,
    basic,
    mailgun_signature,
    sendgrid_request,
    sns,
)
from fakes import FakeClaims, FakeMeter, FakeStore
from gatewayd import config
from gatewayd.config import Secret
from gatewayd.core.errors import StoreUnavailable, TemporaryFailure
from gatewayd.core.model import Evidence
from gatewayd.core.status import Event
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.evidence.public import MAX_BODY, PIXEL, PublicPaths
from gatewayd.evidence.unsubscribe import UnsubscribePages

KEYS = Keys(b"k" * 32)
ID = str(uuid.UUID(int=7, version=4))
OTHER = str(uuid.UUID(int=8, version=4))
PATH = "s" * 32
PERSON = {"User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ONE_CLICK = b"List-Unsubscribe=One-Click"


class Reply:
    """An answer as it went over the wire."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        # What may differ between two answers to the same question.
        self.headers.pop("date", None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reply) and vars(self) == vars(other)


class World:
    """A public listener with a store in memory; `took` is the evidence that became durable."""

    def __init__(self, **esp: config.Esp) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.store = FakeStore(self.clock)
        self.claims = FakeClaims(self.clock)
        self.meter = FakeMeter()
        self.took: list[Evidence] = []
        self.fetched: list[str] = []
        self.answer: Callable[[str], Any] = lambda url: (200, PEM)
        self.hold: Deferred[None] | None = None
        self.broken: frozenset[str] = frozenset()
        self.public = PublicPaths(
            self.clock,
            KEYS,
            evidence=self,
            esp=esp,
            base_url="https://go.example",
            claims=self.claims,
            ping=self.store.ping,
            fetch=self.fetch,
            meter=self.meter,
            providers={},
            about=self.store.about,
        )
        self.site = self.public.site(self.clock)

    async def record(self, evidence: Evidence) -> None:
        """Becomes durable, once `hold` lets it, unless the store is down."""
        if self.hold is not None:
            await self.hold
        if self.store.down or evidence.message_id in self.broken:
            raise StoreUnavailable("down")
        self.took.append(evidence)

    async def fetch(self, url: str) -> tuple[int, bytes]:
        """Amazon's answer."""
        self.fetched.append(url)
        answer = self.answer(url)
        found: tuple[int, bytes] = await answer if isinstance(answer, Deferred) else answer
        return found

    def send(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> StringTransport:
        """Put a request on a connection of its own."""
        channel = self.site.buildProtocol(None)
        transport = StringTransport()
        transport.abortConnection = transport.loseConnection  # type: ignore[attr-defined]
        channel.makeConnection(transport)
        head = {"Host": "go.example", "Connection": "close", "Content-Length": str(len(body))} | (headers or {})
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        channel.dataReceived(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        return transport

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        """The answer to a request that needs no waiting."""
        raw = self.send(method, path, body, headers).value()
        for channel in list(self.site.crowd.connections):
            channel.connectionLost()
        return Reply(raw)

    def post(self, provider: str, data: object, headers: dict[str, str] | None = None, secret: str = PATH) -> Reply:
        """The answer to a provider's POST."""
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        return self.ask(
            "POST", f"/esp/{provider}/{secret}", body, {"Content-Type": "application/json"} | (headers or {})
        )


def esp(**values: Any) -> config.Esp:
    """A table of [esp.NAME]."""
    return config.Esp(secret=Secret(PATH), **values)


def opening(message_id: str = ID) -> str:
    """The pixel's path."""
    return f"/o/{KEYS.token(Purpose.OPEN, message_id)}.gif"


def leaving(message_id: str = ID) -> str:
    """The unsubscribe page's path."""
    return "/u/" + KEYS.subscription(message_id, "amazing", "hhu234556")


def token(message_id: str = ID) -> str:
    """What we put into a provider's metadata."""
    return KEYS.token(Purpose.ESP, message_id)


BAD = (
    KEYS.token(Purpose.BOUNCE, ID),
    Keys(b"x" * 32).token(Purpose.OPEN, ID),
    "a" * 47,
    "short",
    "%00%ff",
    "%C3%A9" * 47,
    "x" * 4000,
)

# The pixel ---------------------------------------------------------------------------------------------------------


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


# Unsubscribing -----------------------------------------------------------------------------------------------------


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


# Providers' events -------------------------------------------------------------------------------------------------


def mailjet(event: str = "sent", message_id: str = ID, time: int = 1, **fields: object) -> dict[str, object]:
    """An event of Mailjet's."""
    return {"event": event, "time": time, "MessageID": message_id, "CustomID": token(message_id), **fields}


@pytest.mark.parametrize(
    ("provider", "secret"),
    [("mailjet", "wrong"), ("mailjet", PATH + "x"), ("postmark", PATH), ("nobody", PATH), ("mailjet", "%FF")],
)
def test_who_does_not_know_the_secret_finds_nothing(provider: str, secret: str) -> None:
    """Unknown provider and wrong secret look alike, and the body of neither is read."""
    world = World(mailjet=esp())
    reply = world.post(provider, [mailjet()], secret=secret)
    assert (reply.status, reply.body, world.took) == (404, b"not found\n", [])
    head = {"Content-Length": "900000"}
    assert Reply(world.send("POST", f"/esp/{provider}/{secret}", b"", head).value()).status == 404


def test_a_secret_may_hold_any_character() -> None:
    """It is text from a file: a slash in it is no path's end."""
    world = World(mailjet=config.Esp(secret=Secret("a/b c")))
    assert world.post("mailjet", [mailjet()], secret="a/b%20c").status == 200
    assert len(world.took) == 1


def test_an_event_becomes_evidence() -> None:
    """With the provider as its source, its words redacted, and whether the address is at fault."""
    world = World(mailjet=esp())
    posted = mailjet(
        "bounce", hard_bounce=True, error="user unknown", comment="no jane@example.com here", email="j@e.com"
    )
    assert world.post("mailjet", [posted]).status == 200
    (evidence,) = world.took
    assert (evidence.message_id, evidence.event, evidence.source, evidence.hard) == (ID, Event.BOUNCED, "mailjet", True)
    assert "user unknown" in evidence.detail
    assert "jane" not in evidence.detail


def test_machine_opens_of_providers_are_machine_opens() -> None:
    """As the pixel's are."""
    world = World(mailjet=esp())
    world.post("mailjet", [mailjet("open", agent="Mozilla/5.0"), mailjet("open", OTHER, agent="Thunderbird")])
    assert {evidence.message_id: evidence.event for evidence in world.took} == {
        ID: Event.MACHINE_OPENED,
        OTHER: Event.OPENED,
    }


@pytest.mark.parametrize("bad", ["", *BAD[:3], KEYS.token(Purpose.OPEN, ID)])
def test_an_event_without_our_token_is_dropped_and_counted(bad: str) -> None:
    """Even one that the provider proved: whoever shares the account could send it."""
    world = World(mailjet=esp())
    assert world.post("mailjet", [mailjet() | {"CustomID": bad}]).status == 200
    assert world.took == []
    assert world.meter.facts == [("mailjet", "delivered", "orphaned")]


def test_an_event_told_twice_counts_once() -> None:
    """In one request or in two; what settles nothing is counted too."""
    world = World(mailjet=esp())
    world.post("mailjet", [mailjet(), mailjet()])
    world.post("mailjet", [mailjet(), mailjet(time=2), mailjet("new word", time=3)])
    assert len(world.took) == 2
    assert sorted(world.meter.facts) == [
        ("mailjet", "delivered", "ignored"),
        ("mailjet", "delivered", "ignored"),
        ("mailjet", "none", "ignored"),
    ]


def test_the_same_event_five_times_at_once_is_recorded_once() -> None:
    """Claimed before it acts: the others are told to come again, and then hear that it is done."""
    world = World(mailgun=esp(signing_key=Secret("key")))
    world.hold = Deferred()
    data = {"event": "complained", "user-variables": {"gw": token()}}
    body = json.dumps({"signature": mailgun_signature(), "event-data": data}).encode()
    waiting = [world.send("POST", f"/esp/mailgun/{PATH}", body) for _ in range(5)]
    world.hold.callback(None)
    assert sorted(Reply(transport.value()).status for transport in waiting) == [200, 503, 503, 503, 503]
    assert world.ask("POST", f"/esp/mailgun/{PATH}", body).status == 200
    assert [evidence.event for evidence in world.took] == [Event.COMPLAINED]


def test_an_event_that_was_claimed_and_not_recorded_is_free_again() -> None:
    """The store failed in between: whoever brings it again is heard at once, not after the claim's minute."""
    world = World(mailjet=esp())
    world.broken = frozenset({ID})
    assert world.post("mailjet", [mailjet()]).status == 503
    world.broken = frozenset()
    assert world.post("mailjet", [mailjet()]).status == 200
    assert len(world.took) == 1


def test_a_pixel_that_is_fetched_for_ever_is_recorded_a_few_times() -> None:
    """Whoever holds the mail can fetch as often as he likes; the picture comes each time."""
    world = World()
    path = f"/o/{KEYS.token(Purpose.OPEN, ID)}.gif"
    assert {world.ask("GET", path).status for _ in range(230)} == {200}
    assert len(world.took) == 50
    world.ask("HEAD", path)
    assert world.took[-1].event is Event.MACHINE_OPENED


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


def test_a_message_is_known_by_its_mail_where_no_token_came_back() -> None:
    """By the signed part of the Message-ID, or of the envelope sender; not by what others signed."""
    world = World(kumomta=esp(), brevo=esp())
    own = KEYS.token(Purpose.MESSAGE_ID, ID)
    world.post("brevo", {"event": "delivered", "message-id": f"<{own}@amazing.example>"})
    sender = f"b+{KEYS.token(Purpose.BOUNCE, OTHER)}@bounces.example"
    world.post("kumomta", {"type": "OOB", "sender": sender, "response": {"code": 550}})
    assert [(one.message_id, one.event) for one in world.took] == [(ID, Event.DELIVERED), (OTHER, Event.BOUNCED)]
    world.post("brevo", {"event": "delivered", "message-id": f"<{KEYS.token(Purpose.OPEN, ID)}@amazing.example>"})
    assert len(world.took) == 2


def test_mandrill_signs_the_public_address() -> None:
    """What the operator wrote into Mandrill is [public] base_url and the path, whatever proxy is in between."""
    world = World(mandrill=esp(signing_key=Secret("key")))
    path = f"/esp/mandrill/{PATH}"
    events = json.dumps([{"event": "spam", "_id": "1", "ts": 1, "msg": {"metadata": {"gw": token()}}}])
    signed = f"https://go.example{path}mandrill_events{events}"
    signature = base64.b64encode(hmac.digest(b"key", signed.encode(), "sha1")).decode()
    head = {"Content-Type": "application/x-www-form-urlencoded", "X-Mandrill-Signature": signature}
    assert world.ask("HEAD", path).status == 200
    assert world.ask("HEAD", "/esp/mandrill/wrong").status == 404
    assert world.ask("POST", path, urlencode({"mandrill_events": events}).encode(), head).status == 200
    assert [evidence.event for evidence in world.took] == [Event.COMPLAINED]


def test_an_event_is_known_for_a_week() -> None:
    """Longer than any provider repeats it, or its signature counts."""
    world = World(mailjet=esp())
    world.post("mailjet", [mailjet()])
    world.clock.advance(7 * 86400 - 1)
    world.post("mailjet", [mailjet()])
    assert len(world.took) == 1


def test_the_answer_waits_until_all_is_durable() -> None:
    """2xx before that would lose the event in a crash."""
    world = World(mailjet=esp())
    world.hold = Deferred()
    transport = world.send("POST", f"/esp/mailjet/{PATH}", json.dumps([mailjet()]).encode())
    assert transport.value() == b""
    world.hold.callback(None)
    assert Reply(transport.value()).status == 200


def test_events_of_one_message_keep_their_order() -> None:
    """Those of different messages need not wait for each other."""
    world = World(mailjet=esp())
    world.hold = Deferred()
    posted = [
        mailjet(time=1),
        mailjet("open", time=2),
        mailjet(message_id=OTHER, time=3),
        mailjet("click", time=4, url="x"),
    ]
    world.send("POST", f"/esp/mailjet/{PATH}", json.dumps(posted).encode())
    world.hold.callback(None)
    assert [e.event for e in world.took if e.message_id == ID] == [Event.DELIVERED, Event.OPENED, Event.OPENED]
    assert len(world.took) == 4


def test_with_the_store_down_the_provider_comes_again() -> None:
    """And then what was already taken is not taken twice."""
    world = World(mailjet=esp())
    world.broken = frozenset({OTHER})
    posted = [mailjet(message_id=OTHER), mailjet()]
    reply = world.post("mailjet", posted)
    assert (reply.status, reply.headers["retry-after"]) == (503, "10")
    assert [evidence.message_id for evidence in world.took] == [ID]
    world.broken = frozenset()
    assert world.post("mailjet", posted).status == 200
    assert [evidence.message_id for evidence in world.took] == [ID, OTHER]


def test_a_stranger_may_say_a_kilobyte() -> None:
    """What everybody may post to is a form of one field; a provider's events are larger."""
    world = World(mailjet=esp())
    assert world.ask("POST", leaving(), b"a" * 1024, FORM).status == 400
    assert world.ask("POST", leaving(), b"a" * 1025, FORM).status == 413
    assert world.ask("POST", "/nowhere", b"a" * 1025, FORM).status == 413
    assert world.post("mailjet", b"{" + b"a" * 100_000).status == 400


def test_a_large_batch_is_taken_whole() -> None:
    """More messages than are worked on at once."""
    world = World(mailjet=esp())
    ids = [str(uuid.UUID(int=number, version=4)) for number in range(1500)]
    assert world.post("mailjet", [mailjet(message_id=one) for one in ids]).status == 200
    assert {evidence.message_id for evidence in world.took} == set(ids)


def test_a_body_over_the_limit_is_not_read() -> None:
    """One megabyte is enough for any provider's batch."""
    world = World(mailjet=esp())
    head = {"Content-Length": str(MAX_BODY + 1)}
    assert Reply(world.send("POST", f"/esp/mailjet/{PATH}", b"", head).value()).status == 413


def test_what_is_not_proven_is_refused_and_counted() -> None:
    """403, nothing in the log but who claimed to be whom and what was missing."""
    world = World(mailjet=esp(username="user", password=Secret("hunter2")), mailgun=esp(signing_key=Secret("key")))
    with capturedLogs() as logs:
        assert world.post("mailjet", [mailjet()], basic("user:wrong")).status == 403
        assert world.post("mailgun", {"signature": mailgun_signature("other"), "event-data": {}}).status == 403
    assert world.took == []
    assert world.meter.facts == [("mailjet", "forged", "ignored"), ("mailgun", "forged", "ignored")]
    assert "hunter2" not in str(logs)
    assert token() not in str(logs)
    assert world.post("mailjet", [mailjet()], basic("user:hunter2")).status == 200
    assert len(world.took) == 1


def test_what_cannot_be_read_is_refused() -> None:
    """400."""
    assert World(mailjet=esp()).post("mailjet", b"{").status == 400


def test_the_very_bytes_that_came_are_what_must_be_signed() -> None:
    """Not what they mean: SendGrid signs the body as it is on the wire."""
    world = World(sendgrid=esp(public_key=Secret(EC_PUBLIC)))
    body = b' [ {"event" : "delivered",\r\n"gw":"' + token().encode() + b'", "sg_event_id":"\\u0045"} ]\n'
    headers = sendgrid_request(body).headers
    assert world.post("sendgrid", body.strip(), headers).status == 403
    assert world.post("sendgrid", body, headers).status == 200
    assert [evidence.event for evidence in world.took] == [Event.DELIVERED]


def test_a_provider_without_its_key_is_told_of_at_the_start() -> None:
    """Every event would be refused: the operator should not have to find out."""
    with capturedLogs() as logs:
        World(sendgrid=esp(), ses=esp(), mailgun=esp(signing_key=Secret("key")), mailjet=esp())
    assert [(line["provider"], line["key"]) for line in logs] == [("sendgrid", "public_key"), ("ses", "topic_arns")]


def test_mailguns_signature_is_good_for_one_event() -> None:
    """It does not cover the event: whoever caught one could sign another with it."""
    world = World(mailgun=esp(signing_key=Secret("key")))
    for event in ("delivered", "complained"):
        data = {"event": event, "user-variables": {"gw": token()}}
        assert world.post("mailgun", {"signature": mailgun_signature(), "event-data": data}).status == 200
    assert [evidence.event for evidence in world.took] == [Event.DELIVERED]


def test_settings_can_change_while_running() -> None:
    """A new secret counts from now on, the old one no more."""
    world = World(mailjet=esp())
    world.public.reload({"mailjet": config.Esp(secret=Secret("new"))}, {})
    assert world.post("mailjet", []).status == 404
    assert world.post("mailjet", [], secret="new").status == 200


# Amazon ------------------------------------------------------------------------------------------------------------

DELIVERY = {"eventType": "Delivery", "mail": {"tags": {"gw": [token()]}}}


def amazon(**values: Any) -> World:
    """A world with [esp.ses]."""
    return World(ses=esp(topic_arns=SES_SETTINGS.topic_arns, **values))


def test_the_certificate_is_fetched_once() -> None:
    """From the pinned address; later notifications use the kept one."""
    world = amazon()
    for number in range(3):
        assert world.post("ses", sns(DELIVERY, MessageId=f"M-{number}")).status == 200
    assert world.fetched == [CERTIFICATE_URL]
    assert len(world.took) == 3


@pytest.mark.parametrize(
    ("answer", "status"),
    [((404, b""), 503), ((200, b"<html>"), 503), ((200, PEM + b"\n" * 70_000), 503), ((302, PEM), 503)],
)
def test_without_a_certificate_amazon_comes_again(answer: tuple[int, bytes], status: int) -> None:
    """Nothing is taken on trust, and nothing that was no certificate is kept."""
    world = amazon()
    world.answer = lambda url: answer
    assert (world.post("ses", sns(DELIVERY)).status, world.took) == (status, [])
    world.answer = lambda url: (200, PEM)
    assert (world.post("ses", sns(DELIVERY)).status, len(world.took)) == (200, 1)


def test_a_fetch_that_hangs_ends_after_five_seconds() -> None:
    """Nobody can make us wait longer."""
    world = amazon()
    world.answer = lambda url: Deferred()
    transport = world.send("POST", f"/esp/ses/{PATH}", json.dumps(sns(DELIVERY)).encode())
    world.clock.advance(4.9)
    assert transport.value() == b""
    world.clock.advance(0.2)
    assert Reply(transport.value()).status == 503


def test_a_strangers_topic_is_not_asked_about() -> None:
    """His notification may well be signed by Amazon: nothing is fetched for it."""
    world = amazon()
    assert world.post("ses", sns(DELIVERY, TopicArn=ARN + "-x")).status == 403
    assert world.fetched == []


def test_our_topics_subscription_is_confirmed_at_amazons_own_address() -> None:
    """Once its signature was checked; the body's SubscribeURL is never asked."""
    world = amazon()
    asked = sns("", Type="SubscriptionConfirmation", Token="T", SubscribeURL="https://evil.example/")
    assert world.post("ses", asked | {"Token": "forged"}).status == 403
    assert world.fetched == [CERTIFICATE_URL]
    assert world.post("ses", asked).status == 200
    assert world.fetched[1].startswith("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=")
    assert not any("evil" in url for url in world.fetched)


def test_confirmation_can_be_switched_off_and_a_failed_one_is_asked_for_again() -> None:
    """confirm = false answers 200 and asks nobody; an error of Amazon's makes it send the question again."""
    asked = sns("", Type="SubscriptionConfirmation", Token="T", SubscribeURL="https://evil.example/")
    world = amazon(confirm=False)
    assert (world.post("ses", asked).status, world.fetched) == (200, [CERTIFICATE_URL])
    world = amazon(public_key=Secret(PEM.decode()))
    world.answer = lambda url: (500, b"")
    assert world.post("ses", asked).status == 503
    assert len(world.fetched) == 1


def test_a_failure_of_the_fetch_is_temporary() -> None:
    """As the client reports it."""

    def refuse(url: str) -> Any:
        raise TemporaryFailure("no connection")

    world = amazon()
    world.answer = refuse
    assert world.post("ses", sns(DELIVERY)).status == 503


# The corpus, over the wire -----------------------------------------------------------------------------------------


@pytest_twisted.ensureDeferred
async def test_the_corpus_never_fails_on_the_wire(corpus: Path) -> None:
    """Whatever providers sent, the answer is one that they understand, and without our token it is no evidence."""
    table = esp(signing_key=Secret("TEST_WEBHOOK_SIGNING_KEY"), topic_arns=(ARN,))
    world = World(**dict.fromkeys(("ses", "sendgrid", "mailgun", "postmark", "mailjet", "sparkpost"), table))
    for case in map(json.loads, (corpus / "expected.jsonl").read_text("utf-8").splitlines()):
        if case["set"] == "webhook":
            provider = case["esp"].removeprefix("amazon_")
            body = (corpus / case["file"]).read_bytes()
            reply = world.post(provider, body, {"Content-Type": case["content_type"]})
            assert reply.status in ((200,) if provider in ("postmark", "mailjet", "sparkpost") else (200, 403)), case
    assert world.took == []

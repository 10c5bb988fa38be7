"""The admin listener: health, readiness, metrics, a message's timeline, and who may ask."""

import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs

from admin_world import SMS, Ways, World
from gatewayd.core.model import Evidence, WayState
from gatewayd.core.status import Event


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


def test_health_is_a_turning_reactor(world: World) -> None:
    """/healthz answers 200 even while Redis and every way out are down."""
    world.store.down = True
    world.email.ways, world.sms.ways = {"main": False}, {"world": False}
    assert world.ask("/healthz").status == 200


def test_the_status_line_is_ready_within_a_second_of_redis(world: World) -> None:
    """At the start Redis is not connected yet: the first sample fails, and the next one does not wait for its turn."""
    world.store.down = True
    watch = world.admin.watch
    watch.startService()
    world.store.down = False
    world.clock.advance(1.0)
    assert watch.line() == "ready; 0 in the queues"
    world.clock.advance(2.0)
    assert len(watch.samples) == 1
    watch.stopService()


def test_callback_hosts_and_directories_are_told(world: World) -> None:
    """Each with whether it is up, and why not, for programs and on the page; also while Redis is silent."""
    world.callback_hosts = {"b.example:8443": "it refused the connection", "a.example": ""}
    world.directories = {"players": "the database failed"}
    for world.store.down in (False, True):
        told = world.ask("/verbs/status").json
        assert told["callback_hosts"] == [
            {"host": "a.example", "up": True, "reason": ""},
            {"host": "b.example:8443", "up": False, "reason": "it refused the connection"},
        ]
        assert told["directories"] == [{"name": "players", "up": False, "reason": "the database failed"}]
        page = world.ask("/").body.decode()
        for name, reason in (("b.example:8443", "it refused the connection"), ("players", "the database failed")):
            badge = f'{name} <span class="badge bad">down</span> <span class="reason">{reason}</span>'
            assert badge in page


def test_browsers_may_use_the_configured_names(world: World) -> None:
    """A name of [admin] hosts, and no other that a stranger could point at us."""
    assert world.ask("/", Host="gateway.amazing.example:9090").status == 200
    assert world.ask("/", Host="other.amazing.example:9090").status == 403


def test_ready_with_redis_and_a_way_out_for_each_channel(world: World) -> None:
    """One relay of two is enough."""
    reply = world.ask("/readyz")
    assert (reply.status, reply.json) == (200, {"ready": True, "reasons": [], "degraded": []})


def test_not_ready_says_why(world: World) -> None:
    """503 names each reason, and turns back to 200 at once when they are gone."""
    world.store.down = True
    world.sms.ways = {"world": False}
    reply = world.ask("/readyz")
    assert reply.status == 503
    assert reply.json["reasons"] == ["redis: the fake is down", "sms: no SMSC or provider is up (world)"]
    texts = [
        "sms: no SMSC or provider is up (world); no label's messages go out by it",
        "Redis: the fake is down; nothing can be accepted or sent, for any label",
    ]
    assert reply.json["degraded"] == texts
    assert [one["text"] for one in world.ask("/verbs/status").json["degraded"]] == texts
    assert b'gatewayd_degraded{kind="redis",name="down"} 1.0' in world.ask("/metrics").body
    assert html.escape(texts[1]) in world.ask("/").body.decode()
    world.store.down = False
    world.sms.ways = {"world": True}
    reply = world.ask("/readyz")
    assert (reply.status, reply.json["degraded"]) == (200, [])
    assert b"gatewayd_degraded{" not in world.ask("/metrics").body


def test_a_silent_redis_does_not_keep_the_asker_waiting(world: World) -> None:
    """After two seconds without an answer /readyz says so."""

    async def never() -> float:
        await Deferred()
        raise AssertionError

    world.store.ping = never  # type: ignore[method-assign]
    protocol, transport = world.site.buildProtocol(None), StringTransport()
    protocol.makeConnection(transport)
    protocol.dataReceived(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert transport.value() == b""
    world.clock.advance(2.0)
    assert b"503" in transport.value()
    assert b"no answer within 2 s" in transport.value()


def test_a_far_redis_is_there(world: World) -> None:
    """What takes 0.6 s a call, as over a long way, is not said to be away: messages flow through it all the while."""

    def slow(ask: Callable[..., Any]) -> Callable[..., Any]:
        async def asked(*words: Any) -> Any:
            arrived: Deferred[None] = Deferred()
            world.clock.callLater(0.6, arrived.callback, None)
            await arrived
            return await ask(*words)

        return asked

    for name in ("ping", "counts", "queues", "dead_letters", "paused"):
        setattr(world.store, name, slow(getattr(world.store, name)))
    found: list[Any] = []
    Deferred.fromCoroutine(world.watch.look()).addCallback(found.append)
    world.clock.pump([0.1] * 19)
    assert [look.redis_trouble for look in found] == [""]


def test_a_draining_process_is_not_ready(world: World) -> None:
    """Whoever balances load over us stops sending before we stop listening."""
    world.admin.drain()
    reply = world.ask("/readyz")
    assert reply.status == 503
    assert "draining" in reply.json["reasons"][0]


def test_metrics_show_a_fresh_look(world: World) -> None:
    """The page tells counts, queues and ways out as they are at this moment."""
    world.accept()
    reply = world.ask("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    text = reply.body.decode()
    assert 'gatewayd_messages_accepted_total{channel="sms",label="amazing"} 1.0' in text
    assert 'gatewayd_queue_messages{queue="sms",state="leased"} 1.0' in text
    assert 'gatewayd_unreconciled_messages{channel="sms"} 0.0' in text
    assert 'gatewayd_route_up{channel="email",route="backup"} 0.0' in text
    assert "gatewayd_redis_up 1.0" in text


def test_a_timeline_has_the_shape_of_the_contract(world: World) -> None:
    """CONTRACT.md, Shapes: these names, times in UTC with milliseconds, and null where Smartico has not answered."""
    message = world.sent()
    world.clock.advance(1.5)
    (job,) = world.run(world.store.lease_reports(10))
    world.run(world.store.report_heard(job))
    world.run(world.store.record_evidence(Evidence(message.id, Event.DELIVERED, "receipt")))
    told = world.ask(f"/messages/{message.id}").json
    assert list(told) == [
        "ext_message_id", "uid", "label", "channel", "ext_user_id", "state", "reports", "timeline",
    ]  # fmt: skip
    assert told["ext_message_id"] == message.id
    assert (told["uid"], told["label"], told["channel"], told["ext_user_id"]) == ("uid-1", "amazing", "sms", "player-1")
    assert told["state"] == "delivered"
    accepted, delivered = told["reports"]
    assert accepted == {
        "status": "accepted", "at": "2026-09-21T14:13:20.250Z", "answered_at": "2026-09-21T14:13:21.750Z",
    }  # fmt: skip
    assert (delivered["status"], delivered["answered_at"]) == ("delivered", None)
    assert all(event["at"].endswith("Z") and len(event["at"]) == 24 and event["event"] for event in told["timeline"])


@pytest.mark.parametrize("uid", ["uid-1", "with/slash", "a//b", "..", "ünï", "50%", "?x=1&y", "UPPER"])
def test_a_message_is_found_by_any_uid(world: World, uid: str) -> None:
    """Smartico's uid is free text; whatever it is made of, it finds its message."""
    message = world.accept(uid, label="other")
    assert world.ask("/messages/" + quote(uid, safe="")).json["ext_message_id"] == message.id


def test_an_unknown_message_is_404(world: World) -> None:
    """JSON too, so that a program can tell it from a wrong path."""
    reply = world.ask("/messages/nobody")
    assert (reply.status, list(reply.json)) == (404, ["error"])


def test_status_is_the_whole_picture(world: World) -> None:
    """What gatewayctl status prints."""
    world.accept()
    world.verb("pause", label="amazing", channel="sms")
    told = world.ask("/verbs/status").json
    assert told["queues"]["sms"] == {"waiting": 0, "leased": 1, "oldest_age_seconds": 0.0}
    assert told["labels"]["amazing"]["sms"] == {
        "accepted": 1, "waiting": 1, "sent": 0, "delivered": 0, "failed": 0, "rejected": 0, "paused": True,
    }  # fmt: skip
    assert [(way["name"], way["up"]) for way in told["routes"]] == [("main", True), ("backup", False), ("world", True)]
    assert told["dead_letters"] == {"count": 0, "more": False}


def test_status_answers_without_redis(world: World) -> None:
    """That Redis is down is what an operator wants to read there."""
    world.store.down = True
    told = world.ask("/verbs/status").json
    assert told["redis"] == {"up": False, "seconds": 0.0, "trouble": "the fake is down"}
    assert told["labels"] == {}


def test_a_channel_tells_more_where_it_can(world: World) -> None:
    """A channel's own states() is shown in place of up and down."""
    world.sms.states = lambda: {"world": WayState(False, "backing-off", "bind refused: ESME_RINVPASWD")}  # type: ignore[attr-defined]
    told = world.ask("/verbs/status").json["routes"][-1]
    assert (told["word"], told["reason"]) == ("backing-off", "bind refused: ESME_RINVPASWD")


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Sec_Fetch_Site": "same-origin"}, True),
        ({"Sec_Fetch_Site": "cross-site"}, False),
        ({"Sec_Fetch_Site": "same-site"}, False),
        ({"Origin": "http://127.0.0.1:9090"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Host": "evil.example:9090", "Origin": "http://evil.example:9090", "Sec_Fetch_Site": "same-origin"}, False),
        ({"Host": "localhost:9090"}, True),
        ({"Host": "[::1]:9090"}, True),
        ({"Host": "gw.localhost:9090"}, True),
        ({"Host": "gateway.amazing.example"}, True),
        ({"Host": "gateway:9090"}, False),
        ({"Host": "gateway.ops.internal"}, False),
        ({"Host": "printer.local"}, False),
        ({"Host": "printer.lan"}, False),
        ({"Host": "printer.home.arpa"}, False),
        ({"Host": "127.0.0.1.evil.example"}, False),
        ({"Host": "[::1].evil.example"}, False),
        ({"Host": "[::1]:9090.evil"}, False),
        ({"Host": "localhost:9090:evil"}, False),
        ({"Host": "localhost@evil.example"}, False),
        ({"Host": "[]"}, False),
        ({"Host": ""}, False),
    ],
)
def test_no_strangers_page_can_make_a_browser_act(world: World, headers: dict[str, str], allowed: bool) -> None:
    """Cross-site requests and rebound names are refused before the body is read."""
    body = json.dumps({"label": "amazing"}).encode()
    reply = world.ask("/verbs/pause", body, Content_Type="application/json", **headers)
    assert (reply.status == 200) is allowed
    assert bool(world.run(world.store.paused())) is allowed


def test_a_target_with_a_name_of_its_own_is_asked_by_that(world: World) -> None:
    """Host does not count then (RFC 9112 3.2.2)."""
    body = json.dumps({"label": "amazing"}).encode()
    for name, status in (("evil.example:9090", 403), ("localhost:9090", 200)):
        reply = world.ask(f"http://{name}/verbs/pause", body, Content_Type="application/json", Host="localhost")
        assert reply.status == status


def test_probes_answer_under_any_name(world: World) -> None:
    """Prometheus and an orchestrator ask by a service's name; nothing secret is there."""
    assert world.ask("/healthz", Host="gw.monitoring.example").status == 200
    assert world.ask("/verbs/status", Host="gw.monitoring.example").status == 403


def test_a_bug_is_logged_and_not_shown(world: World) -> None:
    """The asker gets 500 and no traceback, which the log has."""

    async def broken() -> Any:
        raise ZeroDivisionError("secret detail")

    world.store.paused = broken  # type: ignore[method-assign]
    with capturedLogs() as logs:
        reply = world.ask("/verbs/status")
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert [log["log_failure"].type for log in logs if "log_failure" in log] == [ZeroDivisionError]


def test_a_reload_changes_labels_and_ways_out(world: World) -> None:
    """A new label can be paused, and a new channel counts for readiness, without a restart."""
    world.admin.reload({"new": 60.0}, {SMS: Ways(fresh=False)})
    assert world.verb("pause", label="new").status == 200
    assert world.verb("pause", label="amazing").status == 404
    assert world.ask("/readyz").json["reasons"] == ["sms: no SMSC or provider is up (fresh)"]


def test_the_rate_beside_a_limit_is_of_the_last_minute(world: World) -> None:
    """120 handed over in the last minute are 2 a second, whatever was before."""
    handed = [0]
    world.sms.states = lambda: {"world": WayState(True, rate=10.0, handed=handed[0])}  # type: ignore[attr-defined]
    world.admin.watch.startService()
    handed[0] = 5000
    world.clock.pump([10.0] * 6)
    handed[0] += 120
    world.clock.pump([10.0] * 6)
    told = world.ask("/verbs/status").json["routes"][-1]
    assert (told["rate"], told["rate_limit"]) == (2.0, 10.0)
    assert b"2.0/s of 10/s" in world.ask("/").body
    world.admin.watch.stopService()

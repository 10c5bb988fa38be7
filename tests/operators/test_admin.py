"""The admin listener over memory: the real HTTP, the real routes, a store that keeps the real one's promises."""

import json
import re
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent

from admin_world import EMAIL, IM, KEYS, NOW, SMS, Reply, Ways, World
from gatewayd.core.model import Decision, Evidence, WayState
from gatewayd.core.status import Event, Report


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


def test_health_is_a_turning_reactor(world: World) -> None:
    """/healthz answers 200 even while Redis and every way out are down."""
    world.store.down = True
    world.email.ways, world.sms.ways = {"main": False}, {"world": False}
    assert world.ask("/healthz").status == 200


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
    world.store.down = False
    world.sms.ways = {"world": True}
    assert world.ask("/readyz").status == 200


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


@pytest.mark.parametrize("limit", ["0", "100001", "-1", "x", "9" * 5000, "", "1e3"])
def test_a_limit_that_is_none_is_refused(world: World, limit: str) -> None:
    """However many digits it has: Python reads no number of 5,000."""
    assert world.ask(f"/verbs/dead-letters?limit={limit}").status == 400


def test_dead_letters_are_listed_retried_and_dropped(world: World) -> None:
    """Retry queues the status again; drop forgets it; a second time there is none."""
    first, second = world.dead("uid-1"), world.dead("uid-2")
    letters = world.ask("/verbs/dead-letters").json["dead_letters"]
    assert {letter["ext_message_id"] for letter in letters} == {first.id, second.id}
    assert (letters[0]["status"], letters[0]["label"], letters[0]["reason"]) == ("accepted", "amazing", "HTTP 500")
    assert (letters[0]["waited_seconds"], letters[0]["tries"]) == (600, 16)
    assert world.verb("dead-letters/retry", id=first.id).status == 200
    assert [job.status for job in world.run(world.store.lease_reports(10))] == [Report.ACCEPTED]
    assert world.verb("dead-letters/drop", id=second.id).status == 200
    assert world.verb("dead-letters/drop", id=second.id).status == 404
    assert world.ask("/verbs/dead-letters").json == {"dead_letters": []}


def test_a_player_goes_on_the_stop_list_and_off(world: World) -> None:
    """By a keyed hash, on both channels where none is named, for as long as the label says."""
    assert world.verb("suppress", label="amazing", ext_user_id="p").json["suppressed"] == ["email", "sms", "im"]
    name = KEYS.user_hashes("amazing", "p")[0]
    assert world.store.db.stop == {("amazing", channel, name): NOW + 86400.0 for channel in (EMAIL, SMS, IM)}
    assert world.verb("unsuppress", label="amazing", ext_user_id="p", channel="sms").json["unsuppressed"] == ["sms"]
    assert world.verb("unsuppress", label="amazing", ext_user_id="p").json["unsuppressed"] == ["email", "im"]
    assert world.verb("unsuppress", label="amazing", ext_user_id="p").json["unsuppressed"] == []


def test_the_log_says_who_went_on_the_stop_list_and_off(world: World) -> None:
    """By an operator's hand: that a player was written to again must have a beginning."""
    with capturedLogs() as told:
        world.verb("suppress", label="amazing", ext_user_id="p", channel="email")
        for _ in range(2):
            world.verb("unsuppress", label="amazing", ext_user_id="p")
    assert [formatEvent(event) for event in told] == [
        "player p of amazing/email was put on the stop list by an operator",
        "player p of amazing/email was taken off the stop list by an operator",
    ]


def test_erasing_goes_step_by_step(world: World) -> None:
    """Each answer has the cursor for the next step and what this step did; only that player's messages go."""
    world.accept("uid-1", user="gone")
    kept = world.accept("uid-2", user="stays")
    cursor, removed = "0", 0
    while True:
        step = world.verb("erase", label="amazing", ext_user_id="gone", cursor=cursor).json
        removed += step["removed"]
        cursor = step["cursor"]
        if cursor == "0":
            break
    assert removed == 1
    assert world.ask(f"/messages/{kept.id}").status == 200


def test_export_has_all_that_is_stored_of_a_player(world: World) -> None:
    """Messages with timeline and statuses, content only of those that wait, the stop lists; nobody else's."""
    sent, waiting = world.sent("uid-1"), world.accept("uid-2")
    world.accept("uid-3", user="stays")
    world.verb("suppress", label="amazing", ext_user_id="player-1", channel="sms")
    told = world.verb("export", label="amazing", ext_user_id="player-1").json
    assert (told["cursor"], told["seen"]) == ("0", 3)
    out, inside = told["messages"]
    assert out.items() >= world.ask(f"/messages/{sent.id}").json.items()
    assert inside.items() >= world.ask(f"/messages/{waiting.id}").json.items()
    assert (out["route"], out["address_hash"], out["sent_at"]) == ("world", "hash", "2026-09-21T14:13:20.250Z")
    assert "content" not in out
    assert inside["content"] == {"from_number": "Amazing", "body": "hello"}
    assert inside["sent_at"] is None
    assert told["stop_list"] == {
        "email": None,
        "sms": {"player_until": "2026-09-22T14:13:20.250Z", "addresses": 0},
        "im": None,
    }
    assert world.verb("export", label="nobody", ext_user_id="player-1").status == 404


def left_behind(world: World) -> None:
    """A message of amazing's waits, and the file has amazing no more."""
    world.accept("uid-1", user="gone")
    world.admin.reload({"other": 60.0})


def test_a_message_of_a_label_that_was_taken_out_is_found_by_its_uid(world: World) -> None:
    """It waits for its label's return; its namesake of another label is named, as it would be with the label there."""
    left_behind(world)
    found = world.ask("/messages/uid-1").json
    assert (found["label"], found["uid"]) == ("amazing", "uid-1")
    other = world.accept("uid-1", label="other")
    found = world.ask("/messages/uid-1").json
    assert (found["ext_message_id"], [one["label"] for one in found["same_uid"]]) == (other.id, ["amazing"])


def test_the_players_of_a_label_that_was_taken_out_are_exported_and_erased(world: World) -> None:
    """All that is stored of one can be seen and removed, on the stop list, too; it holds for as long as is usual."""
    left_behind(world)
    order = {"label": "amazing", "ext_user_id": "gone"}
    assert world.verb("suppress", **order, channel="sms").json["suppressed"] == ["sms"]
    name = KEYS.user_hashes("amazing", "gone")[0]
    assert world.store.db.stop["amazing", SMS, name] == NOW + 365 * 86400.0
    told = world.verb("export", **order).json
    assert (len(told["messages"]), told["stop_list"]["sms"]["addresses"]) == (1, 0)
    assert [one["ext_user_id"] for one in world.verb("stops", label="amazing", channel="sms").json["stops"]] == ["gone"]
    assert world.verb("erase", **order).json["removed"] == 1
    assert world.verb("export", **order).json["messages"] == []
    assert world.verb("unsuppress", **order).json["unsuppressed"] == ["sms"]


def test_a_label_that_was_taken_out_is_paused_and_resumed(world: World) -> None:
    """So that its messages wait for a person when it comes back, and one that was paused before can be resumed."""
    left_behind(world)
    assert world.verb("pause", label="amazing", channel="sms").json["paused"] == ["sms"]
    assert world.run(world.store.paused()) == {("amazing", SMS)}
    assert world.verb("resume", label="amazing").status == 200
    assert not world.run(world.store.paused())


def test_a_label_that_has_nothing_but_a_stop_list_is_known(world: World) -> None:
    """A list that was imported before the first message is stored of players, too."""
    world.verb("suppress", label="amazing", ext_user_id="1001", channel="im")
    world.admin.reload({"other": 60.0})
    assert world.verb("unsuppress", label="amazing", ext_user_id="1001").json["unsuppressed"] == ["im"]
    assert world.verb("unsuppress", label="amazing", ext_user_id="1001").status == 404


@pytest.mark.parametrize("verb", ["suppress", "unsuppress", "erase", "export", "pause", "resume", "stops"])
def test_a_mistyped_label_is_told_which_it_looks_like(world: World, verb: str) -> None:
    """One of the configuration or one that was taken out of it; nothing is done."""
    left_behind(world)
    for wrong, right in (("othr", "other"), ("amzing", "amazing")):
        order = {"channel": "sms"} if verb == "stops" else {} if verb in ("pause", "resume") else {"ext_user_id": "x"}
        reply = world.verb(verb, label=wrong, **order)
        assert (reply.status, reply.json["error"]) == (404, f"there is no label '{wrong}' (did you mean {right}?)")
    assert not world.store.db.stop
    assert not world.run(world.store.paused())


@pytest.mark.parametrize("user", ["u\n1", "u\x85", "\u2028", " ", "u" * 999])
def test_an_id_that_no_request_can_have_is_not_put_on_the_stop_list(world: World, user: str) -> None:
    """It would stop nobody, and look as if it did; to look for it, or take it off, harms nothing."""
    row = {"channel": "sms", "ext_user_id": user}
    for reply in (
        world.verb("suppress", label="amazing", ext_user_id=user),
        world.verb("stops/import", label="amazing", rows=[{"channel": "sms", "ext_user_id": "fine"}, row]),
    ):
        assert reply.status == 400
        assert reply.json["error"].startswith("ext_user_id ")
    assert not world.store.db.stop
    for verb in ("unsuppress", "erase", "export"):
        assert world.verb(verb, label="amazing", ext_user_id=user).status == 200


def test_pause_and_resume(world: World) -> None:
    """The kill switch, for one channel or for both."""
    assert world.verb("pause", label="amazing").json["paused"] == ["email", "sms", "im"]
    assert world.run(world.store.paused()) == {("amazing", channel) for channel in (EMAIL, SMS, IM)}
    assert world.verb("resume", label="amazing", channel="email").json["resumed"] == ["email"]
    assert world.run(world.store.paused()) == {("amazing", SMS), ("amazing", IM)}


@pytest.mark.parametrize(
    ("name", "order", "status"),
    [
        ("pause", {"label": "nobody"}, 404),
        ("suppress", {"label": "amazing", "ext_user_id": ""}, 400),
        ("suppress", {"label": "amazing"}, 400),
        ("suppress", {"label": "amazing", "ext_user_id": "x", "channel": "fax"}, 400),
        ("pause", {"label": "amazing", "chanel": "sms"}, 400),
        ("erase", {"label": "amazing", "ext_user_id": "x", "cursor": "there"}, 400),
        ("dead-letters/retry", {"id": "nobody"}, 404),
        ("no-such-verb", {}, 404),
    ],
)
def test_wrong_orders_are_refused_in_words(world: World, name: str, order: dict[str, str], status: int) -> None:
    """A misspelt order does nothing and says what is wrong."""
    reply = world.verb(name, **order)
    assert reply.status == status
    assert reply.json["error"]
    assert not world.run(world.store.paused())


def test_an_order_that_is_not_utf_8_is_refused_in_words(world: World) -> None:
    """It is the asker's fault, and no bug of ours for the log."""
    reply = world.ask("/verbs/pause", b'{"label": "\xff"}', Content_Type="application/json")
    assert (reply.status, reply.json) == (400, {"error": "the body is not UTF-8"})


def test_a_verb_without_redis_is_503(world: World) -> None:
    """The asker reads whether it may have been done, and when to ask again."""
    world.store.down = True
    reply = world.verb("pause", label="amazing")
    assert reply.status == 503
    assert "no answer from its Redis: the fake is down" in reply.json["error"]
    assert "ask again once gatewayctl status says that Redis answers" in reply.json["error"]


def test_verbs_take_only_json(world: World) -> None:
    """A form on a foreign page can be sent without asking us first; JSON can not."""
    body = json.dumps({"label": "amazing"}).encode()
    reply = world.ask("/verbs/pause", body, Content_Type="text/plain")
    assert reply.status == 415
    assert not world.run(world.store.paused())


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


def test_a_bug_is_logged_and_not_shown(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The asker gets 500 and no traceback."""

    async def broken() -> Any:
        raise ZeroDivisionError("secret detail")

    world.store.paused = broken  # type: ignore[method-assign]
    reply = world.ask("/verbs/status")
    assert reply.status == 500
    assert b"secret" not in reply.body


def form(world: World, **fields: str) -> Reply:
    """The reply to the dashboard's own form."""
    return world.ask("/do", urlencode(fields).encode(), Content_Type="application/x-www-form-urlencoded")


def token_of(page: Reply) -> str:
    """The token hidden in a form."""
    match = re.search(rb'name="token" value="([^"]+)"', page.body)
    assert match is not None
    return match[1].decode()


def test_pausing_on_the_dashboard_asks_first(world: World) -> None:
    """The link changes nothing; the button of the page it leads to does, and goes back to the overview."""
    asked = world.ask("/confirm?verb=pause&label=amazing&channel=sms")
    assert b"Pause sms of amazing?" in asked.body
    assert not world.run(world.store.paused())
    done = form(world, verb="pause", label="amazing", channel="sms", token=token_of(asked))
    assert (done.status, done.headers["location"]) == (303, "/")
    assert world.run(world.store.paused()) == {("amazing", SMS)}
    assert b"paused" in world.ask("/").body
    form(world, verb="resume", label="amazing", channel="sms", token=token_of(asked))
    assert not world.run(world.store.paused())


def test_a_form_without_our_token_does_nothing(world: World) -> None:
    """Even from a browser that tells no origin."""
    for fields in ({}, {"token": "wrong"}, {"token": "ünï"}):
        reply = form(world, verb="pause", label="amazing", channel="sms", **fields)
        assert reply.status == 403
        assert b"not one of ours" in reply.body
    assert not world.run(world.store.paused())


def test_dead_letters_on_the_dashboard(world: World) -> None:
    """Listed, told again one by one or all at once, and dropped."""
    first, second, third = (world.dead(f"uid-{number}") for number in (1, 2, 3))
    assert first.id.encode() in world.ask("/dead-letters").body
    token = token_of(world.ask("/confirm?verb=retry-all"))
    assert form(world, verb="drop", id=first.id, token=token).status == 303
    assert form(world, verb="drop", id=first.id, token=token).status == 404
    assert form(world, verb="retry", id=second.id, token=token).status == 303
    assert form(world, verb="retry-all", token=token).status == 303
    assert world.run(world.store.dead_letters(10)) == []
    assert {job.message_id for job in world.run(world.store.lease_reports(10))} == {second.id, third.id}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/confirm?verb=explode", 404),
        ("/confirm?verb=pause&label=nobody&channel=sms", 404),
        ("/confirm?verb=pause&label=amazing&channel=fax", 400),
        ("/?span=1y", 400),
        ("/trace?id=nobody", 404),
    ],
)
def test_a_wrong_link_gets_a_page_that_says_so(world: World, path: str, status: int) -> None:
    """People read HTML, programs JSON."""
    reply = world.ask(path)
    assert reply.status == status
    assert reply.headers["content-type"].startswith("text/html")
    assert b"That did not work" in reply.body


@pytest.mark.parametrize("path", ["/", "/trace?id=uid-1", "/dead-letters", "/confirm?verb=retry-all"])
def test_pages_bear_no_inline_script_or_style(world: World, path: str) -> None:
    """The policy forbids them, and none is there that it would break."""
    world.accept()
    reply = world.ask(path)
    assert reply.status == 200
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(rb"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|https?://(?!www\.w3\.org)", reply.body)


def test_what_a_page_shows_is_escaped(world: World) -> None:
    """A uid is the caller's free text."""
    world.accept("<script>alert(1)</script>", user='"><img src=x>')
    body = world.ask("/trace?id=%3Cscript%3Ealert(1)%3C/script%3E").body
    assert b"<script>alert" not in body
    assert b"<img src=x" not in body
    assert b"&lt;script&gt;" in body


def test_the_overview_without_redis(world: World) -> None:
    """It is drawn, and says what is the matter."""
    world.store.down = True
    reply = world.ask("/")
    assert reply.status == 200
    assert b"Not ready" in reply.body
    assert b"the fake is down" in reply.body


@pytest.mark.parametrize("name", ["dashboard.css", "dashboard.js", "icon.svg"])
def test_assets_are_served_with_their_kind(world: World, name: str) -> None:
    """nosniff is on, so the kind must be right."""
    reply = world.ask(f"/static/{name}")
    assert reply.status == 200
    assert reply.headers["content-type"].split(";")[0] in ("text/css", "text/javascript", "image/svg+xml")
    assert reply.body
    assert world.ask("/static/../admin.py").status == 404
    assert world.ask("/static/nope").status == 404
    assert world.ask("/static/%64ashboard.css").status == 200


def test_samples_are_taken_and_kept_for_two_hours(world: World) -> None:
    """One each ten seconds, none while Redis is silent, the oldest forgotten; the reactor's delay is measured too."""
    watch = world.admin.watch
    watch.startService()
    world.accept()
    world.clock.pump([10.0] * 6)
    assert [sample.at - NOW for sample in watch.samples] == [0, 10, 20, 30, 40, 50, 60]
    world.store.down = True
    world.clock.pump([10.0] * 3)
    world.store.down = False
    world.clock.pump([10.0])
    assert [sample.at - NOW for sample in watch.samples][-2:] == [60, 100]
    world.clock.pump([10.0] * 800)
    assert len(watch.samples) == 721
    assert watch.watched() == 7200
    stopped: list[Any] = []
    watch.stopService().addCallback(stopped.append)
    assert stopped == [None]
    assert not world.clock.getDelayedCalls()
    assert world.metrics.registry.get_sample_value("gatewayd_reactor_delay_seconds_count")


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


def test_the_lists_name_what_went_wrong_and_what_waits(world: World) -> None:
    """Ids, label and reason, each a link to its trace; a refused request has no trace, and the page says why."""
    waiting = world.accept("uid-waits")
    world.run(world.store.settle_again(waiting, world.clock.seconds() + 60, "451 main says no", lease=""))
    world.recent.record(Decision("failed", "amazing", SMS, "id-1", "uid-f", "player-1", "the deadline passed"))
    world.recent.record(Decision("refused", "amazing", EMAIL, "", "uid-r", "player-2", "6 sender not allowed"))
    page = world.ask("/").body.decode()
    for words in ("uid-waits", "451 main says no", "uid-f", "the deadline passed", "uid-r", "error_code 6 sender"):
        assert words in page
    assert "player-" not in page
    assert f"/trace?id={waiting.id}" in page
    notice = world.ask("/trace?id=uid-r").body.decode()
    assert "A refused request never is" in notice
    assert "7 d" in notice


def test_a_trace_folds_its_tries_and_offers_the_next_one(world: World) -> None:
    """How often since when, the next try and the deadline; "Try now" makes it due, and says so in the log."""
    message, lease = world.accept(), ""
    for number in range(33):
        due = world.clock.seconds() + (number == 32) * 3600
        world.run(world.store.settle_again(message, due, f"451 no, {number}", lease=lease))
        lease = "".join(leased.lease for leased in world.run(world.store.lease_messages(SMS, 1)))
    page = world.ask(f"/trace?id={message.id}").body.decode()
    assert "33 times since" in page
    assert "next try in 60 min" in page
    assert "until its deadline at" in page
    assert "Try now" in page
    form = world.ask(f"/confirm?verb=try-now&id={message.id}").body.decode()
    token = re.findall(r'name="token" value="([^"]+)"', form)[0]
    body = urlencode({"token": token, "verb": "try-now", "id": message.id}).encode()
    reply = world.ask("/do", body, Content_Type="application/x-www-form-urlencoded")
    assert (reply.status, reply.headers["location"]) == (303, f"/trace?id={message.id}")
    (leased,) = world.run(world.store.lease_messages(SMS, 1))
    assert leased.message.id == message.id
    reply = world.ask("/do", body, Content_Type="application/x-www-form-urlencoded")
    assert reply.status == 409


def test_a_bidirectional_control_in_an_id_turns_nothing_round(world: World) -> None:
    """The page shows it as an escape; JSON for programs has it as it is."""
    message = world.accept("uid-\u202egpj")
    page = world.ask(f"/trace?id={message.id}").body.decode()
    assert "\u202e" not in page
    assert "uid-\\u202egpj" in page
    assert world.ask(f"/messages/{message.id}").json["uid"] == "uid-\u202egpj"

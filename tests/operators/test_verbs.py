"""The verbs of gatewayctl: dead letters, the stop list, erasing, exporting, pausing."""

import json
from functools import partial

import pytest
from twisted.logger import capturedLogs, formatEvent

from admin_world import EMAIL, IM, KEYS, NOW, SMS, World
from fakes import FakeStopList
from gatewayd.core.model import Channel, Decision
from gatewayd.core.status import Report
from gatewayd.operators import outcomes


@pytest.fixture
def world() -> World:
    """A fresh one."""
    return World()


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


def test_dead_letters_of_before_a_moment(world: World) -> None:
    """A limit counts from there: those of an outage are found below any number of later ones."""
    first = world.dead("uid-1")
    world.clock.advance(60)
    second = world.dead("uid-2")
    newest = world.ask("/verbs/dead-letters?limit=1").json["dead_letters"]
    assert [letter["ext_message_id"] for letter in newest] == [second.id]
    until = world.clock.seconds() - 1
    older = world.ask(f"/verbs/dead-letters?limit=1&until={until!r}").json["dead_letters"]
    assert [letter["ext_message_id"] for letter in older] == [first.id]
    assert world.ask("/verbs/dead-letters?until=-inf").json == {"dead_letters": []}
    assert len(world.ask("/verbs/dead-letters?until=1e308").json["dead_letters"]) == 2
    assert {world.ask(f"/verbs/dead-letters?until={wrong}").status for wrong in ("x", "nan", "")} == {400}


def test_a_player_goes_on_the_stop_list_and_off(world: World) -> None:
    """By a keyed hash, on both channels where none is named, for as long as the label says."""
    assert world.verb("suppress", label="amazing", ext_user_id="p").json["suppressed"] == ["email", "sms", "im"]
    name = KEYS.user_hashes("amazing", "p")[0]
    assert world.store.db.stop == {("amazing", channel, name): NOW + 86400.0 for channel in (EMAIL, SMS, IM)}
    assert world.verb("unsuppress", label="amazing", ext_user_id="p", channel="sms").json["unsuppressed"] == ["sms"]
    assert world.verb("unsuppress", label="amazing", ext_user_id="p").json["unsuppressed"] == ["email", "im"]
    assert world.verb("unsuppress", label="amazing", ext_user_id="p").json["unsuppressed"] == []


@pytest.mark.parametrize(
    ("channel", "name"), [(SMS, KEYS.number_hashes("+447700900123")[0]), (IM, KEYS.address_hashes("1001")[0])]
)
def test_a_number_that_was_stopped_by_itself_is_found_by_its_player(world: World, channel: Channel, name: str) -> None:
    """Nobody owns such a stop; whose number, or address of instant messages, it is says the directory."""
    world.run(FakeStopList(world.store).put("amazing", channel, name, 3600.0, of_address=True))
    told = world.verb("export", label="amazing", ext_user_id="01001").json["stop_list"]
    assert told[channel]["player_until"]
    assert told["email"] is None
    for cleared in ([channel], []):
        assert world.verb("unsuppress", label="amazing", ext_user_id="01001").json["unsuppressed"] == cleared


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


@pytest.mark.parametrize(("verb", "who"), [("pause", {}), ("suppress", {"ext_user_id": "1001"})])
@pytest.mark.parametrize(
    ("channel", "said"),
    [
        (
            Channel.IM,
            "But amazing has no im_via: what comes to /amazing/im is its SMS, and goes on. Say --channel sms.",
        ),
        (Channel.EMAIL, "But amazing has no way out for email in the configuration."),
    ],
)
def test_a_channel_by_which_nothing_goes_out_is_said_to_be_none(
    world: World, verb: str, who: dict[str, str], channel: Channel, said: str
) -> None:
    """The kill switch said that instant messages wait, and they went on as SMS; nothing is said of all channels."""
    world.idle = {("amazing", channel)}
    sentence = outcomes.switched if verb == "pause" else partial(outcomes.stop_list, "1001")
    answer = world.verb(verb, label="amazing", channel=channel, **who).json
    assert answer["without_way_out"] == [channel]
    assert sentence(answer).partition("\n")[2] == said
    for other in ({"channel": SMS}, {}):
        answer = world.verb(verb, label="amazing", **other, **who).json
        assert "without_way_out" not in answer
        assert "But" not in sentence(answer)


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


def test_a_stop_that_the_directory_could_not_spell_says_so(world: World) -> None:
    """It is put, and taken off, as it is written: for the player it may be another id."""
    world.players.down = True
    told = world.verb("suppress", label="amazing", ext_user_id="01001", channel="sms").json
    assert told == {"label": "amazing", "suppressed": ["sms"], "unchecked": "down"}
    assert world.verb("unsuppress", label="amazing", ext_user_id="1001").json["unchecked"] == "down"
    world.players.down = False
    assert "unchecked" not in world.verb("suppress", label="amazing", ext_user_id="01001").json
    assert "unchecked" not in world.verb("unsuppress", label="amazing", ext_user_id="nobody").json


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


def test_what_an_operator_does_with_messages_is_in_the_audit_log(world: World) -> None:
    """Who asks later why nothing went out, or why too much did, finds the deed and its time."""
    first, second = world.dead("uid-1"), world.dead("uid-2")
    whose = ("amazing", SMS)
    orders: list[tuple[str, dict[str, object], Decision]] = [
        ("pause", {"label": "amazing", "channel": "sms"}, Decision("paused", *whose, reason="by an operator")),
        ("resume", {"label": "amazing", "channel": "sms"}, Decision("resumed", *whose, reason="by an operator")),
        (
            "guard",
            {"label": "amazing", "seconds": 7200},
            Decision("guard lifted", "amazing", "", reason="for 2 h, by an operator"),
        ),
        (
            "guard",
            {"label": "amazing", "seconds": 0},
            Decision("guard lifted", "amazing", "", reason="no more, by an operator"),
        ),
        (
            "dead-letters/retry",
            {"id": first.id},
            Decision("dead letters retried", *whose, first.id, "uid-1", "player-1", "by an operator"),
        ),
        (
            "dead-letters/drop",
            {"id": second.id},
            Decision("dead letters dropped", *whose, second.id, "uid-2", "player-1", "by an operator"),
        ),
        (
            "replay",
            {"since": 0, "until": NOW},
            Decision(
                "statuses told again",
                "",
                "",
                reason="heard from the beginning to 2026-09-21T14:13:20.250Z, by an operator",
            ),
        ),
    ]
    for verb, order, decision in orders:
        world.decisions.clear()
        assert world.verb(verb, **order).status == 200, verb
        assert world.decisions == [decision]


@pytest.mark.parametrize(
    ("said", "by"),
    [
        ("alice", "operator alice"),
        ("CORP\\alice", "operator CORP_alice"),
        ("alice@corp.example", "operator alice_corp.example"),
        ("a" * 99, "operator " + "a" * 64),
        ("", "an operator"),
    ],
)
def test_whoever_gives_an_order_is_named(world: World, said: str, by: str) -> None:
    """As gatewayctl or a proxy with a log-in says it; as a name only, without what would make an address of it."""
    order = json.dumps({"label": "amazing", "channel": "sms"}).encode()
    with capturedLogs() as told:
        assert world.ask("/verbs/pause", order, Content_Type="application/json", X_Operator=said).status == 200
    assert world.decisions == [Decision("paused", "amazing", SMS, reason=f"by {by}")]
    assert formatEvent(told[-1]) == f"amazing/sms paused by {by}"


def test_an_export_is_in_the_audit_log(world: World) -> None:
    """That somebody had all of a player shown: once, and by the keyed hash, as of an erasure."""
    name = world.verb("export", label="amazing", ext_user_id="p").json["keyed_hash"]
    reason = f"by an operator, of whom the keyed hash is {name}"
    assert world.decisions == [Decision("player exported", "amazing", "", reason=reason)]


def test_a_pause_of_all_channels_is_a_line_of_each(world: World) -> None:
    """As the audit log has one channel a line; by the page's button, too."""
    world.verb("pause", label="amazing")
    assert [(one.what, one.channel) for one in world.decisions] == [("paused", channel) for channel in Channel]


@pytest.mark.parametrize("span", [{"since": -1, "until": 5}, {"since": 5, "until": 5}, {"since": 0, "until": 1e300}])
def test_a_span_that_is_none_is_refused(world: World, span: dict[str, float]) -> None:
    """Its moments go into the audit log: none is behind what a calendar has."""
    assert world.verb("replay", **span).status == 400
    assert world.decisions == []


def test_a_record_is_found_by_a_uid_as_it_is(world: World) -> None:
    """As a trace is: the caller may have blanks around it."""
    message = world.accept(" uid ")
    for path in ("/verbs/record?id=", "/messages/"):
        assert world.ask(f"{path}%20uid%20").json["ext_message_id"] == message.id

"""Providers' events over HTTP: proven, each counted once, durable before answered."""

import base64
import gzip
import hmac
import json
import time
import uuid
from pathlib import Path
from urllib.parse import urlencode

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from esp_posts import by_mandrill
from esp_requests import (
    ARN,
    EC_PUBLIC,
    basic,
    mailgun_signature,
    sendgrid_request,
    sns,
)
from gatewayd import config
from gatewayd.config import Secret
from gatewayd.core.status import Event
from gatewayd.core.tokens import Purpose
from gatewayd.evidence.esp.event import MOST_EVENTS
from gatewayd.evidence.esp_events import LARGEST, ONE_EVENT
from gatewayd.http.request import Request
from public_world import BAD, FORM, ID, KEYS, PATH, Reply, World, esp, leaving, token

OTHER = str(uuid.UUID(int=8, version=4))


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


def test_a_compressed_post_is_refused_aloud() -> None:
    """Read as it is it would say nothing, and be answered as if it had been taken."""
    world = World(smtp2go=esp(), mailjet=esp())
    body = gzip.compress(f"event=delivered&gw={token(ID)}".encode())
    with capturedLogs() as logs:
        reply = world.post("smtp2go", body, headers=FORM | {"Content-Encoding": "gzip"})
    assert (reply.status, world.took) == (400, [])
    assert ["its body is compressed" in (formatEvent(event) or "") for event in logs] == [True]
    assert world.post("mailjet", [mailjet()], headers={"Content-Encoding": "identity"}).status == 200


def test_a_providers_words_in_another_encoding_hide_no_event() -> None:
    """What the far server said stands in a batch as it came."""
    world = World(mailjet=esp())
    body = json.dumps([mailjet("bounce", comment="@@", hard_bounce=True), mailjet("sent", OTHER)]).encode()
    assert world.post("mailjet", body.replace(b"@@", b"550 f\xfcr uns kein Benutzer")).status == 200
    assert [fact.event for fact in world.took] == [Event.BOUNCED, Event.DELIVERED]


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


def test_what_a_provider_calls_an_event_is_not_kept() -> None:
    """Its name may hold an address, and may be as long as the post: Redis has neither for a week."""
    world = World(mailjet=esp())
    for message in ("jane@example.com", "jane@example.com", "+447700900123" + "x" * 100_000, "\ud83d"):
        assert world.post("mailjet", [mailjet("open", MessageID=message)]).status == 200
    assert len(world.took) == 3
    kept = world.claims.keys()
    assert len(kept) == 3
    assert all(len(key) < 50 for key in kept)
    assert not [key for key in kept if "jane" in key or "7700900123" in key]


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


@pytest.mark.parametrize("provider", ["ses", "ses by sender", "sendgrid", "mailgun"])
def test_an_event_without_our_header_is_known_by_the_mail(provider: str) -> None:
    """A relay without `provider`, or SES' notifications of an identity in place of a configuration set."""
    mail_id = f"<{KEYS.token(Purpose.MESSAGE_ID, ID)}@amazing.example>"
    world = World(
        ses=esp(topic_arns=(ARN,)),
        sendgrid=esp(public_key=Secret(EC_PUBLIC)),
        mailgun=esp(signing_key=Secret("key")),
    )
    headers: dict[str, str] = {}
    if provider.startswith("ses"):
        sender = f"b+{KEYS.token(Purpose.BOUNCE, ID)}@bounces.example"
        mail = {"source": sender} if provider == "ses by sender" else {"commonHeaders": {"messageId": mail_id}}
        posted: object = sns({"notificationType": "Delivery", "mail": mail | {"messageId": "0100"}})
    elif provider == "sendgrid":
        signed = sendgrid_request(json.dumps([{"event": "delivered", "smtp-id": mail_id}]).encode())
        posted, headers = signed.body, dict(signed.headers)
    else:
        data = {"event": "delivered", "message": {"headers": {"message-id": mail_id.strip("<>")}}}
        posted = {"signature": mailgun_signature(), "event-data": data}
    assert world.post(provider.partition(" ")[0], posted, headers).status == 200
    assert [(one.message_id, one.event) for one in world.took] == [(ID, Event.DELIVERED)]


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


@pytest.mark.parametrize(("provider", "status"), [("mailjet", 503), ("brevo", 429)])
def test_each_provider_is_asked_again_in_the_way_that_it_heeds(provider: str, status: int) -> None:
    """Brevo throws away what was answered with 5xx, and repeats it after 429; so it does under load."""
    world = World(mailjet=esp(), brevo=esp())
    world.broken = frozenset({ID})
    event = mailjet() if provider == "mailjet" else {"event": "delivered", "X-Mailin-custom": token()}
    reply = world.post(provider, [event])
    assert (reply.status, reply.headers["retry-after"], world.took) == (status, "10", [])
    request = Request()
    request.method, request.uri = b"POST", f"/esp/{provider}/{PATH}".encode()
    request.locate()
    assert world.public.busy(request).status == status
    world.broken = frozenset()
    assert world.post(provider, [event]).status == 200
    assert [fact.event for fact in world.took] == [Event.DELIVERED]


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


def test_with_the_store_gone_amid_a_large_batch_the_provider_comes_again() -> None:
    """What waits for its turn then fails at once, one behind the other; thousands of them are answered as one is."""
    world = World(mailjet=esp())
    ids = [str(uuid.UUID(int=number, version=4)) for number in range(MOST_EVENTS)]
    world.hold = held = Deferred()
    body = json.dumps([mailjet(message_id=one) for one in ids]).encode()
    transport = world.send("POST", f"/esp/mailjet/{PATH}", body)
    world.hold, world.store.down = None, True
    held.callback(None)
    assert Reply(transport.value()).status == 503
    world.store.down = False
    assert world.post("mailjet", body).status == 200
    assert {evidence.message_id for evidence in world.took} == set(ids)


def test_a_batch_costs_time_in_proportion_to_its_events() -> None:
    """Ten times as many take about ten times as long, and nobody else waits a second for their end."""

    def cost(events: int) -> float:
        best = 1e9
        for _ in range(3):
            world = World(mailjet=esp())
            posted = [mailjet("open", time=number) for number in range(events)]
            began = time.thread_time()
            assert world.post("mailjet", posted).status == 200
            best = min(best, time.thread_time() - began)
            assert len(world.took) == events
        return best

    few, many = cost(MOST_EVENTS // 10), cost(MOST_EVENTS)
    assert many < 30 * few, (few, many)


def test_a_thousand_opens_are_one_post_of_mandrills() -> None:
    """As many as it sends at once, in a form: each quotation mark is three octets."""
    world = World(mandrill=esp(signing_key=Secret("mandrill-key")))
    ids = [str(uuid.UUID(int=number, version=4)) for number in range(1000)]
    agent = {f"ua_{name}": "http://cdn.example/img/email-client-icons/chrome.png" for name in "abcdefghijkl"}
    events = [
        {"event": "send", "_id": one, "ts": 1, "user_agent_parsed": agent, "msg": {"metadata": {"gw": token(one)}}}
        for one in ids
    ]
    post = by_mandrill(events, url=f"https://go.example/esp/mandrill/{PATH}")
    assert ONE_EVENT < len(post.body) < LARGEST
    assert world.post("mandrill", post.body, headers=dict(post.headers)).status == 200
    assert {evidence.message_id for evidence in world.took} == set(ids)


@pytest.mark.parametrize(("provider", "most"), [("mailjet", LARGEST), ("postmark", ONE_EVENT)])
def test_a_body_over_the_limit_is_not_read(provider: str, most: int) -> None:
    """Who posts one event at a time needs less."""
    world = World(mailjet=esp(), postmark=esp())
    for size, status in ((most + 1, 413), (most, 400)):
        head = {"Content-Length": str(size)}
        transport = world.send("POST", f"/esp/{provider}/{PATH}", b"" if status == 413 else b"x" * size, head)
        assert Reply(transport.value()).status == status


def test_what_is_not_proven_is_refused_and_counted() -> None:
    """403, or 401 where a password was wanted; the log has only who claimed to be whom and what was missing."""
    world = World(mailjet=esp(username="user", password=Secret("hunter2")), mailgun=esp(signing_key=Secret("key")))
    with capturedLogs() as logs:
        for headers in (basic("user:wrong"), {}):
            reply = world.post("mailjet", [mailjet()], headers)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, 'Basic realm="events"')
        assert world.post("mailgun", {"signature": mailgun_signature("other"), "event-data": {}}).status == 403
    assert world.took == []
    assert world.meter.facts == [("mailjet", "forged", "ignored")] * 2 + [("mailgun", "forged", "ignored")]
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


def test_a_provider_of_which_every_post_is_refused_is_degraded() -> None:
    """Three in a row, until one is good, the file was read again, or none came for an hour."""
    tables = {"mailjet": esp(username="u", password=Secret("p")), "ses": esp(topic_arns=(ARN,))}
    world = World(**tables)

    def said() -> list[tuple[str, str, str]]:
        return [(one.kind, one.name, one.text) for one in world.public.degraded()]

    def refused(times: int) -> None:
        for _ in range(times):
            assert world.post("mailjet", [mailjet()], headers=basic("u:wrong")).status == 401

    refused(2)
    assert world.post("mailjet", [], headers=basic("u:p")).status == 200
    refused(2)
    assert said() == []
    refused(1)
    why = "esp.mailjet: its latest 3 posts were refused: wrong Basic credentials"
    assert said() == [("events", "esp.mailjet", f"{why}; what became of its messages nobody hears")]
    assert world.post("mailjet", [mailjet()], headers=basic("u:wrong"), secret="stranger").status == 404
    world.public.reload(tables, {})
    assert said() == []
    refused(3)
    world.clock.advance(3601)
    assert said() == []
    refused(3)
    assert world.post("mailjet", [mailjet()], headers=basic("u:p")).status == 200
    assert said() == []


def test_a_provider_none_of_whose_events_is_about_a_message_of_ours_is_degraded() -> None:
    """Our token does not come back: nothing becomes delivered. An account that others use, too, is none such.

    What comes while no mail of ours leaves is theirs.
    """
    world = World(mailjet=esp())

    def said() -> list[str]:
        return [one.text for one in world.public.degraded()]

    def strangers(count: int) -> None:
        world.post("mailjet", [mailjet(message_id="", time=number, CustomID="x") for number in range(count)])

    strangers(100)
    assert said() == []
    world.mails_out += 10
    strangers(19)
    assert said() == []
    strangers(1)
    (text,) = said()
    assert text.startswith("esp.mailjet: its latest 20 events name no message of ours: does a relay have its provider")
    world.post("mailjet", [mailjet()])
    assert said() == []
    strangers(100)
    assert said() == []
    world.clock.advance(86401)
    strangers(20)
    assert said() == []
    world.mails_out += 10
    strangers(20)
    assert len(said()) == 1

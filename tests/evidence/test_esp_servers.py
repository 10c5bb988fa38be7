"""KumoMTA, Postal, Brevo, Mandrill, SMTP2GO, Resend: their proofs, and every event read as their documentation says."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.core.status import Event
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.evidence.esp import brevo, kumomta, mandrill, postal, resend, smtp2go
from gatewayd.evidence.esp.event import EspEvent, EspRequest, Forged, Settings, Unreadable, first_token

NOW = 1_790_000_000.0
KEYS = Keys(b"k" * 32)
MESSAGE = "913456a5-c59b-4a33-ab16-e25625543500"
TOKEN = KEYS.token(Purpose.ESP, MESSAGE)
MAIL_ID = f"<{KEYS.token(Purpose.MESSAGE_ID, MESSAGE)}@amazing.example>"
BASIC = {"brevo": brevo, "smtp2go": smtp2go, "kumomta": kumomta}


def posted(data: object, headers: dict[str, str] | None = None, now: float = NOW, url: str = "") -> EspRequest:
    """A POST with `data` as its JSON body, or as it is where it is bytes."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return EspRequest(headers or {}, body, now, url=url)


# KumoMTA -----------------------------------------------------------------------------------------------------------


def record(kind: str, **changes: Any) -> dict[str, Any]:
    """A log record in the form of docs.kumomta.com/reference/log_record."""
    response = {
        "code": 250,
        "enhanced_code": {"class": 2, "subject": 0, "detail": 0},
        "content": "OK ids=8a5475ccbbc611eda12250ebf67f93bd",
        "command": ".",
    }
    return {
        "type": kind,
        "id": "1d98076abbbc11ed940250ebf67f93bd",
        "sender": "news@amazing.example",
        "recipient": "anna@players.example",
        "queue": "campaign:tenant@players.example",
        "site": "source2->mx.players.example",
        "size": 1047,
        "response": response,
        "peer_address": {"name": "mx.players.example.", "addr": "192.0.2.27"},
        "timestamp": 1678069691,
        "created": 1678069691,
        "num_attempts": 0,
        "bounce_classification": "Uncategorized",
        "feedback_report": None,
        "meta": {},
        "headers": {"X-Gw-Token": TOKEN},
    } | changes


def said(code: int, enhanced: str, content: str) -> dict[str, Any]:
    """The response of a record."""
    numbers = [int(number) for number in enhanced.split(".")]
    return {
        "code": code,
        "enhanced_code": dict(zip(("class", "subject", "detail"), numbers, strict=True)),
        "content": content,
    }


UNKNOWN = said(550, "5.1.1", "no such user anna@players.example")
FULL = said(552, "5.2.2", "mailbox full")
EXPIRED = said(551, "4.4.7", "Next delivery time would be at expiration")


@pytest.mark.parametrize(
    ("item", "event", "hard"),
    [
        (record("Reception"), None, False),
        (record("Delivery"), Event.DELIVERED, False),
        (record("Bounce", response=UNKNOWN), Event.FAILED, True),
        (record("Bounce", response=FULL), Event.FAILED, False),
        (record("Bounce", response={"code": 550, "content": "no"}), Event.FAILED, False),
        (
            record("Bounce", response={"code": 550, "content": "no"}, bounce_classification="InvalidRecipient"),
            Event.FAILED,
            True,
        ),
        (record("TransientFailure", response=said(451, "4.7.1", "greylisted")), None, False),
        (record("Expiration", response=EXPIRED), Event.FAILED, False),
        (record("AdminBounce", response=said(551, "5.7.1", "purged")), Event.FAILED, False),
        (record("OOB", response=UNKNOWN), Event.BOUNCED, True),
        (record("OOB", response=said(250, "2.0.0", "relayed")), None, False),
        (record("Feedback", feedback_report={"feedback_type": "abuse"}), Event.COMPLAINED, False),
        (record("Feedback", feedback_report={"feedback_type": "opt-out"}), Event.UNSUBSCRIBED, False),
        (record("Feedback", feedback_report={"feedback_type": "not-spam"}), None, False),
        (record("Feedback", feedback_report=None), Event.COMPLAINED, False),
        (record("Delay"), None, False),
        (record("a record of tomorrow"), None, False),
    ],
)
def test_kumomta_records(item: dict[str, Any], event: Event | None, hard: bool) -> None:
    """Each type of log record is read as KumoMTA's reference says."""
    (found,) = kumomta.read(posted(item), Settings())
    assert (found.event, found.hard, found.token) == (event, hard, TOKEN)
    assert "anna" not in found.detail


def test_kumomta_posts_one_record_or_many() -> None:
    """A batching log hook posts a list."""
    found = kumomta.read(posted([record("Delivery"), record("Bounce", response=UNKNOWN)]), Settings())
    assert [one.event for one in found] == [Event.DELIVERED, Event.FAILED]
    assert found[0].key != found[1].key


@pytest.mark.parametrize(
    "changes",
    [
        {"headers": {"x-gw-token": TOKEN}},
        {"headers": {}, "meta": {"gw": TOKEN}},
        {"headers": {"Subject": "Hello"}, "feedback_report": {"supplemental_trace": {"gw": TOKEN}}},
    ],
)
def test_kumomta_gives_our_token_back_where_its_operator_put_it(changes: dict[str, Any]) -> None:
    """Among the headers or the meta data of the log hook, or in the trace of a complaint."""
    (found,) = kumomta.read(posted(record("Feedback", **changes)), Settings())
    assert found.token == TOKEN


def test_kumomta_without_our_token_names_the_mail() -> None:
    """The Message-ID that the hook logs, and the envelope sender that every record has."""
    sender = f"b+{KEYS.token(Purpose.BOUNCE, MESSAGE)}@bounces.amazing.example"
    (found,) = kumomta.read(posted(record("Delivery", headers={"Message-Id": MAIL_ID}, sender=sender)), Settings())
    assert (found.token, found.mail_id, found.sender) == ("", MAIL_ID, sender)


# Postal ------------------------------------------------------------------------------------------------------------

RSA_KEY = rsa.generate_private_key(65537, 2048)
RSA_DER = base64.b64encode(RSA_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
RSA_PEM = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def by_postal(name: str, payload: dict[str, Any], *, key: Any = RSA_KEY, digest: Any = SHA256) -> EspRequest:
    """A webhook as Postal signs it."""
    data = {
        "event": name,
        "timestamp": 1790000000.5,
        "payload": payload,
        "uuid": "f3b3f8d4-0000-4000-8000-000000000001",
    }
    body = json.dumps(data).encode()
    signature = base64.b64encode(key.sign(body, PKCS1v15(), digest())).decode()
    return EspRequest({"x-postal-signature-256": signature}, body, NOW)


def of_mail(**changes: Any) -> dict[str, Any]:
    """The message in Postal's payloads."""
    return {
        "id": 12345,
        "token": "abcdef123",
        "direction": "outgoing",
        "message_id": MAIL_ID.strip("<>"),
        "to": "anna@players.example",
        "from": "news@amazing.example",
        "subject": "Welcome",
        "timestamp": 1790000000.1,
        "spam_status": "NotChecked",
        "tag": TOKEN,
    } | changes


def status(status: str, details: str = "", output: str = "", **message: Any) -> dict[str, Any]:
    """The payload of a message status event."""
    return {
        "status": status,
        "details": details,
        "output": output,
        "time": 0.22,
        "sent_with_ssl": True,
        "timestamp": 1790000000.3,
        "message": of_mail(**message),
    }


@pytest.mark.parametrize(
    ("name", "payload", "event", "hard"),
    [
        ("MessageSent", status("Sent", "Message sent by SMTP", "250 2.0.0 OK"), Event.DELIVERED, False),
        ("MessageDelayed", status("SoftFail", "Temporary SMTP delivery error", "451 4.7.1 later"), None, False),
        ("MessageHeld", status("Held", "Credential is configured to hold all messages"), None, False),
        (
            "MessageHeld",
            status("Held", "Recipient (anna@players.example) is on the suppression list (reason: too many hard fails)"),
            Event.REJECTED,
            False,
        ),
        (
            "MessageDeliveryFailed",
            status("HardFail", "Permanent SMTP delivery error", "550 5.1.1 no anna@players.example"),
            Event.FAILED,
            True,
        ),
        ("MessageDeliveryFailed", status("HardFail", "Too many attempts", "451 4.7.1 later"), Event.FAILED, False),
        (
            "MessageDeliveryFailed",
            status("HardFail", "Recipient (anna@players.example) is on the suppression list"),
            Event.REJECTED,
            False,
        ),
        ("MessageBounced", {"original_message": of_mail(), "bounce": of_mail(tag=None)}, Event.BOUNCED, False),
        ("MessageLoaded", {"message": of_mail(), "ip_address": "192.0.2.1", "user_agent": "x"}, Event.OPENED, False),
        ("MessageLinkClicked", {"message": of_mail(), "url": "https://a.example/"}, Event.OPENED, False),
        ("MessageSent", status("Sent", direction="incoming"), None, False),
        ("DomainDNSError", {"domain": "amazing.example"}, None, False),
        ("MessageOfTomorrow", status("Sent"), None, False),
    ],
)
def test_postal_events(name: str, payload: dict[str, Any], event: Event | None, hard: bool) -> None:
    """Each event that Postal sends, by its name and its payload."""
    (found,) = postal.read(by_postal(name, payload), Settings(public_key=RSA_PEM))
    assert (found.event, found.hard) == (event, hard)
    assert found.token == ("" if name == "DomainDNSError" else TOKEN)
    assert "anna" not in found.detail


def test_postal_bounces_name_the_message_that_came_back() -> None:
    """Not the mail that brought the bounce."""
    payload = {"original_message": of_mail(), "bounce": of_mail(message_id="other@mx.example", tag="x")}
    (found,) = postal.read(by_postal("MessageBounced", payload), Settings(public_key=RSA_PEM))
    assert (found.token, found.mail_id) == (TOKEN, MAIL_ID.strip("<>"))


@pytest.mark.parametrize("key", [RSA_PEM, RSA_DER, f"v=DKIM1; t=s; h=sha256; p={RSA_DER};"])
def test_postals_key_may_be_given_as_postal_shows_it(key: str) -> None:
    """PEM, base64, or the DKIM record of the installation."""
    assert len(postal.read(by_postal("MessageSent", status("Sent")), Settings(public_key=key))) == 1


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (posted({"event": "MessageSent"}), RSA_PEM),
        (posted({"event": "MessageSent"}, {"x-postal-signature-256": "AAAA"}), RSA_PEM),
        (posted({"event": "MessageSent"}, {"x-postal-signature-256": "not base64"}), RSA_PEM),
        (posted({"event": "MessageSent"}, {"x-postal-signature-256": "ä"}), RSA_PEM),
        (by_postal("MessageSent", status("Sent"), digest=SHA1), RSA_PEM),
        (by_postal("MessageSent", status("Sent"), key=rsa.generate_private_key(65537, 2048)), RSA_PEM),
        (by_postal("MessageSent", status("Sent")), ""),
        (by_postal("MessageSent", status("Sent")), "not a key"),
    ],
)
def test_postal_refuses_what_its_key_did_not_sign(asked: EspRequest, key: str) -> None:
    """No signature, another's, one of SHA-1, or no usable key."""
    with pytest.raises(Forged):
        postal.read(asked, Settings(public_key=key))


# Brevo -------------------------------------------------------------------------------------------------------------


def by_brevo(name: str, **changes: Any) -> dict[str, Any]:
    """An event as Brevo posts it."""
    return {
        "event": name,
        "email": "anna@players.example",
        "id": 26224,
        "date": "2026-10-06 12:34:56",
        "ts": 1790000000,
        "message-id": MAIL_ID,
        "ts_event": 1790000000,
        "subject": "Welcome",
        "X-Mailin-custom": TOKEN,
        "sending_ip": "192.0.2.1",
        "ts_epoch": 1790000000123,
    } | changes


@pytest.mark.parametrize(
    ("name", "changes", "event", "hard", "machine"),
    [
        ("request", {}, Event.SENT, False, False),
        ("delivered", {}, Event.DELIVERED, False, False),
        ("deferred", {"reason": "451 4.7.1 later"}, None, False, False),
        ("soft_bounce", {"reason": "452 4.2.2 over quota"}, Event.FAILED, False, False),
        ("hard_bounce", {"reason": "550 5.1.1 no anna@players.example"}, Event.BOUNCED, True, False),
        ("hard_bounce", {"reason": "554 5.7.1 spam"}, Event.BOUNCED, False, False),
        ("hard_bounce", {}, Event.BOUNCED, True, False),
        ("invalid_email", {}, Event.REJECTED, True, False),
        ("blocked", {"reason": "blocked : due to blacklist user"}, Event.REJECTED, False, False),
        ("error", {}, Event.FAILED, False, False),
        ("spam", {}, Event.COMPLAINED, False, False),
        ("unsubscribed", {}, Event.UNSUBSCRIBED, False, False),
        ("opened", {}, Event.OPENED, False, False),
        ("unique_opened", {}, Event.OPENED, False, False),
        ("proxy_open", {}, Event.OPENED, False, True),
        ("unique_proxy_open", {}, Event.OPENED, False, True),
        ("click", {"link": "https://a.example/"}, Event.OPENED, False, False),
        ("list_addition", {}, None, False, False),
        ("word of tomorrow", {}, None, False, False),
    ],
)
def test_brevo_events(name: str, changes: dict[str, Any], event: Event | None, hard: bool, machine: bool) -> None:
    """Each event of Brevo's transactional webhooks."""
    (found,) = brevo.read(posted(by_brevo(name, **changes)), Settings())
    assert (found.event, found.hard, found.machine, found.token) == (event, hard, machine, TOKEN)
    assert found.mail_id == MAIL_ID
    assert "anna" not in found.detail


def test_brevo_batches_are_lists() -> None:
    """Batched webhooks; two events of one message have keys of their own."""
    found = brevo.read(posted([by_brevo("delivered"), by_brevo("opened")]), Settings())
    assert len({one.key for one in found}) == 2


# Mandrill ----------------------------------------------------------------------------------------------------------

URL = "https://go.amazing.example/esp/mandrill/0123456789abcdef"


def by_mandrill(events: object, *, key: str = "mandrill-key", url: str = URL, **fields: str) -> EspRequest:
    """A webhook as Mandrill signs it, posted to URL."""
    pairs = {"mandrill_events": json.dumps(events)} | fields
    signed = url + "".join(name + pairs[name] for name in sorted(pairs))
    signature = base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    headers = {"content-type": "application/x-www-form-urlencoded", "x-mandrill-signature": signature}
    return EspRequest(headers, urlencode(pairs).encode(), NOW, url=URL)


def of_mandrill(name: str, **message: Any) -> dict[str, Any]:
    """An event as it stands in mandrill_events."""
    return {
        "event": name,
        "_id": "exampleaaaaaaaaaaaaaaaaaaaaaaaaa",
        "ts": 1790000000,
        "msg": {
            "ts": 1790000000,
            "subject": "Welcome",
            "email": "anna@players.example",
            "sender": "news@amazing.example",
            "tags": [],
            "state": "sent",
            "metadata": {"gw": TOKEN},
            "_id": "exampleaaaaaaaaaaaaaaaaaaaaaaaaa",
        }
        | message,
    }


@pytest.mark.parametrize(
    ("item", "event", "hard"),
    [
        (of_mandrill("send"), Event.SENT, False),
        (of_mandrill("delivered"), Event.DELIVERED, False),
        (of_mandrill("deferral", diag="451 4.7.1 later"), None, False),
        (
            of_mandrill("hard_bounce", bounce_description="bad_mailbox", diag="smtp;550 5.1.1 no anna@players.example"),
            Event.BOUNCED,
            True,
        ),
        (of_mandrill("hard_bounce", bounce_description="invalid_domain"), Event.BOUNCED, True),
        (of_mandrill("hard_bounce", bounce_description="spam", diag="smtp;554 5.7.1 spam"), Event.BOUNCED, False),
        (of_mandrill("soft_bounce", bounce_description="mailbox_full", diag="552 5.2.2"), Event.FAILED, False),
        (of_mandrill("reject", state="rejected"), Event.REJECTED, False),
        (of_mandrill("open"), Event.OPENED, False),
        (of_mandrill("click"), Event.OPENED, False),
        (of_mandrill("spam"), Event.COMPLAINED, False),
        (of_mandrill("unsub"), Event.UNSUBSCRIBED, False),
        (of_mandrill("word of tomorrow"), None, False),
    ],
)
def test_mandrill_events(item: dict[str, Any], event: Event | None, hard: bool) -> None:
    """Each message event of Mandrill's webhooks."""
    (found,) = mandrill.read(by_mandrill([item]), Settings(signing_key="mandrill-key"))
    assert (found.event, found.hard, found.token) == (event, hard, TOKEN)
    assert "anna" not in found.detail


def test_mandrill_signs_all_fields_in_their_order() -> None:
    """A field more is signed too, wherever it stands in the form."""
    asked = by_mandrill([of_mandrill("send")], zebra="2", another="1")
    assert len(mandrill.read(asked, Settings(signing_key="mandrill-key"))) == 1


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (by_mandrill([of_mandrill("spam")], key="another"), "mandrill-key"),
        (by_mandrill([of_mandrill("spam")], url="https://go.amazing.example/esp/mandrill/other"), "mandrill-key"),
        (by_mandrill([of_mandrill("spam")], key="test-webhook"), "mandrill-key"),
        (by_mandrill([of_mandrill("spam")], key=""), ""),
        (EspRequest({"content-type": "application/x-www-form-urlencoded"}, b"mandrill_events=[]", NOW), "mandrill-key"),
    ],
)
def test_mandrill_refuses_what_its_key_did_not_sign(asked: EspRequest, key: str) -> None:
    """Another key, another URL, the test key under real events, no key, no signature."""
    with pytest.raises(Forged):
        mandrill.read(asked, Settings(signing_key=key))


def test_mandrill_tries_a_url_before_it_has_a_key() -> None:
    """An empty batch under the key that all Mandrill users know says nothing, and is answered."""
    assert mandrill.read(by_mandrill([], key="test-webhook"), Settings(signing_key="mandrill-key")) == ()


# SMTP2GO -----------------------------------------------------------------------------------------------------------


def by_smtp2go(name: str, **changes: Any) -> dict[str, Any]:
    """An event with SMTP2GO's documented fields."""
    return {
        "event": name,
        "time": "2026-10-06 12:34:56",
        "sendtime": "2026-10-06 12:34:50",
        "sender": "news@amazing.example",
        "rcpt": "anna@players.example",
        "email_id": "1u0SwL-B9zBpi9ffUq-JAB2",
        "id": "webhook-event-id",
        "message-id": MAIL_ID,
        "x-gw-token": TOKEN,
    } | changes


@pytest.mark.parametrize(
    ("item", "event", "hard"),
    [
        (by_smtp2go("processed"), Event.SENT, False),
        (by_smtp2go("delivered", message="250 2.0.0 OK"), Event.DELIVERED, False),
        (by_smtp2go("bounce", bounce="hard", message="550 5.1.1 no anna@players.example"), Event.BOUNCED, True),
        (by_smtp2go("bounce", bounce="hard", message="550 Rejected"), Event.BOUNCED, True),
        (by_smtp2go("bounce", bounce="soft", context="452 4.2.2 full"), Event.FAILED, False),
        (by_smtp2go("reject", message="recipient is suppressed"), Event.REJECTED, False),
        (by_smtp2go("open"), Event.OPENED, False),
        (by_smtp2go("click", context="https://a.example/anna"), Event.OPENED, False),
        (by_smtp2go("spam"), Event.COMPLAINED, False),
        (by_smtp2go("unsubscribe"), Event.UNSUBSCRIBED, False),
        (by_smtp2go("resubscribe"), None, False),
        (by_smtp2go("word of tomorrow"), None, False),
    ],
)
@pytest.mark.parametrize("as_form", [False, True])
def test_smtp2go_events(item: dict[str, Any], event: Event | None, hard: bool, as_form: bool) -> None:
    """Each event of SMTP2GO's webhooks, as JSON or as a form."""
    headers = {"content-type": "application/x-www-form-urlencoded" if as_form else "application/json"}
    (found,) = smtp2go.read(posted(urlencode(item).encode() if as_form else item, headers), Settings())
    assert (found.event, found.hard, found.token, found.mail_id) == (event, hard, TOKEN, MAIL_ID)
    assert "anna" not in found.detail


# Resend ------------------------------------------------------------------------------------------------------------

SECRET = "whsec_" + base64.b64encode(b"resend secret of 24 byte").decode()


def by_resend(
    data: object, *, stamp: str = str(int(NOW)), secret: bytes = b"resend secret of 24 byte", name: str = "svix"
) -> EspRequest:
    """A webhook as Svix signs it."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    digest = hmac.new(secret, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,b2xk v1,{base64.b64encode(digest).decode()}"
    headers = {f"{name}-id": "msg_1", f"{name}-timestamp": stamp, f"{name}-signature": signature}
    return EspRequest(headers, body, NOW)


def of_resend(name: str, **data: Any) -> dict[str, Any]:
    """An event as Resend posts it."""
    return {
        "type": name,
        "created_at": "2026-10-06T12:34:56.774981Z",
        "data": {
            "created_at": "2026-10-06T12:34:50.774981Z",
            "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
            "from": "News <news@amazing.example>",
            "to": ["anna@players.example"],
            "subject": "Welcome",
            "headers": [{"name": "X-Gw-Token", "value": TOKEN}, {"name": "Message-ID", "value": MAIL_ID}],
        }
        | data,
    }


def bounce(kind: str, group: str, message: str) -> dict[str, Any]:
    """What Resend says of a bounce."""
    return {"bounce": {"type": kind, "subType": group, "message": message}}


@pytest.mark.parametrize(
    ("item", "event", "hard"),
    [
        (of_resend("email.sent"), Event.SENT, False),
        (of_resend("email.delivered"), Event.DELIVERED, False),
        (of_resend("email.delivery_delayed"), None, False),
        (of_resend("email.bounced", **bounce("Permanent", "General", "550 5.1.1 no anna@players.example")), "b", True),
        (of_resend("email.bounced", **bounce("Permanent", "NoEmail", "")), "b", True),
        (of_resend("email.bounced", **bounce("Permanent", "General", "554 5.7.1 policy")), "b", False),
        (of_resend("email.bounced", **bounce("Permanent", "Suppressed", "")), Event.REJECTED, False),
        (of_resend("email.bounced", **bounce("Transient", "MailboxFull", "")), Event.FAILED, False),
        (of_resend("email.bounced"), "b", False),
        (of_resend("email.failed", failed={"reason": "reached_daily_quota"}), Event.FAILED, False),
        (of_resend("email.suppressed"), Event.REJECTED, False),
        (of_resend("email.complained"), Event.COMPLAINED, False),
        (of_resend("email.opened"), Event.OPENED, False),
        (of_resend("email.clicked", click={"link": "https://a.example/", "userAgent": "x"}), Event.OPENED, False),
        (of_resend("email.scheduled"), None, False),
        (of_resend("contact.created"), None, False),
    ],
)
def test_resend_events(item: dict[str, Any], event: Event | str | None, hard: bool) -> None:
    """Each event of Resend's webhooks."""
    (found,) = resend.read(by_resend(item), Settings(signing_key=SECRET))
    assert (found.event, found.hard) == (Event.BOUNCED if event == "b" else event, hard)
    assert (found.token, found.mail_id, found.key) == (TOKEN, MAIL_ID, "msg_1")
    assert "anna" not in found.detail


def test_resend_repeats_have_the_same_key() -> None:
    """Svix signs a repeat with its own time; the event's id stays."""
    first = resend.read(by_resend(of_resend("email.opened")), Settings(signing_key=SECRET))
    again = resend.read(by_resend(of_resend("email.opened"), stamp=str(int(NOW) - 60)), Settings(signing_key=SECRET))
    assert first[0].key == again[0].key


def test_the_standard_names_of_the_headers_count_too() -> None:
    """Svix also sends its headers as webhook-id, webhook-timestamp and webhook-signature."""
    assert len(resend.read(by_resend(of_resend("email.sent"), name="webhook"), Settings(signing_key=SECRET))) == 1


@pytest.mark.parametrize("aside", [-300, 300])
def test_svix_allows_five_minutes_both_ways(aside: int) -> None:
    """The clocks of two hosts."""
    asked = by_resend(of_resend("email.sent"), stamp=str(int(NOW) + aside))
    assert len(resend.read(asked, Settings(signing_key=SECRET))) == 1


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        (by_resend(of_resend("email.sent"), secret=b"another"), SECRET),
        (by_resend(of_resend("email.sent"), stamp=str(int(NOW) - 301)), SECRET),
        (by_resend(of_resend("email.sent"), stamp=str(int(NOW) + 301)), SECRET),
        (by_resend(of_resend("email.sent"), stamp="1e9"), SECRET),
        (by_resend(of_resend("email.sent"), stamp="nan"), SECRET),
        (posted(of_resend("email.sent")), SECRET),
        (by_resend(of_resend("email.sent")), ""),
        (by_resend(of_resend("email.sent")), "whsec_not base64"),
    ],
)
def test_resend_refuses_what_its_key_did_not_sign(asked: EspRequest, key: str) -> None:
    """Another secret, an old or future time, a time in another spelling, no signature, no usable key."""
    with pytest.raises(Forged):
        resend.read(asked, Settings(signing_key=key))


# All of them -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", BASIC.values(), ids=BASIC)
def test_basic_credentials_are_needed_where_they_are_configured(module: Any) -> None:
    """Those that sign nothing."""
    settings = Settings(username="gateway", password="open sesame")
    right = base64.b64encode(b"gateway:open sesame").decode()
    assert module.read(posted([], {"authorization": f"Basic {right}"}), settings) == ()
    with pytest.raises(Forged):
        module.read(posted([]), settings)


@pytest.mark.parametrize("module", BASIC.values(), ids=BASIC)
def test_a_megabyte_of_nothing_is_refused_unread(module: Any) -> None:
    """More events than any provider sends at once: each would be looked at, and nobody else answered meanwhile."""
    with pytest.raises(Unreadable):
        module.read(posted(b"[" + b"{}," * 300_000 + b"{}]"), Settings())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60) | st.just(TOKEN),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ("type", "event", "payload", "message", "original_message", "data", "headers", "meta", "bounce", "msg")
            )
            | st.sampled_from(("metadata", "tags", "response", "enhanced_code", "feedback_report", "tag", "_id", "ts"))
            | st.text(max_size=10),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_was_proven_is_read_or_refused(data: object) -> None:
    """No form of a body raises anything but Unreadable."""
    requests = [
        (kumomta, posted(data), Settings()),
        (brevo, posted(data), Settings()),
        (smtp2go, posted(data), Settings()),
        (mandrill, by_mandrill(data), Settings(signing_key="mandrill-key")),
        (resend, by_resend(data), Settings(signing_key=SECRET)),
    ]
    for module, request, settings in requests:
        try:
            found: tuple[EspEvent, ...] = module.read(request, settings)
        except Unreadable:
            continue
        assert all(isinstance(one, EspEvent) for one in found)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([TOKEN], TOKEN),
        ([f'{{"gw":"{TOKEN}"}}'], TOKEN),
        ([f"a:{TOKEN}|b"], TOKEN),
        ([None, 5, "no", TOKEN], TOKEN),
        ([TOKEN + "a"], ""),
        ([MAIL_ID, TOKEN], TOKEN),
        (["x" * 5000 + TOKEN], ""),
        ([], ""),
    ],
)
def test_a_token_is_known_by_its_form(values: list[object], found: str) -> None:
    """47 digits, alone or in the provider's own form around them."""
    assert first_token(values) == found

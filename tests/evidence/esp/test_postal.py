"""Postal's webhooks, signed by the installation's key."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from esp_posts import MAIL_ID, NOW, TOKEN, posted
from gatewayd.core.status import Event
from gatewayd.evidence.esp import postal
from gatewayd.evidence.esp.event import EspRequest, Forged, Settings

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

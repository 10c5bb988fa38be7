"""SendGrid's events: signed by its key, read one by one."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from esp_requests import (
    EC_KEY,
    EC_PUBLIC,
    NOW,
    SIGNATURE,
    STAMP,
    request,
    sendgrid_request,
)
from gatewayd.core.status import Event
from gatewayd.evidence.esp import sendgrid
from gatewayd.evidence.esp.event import (
    EspEvent,
    EspRequest,
    Forged,
    Settings,
)


def sendgrid_event(**fields: object) -> EspEvent:
    """The one event of a signed request."""
    body = json.dumps([{"gw": "TOKEN", "sg_event_id": "E1", **fields}]).encode()
    (event,) = sendgrid.read(sendgrid_request(body), Settings(public_key=EC_PUBLIC))
    return event


def test_sendgrid_takes_what_its_key_signed() -> None:
    """The key may be given as SendGrid shows it, or as PEM."""
    pem = EC_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for key in (EC_PUBLIC, pem):
        (event,) = sendgrid.read(sendgrid_request(b'[{"event":"delivered","gw":"T"}]'), Settings(public_key=key))
        assert (event.token, event.event) == ("T", Event.DELIVERED)


@pytest.mark.parametrize(
    "asked",
    [
        request(b"[]"),
        request(b"[]", {SIGNATURE: "?", STAMP: str(int(NOW))}),
        request(b"[]", {SIGNATURE: "AAAA", STAMP: str(int(NOW))}),
        sendgrid_request(b'[{"event":"delivered"}]', signed=b'[{"event":"bounce"}]'),
        sendgrid_request(b"[ ]", signed=b"[]"),
        sendgrid_request(b"[]", now=NOW + 26 * 3600),
        sendgrid_request(b"[]", now=NOW - 2 * 3600),
        sendgrid_request(b"[]", stamp="nan"),
    ],
    ids=["unsigned", "no base64", "no signature", "other body", "other bytes", "too old", "from the future", "no time"],
)
def test_sendgrid_refuses_what_its_key_did_not_sign(asked: EspRequest) -> None:
    """Any other body, time or signature is forged."""
    with pytest.raises(Forged):
        sendgrid.read(asked, Settings(public_key=EC_PUBLIC))


@pytest.mark.parametrize("key", ["", "no key", base64.b64encode(b"no key").decode()])
def test_sendgrid_without_a_usable_key_takes_nothing(key: str) -> None:
    """A missing or unreadable public_key fails closed."""
    with pytest.raises(Forged):
        sendgrid.read(sendgrid_request(b"[]"), Settings(public_key=key))


def test_sendgrid_repeats_within_a_day_are_taken() -> None:
    """A retry keeps its first time: 24 hours later it still counts."""
    asked = sendgrid_request(b'[{"event":"open"}]', now=NOW + 24 * 3600)
    assert sendgrid.read(asked, Settings(public_key=EC_PUBLIC))


@pytest.mark.parametrize(
    ("fields", "event", "hard"),
    [
        ({"event": "processed"}, Event.SENT, False),
        ({"event": "deferred"}, None, False),
        ({"event": "bounce", "type": "bounce", "status": "5.1.1"}, Event.BOUNCED, True),
        ({"event": "bounce", "type": "bounce", "status": "5.7.26"}, Event.BOUNCED, False),
        ({"event": "bounce", "type": "bounce", "bounce_classification": "Invalid Address"}, Event.BOUNCED, True),
        ({"event": "bounce", "type": "bounce"}, Event.BOUNCED, False),
        ({"event": "bounce", "type": "blocked", "status": "5.1.1"}, Event.FAILED, False),
        ({"event": "bounce", "status": "4.4.7"}, Event.FAILED, False),
        ({"event": "dropped", "reason": "Bounced Address"}, Event.REJECTED, False),
        ({"event": "group_unsubscribe"}, Event.UNSUBSCRIBED, False),
        ({"event": "group_resubscribe"}, None, False),
        ({"event": "spamreport"}, Event.COMPLAINED, False),
        ({"event": "a new word"}, None, False),
    ],
)
def test_sendgrid_events(fields: dict[str, object], event: Event | None, hard: bool) -> None:
    """SendGrid's words, and which of its bounces fault the address."""
    found = sendgrid_event(**fields)
    assert (found.token, found.key, found.event, found.hard) == ("TOKEN", "E1", event, hard)


def test_sendgrid_machine_opens_are_marked() -> None:
    """SendGrid says itself that an open was Apple's."""
    assert sendgrid_event(event="open", sg_machine_open=True).machine
    assert not sendgrid_event(event="open", sg_machine_open=False, useragent="Mozilla/5.0 (iPhone)").machine

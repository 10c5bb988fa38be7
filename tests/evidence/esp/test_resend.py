"""Resend's events, signed as Svix does."""

from typing import Any

import pytest

from esp_posts import MAIL_ID, NOW, SECRET, TOKEN, bounce, by_resend, posted
from gatewayd.core.status import Event
from gatewayd.evidence.esp import resend
from gatewayd.evidence.esp.event import EspRequest, Forged, Settings


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

"""Brevo's events, one or a batch."""

from typing import Any

import pytest

from esp_posts import MAIL_ID, TOKEN, posted
from gatewayd.core.status import Event
from gatewayd.evidence.esp import brevo
from gatewayd.evidence.esp.event import Settings


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
        ("delivered", {"subject": "cut \ud83d"}, Event.DELIVERED, False, False),
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

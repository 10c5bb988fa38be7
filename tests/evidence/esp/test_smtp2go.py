"""SMTP2GO's events, as JSON and as a form."""

from typing import Any
from urllib.parse import urlencode

import pytest

from esp_posts import MAIL_ID, TOKEN, posted
from gatewayd.core.status import Event
from gatewayd.evidence.esp import smtp2go
from gatewayd.evidence.esp.event import Settings


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

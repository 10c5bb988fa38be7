"""KumoMTA's log records, as its log hook posts them."""

from typing import Any

import pytest

from esp_posts import KEYS, MAIL_ID, MESSAGE, TOKEN, posted
from gatewayd.core.status import Event
from gatewayd.core.tokens import Purpose
from gatewayd.evidence.esp import kumomta
from gatewayd.evidence.esp.event import Settings


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

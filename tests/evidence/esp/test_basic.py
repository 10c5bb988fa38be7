"""Postmark, Mailjet, SparkPost: proven by Basic credentials."""

from typing import Any

import pytest

from esp_requests import (
    BASIC,
    basic,
    request,
)
from gatewayd.core.status import Event
from gatewayd.evidence.esp import mailjet, postmark, sparkpost
from gatewayd.evidence.esp.event import (
    Forged,
    Settings,
)


@pytest.mark.parametrize("module", BASIC.values(), ids=BASIC)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("user:wrong"),
        basic("user"),
        basic(""),
        {"authorization": "Basic ?"},
        {"authorization": "Bearer user:pässword"},
    ],
)
def test_basic_credentials_are_needed_where_they_are_configured(module: Any, headers: dict[str, str]) -> None:
    """Anything but the configured pair is forged; the pair is taken."""
    settings = Settings(username="user", password="pässword")
    with pytest.raises(Forged):
        module.read(request([], headers), settings)
    assert module.read(request([], basic("user:pässword")), settings) == ()


@pytest.mark.parametrize(
    ("data", "event", "hard"),
    [
        ({"RecordType": "Delivery"}, Event.DELIVERED, False),
        ({"RecordType": "Bounce", "Type": "HardBounce"}, Event.BOUNCED, True),
        ({"RecordType": "Bounce", "Type": "HardBounce", "Details": "smtp;550 5.7.1 spam"}, Event.BOUNCED, False),
        ({"RecordType": "Bounce", "Type": "SoftBounce"}, Event.FAILED, False),
        ({"RecordType": "Bounce", "Type": "BadEmailAddress"}, Event.REJECTED, True),
        ({"RecordType": "Bounce", "Type": "DMARCPolicy"}, Event.REJECTED, False),
        ({"RecordType": "Bounce", "Type": "DnsError", "Inactive": True}, Event.FAILED, False),
        ({"RecordType": "Bounce", "Type": "DnsError", "Inactive": False}, None, False),
        ({"RecordType": "Bounce", "Type": "Transient"}, None, False),
        ({"RecordType": "Bounce", "Type": "AutoResponder"}, None, False),
        ({"RecordType": "Bounce", "Type": "SpamNotification"}, Event.COMPLAINED, False),
        ({"RecordType": "Bounce", "Type": "Unsubscribe"}, Event.UNSUBSCRIBED, False),
        ({"RecordType": "SubscriptionChange", "SuppressSending": False}, None, False),
        (
            {"RecordType": "SubscriptionChange", "SuppressSending": True, "SuppressionReason": "ManualSuppression"},
            Event.UNSUBSCRIBED,
            False,
        ),
        ({"RecordType": "Click"}, Event.OPENED, False),
        ({"RecordType": "Inbound"}, None, False),
    ],
)
def test_postmark_events(data: dict[str, object], event: Event | None, hard: bool) -> None:
    """Postmark's record types, and its bounce types where they say more."""
    (found,) = postmark.read(request(data | {"Metadata": {"gw": "TOKEN"}}), Settings())
    assert (found.token, found.event, found.hard) == ("TOKEN", event, hard)


@pytest.mark.parametrize(
    ("data", "event", "hard"),
    [
        ({"event": "sent"}, Event.DELIVERED, False),
        ({"event": "bounce", "hard_bounce": True, "error": "user unknown"}, Event.BOUNCED, True),
        ({"event": "bounce", "hard_bounce": True, "error": "relay/access denied"}, Event.BOUNCED, False),
        ({"event": "bounce", "hard_bounce": False, "error": "user unknown"}, Event.FAILED, False),
        ({"event": "bounce", "hard_bounce": False, "error": "greylisted"}, None, False),
        ({"event": "blocked", "error": "preblocked"}, Event.REJECTED, False),
        ({"event": "blocked", "error": "greylisted"}, None, False),
    ],
)
def test_mailjet_events(data: dict[str, object], event: Event | None, hard: bool) -> None:
    """Mailjet's words; an event may come alone or in a list."""
    for posted in (data | {"CustomID": "TOKEN"}, [data | {"CustomID": "TOKEN"}]):
        (found,) = mailjet.read(request(posted), Settings())
        assert (found.token, found.event, found.hard) == ("TOKEN", event, hard)


@pytest.mark.parametrize(
    ("data", "event", "hard"),
    [
        ({"type": "injection"}, Event.SENT, False),
        ({"type": "bounce", "bounce_class": "10"}, Event.BOUNCED, True),
        ({"type": "bounce", "bounce_class": 10}, Event.BOUNCED, True),
        ({"type": "bounce", "bounce_class": "22"}, Event.FAILED, False),
        ({"type": "bounce", "bounce_class": "25", "error_code": "554"}, Event.REJECTED, False),
        ({"type": "bounce", "bounce_class": "26"}, Event.REJECTED, False),
        ({"type": "out_of_band", "bounce_class": "25"}, Event.BOUNCED, False),
        ({"type": "bounce", "bounce_class": "80"}, None, False),
        ({"type": "bounce", "bounce_class": "90"}, Event.UNSUBSCRIBED, False),
        ({"type": "out_of_band", "bounce_class": "20"}, Event.BOUNCED, False),
        ({"type": "out_of_band", "bounce_class": "60"}, None, False),
        ({"type": "out_of_band", "bounce_class": "30", "raw_reason": "550 5.2.2 full"}, Event.BOUNCED, False),
        ({"type": "policy_rejection", "bounce_class": "25"}, Event.REJECTED, False),
        ({"type": "list_unsubscribe"}, Event.UNSUBSCRIBED, False),
        ({"type": "amp_initial_open"}, None, False),
        ({"type": "spam_complaint", "fbtype": "abuse"}, Event.COMPLAINED, False),
        ({"type": "spam_complaint"}, Event.COMPLAINED, False),
        ({"type": "spam_complaint", "fbtype": "not-spam"}, None, False),
    ],
)
def test_sparkpost_events(data: dict[str, object], event: Event | None, hard: bool) -> None:
    """SparkPost's types, and its bounce classes where they say more."""
    posted = [{"msys": {"message_event": data | {"rcpt_meta": {"gw": "TOKEN"}, "event_id": "7"}}}, {"msys": {}}]
    (found,) = sparkpost.read(request(posted), Settings())
    assert (found.token, found.event, found.hard, found.key) == ("TOKEN", event, hard, "7")


def test_sparkpost_prefetches_are_machines() -> None:
    """An initial open or a prefetched one is no person's."""
    posted = [
        {"msys": {"track_event": {"type": kind, "is_prefetched": early}}}
        for kind, early in (("initial_open", False), ("open", True), ("open", False))
    ]
    posted += [
        {"msys": {"track_event": {"type": "open", "user_agent_parsed": {"is_prefetched": early, "is_proxy": True}}}}
        for early in (True, False)
    ]
    found = sparkpost.read(request(posted), Settings())
    assert [event.machine for event in found] == [True, True, False, True, False]

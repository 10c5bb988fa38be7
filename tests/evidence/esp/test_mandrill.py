"""Mandrill's batches: a signed form."""

from typing import Any

import pytest

from esp_posts import NOW, TOKEN, by_mandrill
from gatewayd.core.status import Event
from gatewayd.evidence.esp import mandrill
from gatewayd.evidence.esp.event import EspRequest, Forged, Settings


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

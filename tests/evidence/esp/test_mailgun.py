"""Mailgun's events: signed by its key, in its new and its old form."""

from urllib.parse import urlencode

import pytest

from esp_requests import (
    NOW,
    mailgun_event,
    mailgun_signature,
    request,
)
from gatewayd.core.status import Event
from gatewayd.evidence.esp import mailgun
from gatewayd.evidence.esp.event import (
    Forged,
    Settings,
)


@pytest.mark.parametrize(
    ("signature", "key", "now"),
    [
        ({}, "key", NOW),
        (mailgun_signature("other"), "key", NOW),
        (mailgun_signature() | {"token": "other"}, "key", NOW),
        (mailgun_signature() | {"timestamp": str(int(NOW) + 1)}, "key", NOW),
        (mailgun_signature() | {"signature": "\N{PILE OF POO}"}, "key", NOW),
        (mailgun_signature(""), "", NOW),
        (mailgun_signature(), "key", NOW + 25 * 3600),
        (mailgun_signature(stamp="1e400"), "key", NOW),
        (mailgun_signature(token=""), "key", NOW),
    ],
    ids=["none", "other key", "other token", "other time", "no hex", "no key", "too old", "never", "empty token"],
)
def test_mailgun_refuses_what_its_key_did_not_sign(signature: dict[str, str], key: str, now: float) -> None:
    """Any other key, token or time is forged, and so is everything where no key is configured."""
    with pytest.raises(Forged):
        mailgun.read(request({"signature": signature, "event-data": {}}, now=now), Settings(signing_key=key))


@pytest.mark.parametrize("stamp", ["1760000000.0", "1.76e9", " 1760000000", "01760000000", "+1760000000", "١٧٦٠٠٠٠٠٠٠"])
def test_mailguns_time_has_one_spelling(stamp: str) -> None:
    """A timestamp of 10 digits: another spelling would make the same moment sign another text."""
    signed = {"signature": mailgun_signature(stamp=stamp), "event-data": {"event": "complained"}}
    with pytest.raises(Forged):
        mailgun.read(request(signed), Settings(signing_key="key"))


def test_mailguns_key_is_the_token_that_was_signed() -> None:
    """The signature does not cover the event: its token is what makes it good for one event only."""
    assert mailgun_event(event="delivered", id="same").key == "t" * 50


@pytest.mark.parametrize(
    ("data", "event", "hard"),
    [
        ({"event": "accepted"}, Event.SENT, False),
        ({"event": "stored"}, None, False),
        ({"event": "failed", "severity": "temporary"}, None, False),
        ({"event": "failed", "severity": "permanent", "reason": "suppress-bounce"}, Event.REJECTED, False),
        ({"event": "failed", "severity": "permanent", "reason": "suppress-complaint"}, Event.REJECTED, False),
        ({"event": "failed", "severity": "permanent", "reason": "old"}, Event.FAILED, False),
        ({"event": "failed", "severity": "permanent", "reason": "bounce"}, Event.BOUNCED, False),
        (
            {"event": "failed", "severity": "permanent", "delivery-status": {"message": "550 5.1.1 no a@b.c"}},
            Event.BOUNCED,
            True,
        ),
        (
            {"event": "failed", "severity": "permanent", "delivery-status": {"message": "x", "bounce-type": "hard"}},
            Event.BOUNCED,
            True,
        ),
        (
            {"event": "failed", "severity": "permanent", "delivery-status": {"enhanced-code": "5.2.2"}},
            Event.BOUNCED,
            False,
        ),
        ({"event": "clicked"}, Event.OPENED, False),
    ],
)
def test_mailgun_events(data: dict[str, object], event: Event | None, hard: bool) -> None:
    """Mailgun's words, by severity and reason."""
    found = mailgun_event(**data)
    assert (found.token, found.event, found.hard) == ("TOKEN", event, hard)


def test_mailgun_bots_are_machines() -> None:
    """client-info.bot names the prefetcher, client-type a robot."""
    assert mailgun_event(event="opened", **{"client-info": {"client-type": "robot"}}).machine
    assert not mailgun_event(event="opened", **{"client-info": {"client-type": "mobile browser"}}).machine
    assert mailgun_event(event="opened", **{"client-info": {"bot": "apple"}}).machine
    assert not mailgun_event(event="opened", **{"client-info": {"bot": "", "user-agent": "Thunderbird"}}).machine


@pytest.mark.parametrize("headers", ["[" * 50_000, '[["X-Mailgun-Variables", "' + "[" * 50_000 + '"]]', "x", "{}"])
def test_headers_of_the_old_form_that_are_none_hold_no_token(headers: str) -> None:
    """However deep they nest."""
    fields = {"event": "bounced", "message-headers": headers} | mailgun_signature()
    kind = {"content-type": "application/x-www-form-urlencoded"}
    (event,) = mailgun.read(request(urlencode(fields).encode(), kind), Settings(signing_key="key"))
    assert event.token == ""


@pytest.mark.parametrize(
    "variables", [("gw", "TOKEN"), ("message-headers", '[["X-Mailgun-Variables", "{\\"gw\\":\\"TOKEN\\"}"]]')]
)
def test_mailguns_old_form_holds_our_token(variables: tuple[str, str]) -> None:
    """Before 2018 user variables were mixed with the event's fields; a variable cannot pass for the signature."""
    fields = [("event", "bounced"), ("code", "550"), ("error", "5.1.1 x"), variables, ("token", "a variable of ours")]
    fields += list(mailgun_signature().items())
    parts = "".join(f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields)
    asked = request((parts + "--B--\r\n").encode(), {"content-type": "multipart/form-data; boundary=B"})
    (event,) = mailgun.read(asked, Settings(signing_key="key"))
    assert (event.token, event.event, event.hard, event.key) == ("TOKEN", Event.BOUNCED, True, "t" * 50)

"""What is kept of a provider's words: nothing of the address that the same event names."""

from typing import Any

import pytest

from encoded_ways import LINK, WAYS
from esp_posts import SECRET, by_mandrill, by_resend, posted
from gatewayd.evidence.esp import brevo, kumomta, mailjet, mandrill, postmark, resend, sendgrid, smtp2go, sparkpost
from gatewayd.evidence.esp.event import EspEvent, Settings, plain

JANE = "p163@players.example"
WORDS = "550 5.1.1 p163 at players.example: user p163 not here, ask 07700-900184"


def _of(module: Any, item: dict[str, Any]) -> tuple[EspEvent, ...]:
    found: tuple[EspEvent, ...] = module.read(posted([item]), Settings())
    return found


@pytest.mark.parametrize(
    "events",
    [
        lambda: _of(brevo, {"event": "hard_bounce", "email": JANE, "reason": WORDS}),
        lambda: _of(kumomta, {"type": "Bounce", "recipient": JANE, "response": {"code": 550, "content": WORDS}}),
        lambda: _of(mailjet, {"event": "bounce", "email": JANE, "comment": WORDS}),
        lambda: _of(postmark, {"RecordType": "Bounce", "Email": JANE, "Details": WORDS}),
        lambda: _of(smtp2go, {"event": "bounce", "rcpt": JANE, "message": WORDS}),
        lambda: _of(sparkpost, {"msys": {"message_event": {"type": "bounce", "rcpt_to": JANE, "raw_reason": WORDS}}}),
        lambda: sendgrid.events(posted([{"event": "bounce", "email": JANE, "reason": WORDS}]).body),
        lambda: mandrill.read(
            by_mandrill([{"event": "hard_bounce", "msg": {"email": JANE, "diag": WORDS}}]),
            Settings(signing_key="mandrill-key"),
        ),
        lambda: resend.read(
            by_resend({"type": "email.bounced", "data": {"to": [f"Jane <{JANE}>"], "bounce": {"message": WORDS}}}),
            Settings(signing_key=SECRET),
        ),
    ],
)
def test_nothing_of_the_recipient_stays_in_a_providers_words(events: Any) -> None:
    """The event names whom it is about, so that the local part alone is known for what it is."""
    (event,) = events()
    assert "550 5.1.1 [redacted] at players.example: user [redacted] not here" in event.detail
    assert "900184" not in event.detail


@pytest.mark.parametrize(
    "about",
    [
        {"bounce": {"bouncedRecipients": [{"emailAddress": JANE}]}},
        {"mail": {"destination": ["other@players.example", JANE]}},
        {"Recipient": JANE},
        {"message": {"headers": {"to": f'"Jane" <{JANE}>'}}},
    ],
)
def test_a_recipient_is_found_where_providers_name_it(about: dict[str, Any]) -> None:
    """However deep it stands, alone or in a list."""
    assert plain("no p163 here", about=about) == "no [redacted] here"


def test_what_does_not_name_a_recipient_leaves_the_words_alone() -> None:
    """The sender's name is in many words that are about nobody."""
    assert plain("mailbox full", about={"from": "mailbox@amazing.example", "to": None}) == "mailbox full"


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_the_recipient_stays_in_an_encoded_form(way: str) -> None:
    """In the words, and where the provider says whom they are about."""
    said = plain(f"no {WAYS[way]('jane.player77')} here", about={"email": JANE.replace("p163", "jane.player77")})
    assert said.replace(LINK, "") == "no [redacted] here"
    assert plain("no p163 here", about={"rcpt": WAYS["base64 word"](JANE)}) == "no [redacted] here"


@pytest.mark.parametrize(
    ("words", "hard"),
    [
        ("550 5.1.1 user unknown", True),
        ("550 no such user", True),
        ("550 5.2.1 The email account that you tried to reach is disabled", True),
        ("550-5.2.1 The user you are trying to contact is receiving mail at a rate that prevents this", False),
        ("550 5.1.1 rejected: 192.0.2.1 is on our blacklist", False),
        ("550 rejected by policy", False),
        ("550 5.1.1 mailbox full", False),
    ],
)
def test_an_address_is_spared_where_the_words_name_another_reason(words: str, hard: bool) -> None:
    """As in a bounce that comes back by itself, whatever the provider calls it."""
    for events in (
        _of(brevo, {"event": "hard_bounce", "reason": words}),
        _of(postmark, {"RecordType": "Bounce", "Type": "HardBounce", "Details": words}),
        _of(smtp2go, {"event": "bounce", "bounce": "hard", "message": words}),
        _of(sparkpost, {"msys": {"message_event": {"type": "bounce", "bounce_class": "10", "raw_reason": words}}}),
    ):
        assert [event.hard for event in events] == [hard]

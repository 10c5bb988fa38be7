"""All readers of providers' events: the corpus, whatever else is posted, and what they share."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esp_requests import (
    BASIC,
    NOW,
    REPORT,
    corpus_cases,
    mailgun_event,
    request,
)
from gatewayd.config.esp import ESP_NAMES
from gatewayd.core.status import Event
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.evidence.esp import brevo, form, mailgun, mailjet, postmark, sendgrid, ses, smtp2go, sparkpost
from gatewayd.evidence.esp.agents import is_machine
from gatewayd.evidence.esp.event import (
    EspEvent,
    EspRequest,
    Forged,
    Settings,
    Unreadable,
    enhanced_code,
    is_hard,
    moment,
    plain,
)
from gatewayd.evidence.esp_events import READERS
from gatewayd.smtp.added_headers import esp_header

# The corpus --------------------------------------------------------------------------------------------------------


def read_corpus_case(case: dict[str, Any], body: bytes) -> tuple[EspEvent, ...]:
    """Its events: Mailgun's with the corpus's own test keys; the others, whose keys nobody has, behind their proof."""
    if case["esp"] == "amazon_ses":
        return ses.events(json.loads(body))
    if case["esp"] == "sendgrid":
        return sendgrid.events(body)
    if case["esp"] == "mailgun":
        if case["content_type"] == "application/json":
            stamp = json.loads(body).get("signature", {}).get("timestamp", "0")
        else:
            stamp = dict(form.pairs(case["content_type"], body))["timestamp"]
        asked = EspRequest({"content-type": case["content_type"]}, body, float(stamp))
        return mailgun.read(asked, Settings(signing_key=case["signing_key"]))
    return BASIC[case["esp"]].read(EspRequest({}, body, NOW), Settings())


def test_every_body_of_the_corpus_is_read_as_expected(corpus: Path) -> None:
    """All 45 bodies give the statuses that the corpus states, unsigned ones of Mailgun none."""
    cases = corpus_cases(corpus)
    assert len(cases) == 45
    wrong = []
    for case in cases:
        body = (corpus / case["file"]).read_bytes()
        expected = [event["gateway_status"] for event in case["events"]]
        try:
            found = [REPORT[event.event] for event in read_corpus_case(case, body)]
        except Forged:
            found = ["forged"] if case["http_status_in_anymail"] == 200 else []
        # An event that means nothing may be left out.
        if [word for word in found if word] != [word for word in expected if word]:
            wrong.append((case["file"], expected, found))
    assert wrong == []


def test_no_address_of_the_corpus_gets_into_a_detail(corpus: Path) -> None:
    """What is kept of the providers' words names nobody."""
    for case in corpus_cases(corpus):
        body = (corpus / case["file"]).read_bytes()
        if case["http_status_in_anymail"] == 200:
            assert all("@" not in event.detail for event in read_corpus_case(case, body)), case["file"]


WORDS = ("event", "msys", "Type", "Message", "event-data", "signature", "gw", "RecordType", "bounce", "mail", "tags")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=3),
    max_leaves=8,
)


@given(st.binary(max_size=60) | JSON.map(lambda data: json.dumps(data).encode()))
def test_whatever_is_posted_is_read_or_refused(body: bytes) -> None:
    """No body makes a module raise anything but Forged and Unreadable."""
    for module in (mailgun, mailjet, postmark, sparkpost, sendgrid, ses):
        for kind in ("application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"):
            with suppress(Forged, Unreadable):
                module.read(EspRequest({"content-type": kind}, body, NOW), Settings(signing_key="k"))


@given(JSON, JSON)
def test_whatever_was_proven_is_read_or_refused(data: object, inner: object) -> None:
    """Neither does one that bears a good signature."""
    with suppress(Unreadable):
        sendgrid.events(json.dumps(data).encode())
    with suppress(Unreadable):
        ses.events(
            {"Type": "Notification", "Message": json.dumps({"eventType": "Bounce", "bounce": data, "mail": inner})}
        )
    mailgun_event(event=data, reason=inner, **{"delivery-status": data, "client-info": inner})


def test_events_without_an_id_are_told_apart_by_their_content() -> None:
    """Two different events never share a key, the same one always has the same."""
    events = [
        {"RecordType": "Open", "Tag": "a"},
        {"RecordType": "Open", "Tag": "b"},
        {"Tag": "a", "RecordType": "Open"},
    ]
    keys = [postmark.read(request(event), Settings())[0].key for event in events]
    assert keys[0] == keys[2] != keys[1]


# Words that all share ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "machine"),
    [
        ("Mozilla/5.0", True),
        (" mozilla/5.0 ", True),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15", False),
        ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", False),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", False),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 "
            "Safari/537.36 Edge/12.246 Mozilla/5.0",
            True,
        ),
        ("BarracudaCentral", True),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/130.0 Safari/537.36", True),
        ("", False),
    ],
)
def test_user_agents(agent: str, machine: bool) -> None:
    """Proxies that fetch when a person opens are persons; prefetchers and scanners are not."""
    assert is_machine(agent) is machine


def test_details_hold_neither_addresses_nor_numbers() -> None:
    """A remote's words may quote the recipient back to us."""
    kept = plain("bounce", 550, "5.1.1 <jane.doe+x@example.com>: unknown +447700900123\r\nX-Injected: 1", None)
    assert kept.startswith("bounce 550 5.1.1")
    assert "jane" not in kept
    assert "447700900123" not in kept
    assert "\r" not in kept
    assert len(plain("x" * 5000)) == 200


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("550 5.1.1 no such user", "5.1.1"),
        ("550-5.1.10.", "5.1.10"),
        ("5.0.0 then 5.2.2", "5.2.2"),
        ("from 10.5.1.1", ""),
        ("5.1.1.4", ""),
        ("250 ok", ""),
    ],
)
def test_enhanced_codes_are_found_and_addresses_of_hosts_are_not(text: str, code: str) -> None:
    """RFC 3463 codes stand alone; x.0.0 says nothing."""
    assert enhanced_code(text) == code


def test_only_a_domain_that_is_none_makes_5_4_4_hard() -> None:
    """5.4.4 is also what a passing trouble of routing gives."""
    assert is_hard("5.4.4 NXDOMAIN", otherwise=False)
    assert not is_hard("5.4.4 unable to route", otherwise=True)


def test_settings_print_no_secret() -> None:
    """Neither does a traceback that shows them."""
    assert "key" not in repr(Settings(signing_key="key", password="key"))


def test_every_provider_of_the_configuration_is_read_and_gets_our_token() -> None:
    """A name that the configuration takes has a reader, and a header in which our token comes back."""
    assert set(READERS) == set(ESP_NAMES)
    keys, message_id = Keys(b"k" * 32), str(UUID(int=7, version=4))
    token = keys.token(Purpose.ESP, message_id).encode()
    assert [name for name in ESP_NAMES if token not in esp_header(name, message_id, keys)] == []


# When it happened ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (1_760_000_000, 1_760_000_000.0),
        (1_760_000_000.25, 1_760_000_000.25),
        ("1760000000", 1_760_000_000.0),
        ("2025-10-09T08:53:20Z", 1_760_000_000.0),
        ("2025-10-09T08:53:20.5000000Z", 1_760_000_000.5),
        ("2025-10-09T10:53:20+02:00", 1_760_000_000.0),
        ("2025-10-09 08:53:20", 0.0),
        ("yesterday", 0.0),
        ("1e999", 0.0),
        ("9" * 5000, 0.0),
        (-5, 0.0),
        (True, 0.0),
        (None, 0.0),
    ],
)
def test_the_time_of_an_event(said: object, seconds: float) -> None:
    """In seconds or as a date with its zone; of another one nobody knows when it was."""
    assert moment({"at": said}, "at") == seconds


@pytest.mark.parametrize(
    ("read", "event"),
    [
        (mailjet.read, {"event": "open", "time": NOW}),
        (sparkpost.read, [{"msys": {"track_event": {"type": "open", "timestamp": str(int(NOW))}}}]),
        (brevo.read, {"event": "opened", "ts_event": int(NOW), "date": "2025-10-09 10:53:20"}),
        (postmark.read, {"RecordType": "Open", "ReceivedAt": "2025-10-09T08:53:20Z"}),
        (smtp2go.read, {"event": "open", "time": "2025-10-09T08:53:20Z"}),
        (lambda given, _: sendgrid.events(given.body), [{"event": "open", "timestamp": int(NOW)}]),
        (
            lambda given, _: ses.events({"Message": given.body.decode(), "MessageId": "m"}),
            {"eventType": "Open", "open": {"timestamp": "2025-10-09T08:53:20.000Z"}},
        ),
    ],
)
def test_an_open_says_when_it_was(read: Any, event: object) -> None:
    """A batch comes minutes after what it tells of."""
    (found,) = read(request(event), Settings())
    assert (found.event, found.at) == (Event.OPENED, NOW)

"""The six providers' modules: proofs that cannot be forged or replayed, and every event read as the tables say."""

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from esp_requests import (
    ARN,
    BASIC,
    CERTIFICATE_URL,
    EC_KEY,
    EC_PUBLIC,
    NOW,
    PEM,
    REPORT,
    SES_SETTINGS,
    SIGNATURE,
    STAMP,
    basic,
    certificate,
    corpus_cases,
    mailgun_signature,
    request,
    sendgrid_request,
    sns,
)
from gatewayd.config.esp import ESP_NAMES
from gatewayd.core.status import Event
from gatewayd.core.tokens import Keys, Purpose
from gatewayd.evidence.esp import form, mailgun, mailjet, postmark, sendgrid, ses, sparkpost
from gatewayd.evidence.esp.agents import is_machine
from gatewayd.evidence.esp.event import (
    EspEvent,
    EspRequest,
    Forged,
    Settings,
    Unreadable,
    enhanced_code,
    is_hard,
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


# SendGrid ----------------------------------------------------------------------------------------------------------


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


# Mailgun -----------------------------------------------------------------------------------------------------------


def mailgun_event(**data: object) -> EspEvent:
    """The event of a signed request in today's form."""
    posted = {"signature": mailgun_signature(), "event-data": {"user-variables": {"gw": "TOKEN"}, **data}}
    (event,) = mailgun.read(request(posted), Settings(signing_key="key"))
    return event


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
    """client-info.bot names the prefetcher."""
    assert mailgun_event(event="opened", **{"client-info": {"bot": "apple"}}).machine
    assert not mailgun_event(event="opened", **{"client-info": {"bot": "", "user-agent": "Thunderbird"}}).machine


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


# Basic: Postmark, Mailjet, SparkPost -------------------------------------------------------------------------------


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
        ({"type": "bounce", "bounce_class": "80"}, None, False),
        ({"type": "bounce", "bounce_class": "90"}, Event.UNSUBSCRIBED, False),
        ({"type": "out_of_band", "bounce_class": "20"}, Event.BOUNCED, False),
        ({"type": "out_of_band", "bounce_class": "60"}, None, False),
        ({"type": "out_of_band", "bounce_class": "30", "raw_reason": "550 5.2.2 full"}, Event.BOUNCED, False),
        ({"type": "policy_rejection", "bounce_class": "25"}, Event.REJECTED, False),
        ({"type": "list_unsubscribe"}, Event.UNSUBSCRIBED, False),
        ({"type": "amp_initial_open"}, None, False),
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
    assert [event.machine for event in sparkpost.read(request(posted), Settings())] == [True, True, False]


def test_events_without_an_id_are_told_apart_by_their_content() -> None:
    """Two different events never share a key, the same one always has the same."""
    events = [
        {"RecordType": "Open", "Tag": "a"},
        {"RecordType": "Open", "Tag": "b"},
        {"Tag": "a", "RecordType": "Open"},
    ]
    keys = [postmark.read(request(event), Settings())[0].key for event in events]
    assert keys[0] == keys[2] != keys[1]


# Amazon SES over SNS -----------------------------------------------------------------------------------------------


def ses_event(**message: object) -> EspEvent:
    """The one event of a signed notification."""
    mail = {"tags": {"gw": ["TOKEN"]}, "destination": ["a@b.example"]}
    (event,) = ses.read(request(sns({"mail": mail, **message}), certificate=PEM), SES_SETTINGS)
    return event


def test_ses_takes_what_amazon_signed_for_a_topic_of_ours() -> None:
    """With a Subject or without: it is signed only where it is."""
    for fields in ({}, {"Subject": "Amazon SES Email Event Notification"}):
        posted = sns({"eventType": "Delivery", "mail": {"tags": {"gw": ["T"]}}}, **fields)
        (event,) = ses.read(request(posted, certificate=PEM), SES_SETTINGS)
        assert (event.token, event.event, event.key) == ("T", Event.DELIVERED, "M-1")


@pytest.mark.parametrize(
    ("posted", "pem", "now"),
    [
        (sns("{}") | {"Message": '{"eventType":"Bounce"}'}, PEM, NOW),
        (sns("{}") | {"MessageId": "M-2"}, PEM, NOW),
        (sns("{}") | {"Subject": "not signed"}, PEM, NOW),
        (sns("{}") | {"Signature": ""}, PEM, NOW),
        (sns("{}", version="1"), PEM, NOW),
        (sns("{}", TopicArn=ARN + "x"), PEM, NOW),
        (sns("{}", signer=rsa.generate_private_key(65537, 2048)), PEM, NOW),
        (sns("{}"), certificate("sns.amazonaws.com.evil.example"), NOW),
        (sns("{}"), certificate(days=1), NOW),
        (sns("{}"), certificate(key=EC_KEY), NOW),
        (sns("{}"), b"no certificate", NOW),
        (sns("{}"), b"", NOW),
        (sns("{}"), PEM, NOW + 26 * 3600),
        (sns("{}", Timestamp="yesterday"), PEM, NOW),
    ],
    ids=[
        "other message", "other id", "added subject", "no signature", "version 1", "other topic", "other key",
        "other name", "expired", "not RSA", "no PEM", "no certificate", "too old", "no time",
    ],
)  # fmt: skip
def test_ses_refuses_what_amazon_did_not_sign_for_us(posted: dict[str, str], pem: bytes, now: float) -> None:
    """Any other message, topic, key or certificate is forged, and signature version 1 is off."""
    with pytest.raises(Forged):
        ses.read(request(posted, now=now, certificate=pem), SES_SETTINGS)


@pytest.mark.parametrize("name", ["Message", "MessageId", "Timestamp", "TopicArn"])
def test_ses_refuses_an_envelope_that_lacks_a_signed_field(name: str) -> None:
    """The text that is signed would be that of another envelope."""
    posted = sns({"eventType": "Complaint"})
    del posted[name]
    with pytest.raises((Forged, Unreadable)):
        ses.verified(request(posted, certificate=PEM), SES_SETTINGS)


@pytest.mark.parametrize("name", ["MessageId", "Subject"])
def test_ses_refuses_a_line_break_in_a_signed_field(name: str) -> None:
    """Only Message may have lines: elsewhere one could move the border between two fields."""
    posted = sns({"eventType": "Complaint"}, **{name: "1\nTimestamp\n2"})
    with pytest.raises(Forged):
        ses.verified(request(posted, certificate=PEM), SES_SETTINGS)


def test_the_certificates_address_is_amazons_in_the_topics_region() -> None:
    """That one is fetched, unless the operator pinned a certificate."""
    body = json.dumps(sns("{}")).encode()
    assert ses.certificate_url(body, SES_SETTINGS) == CERTIFICATE_URL
    assert ses.certificate_url(body, Settings(topic_arns=(ARN,), public_key=PEM.decode())) == ""
    assert ses.read(request(body), Settings(topic_arns=(ARN,), public_key=PEM.decode())) == ()


@pytest.mark.parametrize(
    "url",
    [
        "",
        CERTIFICATE_URL.replace("https", "http"),
        CERTIFICATE_URL.replace("eu-west-1", "us-east-1"),
        CERTIFICATE_URL.replace(".com/", ".com.cn/"),
        CERTIFICATE_URL.replace("amazonaws.com", "amazonaws.com.evil.example"),
        CERTIFICATE_URL.replace("https://", "https://evil.example@"),
        CERTIFICATE_URL.replace("https://", "https://evil.example/?x="),
        CERTIFICATE_URL.replace(".com/", ".com:8443/"),
        CERTIFICATE_URL.replace("/Simple", "/bucket/Simple"),
        CERTIFICATE_URL + "?x=1",
        CERTIFICATE_URL + "#",
        CERTIFICATE_URL + "\n",
        CERTIFICATE_URL.replace("sns.", "s3."),
    ],
)
def test_no_other_address_is_fetched(url: str) -> None:
    """Whatever SigningCertURL says, only Amazon's own host in the topic's region is asked."""
    with pytest.raises(Forged):
        ses.certificate_url(json.dumps(sns("{}", SigningCertURL=url)).encode(), SES_SETTINGS)


def test_a_strangers_topic_makes_us_fetch_nothing() -> None:
    """The topic is looked at before the certificate's address."""
    with pytest.raises(Forged):
        ses.certificate_url(json.dumps(sns("{}", TopicArn=ARN.replace("1234", "9999"))).encode(), SES_SETTINGS)


def test_a_confirmation_is_asked_of_amazon_and_never_of_the_bodys_url() -> None:
    """The address is made from the configured topic and the signed token."""
    posted = sns("", Type="SubscriptionConfirmation", Token="a b&c", SubscribeURL="https://evil.example/")
    url = urlsplit(ses.confirmation_url(request(posted, certificate=PEM), SES_SETTINGS))
    assert (url.scheme, url.netloc, url.path) == ("https", "sns.eu-west-1.amazonaws.com", "/")
    assert parse_qs(url.query) == {"Action": ["ConfirmSubscription"], "TopicArn": [ARN], "Token": ["a b&c"]}
    assert ses.confirmation_url(request(sns("{}"), certificate=PEM), SES_SETTINGS) == ""
    with pytest.raises(Forged):
        ses.confirmation_url(request(posted | {"Token": "other"}, certificate=PEM), SES_SETTINGS)


@pytest.mark.parametrize(
    ("message", "event", "hard"),
    [
        ({"eventType": "Send"}, Event.SENT, False),
        ({"eventType": "DeliveryDelay"}, None, False),
        ({"eventType": "Rendering Failure", "failure": {"errorMessage": "x"}}, Event.FAILED, False),
        ({"eventType": "Reject", "reject": {"reason": "Bad content"}}, Event.REJECTED, False),
        (
            {"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bounceSubType": "NoEmail"}},
            Event.BOUNCED,
            True,
        ),
        (
            {
                "notificationType": "Bounce",
                "bounce": {
                    "bounceType": "Permanent",
                    "bounceSubType": "General",
                    "bouncedRecipients": [{"emailAddress": "a@b.example", "status": "5.7.1"}],
                },
            },
            Event.BOUNCED,
            False,
        ),
        (
            {"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bounceSubType": "Suppressed"}},
            Event.REJECTED,
            False,
        ),
        (
            {"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bounceSubType": "OnAccountSuppressionList"}},
            Event.REJECTED,
            False,
        ),
        (
            {"eventType": "Bounce", "bounce": {"bounceType": "Transient", "bounceSubType": "MailboxFull"}},
            Event.FAILED,
            False,
        ),
        ({"eventType": "Bounce", "bounce": {"bounceType": "Undetermined"}}, Event.FAILED, False),
        ({"eventType": "Complaint", "complaint": {"complaintFeedbackType": "abuse"}}, Event.COMPLAINED, False),
        ({"eventType": "Complaint", "complaint": {"complaintFeedbackType": "not-spam"}}, None, False),
        (
            {"eventType": "Complaint", "complaint": {"complaintSubType": "OnAccountSuppressionList"}},
            Event.REJECTED,
            False,
        ),
        (
            {"eventType": "Subscription", "subscription": {"newTopicPreferences": {"unsubscribeAll": True}}},
            Event.UNSUBSCRIBED,
            False,
        ),
        (
            {
                "eventType": "Subscription",
                "subscription": {
                    "newTopicPreferences": {
                        "unsubscribeAll": False,
                        "topicSubscriptionStatus": [{"topicName": "x", "subscriptionStatus": "OptIn"}],
                    }
                },
            },
            None,
            False,
        ),
        ({"eventType": "Open", "open": {"userAgent": "Mozilla/5.0 (iPhone)"}}, Event.OPENED, False),
        ({"eventType": "Something new"}, None, False),
    ],
)
def test_ses_events(message: dict[str, object], event: Event | None, hard: bool) -> None:
    """SES's event types, by bounce type and sub type."""
    found = ses_event(**message)
    assert (found.token, found.event, found.hard) == ("TOKEN", event, hard)


def test_ses_events_of_one_notification_have_keys_of_their_own() -> None:
    """A bounce of two recipients is two events, neither of which hides the other."""
    bounced = [{"emailAddress": "a@b.example"}, {"emailAddress": "c@d.example"}]
    posted = sns({"eventType": "Bounce", "bounce": {"bounceType": "Permanent", "bouncedRecipients": bounced}})
    keys = [event.key for event in ses.read(request(posted, certificate=PEM), SES_SETTINGS)]
    assert len(keys) == len(set(keys)) == 2


def test_ses_notifications_hold_our_token_in_the_original_headers() -> None:
    """The older notifications know no tags; where headers are included, ours is among them."""
    headers = [{"name": "X-SES-MESSAGE-TAGS", "value": "brand=x, gw=TOKEN"}]
    posted = sns({"notificationType": "Delivery", "mail": {"headers": headers}})
    assert ses.read(request(posted, certificate=PEM), SES_SETTINGS)[0].token == "TOKEN"


# Forms -------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.text("abc-_ é", min_size=1), st.text(max_size=20).map(lambda t: t.replace("--B", "")))))
def test_a_multipart_form_is_read_as_it_was_written(fields: list[tuple[str, str]]) -> None:
    """Any value comes back whole, line ends and dashes in it included."""
    parts = "".join(f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields)
    body = (parts + "--B--\r\n").encode()
    assert form.pairs('multipart/form-data; boundary="B"', body) == fields
    assert form.pairs("Multipart/Form-Data; charset=utf-8; boundary=B", body) == fields


@given(st.binary(max_size=200), st.text(max_size=80))
def test_a_broken_form_has_no_fields_or_some_but_never_fails(body: bytes, kind: str) -> None:
    """The world can post anything at the unsubscribe page."""
    for content_type in (kind, "multipart/form-data; boundary=" + kind, "multipart/form-data;" + kind):
        assert isinstance(form.pairs(content_type, body), list)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n" + b"Content-Disposition:;" * 48_000 + b"\r\n\r\nx\r\n--b--",
        b"--b\r\n" * 170_000,
        b"\r\n\r\n" * 250_000,
        b"--b\r\nContent-Disposition: form-data; name=" + b"x" * 1_000_000,
        b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * 20_000,
    ],
)
def test_the_largest_form_that_a_stranger_can_post_is_read_at_once(body: bytes) -> None:
    """One megabyte made to cost more than its length costs no more than that."""
    assert form.pairs("multipart/form-data; boundary=b", body) == []


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

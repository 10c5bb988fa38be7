"""Amazon's events by SNS: signed, for a topic of ours, and the certificates that are fetched."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from esp_requests import (
    ARN,
    CERTIFICATE_URL,
    EC_KEY,
    NOW,
    PEM,
    SES_SETTINGS,
    certificate,
    request,
    sns,
)
from gatewayd.core.status import Event
from gatewayd.evidence.esp import ses
from gatewayd.evidence.esp.event import (
    EspEvent,
    Forged,
    Settings,
    Unreadable,
)


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

"""Amazon SES events by way of SNS: the envelope's signature, the subscription's confirmation, the event inside.

Nothing is fetched here. `certificate_url` and `confirmation_url` say which address may be asked, made from pinned
patterns and the operator's own topic: no URL in a body is ever followed as it stands. Our token comes back as the
message tag `gw`; an identity's own feedback notifications have none, and go by sender or Message-ID.
"""

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from gatewayd.core import half_pairs
from gatewayd.core.status import Event
from gatewayd.evidence.esp.agents import is_machine
from gatewayd.evidence.esp.event import (
    EspEvent,
    EspRequest,
    Forged,
    Json,
    Settings,
    Unreadable,
    check_age,
    decoded,
    is_hard,
    moment,
    plain,
    table,
    text,
)

WINDOW = 25 * 3600.0
"""SNS keeps the first time over its repeats, which end long before a day."""

NOTIFICATION: Final = "Notification"
CONFIRMATION: Final = "SubscriptionConfirmation"
FAREWELL: Final = "UnsubscribeConfirmation"

_CONFIRM_KEYS: Final = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")

# The parts of the envelope that are signed, in this order; Subject only where there is one.
SIGNED: dict[str, tuple[str, ...]] = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: _CONFIRM_KEYS,
    FAREWELL: _CONFIRM_KEYS,
}

_ARN = re.compile(r"arn:(aws|aws-cn|aws-us-gov):sns:([a-z0-9-]{1,32}):\d{12}:[A-Za-z0-9_.-]{1,256}")
_CERTIFICATE = re.compile(
    r"https://sns\.([a-z0-9-]{1,32})\.amazonaws\.com(\.cn)?/SimpleNotificationService-[0-9a-f]{32}\.pem"
)
_SIGNER = re.compile(r"sns(\.[a-z0-9-]+)?\.amazonaws\.com(\.cn)?")

EVENTS: dict[str, Event | None] = {
    "Send": Event.SENT,
    "Delivery": Event.DELIVERED,
    "Bounce": Event.FAILED,
    "Rendering Failure": Event.FAILED,
    "Reject": Event.REJECTED,
    "DeliveryDelay": None,
    "Open": Event.OPENED,
    "Click": Event.OPENED,
    "Complaint": Event.COMPLAINED,
    "Subscription": Event.UNSUBSCRIBED,
}

# By (bounceType): a soft bounce comes only after SES ended its retries, and is no news after a delivery.
BOUNCE_TYPES: dict[str, Event] = {
    "Permanent": Event.BOUNCED,
    "Transient": Event.FAILED,
    "Undetermined": Event.FAILED,
}

NOT_TRIED = frozenset({"Suppressed", "OnAccountSuppressionList"})
"""Sub types of a bounce or complaint by which SES says that it did not try to deliver."""

_ADDRESS_IS_BAD = frozenset({"General", "NoEmail"})

# Where the event's recipients stand: one event each.
_RECIPIENTS: dict[str, tuple[str, str]] = {
    "Bounce": ("bounce", "bouncedRecipients"),
    "Complaint": ("complaint", "complainedRecipients"),
    "Delivery": ("delivery", "recipients"),
}


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The events of one notification; a confirmation has none. Raises Forged or Unreadable."""
    data = verified(request, settings)
    return events(data) if data["Type"] == NOTIFICATION else ()


def certificate_url(body: bytes, settings: Settings) -> str:
    """Where the certificate lies that this body claims to be signed with; empty where the operator pinned one.

    Raises Forged where the topic is not the operator's or the address is not Amazon's in the topic's own region, so
    that a stranger makes us fetch nothing. Raises Unreadable.
    """
    data = _envelope(body)
    partition, region = _own_topic(data, settings)
    found = _CERTIFICATE.fullmatch(text(data, "SigningCertURL"))
    if found is None or found[1] != region or bool(found[2]) != (partition == "aws-cn"):
        raise Forged("the certificate's address is not the topic's region at Amazon")
    return "" if settings.public_key else found[0]


def confirmation_url(request: EspRequest, settings: Settings) -> str:
    """What to ask in order to confirm a subscription; empty where the request asks for no confirmation.

    Made from the configured topic and the signed token; SubscribeURL is not looked at. Raises Forged, Unreadable.
    """
    data = verified(request, settings)
    if data["Type"] != CONFIRMATION:
        return ""
    partition, region = _own_topic(data, settings)
    query = urlencode({"Action": "ConfirmSubscription", "TopicArn": data["TopicArn"], "Token": text(data, "Token")})
    return f"https://sns.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}/?{query}"


def is_farewell(body: bytes) -> bool:
    """Whether a body that was proven says that the topic's subscription has ended: whoever has its link can do that."""
    return text(_envelope(body), "Type") == FAREWELL


def verified(request: EspRequest, settings: Settings) -> Json:
    """The SNS envelope, proven to be Amazon's, of a topic of ours, and not stale. Raises Forged, Unreadable."""
    data = _envelope(request.body)
    _own_topic(data, settings)
    if text(data, "SignatureVersion") != "2":
        raise Forged("the topic must be set to SignatureVersion 2")
    key = _certified_key(request.certificate or settings.public_key.encode(), request.now)
    try:
        signature = base64.b64decode(text(data, "Signature"), validate=True)
        key.verify(signature, _signed_text(data).encode(), PKCS1v15(), SHA256())
        when = datetime.fromisoformat(text(data, "Timestamp"))
    except (InvalidSignature, binascii.Error, ValueError):
        raise Forged("wrong signature") from None
    check_age(when.replace(tzinfo=when.tzinfo or UTC).timestamp(), request.now, WINDOW)
    return data


def _envelope(body: bytes) -> Json:
    data = decoded(body)
    if not isinstance(data, dict) or text(data, "Type") not in SIGNED:
        raise Unreadable("the body is not an SNS message")
    return data


def _own_topic(data: Json, settings: Settings) -> tuple[str, str]:
    topic = text(data, "TopicArn")
    found = _ARN.fullmatch(topic)
    if found is None or topic not in settings.topic_arns:
        raise Forged("the topic is not one of topic_arns")
    return found[1], found[2]


def _signed_text(data: Json) -> str:
    """What SNS signs: each field's name and value, a line each.

    A field that is left out, or that holds a line break, would let one signed text be read as another. Only Subject
    may be missing, and only Message, which ends at the next field's name, may have lines.
    """
    lines = []
    for name in SIGNED[data["Type"]]:
        value = data.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str) or (name != "Message" and "\n" in value):
            raise Forged(f"the signed field {name} is not there, or has several lines")
        lines.append(f"{name}\n{value}\n")
    return "".join(lines)


def _certified_key(pem: bytes, now: float) -> rsa.RSAPublicKey:
    """The key in Amazon's certificate, whose origin is the pinned https address (or the operator) and not its chain."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
        names = [name.value for name in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    except (ValueError, UnsupportedAlgorithm):
        raise Forged("the certificate cannot be read") from None
    if not certificate.not_valid_before_utc <= datetime.fromtimestamp(now, UTC) <= certificate.not_valid_after_utc:
        raise Forged("the certificate is not valid now")
    if not any(isinstance(name, str) and _SIGNER.fullmatch(name) for name in names):
        raise Forged("the certificate is not for SNS")
    if not isinstance(key, rsa.RSAPublicKey):
        raise Forged("the certificate's key is not RSA")
    return key


def events(envelope: Json) -> tuple[EspEvent, ...]:
    """The events in a notification whose origin is proven. Raises Unreadable."""
    message = text(envelope, "Message")
    try:
        data = table(half_pairs.decoded(message.encode()))
    except (msgspec.DecodeError, RecursionError):
        if message.startswith("Successfully validated SNS topic"):
            return ()
        raise Unreadable("the notification holds no SES event") from None
    name = text(data, "eventType", "notificationType")
    if not name:
        return ()
    (section, field), key = _RECIPIENTS.get(name, ("mail", "destination")), text(envelope, "MessageId")
    listed = table(data, section).get(field)
    recipients = listed if isinstance(listed, list) and listed else [None]
    token = _token(table(data, "mail"))
    return tuple(
        _event(name, data, table(recipient), token, f"{key}/{index}" if index else key)
        for index, recipient in enumerate(recipients)
    )


def _event(name: str, data: Json, recipient: Json, token: str, key: str) -> EspEvent:
    bounce, complaint = table(data, "bounce"), table(data, "complaint")
    kind, sub = text(bounce, "bounceType"), text(bounce, "bounceSubType") or text(complaint, "complaintSubType")
    status, words = text(recipient, "status"), text(recipient, "diagnosticCode")
    event = EVENTS.get(name)
    if name == "Bounce":
        event = BOUNCE_TYPES.get(kind, event)
    if name in ("Bounce", "Complaint") and sub in NOT_TRIED:
        event = Event.REJECTED
    if name == "Complaint" and text(complaint, "complaintFeedbackType") == "not-spam":
        event = None
    if name == "Subscription" and not _opted_out(table(data, "subscription", "newTopicPreferences")):
        event = None
    words = words or text(table(data, "reject"), "reason") or text(table(data, "failure"), "errorMessage")
    agents = (text(table(data, part), "userAgent") for part in ("open", "click"))
    return EspEvent(
        token=token,
        event=event,
        key=key,
        detail=plain(name, kind, sub, status, words or text(table(data, "delivery"), "smtpResponse"), about=data),
        hard=event is Event.BOUNCED and is_hard(status, words, otherwise=sub in _ADDRESS_IS_BAD),
        at=moment(table(data, "open") or table(data, "click"), "timestamp"),
        machine=any(map(is_machine, agents)),
        mail_id=text(table(data, "mail", "commonHeaders"), "messageId"),
        sender=text(table(data, "mail"), "source"),
    )


def _opted_out(preferences: Json) -> bool:
    topics = preferences.get("topicSubscriptionStatus")
    if preferences.get("unsubscribeAll") is True or not preferences:
        return True
    return isinstance(topics, list) and any(text(table(topic), "subscriptionStatus") == "OptOut" for topic in topics)


def _token(mail: Json) -> str:
    tagged = table(mail, "tags").get("gw")
    if isinstance(tagged, list) and tagged and isinstance(tagged[0], str):
        return tagged[0]
    headers = mail.get("headers")
    for header in headers if isinstance(headers, list) else ():
        if text(table(header), "name").lower() == "x-ses-message-tags":
            for tag in text(table(header), "value").split(","):
                name, _, value = tag.strip().partition("=")
                if name == "gw":
                    return value
    return ""

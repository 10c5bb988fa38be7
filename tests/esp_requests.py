"""What ESPs post, and how each proves that it was they."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gatewayd.core.status import Event
from gatewayd.evidence.esp import mailgun, mailjet, postmark, sparkpost
from gatewayd.evidence.esp.event import (
    EspEvent,
    EspRequest,
    Settings,
)

NOW = 1_760_000_000.0
REPORT = {
    Event.SENT: "accepted",
    Event.DELIVERED: "delivered",
    Event.FAILED: "failed",
    Event.BOUNCED: "failed",
    Event.REJECTED: "rejected",
    Event.OPENED: "opened",
    Event.COMPLAINED: "complained",
    Event.UNSUBSCRIBED: "unsubscribed",
    None: None,
}


BASIC = {"postmark": postmark, "mailjet": mailjet, "sparkpost": sparkpost}


def request(data: object, headers: dict[str, str] | None = None, now: float = NOW, certificate: bytes = b"") -> Any:
    """A request with `data` as its JSON body, or as it is where it is bytes."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return EspRequest(headers or {}, body, now, certificate)


def corpus_cases(corpus: Path) -> list[dict[str, Any]]:
    """The lines of the corpus that are about ESP events."""
    lines = (corpus / "expected.jsonl").read_text("utf-8").splitlines()
    return [case for case in map(json.loads, lines) if case["set"] == "webhook"]


SIGNATURE, STAMP = "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"
EC_KEY = ec.generate_private_key(ec.SECP256R1())


EC_PUBLIC = base64.b64encode(EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def sendgrid_request(body: bytes, *, signed: bytes | None = None, stamp: str = str(int(NOW)), now: float = NOW) -> Any:
    """A request signed as SendGrid signs; `signed` is another body than the one that is posted."""
    signature = EC_KEY.sign(stamp.encode() + (body if signed is None else signed), ec.ECDSA(SHA256()))
    return request(body, {SIGNATURE: base64.b64encode(signature).decode(), STAMP: stamp}, now)


def mailgun_signature(key: str = "key", stamp: str = str(int(NOW)), token: str = "t" * 50) -> dict[str, str]:
    """What Mailgun adds to each request."""
    signature = hmac.new(key.encode(), f"{stamp}{token}".encode(), hashlib.sha256).hexdigest()
    return {"timestamp": stamp, "token": token, "signature": signature}


def basic(text: str) -> dict[str, str]:
    """An Authorization header."""
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


ARN = "arn:aws:sns:eu-west-1:123456789012:ses-events"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-" + "0123456789abcdef" * 2 + ".pem"
RSA_KEY = rsa.generate_private_key(65537, 2048)


def certificate(name: str = "sns.amazonaws.com", *, days: int = 365, key: Any = RSA_KEY) -> bytes:
    """A certificate that is valid from the day before NOW, for `days`."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    start = datetime.fromtimestamp(NOW, UTC) - timedelta(days=1)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(start - timedelta(days=30))
    made = made.not_valid_after(start + timedelta(days=days) if days > 1 else start)
    return made.sign(RSA_KEY, SHA256()).public_bytes(Encoding.PEM)


PEM = certificate()


def sns(message: object = "", *, version: str = "2", signer: Any = RSA_KEY, **fields: str) -> dict[str, str]:
    """A signed SNS envelope around `message`."""
    data = {
        "Type": "Notification",
        "MessageId": "M-1",
        "TopicArn": ARN,
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": datetime.fromtimestamp(NOW, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE_URL,
    } | fields
    names = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    if data["Type"] != "Notification":
        names = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    text = "".join(f"{name}\n{data[name]}\n" for name in names if name in data)
    signature = signer.sign(text.encode(), PKCS1v15(), SHA256() if version == "2" else SHA1())
    return data | {"Signature": base64.b64encode(signature).decode()}


SES_SETTINGS = Settings(topic_arns=(ARN,))


def mailgun_event(**data: object) -> EspEvent:
    """The event of a signed request in today's form."""
    posted = {"signature": mailgun_signature(), "event-data": {"user-variables": {"gw": "TOKEN"}, **data}}
    (event,) = mailgun.read(request(posted), Settings(signing_key="key"))
    return event

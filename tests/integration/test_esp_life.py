"""Events of email service providers, from their own requests to what Smartico hears."""

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from email_life import KEY, Life, life

# -- providers' events -----------------------------------------------------------------------------------------------

ARN = "arn:aws:sns:eu-west-1:123456789012:gatewayd"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
BASIC = "Basic " + base64.b64encode(b"gw:password").decode()


def certificate() -> str:
    """One that is valid now and named as Amazon's are, by our own key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return made.sign(KEY, SHA256()).public_bytes(Encoding.PEM).decode()


def ses(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """An SNS notification, signed."""
    event: dict[str, Any] = {
        "eventType": {"delivered": "Delivery", "bounced": "Bounce", "complained": "Complaint"}[word]
    }
    event["mail"] = {"messageId": "0100", "tags": {"gw": [token]}}
    if word == "bounced":
        event["bounce"] = {"bounceType": "Permanent", "bounceSubType": "General"}
    data = {
        "Message": json.dumps(event),
        "MessageId": f"m-{number}-{token[:8]}",
        "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "TopicArn": ARN,
        "Type": "Notification",
    }
    text = "".join(f"{name}\n{value}\n" for name, value in data.items())
    data["Signature"] = base64.b64encode(KEY.sign(text.encode(), PKCS1v15(), SHA256())).decode()
    data |= {"SignatureVersion": "2"}
    data["SigningCertURL"] = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-" + "0" * 32 + ".pem"
    return json.dumps(data).encode(), {"Content_Type": "text/plain; charset=UTF-8"}


def sendgrid(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """A batch, signed by ECDSA."""
    event = {"delivered": "delivered", "bounced": "bounce", "complained": "spamreport"}[word]
    data = {"event": event, "type": "bounce", "status": "5.1.1", "gw": token, "sg_event_id": f"{token}{number}"}
    body = json.dumps([data]).encode()
    stamp = str(int(datetime.now(UTC).timestamp()))
    signature = EC_KEY.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
    return body, {
        "X_Twilio_Email_Event_Webhook_Signature": base64.b64encode(signature).decode(),
        "X_Twilio_Email_Event_Webhook_Timestamp": stamp,
    }


def mailgun(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """One event, its token and time signed by HMAC."""
    event = {"delivered": "delivered", "bounced": "failed", "complained": "complained"}[word]
    data = {"event": event, "severity": "permanent", "id": f"{token}{number}", "user-variables": {"gw": token}}
    data |= {"delivery-status": {"code": 550, "message": "5.1.1 unknown"}}
    stamp, once = str(int(datetime.now(UTC).timestamp())), hashlib.sha256(f"{token}{number}".encode()).hexdigest()
    signature = hmac.new(b"mailgun-key", (stamp + once).encode(), "sha256").hexdigest()
    proof = {"timestamp": stamp, "token": once, "signature": signature}
    return json.dumps({"signature": proof, "event-data": data}).encode(), {"Content_Type": "application/json"}


def postmark(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """One record, behind a password."""
    record = {"delivered": "Delivery", "bounced": "Bounce", "complained": "SpamComplaint"}[word]
    kind = {"Bounce": "HardBounce"}.get(record, record)
    data = {"RecordType": record, "Type": kind, "MessageID": f"{token}{number}", "Metadata": {"gw": token}}
    return json.dumps(data).encode(), {"Authorization": BASIC}


def mailjet(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """One event in a list, behind a password."""
    event = {"delivered": "sent", "bounced": "bounce", "complained": "spam"}[word]
    data = [{"event": event, "hard_bounce": True, "error": "user unknown", "time": number, "CustomID": token}]
    return json.dumps(data).encode(), {"Authorization": BASIC}


def sparkpost(token: str, word: str, number: int) -> tuple[bytes, dict[str, str]]:
    """One event in its envelope, behind a password."""
    kind = {"delivered": "delivery", "bounced": "bounce", "complained": "spam_complaint"}[word]
    event = {"type": kind, "bounce_class": "10", "event_id": f"{token}{number}", "rcpt_meta": {"gw": token}}
    return json.dumps([{"msys": {"message_event": event}}]).encode(), {"Authorization": BASIC}


PROVIDERS = {
    "ses": (ses, r"X-SES-MESSAGE-TAGS: gw=([a-z2-7]{47})"),
    "sendgrid": (sendgrid, r'X-SMTPAPI: \{"unique_args":\{"gw":"([a-z2-7]{47})"\}\}'),
    "mailgun": (mailgun, r'X-Mailgun-Variables: \{"gw":"([a-z2-7]{47})"\}'),
    "postmark": (postmark, r"X-PM-Metadata-gw: ([a-z2-7]{47})"),
    "mailjet": (mailjet, r"X-MJ-CustomID: ([a-z2-7]{47})"),
    "sparkpost": (sparkpost, r'X-MSYS-API: \{"metadata":\{"gw":"([a-z2-7]{47})"\}\}'),
}


@pytest_twisted.ensureDeferred
async def test_providers_events() -> None:
    """Each relay's mail bears the token that its provider's signed events bring back, and they become statuses."""

    def prepare(world: Life) -> None:
        public = EC_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        basic = {"username": "gw", "password": "password"}
        world.settings["esp"] = {
            "ses": {"secret": "s-ses", "topic_arns": [ARN], "public_key": certificate()},
            "sendgrid": {"secret": "s-sendgrid", "public_key": base64.b64encode(public).decode()},
            "mailgun": {"secret": "s-mailgun", "signing_key": "mailgun-key"},
            **{name: {"secret": f"s-{name}"} | basic for name in ("postmark", "mailjet", "sparkpost")},
        }
        main = world.settings["relays"]["main"]
        for name in PROVIDERS:
            world.settings["relays"][name] = main | {"provider": name}
            world.settings["labels"][name] = world.label | {"relays": [name]}

    async with life(prepare) as world:
        for name in PROVIDERS:
            await events_of(world, name)


async def events_of(world: Life, name: str) -> None:
    """Two players' mails by one provider's relay, and what the provider tells of them."""
    make, header = PROVIDERS[name]
    answers = [await world.email(player, label=name) for player in ("hhu234556", "1001")]
    first, second = (answer.ext_message_id for answer in answers)
    tokens = []
    for message_id in (first, second):
        await world.heard(message_id, "accepted")
        found = re.search(header.encode(), (await world.taken(message_id)).content)
        assert found is not None, name
        tokens.append(found[1].decode())

    async def post(token: str, word: str, number: int, *, spoil: bool = False) -> int:
        body, headers = make(token, word, number)
        if spoil:
            body = body.replace(token.encode(), tokens[1].encode())
            headers = {key: value for key, value in headers.items() if key != "Authorization"}
            if name == "mailgun":
                body = body.replace(b'"signature": "', b'"signature": "0')
        return (await world.ask("POST", f"/esp/{name}/s-{name}", body, **headers))[0]

    signs_nothing = name in ("postmark", "mailjet", "sparkpost")
    assert await post(tokens[0], "bounced", 9, spoil=True) == (401 if signs_nothing else 403), name
    for _ in range(2):
        assert await post(tokens[0], "delivered", 1) == 200, name
    assert await post(tokens[0], "complained", 2) == 200, name
    await world.heard(first, "accepted", "delivered", "complained")
    assert await post(tokens[1], "bounced", 3) == 200, name
    await world.heard(second, "accepted", "failed")
    assert await post("a" * 47, "delivered", 4) == 200, name
    assert (await world.ask("POST", f"/esp/{name}/s-other", b"{}"))[0] == 404
    for player in ("hhu234556", "1001"):
        again = await world.email(player, label=name)
        assert again.error_code == 5, (name, player)

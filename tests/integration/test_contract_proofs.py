"""CONTRACT.md where somebody must prove who they are: TLS and AUTH of relays, SMSCs and callbacks, ESP events."""

import base64
import hashlib
import hmac
import json
import signal
import ssl
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from outside import Mail, Outside, Relay, Reply, Smartico, until

from certificates import Authority

PROVIDERS = ("sendgrid", "mailgun", "postmark", "mailjet", "sparkpost")
SIGNING_KEY = "key-of-mailgun"


@pytest.fixture(scope="module")
def world() -> Iterator[Outside]:
    """Relays that ask for proofs and give them, a label for each; an ESP for each provider."""
    with Outside() as world:
        authority, other = Authority(world.directory), world.directory / "other"
        other.mkdir()
        stranger = Authority(other)
        good, bad = _context(authority), _context(stranger)
        roles: dict[str, tuple[Relay, dict[str, Any]]] = {
            "starttls": (Relay(starttls=good), {"tls": "starttls"}),
            "implicit": (Relay(implicit=good), {"tls": "implicit"}),
            "stranger": (Relay(starttls=bad), {"tls": "starttls"}),
            "plain": (Relay(), {"tls": "starttls"}),
            "login": (
                Relay(starttls=good, user=("gw", "pass word")),
                {"username": "gw", "password": "pass word", "tls": "starttls"},
            ),
            "wrong": (
                Relay(starttls=good, user=("gw", "pass word")),
                {"username": "gw", "password": "x", "tls": "starttls"},
            ),
        }
        world.roles = {name: relay for name, (relay, _) in roles.items()}  # type: ignore[attr-defined]
        world.peers += list(world.roles.values())  # type: ignore[attr-defined]
        world.settings["relays"] |= {
            name: {"host": "127.0.0.1", "port": relay.port, **more} | ({"ca_file": authority.ca_file})
            for name, (relay, more) in roles.items()
        }
        world.settings["relays"] |= {
            name: {"host": "127.0.0.1", "port": world.relay.port, "provider": name} for name in PROVIDERS
        }
        label, bad_roles = world.label, ("stranger", "plain", "wrong")
        world.settings["labels"] |= {
            name: label
            | {
                "relays": [name],
                "suppress_on_complaint": False,
                "suppress_on_unsubscribe": False,
                "suppress_on_hard_bounce": False,
            }
            | ({"email_deadline": "3s"} if name in bad_roles else {})
            for name in (*roles, *PROVIDERS)
        }
        key = ec.generate_private_key(ec.SECP256R1())
        world.sendgrid_key = key  # type: ignore[attr-defined]
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        world.settings["esp"] = {
            "sendgrid": {"secret": "sg-secret", "public_key": base64.b64encode(public).decode()},
            "mailgun": {"secret": "mg-secret", "signing_key": SIGNING_KEY},
            "postmark": {"secret": "pm-secret", "username": "u", "password": "p"},
            "mailjet": {"secret": "mj-secret-long-enough"},
            "sparkpost": {"secret": "sp-secret-long-enough"},
        }
        world.write()
        world.daemon.start(ready=False)
        yield world


def _context(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.files("127.0.0.1"))
    return context


def send(world: Outside, label: str) -> tuple[str, str]:
    """Take an email; its id and its subject."""
    subject = f"subject {uuid.uuid4().hex}"
    answer = world.post(f"/{label}/email", world.email_fields(subject=subject)).json
    assert answer["error_code"] == 0, answer
    return answer["ext_message_id"], subject


@pytest.mark.parametrize("role", ["starttls", "implicit", "login"])
def test_a_relay_whose_certificate_is_the_operators(world: Outside, role: str) -> None:
    """ca_file; TLS is there before MAIL; AUTH with the user's name."""
    found, _ = send(world, role)
    world.until_heard(found, "accepted")
    mail: Mail = world.roles[role].mails[-1]  # type: ignore[attr-defined]
    assert mail.tls
    assert mail.user == ("gw" if role == "login" else "")


@pytest.mark.parametrize("role", ["stranger", "plain", "wrong"])
def test_what_proves_nothing_gets_no_mail(world: Outside, role: str) -> None:
    """A stranger's certificate, no STARTTLS where it is required, a refused password: failed, and no mail."""
    found, _ = send(world, role)
    world.until_heard(found, "failed", seconds=15)
    assert world.roles[role].mails == []  # type: ignore[attr-defined]


def test_an_https_callback_is_verified_against_the_system_store() -> None:
    """SSL_CERT_FILE: with our authority in it the status comes, without it each try ends in the handshake."""
    with Outside() as world:
        authority = Authority(world.directory)
        secure = Smartico(_context(authority))
        world.peers.append(secure)
        world.label |= {"callback_url": secure.url, "callback_http": False}
        world.write()
        world.daemon.environment = {"SSL_CERT_FILE": authority.ca_file}
        world.daemon.start()
        found = world.sms(callback_url=None)["ext_message_id"]
        until(lambda: secure.statuses(found) == ["accepted", "delivered"])
        assert world.daemon.terminate() == 0
        world.daemon.environment = {}
        world.daemon.start()
        assert secure.refused == 0
        found = world.sms(callback_url=None)["ext_message_id"]
        until(lambda: secure.refused >= 2)
        assert secure.statuses(found) == []


# ── ESP events ──


def token(provider: str, mail: Mail) -> str:
    """Our token, where this provider has it from."""
    parsed = mail.parsed
    if provider == "sendgrid":
        return str(json.loads(parsed["X-SMTPAPI"])["unique_args"]["gw"])
    if provider == "mailgun":
        return str(json.loads(parsed["X-Mailgun-Variables"])["gw"])
    if provider == "postmark":
        return str(parsed["X-PM-Metadata-gw"])
    if provider == "mailjet":
        return str(parsed["X-MJ-CustomID"])
    return str(json.loads(parsed["X-MSYS-API"])["metadata"]["gw"])


def event(provider: str, name: str, mark: str) -> Any:
    """A delivery, a hard bounce or a complaint as the provider words it."""
    unique = uuid.uuid4().hex
    if provider == "sendgrid":
        return [
            {
                "event": {"delivered": "delivered", "bounce": "bounce", "complaint": "spamreport"}[name],
                "gw": mark,
                "sg_event_id": unique,
                "timestamp": int(time.time()),
                "email": "anna@players.example",
                "status": "5.1.1",
                "type": "bounce",
                "reason": "550 5.1.1 unknown",
            }
        ]
    if provider == "mailgun":
        stamp, nonce = str(int(time.time())), uuid.uuid4().hex + uuid.uuid4().hex[:18]
        signed = hmac.new(SIGNING_KEY.encode(), (stamp + nonce).encode(), hashlib.sha256).hexdigest()
        data = {
            "event": {"delivered": "delivered", "bounce": "failed", "complaint": "complained"}[name],
            "id": unique,
            "timestamp": time.time(),
            "user-variables": {"gw": mark},
            "severity": "permanent",
            "reason": "bounce",
            "delivery-status": {"code": 550, "message": "5.1.1 unknown"},
        }
        return {"signature": {"timestamp": stamp, "token": nonce, "signature": signed}, "event-data": data}
    if provider == "postmark":
        kinds = {
            "delivered": {"RecordType": "Delivery"},
            "bounce": {"RecordType": "Bounce", "Type": "HardBounce", "TypeCode": 1, "ID": 42, "Inactive": True},
            "complaint": {"RecordType": "SpamComplaint", "Type": "SpamComplaint", "TypeCode": 512, "ID": 43},
        }
        return kinds[name] | {
            "MessageID": unique,
            "Recipient": "anna@players.example",
            "Metadata": {"gw": mark},
            "DeliveredAt": "2026-01-01T00:00:00Z",
            "BouncedAt": "2026-01-01T00:00:00Z",
        }
    if provider == "mailjet":
        return [
            {
                "event": {"delivered": "sent", "bounce": "bounce", "complaint": "spam"}[name],
                "time": int(time.time()),
                "MessageID": int(unique[:12], 16),
                "email": "anna@players.example",
                "CustomID": mark,
                "hard_bounce": True,
                "error_related_to": "recipient",
                "error": "user unknown",
            }
        ]
    inner = {
        "delivered": ("message_event", "delivery"),
        "bounce": ("message_event", "bounce"),
        "complaint": ("message_event", "spam_complaint"),
    }
    kind, word = inner[name]
    return [
        {
            "msys": {
                kind: {
                    "type": word,
                    "event_id": unique,
                    "rcpt_meta": {"gw": mark},
                    "bounce_class": "10",
                    "raw_reason": "550 5.1.1 unknown",
                    "timestamp": str(int(time.time())),
                }
            }
        }
    ]


SECRETS = {
    "sendgrid": "sg-secret",
    "mailgun": "mg-secret",
    "postmark": "pm-secret",
    "mailjet": "mj-secret-long-enough",
    "sparkpost": "sp-secret-long-enough",
}


def post(world: Outside, provider: str, content: Any, *, secret: str = "", forge: bool = False) -> Reply:
    """Hand the event in as the provider does."""
    body = json.dumps(content).encode()
    heads = {"Content-Type": "application/json"}
    if provider == "sendgrid":
        stamp = str(int(time.time()))
        key = ec.generate_private_key(ec.SECP256R1()) if forge else world.sendgrid_key  # type: ignore[attr-defined]
        heads["X-Twilio-Email-Event-Webhook-Timestamp"] = stamp
        signature = key.sign(stamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        heads["X-Twilio-Email-Event-Webhook-Signature"] = base64.b64encode(signature).decode()
    if provider == "postmark":
        heads["Authorization"] = "Basic " + base64.b64encode(b"u:x" if forge else b"u:p").decode()
    return world.http("POST", f"/esp/{provider}/{secret or SECRETS[provider]}", body, heads, world.public)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("name", "wanted"),
    [("delivered", ["delivered"]), ("bounce", ["failed"]), ("complaint", ["delivered", "complained"])],
)
def test_an_event_becomes_its_status(world: Outside, provider: str, name: str, wanted: list[str]) -> None:
    """Once, however often it is repeated; a wrong secret, a forged proof and a foreign token change nothing."""
    found, subject = send(world, provider)
    world.until_heard(found, "accepted")
    mail = next(mail for mail in world.relay.mails if mail.parsed["Subject"] == subject)
    content = event(provider, name, token(provider, mail))
    post(world, provider, content, secret="wrong")
    if provider in ("sendgrid", "postmark"):
        assert post(world, provider, content, forge=True).status in (401, 403, 404)
    post(world, provider, event(provider, name, "a" * 47))
    world.told(found, "accepted")
    for _ in range(2):
        assert post(world, provider, content).status in (200, 202, 204)
    world.told(found, "accepted", *wanted)


def test_rubbish_at_an_esp_path_harms_nobody(world: Outside) -> None:
    """Never a failure inside, and the daemon reloads and works on."""
    for provider in (*PROVIDERS, "ses", "nothing"):
        for body in (b"", b"{", b"[]", b"{}", b"null", b"\xff", b"[" * 5000, b'[{"event": 1}]'):
            reply = world.http("POST", f"/esp/{provider}/{SECRETS.get(provider, 'x')}", body, {}, world.public)
            assert reply.status < 500, (provider, body, reply)
    assert world.daemon.ended is None
    world.daemon.signal(signal.SIGHUP)
    assert world.sms()["error_code"] == 0

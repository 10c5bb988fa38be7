"""Postal's webhooks: RSA over the raw body, then one event with its payload.

Form and signature as Postal 3 sends them (app/services/webhook_delivery_service.rb, lib/postal/message_db/delivery.rb
and app/lib/message_dequeuer/outgoing_message_processor.rb of postalserver/postal, read 2026-11). Our token comes back
as the message's tag (X-Postal-Tag); where the tag is not ours, the Message-ID says which message it was.
"""

import re
from base64 import b64decode
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from gatewayd.config.pem import rsa_verifying_key
from gatewayd.core.status import Event
from gatewayd.evidence.esp.agents import is_machine
from gatewayd.evidence.esp.event import (
    EspEvent,
    EspRequest,
    Forged,
    Json,
    Settings,
    batch,
    fingerprint,
    first_token,
    is_hard,
    moment,
    plain,
    table,
    text,
)

EVENTS: dict[str, Event | None] = {
    "MessageSent": Event.DELIVERED,  # the recipient's server took it
    "MessageDelayed": None,
    "MessageHeld": None,  # it waits in Postal for a person, who may release it
    "MessageDeliveryFailed": Event.FAILED,
    "MessageBounced": Event.BOUNCED,
    "MessageLoaded": Event.OPENED,
    "MessageLinkClicked": Event.OPENED,
    "DomainDNSError": None,
    "SendLimitApproaching": None,
    "SendLimitExceeded": None,
}

# Nobody tried: the words of Postal for a recipient on its own list, whose mail it holds until a person looks.
_LISTED = frozenset({"MessageHeld", "MessageDeliveryFailed"})
_SUPPRESSED = re.compile(r"suppression list", re.IGNORECASE)


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The event of one request. Raises Forged or Unreadable."""
    verify(request, settings)
    return tuple(_event(item) for item in batch(request.body))


def verify(request: EspRequest, settings: Settings) -> None:
    """Raises Forged unless Postal's key signed this body."""
    key = _public_key(settings.public_key)
    try:
        signature = b64decode(request.headers["x-postal-signature-256"], validate=True)
        key.verify(signature, request.body, PKCS1v15(), SHA256())
    except KeyError:
        raise Forged("not signed with SHA-256") from None
    except (InvalidSignature, ValueError):
        raise Forged("wrong signature") from None


@lru_cache(maxsize=8)
def _public_key(configured: str) -> RSAPublicKey:
    try:
        return rsa_verifying_key(configured)
    except ValueError as error:
        raise Forged(f"the configured public_key {error}") from None


def _event(item: Json) -> EspEvent:
    name, payload = text(item, "event"), table(item, "payload")
    # A bounce names the message that it is about, and the mail that brought it.
    message = table(payload, "original_message") or table(payload, "message")
    details, output = text(payload, "details"), text(payload, "output")
    outgoing = text(message, "direction") != "incoming"
    event = EVENTS.get(name) if outgoing else None
    if outgoing and name in _LISTED and _SUPPRESSED.search(details[:1000]):
        event = Event.REJECTED
    return EspEvent(
        token=first_token([message.get("tag")]),
        event=event,
        key=text(item, "uuid") or fingerprint(item),
        detail=plain(name, text(payload, "status"), details, output, about=message),
        hard=event is Event.FAILED and is_hard(output, details, otherwise=False),
        at=moment(item, "timestamp"),
        machine=is_machine(text(payload, "user_agent")),
        mail_id=text(message, "message_id"),
    )

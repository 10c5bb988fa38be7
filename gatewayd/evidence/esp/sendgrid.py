"""Twilio SendGrid's Event Webhook: ECDSA over timestamp and raw body, then a list of events.

Our token comes back as the unique argument `gw`, which SendGrid puts beside its own keys.
"""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from gatewayd.config.pem import verifying_key
from gatewayd.core.status import Event
from gatewayd.evidence.esp.agents import is_machine
from gatewayd.evidence.esp.event import (
    EspEvent,
    EspRequest,
    Forged,
    Json,
    Settings,
    batch,
    check_age,
    fingerprint,
    is_hard,
    is_true,
    moment,
    plain,
    text,
)

WINDOW = 25 * 3600.0
"""SendGrid repeats what we did not take for 24 hours, under the first signature's time."""

EVENTS: dict[str, Event | None] = {
    "processed": Event.SENT,
    "delivered": Event.DELIVERED,
    "bounce": Event.BOUNCED,
    "dropped": Event.REJECTED,
    "deferred": None,
    "open": Event.OPENED,
    "click": Event.OPENED,
    "spamreport": Event.COMPLAINED,
    "unsubscribe": Event.UNSUBSCRIBED,
    "group_unsubscribe": Event.UNSUBSCRIBED,
    "group_resubscribe": None,
}

# What a bounce is by its `type`: only a real one may come after a delivery.
BOUNCE_TYPES: dict[str, Event] = {"bounce": Event.BOUNCED, "blocked": Event.FAILED, "expired": Event.FAILED}

INVALID = "invalid address"
"""The `bounce_classification` of an address that does not exist."""


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The events of one request. Raises Forged or Unreadable."""
    verify(request, settings)
    return events(request.body)


def verify(request: EspRequest, settings: Settings) -> None:
    """Raises Forged unless SendGrid's key signed this body within the window."""
    key = _public_key(settings.public_key)
    stamp = request.headers.get("x-twilio-email-event-webhook-timestamp", "")
    try:
        signature = base64.b64decode(request.headers["x-twilio-email-event-webhook-signature"], validate=True)
        key.verify(signature, stamp.encode() + request.body, ec.ECDSA(SHA256()))
        when = float(stamp)
    except KeyError:
        raise Forged("not signed") from None
    except (InvalidSignature, binascii.Error, ValueError):
        raise Forged("wrong signature") from None
    check_age(when, request.now, WINDOW)


@lru_cache(maxsize=8)
def _public_key(configured: str) -> ec.EllipticCurvePublicKey:
    try:
        return verifying_key(configured)
    except ValueError as error:
        raise Forged(f"the configured public_key {error}") from None


def events(body: bytes) -> tuple[EspEvent, ...]:
    """The events of a body whose origin is proven. Raises Unreadable."""
    return tuple(_event(item) for item in batch(body))


def _event(item: Json) -> EspEvent:
    name, kind = text(item, "event"), text(item, "type").lower()
    status, reason = text(item, "status"), text(item, "reason", "response")
    event = EVENTS.get(name)
    if event is Event.BOUNCED:
        event = BOUNCE_TYPES.get(kind, Event.FAILED if status.startswith("4") else Event.BOUNCED)
    invalid = text(item, "bounce_classification").lower() == INVALID
    return EspEvent(
        token=text(item, "gw"),
        event=event,
        key=text(item, "sg_event_id") or fingerprint(item),
        detail=plain(name, kind, status, reason, about=item),
        hard=event is Event.BOUNCED and is_hard(status, reason, otherwise=invalid),
        at=moment(item, "timestamp"),
        machine=is_true(item.get("sg_machine_open")) or is_machine(text(item, "useragent")),
        mail_id=text(item, "smtp-id"),
    )

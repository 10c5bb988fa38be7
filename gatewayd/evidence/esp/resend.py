"""Resend's webhooks: Svix's HMAC over id, timestamp and raw body, then one event.

Events: resend.com/docs/webhooks/event-types and .../emails/bounced; signature: docs.svix.com/receiving, "how manual";
read 2026-11. Our token comes back among the mail's headers.
"""

import hmac
import re
from base64 import b64encode

from gatewayd.config.pem import svix_key
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
    fingerprint,
    first_token,
    is_hard,
    moment,
    plain,
    table,
    text,
)

WINDOW = 300.0
"""Svix signs each repeat anew, with its own time."""

EVENTS: dict[str, Event | None] = {
    "email.scheduled": None,
    "email.sent": Event.SENT,
    "email.delivered": Event.DELIVERED,
    "email.delivery_delayed": None,
    "email.bounced": Event.BOUNCED,
    "email.failed": Event.FAILED,
    "email.suppressed": Event.REJECTED,
    "email.complained": Event.COMPLAINED,
    "email.opened": Event.OPENED,
    "email.clicked": Event.OPENED,
    "email.received": None,
}

# What a bounce is by its `type`; those that are not listed are permanent.
BOUNCE_TYPES: dict[str, Event] = {"transient": Event.FAILED, "undetermined": Event.FAILED}

SUPPRESSED = frozenset({"suppressed", "onaccountsuppressionlist"})
"""Values of a bounce's `subType` for which nobody tried."""

_STAMP = re.compile(r"[0-9]{10}")
_MOST_SIGNATURES = 10


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The event of one request. Raises Forged or Unreadable."""
    key = verify(request, settings)
    data = decoded(request.body)
    if not isinstance(data, dict):
        raise Unreadable("the body is not an object")
    return (_event(data, key),)


def verify(request: EspRequest, settings: Settings) -> str:
    """The event's own id. Raises Forged unless Resend's key signed this body within the window."""
    if not settings.signing_key:
        raise Forged("no signing_key is configured")
    key, stamp, given = (
        request.headers.get(f"svix-{name}") or request.headers.get(f"webhook-{name}", "")
        for name in ("id", "timestamp", "signature")
    )
    if not (key and stamp and given):
        raise Forged("not signed")
    if _STAMP.fullmatch(stamp) is None:
        raise Forged("the signature has no time")
    try:
        secret = svix_key(settings.signing_key)
    except ValueError:
        raise Forged("the configured signing_key is not what Resend shows: whsec_ and base64") from None
    signed = f"{key}.{stamp}.".encode() + request.body
    expected = b"v1," + b64encode(hmac.digest(secret, signed, "sha256"))
    # During a change of keys there are several, one for each.
    if not any(hmac.compare_digest(one.encode(), expected) for one in given.split()[:_MOST_SIGNATURES]):
        raise Forged("wrong signature")
    check_age(float(stamp), request.now, WINDOW)
    return key


def _event(item: Json, key: str) -> EspEvent:
    name, data = text(item, "type"), table(item, "data")
    bounce = table(data, "bounce")
    kind, group, words = text(bounce, "type").lower(), text(bounce, "subType").lower(), text(bounce, "message")
    event = EVENTS.get(name)
    if event is Event.BOUNCED:
        event = Event.REJECTED if group in SUPPRESSED else BOUNCE_TYPES.get(kind, event)
    headers = data.get("headers")
    pairs = [one for one in headers if isinstance(one, dict)] if isinstance(headers, list) else []
    agent = text(table(data, "open"), "userAgent") or text(table(data, "click"), "userAgent")
    return EspEvent(
        token=first_token([one.get("value") for one in pairs], table(data, "headers").values(), _tags(data)),
        event=event,
        key=key or fingerprint(item),
        detail=plain(name, kind, group, words, text(table(data, "failed"), "reason"), about=data),
        hard=event is Event.BOUNCED and is_hard(words, otherwise=kind == "permanent"),
        at=moment(item, "created_at"),
        machine=is_machine(agent),
        mail_id=text(data, "message_id") or next((text(one, "value") for one in pairs if _is_mail_id(one)), ""),
    )


def _tags(data: Json) -> list[object]:
    tags = data.get("tags")
    listed = [one.get("value") for one in tags if isinstance(one, dict)] if isinstance(tags, list) else []
    return [*listed, *table(data, "tags").values()]


def _is_mail_id(header: Json) -> bool:
    return text(header, "name").lower() == "message-id"

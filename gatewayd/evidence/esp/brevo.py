"""Brevo's transactional webhooks: one event or a batch of them, proven by Basic credentials.

Events and fields: developers.brevo.com/docs/transactional-webhooks, and for names reference/gettransacemailcontent,
read 2026-11. Our token comes back as `X-Mailin-custom`.
"""

from gatewayd.core.status import Event
from gatewayd.evidence.esp import basic
from gatewayd.evidence.esp.agents import is_machine
from gatewayd.evidence.esp.event import (
    EspEvent,
    EspRequest,
    Json,
    Settings,
    batch,
    fingerprint,
    first_token,
    is_hard,
    moment,
    plain,
    text,
)

EVENTS: dict[str, Event | None] = {
    "request": Event.SENT,
    "sent": Event.SENT,
    "delivered": Event.DELIVERED,
    "hard_bounce": Event.BOUNCED,
    "soft_bounce": Event.FAILED,
    "invalid_email": Event.REJECTED,
    "blocked": Event.REJECTED,
    "error": Event.FAILED,
    "deferred": None,
    "opened": Event.OPENED,
    "unique_opened": Event.OPENED,
    "proxy_open": Event.OPENED,
    "unique_proxy_open": Event.OPENED,
    "click": Event.OPENED,
    "spam": Event.COMPLAINED,
    "complaint": Event.COMPLAINED,
    "unsubscribe": Event.UNSUBSCRIBED,
    "unsubscribed": Event.UNSUBSCRIBED,
    "list_addition": None,
}

MACHINES = frozenset({"proxy_open", "unique_proxy_open"})
"""Pictures that a mail program's proxy fetched, with or without a reader."""

_ADDRESS_IS_BAD = frozenset({"hard_bounce", "invalid_email"})


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The events of one request. Raises Forged or Unreadable."""
    basic.check(request, settings)
    return tuple(_event(item) for item in batch(request.body))


def _event(item: Json) -> EspEvent:
    name, reason = text(item, "event"), text(item, "reason")
    return EspEvent(
        token=first_token([item.get("X-Mailin-custom"), item.get("x-mailin-custom")]),
        event=EVENTS.get(name),
        # Its `id` is the webhook's, not the event's.
        key=fingerprint(item),
        detail=plain(name, reason, about=item),
        hard=name in _ADDRESS_IS_BAD and is_hard(reason, otherwise=True),
        at=moment(item, "ts_event"),
        machine=name in MACHINES or is_machine(text(item, "user_agent")),
        mail_id=text(item, "message-id"),
    )

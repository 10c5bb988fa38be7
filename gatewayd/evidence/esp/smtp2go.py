"""SMTP2GO's webhooks: one event a request, as JSON or as a form, proven by Basic credentials.

Fields: developers.smtp2go.com/docs/webhooks-1, .../webhooks-overview and .../setup-a-webhook, read 2026-11. Our token
comes back where the webhook names our header among its "Email headers"; else the Message-ID says which message it was.
"""

from gatewayd.core.status import Event
from gatewayd.evidence.esp import basic, form
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
    "processed": Event.SENT,
    "delivered": Event.DELIVERED,
    "bounce": Event.FAILED,
    "reject": Event.REJECTED,
    "open": Event.OPENED,
    "click": Event.OPENED,
    "spam": Event.COMPLAINED,
    "unsubscribe": Event.UNSUBSCRIBED,
    "resubscribe": None,
}


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The event of one request. Raises Forged or Unreadable."""
    basic.check(request, settings)
    kind = request.headers.get("content-type", "")
    if form.is_form(kind):
        return (_event(dict(form.pairs(kind, request.body))),)
    return tuple(_event(item) for item in batch(request.body))


def _event(given: Json) -> EspEvent:
    item = {name.lower(): value for name, value in given.items()}
    name, hard = text(item, "event"), text(item, "bounce").lower() == "hard"
    words, context = text(item, "message"), text(item, "context")
    event = EVENTS.get(name)
    if event is Event.FAILED and hard:
        event = Event.BOUNCED
    named = [text(item, "id"), text(item, "email_id"), name, text(item, "time")]
    return EspEvent(
        token=first_token(item.values()),
        event=event,
        key="/".join(named) if all(named) else fingerprint(item),
        # The context of a click is the link, which may hold anything.
        detail=plain(name, text(item, "bounce"), words, "" if event is Event.OPENED else context, about=item),
        hard=event is Event.BOUNCED and is_hard(words, context, otherwise=True),
        at=moment(item, "time"),
        machine=is_machine(text(item, "user-agent")),
        mail_id=text(item, "message-id"),
    )

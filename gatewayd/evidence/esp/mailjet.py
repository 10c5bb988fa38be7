"""Mailjet's Event API: a list of events, or one alone, proven by Basic credentials.

Our token comes back as `CustomID`.
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
    is_hard,
    is_true,
    moment,
    plain,
    text,
)

EVENTS: dict[str, Event | None] = {
    "sent": Event.DELIVERED,
    "bounce": Event.FAILED,
    "blocked": Event.REJECTED,
    "open": Event.OPENED,
    "click": Event.OPENED,
    "spam": Event.COMPLAINED,
    "unsub": Event.UNSUBSCRIBED,
}

# Values of `error` that fault the address itself.
BAD_ADDRESS = frozenset({"user unknown", "mailbox inactive", "invalid domain", "no mail host"})


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The events of one request. Raises Forged or Unreadable."""
    basic.check(request, settings)
    return tuple(_event(item) for item in batch(request.body))


def _event(item: Json) -> EspEvent:
    name, error = text(item, "event"), text(item, "error").lower()
    permanent = is_true(item.get("hard_bounce"))
    event = EVENTS.get(name)
    if error == "greylisted" and not permanent:
        event = None
    elif event is Event.FAILED and permanent:
        event = Event.BOUNCED
    words = text(item, "comment", "smtp_reply")
    named = [text(item, "MessageID", "Message_GUID"), name, text(item, "time")]
    return EspEvent(
        token=text(item, "CustomID"),
        event=event,
        key="/".join(named) if all(named) else fingerprint(item),
        detail=plain(name, error, words, about=item),
        hard=event is Event.BOUNCED and is_hard(words, otherwise=error in BAD_ADDRESS),
        at=moment(item, "time"),
        machine=is_machine(text(item, "agent")),
    )

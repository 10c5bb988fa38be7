"""SparkPost's (Bird's) event webhooks: a list of {"msys": {class: event}}, proven by Basic credentials.

Our token comes back in `rcpt_meta`, as `gw`.
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
    table,
    text,
)

EVENTS: dict[str, Event | None] = {
    "injection": Event.SENT,
    "delivery": Event.DELIVERED,
    "bounce": Event.FAILED,
    "out_of_band": Event.BOUNCED,
    "generation_failure": Event.FAILED,
    "policy_rejection": Event.REJECTED,
    "generation_rejection": Event.REJECTED,
    "delay": None,
    "open": Event.OPENED,
    "initial_open": Event.OPENED,
    "click": Event.OPENED,
    "amp_open": Event.OPENED,
    "amp_click": Event.OPENED,
    "spam_complaint": Event.COMPLAINED,
    "list_unsubscribe": Event.UNSUBSCRIBED,
    "link_unsubscribe": Event.UNSUBSCRIBED,
}

# Bounce classes that say what really happened, whatever the event's type.
CLASSES: dict[str, Event | None] = {
    "60": None,  # auto-reply
    "80": None,  # subscribe
    "90": Event.UNSUBSCRIBED,
    "100": None,  # challenge and response
}

NOT_TRIED = frozenset({"25", "26"})
"""Classes of a bounce that is SparkPost's own: an address on its suppression list, another policy of the account's, and
Smart Send (support.sparkpost.com/docs/tech-resources/preparing-for-async-suppressions, read 2026-11).
"""

PERMANENT = frozenset({"10", "30"})
"""Invalid recipient, and no such recipient: the classes that SparkPost calls hard."""

_BOUNCES = frozenset({"bounce", "out_of_band"})

_NOT_SPAM = "not-spam"
"""A feedback report (RFC 5965, section 7.3) of somebody who says that the mail is none."""

# The picture at the top of a mail: prefetchers load it, and `open` follows where a person does.
_MACHINE_TYPES = frozenset({"initial_open"})


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The events of one request; pings have none. Raises Forged or Unreadable."""
    basic.check(request, settings)
    found = []
    for item in batch(request.body):
        found += [_event(event) for event in table(item, "msys").values() if isinstance(event, dict)]
    return tuple(found)


def _event(item: Json) -> EspEvent:
    name, group = text(item, "type"), text(item, "bounce_class")
    reason = text(item, "raw_reason", "reason")
    event = EVENTS.get(name)
    if event is not None and group in CLASSES:
        event = CLASSES[group]
    elif name == "bounce" and group in NOT_TRIED:
        event = Event.REJECTED
    elif name in _BOUNCES and group in PERMANENT:
        event = Event.BOUNCED
    if event is Event.COMPLAINED and text(item, "fbtype").lower() == _NOT_SPAM:
        event = None
    return EspEvent(
        token=text(table(item, "rcpt_meta"), "gw") or text(table(item, "metadata"), "gw"),
        event=event,
        key=text(item, "event_id") or fingerprint(item),
        detail=plain(name, group, text(item, "error_code"), reason, about=item),
        hard=event is Event.BOUNCED and is_hard(reason, otherwise=group in PERMANENT),
        at=moment(item, "timestamp"),
        machine=name in _MACHINE_TYPES or _prefetched(item) or is_machine(text(item, "user_agent")),
    )


def _prefetched(item: Json) -> bool:
    return any(is_true(part.get("is_prefetched")) for part in (item, table(item, "user_agent_parsed")))

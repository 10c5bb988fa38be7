"""Mailchimp Transactional's (Mandrill's) webhooks: HMAC-SHA1 over the URL and the sorted fields of a form of events.

Form and signature: mailchimp.com/developer/transactional/docs/webhooks, as public clients read it, and the batch that
Mandrill's own test sends (gist.github.com/ramonsmits/7563502), 2026-11. Our token comes back in the metadata, as `gw`.
"""

import hmac
from base64 import b64encode

from gatewayd.core.status import Event
from gatewayd.evidence.esp import form
from gatewayd.evidence.esp.agents import is_machine
from gatewayd.evidence.esp.event import (
    EspEvent,
    EspRequest,
    Forged,
    Json,
    Settings,
    Unreadable,
    batch,
    fingerprint,
    is_hard,
    moment,
    plain,
    table,
    text,
)

EVENTS: dict[str, Event | None] = {
    "send": Event.SENT,
    "delivered": Event.DELIVERED,
    "deferral": None,
    "hard_bounce": Event.BOUNCED,
    "soft_bounce": Event.FAILED,
    "reject": Event.REJECTED,
    "open": Event.OPENED,
    "click": Event.OPENED,
    "spam": Event.COMPLAINED,
    "unsub": Event.UNSUBSCRIBED,
    "whitelist": None,
    "blacklist": None,
    "inbound": None,
}

BAD_ADDRESS = frozenset({"bad_mailbox", "invalid_domain"})
"""Values of `bounce_description` that fault the address itself."""

FIRST_KEY = "test-webhook"
"""What signs the empty batch by which Mandrill tries a URL, before that has a key of its own."""


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The events of one request. Raises Forged or Unreadable."""
    fields = form.pairs(request.headers.get("content-type", ""), request.body)
    given = request.headers.get("x-mandrill-signature", "")
    events = dict(fields).get("mandrill_events", "")
    if events == "[]" and _signed(given, FIRST_KEY, request.url, fields):
        return ()
    if not settings.signing_key:
        raise Forged("no signing_key is configured")
    if not given:
        raise Forged("not signed")
    if not _signed(given, settings.signing_key, request.url, fields):
        raise Forged("wrong signature: the URL in Mandrill must be [public] base_url and the path, to the letter")
    if not events:
        raise Unreadable("the form has no mandrill_events")
    return tuple(_event(item) for item in batch(events.encode()))


def _signed(given: str, key: str, url: str, fields: list[tuple[str, str]]) -> bool:
    text = url + "".join(name + value for name, value in sorted(fields))
    expected = b64encode(hmac.digest(key.encode(), text.encode("utf-8", "replace"), "sha1"))
    return hmac.compare_digest(given.strip().encode(), expected)


def _event(item: Json) -> EspEvent:
    name, message = text(item, "event", "type"), table(item, "msg")
    words, group = text(message, "diag"), text(message, "bounce_description").lower()
    named = [text(item, "_id") or text(message, "_id"), name, text(item, "ts")]
    return EspEvent(
        token=text(table(message, "metadata"), "gw"),
        event=EVENTS.get(name),
        key="/".join(named) if all(named) else fingerprint(item),
        detail=plain(name, group, words, about=message),
        hard=name == "hard_bounce" and is_hard(words, otherwise=not group or group in BAD_ADDRESS),
        at=moment(item, "ts"),
        machine=is_machine(text(item, "user_agent")),
    )

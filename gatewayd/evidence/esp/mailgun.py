"""Mailgun's webhooks: an HMAC over a timestamp and a token, today's JSON form and the older form fields.

The signature does not cover the event, so its token is the event's key and good for one event only. Our own token
comes back as the user variable `gw`.
"""

import hmac
import re

import msgspec

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
    check_age,
    decoded,
    is_hard,
    moment,
    plain,
    table,
    text,
)

WINDOW = 24 * 3600.0
"""Mailgun repeats what we did not take for 8 hours."""

EVENTS: dict[str, Event | None] = {
    "accepted": Event.SENT,
    "delivered": Event.DELIVERED,
    "failed": Event.BOUNCED,
    "rejected": Event.REJECTED,
    "stored": None,
    "opened": Event.OPENED,
    "clicked": Event.OPENED,
    "complained": Event.COMPLAINED,
    "unsubscribed": Event.UNSUBSCRIBED,
    # The words of before 2018.
    "bounced": Event.BOUNCED,
    "dropped": Event.REJECTED,
}

# What a permanent failure is by its `reason`; "old" says that retries ended.
REASONS: dict[str, Event] = {
    "old": Event.FAILED,
}
ROBOT = "robot"
"""The `client-type` of a scanner, beside browsers and mail programs."""

_STAMP = re.compile(r"[0-9]{10}")

SUPPRESSED = "suppress-"
"""How each `reason` begins that names a suppression list of Mailgun's: nobody tried."""


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The event of one request. Raises Forged or Unreadable."""
    kind = request.headers.get("content-type", "")
    if form.is_form(kind):
        pairs = form.pairs(kind, request.body)
        # Mailgun mixes user variables in: the signature's own fields come last, the event's own first.
        last, first = dict(pairs), dict(reversed(pairs))
        token = verify(last, request.now, settings)
        return (_old_event(first, last, token),)
    data = decoded(request.body)
    if not isinstance(data, dict):
        raise Unreadable("the body is not an object")
    token = verify(table(data, "signature"), request.now, settings)
    return (_event(table(data, "event-data"), token),)


def verify(signature: Json, now: float, settings: Settings) -> str:
    """The signature's own token. Raises Forged unless it is Mailgun's and within the window."""
    if not settings.signing_key:
        raise Forged("no signing_key is configured")
    stamp, token, given = (text(signature, name) for name in ("timestamp", "token", "signature"))
    if not (stamp and token and given):
        raise Forged("not signed")
    expected = hmac.new(settings.signing_key.encode(), f"{stamp}{token}".encode(), "sha256").hexdigest()
    if not hmac.compare_digest(given.lower().encode(), expected.encode()):
        raise Forged("wrong signature")
    # Its other spellings would sign the same event under other names.
    if _STAMP.fullmatch(stamp) is None:
        raise Forged("the signature has no time")
    check_age(float(stamp), now, WINDOW)
    return token


def _event(data: Json, key: str) -> EspEvent:
    name, reason = text(data, "event"), text(data, "reason").lower()
    status, client = table(data, "delivery-status"), table(data, "client-info")
    words = text(status, "message", "description") or text(table(data, "reject"), "reason")
    code = text(status, "enhanced-code")
    return EspEvent(
        token=text(table(data, "user-variables"), "gw"),
        event=_meaning(name, text(data, "severity").lower(), reason),
        key=key,
        detail=plain(name, reason, text(status, "code"), code, words, about=data),
        hard=name == "failed"
        and _meaning(name, text(data, "severity").lower(), reason) is Event.BOUNCED
        and is_hard(code, words, otherwise=text(status, "bounce-type").lower() == "hard"),
        at=moment(data, "timestamp"),
        machine=bool(text(client, "bot"))
        or text(client, "client-type").lower() == ROBOT
        or is_machine(text(client, "user-agent")),
        mail_id=text(table(data, "message", "headers"), "message-id"),
    )


def _meaning(name: str, severity: str, reason: str) -> Event | None:
    event = EVENTS.get(name)
    if name != "failed":
        return event
    if reason.startswith(SUPPRESSED):
        return Event.REJECTED
    return None if severity == "temporary" else REASONS.get(reason, event)


def _old_event(first: dict[str, str], last: dict[str, str], key: str) -> EspEvent:
    name = first.get("event", "")
    event = EVENTS.get(name) if name != "failed" else None
    code = first.get("code", "")
    words = first.get("error") or first.get("notification") or first.get("description", "")
    return EspEvent(
        token=_old_token(last),
        event=event,
        key=key,
        detail=plain(name, first.get("reason", ""), code, words, about=first),
        hard=event is Event.BOUNCED and is_hard(code, words, otherwise=False),
        machine=first.get("client-type", "").lower() == ROBOT or is_machine(first.get("user-agent", "")),
    )


def _old_token(fields: dict[str, str]) -> str:
    if fields.get("gw"):
        return fields["gw"]
    try:
        headers = msgspec.json.decode(fields.get("message-headers", "[]"), type=list[tuple[str, object]])
        for name, value in headers:
            if name.lower() == "x-mailgun-variables" and isinstance(value, str):
                return text(table(msgspec.json.decode(value)), "gw")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    return ""

"""KumoMTA's log hook: one log record or a list of them, proven by Basic credentials where they are configured.

Records: docs.kumomta.com/reference/log_record, read 2026-11. Our token comes back among the `headers` or the `meta`
that the operator's log hook names; else the Message-ID there, or the envelope sender, says which message it was.
"""

from gatewayd.core.status import Event
from gatewayd.evidence.esp import basic
from gatewayd.evidence.esp.event import (
    EspEvent,
    EspRequest,
    Json,
    Settings,
    batch,
    fingerprint,
    first_token,
    is_hard,
    plain,
    table,
    text,
)

RECORDS: dict[str, Event | None] = {
    "Reception": None,  # its 250 told us
    "Rejection": None,  # so did its refusal
    "Delivery": Event.DELIVERED,
    "Bounce": Event.FAILED,
    "Expiration": Event.FAILED,
    "AdminBounce": Event.FAILED,
    "OOB": Event.BOUNCED,
    "Feedback": Event.COMPLAINED,
    "TransientFailure": None,
    "Delay": None,
    "Deferral": None,
    "XferOut": None,
    "XferIn": None,
    "AdminRebind": None,
    "DeferredInjectionRebind": None,
}

# What a Feedback record is by its `feedback_type` (RFC 5965 7.3, RFC 6430, RFC 6591); others are complaints.
FEEDBACK: dict[str, Event | None] = {
    "opt-out": Event.UNSUBSCRIBED,
    "opt-out-list": Event.UNSUBSCRIBED,
    "not-spam": None,
    "auth-failure": None,
    "dmarc": None,
}

BAD_ADDRESS = frozenset({"InvalidRecipient", "BadDomain"})
"""Bounce classes that fault the address where the reply has no enhanced code."""


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The events of one request. Raises Forged or Unreadable."""
    basic.check(request, settings)
    return tuple(_event(item) for item in batch(request.body))


def _event(item: Json) -> EspEvent:
    kind, group = text(item, "type"), text(item, "bounce_classification")
    response, report = table(item, "response"), table(item, "feedback_report")
    words, code = text(response, "content"), _enhanced(response)
    event = RECORDS.get(kind)
    if event is Event.COMPLAINED:
        event = FEEDBACK.get(text(report, "feedback_type").lower(), event)
    elif event is Event.BOUNCED and text(response, "code").startswith(("2", "4")):
        # A report of success or of delay. One that gave up says so with a 5.
        event = None
    headers, meta = table(item, "headers"), table(item, "meta")
    by_name = {name.lower(): value for name, value in headers.items()}
    return EspEvent(
        token=first_token(headers.values(), meta.values(), table(report, "supplemental_trace").values()),
        event=event,
        key=fingerprint(item),
        detail=plain(kind, text(report, "feedback_type"), group, text(response, "code"), code, words, about=item),
        hard=event in (Event.FAILED, Event.BOUNCED) and is_hard(code, words, otherwise=group in BAD_ADDRESS),
        mail_id=text(by_name, "message-id"),
        sender=text(report, "original_mail_from") or text(item, "sender"),
    )


def _enhanced(response: Json) -> str:
    code = table(response, "enhanced_code")
    return ".".join(text(code, name) for name in ("class", "subject", "detail")) if code else ""

"""Postmark's webhooks: one object a request, told apart by RecordType, proven by Basic credentials.

Our token comes back as the metadata field `gw`.
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

RECORDS: dict[str, Event | None] = {
    "Delivery": Event.DELIVERED,
    "Bounce": Event.FAILED,
    "Open": Event.OPENED,
    "Click": Event.OPENED,
    "SpamComplaint": Event.COMPLAINED,
    "SubscriptionChange": Event.UNSUBSCRIBED,
}

# Type of a Bounce or SpamComplaint, and SuppressionReason of a SubscriptionChange.
TYPES: dict[str, Event | None] = {
    "HardBounce": Event.BOUNCED,
    "SoftBounce": Event.FAILED,
    "VirusNotification": Event.FAILED,
    "SMTPApiError": Event.FAILED,
    "TemplateRenderingFailed": Event.FAILED,
    "DnsError": Event.FAILED,
    "BadEmailAddress": Event.REJECTED,
    "ManuallyDeactivated": Event.REJECTED,
    "Blocked": Event.REJECTED,
    "DMARCPolicy": Event.REJECTED,
    "Unconfirmed": Event.REJECTED,
    "SpamComplaint": Event.COMPLAINED,
    "SpamNotification": Event.COMPLAINED,
    "Unsubscribe": Event.UNSUBSCRIBED,
    "ManualSuppression": Event.UNSUBSCRIBED,
    "Transient": None,
    "AutoResponder": None,
    "AddressChange": None,
    "ChallengeVerification": None,
    "OpenRelayTest": None,
    "Subscribe": None,
    "Unknown": None,
    "InboundError": None,
}

_ADDRESS_IS_BAD = frozenset({"HardBounce", "BadEmailAddress"})


def read(request: EspRequest, settings: Settings) -> tuple[EspEvent, ...]:
    """The event of one request. Raises Forged or Unreadable."""
    basic.check(request, settings)
    return tuple(_event(item) for item in batch(request.body))


def _event(item: Json) -> EspEvent:
    record = text(item, "RecordType")
    kind = text(item, "SuppressionReason") if record == "SubscriptionChange" else text(item, "Type")
    details, description = text(item, "Details"), text(item, "Description")
    named = [text(item, "MessageID", "ID"), record, kind]
    when = text(item, "DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")
    return EspEvent(
        token=text(table(item, "Metadata"), "gw"),
        event=_meaning(item, record, kind),
        key="/".join([*named, when]) if named[0] and when else fingerprint(item),
        detail=plain(record, kind, details or description, about=item),
        hard=kind in _ADDRESS_IS_BAD and is_hard(details, description, otherwise=True),
        at=moment(item, "ReceivedAt"),
        machine=is_machine(text(item, "UserAgent")),
    )


def _meaning(item: Json, record: str, kind: str) -> Event | None:
    if record == "SubscriptionChange" and not is_true(item.get("SuppressSending")):
        return None
    if record not in ("Bounce", "SpamComplaint", "SubscriptionChange"):
        return RECORDS.get(record)
    # A temporary trouble with the domain's names ends the message only once Postmark gave the address up.
    if kind == "DnsError" and not is_true(item.get("Inactive")):
        return None
    return TYPES.get(kind, RECORDS[record])

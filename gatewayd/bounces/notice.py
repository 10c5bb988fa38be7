"""Reading Amazon SES notifications that SNS sends as mail: the body is JSON and a footer. Pure.

They reach a return path where an operator subscribed it to the topic. The events that come by HTTP are esp/ses.py's.
"""

import msgspec
from msgspec import Struct, field

from gatewayd.bounces.parts import Mail
from gatewayd.bounces.reading import BounceReading, Kind, first_address
from gatewayd.bounces.reasons import code_in, is_hard

_KINDS: dict[str, Kind] = {
    "Bounce": Kind.FAILED,
    "Delivery": Kind.DELIVERED,
    "Complaint": Kind.COMPLAINED,
    "DeliveryDelay": Kind.DELAYED,
}


class _NoticeRecipient(Struct, rename="camel"):
    email_address: str = ""
    action: str = ""
    status: str = ""
    diagnostic_code: str = ""


class _Bounce(Struct, rename="camel"):
    bounced_recipients: list[_NoticeRecipient] = []
    reporting_mta: str = field(default="", name="reportingMTA")


class _Delivery(Struct, rename="camel"):
    recipients: list[str] = []
    smtp_response: str = ""
    reporting_mta: str = field(default="", name="reportingMTA")


class _Complaint(Struct, rename="camel"):
    complained_recipients: list[_NoticeRecipient] = []
    complaint_feedback_type: str | None = None


class _Delay(Struct, rename="camel"):
    delayed_recipients: list[_NoticeRecipient] = []


class _Notice(Struct, rename="camel"):
    notification_type: str = ""
    event_type: str = ""
    bounce: _Bounce | None = None
    delivery: _Delivery | None = None
    complaint: _Complaint | None = None
    delivery_delay: _Delay | None = None


_DECODER = msgspec.json.Decoder(_Notice)


def read_notice(mail: Mail) -> BounceReading | None:
    """What an SES notification says; None where `mail` is none."""
    # Sendmail breaks lines that are too long with an exclamation mark, and JSON is one line.
    text = mail.text.lstrip().replace("!\n ", "")
    if not text.startswith("{") or "amazonaws" not in (mail.header("from") or "").lower():
        return None
    try:
        notice = _DECODER.decode(text[: text.rfind("}", 0, text.find("\n--\n") + 1 or len(text)) + 1])
    except (msgspec.DecodeError, RecursionError):
        return None
    kind = _KINDS.get(notice.notification_type or notice.event_type)
    return None if kind is None else _verdict(kind, notice)


def _verdict(kind: Kind, notice: _Notice) -> BounceReading:
    bounce, delivery = notice.bounce or _Bounce(), notice.delivery or _Delivery()
    complaint, delay = notice.complaint or _Complaint(), notice.delivery_delay or _Delay()
    recipients = [*bounce.bounced_recipients, *complaint.complained_recipients, *delay.delayed_recipients]
    one = recipients[0] if recipients else _NoticeRecipient()
    said = one.diagnostic_code or delivery.smtp_response
    status = one.status or code_in(said) or _success(said)
    return BounceReading(
        kind=kind,
        status=status,
        action=one.action.lower(),
        recipient=first_address(one.email_address or " ".join(delivery.recipients[:1])),
        diagnostic=said[:500],
        hard=kind is Kind.FAILED and is_hard(status, said),
        parsed=True,
        reporting_mta=(bounce.reporting_mta or delivery.reporting_mta).removeprefix("dns;").strip(),
        feedback_type=complaint.complaint_feedback_type or "",
    )


def _success(said: str) -> str:
    return next((word for word in said.split()[:3] if word.startswith("2.") and word.count(".") == 2), "")

"""Who wrote a mail: a mail system, or a person and their auto-responder. Pure.

Auto-Submitted alone decides nothing: mail systems and auto-responders both set it, in every combination.
"""

import re

from gatewayd.bounces import subjects, wording
from gatewayd.bounces.parts import REPORTS, Mail
from gatewayd.bounces.reading import BounceReading, Kind, first_address
from gatewayd.core.phrases import Phrases

_CONVERSATION = re.compile(
    r"\s*(?:(?:re|fwd?|aw|sv|tr|wg|rv|antw|odp|res|vs|ynt|回复|答复|回覆|返信)\s*[:：]\s*)+", re.IGNORECASE
)
_RECEIPTS = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_OTHER_REPORTS = frozenset({"disposition-notification", "feedback-report", "tlsrpt"})
"""What a multipart/report may be about besides delivery (RFC 8098, 5965, 8460)."""
_ANSWERS = ("x-autoreply", "x-autorespond", "x-autoresponse", "x-auto-reply-from", "x-apple-action")


def is_report(mail: Mail) -> bool:
    """Whether it has the form of a delivery report, whatever is in it."""
    stated = mail.parameters.get("report-type", "").lower() if mail.type.startswith("multipart/") else ""
    is_one = stated == "delivery-status" or (mail.type == "multipart/report" and stated not in _OTHER_REPORTS)
    return is_one or any(part.type in REPORTS for part in mail.parts)


def from_daemon(mail: Mail, null_sender: bool | None) -> bool:
    """Whether a mail system wrote this, rather than a person or their auto-responder."""
    sender = mail.header("from") or ""
    if mail.header("x-failed-recipients") or not sender.strip(" <>\"'"):
        return True
    subject = mail.subject
    if _is_answer(mail):
        return False
    if is_report(mail) or _matches(mail, wording.DAEMON):
        return True
    null = null_sender if null_sender is not None else (mail.header("return-path") or "x").strip() == "<>"
    bouncing = subjects.BOUNCE_SUBJECT.search(subject) is not None
    signed = wording.SIGNATURE.search(mail.flat) is not None
    if null or _matches(mail, wording.MAYBE_DAEMON):
        return bouncing or signed
    if not bouncing or _is_conversation(mail):
        return bouncing and signed
    return signed or bool(first_address(mail.flat) or subjects.ABOUT_MAIL.search(subject))


def _matches(mail: Mail, names: Phrases) -> bool:
    return any(names.search(mail.header(field) or "") for field in ("from", "sender"))


def _is_conversation(mail: Mail) -> bool:
    """People quote bounces to each other: "Re: Undelivered mail" is no bounce; "Re: my question : non remis" is one."""
    subject = mail.subject
    opening = _CONVERSATION.match(subject)
    return opening is not None and subjects.BOUNCE_SUBJECT.match(subject, opening.end()) is not None


def _is_answer(mail: Mail) -> bool:
    """A person's auto-responder (RFC 3834) by its subject or its headers; Auto-Submitted alone decides nothing.

    A subject's first words are the writer's own: behind them stands that of the mail which is answered or returned.
    """
    subject = mail.subject
    answering = subjects.AUTO_REPLY_SUBJECT.search(subject)
    bouncing = subjects.BOUNCE_SUBJECT.search(subject)
    if answering is not None and bouncing is None:
        return True
    if _matches(mail, wording.DAEMON):
        return False
    if answering is not None and bouncing is not None:
        return answering.start() < bouncing.start() and not is_report(mail)
    return any(mail.header(name) for name in _ANSWERS) or (
        is_replied(mail) and _CONVERSATION.match(subject) is not None and wording.SIGNATURE.search(mail.flat) is None
    )


def is_replied(mail: Mail) -> bool:
    """Whether it calls itself an automatic answer, and has neither the form nor the sender of a mail system's."""
    stated = (mail.header("auto-submitted") or "").strip().lower().startswith("auto-replied")
    return stated and not (is_report(mail) or _matches(mail, wording.DAEMON) or _matches(mail, wording.MAYBE_DAEMON))


def read_receipt(mail: Mail) -> BounceReading | None:
    """A read receipt (RFC 8098) says nothing of delivery, whatever fields it has."""
    stated = mail.parameters.get("report-type", "").lower() == "disposition-notification"
    return BounceReading() if stated or any(part.type in _RECEIPTS for part in mail.parts) else None


def read_answer(mail: Mail, null_sender: bool | None) -> BounceReading | None:
    """A person's auto-reply says nothing of delivery, whatever words it uses."""
    if _is_answer(mail) and not from_daemon(mail, null_sender):
        return read_auto_reply(mail)
    return None


def read_auto_reply(mail: Mail) -> BounceReading | None:
    """An answer that nobody wrote for this mail; whoever asks has ruled out that it is a bounce."""
    submitted = (mail.header("auto-submitted") or "no").strip().lower()
    precedence = (mail.header("precedence") or "").strip().lower()
    on_something = submitted != "no" and any(mail.header(name) for name in ("in-reply-to", "references"))
    if (
        submitted.startswith("auto-replied")
        or on_something
        or precedence in ("auto_reply", "auto-reply")
        or _is_answer(mail)
    ):
        return BounceReading(kind=Kind.AUTO_REPLY, recipient=first_address(mail.header("from") or ""))
    return None

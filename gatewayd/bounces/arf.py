"""Reading complaints: feedback reports (ARF, RFC 5965 and 6591) and Microsoft's JMRP mails, which are none. Pure."""

import re

from gatewayd.bounces.parts import Mail, header_fields
from gatewayd.bounces.reading import BounceReading, Kind, first_address

FEEDBACK: dict[str, Kind] = {
    "abuse": Kind.COMPLAINED,
    "fraud": Kind.COMPLAINED,
    "virus": Kind.COMPLAINED,
    "other": Kind.COMPLAINED,
    "miscategorized": Kind.COMPLAINED,
    "opt-out": Kind.UNSUBSCRIBED,
    "opt-out-list": Kind.UNSUBSCRIBED,
    "not-spam": Kind.NONE,
    "auth-failure": Kind.NONE,
    "dmarc": Kind.NONE,
}
"""Feedback-Type to what it means. RFC 5965 section 3.2: one that is not known is read as "other"; so is none at all."""

_FEEDBACK = re.compile(r"^[ \t]*feedback-type[ \t]*:[ \t]*\"?([a-z-]+)", re.IGNORECASE | re.MULTILINE)
_REPORT = "message/feedback-report"
_ABOUT_A_MAIL = re.compile(
    r"^[ \t]*(?:user-agent|version|original-[a-z-]+|source-ip)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_FIELD = re.compile(r"^[ \t]*([a-z-]+)[ \t]*:[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)
_RECIPIENT_FIELDS = ("original-rcpt-to", "removal-recipient", "original-recipient", "x-original-rcpt-to")
_MICROSOFT = "x-hmxmroriginalrecipient"
_MICROSOFT_HEADER = re.compile(rf"^[ \t]*{_MICROSOFT}[ \t]*:[ \t]*(.*)$", re.IGNORECASE | re.MULTILINE)
_MICROSOFT_SUBJECT = re.compile(r"^\W*complaint about message from\b", re.IGNORECASE)
_LISTED_BY_RECIPIENT = (_MICROSOFT, "to", "x-original-to", "delivered-to")
_UNSUBSCRIBE_SUBJECT = re.compile(r"\s*unsubscribe(?:\s+[a-z2-7]{60,400})?\s*", re.IGNORECASE)
_UNSUBSCRIBE_TEXT = re.compile(r"\bto unsubscribe\b|\A\s*unsubscribe\s*\Z", re.IGNORECASE)


def read_complaint(mail: Mail) -> BounceReading | None:
    """What a feedback report says; None where `mail` is none."""
    for part in mail.parts:
        found = _FEEDBACK.search(part.text) if _may_hold_feedback(mail, part.type) else None
        if found is not None:
            return _from_report(mail, part.text, found.group(1).lower())
    untold = next((part for part in mail.parts if part.type == _REPORT and _ABOUT_A_MAIL.search(part.text)), None)
    if untold is not None:
        return _from_report(mail, untold.text, "")
    returned = _MICROSOFT in mail.returned.lower() and _MICROSOFT_HEADER.search(mail.returned)
    if not returned and not _MICROSOFT_SUBJECT.search(mail.subject) and mail.header(_MICROSOFT) is None:
        return None
    if not (mail.returned or mail.type.startswith("multipart/")):
        return None
    return BounceReading(kind=Kind.COMPLAINED, feedback_type="abuse", parsed=True, recipient=_returned_recipient(mail))


def read_unsubscription(mail: Mail) -> BounceReading | None:
    """What a mail program sends to a List-Unsubscribe mailto: subject and text ask for nothing else.

    Apple's marks it `Auto-Submitted: auto-replied`, so that header can't tell it from an auto-reply.
    """
    if not _UNSUBSCRIBE_SUBJECT.fullmatch(mail.subject):
        return None
    if not _UNSUBSCRIBE_TEXT.search(mail.text[:2000]):
        return None
    return BounceReading(kind=Kind.UNSUBSCRIBED, recipient=first_address(mail.header("from") or ""))


def _may_hold_feedback(mail: Mail, kind: str) -> bool:
    """Some send the report as plain text inside the multipart/report; a lone text about one is not one."""
    return kind == _REPORT or (
        mail.parameters.get("report-type", "").lower() == "feedback-report"
        and kind.startswith(("text/plain", "message/"))
    )


def _from_report(mail: Mail, text: str, word: str) -> BounceReading:
    fields: dict[str, str] = {}
    for match in _FIELD.finditer(text):
        fields.setdefault(match.group(1).lower(), match.group(2).strip())
    named = next((first_address(fields[name]) for name in _RECIPIENT_FIELDS if first_address(fields.get(name, ""))), "")
    if not word and "auth-failure" in fields:
        word = "auth-failure"
    return BounceReading(
        kind=FEEDBACK.get(word, Kind.COMPLAINED),
        feedback_type=word,
        parsed=True,
        recipient=named or _returned_recipient(mail),
        reporting_mta=fields.get("reporting-mta", ""),
        envelope_id=fields.get("original-envelope-id", ""),
        diagnostic=fields.get("auth-failure", "") or fields.get("user-agent", ""),
    )


def _returned_recipient(mail: Mail) -> str:
    fields = dict(reversed(header_fields(mail.returned)))
    own = mail.header(_MICROSOFT)
    if own:
        return first_address(own)
    return next(
        (first_address(fields[name]) for name in _LISTED_BY_RECIPIENT if first_address(fields.get(name, ""))), ""
    )

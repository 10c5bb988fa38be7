"""Reading a bounce that is written for people: from before RFC 3464, or from a system that never heard of it. Pure."""

import re

from gatewayd.bounces import again, subjects, wording
from gatewayd.bounces.parts import MAX_PROSE, Mail, header_fields
from gatewayd.bounces.reading import BounceReading, Kind, first_address
from gatewayd.bounces.reasons import code_in, is_hard
from gatewayd.bounces.senders import from_daemon, is_replied
from gatewayd.core.addresses import ADDRESS
from gatewayd.core.phrases import plain
from gatewayd.core.redact import whole_words


def read_prose(mail: Mail, null_sender: bool | None) -> BounceReading | None:
    """A bounce from before RFC 3464, or from a system that never heard of it."""
    story, flat = mail.story, mail.flat
    subject = mail.subject
    daemon = from_daemon(mail, null_sender)
    if not daemon and not (wording.SIGNATURE.search(flat) and subjects.BOUNCE_SUBJECT.search(subject)):
        return None
    kind = _kind_of_report(subject) or kind_of(story)
    if kind is Kind.NONE and is_replied(mail):
        # Its subject is that of the mail which it answers.
        return None
    if kind is Kind.NONE:
        kind = Kind.DELAYED if subjects.WARNING_SUBJECT.search(subject) else kind_of(subject)
    if kind is Kind.NONE and len(story) < len(mail.text):
        # Some show the returned mail first and the reason below it.
        story = mail.text[:MAX_PROSE]
        kind = kind_of(story)
    if kind is Kind.NONE and not mail.text.strip() and subjects.NEUTRAL_SUBJECT.search(subject):
        return None
    if kind is Kind.NONE and (mail.header("x-failed-recipients") or subjects.BOUNCE_SUBJECT.search(subject)):
        # In a language that the tables lack; a warning or a success would have said so in its subject.
        kind = Kind.FAILED
    if kind is Kind.NONE:
        return None
    words = f"{flat} {subject}"
    status = code_in(flat) or code_in(subject)
    if kind is Kind.DELIVERED:
        status = ""
    return BounceReading(
        kind=kind,
        status=status,
        recipient=recipient_of(mail, story),
        diagnostic=_excerpt(flat),
        hard=kind is Kind.FAILED and is_hard(status, words),
    )


def _kind_of_report(subject: str) -> Kind | None:
    """What its subject alone says beyond doubt."""
    if subjects.SUCCESS_SUBJECT.search(subject):
        return Kind.DELIVERED
    return Kind.DELAYED if kind_of(subject) is Kind.DELAYED else None


def kind_of(text: str) -> Kind:
    """Delay before failure: a warning quotes the failure that it warns of. Success needs that nothing failed."""
    flat = plain(text[:MAX_PROSE])
    if again.DELAY.search(again.NO_DELAY.without(flat)):
        return Kind.DELAYED
    if wording.FAILURE.search(wording.NO_FAILURE.without(flat)):
        return Kind.FAILED
    if wording.DELIVERED.search(flat):
        return Kind.DELIVERED
    return Kind.NONE


def _excerpt(flat: str) -> str:
    """The words that matter for a person: from the first that tells of a failure."""
    found = wording.FAILURE.search(flat)
    start = max(0, found.start() - 80) if found else 0
    # No half words: what is left of an address would not be known again.
    start = flat.find(" ", start) + 1 if start else 0
    return whole_words(flat[start:], 300).strip()


_MESSAGE_ID = re.compile(r"^[ \t>]*message-id[ \t]*:.*$", re.IGNORECASE | re.MULTILINE)
_CERTAIN_LINES = (
    re.compile(r"^[ \t]*<([^<>\s]{1,320})>[ \t]*:", re.MULTILINE),
    re.compile(r"^[ \t]*([^<>\s:@]{1,64}@[^<>\s:@]{1,255})[ \t]*:[ \t]*$", re.MULTILINE),
    re.compile(
        r"\b(?:deliver\w*|mail|message|sent)\b[^\n<>@]{0,30} to:? ?<([^<>\s@]{1,64}@[^<>\s@]{1,255})>", re.IGNORECASE
    ),
    re.compile(r"\bRCPT TO:? ?[:<] ?<?([^<>\s@]{1,320}@[^<>\s@]{1,255})>", re.IGNORECASE),
)
"""Forms that name the failed address and nothing else, even where it is also in this mail's own headers."""

_LIKELY_LINES = (
    re.compile(r"\bSMTP=([^<>\s;@]{1,64}@[^<>\s;@]{3,255})", re.IGNORECASE),
    re.compile(
        r"(?:unknown (?:user|recipient)|user unknown|recipient|addressee|failed address|delivery to|deliver to|"
        r"invalid (?:address|final delivery userid)|address(?:ed(?: to)?,)?|user|mailbox|account|empfänger|"
        r"destinataire|destinatario|получател\w{1,4})[ \t]*[,:\"'<(]+[ \t]*<?([^<>\s\"'@]{1,64}@[^<>\s\"'@]{3,255})",
        re.IGNORECASE,
    ),
    re.compile(
        r"^[ \t*-]*<?([^<>\s:;,\"'@]{1,64}@[^<>\s:;,\"'@]{3,255})>?[ \t]*(?:$|:|\.\.\.|,|;|[\[(-])",
        re.MULTILINE,
    ),
)


def recipient_of(mail: Mail, story: str) -> str:
    """The address that failed: by a header, by a line's form, the first in the text, or the original's To.

    The addresses that this mail itself goes to and comes from are ours and the daemon's.
    """
    stated = first_address(" ".join(mail.values("x-failed-recipients")))
    if stated:
        return stated
    own = {
        address.lower()
        for name in ("from", "to", "sender", "reply-to", "return-path", "delivered-to", "x-original-to", "errors-to")
        for value in mail.values(name)
        for address in ADDRESS.findall(value)
    }
    story = _MESSAGE_ID.sub(" ", story[:MAX_PROSE])
    for pattern in (*_CERTAIN_LINES, *_LIKELY_LINES):
        for match in pattern.finditer(story):
            address = first_address(match.group(1))
            if address and (pattern in _CERTAIN_LINES or address.lower() not in own):
                return address
    for match in ADDRESS.finditer(story):
        address = match.group(1).strip(".'")
        if address.lower() not in own and not wording.DAEMON.search(address):
            return address
    return _original_recipient(mail)


def _original_recipient(mail: Mail) -> str:
    fields = dict(reversed(header_fields(mail.returned)))
    named = (first_address(fields.get(name, "")) for name in ("to", "x-original-to", "delivered-to"))
    return next(filter(None, named), "")

"""Reading returned mail: which fact it states, of which recipient, and why. Pure, tolerant, never raises.

`judge` is the table of contents. A machine-readable block (RFC 3464, 6533) is believed wherever it lies; prose is only
believed from a mail system. Whose message it is about is not decided here: that is in the signed return path.
"""

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import chain, islice

from msgspec.structs import replace

from gatewayd.bounces import again
from gatewayd.bounces.arf import read_complaint, read_unsubscription
from gatewayd.bounces.notice import read_notice
from gatewayd.bounces.parts import REPORTS, Mail, take_apart
from gatewayd.bounces.prose import kind_of, read_prose, recipient_of
from gatewayd.bounces.reading import BounceReading, Kind, first_address
from gatewayd.bounces.reasons import code_in, is_hard, precision
from gatewayd.bounces.senders import from_daemon, is_report, read_answer, read_auto_reply, read_receipt
from gatewayd.core.enhanced_codes import HARD
from gatewayd.core.phrases import plain
from gatewayd.core.redact import whole_words

Block = dict[str, str]

ACTIONS: dict[str, Kind] = {
    "failed": Kind.FAILED,
    "failure": Kind.FAILED,
    "fail": Kind.FAILED,
    "error": Kind.FAILED,
    "expired": Kind.FAILED,
    "bounced": Kind.FAILED,
    "rejected": Kind.FAILED,
    "delayed": Kind.DELAYED,
    "delay": Kind.DELAYED,
    "deferred": Kind.DELAYED,
    "delivered": Kind.DELIVERED,
    "expanded": Kind.DELIVERED,
    "relayed": Kind.RELAYED,
    "deliverable": Kind.NONE,
    "undeliverable": Kind.NONE,
}
"""The word in Action decides the kind, not the class of Status: an expired message fails with 4.4.1. The last two are
the answers to address probes."""

_BY_CLASS = {"2": Kind.DELIVERED, "4": Kind.DELAYED, "5": Kind.FAILED}
_GOOD = frozenset({Kind.DELIVERED, Kind.RELAYED})
_WEIGHT = {Kind.FAILED: 0, Kind.DELAYED: 1, Kind.RELAYED: 2, Kind.DELIVERED: 3, Kind.NONE: 4}

_FIELDS = (
    "action|status|final-recipient|original-recipient|diagnostic-code|remote-mta|reporting-mta|arrival-date|"
    "last-attempt-date|will-retry-until|original-envelope-id|received-from-mta|dsn-gateway|final-log-id|"
    "x-[a-z0-9-]{1,60}"
)
_FIELD = re.compile(rf"[ \t]{{0,8}}({_FIELDS})[ \t]*:[ \t]*(.*)", re.IGNORECASE)
_ANY_FIELD = re.compile(r"[ \t]{0,3}([A-Za-z][A-Za-z0-9-]{1,60})[ \t]*:[ \t]*(.*)")
_RECIPIENTS = ("final-recipient", "original-recipient")
_REPEATED = frozenset({"action", "final-recipient"})
_WORD = re.compile(r"[a-z]+")
_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
_TYPED = re.compile(r"\s*(?:rfc-?822|utf-8|unknown|smtp|x400|rfc2821|lotus|mts)\s*;\s*(.*)", re.IGNORECASE)
_UTF8_XTEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_EXPIRED = ".4.7"
_REASON = 3  # of precision
_MAX_BLOCKS = 50  # about recipients, of one report
_MAX_VALUE = 2048  # characters of a field
_MAX_WORDS = 2048  # characters of a mail that are read beside its blocks


def judge(mail: Mail, *, null_sender: bool | None = None) -> BounceReading:
    """What a mail says. `null_sender`: whether MAIL FROM was empty; None: its Return-Path says so.

    Bounded in time and memory by the limits in parts.py, whatever the mail holds.
    """
    mail = _unwrapped(mail, null_sender)
    return (
        read_complaint(mail)
        or read_notice(mail)
        or read_unsubscription(mail)
        or read_receipt(mail)
        or _from_blocks(mail, null_sender)
        or read_answer(mail, null_sender)
        or read_prose(mail, null_sender)
        or read_auto_reply(mail)
        or BounceReading()
    )


def _unwrapped(mail: Mail, null_sender: bool | None) -> Mail:
    """Some filters wrap a whole report into a mail of their own that says nothing, or add a footer to it."""
    if "delivery-status" not in mail.returned or _has_report_part(mail):
        return mail
    if not (is_report(mail) or from_daemon(mail, null_sender)):
        return mail
    inner = take_apart(mail.returned.encode("utf-8", "replace"))
    return inner if _has_report_part(inner) else mail


def _has_report_part(mail: Mail) -> bool:
    return any(part.type in REPORTS for part in mail.parts)


# --- machine-readable blocks ------------------------------------------------------------------------------------------


def _from_blocks(mail: Mail, null_sender: bool | None) -> BounceReading | None:
    reports = (part.text for part in mail.parts if part.type in REPORTS)
    blocks = list(islice(chain.from_iterable(_blocks(text, _ANY_FIELD) for text in reports), _MAX_BLOCKS))
    if not any(map(_about_recipient, blocks)) and (is_report(mail) or from_daemon(mail, null_sender)):
        text = "\n\n".join(part.text for part in mail.parts)
        blocks = [*blocks, *islice(_blocks(text, _FIELD), _MAX_BLOCKS)]
    whole: Block = next((block for block in blocks if "reporting-mta" in block), {})
    telling = _Telling(mail)
    verdicts = [_verdict(telling, block, whole) for block in blocks if _about_recipient(block)]
    if not verdicts:
        return None
    worst = min(verdicts, key=lambda verdict: _WEIGHT[verdict.kind])
    return replace(worst, others=tuple(one for one in verdicts if one is not worst)) if len(verdicts) > 1 else worst


class _Telling:
    """What the text for people says beside the blocks, found out once for all of them and only where one needs it."""

    def __init__(self, mail: Mail) -> None:
        self._mail = mail

    @cached_property
    def delayed(self) -> bool:
        return kind_of(self._mail.story) is Kind.DELAYED

    def given_up(self, diagnostic: str, *, expired: bool) -> bool:
        """Whether a mail that is called delayed will not be tried again: OpenSMTPD says of an expired one no more.

        `expired`: its code says so. The far end's own words, quoted as the diagnostic, may say that it gives up: that
        is not the writer.
        """
        if diagnostic:
            return again.EXPIRED.search(diagnostic) is not None
        text = self._mail.flat
        if again.EXPIRED.search(text) is not None:
            # OpenSMTPD says of what it has just thrown away that it is kept for up to 7 days. Without that code it may
            # be the subject of the mail.
            return expired or not self.delayed
        return again.GIVEN_UP.search(again.CONDITION.without(text)) is not None and not self.delayed

    @cached_property
    def recipient(self) -> str:
        return recipient_of(self._mail, self._mail.story)

    @cached_property
    def words(self) -> str:
        return self._mail.flat[:_MAX_WORDS]


def _about_recipient(block: Block) -> bool:
    named = not block.keys().isdisjoint(_RECIPIENTS)
    return ("action" in block and (named or "status" in block)) or (named and "status" in block)


def _blocks(text: str, field: re.Pattern[str]) -> Iterator[Block]:
    """Groups of fields. A blank line ends one, and so does a field that a recipient has only once."""
    block: Block = {}
    last = ""
    for line in text.split("\n"):
        found = field.match(line) if ":" in line else None
        if found is None:
            if line[:1] in (" ", "\t") and last and line.strip():
                if len(block[last]) < _MAX_VALUE:
                    block[last] = f"{block[last]} {line.strip()}"[:_MAX_VALUE]
            elif block:
                yield block
                block, last = {}, ""
            continue
        name, value = found[1].lower(), found[2].strip()
        if name in _REPEATED and name in block:
            yield block
            # What was said of the whole message stays with the block that said it.
            block = {}
        last = name
        block.setdefault(name, value[:_MAX_VALUE])
    if block:
        yield block


def _verdict(telling: _Telling, block: Block, whole: Block) -> BounceReading:
    diagnostic = " ".join(block.get("diagnostic-code", "").split())
    action = (_WORD.findall(block.get("action", "").lower()) or [""])[0]
    status = _status(block.get("status", ""), "" if ACTIONS.get(action) in _GOOD else diagnostic)
    kind = ACTIONS.get(action) or _BY_CLASS.get(status[:1], Kind.FAILED)
    if kind is Kind.FAILED and action not in ACTIONS and telling.delayed:
        kind = Kind.DELAYED
    if (
        kind is Kind.DELAYED
        and _may_be_over(block, status)
        and telling.given_up(diagnostic, expired=status.endswith(_EXPIRED))
    ):
        kind = Kind.FAILED
    recipient = next((found for name in _RECIPIENTS if (found := _typed_address(block.get(name, "")))), "")
    return BounceReading(
        kind=kind,
        status=status,
        action=action,
        recipient=recipient or telling.recipient,
        diagnostic=whole_words(diagnostic or " ".join(block.get("status", "").split()), 500),
        hard=kind is Kind.FAILED and is_hard(status, _words(telling, block, status, diagnostic)),
        parsed=True,
        remote_mta=_typed(block.get("remote-mta", "")),
        reporting_mta=_typed(whole.get("reporting-mta", "")),
        envelope_id=whole.get("original-envelope-id", ""),
        will_retry_until=block.get("will-retry-until", ""),
    )


def _may_be_over(block: Block, status: str) -> bool:
    """Whether a delayed mail's code says that its time is up, or nothing, and nobody says until when it is tried."""
    return (status.endswith(_EXPIRED) or precision(status) < _REASON) and not block.get("will-retry-until")


def _words(telling: _Telling, block: Block, status: str, diagnostic: str) -> str:
    """Where the block gives no reason, the text for people may; a code that is clear needs none."""
    words = plain(f"{block.get('status', '')} {diagnostic}")
    return words if diagnostic or status in HARD else f"{words} {telling.words}"


def _status(stated: str, diagnostic: str) -> str:
    """The enhanced code: what Status says, unless the diagnostic says it more precisely."""
    found = _STATUS.search(stated)
    status = ".".join(str(int(number)) for number in found.groups()) if found else ""
    other = code_in(diagnostic) if diagnostic else ""
    return other if precision(other) > precision(status) else status


def _typed(value: str) -> str:
    """`value` without its address or name type (RFC 3464 section 2.1.2) and comments."""
    return value.partition(";")[2].strip() if ";" in value else value.strip()


def _typed_address(value: str) -> str:
    """The address in a recipient field: typed or not, in brackets or not, with RFC 6533 escapes undone."""
    text = _UTF8_XTEXT.sub(_unescaped, value)
    typed = _TYPED.match(text)
    return first_address(typed.group(1) if typed else text)


def _unescaped(match: re.Match[str]) -> str:
    number = int(match.group(1), 16)
    return chr(number) if 0x20 < number < 0x110000 and not 0xD800 <= number < 0xE000 else ""

"""What CONTRACT.md lets a caller ask of a label, as checks that raise Refused. Pure: no I/O, no clock.

Each message names a field and a rule, and never repeats what the field held.
"""

import re
from functools import lru_cache

import msgspec
from msgspec import Struct

from gatewayd.config import Label
from gatewayd.config.values import why_no_sms_sender
from gatewayd.core import mailbox
from gatewayd.core.callback_urls import why_own_refused, why_refused
from gatewayd.core.contact import readable_email
from gatewayd.core.errors import ErrorCode, Refused
from gatewayd.core.ids import CONTROL, LONGEST
from gatewayd.core.model import CHANNEL_OF, Channel, Content, Email, Im, Sms


class SendRequest(Struct, frozen=True):
    """What a caller asks for; a missing field is "". `content.from_number` is as the request has it."""

    ext_user_id: str
    uid: str
    content: Content
    callback_url: str = ""
    activity_type: str = ""
    to_email_address: str = ""

    @property
    def channel(self) -> Channel:
        """The channel that this is meant for."""
        return CHANNEL_OF[type(self.content)]

    def __repr__(self) -> str:
        return f"<SendRequest for {self.channel}>"


def printable(uid: str) -> str:
    """`uid` as it may stand in a log line: "" where it has control characters."""
    return "" if CONTROL.search(uid) else uid[:LONGEST]


def content_of(request: SendRequest) -> bytes:
    """Equal for equal content: every field that the protocol names except callback_url, as the request had it."""
    content = request.content
    fields = (request.ext_user_id, *_strings(content), request.activity_type, request.to_email_address)
    return msgspec.msgpack.encode(fields)


def _strings(content: Content) -> tuple[str, ...]:
    if isinstance(content, Sms | Im):
        return (content.from_number, content.body)
    return (
        content.from_email_address,
        content.reply_to_email_address,
        content.subject,
        content.body,
        content.text_body,
    )


def _invalid(message: str) -> Refused:
    return Refused(ErrorCode.INVALID_REQUEST, message)


def check_well_formed(request: SendRequest) -> None:
    """All that is required is there, and nothing that could be read as another line or field. Raises Refused."""
    content = request.content
    required: tuple[tuple[str, str], ...]
    plain: tuple[tuple[str, str], ...]
    if isinstance(content, Sms | Im):
        required = (("ext_user_id", request.ext_user_id), ("im_uid", request.uid), ("body", content.body))
        plain = (("from_number", content.from_number), *required[:2])
    else:
        required = (
            ("ext_user_id", request.ext_user_id),
            ("from_email_address", content.from_email_address),
            ("subject", content.subject),
            ("email_uid", request.uid),
        )
        plain = (
            *required,
            ("reply_to_email_address", content.reply_to_email_address),
            ("activity_type", request.activity_type),
            ("to_email_address", request.to_email_address),
        )
    for field, text in required:
        if not text or text.isspace():
            raise _invalid(f"{field} is missing")
    if isinstance(content, Email) and all(not text or text.isspace() for text in (content.body, content.text_body)):
        raise _invalid("body and text_body are missing")
    if CONTROL.search("".join([text for _, text in plain])):
        field = next(field for field, text in plain if CONTROL.search(text))
        raise _invalid(f"{field} has control characters")
    for field, text in plain:
        if len(text) > LONGEST:
            raise _invalid(f"{field} is too long")


def check_sender(label: Label, content: Content) -> str:
    """The sender of an SMS or instant message, "" for an email, or where the latter has none. Raises Refused."""
    if isinstance(content, Sms | Im):
        number = content.from_number or label.sms_sender
        if not number and label.sms_routes and all(route.sender for route in label.sms_routes):
            # Whatever the player's number, its route has a sender of its own.
            return ""
        # The operator's own choice needs no place in the list of what a caller may choose.
        allowed = label.sms_senders if content.from_number else (label.sms_sender,)
        if isinstance(content, Im):
            # An operator's inbox may know its sender without being told.
            fault = _why_from_is_refused(number, allowed, has_routes=True) if number else ""
        else:
            fault = _why_from_is_refused(number, allowed, label.sms_routes != ())
        if fault:
            raise Refused(ErrorCode.SENDER_NOT_ALLOWED, fault)
        return number
    if not label.relays:
        raise Refused(ErrorCode.SENDER_NOT_ALLOWED, "the label sends no email")
    for field, text in (
        ("from_email_address", content.from_email_address),
        ("reply_to_email_address", content.reply_to_email_address),
    ):
        fault = _why_no_email_sender(text, label.email_senders) if text else ""
        if fault:
            raise Refused(ErrorCode.SENDER_NOT_ALLOWED, f"{field}: {fault}")
    return ""


@lru_cache(maxsize=4096)
def _why_no_email_sender(text: str, patterns: tuple[str, ...]) -> str:
    """Why `text` may not be From or Reply-To, or "". `patterns` match the bare address, `*` for any characters."""
    try:
        found = mailbox.parse(text)
        address = f"{found.local}@{found.domain}".lower()
    except ValueError as error:
        return str(error)
    if any(_pattern(_plain_domain(pattern.lower())).fullmatch(address) for pattern in patterns):
        return ""
    return "is not in the label's list"


@lru_cache(maxsize=4096)
def _why_from_is_refused(number: str, patterns: tuple[str, ...], has_routes: bool) -> str:
    """Why `number` may not be the sender of an SMS, or ""; a number's plus does not count."""
    if not has_routes:
        return "the label sends no SMS"
    if not number:
        return "from_number is missing, and the label has no sms_sender"
    if fault := why_no_sms_sender(number):
        return f"from_number {fault}"
    plain = number.removeprefix("+")
    if any(_pattern(pattern.removeprefix("+")).fullmatch(plain) for pattern in patterns):
        return ""
    return "from_number is not in the label's list"


def _plain_domain(pattern: str) -> str:
    local, _, domain = pattern.rpartition("@")
    try:
        return f"{local}@{mailbox.ascii_domain(domain)}"
    except ValueError:
        return pattern


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")))


def check_callback(label: Label, url: str) -> None:
    """Statuses may be called back to `url`, or to the label's own where it is missing. Raises Refused."""
    if not url:
        if not label.callback_url:
            raise _invalid("callback_url is missing, and the label has none")
        fault = why_own_refused(label.callback_url, label.callback_hosts, plain_http=label.callback_http)
        whose = "the label's callback_url"
    else:
        fault = why_refused(url, label.callback_hosts, plain_http=label.callback_http)
        whose = "callback_url"
    if fault:
        raise Refused(ErrorCode.CALLBACK_NOT_ALLOWED, f"{whose} {fault}")


def check_preview(label: Label, request: SendRequest) -> None:
    """The mail may go to `to_email_address`, if it has one. Raises Refused.

    Not where a relay could read another domain into it: "x%evil.example@amazing.co", "evil.example!x@amazing.co".
    """
    to = request.to_email_address
    if not to:
        return
    if not request.activity_type:
        raise _invalid("to_email_address needs activity_type")
    address = readable_email(to)
    if address is None or address.rpartition("@")[2] not in label.preview_domains or re.search("[%!]", address):
        raise _invalid("to_email_address is not allowed")

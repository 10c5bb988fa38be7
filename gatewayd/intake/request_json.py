"""A caller's JSON into a SendRequest, by a table of fields; what is wrong is refused by its field's name. Pure."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gatewayd.config.host_names import ascii_url
from gatewayd.core import half_pairs
from gatewayd.core.errors import ErrorCode, Refused
from gatewayd.core.model import Channel, Content, Email, Im, Sms
from gatewayd.intake.rules import SendRequest

_SHARED = ("ext_user_id", "callback_url")
_EMAIL = ("from_email_address", "reply_to_email_address", "subject", "body", "text_body", "email_uid")
_SHORT = ("from_number", "body", "im_uid")
_PREVIEW = ("activity_type", "to_email_address")
FIELDS: Mapping[Channel, frozenset[str]] = {
    Channel.EMAIL: frozenset(_SHARED + _EMAIL + _PREVIEW),
    Channel.SMS: frozenset((*_SHARED, *_SHORT)),
    Channel.IM: frozenset((*_SHARED, *_SHORT)),
}
"""What SMARTICO.md sections 1 and 2 name; any other field is ignored."""

_SHORT_KINDS: Mapping[Channel, type[Sms | Im]] = {Channel.SMS: Sms, Channel.IM: Im}

_FRACTION = re.compile(r"-?[0-9]{1,40}\.[0-9]{0,39}[1-9]")
"""It is its own decimal text. Whether 1.0 and 1e3 are the players "1" and "1000", only a guess could tell."""

MOST_MEMBERS = 1000
"""Members of a body's object; a request has a dozen, and each that is ignored costs time all the same."""


class _Name:
    """A member's name that equals no other, so that a name which comes twice is seen twice."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class _TooMany(ValueError):
    """The object has more members than anybody needs."""


class _Members:
    """Names and values of an object, of which the values are looked at by need only."""

    def __init__(self) -> None:
        self._left = 0
        self._decoder = msgspec.json.Decoder(dict[_Name, msgspec.Raw], dec_hook=self._named)

    def _named(self, kind: type, text: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _TooMany
        return kind(text)

    def of(self, body: bytes) -> dict[_Name, msgspec.Raw]:
        """The members of `body`. Raises ValueError, RecursionError."""
        self._left = MOST_MEMBERS
        return self._decoder.decode(body)


_members = _Members().of
_read_value = msgspec.json.Decoder().decode


def read_request(channel: Channel, body: bytes) -> SendRequest:
    """What `body` asks for on `channel`. Raises Refused (invalid_request); of the content itself nothing is checked."""
    fields = _fields(FIELDS[channel], body)
    given = fields.get
    if channel is Channel.EMAIL:
        content: Content = Email(
            from_email_address=given("from_email_address", ""),
            subject=given("subject", ""),
            reply_to_email_address=given("reply_to_email_address", ""),
            body=given("body", ""),
            text_body=given("text_body", ""),
        )
    else:
        content = _SHORT_KINDS[channel](from_number=given("from_number", ""), body=given("body", ""))
    activity = given("activity_type", "")
    return SendRequest(
        ext_user_id=given("ext_user_id", ""),
        uid=given("email_uid" if channel is Channel.EMAIL else "im_uid", ""),
        content=content,
        callback_url=_plain_host(given("callback_url", "")),
        # It lets a message pass the stop list: blanks name no activity.
        activity_type="" if activity.isspace() else activity,
        to_email_address=given("to_email_address", ""),
    )


def _plain_host(url: str) -> str:
    try:
        return ascii_url(url)
    except ValueError:
        return url  # refused where it is looked at


def _fields(known: frozenset[str], body: bytes) -> dict[str, str]:
    try:
        members = _members(body)
    except (ValueError, RecursionError) as error:
        members = _beside_half_pairs(known, body, error)
    fields: dict[str, str] = {}
    for name, raw in members.items():
        field = name.text
        if field not in known:
            continue
        if field in fields:
            raise _invalid(f"{field} comes twice")
        value = _value(raw)
        if type(value) is not str:
            if field != "ext_user_id":
                raise _invalid(f"{field} is not a string")
            text = bytes(raw).decode("ascii", "replace")
            if type(value) is not int and not (type(value) is float and _FRACTION.fullmatch(text)):
                raise _invalid("ext_user_id is neither a string nor a plain number")
            value = str(value) if type(value) is int else text
        fields[field] = value
    return fields


def _beside_half_pairs(known: frozenset[str], body: bytes, error: Exception) -> dict[_Name, msgspec.Raw]:
    """The members, where `error` is for half a surrogate pair in one that is ignored. Raises Refused."""
    marked = half_pairs.marked(body)
    if marked is None:
        raise _invalid(_fault(body, error)) from None
    try:
        members = _members(marked)
    except (ValueError, RecursionError) as other:
        raise _invalid(_fault(body, other)) from None
    for name, raw in members.items():
        if name.text in known and half_pairs.SIGN in bytes(raw):
            raise _invalid(f"{name.text} has half a surrogate pair")
    return members


def _value(raw: msgspec.Raw) -> object:
    """What a member holds; None for what can't be read."""
    try:
        value: object = _read_value(raw)
    except (ValueError, RecursionError):
        if not half_pairs.is_utf_8(bytes(raw)):
            raise _invalid("the body is not UTF-8") from None
        return None
    return value


def _fault(body: bytes, error: Exception) -> str:
    """The decoder's own words may quote the body: say only which kind of fault it was."""
    if not half_pairs.is_utf_8(body):
        return "the body is not UTF-8"
    if isinstance(error, RecursionError):
        return "the body's JSON is nested too deeply"
    if isinstance(error, _TooMany) or isinstance(error.__cause__, _TooMany):
        return f"the body has more than {MOST_MEMBERS} members"
    if isinstance(error, msgspec.ValidationError):
        return "the body is not a JSON object of readable values"
    return "the body is not JSON"


def _invalid(message: str) -> Refused:
    return Refused(ErrorCode.INVALID_REQUEST, message)

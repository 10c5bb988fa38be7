"""The kinds of values that only SMPP has: C-strings, TON and NPI, optional parameters, command_status.

A wrong value is a ValueError whose text goes on behind the key's path.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from gatewayd.config.secret import Secret, secret


def _smpp_text(value: str) -> str:
    """What can stand in a C-string of SMPP."""
    if not all("\0" < char <= "\xff" for char in value):
        raise ValueError("has a character that SMPP has no place for")
    return value


def _smpp_password(value: Secret) -> Secret:
    if len(_smpp_text(value.reveal())) > 128:
        raise ValueError("must have at most 128 characters")
    return value


def _ton_npi(value: object) -> tuple[int, int] | None:
    if value == "":
        return None
    match = re.fullmatch(r"(\d{1,3})\s*,\s*(\d{1,3})", value) if isinstance(value, str) else None
    if match is None or int(match[1]) > 255 or int(match[2]) > 255:
        raise ValueError('is not a pair of TON and NPI such as "5,1"')
    return int(match[1]), int(match[2])


_OWN_TLVS = {
    0x0424: "message_payload",
    0x020C: "sar_msg_ref_num",
    0x020E: "sar_total_segments",
    0x020F: "sar_segment_seqnum",
}
LONGEST_TLV = 255


def _tlvs(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError('must be a table such as {"0x1400" = "1101234567"}')
    found: dict[int, bytes] = {}
    faults = []
    for tag, text in value.items():
        try:
            number = _tag(str(tag))
            if number in found:
                raise ValueError("is there twice")
            found[number] = b""
            found[number] = _tlv_octets(text)
        except ValueError as error:
            faults.append((str(tag), str(error)))
    _raise_each(faults)
    return tuple(found.items())


def _tag(tag: str) -> int:
    """Carriers' pages write tags in hexadecimal, with 0x or without: bare digits could be either, and are neither."""
    match = re.fullmatch(r"0[xX]([0-9A-Fa-f]{1,4})", tag)
    number = int(match[1], 16) if match else 0
    if number in _OWN_TLVS:
        raise ValueError(f"is {_OWN_TLVS[number]}, which gatewayd writes itself")
    if number:
        return number
    ways = [f"0x{tag}"] if re.fullmatch(r"(?=.*[1-9A-Fa-f])[0-9A-Fa-f]{1,4}", tag) else []
    if re.fullmatch(r"[0-9]{1,5}", tag) and 0 < int(tag) <= 0xFFFF:
        ways.append(f"0x{int(tag):04x} for decimal {int(tag)}")
    how = f"write {' (or '.join(ways)}{')' * (len(ways) - 1)}" if ways else 'such as "0x1400"'
    raise ValueError(f"is not the tag of an optional parameter{':' if ways else ''} {how}")


def _tlv_octets(text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError('is neither a text nor octets such as "hex:0a0b"')
    try:
        octets = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode("latin-1")
    except (ValueError, UnicodeEncodeError):
        raise ValueError(f"is not {'hexadecimal' if text.startswith('hex:') else 'Latin-1'}") from None
    if len(octets) > LONGEST_TLV:
        raise ValueError(f"has more than {LONGEST_TLV} octets")
    return octets


def _statuses(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError('must be a table such as {"0x400" = "rejected"}')
    found: dict[int, object] = {}
    faults = []
    for code, meaning in value.items():
        match = re.fullmatch(r"0[xX]([0-9A-Fa-f]{1,8})|([0-9]{1,9})", str(code))
        status = (int(match[1], 16) if match[1] else int(match[2])) if match else 0
        if not status:
            faults.append((str(code), 'is not a command_status such as "0x400" or "1024"'))
        elif status in found:
            faults.append((str(code), "is there twice"))
        elif meaning not in get_args(Meaning):
            faults.append((str(code), f"must be one of {', '.join(map(repr, get_args(Meaning)))}"))
        found[status] = meaning
    _raise_each(faults)
    return found


def _raise_each(faults: Iterable[tuple[str, str]]) -> None:
    """Raises ValidationError, by which each of several faults of one value is told behind its own key."""
    lines = [
        InitErrorDetails(type=PydanticCustomError("value_error", "{text}", {"text": text}), loc=(key,), input=None)
        for key, text in faults
    ]
    if lines:
        raise ValidationError.from_exception_data("table", lines)


Meaning = Literal["retry", "rejected", "throttled"]
SystemId = Annotated[str, Field(min_length=1, max_length=15), AfterValidator(_smpp_text)]
SystemType = Annotated[str, Field(max_length=12), AfterValidator(_smpp_text)]
ServiceType = Annotated[str, Field(max_length=5), AfterValidator(_smpp_text)]
AddressRange = Annotated[str, Field(max_length=40), AfterValidator(_smpp_text)]
Tlvs = Annotated[tuple[tuple[int, bytes], ...], BeforeValidator(_tlvs)]
"""Optional parameters by their tags."""
SmppPassword = Annotated[Secret, BeforeValidator(secret), AfterValidator(_smpp_password)]
TonNpi = Annotated[tuple[int, int] | None, BeforeValidator(_ton_npi)]
SubmitStatuses = Annotated[dict[int, Meaning], BeforeValidator(_statuses)]

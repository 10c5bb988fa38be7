"""The kinds of values that only SMPP has: C-strings, TON and NPI, optional parameters, command_status.

A wrong value is a ValueError whose text goes on behind the key's path.
"""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

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
    found = {}
    for tag, text in value.items():
        match = re.fullmatch(r"0[xX]([0-9A-Fa-f]{1,4})|([0-9]{1,5})", str(tag))
        number = (int(match[1], 16) if match[1] else int(match[2])) if match else 0
        if not 0 < number <= 0xFFFF:
            raise ValueError(f'{tag} is not the tag of an optional parameter such as "0x1400"')
        if number in _OWN_TLVS:
            raise ValueError(f"{tag} is {_OWN_TLVS[number]}, which gatewayd writes itself")
        if number in found:
            raise ValueError(f"{tag} is there twice")
        found[number] = _tlv_octets(tag, text)
    return tuple(found.items())


def _tlv_octets(tag: object, text: object) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f'{tag}: is neither a text nor octets such as "hex:0a0b"')
    try:
        octets = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode("latin-1")
    except (ValueError, UnicodeEncodeError):
        what = "hexadecimal" if text.startswith("hex:") else "Latin-1"
        raise ValueError(f"{tag}: is not {what}") from None
    if len(octets) > LONGEST_TLV:
        raise ValueError(f"{tag}: has more than {LONGEST_TLV} octets")
    return octets


def _statuses(value: object) -> object:
    if not isinstance(value, dict):
        raise ValueError('must be a table such as {"0x400" = "rejected"}')
    found = {}
    for code, meaning in value.items():
        match = re.fullmatch(r"0[xX]([0-9A-Fa-f]{1,8})|([0-9]{1,9})", str(code))
        status = (int(match[1], 16) if match[1] else int(match[2])) if match else 0
        if not status:
            raise ValueError(f'{code} is not a command_status such as "0x400" or "1024"')
        found[status] = meaning
    return found


SystemId = Annotated[str, Field(min_length=1, max_length=15), AfterValidator(_smpp_text)]
SystemType = Annotated[str, Field(max_length=12), AfterValidator(_smpp_text)]
ServiceType = Annotated[str, Field(max_length=5), AfterValidator(_smpp_text)]
AddressRange = Annotated[str, Field(max_length=40), AfterValidator(_smpp_text)]
Tlvs = Annotated[tuple[tuple[int, bytes], ...], BeforeValidator(_tlvs)]
"""Optional parameters by their tags."""
Region = Annotated[str, Field(pattern=r"^([A-Z]{2})?$")]
"""ISO 3166: GB; or none."""
SmppPassword = Annotated[Secret, BeforeValidator(secret), AfterValidator(_smpp_password)]
TonNpi = Annotated[tuple[int, int] | None, BeforeValidator(_ton_npi)]
SubmitStatuses = Annotated[dict[int, Literal["retry", "rejected", "throttled"]], BeforeValidator(_statuses)]

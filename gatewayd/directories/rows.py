"""What an operator's column or JSON member says, as a Recipient. Pure: shared by all directories."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from gatewayd.core.model import Recipient

FLAGS = ("opted_out", "email_opted_out", "sms_opted_out", "im_opted_out", "excluded")
_NO = frozenset({"", "0", "f", "false", "n", "no", "off", "none", "null"})


def recipient_of(row: Mapping[str, Any]) -> Recipient:
    """The player that `row` tells of, by the names of CONTRACT.md in any case; other names are ignored."""
    given = {str(name).lower(): value for name, value in row.items()}
    return Recipient(
        email=text_of(given.get("email")),
        phone=text_of(given.get("phone")),
        im=text_of(given["im"]) if "im" in given else None,
        **{flag: flag_of(given.get(flag)) for flag in FLAGS},
    )


def text_of(value: object) -> str:
    """An address as text; numbers by their digits, what makes no sense as an address as ""."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace").strip()
    if isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 10**16 else ""
    if isinstance(value, Decimal):
        return str(int(value)) if value.is_finite() and value == value.to_integral_value() else ""
    return ""


def flag_of(value: object) -> bool:
    """Whether a flag is set: whatever is not plainly no counts as yes, for it keeps us from writing to somebody."""
    if value is None:
        return False
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        # MySQL's BIT columns come as bytes of the number, text protocols as its digits.
        return bool(raw.strip(b"\0")) and raw.strip(b"\0").decode("latin-1").strip().lower() not in _NO
    if isinstance(value, str):
        return value.strip().lower() not in _NO
    return bool(value)

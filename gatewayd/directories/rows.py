"""What an operator's column or JSON member says, as a Recipient. Pure: shared by all directories."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from gatewayd.core.model import Recipient

COLUMNS = (
    *("id", "email", "phone", "im"),
    *("opted_out", "email_opted_out", "sms_opted_out", "im_opted_out", "excluded"),
    "consented_at",
)
"""What a directory may say of a player (CONTRACT.md, [directories.*])."""

FLAGS = ("opted_out", "email_opted_out", "sms_opted_out", "im_opted_out", "excluded")
_SECONDS = re.compile(r"\d{1,12}(?:\.\d{1,9})?")
_NO_SECONDS = 253_402_300_800
_NO = frozenset({"", "0", "f", "false", "n", "no", "off", "none", "null"})


def recipient_of(row: Mapping[str, Any]) -> Recipient:
    """The player that `row` tells of, by the names of CONTRACT.md in any case; other names are ignored."""
    given = {str(name).lower(): value for name, value in row.items()}
    return Recipient(
        email=text_of(given.get("email")),
        phone=text_of(given.get("phone")),
        im=text_of(given["im"]) if "im" in given else None,
        id=id_of(given.get("id")),
        consented_at=moment_of(given.get("consented_at")),
        **{flag: flag_of(given.get(flag)) for flag in FLAGS},
    )


def id_of(value: object) -> str:
    """The database's own spelling of a player's id; "" where it gives none."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        return text.strip() if text.isprintable() and text else raw.hex()
    return text_of(value)


def moment_of(value: object) -> float:
    """Seconds since the epoch, of a database's moment, of text in ISO 8601, or of such seconds; 0 where it is none.

    What names no time zone is UTC.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text) if _SECONDS.fullmatch(text) else datetime.fromisoformat(text)
        except ValueError:
            return 0.0
    if isinstance(value, bool):
        return 0.0
    if isinstance(value, int | float | Decimal):
        # Beyond the year 9999 it is no number of seconds: milliseconds would lift every stop there is.
        return float(value) if 0 < value < _NO_SECONDS else 0.0
    if isinstance(value, datetime):
        try:
            return max(0.0, (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
        except (OverflowError, ValueError):
            return 0.0
    if isinstance(value, date):
        return max(0.0, datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())
    return 0.0


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

"""What an operator's column or JSON member says, as a Recipient. Pure: shared by all directories."""

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

from gatewayd.config.players import Column
from gatewayd.core.model import Recipient

COLUMNS: tuple[str, ...] = get_args(Column)
"""What a directory may say of a player (CONTRACT.md, [directories.*])."""

FLAGS = ("opted_out", "email_opted_out", "sms_opted_out", "im_opted_out", "excluded")
_LIKE_A_FLAG = re.compile("opt(?:ed)?out|exclu|unsubscri|suppress|block|banned|donot(?:contact|send|mail|disturb)|dnd")
"""In a name's letters alone: whoever calls a column so says by it whom nobody may write to."""

_NUMBER = re.compile(r"\d{1,16}(?:\.\d{1,9})?")
_ZERO = "0-:. TZ"
"""What stands in a moment that is none: MySQL's zero date is written with nothing else."""

_MOST_SECONDS = 100_000_000_000
"""Beyond it, which would be the year 5138, a number is of milliseconds: as seconds they would lift every stop."""

_MOST_DIGITS = 40
"""Of a number that may be an id or a telephone number."""

_NO_MILLISECONDS = 253_402_300_800_000
"""The year 10000."""

_NO = frozenset({"", "0", "f", "false", "n", "no", "off", "none", "null"})


def unread_flags(names: Iterable[str]) -> tuple[str, ...]:
    """Those of an operator's names that sound as if they said who must not be written to, and are not read."""
    letters = ((name, re.sub(r"[^a-z]", "", name.lower())) for name in names)
    return tuple(name for name, plain in letters if name.lower() not in COLUMNS and _LIKE_A_FLAG.search(plain))


def recipient_of(row: Mapping[str, Any]) -> Recipient:
    """The player that `row` tells of, by the names of CONTRACT.md in any case; other names are ignored."""
    return read_row({str(name).lower(): value for name, value in row.items()})


def read_row(given: Mapping[str, Any]) -> Recipient:
    """The same by names that are in lower case already."""
    consented_at = moment_of(given.get("consented_at"))
    return Recipient(
        email=_whole(text_of(given.get("email"))),
        phone=_whole(text_of(given.get("phone"))),
        im=_whole(text_of(given["im"])) if "im" in given else None,
        id=id_of(given.get("id")),
        consented_at=consented_at or 0.0,
        consent_is_unreadable=consented_at is None,
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


def moment_of(value: object) -> float | None:
    """Seconds since the epoch, of a database's moment, of text in ISO 8601, or of such seconds or milliseconds.

    What names no time zone is UTC. 0 where there is none, or one before 1970; None where it can't be read.
    """
    if value is None or value is False:
        return 0.0
    if isinstance(value, str | bytes | bytearray | memoryview):
        text = text_of(value).upper()
        if not text.strip(_ZERO):
            return 0.0
        try:
            value = float(text) if _NUMBER.fullmatch(text) else datetime.fromisoformat(text)
        except ValueError:
            return None
    if isinstance(value, int | float | Decimal) and value is not True:
        return _seconds(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        return None
    try:
        return max(0.0, (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    except (OverflowError, ValueError):
        return None


def _seconds(number: float | Decimal) -> float | None:
    if not math.isfinite(number) or number >= _NO_MILLISECONDS:
        return None
    return max(0.0, float(number) if number <= _MOST_SECONDS else float(number) / 1000)


def _whole(address: str) -> str:
    """ "" for one with octets that are no UTF-8: what is left of it may be somebody else's."""
    return "" if "\ufffd" in address else address


def text_of(value: object) -> str:
    """An address as text; numbers by their digits, what makes no sense as an address as ""."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace").strip()
    if isinstance(value, bool):
        return ""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_MOST_DIGITS else ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 10**16 else ""
    if isinstance(value, Decimal):
        # Looked at first: to write out what a short row may hold (1e999999) takes long, or can't be done.
        is_short = value.is_finite() and value.adjusted() < _MOST_DIGITS
        return str(int(value)) if is_short and value == value.to_integral_value() else ""
    return ""


def flag_of(value: object) -> bool:
    """Whether a flag is set: whatever is not plainly no counts as yes, for it keeps us from writing to somebody."""
    if value is None or isinstance(value, int):
        return bool(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        # MySQL's BIT columns come as bytes of the number, text protocols as its digits.
        return bool(raw.strip(b"\0")) and raw.strip(b"\0").decode("latin-1").strip().lower() not in _NO
    if isinstance(value, str):
        return value.strip().lower() not in _NO
    return bool(value)

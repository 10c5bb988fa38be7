"""What a column says: the database's own spelling of an id, and the moment of a consent."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from gatewayd.core.model import Recipient
from gatewayd.directories.rows import id_of, moment_of, recipient_of

NOON = 1_790_000_000.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1001, "1001"),
        (Decimal("1001"), "1001"),
        (1001.0, "1001"),
        (" p-1 ", "p-1"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (b"p-1", "p-1"),
        (bytes(range(16)), "000102030405060708090a0b0c0d0e0f"),
        (None, ""),
        (True, ""),
    ],
)
def test_an_id_in_the_databases_own_spelling(value: object, text: str) -> None:
    """Whatever its type; bytes that are no text by their digits."""
    assert id_of(value) == text


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (NOON, NOON),
        (int(NOON), NOON),
        (Decimal("1790000000.5"), NOON + 0.5),
        ("1790000000", NOON),
        ("2026-09-21T14:13:20Z", NOON),
        ("2026-09-21 14:13:20", NOON),
        ("2026-09-21T16:13:20+02:00", NOON),
        ("20260921T141320Z", NOON),
        ("2026-09-21", 1_789_948_800.0),
        (datetime(2026, 9, 21, 14, 13, 20), NOON),
        (datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC), NOON),
        (datetime(2026, 9, 21, 16, 13, 20, tzinfo=timezone(timedelta(hours=2))), NOON),
        (date(2026, 9, 21), 1_789_948_800.0),
        ("2026-09-21t14:13:20z", NOON),
        (b"2026-09-21T14:13:20Z", NOON),
        (NOON * 1000, NOON),
        (int(NOON) * 1000, NOON),
        (Decimal("1790000000500"), NOON + 0.5),
        ("1790000000500", NOON + 0.5),
        (-5, 0.0),
        (0, 0.0),
        ("0", 0.0),
        ("", 0.0),
        ("0000-00-00 00:00:00", 0.0),
        ("0000-00-00T00:00:00.000Z", 0.0),
        (None, 0.0),
        (False, 0.0),
        (datetime(1, 1, 1), 0.0),
        (NOON * 1_000_000, None),
        (float("nan"), None),
        (float("inf"), None),
        ("yesterday", None),
        ("21/09/2026", None),
        ("9" * 5000, None),
        (True, None),
        ([], None),
    ],
)
def test_a_moment_of_any_kind(value: object, seconds: float | None) -> None:
    """UTC where no zone is named; 0 for none, and None for what can't be read."""
    assert moment_of(value) == seconds


def test_a_row_whose_consent_can_not_be_read() -> None:
    """It lifts nothing, and is known for what it is."""
    assert recipient_of({"consented_at": "21/09/2026"}) == Recipient(consent_is_unreadable=True)
    assert recipient_of({"consented_at": None}) == Recipient()


def test_a_row_with_both() -> None:
    """By the names of CONTRACT.md, in any case."""
    found = recipient_of({"ID": 7, "Email": "a@b.example", "CONSENTED_AT": int(NOON)})
    assert found == Recipient("a@b.example", id="7", consented_at=NOON)


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        *[(no, False) for no in (None, 0, 0.0, "", " ", "0", "f", "F", "false", "FALSE", "n", "N", "no", "off", False)],
        *[(no, False) for no in (b"\0", b"", b"0", b"f", Decimal(0), memoryview(b"\0"))],
        *[(yes, True) for yes in (1, -1, 2, True, "1", "t", "T", "true", "y", "Y", "yes", "on", "x", "blocked")],
        *[(yes, True) for yes in (b"\1", b"1", b"t", Decimal(1))],
    ],
)
def test_flags(value: object, flag: bool) -> None:
    """Databases say yes and no in many ways; what is not plainly no keeps us from writing."""
    assert recipient_of({"EXCLUDED": value}).excluded is flag


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" a@b.example ", "a@b.example"),
        (None, ""),
        (447700900123, "447700900123"),
        (447700900123.0, "447700900123"),
        (Decimal("447700900123"), "447700900123"),
        (Decimal("NaN"), ""),
        (Decimal("1E+5000"), ""),
        (Decimal("1E+999999"), ""),
        pytest.param(10**5000, "", id="too many digits"),
        (float("nan"), ""),
        (float("inf"), ""),
        (b"a@b.example", "a@b.example"),
        (bytearray(b"\xff"), ""),
        (b"\xff+447700900123", ""),
        ("+44770090012\ufffd", ""),
        (True, ""),
        (["a@b.example"], ""),
    ],
)
def test_addresses_in_rows(value: object, text: str) -> None:
    """Numbers are their digits; what can't be an address is none."""
    assert recipient_of({"Phone": value}).phone == text


def test_rows_by_name_in_any_case() -> None:
    """Other columns are ignored; printing shows no address."""
    row = {"EMAIL": "a@b.example", "Phone": "+4712345678", "Opted_Out": "t", "vip": 1, "SMS_OPTED_OUT": 0}
    found = recipient_of(row)
    assert found == Recipient(email="a@b.example", phone="+4712345678", opted_out=True)
    assert "a@b" not in repr(found)

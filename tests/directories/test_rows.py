"""What a column says: the database's own spelling of an id, and the moment of a consent."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from gatewayd.config.players import Column
from gatewayd.core.model import Recipient
from gatewayd.directories.rows import COLUMNS, id_of, moment_of, recipient_of

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
        (NOON * 1000, 0.0),
        ("1790000000000", 0.0),
        (-5, 0.0),
        (float("nan"), 0.0),
        (float("inf"), 0.0),
        ("yesterday", 0.0),
        ("", 0.0),
        (None, 0.0),
        (True, 0.0),
        ("9" * 5000, 0.0),
        (datetime(1, 1, 1), 0.0),
    ],
)
def test_a_moment_of_any_kind(value: object, seconds: float) -> None:
    """UTC where no zone is named; 0 for what is none, milliseconds too: a far future would lift every stop."""
    assert moment_of(value) == seconds


def test_a_row_with_both() -> None:
    """By the names of CONTRACT.md, in any case."""
    found = recipient_of({"ID": 7, "Email": "a@b.example", "CONSENTED_AT": int(NOON)})
    assert found == Recipient("a@b.example", id="7", consented_at=NOON)


def test_the_configuration_names_the_same_columns() -> None:
    """[directories.NAME] fields."""
    assert set(Column.__args__) == set(COLUMNS)

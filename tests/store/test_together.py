"""Values that stand in one field of a message, taken apart; what 0.1.0 wrote into fields of their own stays."""

import pytest

from gatewayd.store.legend import FIELDS
from gatewayd.store.rows import record


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ({"state": "queued||"}, {"state": "queued", "queued_reports": "", "to_tell": ""}),
        (
            {"state": "sent|ac|c 1764000000000 boot.q1"},
            {"state": "sent", "queued_reports": "ac", "to_tell": "c 1764000000000 boot.q1"},
        ),
        ({"state": "sent", "queued_reports": "a"}, {"state": "sent", "queued_reports": "a"}),
        (
            {"state": "delivered|ad|", "queued_reports": "a", "to_tell": "a"},
            {"state": "delivered", "queued_reports": "ad", "to_tell": ""},
        ),
        ({"route": "1764000000000 a relay 2"}, {"route": "a relay 2", "marked_at": "1764000000000"}),
        ({"route": "a relay 2", "marked_at": "17"}, {"route": "a relay 2", "marked_at": "17"}),
        ({"route": "12"}, {"route": "12"}),
    ],
)
def test_a_record_has_each_value_in_a_field_of_its_own(stored: dict[str, str], read: dict[str, str]) -> None:
    """What stands together was written later than what an older version left beside it."""
    flat = [word for name, value in stored.items() for word in (FIELDS[name].short.encode(), value.encode())]
    assert record(flat) == {FIELDS[name].short.encode(): value.encode() for name, value in read.items()}

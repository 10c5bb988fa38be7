"""Values of Redis as values of ours: what an earlier version wrote is read, too."""

import pytest

from gatewayd.core.model import DeadLetter
from gatewayd.core.status import Report
from gatewayd.store.rows import dead_letter, effort, parked, unparked

ID = "8dc0d170-2e5c-49a3-a498-7aeaa13d75d9"


@pytest.mark.parametrize(
    ("why", "reason", "waited", "tries"),
    [
        (b"amazing|HTTP 500" + effort(600.0625, 16).encode(), "HTTP 500", 600.062, 16),
        (b"amazing|a|b" + effort(0, 1).encode(), "a|b", 0.0, 1),
        # The clock was set back meanwhile.
        (b"amazing|HTTP 500" + effort(-3.5, 2).encode(), "HTTP 500", 0.0, 2),
        # Version 0.1.
        (b"amazing|HTTP 500", "HTTP 500", None, None),
    ],
)
def test_a_dead_letter_says_how_long_and_how_often(
    why: bytes, reason: str, waited: float | None, tries: int | None
) -> None:
    """As numbers, apart from the words."""
    found = dead_letter(f"{ID}|a".encode(), b"1764300000000", why)
    assert found == DeadLetter(ID, "amazing", Report.ACCEPTED, 1764300000.0, reason, waited, tries)


def test_a_receipt_that_was_parked_before_receipts_had_a_wording() -> None:
    """It is read, and written to the letter as it stands: by that it is found when it goes."""
    stands = (
        b'1764300000000|{"smsc":"world","remote_ids":["1"],"event":"delivered","detail":"","number_hash":"n",'
        b'"parked_at":1764300000.0,"earlier_hashes":[],"message_id":"","whole_after":0.0,"came_at":0.0}'
    )
    assert parked(unparked(stands)).encode() == stands

"""Values that stand in one field of a message, taken apart; what 0.1.0 wrote into fields of their own stays."""

import pytest

from gatewayd.core.model import Message, Sms
from gatewayd.store.legend import FIELDS, LONG
from gatewayd.store.rows import record, stored, text


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
        (
            {"route": "12 a relay 2", "accepted_at": "1764000000000"},
            {"route": "a relay 2", "marked_at": "1764000000012", "accepted_at": "1764000000000"},
        ),
        # The clock was set back between the two.
        (
            {"route": "-12 relay", "accepted_at": "1764000000000"},
            {"route": "relay", "marked_at": "1763999999988", "accepted_at": "1764000000000"},
        ),
        ({"route": " relay"}, {"route": "relay", "marked_at": "0"}),
        ({"route": "a relay 2", "marked_at": "17"}, {"route": "a relay 2", "marked_at": "17"}),
        ({"route": "12"}, {"route": "12"}),
        ({"label": "amazing|sms|0123abc"}, {"label": "amazing", "channel": "sms", "callback": "0123abc"}),
        ({"label": "amazing", "channel": "im"}, {"label": "amazing", "channel": "im"}),
        (
            {"fingerprint": "key:abc|17|1764000000000"},
            {"fingerprint": "key:abc", "player_bucket": "17", "deadline": "1764000000000"},
        ),
        ({"fingerprint": "abc", "deadline": "17"}, {"fingerprint": "abc", "deadline": "17"}),
    ],
)
def test_a_record_has_each_value_in_a_field_of_its_own(stored: dict[str, str], read: dict[str, str]) -> None:
    """What stands together was written later than what an older version left beside it."""
    flat = [word for name, value in stored.items() for word in (FIELDS[name].short.encode(), value.encode())]
    assert record(flat) == {FIELDS[name].short.encode(): value.encode() for name, value in read.items()}


@pytest.mark.parametrize("user", ["7", "€" * 80, '"], "\\', "\U0001f600" * 40])
@pytest.mark.parametrize("activity", ["", "a-campaign"])
def test_who_gets_it_is_read_as_it_was_stored(user: str, activity: str) -> None:
    """Whatever characters an id has, and however long it is."""
    message = Message("id", "uid" * 30, "amazing", user, Sms("A", "x"), 1.0, 2.0, activity_type=activity)
    flat = [word.encode() for word in stored(message, small=True)[2]]
    assert max(map(len, flat)) <= LONG
    kept = record(flat)
    assert (text(kept, "user"), text(kept, "uid"), text(kept, "activity")) == (user, "uid" * 30, activity)

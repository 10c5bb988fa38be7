"""Values of Redis as values of ours: what an earlier version wrote is read, too."""

import pytest

from gatewayd.core.model import DeadLetter, Message, Sms
from gatewayd.core.status import Report
from gatewayd.store.legend import FIELDS, LONG
from gatewayd.store.moments import Moments
from gatewayd.store.rows import dead_letter, effort, is_inside, leased, record, stored, unparked

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
    found = dead_letter((f"{ID}|a".encode(), b"1764300000000", why))
    assert found == DeadLetter(ID, "amazing", Report.ACCEPTED, 1764300000.0, reason, waited, tries)


def test_a_receipt_that_was_parked_before_receipts_had_a_wording() -> None:
    """It is read, and kept to the letter as it stands: by that it is found when it goes."""
    stands = (
        b'1764300000000|{"smsc":"world","remote_ids":["1"],"event":"delivered","detail":"","number_hash":"n",'
        b'"parked_at":1764300000.0,"earlier_hashes":[],"message_id":"","whole_after":0.0,"came_at":0.0}'
    )
    found = unparked(stands)
    assert found.parked_as.encode() == stands
    assert (found.remote_ids, found.number_hash, found.parked_at) == (("1",), "n", 1764300000.0)


@pytest.mark.parametrize("character", ["x", "€", '"', "😀"])
@pytest.mark.parametrize("length", [1, 20, 50, 61, 62, 63, 64, 120, 160, 250, 300])
def test_a_text_is_read_as_it_was_stored(character: str, length: int) -> None:
    """A short one stands in the hash, in fields of 64 bytes, a long one in a key; none is cut in a character."""
    message = Message(ID, "uid", "amazing", "player", Sms("Amazing", character * length), 1.0, 2.0)
    digest, content, texts = stored(message, small=True)
    rest = FIELDS["label"].short, "amazing|sms|", FIELDS["accepted_at"].short, "1000"
    flat = [word.encode() for word in (*texts, *rest)]
    assert max(map(len, flat)) <= LONG
    kept = record(flat)
    assert is_inside(kept) == (not digest) == (not content)
    found = leased(ID, "lease", kept, Moments(), content.encode(), b"", b"").message
    assert (found.content, found.uid, found.ext_user_id) == (message.content, "uid", "player")


def test_what_stands_in_the_hash_says_how_many_fields_it_takes() -> None:
    """So many leave it once the next hop took the message."""
    _, _, texts = stored(Message(ID, "uid", "amazing", "player", Sms("A", "x" * 140), 1.0, 2.0), small=True)
    names = [name for name in texts[::2] if name.startswith(FIELDS["content"].short)]
    assert names == ["C", "C1", "C2"]
    assert texts[texts.index("C") + 1].startswith('3["xxx')

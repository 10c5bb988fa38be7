"""What receipts teach of an SMSC, by values."""

import pytest

from gatewayd.smpp.codec.pdu import DeliverSm
from gatewayd.smpp.receipts_taught import IdsGiven, said, taught


def receipt_of(remote_id: str) -> DeliverSm:
    """A final one on the submit that was given this id."""
    return DeliverSm(1, esm_class=4, short_message=f"id:{remote_id} stat:DELIVRD err:000".encode())


@pytest.mark.parametrize(
    ("given", "came", "count"),
    [
        (["1a", "1b", "1c", "1d"], ["1a", "1b", "1c", "1d"], 4),
        (["1a", "1b", "1c", "1d"], ["1a", "1a", "1b", "1A", "001b"], 2),
        (["1a", "1b", "1c", "1d"], ["26", "26", "27"], 2),
        (["1", "1", "1", "1"], ["1", "1", "1"], 3),
        (["1", "1", "1", "1"], ["1", "1", "1", "1", "1"], 4),
        (["1a", "", "", ""], ["1a", "x", "y", "1a"], 3),
    ],
)
def test_one_that_comes_again_counts_once(given: list[str], came: list[str], count: int) -> None:
    """As often as its id was given, at most; one of an id that was given to none may be of a submit without."""
    taken = IdsGiven([one.encode() for one in given], [], 0)
    assert taught(said(map(receipt_of, came), {}, taken), taken).story[0] == f"{count} of 4 receipts came"

"""Where an entry stands in the lists of a day: Python and the scripts must say the same."""

import msgspec

from gatewayd.store import lists

ID = "0f1e2d3c-0000-4000-8000-00000000abcd"


def _read(some: msgspec.Raw) -> bytes:
    """As Redis' scripts read it: as a text, whatever its bytes."""
    head, rest = bytes(some)[0], bytes(some)[1:]
    assert head == 0xA0 | len(rest)
    return rest


def test_a_name_has_its_bucket_and_its_bytes() -> None:
    """Both out of the SHA-1 of SMSC, colon and id, as in lua/shared: the contract finds what one wrote by the other."""
    bucket, tag = lists.bucket_of_remote("a", "bc")
    assert (bucket, _read(tag)) == (str(0x9A9 % 2048), bytes.fromhex("2d8be7b50c257340"))


def test_an_entry_names_a_message() -> None:
    """Its name's bytes, the id's sixteen, and of a segment its number."""
    bucket, whole = lists.entry("abc", ID)
    assert (bucket, _read(whole)[8:]) == (str(0xBA3 % 2048), bytes.fromhex(ID.replace("-", "")))
    [first, second] = lists.segments(ID, "world", ["r1", "r2"])
    assert [_read(one)[24:] for _, one in (first, second)] == [b"\x01", b"\x02"]
    assert lists.bucket_of_remote("world", "r2")[0] == second[0]


def test_ids_are_read_out_of_a_list() -> None:
    """One behind the other, as they were packed."""
    both = _read(lists.packed(ID)) * 2
    assert lists.unpacked(both) == [ID, ID]

"""The ids of answers and receipts: each rule, and what was seen of an SMSC."""

import string
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.smpp.remote_ids import IdRule, IdsSeen, forms, holds_number, lookups, stored

RULES: list[IdRule] = list(get_args(IdRule))


@pytest.mark.parametrize(
    ("rule", "answer", "in_receipt"),
    [
        ("as-is", "0123abcd", "0123abcd"),
        ("as-is", "0123abcd", "123ABCD"),
        ("as-is", "123", "0000000123"),
        ("as-is", "A1B2-C3", "a1b2-c3"),
        ("as-is", "3F2504E0-4F89-11D3-9A0C-0305E82C3301", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"),
        ("as-is", "0000", "0"),
        ("as-is", "MSG.77", "msg.77"),
        ("decimal", "1a2b", "6699"),
        ("decimal", "00001A2B", "0000006699"),
        ("decimal", "1a2b", "1A2B"),
        ("decimal", "10", "16"),
        ("decimal", "0x1a2b", "6699"),
        ("decimal", "x-1", "x-1"),
        ("hex", "6699", "1a2b"),
        ("hex", "0000006699", "00001A2B"),
        ("hex", "16", "10"),
        ("hex", "16", "0x10"),
        ("auto", "1a2b", "1A2B"),
        ("auto", "1a2b", "6699"),
        ("auto", "1A2B", "0000006699"),
        ("auto", "6699", "1a2b"),
        ("auto", "0000006699", "1A2B"),
        ("auto", "6699", "006699"),
        ("auto", "16", "10"),
        ("auto", "10", "16"),
        ("auto", "aB-9", "aB-9"),
        ("auto", "A07A1201", "-1602612735"),
        ("decimal", "a07a1201", "-1602612735"),
        ("auto", "FFFFFFFF00000001", "-4294967295"),
        ("as-is", "-1602612735", "2692354561"),
    ],
)
def test_the_ids_of_answer_and_receipt_meet(rule: IdRule, answer: str, in_receipt: str) -> None:
    """By each rule, with leading zeros, 0x, letter case and sign as the SMSC likes, as text or as octets."""
    assert stored(answer, rule) in forms(in_receipt, rule)
    assert stored(answer.encode(), rule) == stored(answer, rule)
    assert forms(in_receipt.encode() + b"\0", rule) == forms(in_receipt, rule)


@pytest.mark.parametrize(
    ("rule", "answer", "in_receipt"),
    [
        ("as-is", "16", "10"),
        ("as-is", "1a2b", "6699"),
        ("decimal", "10", "10"),
        ("hex", "10", "10"),
        ("hex", "1000", "1000"),
        ("auto", "aZ-9", "Az-9"),
        ("as-is", "", "0"),
    ],
)
def test_ids_that_are_not_the_same_do_not_meet(rule: IdRule, answer: str, in_receipt: str) -> None:
    """A wrong match would report another player's message; case is kept where it tells two ids apart."""
    assert stored(answer, rule) not in forms(in_receipt, rule)


def test_an_exact_id_is_looked_up_first() -> None:
    """Under `auto` the conversions come after the id as it is."""
    assert forms("0016", "auto") == ("16", "10", "22")
    assert forms("1A2B", "auto") == ("1a2b", "6699")
    assert forms("x1", "auto") == ("x1",)
    assert forms("", "auto") == forms(b"\0", "auto") == ()
    assert stored(b"", "auto") == ""


def test_a_receipt_with_two_ids_is_looked_up_by_the_right_one() -> None:
    """receipted_message_id often repeats the answer while the text has the receipt's own form."""
    both = ("1234", "0000004660")
    assert lookups(both, "decimal") == (stored("1234", "decimal"),)
    assert lookups(both, "auto")[0] == stored("1234", "auto")
    assert lookups(("1a", "77"), "as-is") == ("1a", "77")
    assert lookups((), "auto") == ()


def test_what_was_seen_tells_which_form_of_a_short_id_is_meant() -> None:
    """Of 16 messages to one player, the receipt's 16 is not the answer 16 (22) where answers alone have letters."""
    seen = IdsSeen()
    sixteen = ("16",)
    assert seen.lookups(sixteen, "auto")[0] == "16"
    for number in range(1, 17):
        seen.answered(f"{number:X}".encode())
    assert seen.lookups(sixteen, "auto") == ("10", "16", "22")
    assert seen.lookups(sixteen, "as-is") == ("16",)
    assert seen.lookups(("1f",), "auto")[0] == "1f"
    assert seen.lookups(sixteen, "auto")[0] == "16"
    other = IdsSeen()
    other.answered(b"10")
    other.lookups(("a",), "auto")
    assert other.lookups(("10",), "auto")[0] == "16"


@given(st.integers(0, 1 << 64), st.integers(0, 8), st.integers(0, 8), st.booleans(), st.booleans())
def test_numbers_meet_in_every_form(number: int, zeros: int, more: int, upper: bool, shout: bool) -> None:
    """Decimal and hexadecimal, any padding, either case; the explicit rules give exactly one form."""

    def hexadecimal(padding: int, big: bool) -> str:
        text = "0" * padding + f"{number:x}"
        return text.upper() if big else text

    def decimal(padding: int) -> str:
        return "0" * padding + str(number)

    assert forms(decimal(more), "decimal") == (stored(hexadecimal(zeros, upper), "decimal"),)
    assert forms(hexadecimal(more, shout), "hex") == (stored(decimal(zeros), "hex"),)
    assert forms(hexadecimal(more, shout), "as-is") == (stored(hexadecimal(zeros, upper), "as-is"),)
    for answer in (hexadecimal(zeros, upper), decimal(zeros)):
        for in_receipt in (answer, hexadecimal(more, shout), decimal(more)):
            assert stored(answer, "auto") in forms(in_receipt, "auto")


@given(st.binary(max_size=300) | st.text(string.hexdigits, max_size=300).map(str.encode), st.sampled_from(RULES))
def test_any_id_is_found_again_as_it_is(message_id: bytes, rule: IdRule) -> None:
    """An SMSC that repeats its id is understood under as-is and auto, whatever the id is; sizes stay bounded."""
    kept = stored(message_id, rule)
    assert len(kept) <= 160
    assert kept.split() == [kept] * bool(kept)
    if kept and rule in ("as-is", "auto"):
        assert forms(message_id, rule)[0] == kept
    assert all(0 < len(form) <= 160 for form in forms(message_id, rule))


@pytest.mark.parametrize(
    ("message_id", "holds"),
    [
        ("447700900999", True),
        ("7700900999-17", True),
        ("s1.07700.900.999", True),
        (f"{447700900999:x}", True),
        ("0900999", True),
        ("NDQ3NzAwOTAwOTk5", True),
        ("343437373030393030393939", True),
        ("FM2DINZXGAYDSMBQHE4TS", True),
        ("447700099099", True),
        ("8000001", False),
        ("900999", False),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", False),
        ("", False),
    ],
)
def test_an_id_that_holds_the_number_is_known(message_id: str, holds: bool) -> None:
    """However the country is written before it, and encoded; a short code in it is nobody's."""
    assert holds_number(message_id, ("+447700900999",)) is holds
    assert not holds_number(message_id, ("", "900999"))

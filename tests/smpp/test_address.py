"""Senders, numbers and validity periods as a submit_sm has them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.core.contact import readable_number
from gatewayd.core.errors import PermanentFailure
from gatewayd.core.number_readings import digits, readings, repeated
from gatewayd.smpp.address import destination, source, validity


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("Amazing", (5, 0, b"Amazing")),
        ("Amazing24-7", (5, 0, b"Amazing24-7")),
        ("123", (3, 0, b"123")),
        ("12345678", (3, 0, b"12345678")),
        ("12", (1, 1, b"12")),
        ("123456789", (1, 1, b"123456789")),
        ("447700900123", (1, 1, b"447700900123")),
        ("+447700900123", (1, 1, b"447700900123")),
        ("+44 (7700) 900-123", (1, 1, b"447700900123")),
        ("+12345", (1, 1, b"12345")),
        ("", (0, 0, b"")),
    ],
)
def test_the_senders_kind_gives_its_ton_and_npi(sender: str, expected: tuple[int, int, bytes]) -> None:
    """Names 5/0, three to eight digits 3/0, numbers 1/1 without plus; a configured pair overrides."""
    assert source(sender) == expected
    assert source(sender, (2, 8)) == (2, 8, expected[2])


@pytest.mark.parametrize("alphabet", ["gsm", "latin1"])
@pytest.mark.parametrize("sender", ["TwelveLetter", "Казино", "١٢٣٤٥", "A" * 100])
def test_a_name_that_no_smsc_takes_is_refused(sender: str, alphabet: Any) -> None:
    """Over eleven characters or outside both alphabets: permanent, and the failure does not repeat it."""
    with pytest.raises(PermanentFailure) as refused:
        source(sender, default_alphabet=alphabet)
    assert sender not in str(refused.value)


@pytest.mark.parametrize(
    ("sender", "gsm", "latin1"),
    [
        ("Play_24@x", b"Play_24@x", b"Play_24@x"),
        ("Café", b"Caf\x05", b"Caf\xe9"),
        ("Ωmega", b"\x15mega", None),
        ("naïve", None, b"na\xefve"),
        ("Elevenaaaéé", b"Elevenaaa\x05\x05", b"Elevenaaa\xe9\xe9"),
        ("é[ten]chars", None, b"\xe9[ten]chars"),
        ("Caf@é", None, b"Caf@\xe9"),
    ],
)
def test_a_name_is_written_in_the_smscs_alphabet(sender: str, gsm: bytes | None, latin1: bytes | None) -> None:
    """ASCII as it is; other names in GSM 03.38 or Latin-1, refused where the octets are too many or end a C-string."""
    alphabets: tuple[tuple[Any, bytes | None], ...] = (("gsm", gsm), ("latin1", latin1))
    for alphabet, expected in alphabets:
        if expected is None:
            with pytest.raises(PermanentFailure):
                source(sender, default_alphabet=alphabet)
        else:
            assert source(sender, default_alphabet=alphabet) == (5, 0, expected)


def test_destination_has_no_plus() -> None:
    """E.164 without its plus, 1/1 or the configured pair."""
    assert destination("+447700900999") == (1, 1, b"447700900999")
    assert destination("+447700900999", (2, 0)) == (2, 0, b"447700900999")


def test_validity_relative_and_absolute() -> None:
    """Both say the same moment; what is over still gets a minute, what is far off thirty days."""
    now = datetime(2026, 11, 23, 22, 0, tzinfo=UTC).timestamp()
    assert validity(now + 4 * 3600, now, "relative") == b"000000040000000R"
    assert validity(now + 4 * 3600, now, "absolute") == b"261124020000000+"
    assert validity(now - 5, now, "relative") == b"000000000100000R"
    assert validity(now + 1e9, now, "relative") == b"000030000000000R"
    assert validity(now + 5, now, "") == b""


@given(st.integers(60, 30 * 86400), st.floats(1e9, 3e9))
def test_validity_reads_back(left: int, now: float) -> None:
    """Either form is sixteen octets and names the deadline to the second."""
    relative = validity(now + left, now, "relative").decode()
    found = re.fullmatch(r"0000(\d\d)(\d\d)(\d\d)(\d\d)000R", relative)
    assert found
    days, hours, minutes, seconds = map(int, found.groups())
    assert abs(timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds() - left) <= 1
    absolute = validity(now + left, now, "absolute").decode()
    assert re.fullmatch(r"\d{12}000\+", absolute)
    read = datetime.strptime(absolute[:12], "%y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    assert abs(read - (now + left)) <= 1


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"447700900999", "447700900999"),
        (b"+44 7700 900999", "447700900999"),
        (b"00447700900999", "447700900999"),
        (b"07700900999", "07700900999"),
        (b"4477009*****", ""),
        (b"Amazing", ""),
        (b"44\xb27", ""),
        (b"", ""),
    ],
)
def test_a_number_that_came_in_has_digits_only(octets: bytes, expected: str) -> None:
    """However it is written; what is no number has none."""
    assert digits(octets) == expected


def test_what_a_receipt_repeats_is_read_as_the_submit_had_it() -> None:
    """But for a national number, which none of ours is: to think of each would cost a tenth of its receipt."""
    assert repeated(b"447700900021", "GB") == ("447700900021",)
    assert repeated(b"12025550123", "US") == ("12025550123",)
    assert "447700900021" in repeated(b"7700900021", "GB")
    assert "12025550123" in repeated(b"2025550123", "US")
    assert "6581234567" in repeated(b"81234567", "SG")
    assert repeated(b"60777", "GB") == ("60777",)
    assert repeated(b"+44 7700 900021", "GB") == ("447700900021",)
    assert "447700900021" in repeated(b"07700900021", "GB")
    assert repeated(b"07700900021") == ("07700900021",)
    assert repeated(b"Amazing", "GB") == ()


@pytest.mark.parametrize("stored", ["+5215512345678", "+525512345678"])
@pytest.mark.parametrize("came", [b"5215512345678", b"525512345678"])
def test_the_answer_of_a_mexican_number_names_the_one_that_was_written_to(stored: str, came: bytes) -> None:
    """Whichever of its two spellings the database has, and whichever the SMSC."""
    assert (readable_number(stored, "") or "").removeprefix("+") in readings(came)

"""Taking addresses out of other people's words."""

from hypothesis import given
from hypothesis import strategies as st

from gatewayd.core.redact import redact

_WORDS = (
    *("2.0.0", "OK", "450", "0771", "123456", "1234567", "+", "+44 7700 900123", "07700 900 123", "(0)20 7946 0018"),
    *("queued as 4Zq000251w", "id=1abcde-00012f-3K", "deadbeefdeadbeefdeadbeef", "0x1f", "\u0663" * 7, ";", "<x>"),
    "a540f662-45b3-41ee-be56-0242ac120002",
)


@given(st.lists(st.sampled_from(_WORDS)))
def test_numbers_are_taken_out_alike_with_and_without_an_address_beside_them(words: list[str]) -> None:
    """Words without an address are looked at by a shorter pattern, which must find the same numbers in them."""
    text = " ".join(words)
    assert redact(f"{text} jane@player.test") == f"{redact(text)} [redacted]"


def test_each_way_to_write_an_address_is_seen() -> None:
    """A way that is not looked for first would let an address through."""
    for written in ("jane@player.test", "jane%40player.test", "jane=40player.test", '"j d"@[192.0.2.1]'):
        assert redact(f"no such user {written} here") == "no such user [redacted] here"

"""What the sender of an SMS may look like."""

import pytest

from gatewayd.config.values import why_no_sms_sender


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("Amazing", True),
        ("Amazing Inc", True),
        ("Amazing Inc.", False),
        ("123", True),
        ("12", True),  # a name of two characters
        ("+12", False),
        ("+447700900123", True),
        ("+4477009001234567", False),
        ("1234567890123456", False),
        (" Amazing", False),
        ("", False),
        ("\0Amazing", False),
        ("Ama\x85zing", False),
        ("Ama\u2028zing", False),
    ],
)
def test_a_sender_is_a_number_or_a_name(text: str, fits: bool) -> None:
    """3 to 15 digits with or without a plus, or 1 to 11 characters none of which is a control character."""
    assert (why_no_sms_sender(text) == "") is fits

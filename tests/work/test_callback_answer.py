"""What Smartico's answer to a status says, however it is written."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.work.callback_answer import read_answer


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error_code": 0,}', 0),
        (b'{"error_code":0}', 0),
        (b'\xef\xbb\xbf {"error_code": 0, }\r\n', 0),
        (b'{"error_code": "0"}', 0),
        (b'{"error_code": 0.0, "x": [1,2,],}', 0),
        (b'{"error_code": 1, "error_message": "email was not found"}', 1),
        (b'{"error_code": 1, "error_message": "no, really ,}",}', 1),
        (b'{"error_code": -3}', -3),
        (rb'{"error_code": 0, "error_message": "\ud83d"}', 0),
        (rb'{"error_code": 1, "error_message": "cut \ud83d",}', 1),
        (b"", 0),
        (b" \r\n", 0),
        (b"\xef\xbb\xbf", 0),
        (b"<html>502</html>", None),
        (b"{}", None),
        (b"[0]", None),
        (b"0", None),
        (b'{"error_code": null}', None),
        (b'{"error_code": true}', None),
        (b'{"error_code": ', None),
        (b'{"error_code": 1, "error_message": "not ended,}', None),
        (b"[" * 30_000, None),
        (b"\xff\xfe\x00", None),
    ],
)
def test_answers_are_read_leniently(body: bytes, code: int | None) -> None:
    """The error code is found in all that may reasonably stand for it, and nowhere else."""
    assert read_answer(body)[0] == code


@given(st.binary(max_size=300))
def test_no_answer_breaks_the_reading(body: bytes) -> None:
    """Whatever the bytes, reading them gives a number or nothing."""
    code, words = read_answer(body)
    assert code is None or isinstance(code, int)
    assert isinstance(words, str)


@given(st.integers(-(10**8), 10**8), st.text(max_size=20))
def test_a_trailing_comma_changes_nothing(code: int, words: str) -> None:
    """The same answer with and without trailing comma reads the same."""
    strict = msgspec.json.encode({"error_code": code, "error_message": words})
    assert read_answer(strict[:-1] + b" , }") == read_answer(strict)

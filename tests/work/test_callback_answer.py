"""What Smartico's answer to a status says, however it is written."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoded_ways import WAYS
from gatewayd.core.encoded import decodings
from gatewayd.work.callback_answer import read_answer, secrets_in


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


@pytest.mark.parametrize("way", ["as it is", *WAYS])
def test_an_answer_that_quotes_what_it_was_asked_brings_no_secret_back(way: str) -> None:
    """The key and the URL of a status are in its request; what an engineer can use of the words stays."""
    url = "https://op:pass-word-4711@api.smartico.ai/cb/0123456789abcdef/x?brand=7&token=t0ken-4712%2B&4713-bare-one"
    secrets = ("api-key-4710", *secrets_in(url))
    for secret in (
        "api-key-4710",
        "pass-word-4711",
        "t0ken-4712+",
        "t0ken-4712%2B",
        "4713-bare-one",
        "0123456789abcdef",
    ):
        words = f"wrong api_key for brand 7: {WAYS.get(way, str)(secret)} at api.smartico.ai"
        _, said = read_answer(msgspec.json.encode({"error_code": 2, "error_message": words}), secrets)
        assert said.startswith("wrong api_key for brand 7: ")
        assert said.endswith("at api.smartico.ai")
        assert not [one for one in (said, *(one.text for one in decodings(said))) if re.search("471|t0ken|456", one)]


def test_a_request_line_in_an_answer_keeps_what_is_no_secret() -> None:
    """It says what was asked."""
    url = "https://api.smartico.ai/cb?brand=7&token=t0ken-4712"
    words = f"GET {url}&type=sms&status=delivered&api_key=api-key-4710 refused"
    _, said = read_answer(
        msgspec.json.encode({"error_code": 2, "error_message": words}), ("api-key-4710", *secrets_in(url))
    )
    assert said == (
        "GET https://api.smartico.ai/cb?brand=7&token=[redacted]&type=sms&status=delivered&api_key=[redacted] refused"
    )


def test_no_url_breaks_the_look_for_its_secrets() -> None:
    """What cannot be read has none to hide."""
    assert list(secrets_in("https://[::1")) == []

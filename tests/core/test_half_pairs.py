"""JSON with half a surrogate pair in it, for whoever reads what others write."""

import msgspec
import pytest

from gatewayd.core.half_pairs import MOST_LOOSE, decoded, decoded_anyway, marked


@pytest.mark.parametrize(
    ("json", "value"),
    [
        (rb'"\ud83d"', "\ufffd"),
        (rb'["a\uDE00\n", {"\ud83d": "\ud83d\ude00"}]', ["a\ufffd\n", {"\ufffd": "\U0001f600"}]),
        (rb'"\\ud83d"', "\\ud83d"),
        (rb'[1, "x"]', [1, "x"]),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'\xef\xbb\xbf"\\ud83d"', "\ufffd"),
    ],
)
def test_a_half_is_read_as_the_sign_for_what_could_not_be_read(json: bytes, value: object) -> None:
    """A whole pair, and a backslash that was written, are what they are; a byte order mark is nothing."""
    assert decoded(json) == value


@pytest.mark.parametrize(
    "json", [b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf1", b"<html>", rb'"\ud83d', rb'"\ud83d" x', rb'"\ud83d\x"']
)
def test_what_is_no_json_stays_so(json: bytes) -> None:
    """With a half in it, too."""
    with pytest.raises(msgspec.DecodeError):
        decoded(json)


def test_only_what_has_a_half_is_written_anew() -> None:
    """The usual fault is another one."""
    assert marked(rb'{"a": "\u00e9" "\\n}') is None


@pytest.mark.parametrize(
    ("json", "value"),
    [
        (b'{"a": "f\xfcr", "b": 1}', {"a": "f\ufffdr", "b": 1}),
        (b'\xef\xbb\xbf["\\ud83d", "\xe9"]', ["\ufffd", "\ufffd"]),
        ('"für"'.encode(), "für"),
        ('{"a": "für"}'.encode("utf-16"), {"a": "für"}),
        ('{"a": "für"}'.encode("utf-16-le"), {"a": "für"}),
        (b'{"a": "x\ny\tz\x1b", "b": 1}', {"a": "x\ny\tz\x1b", "b": 1}),
        (b'{"a": "\n\\ud83d", "b": "\\ud83d\\ude00"}', {"a": "\n\ufffd", "b": "\U0001f600"}),
        (b'{"price": -Infinity, "b": 1.5}', {"price": None, "b": 1.5}),
        (b'{"price": 1e999, "b": 12345678901234567890123}', {"price": None, "b": 12345678901234567890123}),
    ],
)
def test_what_is_badly_written_hides_nothing_beside_it(json: bytes, value: object) -> None:
    """Another encoding, a text with a line break in it, a number that JSON has not."""
    assert decoded_anyway(json) == value


@pytest.mark.parametrize(
    "json",
    [b"", b"\xff", b'"\xe9', "für".encode("utf-16"), b"<html>", b"{'a': 1}", b'{"a": 1,}', b"1" * 5000, b'{"a": "\n"'],
)
def test_what_is_no_json_in_any_encoding_stays_so(json: bytes) -> None:
    """Nothing is made up."""
    with pytest.raises(msgspec.DecodeError):
        decoded_anyway(json)


def test_a_megabyte_is_read_the_quick_way_only() -> None:
    """A batch that is too large to be somebody's own script is JSON, or in another encoding."""
    batch = b'["' + b"\xe9" * MOST_LOOSE + b'%b"]'
    assert decoded_anyway(batch % b"") == ["\ufffd" * MOST_LOOSE]
    with pytest.raises(msgspec.DecodeError):
        decoded_anyway(batch % b"\n")

"""Half a surrogate pair, as of an emoji that was cut: JSON by its grammar (RFC 8259 8.2), and text of no encoding."""

import json

import pytest

from gatewayd.core.errors import ErrorCode, Refused
from gatewayd.core.model import Channel
from gatewayd.intake.request_json import FIELDS, read_request
from intake_world import EMAIL, SMS

HALVES = [
    r"\ud83d",
    r"\uDE00",
    r"\uD83Dx",
    r"\ud83d\n",
    r"\ud83d\u0041",
    r"\ude00\ud83d",
    r"\\\ud83d",
    r"\ud83d\ud83d\ude00",
]
WHOLE = [r"\ud83d\ude00", r"\\ud83d", r"\\\\ud83d", r"\ufffd", "\ufffd"]


def body(channel: Channel, **raw: str) -> bytes:
    """A good request with these members, as JSON has them between the quotes."""
    fields = {name: json.dumps(text) for name, text in (EMAIL if channel is Channel.EMAIL else SMS).items()}
    fields |= {name: f'"{text}"' for name, text in raw.items()}
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode()


def refusal(channel: Channel, text: bytes) -> tuple[ErrorCode, str]:
    """Why it is refused."""
    with pytest.raises(Refused) as refused:
        read_request(channel, text)
    return refused.value.code, refused.value.message


@pytest.mark.parametrize(
    ("channel", "field"), [(channel, field) for channel in FIELDS for field in sorted(FIELDS[channel])]
)
def test_in_a_field_that_we_read_it_is_refused_by_name(channel: Channel, field: str) -> None:
    """Wherever in the text it stands."""
    for half in HALVES:
        told = refusal(channel, body(channel, **{field: f"a{half}b"}))
        assert told == (ErrorCode.INVALID_REQUEST, f"{field} has half a surrogate pair")


@pytest.mark.parametrize("half", HALVES)
def test_elsewhere_it_is_ignored(half: str) -> None:
    """In a field that we do not know, in what is nested there, and in such a field's name."""
    for name, value in (("zz", f'"{half}"'), ("zz", f'[{{"{half}": "{half}"}}]'), (half, f'"{half}"')):
        text = body(Channel.SMS)[:-1] + f',"{name}":{value}}}'.encode()
        assert read_request(Channel.SMS, text) == read_request(Channel.SMS, body(Channel.SMS))


@pytest.mark.parametrize("whole", WHOLE)
def test_what_looks_like_it_is_read(whole: str) -> None:
    """A whole pair, a written backslash, and the sign for what could not be read; beside a half elsewhere, too."""
    text = body(Channel.SMS, body=f"{whole} ", zz=r"\ud83d")
    assert read_request(Channel.SMS, text).content.body == json.loads(f'"{whole} "')


@pytest.mark.parametrize("half", ['"', r"\ud83d", r'\ud83d\x"', r'\ud83d\u12"', '\\ud83d\x01"', r'\ud83d" x'])
def test_what_is_no_json_beside_it_stays_so(half: str) -> None:
    """The half pair is no excuse."""
    text = body(Channel.SMS)[:-1] + f',"zz":"{half}'.encode() + b',"yy":"}'
    assert refusal(Channel.SMS, text) == (ErrorCode.INVALID_REQUEST, "the body is not JSON")


def test_octets_that_are_no_utf_8_beside_it() -> None:
    """As without it."""
    text = body(Channel.SMS, zz=r"\ud83d").replace(b'"body":"', b'"body":"\xff')
    assert refusal(Channel.SMS, text) == (ErrorCode.INVALID_REQUEST, "the body is not UTF-8")

"""What a caller brings costs time in proportion to its size: nothing of it keeps others waiting."""

import json
import time
from collections.abc import Callable

import pytest

from gatewayd.core.errors import ErrorCode, Refused
from gatewayd.core.model import Channel
from gatewayd.intake import rules
from gatewayd.intake.request_json import MOST_MEMBERS, read_request
from intake_world import EMAIL, SMS, label

LABEL = label()
BASE, FACTOR = 20_000, 16


def judged(channel: Channel, body: bytes) -> str:
    """All that is looked at before a directory or the store is asked; why it is refused, or ""."""
    try:
        request = read_request(channel, body)
        rules.check_well_formed(request)
        rules.check_sender(LABEL, request.content)
        rules.check_callback(LABEL, request.callback_url)
        rules.check_preview(LABEL, request)
        rules.content_of(request)
    except Refused as refused:
        return refused.message
    return ""


def field(name: str, text: Callable[[int], str]) -> Callable[[int], bytes]:
    """An email whose field `name` is `text` of that many characters."""
    return lambda size: json.dumps(EMAIL | {name: text(size)}).encode()


CASES: dict[str, Callable[[int], bytes]] = {
    "members": lambda size: b"{" + b",".join(b'"%x":1' % number for number in range(size // 9)) + b"}",
    "one member": lambda size: b"{" + b",".join([b'"":1'] * (size // 5)) + b"}",
    "lists": lambda size: b'{"a":[' + b"[]," * (size // 3) + b"[]]}",
    "nested lists": lambda size: b'{"a":' + b"[" * size,
    "nested objects": lambda size: b'{"a":' * (size // 5),
    "digits": lambda size: b'{"ext_user_id":' + b"9" * size + b"}",
    "an exponent": lambda size: b'{"body":1e' + b"9" * size + b"}",
    "escapes": lambda size: b'{"body":"' + b"\\u00e9" * (size // 6) + b'"}',
    "half pairs": lambda size: b'{"a":"' + b"\\ud83d" * (size // 6) + b'"}',
    "backslashes behind half a pair": lambda size: b'{"a":"\\ud83d' + b"\\\\" * (size // 2) + b'"}',
    "pairs behind half a pair": lambda size: b'{"a":"\\ud83d' + b"\\ud83d\\ude00" * (size // 12) + b'"}',
    "signs behind half a pair": lambda size: b'{"a":"\\ud83d' + "\ufffd".encode() * (size // 3) + b'"}',
    "blanks": lambda size: b" " * size,
    "a body of blanks": field("body", lambda size: " " * size),
    "tags": field("body", lambda size: "<a " * (size // 3)),
    "comments": field("body", lambda size: "<!--" * (size // 4)),
    "a text": field("text_body", lambda size: "http://" * (size // 7)),
    "a subject": field("subject", lambda size: "é " * (size // 2)),
    "a sender's quotes": field("from_email_address", lambda size: '"\\' * (size // 2)),
    "a sender's comments": field("from_email_address", lambda size: "(a" * (size // 2)),
    "a sender's dots": field("reply_to_email_address", lambda size: "a." * (size // 2) + "@b.c"),
    "a host's dots": field("callback_url", lambda size: "https://" + "a." * (size // 2) + "smartico.ai/"),
    "a URL's signs": field("callback_url", lambda size: "https://" + "a@" * (size // 2) + "smartico.ai/"),
    "a preview's dots": field("to_email_address", lambda size: "a@" + "b." * (size // 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_body_costs_time_in_proportion_to_its_size(name: str) -> None:
    """Sixteen times as much takes at most some forty times as long; what is quadratic would take 256 times."""

    def cost(size: int) -> float:
        body, best = CASES[name](size), 1e9
        for _ in range(5):
            began = time.thread_time()
            judged(Channel.EMAIL, body)
            best = min(best, time.thread_time() - began)
        return best

    small, large = cost(BASE), cost(BASE * FACTOR)
    assert large < max(40 * small, 0.05), (small, large)


def test_an_object_of_a_thousand_members_is_enough() -> None:
    """One more is refused, whatever they are called; what is ignored is not even read."""
    more = {f"x{number}": number for number in range(MOST_MEMBERS - len(SMS))}
    assert judged(Channel.SMS, json.dumps(SMS | more).encode()) == ""
    said = judged(Channel.SMS, json.dumps(SMS | more | {"one": "more"}).encode())
    assert said == "the body has more than 1000 members"
    unread = json.dumps(SMS)[:-1].encode() + b',"x":1e999999,"y":' + b"[" * 900 + b"]" * 900 + b"}"
    assert judged(Channel.SMS, unread) == ""


@pytest.mark.parametrize("value", ["1e999", "9" * 5000, "true", "[]", "{}", "null", "1.0"])
def test_a_field_that_is_no_text_is_named(value: str) -> None:
    """Also where Python could not read it."""
    body = json.dumps(SMS)[:-1].encode() + b',"activity":1,"im_uid":' + value.encode() + b"}"
    with pytest.raises(Refused) as refused:
        read_request(Channel.SMS, body.replace(b'"im_uid": "im-1", ', b""))
    assert (refused.value.code, refused.value.message) == (ErrorCode.INVALID_REQUEST, "im_uid is not a string")


@pytest.mark.parametrize("value", ["1.0", "42.50", "1e3", "1.5e3", "-1e999", "9" * 5000, "true"])
def test_a_player_is_a_string_or_a_plain_number(value: str) -> None:
    """Whether 1e3 means the player "1000", only a guess could tell, and it may be another player."""
    others = {name: text for name, text in SMS.items() if name != "ext_user_id"}
    body = b'{"ext_user_id":' + value.encode() + b"," + json.dumps(others).encode()[1:]
    with pytest.raises(Refused) as refused:
        read_request(Channel.SMS, body)
    assert refused.value.message == "ext_user_id is neither a string nor a plain number"

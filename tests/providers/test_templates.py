"""What a vendor is asked: each value encoded for its place, and none able to end it."""

import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.config import Provider
from gatewayd.core.errors import PermanentFailure
from gatewayd.providers.templates import Asked, filled

WORDS = {
    "to": "+447700900123",
    "to_digits": "447700900123",
    "sender": "Amazing",
    "text": 'Hi "you" & {me} ünï\r\n',
    "message_id": "a540f662-45b3-41ee-be56-0242ac120002",
    "uid": "u/1",
    "report_url": "https://go.example/dlr/v/tok?x=1&y=2",
    "username": "acc",
    "password": "pass{to}",
}


def ask(words: dict[str, str] | None = None, **keys: Any) -> Asked:
    """The request of a provider with these keys."""
    table = {"url": "https://api.example/v1/send"} | keys
    return filled(Provider.model_validate(table), WORDS | (words or {}))


def test_json_fields_nest_and_keep_their_types() -> None:
    """Tables, lists, numbers and truths go as they are; texts are filled in."""
    fields = {"messages": [{"to": "{to}", "n": 3, "on": True, "text": "{text}!"}], "from": "{sender}"}
    asked = ask(fields=fields)
    assert (asked.method, asked.target) == ("POST", "/v1/send")
    assert dict(asked.headers)["Content-Type"] == "application/json"
    assert json.loads(asked.body) == {
        "messages": [{"to": WORDS["to"], "n": 3, "on": True, "text": WORDS["text"] + "!"}],
        "from": "Amazing",
    }


def test_a_number_is_one_in_json() -> None:
    """Where the vendor wants no text; elsewhere there are only texts, and what is no number is never sent."""
    fields = {"to": "{to_digits:number}", "ttl": {"amount": "{seconds_left:number}"}, "{label}": "{to_digits}"}
    words = {"seconds_left": "0", "label": "l"}
    to = int(WORDS["to_digits"])
    assert json.loads(ask(words, fields=fields).body) == {"to": to, "ttl": {"amount": 0}, "l": str(to)}
    assert parse_qsl(ask(words, fields=fields, body="form").body.decode()) == [
        ("to", WORDS["to_digits"]),
        ("ttl[amount]", "0"),
        ("l", WORDS["to_digits"]),
    ]
    for odd in ("", "+44", "0044", "4 4", "1e3", "\u0664", "9" * 19, "anna"):
        with pytest.raises(PermanentFailure, match="no number"):
            ask(words | {"to_digits": odd}, fields=fields)


def test_a_form_is_encoded() -> None:
    """Lists give a name several times, tables a name in brackets; nothing of a value ends a field."""
    asked = ask(
        body="form", fields={"To": "{to}", "Body": "{text}", "m": ["a", "{uid}"], "t": {"k": "{sender}", "b": False}}
    )
    assert dict(asked.headers)["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(asked.body.decode(), keep_blank_values=True) == [
        ("To", WORDS["to"]),
        ("Body", WORDS["text"]),
        ("m", "a"),
        ("m", "u/1"),
        ("t[k]", "Amazing"),
        ("t[b]", "false"),
    ]


def test_a_query_is_encoded_behind_the_urls_own() -> None:
    """With body = "none" the fields join what the URL has already; a value with a query of its own is one value."""
    url = "https://api.example/cgi/{username}?user={username}&a=1"
    asked = ask(method="GET", body="none", url=url, fields={"text": "{text}", "dlr-url": "{report_url}&s=%d"})
    parts = urlsplit(asked.target)
    assert (asked.method, parts.path, asked.body) == ("GET", "/cgi/acc", b"")
    assert parse_qsl(parts.query, keep_blank_values=True) == [
        ("user", "acc"),
        ("a", "1"),
        ("text", WORDS["text"]),
        ("dlr-url", WORDS["report_url"] + "&s=%d"),
    ]


def test_a_path_stays_one_path() -> None:
    """A slash in a value is no new segment, and a value can't climb."""
    assert ask(url="https://api.example/{uid}/send").target == "/u%2F1/send"
    for climbing in (".", ".."):
        with pytest.raises(PermanentFailure):
            ask({"uid": climbing}, url="https://api.example/{uid}/send")
    assert ask(url="https://api.example/../send").target == "/../send"


def test_what_the_operator_wrote_in_the_url_stays() -> None:
    """But for what a request line has no place for."""
    assert ask(url="https://api.example/a%2Fb/ü?x=%20&y=1").target == "/a%2Fb/%C3%BC?x=%20&y=1"


def test_headers_are_filled_and_end_nowhere() -> None:
    """What a header has no place for is escaped; a secret from elsewhere goes as it is."""
    asked = ask({"uid": "a\r\nX-Evil: 1\x7fé%"}, headers={"Idempotency-Key": "{message_id}", "X-Uid": "{uid}"})
    headers = dict(asked.headers)
    assert headers["Idempotency-Key"] == WORDS["message_id"]
    assert headers["X-Uid"] == "a%0D%0AX-Evil: 1%7F%C3%A9%"


def test_the_authorization_header() -> None:
    """The whole header where it is given, else HTTP Basic; a header of that name in `headers` counts over Basic."""
    own = {"username": "acc", "password": "pass{to}"}
    assert dict(ask(authorization="App {password}", **own).headers)["Authorization"] == "App pass{to}"
    assert dict(ask(**own).headers)["Authorization"] == "Basic YWNjOnBhc3N7dG99"
    asked = ask(headers={"Authorization": "Bearer {password}"}, **own)
    assert [value for name, value in asked.headers if name == "Authorization"] == ["Bearer pass{to}"]
    assert "Authorization" not in dict(ask().headers)


def test_values_are_no_templates() -> None:
    """What a player or caller wrote in braces stays as they wrote it."""
    assert json.loads(ask({"text": "{to} {password}"}, fields={"t": "{text}"}).body) == {"t": "{to} {password}"}


def test_printing_shows_nothing() -> None:
    """A request in a log line says no number and no text."""
    asked = ask(fields={"to": "{to}", "text": "{text}"})
    assert "447700900123" not in repr(asked)


@given(st.text(max_size=50))
def test_any_text_arrives_whole_everywhere(text: str) -> None:
    """In JSON, form, query and path a value comes out as it went in, and the head stays one line each."""
    text = text.encode("utf-8", "replace").decode()
    words = {"text": text}
    assert json.loads(ask(words, fields={"t": "{text}"}).body) == {"t": text}
    assert parse_qsl(ask(words, body="form", fields={"t": "{text}"}).body.decode(), keep_blank_values=True) == [
        ("t", text)
    ]
    target = ask(words, body="none", fields={"t": "{text}"}, url="https://a.example/x{text}").target
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    parts = urlsplit(target)
    assert unquote(parts.path) == "/x" + text
    assert parse_qsl(parts.query, keep_blank_values=True) == [("t", text)]
    value = dict(ask(words, headers={"X-T": "{text}"}).headers)["X-T"]
    assert value.isascii()
    assert all(char == " " or char.isprintable() for char in value)

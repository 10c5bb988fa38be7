"""What a vendor is asked: url, fields and headers with their place-holders filled in. Pure.

Owns the encoding of each place: path, query, form, JSON, header. No value is ever pasted raw, so that none can end a
field, a line or the request. Knows no socket and no clock.
"""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from gatewayd.config.providers import NUMBER, PLACE_HOLDER, Provider, Verbatim
from gatewayd.config.secret import Secret
from gatewayd.core.errors import PermanentFailure
from gatewayd.core.gsm_alphabet import CHARACTERS
from gatewayd.http_client import requests

Words = Mapping[str, str]
"""A value for each place-holder."""

_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
_IN_HEADER = "".join(map(chr, range(0x20, 0x7F)))
"""Printable ASCII: a key with a percent sign must arrive as it is."""

_WHOLE_NUMBER = re.compile("0|[1-9][0-9]{0,17}", re.ASCII)
"""One that JSON writes as it is: what begins with a zero would arrive as another."""


class Asked(Struct, frozen=True):
    """One request: `target` is path and query. Printing it shows nothing of it."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        return f"<Asked {self.method}>"


def filled(provider: Provider, words: Words) -> Asked:
    """The request to `provider` for one message. Raises PermanentFailure where a value can't stand where it should."""
    path, query = _target(provider.url)
    pairs = [query] if query else []
    body = b""
    headers = dict(_headers(provider, words))
    fields = provider.fields
    if provider.unicode_fields and not CHARACTERS.issuperset(words.get("text", "")):
        fields = fields | provider.unicode_fields
    if provider.body == "none":
        pairs += [f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in _pairs(fields, words)]
    else:
        if not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = _TYPES[provider.body]
        if provider.body == "form":
            body = urlencode(list(_pairs(fields, words)), errors="replace").encode()
        else:
            body = msgspec.json.encode(_nested(fields, words))
    target = _path(path, words)
    if pairs:
        pairs[0] = _put(pairs[0], words, _quoted) if query else pairs[0]
        target = f"{target}?{'&'.join(pairs)}"
    return Asked(provider.method, requests.target(target), tuple(headers.items()), body)


def _target(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.path or "/", parts.query


def _path(path: str, words: Words) -> str:
    segments = path.split("/")
    done = [_put(segment, words, _quoted) for segment in segments]
    if any(new in (".", "..") and new != old for new, old in zip(done, segments, strict=True)):
        # Percent-encoded or not, it would mean another path (RFC 3986 6.2.2.2).
        raise PermanentFailure("a value of the message can't stand in the provider's path")
    return "/".join(done)


def _headers(provider: Provider, words: Words) -> Iterator[tuple[str, str]]:
    names = {name.lower() for name in provider.headers}
    if provider.authorization:
        yield "Authorization", _header(provider.authorization, words)
    elif provider.username and "authorization" not in names:
        both = f"{provider.username}:{provider.password.reveal()}".encode()
        yield "Authorization", f"Basic {base64.b64encode(both).decode()}"
    for name, value in provider.headers.items():
        yield name, _header(value, words)


def _header(value: Secret, words: Words) -> str:
    text = value.reveal()
    return text if isinstance(value, Verbatim) else _put(text, words, _in_header)


def _pairs(fields: Mapping[str, Any], words: Words) -> Iterator[tuple[str, str]]:
    """Fields where there is only name and value: a list's element each by the same name, a table's as name[key]."""
    for name, value in fields.items():
        yield from _flat(_put(name, words, str), value, words)


def _flat(name: str, value: Any, words: Words) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}[{_put(key, words, str)}]", inner, words)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _flat(name, inner, words)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    else:
        yield name, _put(str(value), words, str)


def _nested(value: Any, words: Words) -> Any:
    if isinstance(value, Mapping):
        return {_put(key, words, str): _nested(inner, words) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_nested(inner, words) for inner in value]
    if not isinstance(value, str):
        return value
    number = NUMBER.fullmatch(value)
    return _number(words.get(number[1], "")) if number else _put(value, words, str)


def _number(text: str) -> int:
    if not _WHOLE_NUMBER.fullmatch(text):
        raise PermanentFailure("a value of the message is no number, and stands where the provider wants one")
    return int(text)


def _put(template: str, words: Words, encode: Callable[[str], str]) -> str:
    """`template` with each place-holder's value in its place; what a value has in braces stays as it is."""
    if "{" not in template:
        return template
    return PLACE_HOLDER.sub(lambda found: encode(words.get(found[1], "")), template)


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _in_header(text: str) -> str:
    return quote(text, safe=_IN_HEADER, errors="replace")

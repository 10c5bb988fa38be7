"""What Smartico's answer to a status says, in the many shapes in which it may be written (SMARTICO.md 4). Pure."""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus, urlsplit

import msgspec

from gatewayd.core import half_pairs
from gatewayd.core.redact import redact

NOT_FOUND = 1
"""It does not know our id."""

_LONGEST_REASON = 180

_USUAL_ANSWER = re.compile(rb'\s*\{\s*"error_code"\s*:\s*"?(\d{1,9})"?\s*,?\s*\}\s*')
# A string that is not ended goes on to the end: begun again at each of its quotes, it would cost the square of that.
_STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]++|\\.)*+(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)


_SHORT = 4
_LONG_STEP = 12
"""Characters of a value in a URL, and of a step of its path, that is found in many words, and is no secret."""


def secrets_in(url: str) -> Iterator[str]:
    """What of a callback URL may be secret: its log-in, the values in its query, and what is long in its path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    yield from (parts.username or "", parts.password or "")
    for pair in parts.query.split("&"):
        name, is_value, value = pair.partition("=")
        raw = value if is_value else name
        yield from (raw, unquote(raw), unquote_plus(raw))
    yield from (step for step in parts.path.split("/") if len(step) >= _LONG_STEP)


def read_answer(body: bytes, secrets: Iterable[str] = ()) -> tuple[int | None, str]:
    """`error_code` and the redacted `error_message` of an answer; the code is None where there is none to be found.

    Nothing of `secrets` is left in the words, but for what stands in many: an answer may quote what it was asked.

    The documentation prints `{"error_code": 0,}`, and what sends it may call it text/html: so a byte order mark,
    trailing commas and a number in quotes are read as they were meant. An answer without any content is a yes.
    """
    usual = _USUAL_ANSWER.fullmatch(body)
    if usual is not None:
        return int(usual[1]), ""
    text = body.decode("utf-8-sig", "replace").strip().strip("\0")
    if not text:
        return 0, ""
    answer = _lenient_json(text)
    if not isinstance(answer, dict):
        return None, ""
    words = answer.get("error_message")
    if not isinstance(words, str):
        return _number(answer.get("error_code")), ""
    # The longest first: of what stands in another one nothing else would be left than its end.
    hidden = sorted({secret for secret in secrets if len(secret) >= _SHORT}, key=len, reverse=True)
    return _number(answer.get("error_code")), redact(words, _LONGEST_REASON, hidden)


def _lenient_json(text: str) -> object:
    for candidate in (text, _STRING_OR_TRAILING_COMMA.sub(lambda match: match[1] or "", text)):
        try:
            return half_pairs.decoded(candidate.encode())
        except (msgspec.DecodeError, RecursionError):
            continue
    return None


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,9}\s*", value):
        return int(value)
    return None

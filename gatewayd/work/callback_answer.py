"""What Smartico's answer to a status says, in the many shapes in which it may be written (SMARTICO.md 4). Pure."""

import re

import msgspec

from gatewayd.core import half_pairs
from gatewayd.core.redact import redact

NOT_FOUND = 1
"""It does not know our id."""

_LONGEST_REASON = 180

_USUAL_ANSWER = re.compile(rb'\s*\{\s*"error_code"\s*:\s*"?(\d{1,9})"?\s*,?\s*\}\s*')
# A string that is not ended goes on to the end: begun again at each of its quotes, it would cost the square of that.
_STRING_OR_TRAILING_COMMA = re.compile(r'("(?:[^"\\]++|\\.)*+(?:"|\\?\Z))|,(?=\s*[}\]])', re.DOTALL)


def read_answer(body: bytes) -> tuple[int | None, str]:
    """`error_code` and the redacted `error_message` of an answer; the code is None where there is none to be found.

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
    return _number(answer.get("error_code")), redact(words, _LONGEST_REASON) if isinstance(words, str) else ""


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

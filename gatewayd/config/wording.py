"""How an error in gatewayd.toml is said: its key path, what is wrong, and what was perhaps meant.

Pure. No error quotes a value that may be a secret.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic_core import ErrorDetails

from gatewayd.config.table import Table

_WORDS = {
    "missing": "is required",
    "extra_forbidden": "unknown key",
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}

_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}

_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_LINE_PARTS = re.compile(r"(?P<key>[A-Za-z0-9_-]+)(?P<equals>\s*=)?")
_SECRET = re.compile(r"pass|secret|key|auth|token|pin", re.IGNORECASE)


def fault(root: type[Table], loc: tuple[int | str, ...], kind: str, message: str, context: Mapping[str, Any]) -> str:
    """One of pydantic's errors as a line."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith("["):
            path += f".{part}" if path else part
    if kind == "literal_error":
        message = f"must be one of {context.get('expected')}"
    elif kind == "string_too_long":
        message = f"must have at most {context.get('max_length')} characters"
    elif kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        message = f"must be {words} {context.get(key)}"
    else:
        message = _WORDS.get(kind, message.removeprefix("Value error, "))
    if kind == "extra_forbidden":
        message += meant(str(loc[-1]), _keys_at(root, loc[:-1]))
    return f"{path}: {message}"


def without_follow_ups(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """pydantic's errors without those of a list that is only too short because what it has was wrong."""
    within = {one["loc"][:end] for one in errors for end in range(len(one["loc"]))}
    return [one for one in errors if one["type"] != "too_short" or one["loc"] not in within]


def meant(word: str, known: Iterable[str]) -> str:
    """The end of an error about a word that is not known here: which one it looks like, or nothing."""
    words = list(known)
    if word in words:
        return " in a table of this type"
    close = get_close_matches(word, words, 1)
    return f" (did you mean {close[0]}?)" if close else ""


def toml_error(error: Exception, text: str, root: type[Table]) -> str:
    """A syntax error with the line at which the reader gave up, as far as it holds no secret."""
    at = _LINE.search(str(error))
    if at is None:
        return f"not TOML: {error}"
    number = int(at[1])
    lines = text.splitlines()
    line = lines[number - 1].strip() if number <= len(lines) else ""
    shown = _without_secrets(line, frozenset(_all_keys(root)))
    shown = shown if len(shown) == len(line) else f"{shown.rstrip()} …".lstrip()
    return f"line {number}: not TOML: {str(error).replace(at[0], '').strip()}: {shown}"


def _without_secrets(line: str, known: Container[str]) -> str:
    """The beginning of a line that is no TOML: the name of a table, or a key, and what can't be a secret behind it.

    Where the sign of equality is missing, or the line goes on with the one before, any word but a key may be one.
    """
    if line.startswith("[") or not line:
        return re.split(r"[\"']", line, maxsplit=1)[0]
    parts = _LINE_PARTS.match(line)
    if parts is None or (not parts["equals"] and parts["key"] not in known):
        return ""
    if not parts["equals"] or parts["key"] not in known or _SECRET.search(parts["key"]):
        return parts["key"] + (parts["equals"] or "")
    # What stands in quotes or in a table within the line has keys, or none, of which nobody knows what they are for.
    return re.split(r"[\"'{]", line, maxsplit=1)[0]


def _all_keys(root: type[Table]) -> Iterator[str]:
    """The keys of a table and of all that may stand in it."""
    for key, field in root.model_fields.items():
        yield key
        for table in _tables_in(field.annotation):
            yield from _all_keys(table)


def encoding_error(error: UnicodeDecodeError) -> str:
    """That a file is in another encoding, with the first line that shows it."""
    number = error.object[: error.start].count(b"\n") + 1
    return f"line {number}: not TOML: a character that is not UTF-8: save the file in that encoding"


def _keys_at(root: type[Table], path: Sequence[int | str]) -> list[str]:
    """The keys of the table at `path`: of a dictionary's entries, and of all kinds that a table may be of."""
    tables = [root]
    for part in path:
        fields = [table.model_fields[part] for table in tables if isinstance(part, str) and part in table.model_fields]
        if fields:
            tables = [found for field in fields for found in _tables_in(field.annotation)]
    return [key for table in tables for key in table.model_fields]


def _tables_in(annotation: Any) -> Iterator[type[Table]]:
    if isinstance(annotation, type) and issubclass(annotation, Table):
        yield annotation
    for inner in get_args(annotation):
        yield from _tables_in(inner)

"""An operator's SQL with :ext_user_id and :label, rewritten to what a DB-API driver binds (PEP 249). Pure."""

import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

NAMES = ("ext_user_id", "label")
_DOLLAR = r"\$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$"
_PLAIN_STRING = r"'(?:[^']|'')*'"
_MYSQL_STRING = r"'(?:[^'\\]|\\.|'')*'" + r'|"(?:[^"\\]|\\.|"")*"'
_ESCAPE_STRING = r"\b[eE]'(?:[^'\\]|\\.|'')*'"
_PARAMETER = r"::|:=|(?<![\w:]):(?P<name>[A-Za-z_]\w*)"


class Bound(Struct, frozen=True):
    """A query as a driver wants it: `names` are the parameters in order, empty where they are bound by name."""

    sql: str
    names: tuple[str, ...]

    def arguments(self, values: Mapping[str, str]) -> Sequence[str] | Mapping[str, str]:
        """What goes beside `sql` into execute()."""
        return tuple(values[name] for name in self.names) if self.names else values


def bind(query: str, paramstyle: str, *, mysql: bool = False) -> Bound:
    """`query` for a driver of `paramstyle`; literals, quoted names, comments and casts stay as they are.

    `mysql` reads strings and comments as MySQL does. Raises ValueError for a parameter that we don't have, for a query
    without :ext_user_id, for several statements, and for a style that PEP 249 does not know.
    """
    if paramstyle not in _STYLES:
        raise ValueError(f"the driver has an unknown paramstyle, {paramstyle}")
    percent = paramstyle in ("format", "pyformat")
    made: list[str] = []
    names: list[str] = []
    at = 0
    for start, end, name in _parameters(query, mysql):
        made.append(_text(query[at:start], percent))
        if name not in NAMES:
            raise ValueError(f"query: unknown parameter :{name}, there are :ext_user_id and :label")
        names.append(name)
        made.append(_STYLES[paramstyle].format(name=name, number=len(names)))
        at = end
    made.append(_text(query[at:], percent))
    if "ext_user_id" not in names:
        raise ValueError("query: has no :ext_user_id")
    by_name = paramstyle in ("named", "pyformat")
    return Bound("".join(made), () if by_name else tuple(names))


_STYLES = {
    "qmark": "?",
    "numeric": ":{number}",
    "named": ":{name}",
    "format": "%s",
    "pyformat": "%({name})s",
}


def _text(sql: str, percent: bool) -> str:
    # These drivers format the whole statement, what is in quotes too.
    return sql.replace("%", "%%") if percent else sql


def _parameters(query: str, mysql: bool) -> list[tuple[int, int, str]]:
    found = []
    at = 0
    pattern = _MYSQL if mysql else _STANDARD
    while match := pattern.search(query, at):
        at = match.end()
        if match[0] == "/*":
            at = _end_of_comment(query, at, nested=not mysql)
        elif match["name"]:
            found.append((match.start(), match.end(), match["name"]))
    return found


def _end_of_comment(query: str, at: int, *, nested: bool) -> int:
    depth = 1
    for match in re.compile(r"/\*|\*/").finditer(query, at):
        if match[0] == "*/":
            depth -= 1
        elif nested:
            depth += 1
        if depth == 0:
            return match.end()
    return len(query)


_STANDARD = re.compile(
    "|".join((_ESCAPE_STRING, _PLAIN_STRING, r'"(?:[^"]|"")*"', r"`[^`]*`", r"--[^\n]*", r"/\*", _DOLLAR, _PARAMETER)),
    re.DOTALL,
)
_MYSQL = re.compile(
    "|".join((_MYSQL_STRING, r"`(?:[^`]|``)*`", r"--(?=\s|$)[^\n]*", r"#[^\n]*", r"/\*", _PARAMETER)),
    re.DOTALL,
)

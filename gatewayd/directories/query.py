"""An operator's SQL with :ext_user_id and :label, rewritten to what a DB-API driver binds (PEP 249). Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

NAMES = ("ext_user_id", "label")
_DOLLAR = r"\$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$"
_PLAIN_STRING = r"'(?:[^']|'')*'"
_MYSQL_STRING = r"'(?:[^'\\]|\\.|'')*'" + r'|"(?:[^"\\]|\\.|"")*"'
_ESCAPE_STRING = r"\b[eE]'(?:[^'\\]|\\.|'')*'"
_PARAMETER = r";|::|:=|(?<![\w:]):(?P<name>[A-Za-z_]\w*)"


class BoundQuery(Struct, frozen=True):
    """A query as a driver wants it: `names` are the parameters in order, with `by_name` those that it has."""

    sql: str
    names: tuple[str, ...]
    by_name: bool = False

    def arguments(self, values: Mapping[str, str]) -> Sequence[str] | Mapping[str, str]:
        """What goes beside `sql` into execute(): no more than the query has, for oracledb refuses others."""
        return (
            {name: values[name] for name in self.names} if self.by_name else tuple(map(values.__getitem__, self.names))
        )


def bind(query: str, paramstyle: str, *, mysql: bool = False) -> BoundQuery:
    """`query` for a driver of `paramstyle`; literals, quoted names, comments and casts stay as they are.

    `mysql` reads strings and comments as MySQL does, which executes those that begin with an exclamation mark. Raises
    ValueError for a parameter that we don't have, for a query without :ext_user_id, for several statements, and for a
    style that PEP 249 does not know.
    """
    if paramstyle not in _STYLES:
        raise ValueError(f"driver: has an unknown paramstyle, {paramstyle}")
    percent = paramstyle in ("format", "pyformat")
    made: list[str] = []
    names: list[str] = []
    at = 0
    query = _one_statement(query, mysql)
    for start, end, name in _parts(query, mysql):
        if not name:
            continue
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
    return BoundQuery("".join(made), tuple(dict.fromkeys(names)) if by_name else tuple(names), by_name)


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


def _one_statement(query: str, mysql: bool) -> str:
    """`query` up to its semicolon, behind which only blanks and comments may stand: not every database takes it.

    Raises ValueError.
    """
    parts = list(_parts(query, mysql))
    end = next((start for start, _, _ in parts if query[start] == ";"), None)
    if end is None:
        return query
    at = end
    for start, behind, _ in parts:
        if start < end:
            continue
        is_nothing = query[start] == ";" or query.startswith(("--", "/*", "#"), start)
        if query[at:start].strip() or not is_nothing:
            break
        at = behind
    if query[at:].strip():
        raise ValueError("query: has more than one statement")
    return query[:end]


def _parts(query: str, mysql: bool) -> Iterator[tuple[int, int, str]]:
    """Where strings, comments, semicolons and the like begin and end; and parameters, with their names."""
    at = 0
    pattern = _MYSQL if mysql else _STANDARD
    while match := pattern.search(query, at):
        at = match.end()
        if match[0] == "/*":
            at = _end_of_comment(query, at, nested=not mysql)
        yield match.start(), at, match["name"] or ""


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
    "|".join((_MYSQL_STRING, r"`(?:[^`]|``)*`", r"--(?=\s|$)[^\n]*", r"#[^\n]*", r"/\*(?!M?!)", _PARAMETER)),
    re.DOTALL,
)

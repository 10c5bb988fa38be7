"""The file as it stands, before it is made into types: a value of a wrong kind has an error of its own. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any


def table_of(value: object) -> Mapping[str, Any]:
    """A table; an empty one for what is none."""
    return value if isinstance(value, Mapping) else {}


def tables_of(value: object) -> dict[str, Mapping[str, Any]]:
    """The tables in a table."""
    return {name: table_of(table) for name, table in table_of(value).items()}


def items_of(value: object) -> Sequence[Any]:
    """The items of a list; none for what is none."""
    return value if isinstance(value, list | tuple) else ()

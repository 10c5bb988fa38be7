"""The text of a configuration file, for tests of every kind. Imports nothing of gatewayd."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def toml(tables: Mapping[str, Any]) -> str:
    """TOML of nested tables; below the second level they are written inline."""
    lines = []
    for name, table in tables.items():
        plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
        lines += [f"[{name}]", *(f"{key} = {_value(value)}" for key, value in plain.items())]
        for inner, value in table.items():
            if isinstance(value, Mapping):
                lines += [f"[{name}.{json.dumps(inner)}]", *(f"{key} = {_value(item)}" for key, item in value.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)

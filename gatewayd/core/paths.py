"""Where something stands in somebody else's JSON or form: "messages.*.id". Pure.

A path is keys and list positions with dots between; `*` stands for every element of a list or table. A key that has
dots of its own is found where the rest of the path is just that key. A text that is JSON by itself, as in a field of a
form, is gone into. Nothing here raises, whatever the data are.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

MOST = 1_000
"""Values that one path gives at most: what comes is a stranger's."""

MOST_WITHIN = 65_536
"""Characters of a text that is gone into: each path goes into it anew."""

Place = tuple[int | str, ...]
"""What each `*` of a path stood for, from the left."""


def nodes(data: object, path: str) -> Iterator[tuple[Place, Any]]:
    """Each value that `path` leads to, and its place; none where a step leads nowhere, or to null."""
    found = 0
    for place, node in _walk(data, path.split("."), ()):
        if node is not None:
            yield place, node
            found += 1
            if found >= MOST:
                return


def _walk(node: Any, steps: list[str], place: Place) -> Iterator[tuple[Place, Any]]:
    if not steps:
        yield place, node
        return
    step, rest = steps[0], steps[1:]
    if isinstance(node, str):
        node = within(node)
    if step == "*":
        items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        for key, inner in items:
            yield from _walk(inner, rest, (*place, key))
    elif isinstance(node, dict):
        whole = ".".join(steps)
        if rest and whole in node:
            yield place, node[whole]
        elif step in node:
            yield from _walk(node[step], rest, place)
    elif isinstance(node, list) and step.isascii() and step.isdigit() and len(step) < 7 and int(step) < len(node):
        yield from _walk(node[int(step)], rest, place)


def within(text: str) -> Any:
    """The table or list that a text is as JSON; None where it is none."""
    if not text.startswith(("{", "[")) or not text.endswith(("}", "]")) or len(text) > MOST_WITHIN:
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def texts(data: object, path: str) -> dict[Place, str]:
    """The values at `path` that are texts, numbers or truths, as text, by their place."""
    return {place: text for place, node in nodes(data, path) if (text := text_of(node)) is not None}


def text_of(node: object) -> str | None:
    """A value as it is written in JSON; None for a table, a list and null."""
    if isinstance(node, str):
        return node
    if isinstance(node, bool):
        return "true" if node else "false"
    try:
        return str(node) if isinstance(node, int | float) else None
    except ValueError:
        # Python writes no number of more than 4300 digits.
        return None

"""Every expression that meets what strangers write costs no more than the length of it.

The expressions are found, not listed: a new one is tried with the first run. One that is only ever matched from its
text's beginning is tried so; CPU time is compared with itself, and looked at again before it is believed.
"""

import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hostile_mails import PIECES

ROOMS = (
    "bounces",
    "callbacks",
    "check",
    "config",
    "core",
    "directories",
    "evidence",
    "http",
    "http_client",
    "intake",
    "operators",
    "providers",
    "smpp",
    "smtp",
    "work",
)
SIZE = 4000
SLIGHT = 0.004
"""Characters of the shorter text, and seconds of CPU that need no second look."""

BOUNDED = {
    "gatewayd.core.mailbox._LOOKS_LIKE": "a mailbox of more than 1,000 characters is refused first",
    "gatewayd.core.phrases._PIECE": "it reads phrases of our own tables",
    "gatewayd.evidence.unsubscribe._STYLE": "it reads a page of our own",
}
"""Where more than the length is right, and why."""

_ANYWHERE = re.compile(r"\.(?:search|finditer|findall|subn?|split)\b")


def expressions() -> Iterator[tuple[str, "re.Pattern[Any]", bool]]:
    """Each with its name, and whether it is looked for anywhere in a text."""
    for room in ROOMS:
        package = importlib.import_module(f"gatewayd.{room}")
        names = [one.name for one in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
        for module in (package, *map(importlib.import_module, names)):
            source = inspect.getsource(module)
            for name, value in vars(module).items():
                for where, one in _found(name, value):
                    # One with a public name, or of a table, may be used by others, and as an item of a loop.
                    own = name.startswith("_") and where == name
                    anywhere = not own or re.search(rf"\b{name}{_ANYWHERE.pattern}", source) is not None
                    yield f"{module.__name__}.{where}", one, anywhere


def _found(where: str, value: Any) -> Iterator[tuple[str, "re.Pattern[Any]"]]:
    if isinstance(value, re.Pattern):
        yield where, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _found(f"{where}[{key!r}]", one)
    elif isinstance(value, tuple | list):
        for number, one in enumerate(value):
            yield from _found(f"{where}[{number}]", one)


FOUND = {name: (one, anywhere) for name, one, anywhere in expressions() if name not in BOUNDED}


def cost(one: "re.Pattern[Any]", piece: str, size: int, *, anywhere: bool) -> float:
    """Seconds of CPU for so much of that piece."""
    text: str | bytes = piece * (size // len(piece) + 1)
    if isinstance(one.pattern, bytes):
        text = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    began = time.thread_time()
    if anywhere:
        for _ in one.finditer(text):
            pass
    one.match(text)
    one.fullmatch(text)
    return time.thread_time() - began


def pieces(one: "re.Pattern[Any]") -> list[str]:
    """What it may stumble over: its own words, and those over which others did."""
    pattern = one.pattern if isinstance(one.pattern, str) else one.pattern.decode("latin-1")
    signs = sorted({char for char in pattern if not char.isascii()})
    words = re.findall(r"[A-Za-z][A-Za-z ]{1,30}", re.sub(r"\\[a-zA-Z]|\(\?[a-zA-Z:<>=!]*", "\0", pattern))
    return list(
        dict.fromkeys([*PIECES[::3], "\t", " ", "\n", "@", "a@", "a.", "=", "<", "1", '\\"', *words[:12], *signs[:12]])
    )


@pytest.mark.parametrize("name", FOUND)
def test_twice_the_text_costs_twice_the_time(name: str) -> None:
    """Whatever stands in it a thousand times."""
    one, anywhere = FOUND[name]
    for piece in pieces(one):
        if cost(one, piece, 2 * SIZE, anywhere=anywhere) < SLIGHT:
            continue
        small = double = 1e9
        for _ in range(6):
            sizes = ((small, SIZE), (double, 2 * SIZE))
            small, double = (min(best, cost(one, piece, size, anywhere=anywhere)) for best, size in sizes)
            if double < 3 * small + SLIGHT:
                break
        else:
            raise AssertionError((piece, small, double))


def test_what_is_bounded_is_there() -> None:
    """An exception whose expression is gone goes, too."""
    assert set(BOUNDED) <= {name for name, _, _ in expressions()}

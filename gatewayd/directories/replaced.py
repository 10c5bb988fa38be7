"""Which file a database is in, where it is in one: another one may have been put in its place.

A player file that an export writes anew each night gets the old one's name. A connection that was made before has the
old one open, without its name, and would answer from it for ever: who opted out since would be written to.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Standing = tuple[int, int] | None
"""Device and inode of the file that has the name now; None where none has it."""

NOWHERE: Standing = 0, 0
"""Of a database that is in no file of this host's."""


def standing(driver: str, connect: Mapping[str, Any]) -> Callable[[], Standing]:
    """What tells whether the file that a connect() with these arguments opens is still the same."""
    path = _file_of(connect) if driver == "sqlite3" else None
    if path is None:
        return lambda: NOWHERE

    def look() -> Standing:
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            # What keeps us from looking keeps the driver from opening it, and it says why.
            return NOWHERE
        return found.st_dev, found.st_ino

    return look


def _file_of(connect: Mapping[str, Any]) -> Path | None:
    name = connect.get("database")
    if not isinstance(name, str) or name in ("", ":memory:"):
        return None
    if not connect.get("uri") or not name.startswith("file:"):
        return Path(name)
    parts = urlsplit(name)
    in_memory = parts.path == ":memory:" or parse_qs(parts.query).get("mode") == ["memory"]
    return None if in_memory or not parts.path else Path(unquote(parts.path))

"""One kind of log line in one minute: how often it came, and what is said of those that were counted and not written.

Knows nothing of levels' meanings, of time, or of how a line is written.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from string import Formatter
from typing import Any

from gatewayd.core.redact import redact


class Repeats:
    """`until` is when the window ends, `written` how many events of it are lines; those behind are counted only."""

    __slots__ = ("_same", "_template", "_type", "level", "seen", "until", "written")

    def __init__(self, until: float, level: Any, written: int) -> None:
        self.until = until
        self.level = level
        self.written = written
        self.seen = 0
        self._template = ""
        self._type = ""
        self._same: dict[str, Any] = {}

    def is_one_too_many(self, event: Mapping[str, Any], failure: Any) -> bool:
        """Count `event`: whether it is not to be written. `failure` is the exception that it tells of, or None."""
        self.seen += 1
        if self.seen <= self.written:
            return False
        if self.seen == self.written + 1:
            self._template = str(event.get("log_format") or "")
            self._type = failure.type.__name__ if failure is not None else ""
            self._same = {name: event[name] for name in _names(self._template) if name in event}
        elif self._same:
            self._keep_what_is_the_same(event)
        return True

    @property
    def not_written(self) -> int:
        """How many were counted only."""
        return max(self.seen - self.written, 0)

    @property
    def words(self) -> str:
        """What these say, all of them: `(various)` stands for a field that was not the same in all."""
        said = _filled(self._template, self._same)
        return f"{redact(said)} {self._type}".lstrip() if self._type else said

    def _keep_what_is_the_same(self, event: Mapping[str, Any]) -> None:
        for name, value in list(self._same.items()):
            try:
                same = bool(event[name] == value)
            except Exception:
                # Not there, or another's type that cannot be compared.
                same = False
            if not same:
                del self._same[name]


class _Various:
    """Stands for a value of which there are several, whatever a template asks of it."""

    def __getattr__(self, name: str) -> "_Various":
        return self

    def __getitem__(self, key: object) -> "_Various":
        return self

    def __format__(self, spec: str) -> str:
        return str(self)

    def __str__(self) -> str:
        return "(various)"

    __repr__ = __str__


_VARIOUS = _Various()


class _Fields(dict[str, Any]):
    def __missing__(self, name: str) -> _Various:
        return _VARIOUS


def _filled(template: str, same: Mapping[str, Any]) -> str:
    for fields in (same, {}):
        try:
            return template.format_map(_Fields(fields))
        except Exception:
            # A value that cannot be printed: without any. What is no template stands as it is.
            continue
    return template


@lru_cache(maxsize=1000)
def _names(template: str) -> tuple[str, ...]:
    """The fields that a template names."""
    try:
        parts = [name for _, name, _, _ in Formatter().parse(template) if name]
    except ValueError:
        return ()
    return tuple(dict.fromkeys(re.split(r"[.\[(]", name, maxsplit=1)[0] for name in parts))

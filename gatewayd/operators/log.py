"""How an event of twisted.logger becomes one line: text for people, JSON for programs.

Owns levels, the limit on repeats, and the last redaction of what exceptions quote. Knows nothing of what is logged.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from time import gmtime, strftime
from typing import Any, TextIO

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from gatewayd.config import Gatewayd
from gatewayd.core.model import Degraded
from gatewayd.core.redact import redact
from gatewayd.operators.log_stream import LogStream
from gatewayd.operators.repeats import Repeats
from gatewayd.operators.visible import visible, visible_json

REPEATS = 20
"""How often in `WINDOW` seconds the same warning is written before its repeats are only counted."""

WINDOW = 60.0
_FLUSH = 1.0
_HERE = "gatewayd.operators.log"

_PRIORITIES: Mapping[Any, str] = {
    LogLevel.debug: "<7>",
    LogLevel.info: "<6>",
    LogLevel.warn: "<4>",
    LogLevel.error: "<3>",
    LogLevel.critical: "<2>",
}
_NAMES: Mapping[Any, str] = {level: level.name for level in _PRIORITIES}
_RANKS = {level: rank for rank, level in enumerate(_PRIORITIES)}
_LIMITED = frozenset((LogLevel.warn, LogLevel.error, LogLevel.critical))

# What twisted.python.log leaves in its events beside its own text.
_LEGACY = frozenset(
    ("system", "time", "message", "isError", "format", "why", "failure", "printed", "debug", "logLevel", "log_legacy")
)
_PLAIN = (str, int, float, bool, type(None))
_LINE_ENDS = {9: " ", 10: "\\n", 13: "\\r"}
"""What stands for them in a line; other controls are as everywhere."""

# What Twisted tells of itself: which factory began and which port closed. Whoever listens says so in our words.
# So is its word on each 100 Continue that an HTTP server says unasked, of which one may send a million.
_CHATTERERS = frozenset(
    (
        "twisted.internet.base",
        "twisted.scripts._twistd_unix.UnixAppLogger",
        "twisted.web._newclient.HTTPClientParser",
    )
)
_FACTORIES = ("Starting factory ", "Stopping factory ")
_CHATTER = re.compile(r"(?:Starting|Stopping) (?:factory|protocol) |\(.*Closed\)$|.* starting on \S+$")
_VERIFIER = "twisted.internet._sslverify"
"""Twisted's word on a certificate that is not its host's: a traceback, and critical, at each try to connect."""

_encode = msgspec.json.Encoder().encode


@implementer(ILogObserver)
class Observer:
    """Writes one line an event to `stream`: text, or an object with `json`; what is below `level` is dropped.

    Twisted's chatter about its own factories and ports is dropped as well.

    Fields that the event's words do not name follow them in text. With `journal` each line begins with its priority
    as the journal reads it, and text carries no time of its own. Warnings and worse of one kind (place and format)
    are written `REPEATS` times in `WINDOW` seconds, then counted; the count is written once the window ended, with
    what all that were counted had in common. So is what its place says of each message in an outage (a true
    `log_limited`), but at `debug`, which has all.
    """

    def __init__(
        self,
        stream: TextIO,
        clock: IReactorTime,
        *,
        json: bool = False,
        level: Any = LogLevel.info,
        journal: bool = False,
    ) -> None:
        self._stream = LogStream(stream)
        self._clock = clock
        self._line = self._json if json else self._text
        self._lowest = _RANKS[level]
        self._journal = journal
        self._second = -1
        self._second_text = ""
        self._repeats: dict[tuple[str, str], Repeats] = {}
        self._next_flush = 0.0
        self.on_no_memory: Callable[[], None] = _nothing  # something failed for want of memory

    @property
    def debugging(self) -> bool:
        """Whether debug lines are written."""
        return self._lowest == _RANKS[LogLevel.debug]

    def __call__(self, event: LogEvent) -> None:
        """Write `event`, whatever is in it. Never raises for what the event holds."""
        if (self._repeats or self._stream.lost) and self._clock.seconds() >= self._next_flush:
            self.flush()
        if (failure := event.get("log_failure")) is not None and failure.check(MemoryError):
            self.on_no_memory()
        level = event.get("log_level", LogLevel.info)
        if event.get("log_namespace") == _VERIFIER:
            level = LogLevel.warn
        if _RANKS.get(level, 1) < self._lowest:
            return
        if level is LogLevel.info and _is_chatter(event):
            return
        limited = level in _LIMITED or (self._lowest and event.get("log_limited"))
        if limited and self._is_one_too_many(event, level):
            return
        self._put(event, level)

    def flush(self) -> None:
        """Write what waits, and how often each warning was repeated whose window ended; any later event does, too."""
        self._stream.drain()
        now = self._clock.seconds()
        self._stream.tell_lost(self._of_lost)
        self._next_flush = now + _FLUSH
        for key, repeats in list(self._repeats.items()):
            if now >= repeats.until:
                del self._repeats[key]
                self._summarise(key, repeats)

    def close(self) -> None:
        """Write all counts."""
        for key, repeats in self._repeats.items():
            self._summarise(key, repeats)
        self._repeats.clear()
        self._stream.close()

    def degraded(self) -> Iterator[Degraded]:
        """That nobody reads the log, or that it can't be written: it can't say so itself."""
        self._stream.drain()
        lost = f", {self._stream.lost} are lost" if self._stream.lost else ""
        if waiting := self._stream.waiting:
            yield Degraded("log", "unread", f"nobody reads the log: {waiting} lines wait{lost}; messages go on")
        elif trouble := self._stream.trouble:
            yield Degraded("log", "unwritten", f"the log can't be written: {trouble}{lost}; messages go on")

    def _is_one_too_many(self, event: LogEvent, level: Any) -> bool:
        # What was printed has one format for all: each line of a traceback is a kind of its own, or it is cut short.
        kind = event.get("log_io") or event.get("log_format") or ""
        failure = _failure(event)
        if failure is not None:
            kind = f"{kind} {failure.type.__name__}"
        key = (str(event.get("log_namespace", "")), str(kind))
        now = self._clock.seconds()
        repeats = self._repeats.get(key)
        if repeats is not None and now >= repeats.until:
            self._summarise(key, repeats)
            repeats = None
        if repeats is None:
            repeats = self._repeats[key] = Repeats(now + WINDOW, level, REPEATS)
        return repeats.is_one_too_many(event, failure)

    def _summarise(self, key: tuple[str, str], repeats: Repeats) -> None:
        if repeats.not_written:
            event = {
                "log_namespace": key[0],
                "log_time": self._clock.seconds(),
                "log_format": "repeated {times} times more: {kind}",
                "times": repeats.not_written,
                "kind": repeats.words,
            }
            self._put(event, repeats.level)

    def _of_lost(self, lines: int, why: str) -> str:
        words = "{lines} lines of this log were lost, because {why}"
        event = {"log_namespace": _HERE, "log_format": words, "lines": lines, "why": why}
        return self._line_of(event, LogLevel.warn)

    def _put(self, event: LogEvent, level: Any) -> None:
        self._stream.write(self._line_of(event, level))

    def _line_of(self, event: LogEvent, level: Any) -> str:
        try:
            line = self._line(event, level)
        except Exception as problem:
            # A log line that cannot be made must not become an error of whoever logs.
            line = f"unloggable event in {event.get('log_namespace')!r}: {type(problem).__name__}\n"
        return _PRIORITIES.get(level, "<6>") + line if self._journal else line

    def _text(self, event: LogEvent, level: Any) -> str:
        words = _message(event)
        for name in _further(event.get("log_format") or "", tuple(event)):
            words += f" {name}={event[name]}"
        failure = _failure(event)
        if failure is not None and _is_ours(event):
            words = f"{words}\n{_traceback(failure)}"
        if not (words.isascii() and words.isprintable()):
            words = visible(words.translate(_LINE_ENDS))
        place = event.get("log_namespace", "-")
        if self._journal:
            return f"{place}: {words}\n"
        return f"{self._time(event)} {_NAMES.get(level, 'info'):<8} {place}: {words}\n"

    def _json(self, event: LogEvent, level: Any) -> str:
        line: dict[str, Any] = {
            "at": self._time(event),
            "level": _NAMES.get(level, "info"),
            "place": event.get("log_namespace", "-"),
            "message": _message(event),
        }
        for name, value in event.items():
            if not name.startswith("log_") and name not in _LEGACY and name not in line:
                line[name] = value if isinstance(value, _PLAIN) else str(value)
        failure = _failure(event)
        if failure is not None:
            line["exception"] = failure.type.__name__
            if _is_ours(event):
                line["traceback"] = _traceback(failure)
        # JSON allows controls in it, but what reads lines may take some of them for line ends.
        return f"{visible_json(_encode(line).decode())}\n"

    def _time(self, event: LogEvent) -> str:
        at = event.get("log_time")
        if at is None:
            at = self._clock.seconds()
        second = int(at)
        if second != self._second:
            self._second_text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
            self._second = second
        return f"{self._second_text}.{int((at - second) * 1000):03d}Z"


def observer(clock: IReactorTime, twistd: Mapping[str, Any], environ: Mapping[str, str], table: Gatewayd) -> Observer:
    """Our own log format, where twistd (its options) logs to: a file or standard output."""
    name = twistd.get("logfile") or ("-" if twistd.get("nodaemon") else "twistd.log")
    if name == "-" and sys.stdout is None:
        # Python leaves it so where whoever started us closed it.
        name = os.devnull
    stream = sys.stdout if name == "-" else Path(name).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115
    at = os.fstat(stream.fileno())
    return Observer(
        stream,
        clock,
        json=table.log == "json",
        level=LogLevel.lookupByName(table.log_level),
        journal=under_journal(environ.get("JOURNAL_STREAM", ""), at.st_dev, at.st_ino),
    )


def _nothing() -> None:
    pass


def under_journal(journal_stream: str, device: int, inode: int) -> bool:
    """Whether the stream with `device` and `inode` is the journal that systemd named in $JOURNAL_STREAM."""
    return journal_stream == f"{device}:{inode}"


def _is_chatter(event: LogEvent) -> bool:
    place = event.get("log_namespace")
    if place == "log_legacy":
        return _CHATTER.match(formatEvent(event)) is not None
    return place in _CHATTERERS or str(event.get("log_format")).startswith(_FACTORIES)


@lru_cache(maxsize=1000)
def _further(template: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of an event's fields that its words do not name; remembered, since each place that logs has the same."""
    fields = (name for name in names if not name.startswith("log_") and name not in _LEGACY)
    return tuple(name for name in fields if f"{{{name}" not in template)


def _message(event: LogEvent) -> str:
    failure = _failure(event)
    template = event.get("log_format")
    if failure is not None and "isError" in event:
        # Its own text is the whole traceback, with whatever that quotes.
        words = str(event.get("why") or "")
    elif template is None:
        words = ""
    elif "()" in template or event.get("log_legacy"):
        # A field that is to be called, which only Twisted's own way of formatting does, at five times the price.
        words = formatEvent(event)
    else:
        try:
            words = template.format_map(event)
        except Exception:
            # Another's format: Twisted knows how to say what is wrong with it.
            words = formatEvent(event)
    if failure is None:
        return str(words)
    # The template's own fields may be the exception's text.
    said = redact(f"{failure.type.__name__}: {_said(failure)}", 500)
    return f"{redact(words)} ({said})" if words else said


def _failure(event: LogEvent) -> Any:
    failure = event.get("log_failure")
    return event.get("failure") if failure is None and event.get("isError") else failure


def _said(failure: Any) -> str:
    try:
        return str(failure.value)
    except Exception:
        return "its text cannot be had"


def _is_ours(event: LogEvent) -> bool:
    """Whether an exception is a bug of this host, and not a neighbour's certificate."""
    return event.get("log_namespace") != _VERIFIER


def _traceback(failure: Any) -> str:
    return redact(failure.getTraceback(elideFrameworkCode=True).strip())

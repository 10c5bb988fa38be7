"""What gatewayctl prints: tables, timelines and progress bars for people, JSON for programs. Decides nothing."""

import json
import sys
from collections.abc import Iterable, Sequence
from itertools import chain, islice
from types import TracebackType
from typing import Any

from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from gatewayd.core.durations import spoken
from gatewayd.core.model import Json
from gatewayd.operators.visible import visible, visible_json, visible_lines

_GOOD, _BAD, _WARN = "green", "bold red", "yellow"
_STATE_STYLES = {"delivered": _GOOD, "sent": "cyan", "failed": _BAD, "rejected": _BAD, "uncertain": _WARN}

_MOST_STOPS = 10_000
"""Lines of a table that a person may want to read."""

_MANY = 500
"""Rows of a table that rich lays out: it takes half a millisecond for each."""

_UNBROKEN = 1000
"""Columns of a line that goes to a pipe or a file: nothing is wrapped that grep is to find."""

_OWN_ID = 36
"""Letters of an id of ours."""


class _Console(Console):
    """Raises BrokenPipeError where nobody reads on; rich would end the process itself, and call that a failure."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _out() -> Console:
    out = _Console(highlight=False)
    return out if out.is_terminal else _Console(highlight=False, width=_UNBROKEN)


def as_json(value: Any) -> None:
    """Print `value` for programs, or to be handed on; a terminal's controls in it are escaped, as JSON allows."""
    sys.stdout.write(visible_json(json.dumps(value, indent=2, ensure_ascii=False)) + "\n")


def as_json_list(value: Json, name: str, items: Iterable[Json]) -> None:
    """Print `value` with a list `name` as its last member, each item once it is there: none is kept.

    Nothing is printed where the first item can't be had; where a later one can't, what is printed is no JSON, by which
    nobody can take a part for the whole.
    """
    coming = iter(items)
    first = list(islice(coming, 1))
    begin = json.dumps(value | {name: []}, indent=2, ensure_ascii=False)
    sys.stdout.write(visible_json(begin.removesuffix("[]\n}")) + "[")
    between = ""
    for item in chain(first, coming):
        text = json.dumps(item, indent=2, ensure_ascii=False).replace("\n", "\n    ")
        sys.stdout.write(f"{between}\n    {visible_json(text)}")
        between = ","
    sys.stdout.write("\n  ]\n}\n" if between else "]\n}\n")


def line(text: str) -> None:
    """Print a line of what goes on, at once."""
    sys.stdout.write(visible_lines(text) + "\n")
    sys.stdout.flush()


def to_paste(table: str, lines: Sequence[str]) -> None:
    """Lines for a table of the configuration, where there are any."""
    if lines:
        sys.stdout.write(f"\nTo put under [{table}]:\n" + "\n".join(lines) + "\n")


Part = str | tuple[str, str]
"""What is printed: a text, or one and its style."""


def _text(*parts: Part) -> Text:
    """Parts one behind the other, as they are: nothing in an id is markup or an emoji's name, or moves the cursor."""
    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((visible_lines(words), style) for words, style in pairs))


def trouble(text: str) -> None:
    """Say on standard error why a command failed."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(_text(("gatewayctl:", _BAD), f" {text}"))


def _table(title: str, *columns: str) -> Table:
    table = Table(title=_text((title, "bold")), title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        numeric = name.startswith("#")
        # Too narrow a terminal breaks a name or a number into lines: cut off, it could be another one.
        side: JustifyMethod = "right" if numeric else "left"
        table.add_column(name.removeprefix("#"), justify=side, overflow="fold", header_style="dim")
    return table


def status(value: Json) -> None:
    """All of `gatewayctl status`."""
    out = _out()
    reasons = value["reasons"]
    degraded = value.get("degraded", ())
    ready = ("ready, but not for all", _WARN) if degraded else ("ready", _GOOD)
    word = ("not ready", _BAD) if reasons else ready
    out.print(_text(f"gatewayd {value['version']} on {value['instance']}: ", word))
    for reason in reasons:
        out.print(_text("  ", (reason, _BAD)))
    for one in degraded:
        out.print(_text("  ", (one["text"], _WARN)))
    redis = value["redis"]
    if redis["up"]:
        out.print(f"Redis answers in {redis['seconds'] * 1000:.1f} ms")
        out.print()
        _queues(out, value)
        _labels(out, value["labels"])
    out.print()
    _routes(out, value["routes"])
    _others(out, "Directories", [(one["name"], one["reason"]) for one in value["directories"]])
    _others(out, "Callback hosts", [(one["host"], one["reason"]) for one in value["callback_hosts"]])


def _queues(out: Console, value: Json) -> None:
    table = _table("Queues", "queue", "#waiting", "#in work", "#oldest")
    for name, queue in value["queues"].items():
        oldest = queue["oldest_age_seconds"]
        table.add_row(name, str(queue["waiting"]), str(queue["leased"]), spoken(oldest) if oldest else "-")
    out.print(table)
    dead = value["dead_letters"]
    if dead["count"]:
        more = "or more " if dead["more"] else ""
        out.print(f"[{_WARN}]{dead['count']} {more}dead letters[/] (gatewayctl dead-letters)")
    else:
        out.print("No dead letters")


def _labels(out: Console, labels: Json) -> None:
    out.print()
    table = _table("Messages", "label", "channel", *(f"#{name}" for name in _COUNTS), "")
    for label, channels in labels.items():
        for channel, numbers in channels.items():
            counts = (str(numbers[name]) for name in _COUNTS)
            table.add_row(_text(label), channel, *counts, _text(("paused", _WARN) if numbers["paused"] else ""))
    out.print(table)


_COUNTS = ("accepted", "waiting", "sent", "delivered", "failed", "rejected")


def _routes(out: Console, routes: Sequence[Json]) -> None:
    columns = ("channel", "name", "state", "#unanswered", "#rate", "#limit", "#taken", "#throttled")
    table = _table("Relays, SMSCs and providers", *columns)
    for route in routes:
        style = _GOOD if route["up"] else _BAD
        window = f"{route['in_flight']}/{route['window']}" if route["window"] else str(route["in_flight"])
        table.add_row(
            route["channel"],
            _text(route["name"]),
            _text((route["word"] or ("up" if route["up"] else "down"), style)),
            window,
            f"{route['rate']:g}/s",
            f"{route['rate_limit']:g}/s" if route["rate_limit"] else "none",
            str(route["handed"]),
            str(route["throttled"]),
        )
    out.print(table)
    _why(out, ((route["name"], route["reason"]) for route in routes))
    _binds(out, [(route["name"], bind) for route in routes for bind in route["binds"]])


def _others(out: Console, title: str, troubles: Sequence[tuple[str, str]]) -> None:
    """Neighbours of which no more is known than why they are down, if they are."""
    if troubles:
        out.print()
        table = _table(title, "name", "state")
        for name, reason in troubles:
            table.add_row(_text(name), _text(("down", _BAD) if reason else ("up", _GOOD)))
        out.print(table)
        _why(out, troubles)


def _binds(out: Console, binds: Sequence[tuple[str, Json]]) -> None:
    if not binds:
        return
    out.print()
    columns = ("SMSC", "bind", "state", "#unanswered", "#taken", "#no answer", "#reconnects", "#answer")
    table = _table("Binds", *columns)
    for name, bind in binds:
        bound = bind["state"] == "bound"
        table.add_row(
            _text(name),
            f"{bind['mode']} {bind['number']}",
            _text((bind["state"], _GOOD if bound else _BAD)),
            "-" if bind["mode"] == "receiver" else f"{bind['in_flight']}/{bind['window']}",
            str(bind["handed"]),
            str(bind["unanswered"]),
            str(bind["reconnects"]),
            f"{bind['answer_seconds'] * 1000:.0f} ms" if bind["answer_seconds"] else "-",
        )
    out.print(table)
    down = [(name, bind) for name, bind in binds if bind["state"] != "bound"]
    _why(out, ((f"{name} {bind['mode']} {bind['number']}", bind["last_error"]) for name, bind in down))


def _why(out: Console, reasons: Iterable[tuple[str, str]]) -> None:
    """What is wrong with each, on lines of their own: a column beside numbers has no room for a sentence."""
    for name, reason in reasons:
        if reason:
            out.print(_text((name, _BAD), f": {reason}"))


def trace(value: Json) -> None:
    """The timeline of one message."""
    out = _out()
    style = _STATE_STYLES.get(value["state"], "bold")
    out.print(_text((value["ext_message_id"], "bold"), "  ", (value["state"], style)))
    what = {"email": "an email", "sms": "an SMS", "im": "an instant message"}[value["channel"]]
    player, uid = (value[name] or "(erased)" for name in ("ext_user_id", "uid"))
    out.print(_text(f"{what} of label {value['label']} to player {player}"))
    out.print(_text(f"uid {uid}"))
    for one in value.get("same_uid", ()):
        which = f"{one['ext_message_id']} ({one['label']}, {one['channel']}, {one['state']})"
        out.print(_text(("this uid has another message:", _WARN), f" {which}"))
    out.print()
    timeline = _table("Timeline", "at (UTC)", "event", "")
    for event in value["timeline"]:
        again = f" ({event['times']} times, until {_moment(event['until'])})" if "times" in event else ""
        timeline.add_row(_moment(event["at"]), _text(event["event"]), _text(event.get("detail", "") + again))
    # An erasure takes the whole of it.
    if value["timeline"]:
        out.print(timeline)
        out.print()
    reports = _table("Told to Smartico", "status", "queued (UTC)", "heard (UTC)")
    for report in value["reports"]:
        # When it was queued is known of each status, but for those that an erasure took the story of.
        not_known = f"[{_WARN}]not yet[/]" if report["at"] or value["ext_user_id"] else "(erased)"
        heard = _moment(report["answered_at"]) if report["answered_at"] else not_known
        reports.add_row(report["status"], _moment(report["at"]), heard)
    out.print(reports)


def _moment(text: str | None) -> str:
    return (text or "-").replace("T", " ").removesuffix("Z")


def dead_letters(value: Json) -> None:
    """What was given up."""
    out = _out()
    letters = value["dead_letters"]
    if not letters:
        out.print("No dead letters")
        return
    columns = ("message", "label", "status", "given up (UTC)", "why")
    keys = ("ext_message_id", "label", "status", "given_up_at", "reason")
    rows = [[_moment(letter[key]) if key == "given_up_at" else letter[key] for key in keys] for letter in letters]
    _long(out, "Dead letters", columns, rows)


def stops(label: str, found: Iterable[Json]) -> None:
    """A stop list as a table, as far as a person may want to read."""
    rows = []
    more = False
    for number, stop in enumerate(found):
        if more := number >= _MOST_STOPS:
            break
        who = stop["ext_user_id"] or f"({stop['kind']} {stop['keyed_hash'][:8]})"
        whose = f"{who} (an address)" if stop["kind"] == "address" and stop["ext_user_id"] else who
        rows.append((whose, stop["channel"], stop["since"][:19], stop["until"][:10], stop["reason"]))
    if not rows:
        _out().print("No stops")
        return
    _long(_out(), f"Stop list of {label}", ("player", "channel", "since", "until", "why"), rows)
    if more:
        _out().print(f"There are more than {_MOST_STOPS}: --since narrows it, --export FILE writes all of it.")


def _long(out: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of texts, which may have very many rows: those are lines, wrapped by the terminal alone."""
    if len(rows) <= _MANY:
        table = _table(title, *columns)
        # Ids are to be copied, however narrow the terminal; callers' own may be as wide as that.
        table.columns[0].no_wrap = all(len(row[0]) <= _OWN_ID for row in rows)
        for row in rows:
            table.add_row(*map(_text, row))
        out.print(table)
        return
    cells = [[visible(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    sys.stdout.write(f"{visible(title)}\n")
    for row in cells:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


class Progress:
    """A bar on standard error while something long runs; nothing where `quiet`, or where nobody watches."""

    def __init__(self, text: str, total: int | None, *, quiet: bool = False) -> None:
        console = Console(stderr=True)
        self._bar = Bar(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task(text, total=total)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trail: TracebackType | None
    ) -> None:
        self._bar.stop()

    def total(self, number: int) -> None:
        """Now it is known how much there is."""
        self._bar.update(self._task, total=number)

    def step(self, number: int) -> None:
        """So much more was done."""
        self._bar.advance(self._task, number)


def findings(lines: Iterable[tuple[str, str, str]]) -> None:
    """Lines of `check`: a word, what was looked at, and what was found."""
    out = _Console(highlight=False, soft_wrap=True)
    styles = {"ok": _GOOD, "warn": _WARN, "skip": "dim", "FAIL": _BAD}
    for word, what, found in lines:
        out.print(_text((f"{word:<4}", styles.get(word, "bold")), f"  {what}: {found}"))


def profiles(ready: Iterable[Json]) -> None:
    """All of `gatewayctl providers`."""
    out = _Console(highlight=False, soft_wrap=True)
    for one in ready:
        out.print(_text((one["profile"], "bold"), f"  {one['title']}"))
        out.print(_text((f"from {one['source']}, read {one['read']}", "dim")))
        for line in one["lines"]:
            out.print(_text(f"    {line}"))
        out.print(_text(f"  In the vendor's console: {one['console']}"))
        if one["note"]:
            out.print(_text(f"  Note: {one['note']}"))
        out.print()

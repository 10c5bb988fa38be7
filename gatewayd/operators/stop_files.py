"""`gatewayctl stops` and `gatewayctl guard`: the stop list shown, written to a CSV file, and read from one.

A file of a million lines is read and written line by line. Nothing is imported of a file in which a line is wrong, and
importing one twice changes nothing.
"""

import csv
import re
import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from gatewayd.core.model import Channel, Json
from gatewayd.operators import show
from gatewayd.operators.adminclient import AdminClient, Unhappy, open_client

COLUMNS = ("channel", "kind", "ext_user_id", "keyed_hash", "since", "until", "reason")
ROWS = 200
BYTES = 40_000
"""Of one order: the admin listener takes 64 KiB."""

SHOWN = 20
LONGEST_LIFT = 7 * 86400
"""Seconds for which a guard may be lifted at once."""

_HASH = re.compile(r"[0-9a-f]{30}")


def stops(options: Namespace) -> int:
    """The stop list of a label: shown, exported or imported."""
    client = open_client(Path(options.config), options.instance)
    if options.import_file:
        return bring(options, client)
    found = (one for channel in _channels(options) for one in every(client, options, channel))
    if options.export_file:
        return write(options, found)
    if options.json:
        show.as_json({"label": options.label, "stops": list(found)})
    else:
        show.stops(options.label, found)
    return 0


def guard(options: Namespace) -> int:
    """Let more than intake_rate in for a time."""
    client = open_client(Path(options.config), options.instance)
    told = client.post("/verbs/guard", {"label": options.label, "seconds": options.lift})
    if options.json:
        show.as_json(told)
    else:
        show.done(told)
    return 0


def length(text: str) -> float:
    """`text` as seconds: 30m, 1h. Raises ArgumentTypeError."""
    try:
        seconds = _seconds_in(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a length of time such as 1h (0s: the guard stands again)") from None
    if seconds > LONGEST_LIFT:
        raise ArgumentTypeError(f"{text!r} is longer than 7d")
    return seconds


def since(text: str, now: float) -> float:
    """`text` as a moment: a time in ISO 8601 (local where it names no zone), or so long ago (7d).

    Raises ArgumentTypeError.
    """
    with suppress(ValueError):
        return now - min(_seconds_in(text), now)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is neither a time such as 2026-01-31T12:00 nor one such as 7d") from None


def _seconds_in(text: str) -> float:
    # Here, because most commands need nothing of the configuration's reader, which takes long to import.
    from gatewayd.config.times import seconds_in

    return seconds_in(text)


def _channels(options: Namespace) -> tuple[str, ...]:
    return (options.channel,) if options.channel else tuple(Channel)


def every(client: AdminClient, options: Namespace, channel: str) -> Iterator[Json]:
    """Every stop of a channel once: a look at a list that changes may see one twice."""
    cursor, seen = "0", set()
    while True:
        order = {"label": options.label, "channel": channel, "since": options.since, "cursor": cursor}
        step = client.post("/verbs/stops", order)
        for stop in step["stops"]:
            if stop["keyed_hash"] not in seen:
                seen.add(stop["keyed_hash"])
                yield stop
        cursor = step["cursor"]
        if cursor == "0":
            return


def write(options: Namespace, found: Iterator[Json]) -> int:
    """The list as CSV, to the file that `options` names, readable by its owner only."""
    count = unknown = 0
    with (
        _writing(options.export_file) as out,
        show.Progress("Stops written", None, quiet=options.json or options.export_file == "-") as progress,
    ):
        lines = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
        lines.writeheader()
        for stop in found:
            lines.writerow(stop)
            count += 1
            unknown += not stop["ext_user_id"]
            progress.step(1)
    told: Json = {"label": options.label, "exported": count, "without_player_id": unknown}
    if options.export_file != "-":
        show.as_json(told) if options.json else show.done(told)
    return 0


@contextmanager
def _writing(name: str) -> Iterator[TextIO]:
    if name == "-":
        yield sys.stdout
        return
    path = Path(name)
    # Whose id is on a stop list is nobody else's business.
    try:
        path.touch(mode=0o600)
        out = path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise Unhappy(400, f"{name} can't be written: {error.strerror}") from None
    with out:
        yield out


def bring(options: Namespace, client: AdminClient) -> int:
    """All of a CSV file, or nothing where a line of it is wrong. Raises Unhappy with the lines."""
    faults = list(_first(_faults(options), SHOWN + 1))
    if faults:
        more = " ..." if len(faults) > SHOWN else ""
        raise Unhappy(400, "nothing was imported: " + "; ".join(faults[:SHOWN]) + more)
    total = {"imported": 0, "ended": 0}
    with show.Progress("Stops imported", None, quiet=options.json) as progress:
        for rows in _batches(options):
            told = client.post("/verbs/stops/import", {"label": options.label, "rows": rows})
            for name in total:
                total[name] += told[name]
            progress.step(len(rows))
    told = {"label": options.label, **total}
    show.as_json(told) if options.json else show.done(told)
    return 0


def _first(faults: Iterator[str], count: int) -> Iterator[str]:
    for _, fault in zip(range(count), faults, strict=False):
        yield fault


def _faults(options: Namespace) -> Iterator[str]:
    for number, row in _rows(options):
        if isinstance(row, str):
            yield f"line {number}: {row}" if number else row


def _batches(options: Namespace) -> Iterator[list[Json]]:
    batch: list[Json] = []
    size = 0
    for _, rows in _rows(options):
        assert not isinstance(rows, str)
        for row in rows:
            weight = sum(len(str(value)) * 6 for value in row.values()) + 120
            if batch and (len(batch) >= ROWS or size + weight > BYTES):
                yield batch
                batch, size = [], 0
            batch.append(row)
            size += weight
    if batch:
        yield batch


def _rows(options: Namespace) -> Iterator[tuple[int, list[Json] | str]]:
    """The orders of each line, or what is wrong with it; a line without channel is meant for those asked for."""
    try:
        with Path(options.import_file).open(encoding="utf-8-sig", newline="") as text:
            lines = csv.DictReader(text)
            names = lines.fieldnames or ()
            if "ext_user_id" not in names and "keyed_hash" not in names:
                yield 1, "the first line names neither a column ext_user_id nor a column keyed_hash"
                return
            for line in lines:
                yield lines.line_num, _orders(line, _channels(options))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        yield 0, f"{options.import_file} can't be read: {reason}"


def _orders(line: dict[str, str | None], usual: tuple[str, ...]) -> list[Json] | str:
    given = {name: (value or "").strip() for name, value in line.items() if isinstance(value, str | None) and name}
    user, name = given.get("ext_user_id", ""), given.get("keyed_hash", "")
    of_address = given.get("kind") == "address"
    if given.get("kind", "") not in ("", "player", "address"):
        return "kind is neither player nor address"
    if not user and not name:
        return "neither ext_user_id nor keyed_hash"
    if len(user) > 998 or not user.isprintable():
        return "ext_user_id is no id"
    if (of_address or not user) and not _HASH.fullmatch(name):
        return "keyed_hash is none of an installation's"
    channel = given.get("channel", "")
    if channel and channel not in tuple(Channel):
        return f"channel is none of {', '.join(Channel)}"
    moments = {}
    for key in ("since", "until"):
        try:
            moments[key] = _moment(given.get(key, ""))
        except (ValueError, OverflowError):
            return f"{key} is no time in ISO 8601"
    row = {"ext_user_id": user, "keyed_hash": name, "of_address": of_address, "reason": given.get("reason", "")[:200]}
    return [{**row, **moments, "channel": one} for one in ((channel,) if channel else usual)]


def _moment(text: str) -> float:
    """Seconds since the epoch, 0 for nothing; UTC where no zone is named."""
    if not text:
        return 0.0
    found = datetime.fromisoformat(text)
    return max(0.0, (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())

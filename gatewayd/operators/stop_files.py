"""`gatewayctl stops`: the stop list shown, written to a CSV file, and read from one.

A file of a million lines is read and written line by line. Nothing is imported of a file in which a line is wrong, and
importing one twice changes nothing.
"""

import csv
import json
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from gatewayd.core.model import Channel, Json
from gatewayd.operators import asking, outcomes, show, stop_rows
from gatewayd.operators.adminclient import AdminClient, NoDaemon, Unhappy, open_client

SHOWN = 20
_READ_TWICE = "nothing was imported: {name} is read twice, so save it as a file first"


def stops(options: Namespace) -> int:
    """The stop list of a label: shown, exported or imported."""
    if options.look_up and not options.import_file:
        options.used_wrongly("--look-up goes with --import")
    if options.since and options.import_file:
        options.used_wrongly("--since is for what is shown or exported: --import takes all of a file")
    client = open_client(Path(options.config), options.instance, options.operator)
    if options.import_file:
        return bring(options, client)
    found = (one for channel in _channels(options) for one in every(client, options, channel))
    if options.export_file:
        return write(options, found)
    if options.json:
        show.as_json_list({"label": options.label}, "stops", found)
    else:
        show.stops(options.label, found)
    return 0


def _channels(options: Namespace) -> tuple[str, ...]:
    return (options.channel,) if options.channel else tuple(Channel)


def every(client: AdminClient, options: Namespace, channel: str) -> Iterator[Json]:
    """Every stop of a channel, oldest first; one that begins anew meanwhile comes again."""
    order = {"label": options.label, "channel": channel, "since": options.since}
    for step in asking.steps(client, "/verbs/stops", order):
        yield from step["stops"]


def write(options: Namespace, found: Iterator[Json]) -> int:
    """The list as CSV, to the file that `options` names, readable by its owner only."""
    count = unknown = 0
    with (
        _writing(options.export_file) as out,
        show.Progress("Stops written", None, quiet=options.json or options.export_file == "-") as progress,
    ):
        lines = csv.DictWriter(out, stop_rows.COLUMNS, extrasaction="ignore", lineterminator="\n")
        lines.writeheader()
        for stop in found:
            lines.writerow(stop)
            count += 1
            unknown += not stop["ext_user_id"]
            progress.step(1)
    summary: Json = {"label": options.label, "exported": count, "without_player_id": unknown}
    if options.export_file == "-":
        return 0
    return asking.tell_outcome(options, summary, outcomes.stops_written(options.export_file, summary))


@contextmanager
def _writing(name: str) -> Iterator[TextIO]:
    """What is written takes the place of the file once all of it is there: a part would pass for the whole."""
    if name == "-":
        yield sys.stdout
        return
    named = Path(name)
    if named.exists() and not named.is_file():
        with _opened_for_writing(named, name) as out:
            yield out
        return
    path = named.resolve()
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _opened_for_writing(unfinished, name) as out:
            yield out
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _opened_for_writing(path: Path, name: str) -> TextIO:
    # Whose id is on a stop list is nobody else's business.
    try:
        path.touch(mode=0o600)
        return path.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise Unhappy(400, f"{name} can't be written: {error.strerror}") from None


def bring(options: Namespace, client: AdminClient) -> int:
    """All of a CSV file, or nothing where a line of it is wrong. Raises Unhappy with the lines.

    It is read twice: the second time rows leave, each order while the one before is being carried out. Where the daemon
    or Redis goes away meanwhile, doing it again does what is left.
    """
    with _opened(options.import_file) as text:
        count = _looked_over(options, text)
        text.seek(0)
        total = {"imported": 0, "ended": 0}
        if options.look_up:
            total["spelt_otherwise"] = 0
        asked = {"label": options.label} | ({"look_up": True} if options.look_up else {})
        # Each look-up takes time, and an order is to be answered soon.
        most = stop_rows.LOOKED_UP if options.look_up else stop_rows.ROWS

        def done(order: Future[Json]) -> None:
            answer = order.result()
            for name in total:
                total[name] += answer[name]
            progress.step(answer["imported"] + answer["ended"])

        with (
            show.Progress("Stops imported", count, quiet=options.json) as progress,
            ThreadPoolExecutor(1) as sender,
            _said_how_far(total, count),
        ):
            under_way: Future[Json] | None = None
            for _, rows in stop_rows.packed(_wanted(options, text), most):
                order = f'{json.dumps(asked)[:-1]}, "rows": [{rows}]}}'
                if under_way is not None:
                    done(under_way)
                under_way = sender.submit(client.post_text, "/verbs/stops/import", order)
            if under_way is not None:
                done(under_way)
    summary = {"label": options.label, **total}
    return asking.tell_outcome(options, summary, outcomes.stops_brought(options.import_file, summary))


@contextmanager
def _said_how_far(total: dict[str, int], count: int) -> Iterator[None]:
    try:
        yield
    except (Unhappy, NoDaemon) as error:
        brought = total["imported"] + total["ended"]
        so_far = f"{brought} of {count} rows were brought; import the file again for the rest: {error}"
        raise Unhappy(getattr(error, "status", 503), so_far) from None


def _opened(name: str) -> TextIO:
    if name == "-":
        raise Unhappy(400, _READ_TWICE.format(name="standard input"))
    try:
        # A device has no end, and a pipe may have no beginning.
        if Path(name).exists() and not (Path(name).is_file() or Path(name).is_dir()):
            raise Unhappy(400, _READ_TWICE.format(name=name))
        return Path(name).open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise Unhappy(400, f"nothing was imported: {name} can't be read: {error.strerror}") from None


def _looked_over(options: Namespace, text: TextIO) -> int:
    """How many rows there are. Raises Unhappy, with the first faults, where there is one."""
    faults: list[str] = []
    count = 0
    for number, found in _records(options, text):
        if isinstance(found, str):
            faults.append(f"line {number}: {found}")
            if len(faults) > SHOWN:
                break
        else:
            count += len(found)
    if faults:
        more = " ..." if len(faults) > SHOWN else ""
        raise Unhappy(400, "nothing was imported: " + "; ".join(faults[:SHOWN]) + more)
    return count


def _wanted(options: Namespace, text: TextIO) -> Iterator[Json]:
    for number, found in _records(options, text):
        if isinstance(found, str):
            raise Unhappy(400, f"{options.import_file} was changed meanwhile: line {number}: {found}")
        yield from found


def _records(options: Namespace, text: TextIO) -> Iterator[stop_rows.Read]:
    try:
        yield from stop_rows.read(text, _channels(options))
    except OSError as error:
        raise Unhappy(400, f"{options.import_file} can't be read: {error.strerror}") from None

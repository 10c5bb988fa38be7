"""A stop list as CSV: what each line of a file orders, or what is wrong with it, and orders packed for the listener.

Line by line, so that a file of a million lines needs no memory. Must not know how a file is opened or an order sent.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TextIO

from gatewayd.core.ids import LONGEST, why_no_id
from gatewayd.core.model import Channel, Json

COLUMNS = ("channel", "kind", "ext_user_id", "keyed_hash", "since", "until", "reason")
ROWS = 500
"""Rows of one order: Redis and the listener do nothing else meanwhile."""

LOOKED_UP = 20
"""Rows of one order whose ids are looked up."""

BYTES = 60_000
"""Of the rows of one order: the admin listener takes 64 KiB."""

LONGEST_REASON = 200
_NO_UTF8 = re.compile("[\ud800-\udfff]")
"""What surrogateescape makes of octets that are no UTF-8."""
_HASH = re.compile(r"[0-9a-f]{30}")

Read = tuple[int, list[Json] | str]
"""The number of the line at which a record begins, and its orders, or its fault in words."""


def read(text: TextIO, usual: Sequence[str]) -> Iterator[Read]:
    """Each record of a file with a first line of names; one that names no channel is meant for the `usual` ones.

    `text` is to be read with surrogateescape, so that a line that is no UTF-8 can be named. After a fault of the file's
    form nothing is read any more.
    """
    lines = csv.reader(text, strict=True)
    begins = 1
    try:
        # Databases and spreadsheets that write a file have habits of their own.
        names = [name.strip().lower() for name in next(lines, [])]
        if "ext_user_id" not in names and "keyed_hash" not in names:
            separated = any(
                re.search(r"(ext_user_id|keyed_hash)\s*[;\t|]|[;\t|]\s*(ext|keyed)_", name) for name in names
            )
            hint = ": columns are separated by commas" if separated else ""
            yield 1, f"the first line names neither a column ext_user_id nor a column keyed_hash{hint}"
            return
        if twice := {name for name in names if name in COLUMNS and names.count(name) > 1}:
            yield 1, f"the first line names the column {min(twice)} twice"
            return
        begins = lines.line_num + 1
        for values in lines:
            if values:
                yield begins, _orders(names, values, usual)
            begins = lines.line_num + 1
    except csv.Error as error:
        yield begins, str(error)


def packed(rows: Iterable[Json], most: int = ROWS) -> Iterator[tuple[int, str]]:
    """Rows in as few orders as may be: how many, and their JSON, one after the other with commas between."""
    batch: list[str] = []
    size = 0
    for row in rows:
        text = json.dumps(row)
        if batch and (len(batch) >= most or size + len(text) > BYTES):
            yield len(batch), ",".join(batch)
            batch, size = [], 0
        batch.append(text)
        size += len(text) + 1
    if batch:
        yield len(batch), ",".join(batch)


def _orders(names: list[str], values: list[str], usual: Sequence[str]) -> list[Json] | str:
    if len(values) > len(names):
        return f"{len(values)} fields where the first line names {len(names)}: a comma in an id needs quotation marks"
    raw = dict(zip(names, values, strict=False))
    given = {name: value.strip() for name, value in raw.items() if name in COLUMNS}
    given |= {name: given[name].lower() for name in ("channel", "kind") if name in given}
    if given.get("ext_user_id") and given.get("keyed_hash"):
        # What we wrote ourselves: the id as it is, and not as other systems fill up a column.
        given["ext_user_id"] = raw["ext_user_id"]
        if fault := _no_id(given["ext_user_id"]):
            return fault
    elif not given.get("ext_user_id", "").isprintable():
        return _unprintable(given)
    if not all(value.isprintable() for name, value in given.items() if name != "ext_user_id"):
        return _unprintable(given)
    if fault := _fault(given):
        return fault
    user, kind, channel = given.get("ext_user_id", ""), given.get("kind", ""), given.get("channel", "")
    row: Json = {"ext_user_id": user} if user else {}
    if kind == "address" or not user:
        row["keyed_hash"] = given["keyed_hash"]
    if kind == "address":
        row["of_address"] = True
    for key in ("since", "until"):
        moment = _moment(given.get(key, ""))
        if moment is None:
            return f"{key} is no time in ISO 8601"
        if moment:
            row[key] = moment
    if reason := given.get("reason", "")[:LONGEST_REASON]:
        row["reason"] = reason
    return [{"channel": one, **row} for one in ((channel,) if channel else usual)]


def _fault(given: dict[str, str]) -> str:
    """Why a row says of nobody, or not where, that they are stopped; "" where it does."""
    user, name = given.get("ext_user_id", ""), given.get("keyed_hash", "")
    kind, channel = given.get("kind", ""), given.get("channel", "")
    if kind not in ("", "player", "address"):
        return "kind is neither player nor address"
    if not user and not name:
        return "neither ext_user_id nor keyed_hash"
    if len(user) > LONGEST:
        return "ext_user_id is no id"
    if (kind == "address" or not user) and not _HASH.fullmatch(name):
        return "keyed_hash is none of an installation's"
    if channel and channel not in _CHANNELS:
        return f"channel is none of {', '.join(_CHANNELS)}"
    return ""


def _no_id(user: str) -> str:
    return "ext_user_id is no id" if why_no_id(user) or _NO_UTF8.search(user) else ""


_CHANNELS = tuple(channel.value for channel in Channel)


def _unprintable(given: dict[str, str]) -> str:
    name, value = next((name, value) for name, value in given.items() if not value.isprintable())
    if _NO_UTF8.search(value):
        return f"{name} is no UTF-8"
    if "\n" in value or "\r" in value:
        return f"{name} goes over several lines: a quotation mark that is not closed?"
    return "ext_user_id is no id" if name == "ext_user_id" else f"{name} has characters that can't be shown"


@lru_cache(1_000)
def _moment(text: str) -> float | None:
    """Seconds since the epoch, 0 for nothing; UTC where no zone is named. None for what is no time."""
    if not text:
        return 0.0
    try:
        found = datetime.fromisoformat(text)
        return max(0.0, (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None

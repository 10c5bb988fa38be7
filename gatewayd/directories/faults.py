"""What keeps directories from being opened, told beside all else that is wrong with the file.

Opens nothing: a driver is imported, a query and a URL are read. A plug-in is looked for, and not made.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from gatewayd import config
from gatewayd.config.players import Opening
from gatewayd.directories import maker
from gatewayd.directories.drivers import is_mysql
from gatewayd.directories.http import check_url
from gatewayd.directories.query import bind
from gatewayd.directories.sql import driver_module


def load(path: str | Path, environ: Mapping[str, str], instance: str = "", *, again: bool = False) -> config.Config:
    """As config.load. Raises ConfigError with its errors, and with what a directory can't be opened for."""
    try:
        loaded = config.load(path, environ, instance, again=again)
    except config.ConfigError as error:
        raise config.ConfigError([*error.errors, *_new(faults(error.directories), error.errors)]) from None
    if errors := list(faults({name: table.opening for name, table in loaded.directories.items()})):
        raise config.ConfigError(errors)
    return loaded


def _new(lines: Iterable[str], known: Iterable[str]) -> list[str]:
    """Those of `lines` whose key has no error yet: what is wrong in itself is not said in other words again."""
    keys = {line.partition(": ")[0] for line in known}
    return [line for line in lines if line.partition(": ")[0] not in keys]


def faults(openings: Mapping[str, Opening]) -> Iterator[str]:
    """A line for each fault, with its full key path."""
    for name, opening in openings.items():
        yield from (f"directories.{name}.{fault}" for fault in _of_one(opening))


def _of_one(opening: Opening) -> Iterator[str]:
    try:
        if opening.type == "http" and opening.url:
            check_url(opening.url)
        elif opening.type not in ("", "sql", "http"):
            maker(opening.type)
    except ValueError as error:
        yield str(error)
    if opening.type != "sql":
        return
    style = "named"
    if opening.driver:
        try:
            style = driver_module(opening.driver).paramstyle
        except ValueError as error:
            yield str(error)
    if opening.query:
        try:
            bind(opening.query, style, mysql=is_mysql(opening.driver))
        except ValueError as error:
            yield str(error)

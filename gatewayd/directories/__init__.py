"""Recipient directories: what the configuration's [directories.NAME] tables open."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.plugin import getPlugins

from gatewayd import config
from gatewayd.core.interfaces import IRecipientDirectory, IRecipientDirectoryMaker
from gatewayd.directories.drivers import where
from gatewayd.directories.http import HttpRecipientDirectory
from gatewayd.directories.remembered import Remembered
from gatewayd.directories.sql import SqlRecipientDirectory


def open_directory(reactor: Any, name: str, table: config.Directory) -> Remembered:
    """The directory that `table` describes, with its time-out and memory; nothing is connected to yet.

    A `type` of the operator's own is looked for among the twistd plugins (IRecipientDirectoryMaker). Raises ValueError
    with the full key path of what is wrong.
    """
    try:
        inner = _open(reactor, table)
    except ValueError as error:
        raise ValueError(f"directories.{name}.{error}") from None
    return Remembered(reactor, name, inner, timeout=table.timeout, cache=table.cache)


OpenOne = Callable[[Any, str, config.Directory], Remembered]


class Directories:
    """All directories that are open, with the tables that describe them: `by_name` and `tables`, new at each change.

    `open_one` is open_directory, unless a test has directories of its own.
    """

    _log = Logger()

    def __init__(self, reactor: Any, tables: Mapping[str, config.Directory], open_one: OpenOne | None = None) -> None:
        self._reactor = reactor
        self._open_one = open_one or open_directory
        self.tables: Mapping[str, config.Directory] = {}
        self.by_name: Mapping[str, Remembered] = {}
        self.reconfigure(tables)

    def reconfigure(self, tables: Mapping[str, config.Directory]) -> None:
        """Open what is new or has changed, and close what it replaces or what has gone.

        Raises ValueError, as `open_directory` does; then nothing has changed.
        """
        changed = [name for name, table in tables.items() if table != self.tables.get(name)]
        opened: dict[str, Remembered] = {}
        try:
            for name in changed:
                opened[name] = self._open_one(self._reactor, name, tables[name])
        except Exception:
            self._close(opened.values())
            raise
        for name, directory in opened.items():
            if name in self.by_name and _asks_the_same(self.tables[name], tables[name]):
                directory.succeed(self.by_name[name])
        gone = [directory for name, directory in self.by_name.items() if name in changed or name not in tables]
        self.by_name = {name: opened.get(name) or self.by_name[name] for name in tables}
        self.tables = dict(tables)
        self._close(gone)

    def _close(self, directories: Iterable[Remembered]) -> None:
        for directory in directories:
            Deferred.fromCoroutine(directory.close()).addErrback(
                lambda failure: self._log.failure("a directory did not close: its connections may stay open", failure)
            )

    def trouble(self) -> dict[str, str]:
        """Why each of them is down, or "" for one that answers."""
        return {name: directory.trouble for name, directory in self.by_name.items()}

    async def close(self) -> None:
        """Close them all."""
        for directory in self.by_name.values():
            await directory.close()


def _asks_the_same(before: config.Directory, after: config.Directory) -> bool:
    """Whether a look-up that hangs by one of these tables would hang by the other.

    An HTTP directory's do not: what is given up there is closed.
    """
    if isinstance(before, config.SqlDirectory) and isinstance(after, config.SqlDirectory):
        there = [(table.driver, table.query, where(table.connect)) for table in (before, after)]
        return there[0] == there[1]
    if isinstance(before, config.PluginDirectory) and isinstance(after, config.PluginDirectory):
        return (before.type, before.options) == (after.type, after.options)
    return False


def _open(reactor: Any, table: config.Directory) -> IRecipientDirectory:
    if isinstance(table, config.SqlDirectory):
        return SqlRecipientDirectory(reactor, table.driver, table.connect, table.query, table.timeout)
    if isinstance(table, config.HttpDirectory):
        return HttpRecipientDirectory(
            reactor,
            table.url,
            lambda again=False: _headers(table, again),
            fields={str(name): path for name, path in table.fields.items()},
            not_found=table.not_found,
            timeout=table.timeout,
            ca_file=table.ca_file,
            certificate=table.certificate,
            private_key=table.private_key,
        )
    made: IRecipientDirectory = maker(table.type).make(reactor, table.options)
    return made


def maker(type_name: str) -> IRecipientDirectoryMaker:
    """The twistd plug-in of an operator's own, of this type. Raises ValueError, naming the key."""
    for found in getPlugins(IRecipientDirectoryMaker):
        if found.type_name == type_name:
            return found
    raise ValueError(f'type: "{type_name}" is neither sql nor http, nor the type of an installed plugin')


def _headers(table: config.HttpDirectory, again: bool) -> dict[str, str]:
    """The headers of a look-up, with their secrets as they were read at the start, or as they are now."""
    given = dict(table.headers)
    if table.authorization:
        given["Authorization"] = table.authorization
    return {name: (value.again() if again else value).reveal() for name, value in given.items()}

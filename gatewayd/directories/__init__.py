"""Recipient directories: what the configuration's [directories.NAME] tables open."""

from collections.abc import Mapping
from typing import Any

from twisted.plugin import getPlugins

from gatewayd import config
from gatewayd.directories.http import HttpDirectory
from gatewayd.directories.remembered import Remembered
from gatewayd.directories.sql import SqlDirectory
from gatewayd.interfaces import IRecipientDirectory, IRecipientDirectoryMaker


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


def faults(reactor: Any, tables: Mapping[str, config.Directory]) -> list[str]:
    """What keeps any of `tables` from being opened, each with its full key path. No plug-in is made for it."""
    found = []
    for name, table in tables.items():
        try:
            if isinstance(table, config.PluginDirectory):
                _maker(table.type)
            else:
                _open(reactor, table)
        except ValueError as error:
            found.append(f"directories.{name}.{error}")
    return found


def _open(reactor: Any, table: config.Directory) -> IRecipientDirectory:
    if isinstance(table, config.SqlDirectory):
        return SqlDirectory(reactor, table.driver, table.connect, table.query)
    if isinstance(table, config.HttpDirectory):
        return HttpDirectory(reactor, table.url, table.authorization.reveal(), connect_timeout=table.timeout)
    made: IRecipientDirectory = _maker(table.type).make(reactor, table.options)
    return made


def _maker(type_name: str) -> IRecipientDirectoryMaker:
    for maker in getPlugins(IRecipientDirectoryMaker):
        if maker.type_name == type_name:
            return maker
    raise ValueError(f'type: "{type_name}" is neither sql nor http, nor the type of an installed plugin')

"""How a query that hangs in one thread is ended from another: what each driver offers for it.

The first way asks the database to stop; what is left where that does not help closes the connection under the thread.
A driver that is not listed offers nothing that another thread may call.
"""

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

Way = Callable[[Any, Any], None]
"""Takes the connection and its cursor, if there is one. Whatever it raises says that it did not help."""

PATIENCE = 2.0
"""Seconds in which a database takes the message that a query is to end."""


def _cancel(connection: Any, cursor: Any) -> None:
    connection.cancel()


def _cancel_of_psycopg(connection: Any, cursor: Any) -> None:
    connection.cancel_safe(timeout=PATIENCE)


def _cancel_of_cursor(connection: Any, cursor: Any) -> None:
    if cursor is not None:
        cursor.cancel()


def _interrupt(connection: Any, cursor: Any) -> None:
    connection.interrupt()


def _hang_up(connection: Any, cursor: Any) -> None:
    """The driver reads the end of its connection, and says that it was lost. Its descriptor stays its own to close."""
    with socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def _both(first: Way, then: Way) -> Way:
    def way(connection: Any, cursor: Any) -> None:
        try:
            first(connection, cursor)
        finally:
            then(connection, cursor)

    return way


def _hang_up_pymysql(connection: Any, cursor: Any) -> None:
    with suppress(AttributeError):  # it has just lost its socket
        # Not its own shutdown(): that of a TLS socket also forgets TLS, under the thread that reads.
        socket.socket.shutdown(connection._sock, socket.SHUT_RDWR)


WAYS: Mapping[str, tuple[Way, ...]] = {
    "sqlite3": (_interrupt,),
    "psycopg": (_cancel_of_psycopg, _both(_cancel_of_psycopg, _hang_up)),
    "psycopg2": (_cancel, _both(_cancel, _hang_up)),
    "pymysql": (_hang_up_pymysql,),
    "oracledb": (_cancel,),
    "cx_Oracle": (_cancel,),
    "pyodbc": (_cancel_of_cursor,),
}
"""By driver, in the order in which they are tried; the last one is tried again."""

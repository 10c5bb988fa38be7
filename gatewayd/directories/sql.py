"""Players in an operator's database, asked by one query through any DB-API 2.0 driver (PEP 249).

Owns connections, threads and the reading of a row. Parameters are bound, never pasted in; what the database says of an
error is not repeated, because it may quote a player's data.
"""

import importlib
from collections.abc import Awaitable, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, succeed
from twisted.logger import Logger
from zope.interface import implementer

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories.query import Bound, bind
from gatewayd.directories.rows import recipient_of
from gatewayd.directories.threads import Threads

log = Logger()

CONNECTIONS = 8
"""Threads, each with a connection of its own."""

_NO_SUCH_ID = frozenset({"22P02", "22003"})
"""SQLSTATEs that say: an id that cannot even be compared with the column's type; no player has it."""


@implementer(IRecipientDirectory)
class SqlDirectory:
    """`query` asked over connections made by `driver`.connect(**connect).

    Raises ValueError, naming the wrong key, where the driver can't be imported or the query has wrong parameters.
    """

    def __init__(self, reactor: Any, driver: str, connect: Mapping[str, Any], query: str) -> None:
        try:
            module = importlib.import_module(driver)
        except ImportError:
            raise ValueError(f"driver: the module {driver} is not installed") from None
        style = getattr(module, "paramstyle", None)
        if not isinstance(style, str) or not callable(getattr(module, "connect", None)):
            raise ValueError(f"driver: {driver} is not a DB-API 2.0 module")
        self._bound = bind(query, style, mysql=any(name in driver.lower() for name in ("mysql", "maria")))
        self._threads: Threads[_Session] = Threads(
            reactor, f"directory-{driver}", CONNECTIONS, lambda: _Session(module.connect, connect), _Session.close
        )

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """The player that the query finds, always asked anew. Raises TemporaryFailure."""
        values = {"ext_user_id": ext_user_id, "label": label}
        try:
            return await self._threads.run(lambda session: session.find(self._bound, values))
        except (CancelledError, TemporaryFailure):
            raise
        except Exception as error:
            if _state(error) in _NO_SUCH_ID:
                return None
            raise TemporaryFailure(f"the database failed: {type(error).__name__}{_code(error)}") from None

    def close(self) -> Awaitable[None]:
        """End the threads, and their connections with them."""
        self._threads.close()
        return succeed(None)


class _Session:
    """One thread's connection, made when it is needed."""

    def __init__(self, connect: Any, arguments: Mapping[str, Any]) -> None:
        self._connect = connect
        self._arguments = dict(arguments)
        self._connection: Any = None

    def find(self, bound: Bound, values: Mapping[str, str]) -> Recipient | None:
        """Ask once; once more over a new connection where an older one turned out to be dead."""
        used_before = self._connection is not None
        try:
            return self._ask(bound, values)
        except Exception as error:
            self.close()
            if not used_before or _state(error) in _NO_SUCH_ID or isinstance(error, TemporaryFailure):
                raise
        try:
            return self._ask(bound, values)
        except Exception:
            self.close()
            raise

    def _ask(self, bound: Bound, values: Mapping[str, str]) -> Recipient | None:
        if self._connection is None:
            self._connection = self._connect(**self._arguments)
        cursor = self._connection.cursor()
        try:
            cursor.execute(bound.sql, bound.arguments(values))
            row = cursor.fetchone()
            names = [column[0] for column in cursor.description or ()]
        finally:
            cursor.close()
        # Ends the transaction: under REPEATABLE READ the next look-up would still see this one's snapshot, and miss
        # an opt-out made since. A driver without transactions need not have it (PEP 249).
        rollback = getattr(self._connection, "rollback", None)
        if rollback is not None:
            rollback()
        if not {"email", "phone"} & {str(name).lower() for name in names}:
            raise TemporaryFailure("the query gives neither a column email nor a column phone")
        if row is None:
            return None
        return recipient_of(row if isinstance(row, Mapping) else dict(zip(names, row, strict=True)))

    def close(self) -> None:
        """Drop the connection, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except Exception as error:
                log.debug("a connection did not close cleanly: {kind}", kind=type(error).__name__)


def _state(error: BaseException) -> str:
    """The SQLSTATE, where the driver has it."""
    found = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    return found if isinstance(found, str) else ""


def _code(error: BaseException) -> str:
    """The driver's own code for an error, where it has one: a number or five letters, never its text."""
    name = getattr(error, "sqlite_errorname", None)
    first = error.args[0] if error.args else None
    found = _state(error) or name or (first if isinstance(first, int) else "")
    return f" {found}" if found else ""

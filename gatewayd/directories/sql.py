"""Players in an operator's database, asked by one query through any DB-API 2.0 driver (PEP 249).

Owns connections, threads and the reading of a row. Parameters are bound, never pasted in; what the database says of an
error is not repeated, because it may quote a player's data.
"""

import importlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct
from twisted.internet.defer import succeed
from twisted.logger import Logger
from zope.interface import implementer

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories import drivers, interrupts
from gatewayd.directories.query import BoundQuery, bind
from gatewayd.directories.remembered import TookTooLong
from gatewayd.directories.replaced import NOWHERE, Standing, standing
from gatewayd.directories.rows import FLAGS, flag_of, read_row
from gatewayd.directories.threads import StillAtWork, Threads

log = Logger()

CONNECTIONS = 8
"""Threads, each with a connection of its own."""

MOST_ROWS = 100
"""Rows of one player that are read."""

ADDRESSES = frozenset(("email", "phone", "im"))
"""The columns of which a query gives one at least."""


def driver_module(driver: str) -> Any:
    """The module of a DB-API 2.0 driver. Raises ValueError, naming the key."""
    try:
        module = importlib.import_module(driver)
    except (ImportError, TypeError):
        # A name that begins with a dot is a TypeError.
        raise ValueError(f"driver: the module {driver} is not installed") from None
    if not isinstance(getattr(module, "paramstyle", None), str) or not callable(getattr(module, "connect", None)):
        raise ValueError(f"driver: {driver} is not a DB-API 2.0 module")
    return module


@implementer(IRecipientDirectory)
class SqlRecipientDirectory:
    """`query` asked over connections made by `driver`.connect(**connect).

    Whoever asks gives up after `timeout` seconds: drivers that want to know it are told so. Raises ValueError, naming
    the wrong key, where the driver can't be imported or the query has wrong parameters.
    """

    def __init__(self, reactor: Any, driver: str, connect: Mapping[str, Any], query: str, timeout: float) -> None:
        module = driver_module(driver)
        self._bound = bind(query, module.paramstyle, mysql=drivers.is_mysql(driver))
        self._driver = driver
        self._query = query
        self._connect = drivers.adjusted(driver, connect, timeout)
        connects = drivers.opener(driver, module.connect, timeout)
        ways = interrupts.WAYS.get(driver, ())
        stands = standing(driver, connect)
        number = getattr(module, "NUMBER", None) if drivers.is_mysql(driver) else None
        self.columns: tuple[str, ...] = ()
        self._refused_an_id = self._has_numeric_id = False
        self._threads: Threads[_SqlConnection] = Threads(
            reactor,
            f"directory-{driver}",
            CONNECTIONS,
            lambda: _SqlConnection(connects, self._connect, ways, stands, number),
            _SqlConnection.close,
            _SqlConnection.interrupt if ways else None,
        )

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """The player that the query finds, always asked anew. Raises TemporaryFailure.

        Cancelled, it has the query ended where the driver can, and ends when the query does: until then another one of
        this player would hold one more thread.
        """
        values = {"ext_user_id": ext_user_id, "label": label}
        try:
            found = await self._threads.run(lambda session: session.find(self._bound, values))
        except StillAtWork as query:
            await query.end
            raise
        self.columns = found.columns or self.columns
        self._refused_an_id = self._refused_an_id or found.refused
        self._has_numeric_id = self._has_numeric_id or found.has_numeric_id
        return found.recipient

    def why_it_may_coerce(self) -> str:
        """Why a player may be found by another spelling of the id than the stop list has, or "".

        For the look-ups that were made: before the first, nothing is known of the columns.
        """
        if not self.columns or "id" in self.columns:
            return ""
        return drivers.why_it_may_coerce(self._driver, self._query, refused_a_word=self._refused_an_id)

    def finds_another_player(self) -> bool:
        """Whether an id with more than a number in it may find the player of that number: 7 for '7abc', as in MySQL.

        For the look-ups that were made.
        """
        return self._has_numeric_id and not drivers.compares_text(self._query)

    def close(self) -> Awaitable[None]:
        """End the threads, and their connections with them."""
        self._threads.close()
        return succeed(None)


class _Found(Struct, frozen=True):
    """What one look-up gave: `columns` in lower case; `refused` where the id can't be compared with their type.

    `has_numeric_id` where the database makes numbers of texts, and the player's id is one.
    """

    recipient: Recipient | None
    columns: tuple[str, ...] = ()
    refused: bool = False
    has_numeric_id: bool = False
    rows: int = 0


class _SqlConnection:
    """One thread's connection, made when it is needed.

    `number` is what the driver calls a column of numbers by (PEP 249), where the database makes numbers of texts.
    """

    def __init__(
        self,
        connect: Any,
        arguments: Mapping[str, Any],
        ways: Sequence[interrupts.Way],
        stands: Callable[[], Standing],
        number: object = None,
    ) -> None:
        self._connect = connect
        self._arguments = arguments
        self._ways = ways
        self._stands = stands
        self._number = number
        self._stood = NOWHERE
        self._connection: Any = None
        self._cursor: Any = None
        self._is_given_up = False

    def find(self, bound: BoundQuery, values: Mapping[str, str]) -> _Found:
        """Ask once; once more over a new connection where an older one turned out to be dead.

        Raises TemporaryFailure with what a person can act on; TookTooLong where the database ended the query for that.
        """
        used_before = self._connection is not None
        try:
            return self._find(bound, values)
        except TookTooLong:
            raise
        except TemporaryFailure:
            if self._is_given_up or not used_before:
                raise
        return self._find(bound, values)

    def interrupt(self) -> None:
        """Called in another thread: nobody waits for the query any more, whose thread ends once it is back."""
        self._is_given_up = True
        connection = self._connection
        if connection is not None and self._ways:
            way, self._ways = self._ways[0], self._ways[1:] or self._ways
            try:
                way(connection, self._cursor)
            except Exception as error:
                log.debug("a query that hangs was not ended: {kind}", kind=type(error).__name__)

    def _find(self, bound: BoundQuery, values: Mapping[str, str]) -> _Found:
        now = self._stands()
        if now != self._stood:
            self.close()
        if now is None:
            # SQLite would make an empty one.
            raise TemporaryFailure(f"the database failed: {drivers.where(self._arguments)}: there is no such file")
        connecting = self._connection is None
        try:
            if connecting:
                self._connection, self._stood = self._connect(**self._arguments), now
                connecting = False
            found = self._ask(bound, values)
            self._end_transaction()
        except Exception as error:
            if not connecting and drivers.is_no_such_id(error):
                self._end_transaction()
                return _Found(None, refused=True)
            self.close()
            reason = drivers.reason(error, self._arguments, connecting=connecting)
            if not connecting and drivers.took_too_long(error):
                raise TookTooLong(f"the query was ended for its time: {reason}") from None
            raise TemporaryFailure(f"the database failed: {reason}") from None
        if ADDRESSES.isdisjoint(found.columns):
            raise TemporaryFailure("the query gives neither a column email nor a column phone")
        if found.rows > MOST_ROWS:
            # What the others say of exclusion nobody has read.
            raise TemporaryFailure(f"the query gives more than {MOST_ROWS} rows for one player")
        return found

    def _ask(self, bound: BoundQuery, values: Mapping[str, str]) -> _Found:
        if self._is_given_up:
            raise TookTooLong("the connection came too late")
        cursor = self._cursor = self._connection.cursor()
        try:
            cursor.execute(bound.sql, bound.arguments(values))
            rows = cursor.fetchmany(MOST_ROWS + 1)
            described = cursor.description or ()
            columns = _lower(tuple([column[0] for column in described]))
        finally:
            self._cursor = None
            cursor.close()
        if not rows:
            is_number = [self._number is not None and self._number == column[1] for column in described]
            return _Found(None, columns, has_numeric_id=("id", True) in zip(columns, is_number, strict=True))
        return _Found(read_row(_as_one([_named(columns, row) for row in rows])), columns, rows=len(rows))

    def _end_transaction(self) -> None:
        """Under REPEATABLE READ the next look-up would still see this one's snapshot, and miss an opt-out made since.

        A driver without transactions need not have it (PEP 249).
        """
        rollback = getattr(self._connection, "rollback", None)
        try:
            if rollback is not None:
                rollback()
        except Exception:
            self.close()

    def close(self) -> None:
        """Drop the connection, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except Exception as error:
                log.debug("a connection did not close cleanly: {kind}", kind=type(error).__name__)


def _named(columns: Sequence[str], row: Any) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return {str(name).lower(): value for name, value in row.items()}
    return _by_name(columns, row)


def _as_one(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The first row's values, but of a flag a yes: a join with exclusions gives one for each, in any order."""
    found = rows[0]
    for row in rows[1:]:
        found |= {name: value for name, value in row.items() if name in FLAGS and flag_of(value)}
    return found


def _by_name(columns: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    """A row's values; of several of one name, as a join of two tables may give, the last, but of a flag a yes."""
    found = dict(zip(columns, row, strict=True))
    if len(found) < len(columns):
        found |= {name: value for name, value in zip(columns, row, strict=True) if name in FLAGS and flag_of(value)}
    return found


@lru_cache(maxsize=64)
def _lower(names: tuple[Any, ...]) -> tuple[str, ...]:
    """Remembered, since all rows of a query have the same."""
    return tuple(str(name).lower() for name in names)

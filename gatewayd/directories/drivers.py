"""What database drivers say and want, each in its own way: codes, reasons, hosts, and what is no id to them.

Tables of codes, for who knows a database and not Python. Pure. A text is repeated only where no player's data can be in
it: while a connection is made, or for faults of the query and of rights, which name tables, columns and users.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from gatewayd.config.clear_text import HOST_IN_TEXT
from gatewayd.core.redact import redact

SQLITE_CACHE = 256
"""KB of the file that each connection keeps in our memory: the way to every row, and not the rows, of which the system
keeps one copy for all. SQLite's own limit is 2,000, and each thread has a connection."""

NO_SUCH_ID = frozenset(
    {
        "22P02",  # PostgreSQL: invalid input syntax for type integer, uuid ...
        "22003",  # out of the type's range
        *("22P05", "22021"),  # PostgreSQL: letters that the database's encoding does not have
        "P0002",  # PostgreSQL: a function's SELECT ... INTO STRICT found no row
        "3854",  # MySQL: letters that the column's character set does not have
        "22018",  # SQL Server, Db2 by ODBC: invalid character value for cast
        "245",  # SQL Server: conversion failed ... to data type int
        "248",  # SQL Server: the conversion overflowed an int column
        "8114",  # SQL Server: error converting data type varchar to bigint, numeric
        "8115",  # SQL Server: arithmetic overflow converting
        "8169",  # SQL Server: conversion failed ... to uniqueidentifier
        "ORA-01722",  # invalid number
        "ORA-01426",  # numeric overflow
        "ORA-01465",  # invalid hex number, for RAW ids
    }
)
"""Codes that say: an id that cannot even be compared with the column's type; no player has it."""

_COLLATIONS_MIXED = "1267"
"""MySQL and MariaDB: either the id has letters that its column's character set does not have, or the query compares
columns of two collations."""
_OF_A_VALUE = "COERCIBLE"
"""What they call the collation of a value, in that error's text."""

TOOK_TOO_LONG = frozenset(
    {
        "57014",  # PostgreSQL: canceling statement due to statement timeout, or because somebody asked for it
        "55P03",  # PostgreSQL: lock_timeout
        *("3024", "1317"),  # MySQL: max_execution_time, KILL QUERY
        "1969",  # MariaDB: max_statement_time
        *("HYT00", "HY008"),  # ODBC: the query's time-out, SQLCancel
        "20003",  # SQL Server: the time-out of pymssql
        *("ORA-01013", "ORA-00040", "ORA-03156", "DPY-4024", "DPI-1067"),  # Oracle: cancelled, time-outs
        *("SQLITE_INTERRUPT", "SQLITE_BUSY"),  # interrupt(); a lock that lasted longer than its time-out
    }
)
"""Codes that say: the database, or the driver, ended this query for the time that it took."""

_TOLD = frozenset(
    {
        *(
            "1044",
            "1045",
            "1049",
            "1054",
            "1142",
            "1143",
            "1146",
            "1698",
            "2002",
            "2003",
            "2005",
            "2006",
            "2013",
        ),  # MySQL
        *("207", "208", "229", "230", "916", "4060", "18456", "20002", "20009"),  # SQL Server
        *("ORA-00904", "ORA-00942", "ORA-01017", "ORA-01031", "ORA-12154", "ORA-12514", "ORA-12541", "ORA-28000"),
        *("SQLITE_ERROR", "SQLITE_CANTOPEN", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_NOTADB", "SQLITE_PERM"),
    }
)
"""Codes whose texts name tables, columns, users and hosts, and nothing of a row."""

_TOLD_CLASSES = ("08", "28", "3D", "3F", "42", "53", "57", "HYT", "IM0")
"""The same by the first letters of SQLSTATEs: connections, log-ins, schemas, rights and syntax, time and resources."""

_HOST_KEYS = ("host", "server", "hostaddr", "hostname", "unix_socket", "dsn", "database", "conninfo")
_DSN_IN_TEXT = re.compile(r"(?:^|[;\s])dsn\s*=\s*([^;\s]+)", re.IGNORECASE)
_SECRET_KEY = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(r"(?:password|passwd|pwd)\s*=\s*([^;\s]+)", re.IGNORECASE)
_HALF_A_SECRET = re.compile(r'(missing "=" after )".*"')
_BETWEEN = re.compile(r"DB-Lib error message \d+, severity \d+:")
"""What pymssql puts between what it has to say."""
_EACH_TIME = re.compile(r" \(CONNECTION_ID=[^)]*\)")
"""What oracledb says anew each time: the same trouble would look like another one."""
_CAUSES = ("Net-Lib error", "[Errno ")
_NATIVE = re.compile(r"\((\d{3,5})\)")
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")


def codes(error: BaseException) -> Iterator[str]:
    """All codes that a driver gives an error, the most common first: SQLSTATE, the database's own, its name."""
    for name in ("sqlstate", "pgcode", "sqlite_errorname"):
        if isinstance(found := getattr(error, name, None), str):
            yield found
    args = _args(error)
    first = args[0] if args else None
    if isinstance(first, int):
        yield str(first)  # pymysql, pymssql
    elif isinstance(full := getattr(first, "full_code", None), str) and full:
        yield full  # oracledb: "ORA-01722", "DPY-6005"
    elif isinstance(first, str) and len(args) > 1 and _SQLSTATE.fullmatch(first):
        yield first  # pyodbc, whose text ends in the database's own number
        yield from _NATIVE.findall(str(args[1])[-200:])


def _args(error: BaseException) -> tuple[Any, ...]:
    """An exception's arguments; pymssql puts them into a tuple of their own."""
    inner = error.args[0] if len(error.args) == 1 else None
    return inner if isinstance(inner, tuple) else error.args


def is_no_such_id(error: BaseException) -> bool:
    """Whether the database, or its driver, says that this id can't be compared with the column: no outage."""
    if isinstance(error, UnicodeEncodeError):
        # The connection is in the database's own encoding, which does not have these letters.
        return True
    known = set(codes(error))
    return not known.isdisjoint(NO_SUCH_ID) or (_COLLATIONS_MIXED in known and _OF_A_VALUE in _text(error))


def took_too_long(error: BaseException) -> bool:
    """Whether a query was ended for its time: asked again at once, it would take as long again."""
    # pymysql tells its read_timeout from a connection that was lost only by what it met.
    return any(code in TOOK_TOO_LONG for code in codes(error)) or isinstance(error.__context__, TimeoutError)


def reason(error: BaseException, connect: Mapping[str, Any], *, connecting: bool) -> str:
    """Where, what and which code, as a person can act on it; nothing of a player, and no secret."""
    known = list(codes(error))
    kind = " ".join([type(error).__name__, *known[:1]])
    tell = connecting or any(code in _TOLD or code.startswith(_TOLD_CLASSES) for code in known)
    text = _without_secrets(_text(error), connect) if tell else ""
    return f"{where(connect)}: {text} ({kind})" if text else f"{where(connect)}: {kind}"


def where(connect: Mapping[str, Any]) -> str:
    """Which database a connect() with these arguments reaches: host and port, a socket or a file."""
    port = connect.get("port")
    for key in _HOST_KEYS:
        text = connect.get(key)
        if isinstance(text, str) and text:
            host = _host_in(text)
            if host:
                return f"{host}:{port}" if port and key != "unix_socket" else host
    return next((host for text in connect.values() if isinstance(text, str) and (host := _in(text))), "the database")


def _host_in(text: str) -> str:
    """The host of a URL or of a connection string; else the text itself, where it can be no such string."""
    if "://" in text:
        try:
            parts = urlsplit(text)
            return f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
        except ValueError:
            return ""
    return _in(text) if "=" in text else text


def _in(text: str) -> str:
    found = HOST_IN_TEXT.search(text) or _DSN_IN_TEXT.search(text)
    return found[1] if found else ""


def _text(error: BaseException) -> str:
    """The driver's own words: the last of its arguments, of which the first line, and what the network said of it."""
    args = _args(error)
    said = args[-1] if args else ""
    said = getattr(said, "message", said)
    if isinstance(said, bytes):
        said = said.decode("utf-8", "replace")
    lines = [line.strip() for line in _BETWEEN.sub("\n", _EACH_TIME.sub("", str(said))).splitlines() if line.strip()]
    cause = lines[1] if len(lines) > 1 and lines[1].startswith(_CAUSES) else ""
    return ": ".join(filter(None, (lines[0].rstrip(".") if cause else lines[0], cause))) if lines else ""


def _without_secrets(text: str, connect: Mapping[str, Any]) -> str:
    # libpq's word on a connection string in which a blank ended a password that is not in quotes.
    text = _HALF_A_SECRET.sub(r'\1"***"', text)
    for key, value in connect.items():
        if not isinstance(value, str):
            continue
        secrets = [value] if _SECRET_KEY.search(key) else _SECRET_IN_TEXT.findall(value)
        if "://" in value:
            try:
                secrets.append(urlsplit(value).password or "")
            except ValueError:
                secrets.append(value)
        for secret in filter(None, secrets):
            text = text.replace(secret, "***")
    return redact(text, 300)


def adjusted(driver: str, connect: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """The arguments of connect(), with what a driver needs to be told besides: `timeout` is a query's, in seconds."""
    found = dict(connect)
    whole = math.ceil(timeout)
    if driver == "psycopg":
        # A prepared statement is of one session of the server's; pgbouncer gives each transaction another.
        found.setdefault("prepare_threshold", None)
        # While it connects, a thread can't be called back: without a word from the host that would be two minutes. Of
        # several hosts the next may answer, and what a conninfo says of it would be overruled.
        if "conninfo" not in found and "," not in str(found.get("host", "")):
            found.setdefault("connect_timeout", max(2, whole))
    elif driver == "pymysql":
        # Its connect_timeout ends with TCP: a greeting or a TLS handshake that never comes held a thread for ever. A
        # second more, so that a query is ended by us first.
        for key in ("read_timeout", "write_timeout"):
            found.setdefault(key, max(2, whole) + 1)
        if found.get("ssl_ca"):
            # From 1.2 on it takes anybody's certificate, whatever ssl_ca names, unless it is told.
            found.setdefault("ssl_verify_cert", True)
    elif driver == "pymssql":
        # The only one that can't be ended from outside.
        found.setdefault("timeout", whole)
        found.setdefault("login_timeout", whole)
    return found


def _tell_sqlite3(connection: Any, timeout: float) -> None:
    connection.execute(f"PRAGMA cache_size = -{SQLITE_CACHE}")


def _tell_pyodbc(connection: Any, timeout: float) -> None:
    with suppress(Exception):  # not every ODBC driver has one
        # That of connect() is for the log-in only. Whole seconds: 0 would be none.
        connection.timeout = math.ceil(timeout)


def _tell_oracledb(connection: Any, timeout: float) -> None:
    with suppress(Exception):  # an old client library has none
        connection.call_timeout = math.ceil(1000 * timeout)


_TELL: Mapping[str, Callable[[Any, float], None]] = {
    "sqlite3": _tell_sqlite3,
    "pyodbc": _tell_pyodbc,
    "oracledb": _tell_oracledb,
}


def opener(driver: str, connect: Any, timeout: float) -> Any:
    """The driver's connect(), with what a new connection needs to be told: `timeout` is a query's, in seconds."""
    tell = _TELL.get(driver)
    if tell is None:
        return connect

    def opened(**arguments: Any) -> Any:
        connection = connect(**arguments)
        tell(connection, timeout)
        return connection

    return opened


def is_mysql(driver: str) -> bool:
    """Whether strings and comments in a query are read as MySQL reads them."""
    return any(name in driver.lower() for name in ("mysql", "maria"))


_BINARY = re.compile(r"\bbinary\b|_bin\b|_cs\b|_cs_|_bin2\b", re.IGNORECASE)
_AS_TEXT = re.compile(
    r"::\s*(?:text|varchar|char)|\bas\s+(?:text|n?varchar|n?char|varchar2|string)\b|\bto_char\b", re.IGNORECASE
)


def compares_text(query: str) -> bool:
    """Whether a query makes a text of something, as of a column of numbers that is compared with an id."""
    return bool(_AS_TEXT.search(query))


_STRICT = ("psycopg", "psycopg2", "oracledb", "cx_Oracle")
"""Their databases refuse an id that is no number where the column holds numbers, and tell letters apart."""


def why_it_may_coerce(driver: str, query: str, *, refused_a_word: bool) -> str:
    """Why the database may find a player by another spelling of the id than the stop list has, or ""."""
    if driver in _STRICT:
        return "the id's column holds numbers" if refused_a_word and not _AS_TEXT.search(query) else ""
    if driver == "sqlite3":
        return "" if _AS_TEXT.search(query) else "SQLite reads '01001' as 1001 where the column holds numbers"
    return "" if _BINARY.search(query) else "the database may compare numbers by value, or letters in any case"

"""What drivers say: codes in each one's form, reasons that a person can act on, no secret, nothing of a player."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gatewayd.directories.drivers import (
    SQLITE_CACHE,
    adjusted,
    codes,
    is_no_such_id,
    opener,
    reason,
    where,
    why_it_may_coerce,
)
from gatewayd.directories.query import bind


class Error(Exception):
    """A driver's error, by its documented attributes."""

    def __init__(self, *args: object, **attributes: object) -> None:
        super().__init__(*args)
        for name, value in attributes.items():
            setattr(self, name, value)


class OracleError:
    """What oracledb puts into an exception's arguments."""

    def __init__(self, full_code: str, message: str) -> None:
        self.full_code = full_code
        self.message = message


ODBC = "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]"
NO_NUMBER = "Conversion failed when converting the varchar value 'anna@players.example' to data type int."
MIXED = "Illegal mix of collations"
ORACLE = "ORA-01722: unable to convert string value containing 'a' to a number: PLAYERS.ID"


@pytest.mark.parametrize(
    ("error", "first"),
    [
        (Error("invalid input syntax for type integer", sqlstate="22P02"), "22P02"),
        (Error("value out of range", pgcode="22003"), "22003"),
        (Error("22018", f"[22018] {ODBC}{NO_NUMBER} (245) (SQLExecDirectW)"), "22018"),
        (Error("42000", f"[42000] [FreeTDS][SQL Server]{NO_NUMBER} (245) (SQLExecDirectW)"), "42000"),
        (Error("22003", f"[22003] {ODBC}The conversion of the varchar value '99999999999' overflowed. (248)"), "22003"),
        (Error("22P02", "[22P02] ERROR: invalid input syntax for type integer;\nError while executing (1)"), "22P02"),
        (Error(245, NO_NUMBER.encode() + b"DB-Lib error message 20018, severity 16"), "245"),
        (Error(8114, b"Error converting data type varchar to bigint."), "8114"),
        (
            Error((245, NO_NUMBER.encode() + b"DB-Lib error message 20018, severity 16:\nGeneral SQL Server error")),
            "245",
        ),
        (Error(8169, b"Conversion failed when converting from a character string to uniqueidentifier."), "8169"),
        (Error("query returned no rows", sqlstate="P0002"), "P0002"),
        (Error("has no equivalent in encoding", sqlstate="22P05"), "22P05"),
        (Error(3854, "Cannot convert string 'anna' from utf8mb4 to latin1"), "3854"),
        (
            Error(1267, f"{MIXED} (latin1_swedish_ci,IMPLICIT) and (utf8mb4_general_ci,COERCIBLE) for operation '='"),
            "1267",
        ),
        (Error(OracleError("ORA-01722", ORACLE)), "ORA-01722"),
        (Error(OracleError("ORA-01465", "ORA-01465: invalid hex number")), "ORA-01465"),
    ],
)
def test_an_id_that_cannot_be_one_is_an_answer(error: Exception, first: str) -> None:
    """Nobody has it; each driver says so in its own way. Nothing of the id or of a row is repeated."""
    assert next(codes(error)) == first
    assert is_no_such_id(error)
    assert "anna" not in reason(error, {"host": "db.internal"}, connecting=False)


@pytest.mark.parametrize(
    "error",
    [
        Error("no such table", sqlite_errorname="SQLITE_ERROR"),
        Error(1054, "Unknown column 'x' in 'where clause'"),
        Error(1267, f"{MIXED} (utf8mb4_general_ci,IMPLICIT) and (utf8mb4_unicode_ci,IMPLICIT) for operation '='"),
        Error("42S22", f"[42S22] {ODBC}Invalid column name 'x'. (207) (SQLExecDirectW)"),
        Error(OracleError("ORA-00942", 'ORA-00942: table or view "PAM"."X" does not exist')),
        Error("57014", sqlstate="57014"),
        Error(),
        Error(None),
    ],
)
def test_other_errors_are_trouble(error: Exception) -> None:
    """Not an answer."""
    assert not is_no_such_id(error)


@pytest.mark.parametrize(
    ("error", "connect", "connecting", "told"),
    [
        (
            Error(
                'connection failed: connection to server at "10.1.2.3", port 5432 failed: Connection refused\n\tIs it'
            ),
            {"host": "db.internal", "port": 5432, "password": "canary"},
            True,
            'db.internal:5432: connection failed: connection to server at "10.1.2.3", port 5432 failed: '
            "Connection refused (Error)",
        ),
        (
            Error('password authentication failed for user "gw"', sqlstate="28P01"),
            {"conninfo": "host=db.internal user=gw password=canary"},
            True,
            'db.internal: password authentication failed for user "gw" (Error 28P01)',
        ),
        (
            Error(1045, "Access denied for user 'gw'@'10.0.0.9' (using password: YES)"),
            {"host": "db.internal", "user": "gw", "password": "canary"},
            True,
            "db.internal: Access denied for user 'gw'@'10.0.0.9' (using password: YES) (Error 1045)",
        ),
        (
            Error(2003, "Can't connect to MySQL server on 'db.internal' ([Errno 111] Connection refused)"),
            {"host": "db.internal"},
            True,
            "db.internal: Can't connect to MySQL server on 'db.internal' ([Errno 111] Connection refused) (Error 2003)",
        ),
        (
            Error("28000", f"[28000] {ODBC}Login failed for user 'gw'. (18456) (SQLDriverConnect)"),
            {"connstring": "DRIVER={ODBC Driver 18 for SQL Server};SERVER=db.internal,1433;UID=gw;PWD=canary"},
            True,
            f"db.internal,1433: [28000] {ODBC}Login failed for user 'gw'. (18456) (SQLDriverConnect) (Error 28000)",
        ),
        (
            Error("08001", "[08001] the word canary is in the text of PWD=canary"),
            {"dsn": "pam", "password": "canary"},
            True,
            "pam: [08001] the word *** is in the text of PWD=*** (Error 08001)",
        ),
        (
            Error(OracleError("DPY-6005", 'DPY-6005: cannot connect to database. Connection failed with "refused"')),
            {"dsn": "db.internal:1521/PAM"},
            True,
            'db.internal:1521/PAM: DPY-6005: cannot connect to database. Connection failed with "refused" '
            "(Error DPY-6005)",
        ),
        (
            # oracledb 26.1 before a closed port; the id is another one each time.
            Error(
                OracleError(
                    "DPY-6005",
                    "DPY-6005: cannot connect to database (CONNECTION_ID=TCDR2skObjlYis5rA337XA==).\n"
                    "[Errno 111] Connection refused",
                )
            ),
            {"host": "db.internal", "port": 1521, "password": "canary"},
            True,
            "db.internal:1521: DPY-6005: cannot connect to database: [Errno 111] Connection refused (Error DPY-6005)",
        ),
        (
            # pymssql 2.4 before a closed port: a tuple of its own, and everything twice.
            Error(
                (
                    20009,
                    b"DB-Lib error message 20009, severity 9:\nUnable to connect: TDS server is unavailable or does "
                    b"not exist (db.internal)\nNet-Lib error during Connection refused (111)\nDB-Lib error message "
                    b"20009, severity 9:\nUnable to connect",
                )
            ),
            {"server": "db.internal", "port": "1433", "password": "canary"},
            True,
            "db.internal:1433: Unable to connect: TDS server is unavailable or does not exist (db.internal): Net-Lib "
            "error during Connection refused (111) (Error 20009)",
        ),
        (
            Error((18456, b"Login failed for user 'gw'.DB-Lib error message 20018, severity 14:\nGeneral SQL Server")),
            {"server": "db.internal", "user": "gw", "password": "canary"},
            True,
            "db.internal: Login failed for user 'gw'. (Error 18456)",
        ),
        (
            Error('relation "playerz" does not exist\nLINE 1: SELECT', sqlstate="42P01"),
            {"conninfo": "postgresql://gw:canary@db.internal:5432/pam"},
            False,
            'db.internal:5432: relation "playerz" does not exist (Error 42P01)',
        ),
        (
            Error('duplicate key: "anna@players.example"', sqlstate="23505"),
            {"host": "db.internal"},
            False,
            "db.internal: Error 23505",
        ),
        (Error("anna@players.example"), {"database": "/var/lib/players.db"}, False, "/var/lib/players.db: Error"),
        (Error("no route for anna@players.example"), {}, True, "the database: no route for [redacted] (Error)"),
    ],
)
def test_a_reason_says_where_what_and_which_code(
    error: Exception, connect: dict[str, Any], connecting: bool, told: str
) -> None:
    """The text only where nothing of a row can be in it, and never a password."""
    said = reason(error, connect, connecting=connecting)
    assert said == told
    assert "canary" not in said


@pytest.mark.parametrize(
    ("connect", "host"),
    [
        ({"unix_socket": "/run/mysqld/mysqld.sock", "port": 3306}, "/run/mysqld/mysqld.sock"),
        ({"server": "db.internal", "port": 1433}, "db.internal:1433"),
        ({"dsn": "DSN=pam;HOST=db.internal;PWD=x"}, "db.internal"),
        ({"host": "http://[::1"}, "the database"),
        ({}, "the database"),
    ],
)
def test_where_a_database_is(connect: dict[str, Any], host: str) -> None:
    """By the arguments of any driver's connect()."""
    assert where(connect) == host


def test_psycopg_prepares_nothing() -> None:
    """Behind pgbouncer the next transaction may meet another session of the server's."""
    assert adjusted("psycopg", {"host": "h"}, 2.0) == {"host": "h", "prepare_threshold": None, "connect_timeout": 2}
    assert adjusted("psycopg", {"prepare_threshold": 5}, 2.5) == {"prepare_threshold": 5, "connect_timeout": 3}


def test_pymysql_waits_for_no_answer_for_ever() -> None:
    """Its connect_timeout ends with TCP; a query is given up by us first."""
    assert adjusted("pymysql", {"host": "h"}, 2.5) == {"host": "h", "read_timeout": 4, "write_timeout": 4}
    assert adjusted("pymysql", {"read_timeout": 9}, 0.2) == {"read_timeout": 9, "write_timeout": 3}


def test_an_authority_that_is_named_is_looked_at() -> None:
    """pymysql is told so, unless the table says what to verify; without an authority it is left alone."""
    named = {"host": "h", "ssl_ca": "ca.pem", "read_timeout": 5, "write_timeout": 5}
    assert adjusted("pymysql", named, 2.0) == named | {"ssl_verify_cert": True}
    assert adjusted("pymysql", named | {"ssl_verify_cert": False}, 2.0) == named | {"ssl_verify_cert": False}


@pytest.mark.parametrize(
    ("driver", "condition", "refused", "may"),
    [
        ("psycopg", "id = :ext_user_id", True, True),
        ("psycopg", "id = :ext_user_id", False, False),
        ("psycopg", "id::text = :ext_user_id", True, False),
        ("oracledb", "id = :ext_user_id", True, True),
        ("oracledb", "TO_CHAR(id) = :ext_user_id", False, False),
        ("sqlite3", "id = :ext_user_id", False, True),
        ("sqlite3", "CAST(id AS TEXT) = :ext_user_id", False, False),
        ("pymysql", "CAST(id AS CHAR) = :ext_user_id", False, True),
        ("pymysql", "BINARY id = :ext_user_id", False, False),
        ("pyodbc", "id = :ext_user_id", True, True),
        ("pymssql", "id COLLATE Latin1_General_CS_AS = :ext_user_id", False, False),
    ],
)
def test_where_another_spelling_finds_the_same_player(driver: str, condition: str, refused: bool, may: bool) -> None:
    """01001 for 1001, or other letters' case: the stop list would not know them."""
    query = f"SELECT email FROM players WHERE {condition}"
    assert bool(why_it_may_coerce(driver, query, refused_a_word=refused)) is may


def test_a_driver_gets_the_names_that_the_query_has() -> None:
    """oracledb refuses others (ORA-01036, DPY-4008)."""
    values = {"ext_user_id": "u", "label": "l"}
    assert bind("SELECT :ext_user_id", "named").arguments(values) == {"ext_user_id": "u"}
    assert bind("SELECT :ext_user_id, :label, :ext_user_id", "pyformat").arguments(values) == values


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 WHERE :ext_user_id; DROP TABLE players",
        "SELECT 1 WHERE :ext_user_id; -- a\n SELECT 2",
        "SET x; SELECT :ext_user_id",
        ";;SELECT :ext_user_id",
        "SELECT :ext_user_id /* a */ ; /* b */ 'x'",
    ],
)
def test_several_statements_are_refused(query: str) -> None:
    """At the start, and not by the one driver that takes them."""
    with pytest.raises(ValueError, match="more than one statement"):
        bind(query, "qmark")


@pytest.mark.parametrize("comment", ["/*! ; DROP TABLE players */", "/*!50000 ; SELECT 2*/", "/*M! ; SELECT 2 */"])
def test_a_second_statement_in_a_comment_that_mysql_executes_is_refused(comment: str) -> None:
    """It is a comment for every other database."""
    query = f"SELECT 1 WHERE :ext_user_id {comment}"
    with pytest.raises(ValueError, match="more than one statement"):
        bind(query, "format", mysql=True)
    assert bind(query, "format").sql.endswith(comment)
    assert bind("SELECT /*!40001 SQL_NO_CACHE */ 1 WHERE :ext_user_id", "format", mysql=True)


@pytest.mark.parametrize("end", [";", " ; ", ";;", "; -- done", "; /* done; really */\n", ";\n-- a\n-- b"])
def test_a_semicolon_at_the_end_is_no_second_statement(end: str) -> None:
    """It is left out, because Oracle takes none; those in texts and comments stay."""
    bound = bind(f"SELECT ';' /* ; */ WHERE id = :ext_user_id{end}", "qmark")
    assert bound.sql.rstrip() == "SELECT ';' /* ; */ WHERE id = ?"


@pytest.mark.parametrize(
    ("driver", "connect", "told"),
    [
        ("pymssql", {"server": "127.0.0.1", "port": "1"}, r".*Connection refused \(111\) \(OperationalError 20009\)"),
        (
            "oracledb",
            {"host": "127.0.0.1", "port": 1, "service_name": "PAM"},
            r".*refused.* \(OperationalError DPY-6005\)",
        ),
    ],
)
def test_what_the_drivers_say_of_a_closed_port(driver: str, connect: dict[str, Any], told: str) -> None:
    """The driver itself, where it is installed: no server of theirs can be had, but their exceptions are theirs."""
    module = pytest.importorskip(driver, reason=f"this machine lacks {driver}: pip install {driver}")
    with pytest.raises(module.OperationalError) as failed:
        module.connect(user="gw", password="canary", **connect)
    said = reason(failed.value, connect | {"password": "canary"}, connecting=True)
    assert re.fullmatch(told, said), said
    assert said.startswith("127.0.0.1:1: ")
    assert "canary" not in said


@pytest.mark.parametrize("code", ["ORA-01722", "ORA-01426", "ORA-01465"])
def test_oracledbs_own_exception_for_an_id_that_cannot_be_one(code: str) -> None:
    """Made by the driver, as it makes it from a server's words."""
    module = pytest.importorskip("oracledb", reason="this machine lacks oracledb: pip install oracledb")
    errors = pytest.importorskip("oracledb.errors")
    if not hasattr(errors, "_Error"):
        pytest.skip("this oracledb makes its errors in another way")
    found = errors._Error(f"{code}: invalid number")
    assert issubclass(found.exc_type, module.DatabaseError)
    assert is_no_such_id(found.exc_type(found))


def test_a_connection_to_sqlite_keeps_little_of_the_file_in_memory(tmp_path: Path) -> None:
    """Each thread has one, and each would keep 2 MB; other drivers' connections are as they come."""
    with closing(opener("sqlite3", sqlite3.connect, 2.0)(database=str(tmp_path / "players"))) as connection:
        assert connection.execute("PRAGMA cache_size").fetchone() == (-SQLITE_CACHE,)
    assert opener("psycopg", dict, 2.0) is dict


@pytest.mark.parametrize(("timeout", "told"), [(0.3, 1), (2.0, 2), (2.5, 3)])
def test_drivers_that_bound_a_query_are_told_for_how_long_it_is_waited_for(timeout: float, told: int) -> None:
    """In whole seconds, of which none would be no bound; what the operator wrote counts."""

    class Connection:
        timeout = call_timeout = 0

    assert opener("pyodbc", lambda **arguments: Connection(), timeout)(server="db").timeout == told
    assert opener("oracledb", lambda **arguments: Connection(), timeout)(dsn="db").call_timeout == 1000 * timeout
    told_to_pymssql = {"server": "db", "timeout": told, "login_timeout": told}
    assert adjusted("pymssql", {"server": "db"}, timeout) == told_to_pymssql
    assert adjusted("pymssql", {"timeout": 9, "login_timeout": 8}, timeout) == {"timeout": 9, "login_timeout": 8}
    for own in ({"connect_timeout": 9}, {"host": "one,two"}, {"conninfo": "host=one connect_timeout=9"}):
        assert adjusted("psycopg", own, timeout).items() - own.items() == {("prepare_threshold", None)}


def test_half_a_password_that_a_blank_cut_off_is_not_told() -> None:
    """libpq names what it read behind the blank, which the whole secret is not."""
    error = type("ProgrammingError", (Exception,), {})('missing "=" after "word1" in connection info string')
    said = reason(error, {"conninfo": "host=db.test password=pass word1"}, connecting=True)
    assert said == 'db.test: missing "=" after "***" in connection info string (ProgrammingError)'

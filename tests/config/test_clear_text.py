"""What of [directories.NAME] may go over a network unencrypted."""

from typing import Any

import pytest

from gatewayd.config.clear_text import directory_faults, why_unproven


def sql(driver: str, /, **connect: Any) -> dict[str, Any]:
    """[directories.players] of a database."""
    return {"type": "sql", "driver": driver, "connect": connect}


@pytest.mark.parametrize(
    "table",
    [
        {"type": "http", "url": "http://10.1.2.3/{ext_user_id}"},
        {"type": "http", "url": "http://pam.internal:8080/{ext_user_id}"},
        {"type": "http", "url": "http://[2001:db8::1]:8080/{ext_user_id}"},
        sql("psycopg", host="10.1.2.3"),
        sql("psycopg", host="db.internal", sslmode="prefer"),
        sql("psycopg", conninfo="host=db.internal user=gw"),
        sql("psycopg", conninfo="postgresql://gw:x@db.internal/pam"),
        sql("psycopg", conninfo="postgresql:///pam?host=db.internal"),
        sql("psycopg", conninfo="postgresql://localhost/pam?user=gw&hostaddr=10.1.2.3"),
        sql("psycopg", conninfo="postgresql:///pam?host=%64b.internal"),
        sql("psycopg", host="127.0.0.1,db.internal"),
        sql("psycopg", conninfo="host=localhost,db.internal user=gw"),
        sql("psycopg", conninfo="postgresql://gw:x@[::1]:5432,db.internal:5432/pam"),
        sql("pymysql", host="db.internal"),
        sql("pymysql", host="db.internal", ssl={}),
        sql("pymysql", host="db.internal", ssl_ca="/etc/ssl/ca.pem", ssl_disabled=True),
        sql("MySQLdb", host="db.internal", ssl_mode="PREFERRED"),
        sql("pyodbc", driver="ODBC Driver 18 for SQL Server", server="db.internal", Encrypt="no"),
        sql("pyodbc", driver="FreeTDS", server="db.internal,1433"),
        sql("pyodbc", connstring="DRIVER={FreeTDS};SERVER=tcp:db.internal,1433"),
        sql("pymssql", server="db.internal"),
        sql("oracledb", host="db.internal", service_name="PAM"),
    ],
)
def test_clear_text_to_another_machine_is_an_error(table: dict[str, Any]) -> None:
    """With the key's path; on purpose it is none."""
    [fault] = directory_faults("directories.players", table)
    assert fault.startswith(("directories.players.url: ", "directories.players.connect: "))
    assert "clear_text = true" in fault
    assert not list(directory_faults("directories.players", table | {"clear_text": True}))


def test_of_a_url_in_the_place_of_a_host_nothing_is_named() -> None:
    """It may hold the password."""
    [fault] = directory_faults("directories.players", sql("psycopg", host="postgres://gw:hush@db.internal/pam"))
    assert "goes in clear text to another machine (" in fault
    assert "hush" not in fault


@pytest.mark.parametrize("rest", ["?password=hush", "/pam?password=hush", ":5432?password=hush", "#hush"])
def test_of_a_databases_url_nothing_but_the_machine_is_named(rest: str) -> None:
    """What goes into the log must not hold the password, where no path stands before the query either."""
    table = sql("psycopg", conninfo=f"postgresql://gw:hush@db.internal{rest}")
    [fault] = directory_faults("directories.players", table)
    assert "goes in clear text to db.internal (" in fault


@pytest.mark.parametrize(
    "table",
    [
        {"type": "http", "url": "https://pam.internal/{ext_user_id}"},
        {"type": "http", "url": "http://127.0.0.1:80/{ext_user_id}"},
        {"type": "http", "url": "http://[::1]/{ext_user_id}"},
        {"type": "http", "url": "http://localhost/{ext_user_id}"},
        {"type": "http", "url": 7},
        {"type": "own"},
        sql("sqlite3", database="/var/lib/players.db"),
        sql("psycopg", host="/run/postgresql"),
        sql("psycopg", conninfo="postgresql:///pam?host=/run/postgresql"),
        sql("psycopg", host="127.0.0.1"),
        sql("psycopg", host="127.0.0.1,/run/postgresql"),
        sql("pyodbc", driver="FreeTDS", server="127.0.0.1,1433"),
        sql("pymysql", host="db.internal", ssl={"ca": "/etc/ssl/ca.pem"}),
        sql("psycopg"),
        sql("psycopg", host="db.internal", sslmode="verify-full"),
        sql("psycopg", conninfo="postgresql://gw:x@db.internal/pam?sslmode=require"),
        sql("pymysql", unix_socket="/run/mysqld/mysqld.sock"),
        sql("pymysql", host="db.internal", ssl_ca="/etc/ssl/ca.pem"),
        sql("pyodbc", driver="ODBC Driver 18 for SQL Server", server="db.internal"),
        sql("pyodbc", driver="FreeTDS", server="db.internal", Encrypt="yes"),
        sql("pyodbc", driver="PostgreSQL Unicode", server="db.internal", sslmode="require"),
        sql("pymssql", server="db.internal", encryption="require"),
        sql("oracledb", dsn="tcps://db.internal:2484/PAM"),
        sql("somebodys", host="db.internal"),
        {"type": "sql", "driver": "psycopg", "connect": 7},
    ],
)
def test_what_stays_here_or_is_encrypted_is_none(table: dict[str, Any]) -> None:
    """Of a driver that we don't know nothing can be said."""
    assert not list(directory_faults("directories.players", table))


@pytest.mark.parametrize(
    ("table", "how"),
    [
        (sql("psycopg", host="db.internal", sslmode="require"), "verify-full"),
        (sql("psycopg", conninfo="postgresql://gw:x@db.internal/pam?sslmode=require"), "verify-full"),
        (sql("psycopg", host="db.internal", sslmode="verify-full"), ""),
        (sql("psycopg", host="127.0.0.1"), ""),
        (sql("pymysql", host="db.internal", ssl_ca="/etc/ssl/ca.pem"), "ssl_verify_identity"),
        (sql("pymysql", host="db.internal", ssl_ca="/etc/ssl/ca.pem", ssl_verify_identity=True), ""),
        (sql("pymysql", unix_socket="/run/mysqld/mysqld.sock"), ""),
        (sql("pyodbc", server="db.internal", Encrypt="yes", TrustServerCertificate="yes"), "TrustServerCertificate"),
        (sql("pyodbc", server="db.internal", Encrypt="yes"), ""),
        (sql("oracledb", dsn="tcps://db.internal:2484/PAM"), ""),
    ],
)
def test_encrypted_for_anybody_is_told_apart_from_verified(table: dict[str, Any], how: str) -> None:
    """What a driver lacks to look at the certificate of a database on another machine."""
    found = why_unproven(table["driver"], table["connect"])
    assert (how in found) if how else not found

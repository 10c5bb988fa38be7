"""What may go over a network unencrypted: nothing, unless it stays on this machine or the table says so.

Pure. One rule for the tables whose connections carry players' data (CONTRACT.md, `clear_text`).
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit


def beyond_loopback(host: str) -> bool:
    """Whether a connection to `host` (a name, or an address with or without brackets) may leave this machine."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name != "localhost" and not name.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_loopback


ALLOW = "clear_text = true would allow it"


def directory_faults(at: str, table: Mapping[str, Any]) -> Iterator[str]:
    """What of [directories.NAME] goes to another machine in the clear; of unknown drivers nothing is said."""
    if table.get("clear_text", False) is not False:
        return
    url = table.get("url")
    if table.get("type") == "http" and isinstance(url, str) and url.startswith("http://"):
        host = re.split(r"[/?#]", url.removeprefix("http://"), maxsplit=1)[0]
        if beyond_loopback(_without_port(host)):
            yield f"{at}.url: goes in clear text to another machine ({ALLOW})"
    driver, connect = table.get("driver"), table.get("connect")
    if table.get("type") == "sql" and isinstance(driver, str) and isinstance(connect, Mapping):
        rule = _RULES.get(driver)
        given = {str(key).lower(): str(value) for key, value in connect.items()}
        if rule is not None and (host := _database_host(given)) and beyond_loopback(host) and not rule(given):
            yield f"{at}.connect: goes in clear text to {host} ({ALLOW}; so does {_HOW[driver]})"


def _without_port(host: str) -> str:
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


_IN_TEXT = re.compile(
    r"(?:^|[;\s])(?:server|servername|host|hostaddr|address)\s*=\s*(?:tcp:)?([^;,\s]+)", re.IGNORECASE
)


def _database_host(connect: Mapping[str, str]) -> str:
    """The machine that a database is on, where the arguments of connect() name one; a path is a socket."""
    for key in ("hostaddr", "host", "server", "servername"):
        if connect.get(key):
            return "" if connect[key].startswith(("/", "@")) else connect[key].removeprefix("tcp:").partition(",")[0]
    for text in connect.values():
        if "://" in text:
            try:
                return urlsplit(text).hostname or ""
            except ValueError:
                return ""
        if found := _IN_TEXT.search(text):
            return "" if found[1].startswith("/") else found[1]
    return ""


def _says(*patterns: str) -> Callable[[Mapping[str, str]], bool]:
    """Whether the arguments, as key=value, have what one of `patterns` looks for."""
    found = re.compile("|".join(patterns), re.IGNORECASE)
    return lambda connect: any(found.search(f"{key}={value}") for key, value in connect.items())


_POSTGRES = _says(r"sslmode\s*=\s*(?:require|verify-ca|verify-full)\b")
_MYSQL = _says(r"^ssl(?:_ca|_verify_cert|_verify_identity|_cert|_mode|_capath)?=(?!false$|disabled$|$)")
_ODBC = _says(
    r"\bencrypt\s*=\s*(?:yes|true|mandatory|strict|1)\b",
    r"sslmode\s*=\s*(?:require|verify-ca|verify-full)\b",
    r"\bencryption\s*=\s*require\b",
    r"^sslca=.|;sslca=",
    r"odbc driver 1[89] for sql server",
)
_ORACLE = _says(r"\btcps\b")
_MSSQL = _says(r"^encryption=(?:require|request_required)$")
_RULES: Mapping[str, Callable[[Mapping[str, str]], bool]] = {
    "psycopg": _POSTGRES,
    "psycopg2": _POSTGRES,
    "pymysql": _MYSQL,
    "MySQLdb": _MYSQL,
    "pyodbc": _ODBC,
    "oracledb": _ORACLE,
    "pymssql": _MSSQL,
}
_HOW: Mapping[str, str] = {
    "psycopg": 'sslmode = "require"',
    "psycopg2": 'sslmode = "require"',
    "pymysql": "ssl_ca",
    "MySQLdb": "ssl_mode",
    "pyodbc": 'Encrypt = "yes"',
    "oracledb": "a tcps address",
    "pymssql": 'encryption = "require"',
}

"""What may go over a network unencrypted: nothing, unless it stays on this machine or the table says so.

Pure. One rule for the tables whose connections carry players' data (CONTRACT.md, `clear_text`).
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any
from urllib.parse import unquote

from msgspec import Struct


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
    name, connect = table.get("driver"), table.get("connect")
    if table.get("type") == "sql" and isinstance(name, str) and isinstance(connect, Mapping):
        driver = _DRIVERS.get(name)
        given = {str(key).lower(): str(value) for key, value in connect.items()}
        away = next(filter(beyond_loopback, _database_hosts(given)), "")
        if driver is not None and away and not driver.encrypts(given):
            # Whatever is no host may be a whole URL, with its password.
            where = away if _NAME.fullmatch(away) else "another machine"
            yield f"{at}.connect: goes in clear text to {where} ({ALLOW}; so does {driver.how})"


def why_unproven(name: str, connect: Mapping[str, Any]) -> str:
    """What makes the driver verify the certificate of a database on another machine, where nothing does; else ""."""
    driver = _DRIVERS.get(name)
    if driver is None or driver.proves is None:
        return ""
    given = {str(key).lower(): str(value) for key, value in connect.items()}
    away = any(map(beyond_loopback, _database_hosts(given)))
    return driver.how_proven if away and not driver.proves(given) else ""


def _without_port(host: str) -> str:
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


_AUTHORITY_END = re.compile(r"[/?#]")
"""What follows may hold a password, and is none of the machines."""

HOST_IN_TEXT = re.compile(r"(?:^|[;\s])(?:server|servername|host|hostaddr|address)\s*=\s*([^;\s]+)", re.IGNORECASE)
"""The machine in a connection string."""

_NAME = re.compile(r"[\w.-]{1,253}|\[?[0-9A-Fa-f:.]{2,45}\]?")

_HOST_IN_QUERY = re.compile(r"[?&](?:host|hostaddr)=([^&#]*)", re.IGNORECASE)
"""The same in a URL of libpq, where none need stand in front."""


def _database_hosts(connect: Mapping[str, str]) -> list[str]:
    """The machines that a database is on, where the arguments of connect() name any; a path is a socket.

    libpq takes several with commas between them; ODBC has a port there, which no machine is called.
    """
    for key in ("hostaddr", "host", "server", "servername"):
        if connect.get(key):
            return _machines(connect[key])
    for text in connect.values():
        if "://" in text:
            named = [unquote(one) for one in _HOST_IN_QUERY.findall(text)]
            within = _AUTHORITY_END.split(text.partition("://")[2])[0].rpartition("@")[2]
            return [*_machines(within, ported=True), *chain.from_iterable(map(_machines, named))]
        if found := HOST_IN_TEXT.search(text):
            return _machines(found[1])
    return []


def _machines(text: str, *, ported: bool = False) -> list[str]:
    found = [one.strip().removeprefix("tcp:") for one in text.split(",")]
    found = [_without_port(one) if ported else one for one in found]
    return [one for one in found if one and not one.isdigit() and not one.startswith(("/", "@"))]


def _says(*patterns: str, unless: str = r"(?!)") -> Callable[[Mapping[str, str]], bool]:
    """Whether the arguments, as key=value, have what one of `patterns` looks for, and nothing that is `unless`."""
    found, against = re.compile("|".join(patterns), re.IGNORECASE), re.compile(unless, re.IGNORECASE)

    def says(connect: Mapping[str, str]) -> bool:
        said = [f"{key}={value}" for key, value in connect.items()]
        return any(map(found.search, said)) and not any(map(against.search, said))

    return says


class _Driver(Struct, frozen=True):
    """By which arguments a driver encrypts, and `how` that is asked for; the same of the server's certificate.

    `proves` is None where nobody knows how, or where it is not an argument (pymssql, Oracle).
    """

    encrypts: Callable[[Mapping[str, str]], bool]
    how: str
    proves: Callable[[Mapping[str, str]], bool] | None = None
    how_proven: str = ""


_POSTGRES = _Driver(
    _says(r"sslmode\s*=\s*(?:require|verify-ca|verify-full)\b"),
    'sslmode = "require"',
    _says(r"sslmode\s*=\s*verify-(?:ca|full)\b"),
    'sslmode = "verify-full" and sslrootcert',
)
_MYSQL = _says(
    r"^ssl(?:_ca|_verify_cert|_verify_identity|_cert|_key|_mode|_capath)?=(?!false$|disabled$|preferred$|\{\}$|$)",
    unless=r"^ssl_disabled=true$",
)
_ODBC = _says(
    r"\bencrypt\s*=\s*(?:yes|true|mandatory|strict|1)\b",
    r"sslmode\s*=\s*(?:require|verify-ca|verify-full)\b",
    r"\bencryption\s*=\s*require\b",
    r"^sslca=.|;sslca=",
    r"odbc driver 1[89] for sql server",
    unless=r"\bencrypt\s*=\s*(?:no|false|optional|0)\b",
)
_DRIVERS: Mapping[str, _Driver] = {
    "psycopg": _POSTGRES,
    "psycopg2": _POSTGRES,
    "pymysql": _Driver(
        _MYSQL,
        "ssl_ca",
        _says(r"^ssl_verify_identity=(?!false$|$)", r"^ssl=(?!false$|$|\{\}$)"),
        "ssl_ca and ssl_verify_identity = true",
    ),
    "MySQLdb": _Driver(_MYSQL, "ssl_mode"),
    "pyodbc": _Driver(
        _ODBC,
        'Encrypt = "yes"',
        _says("", unless=r"\btrustservercertificate\s*=\s*(?:yes|true|1)\b"),
        'TrustServerCertificate = "no"',
    ),
    "oracledb": _Driver(_says(r"\btcps\b"), "a tcps address"),
    "pymssql": _Driver(_says(r"^encryption=(?:require|request_required)$"), 'encryption = "require"'),
}

"""Real database servers that are started here, PostgreSQL and MariaDB."""

import importlib
import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from outside_ports import free_port, until

from conftest import impossible, need

ROWS = (
    ("1", "anna@players.example", "+447700900123", 0),
    ("it's", "çelik@bücher.example", None, 1),
)


QUERY = """SELECT email AS "Email", phone, blocked AS opted_out -- not :this
    FROM players WHERE id = :ext_user_id AND brand IN (:label, 'a:b %') /* :nor this */"""


class Server:
    """A database server of our own: how it is reached, started and stopped."""

    def __init__(self, driver: str, connect: dict[str, Any], command: list[str], user: str) -> None:
        self.driver, self.connect = driver, connect
        self._command, self._user = command, user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once it takes connections."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(self._command, user=self._user or None, **quiet)
        module = importlib.import_module(self.driver)
        anywhere = {name: value for name, value in self.connect.items() if name != "database"}

        def takes_connections() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, "the server ended"
            try:
                module.connect(**anywhere).close()
            except module.Error:
                return False
            return True

        until(takes_connections, 30)

    def stop(self, how: int = 0) -> None:
        """Return once it is gone."""
        assert self._process is not None
        # By SIGTERM PostgreSQL waits for its clients, and ODBC's pool of connections never goes.
        usual = signal.SIGINT if self.driver == "psycopg" else signal.SIGTERM
        self._process.send_signal(how or usual)
        self._process.wait(30)

    def session(self) -> Any:
        """A connection beside the directory's."""
        return importlib.import_module(self.driver).connect(**self.connect)

    def execute(self, *statements: tuple[str, tuple[object, ...]]) -> None:
        """In one transaction."""
        connection = self.session()
        cursor = connection.cursor()
        for sql, arguments in statements:
            cursor.execute(sql, arguments)
        connection.commit()
        connection.close()


def unprivileged() -> str:
    """Servers refuse to run as root: the user they run as, or "" for ourselves."""
    if os.geteuid() != 0:
        return ""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    impossible("unprivileged user")
    raise AssertionError


def postgres(place: Path, user: str) -> Server:
    """A cluster in `place`."""
    pytest.importorskip("psycopg")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else need("initdb")
    subprocess.run(
        [initdb, "-D", place / "data", "-A", "trust", "-U", "gw", "--no-sync"],
        user=user or None,
        check=True,
        capture_output=True,
    )
    port = free_port()
    command = [str(Path(initdb).with_name("postgres")), "-D", str(place / "data"), "-k", str(place), "-F"]
    command += ["-c", "listen_addresses=127.0.0.1", "-p", str(port)]
    connect = {"host": "127.0.0.1", "port": port, "user": "gw", "dbname": "postgres", "connect_timeout": 5}
    return Server("psycopg", connect, command, user)


def mariadb(place: Path, user: str, *, tls: tuple[str, str] | None = None) -> Server:
    """A server in `place`; without grant tables it needs no installation. `tls`: its certificate and key."""
    pytest.importorskip("pymysql")
    port = free_port()
    command = [need("mariadbd"), "--no-defaults", f"--datadir={place / 'data'}", "--skip-grant-tables"]
    command += [f"--socket={place / 'my.sock'}", f"--port={port}", "--bind-address=127.0.0.1"]
    command += [f"--ssl-cert={tls[0]}", f"--ssl-key={tls[1]}"] if tls else []
    (place / "data" / "test").mkdir(parents=True)
    if user:
        for made in (place / "data", place / "data" / "test"):
            shutil.chown(made, user)
    connect = {"host": "127.0.0.1", "port": port, "user": "root", "database": "test", "charset": "utf8mb4"}
    return Server("pymysql", connect, command, user)

"""The sql directory on real servers that are started here, PostgreSQL and MariaDB; the http directory on a socket."""

import importlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor

from conftest import missing, need
from gatewayd import config
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories import open_directory
from gatewayd.directories.http import HttpDirectory
from gatewayd.sandbox.players import PlayerDatabase, PlayerService
from integration.outside_ports import free_port, until

ROWS = (
    ("1", "anna@players.example", "+447700900123", 0),
    ("it's", "çelik@bücher.example", None, 1),
)
QUERY = """SELECT email AS "Email", phone, blocked AS opted_out -- not :this
    FROM players WHERE id = :ext_user_id AND brand IN (:label, 'a:b %') /* :nor this */"""


LOCKS = {"psycopg": "LOCK TABLE players IN ACCESS EXCLUSIVE MODE", "pymysql": "LOCK TABLES players WRITE"}


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

    def stop(self, how: int = signal.SIGTERM) -> None:
        """Return once it is gone."""
        assert self._process is not None
        self._process.send_signal(how)
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
    missing("an unprivileged user")
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


def mariadb(place: Path, user: str) -> Server:
    """A server in `place`; without grant tables it needs no installation."""
    pytest.importorskip("pymysql")
    port = free_port()
    command = [need("mariadbd"), "--no-defaults", f"--datadir={place / 'data'}", "--skip-grant-tables"]
    command += [f"--socket={place / 'my.sock'}", f"--port={port}", "--bind-address=127.0.0.1"]
    (place / "data" / "test").mkdir(parents=True)
    if user:
        for made in (place / "data", place / "data" / "test"):
            shutil.chown(made, user)
    connect = {"host": "127.0.0.1", "port": port, "user": "root", "database": "test", "charset": "utf8mb4"}
    return Server("pymysql", connect, command, user)


@pytest.fixture(scope="module", params=[postgres, mariadb])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server with a table of players."""
    user = unprivileged()
    # A short path of its own: unix sockets fit no deep ones, and root's temporary directories are closed to others.
    place = Path(tempfile.mkdtemp(prefix="gw-db-"))
    try:
        if user:
            shutil.chown(place, user)
        found = request.param(place, user)
        found.start()
        rows = [("INSERT INTO players VALUES (%s, %s, %s, %s, 'amazing')", row) for row in ROWS]
        columns = "id VARCHAR(50), email VARCHAR(100), phone VARCHAR(50), blocked INTEGER, brand VARCHAR(20)"
        if found.driver == "pymysql":
            found.execute(("ALTER DATABASE test CHARACTER SET utf8mb4", ()))
        found.execute((f"CREATE TABLE players ({columns})", ()), *rows)
        yield found
        found.stop()
    finally:
        shutil.rmtree(place)


@pytest_twisted.async_yield_fixture
async def directory(server: Server) -> AsyncIterator[IRecipientDirectory]:
    """A directory on it, as the configuration would open it."""
    query = QUERY.replace('"', "`") if server.driver == "pymysql" else QUERY
    table = config.SqlDirectory(type="sql", driver=server.driver, connect=server.connect, query=query, timeout="5s")
    found = open_directory(reactor, "players", table)
    yield found
    await found.close()


@pytest_twisted.ensureDeferred
async def test_players_in_a_real_database(directory: IRecipientDirectory) -> None:
    """Bound ids, columns in any case, a comment and a percent sign in the query; unknown and other brand's as None."""
    assert await directory.find("amazing", "1") == Recipient("anna@players.example", "+447700900123")
    assert await directory.find("amazing", "it's") == Recipient("çelik@bücher.example", opted_out=True)
    for unknown in ("2", "' OR '1'='1", "%", "1; DROP TABLE players", "\\"):
        assert await directory.find("amazing", unknown) is None
    assert await directory.find("other", "1") is None


@pytest_twisted.ensureDeferred
async def test_an_opt_out_is_seen_at_once(server: Server, directory: IRecipientDirectory) -> None:
    """No transaction is left open whose snapshot would hide it, on any of the connections."""
    for blocked in (0, 1, 0, 1, 0):
        server.execute(("UPDATE players SET blocked = %s WHERE id = '1'", (blocked,)))
        for _ in range(10):
            found = await directory.find("amazing", "1", fresh=True)
            assert found is not None
            assert found.opted_out is bool(blocked)


@pytest_twisted.ensureDeferred
async def test_a_restart_of_the_database_is_survived(server: Server, directory: IRecipientDirectory) -> None:
    """Down: a temporary failure without a name in it. Back: connections are made anew, and nobody notices."""
    assert await directory.find("amazing", "1", fresh=True) is not None
    server.stop(signal.SIGQUIT if server.driver == "psycopg" else signal.SIGTERM)
    with pytest.raises(TemporaryFailure) as caught:
        await directory.find("amazing", "1", fresh=True)
    assert "anna" not in str(caught.value)
    server.start()
    assert await directory.find("amazing", "1", fresh=True) is not None


@pytest_twisted.ensureDeferred
async def test_a_stale_connection_is_not_noticed(server: Server, directory: IRecipientDirectory) -> None:
    """Restarted between two look-ups: the second is answered all the same."""
    assert await directory.find("amazing", "1", fresh=True) is not None
    server.stop(signal.SIGQUIT if server.driver == "psycopg" else signal.SIGTERM)
    server.start()
    assert await directory.find("amazing", "1", fresh=True) is not None


@pytest_twisted.ensureDeferred
async def test_a_locked_table_does_not_hold_the_asker(server: Server) -> None:
    """The time-out frees the caller while the query is stuck; after the lock all is well."""
    table = config.SqlDirectory(
        type="sql",
        driver=server.driver,
        connect=server.connect,
        query="SELECT email FROM players WHERE id = :ext_user_id",
        timeout="300ms",
        cache="0s",
    )
    directory = open_directory(reactor, "players", table)
    connection = server.session()
    try:
        lock = (
            "LOCK TABLE players IN ACCESS EXCLUSIVE MODE" if server.driver == "psycopg" else "LOCK TABLES players WRITE"
        )
        connection.cursor().execute(lock)
        with pytest.raises(TemporaryFailure):
            await directory.find("amazing", "1")
        connection.rollback()
        connection.close()
        assert await directory.find("amazing", "1") is not None
    finally:
        await directory.close()


@pytest_twisted.ensureDeferred
async def test_a_typed_id_column(server: Server) -> None:
    """An id that is no number is nobody's where the column holds numbers, not a failure that never ends."""
    server.execute(("DROP TABLE IF EXISTS numbered", ()), ("CREATE TABLE numbered (id INTEGER, email VARCHAR(50))", ()))
    server.execute(("INSERT INTO numbered VALUES (7, 'seven@players.example')", ()))
    query = "SELECT email FROM numbered WHERE id = :ext_user_id"
    table = config.SqlDirectory(type="sql", driver=server.driver, connect=server.connect, query=query, timeout="5s")
    directory = open_directory(reactor, "players", table)
    try:
        assert await directory.find("amazing", "7") == Recipient("seven@players.example")
        assert await directory.find("amazing", "hhu234556") is None
        assert await directory.find("amazing", "9" * 40) is None
        assert await directory.find("amazing", "7") == Recipient("seven@players.example")
    finally:
        await directory.close()


@pytest_twisted.ensureDeferred
async def test_the_sandbox_player_service(tmp_path: Path) -> None:
    """A real HTTP round trip: players, an unknown id, a wrong secret, trouble, and no answer at all."""
    service = PlayerService(reactor, PlayerDatabase(tmp_path / "players.db"), "secret")
    await service.listen()
    try:
        directory = HttpDirectory(reactor, service.url, "secret")
        assert await directory.find("amazing", "hhu234556") == Recipient("anna@players.example", "+447700900123")
        assert await directory.find("amazing", "no-email") == Recipient(
            "emil@players.example", "+447700900127", email_opted_out=True
        )
        assert await directory.find("amazing", "a/b ü") is None
        assert service.asked[-1] == "a/b ü"
        service.status = 503
        with pytest.raises(TemporaryFailure):
            await directory.find("amazing", "1001")
        service.status, service.hang = 200, True
        impatient = config.HttpDirectory(type="http", url=service.url, authorization="secret", timeout="200ms")
        with pytest.raises(TemporaryFailure, match="in time"):
            await open_directory(reactor, "players", impatient).find("amazing", "1001")
        service.hang = False
        stranger = HttpDirectory(reactor, service.url, "wrong")
        with pytest.raises(TemporaryFailure):
            await stranger.find("amazing", "1001")
        await directory.close()
        await stranger.close()
    finally:
        await service.close()


@pytest_twisted.ensureDeferred
async def test_nobody_listens() -> None:
    """A refused connection is a temporary failure."""
    directory = HttpDirectory(reactor, f"http://127.0.0.1:{free_port()}/{{ext_user_id}}")
    with pytest.raises(TemporaryFailure):
        await directory.find("amazing", "1")
    await directory.close()

"""The sql directory on real servers that are started here, PostgreSQL and MariaDB; the http directory on a socket."""

import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from databases import QUERY, ROWS, Server, mariadb, postgres, unprivileged
from outside_ports import free_port
from twisted.internet import reactor

from gatewayd import config
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories import open_directory
from gatewayd.directories.http import HttpDirectory
from gatewayd.sandbox.players import PlayerDatabase, PlayerService
from redis_server import until

LOCKS = {"psycopg": "LOCK TABLE players IN ACCESS EXCLUSIVE MODE", "pymysql": "LOCK TABLES players WRITE"}


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

        async def found() -> bool:
            # On a busy machine even an unlocked table may take longer than that.
            try:
                return await directory.find("amazing", "1") is not None
            except TemporaryFailure:
                return False

        await until(found)
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

"""The sql directory on real servers that are started here, PostgreSQL and MariaDB; the http directory on a socket."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from databases import QUERY, ROWS, Server, mariadb, postgres, unprivileged
from outside_ports import free_port
from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred, gatherResults

from certificates import Authority
from conftest import PACKAGES, missing, need
from gatewayd import config
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories import open_directory
from gatewayd.directories.http import HttpRecipientDirectory
from gatewayd.directories.remembered import TookTooLong
from gatewayd.directories.sql import SqlRecipientDirectory
from gatewayd.directories.threads import MOST_STUCK
from gatewayd.sandbox.players import PlayerDatabase, PlayerService
from redis_server import until


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
    """The time-out frees the caller while the query is stuck, and no second one begins; after the lock all is well."""
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
        with pytest.raises(TemporaryFailure, match="earlier look-up of this player"):
            await directory.find("amazing", "1", fresh=True)
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


SLEEPING = {
    "psycopg": "pg_sleep(CASE WHEN :ext_user_id LIKE 'hangs%' THEN 600 ELSE 0 END)::text",
    "pymysql": "SLEEP(IF(:ext_user_id LIKE 'hangs%', 600, 0))",
}


def sleeping(driver: str, connect: dict[str, Any], timeout: str) -> config.SqlDirectory:
    """A directory in which some players' queries hang."""
    query = f"SELECT 'anna@players.example' AS email, {SLEEPING.get(driver, SLEEPING['psycopg'])} AS slept"
    return config.SqlDirectory(type="sql", driver=driver, connect=connect, query=query, timeout=timeout, cache="0s")


@pytest_twisted.ensureDeferred
async def test_as_many_queries_as_can_hang_end_soon_after_the_time_out(server: Server) -> None:
    """The directory goes on; PostgreSQL is asked to end them, MariaDB's connections are closed."""
    directory = open_directory(reactor, "players", sleeping(server.driver, server.connect, "500ms"))

    async def finds(user: str) -> bool:
        try:
            return await directory.find("amazing", user) == Recipient("anna@players.example")
        except TemporaryFailure:
            return False

    try:
        await until(lambda: finds("well"))
        assert not any(await gatherResults([ensureDeferred(finds(f"hangs {n}")) for n in range(MOST_STUCK)]))
        await until(lambda: finds("well"))
        await until(lambda: not directory._under_way)
        if server.driver == "psycopg":
            with server.session() as connection:
                connection.autocommit = True
                asleep = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep'"
                await until(lambda: connection.execute(asleep).fetchone() == (0,))
    finally:
        await directory.close()


@pytest_twisted.ensureDeferred
async def test_a_query_that_the_server_ends_is_that_players_time_out(server: Server) -> None:
    """By its own limit, which the manual names: it is not taken for a connection that broke."""
    limit = {
        "psycopg": {"options": "-c statement_timeout=100"},
        "pymysql": {"init_command": "SET SESSION max_statement_time = 0.1"},
    }
    table = sleeping(server.driver, server.connect | limit[server.driver], "60s")
    directory = open_directory(reactor, "players", table)
    try:
        for _ in range(2):
            assert await directory.find("amazing", "well") == Recipient("anna@players.example")
            with pytest.raises(TookTooLong, match=r"the query was ended for its time: 127\.0\.0\.1"):
                await directory.find("amazing", "hangs")
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
async def test_an_id_of_letters_that_the_database_does_not_have_is_nobodys(server: Server) -> None:
    """In its encoding, or in that of the column; it was an outage each time that such an id came."""
    connect, charsets = dict(server.connect), ["latin1", "ascii", "utf8mb3"]
    if server.driver == "psycopg":
        with server.session() as connection:
            connection.autocommit = True
            connection.execute("CREATE DATABASE narrow ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        connect["dbname"], charsets = "narrow", [""]
    for charset in charsets:
        column = "VARCHAR(30)" + f" CHARACTER SET {charset}" * bool(charset)
        Server(server.driver, connect, [], "").execute(
            ("DROP TABLE IF EXISTS lettered", ()),
            (f"CREATE TABLE lettered (id {column}, email VARCHAR(50))", ()),
            ("INSERT INTO lettered VALUES ('anna', 'anna@players.example')", ()),
        )
        query = "SELECT email FROM lettered WHERE id = :ext_user_id"
        table = config.SqlDirectory(type="sql", driver=server.driver, connect=connect, query=query, timeout="5s")
        directory = open_directory(reactor, "players", table)
        try:
            for nobody in ("игрок", "é", "\U0001f600"):
                assert await directory.find("amazing", nobody) is None
            assert await directory.find("amazing", "anna") == Recipient("anna@players.example")
        finally:
            await directory.close()


@pytest.mark.parametrize(
    ("columns", "condition", "may"),
    [
        ("id, email", "id = :ext_user_id", True),
        ("id, email", "CAST(id AS CHAR) = :ext_user_id AND id = CAST(:ext_user_id AS UNSIGNED)", False),
        ("email, CAST(id AS CHAR) AS id", "id = :ext_user_id", False),
        ("email", "id = :ext_user_id", False),
    ],
)
@pytest.mark.parametrize("server", [mariadb], indirect=True)
@pytest_twisted.ensureDeferred
async def test_where_7abc_is_7(server: Server, columns: str, condition: str, may: bool) -> None:
    """MySQL finds player 7 for it where ids are numbers; without the column nothing is known of them."""
    server.execute(("DROP TABLE IF EXISTS seven", ()), ("CREATE TABLE seven (id BIGINT, email VARCHAR(50))", ()))
    server.execute(("INSERT INTO seven VALUES (7, 'seven@players.example')", ()))
    query = f"SELECT {columns} FROM seven WHERE {condition}"
    directory = SqlRecipientDirectory(reactor, server.driver, server.connect, query, 5.0)
    try:
        assert await directory.find("amazing", "gatewayd-check-1") is None
        assert directory.finds_another_player() is may
        assert (await directory.find("amazing", "7abc") is not None) is ("CAST(:" not in condition)
    finally:
        await directory.close()


@pytest.mark.parametrize("server", [postgres], indirect=True)
@pytest_twisted.ensureDeferred
async def test_odbc_says_the_same(server: Server) -> None:
    """Through pyodbc and an ODBC driver: unknown ids are answers, a wrong query and a closed port have reasons."""
    try:
        import pyodbc
    except ImportError:
        missing("libodbc", f"apt-get install {PACKAGES['libodbc']}")
    if "PostgreSQL Unicode" not in pyodbc.drivers():
        missing("psqlODBC", f"apt-get install {PACKAGES['psqlODBC']}")
    connect = {"driver": "PostgreSQL Unicode", "server": "127.0.0.1", "uid": "gw", "pwd": "canary"}
    connect |= {"port": str(server.connect["port"]), "database": "postgres"}
    server.execute(("DROP TABLE IF EXISTS odbc", ()), ("CREATE TABLE odbc (id INTEGER, email VARCHAR(50))", ()))
    server.execute(("INSERT INTO odbc VALUES (7, 'seven@players.example')", ()))

    def opened(query: str, **changed: str) -> IRecipientDirectory:
        table = config.SqlDirectory(type="sql", driver="pyodbc", connect=connect | changed, query=query, timeout="10s")
        return open_directory(reactor, "players", table)

    hangs = open_directory(reactor, "players", sleeping("pyodbc", connect, "1s"))
    try:
        # psqlODBC knows no time-out of a connection: the query is cancelled.
        with pytest.raises(TemporaryFailure):
            await hangs.find("amazing", "hangs")
        await until(lambda: not hangs._under_way)
    finally:
        await hangs.close()
    directory = opened("SELECT email, id FROM odbc WHERE id = :ext_user_id")
    try:
        for unknown in ("hhu234556", "9" * 40, "1.5", ""):
            assert await directory.find("amazing", unknown) is None
        for spelling in ("7", "007", " 7"):
            assert await directory.find("amazing", spelling) == Recipient("seven@players.example", id="7")
    finally:
        await directory.close()
    for query, changed, said in (
        ("SELECT email FROM nowhere WHERE id = :ext_user_id", {}, "nowhere"),
        ("SELECT email FROM odbc WHERE id = :ext_user_id", {"port": str(free_port())}, "refused"),
    ):
        broken = opened(query, **changed)
        with pytest.raises(TemporaryFailure, match=said) as caught:
            await broken.find("amazing", "7")
        assert "127.0.0.1" in str(caught.value)
        assert "canary" not in str(caught.value)
        await broken.close()


@pytest.mark.parametrize("server", [postgres], indirect=True)
@pytest_twisted.ensureDeferred
async def test_behind_pgbouncer(server: Server, tmp_path: Path) -> None:
    """Each transaction may meet another session of the server's: nothing is prepared, and no look-up fails."""
    port, place = free_port(), Path(tempfile.mkdtemp(prefix="gw-pgb-"))
    settings = place / "pgbouncer.ini"
    there = f"host=127.0.0.1 port={server.connect['port']} dbname=postgres user=gw"
    settings.write_text(
        f"[databases]\npostgres = {there}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"auth_type = any\npool_mode = transaction\nunix_socket_dir =\nserver_reset_query = DISCARD ALL\n"
        "server_reset_query_always = 1\n"
    )
    if user := unprivileged():
        shutil.chown(place, user)
    command = [need("pgbouncer"), str(settings)]
    process = subprocess.Popen(command, user=user or None, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    connect = dict(server.connect, port=port)
    query = "SELECT email FROM players WHERE id = :ext_user_id"
    table = config.SqlDirectory(type="sql", driver="psycopg", connect=connect, query=query, timeout="10s", cache="0s")
    directory = open_directory(reactor, "players", table)

    async def answers() -> bool:
        try:
            return await directory.find("amazing", "1", fresh=True) is not None
        except TemporaryFailure:
            return False

    try:
        await until(answers, seconds=30)
        for _ in range(20):
            assert await directory.find("amazing", "1", fresh=True) is not None
    finally:
        await directory.close()
        process.terminate()
        process.wait(30)
        shutil.rmtree(place)


@pytest_twisted.ensureDeferred
async def test_who_names_an_authority_has_it_looked_at() -> None:
    """pymysql from 1.2 on takes any certificate beside ssl_ca, expired ones and strangers', unless it is told."""
    user = unprivileged()
    place = Path(tempfile.mkdtemp(prefix="gw-db-"))
    try:
        for name in ("ours", "theirs"):
            (place / name).mkdir()
        ours, theirs = Authority(place / "ours"), Authority(place / "theirs")
        found = mariadb(place, user, tls=theirs.files("127.0.0.1"))
        for path in (place, *place.rglob("*")) if user else ():
            shutil.chown(path, user)
        found.start()
        for authority, said in ((theirs, ""), (ours, "CERTIFICATE_VERIFY_FAILED")):
            query = "SELECT 'a@players.example' AS email FROM (SELECT '1' AS id) one WHERE id = :ext_user_id"
            connect = {**found.connect, "ssl_ca": authority.ca_file}
            table = config.SqlDirectory(type="sql", driver="pymysql", connect=connect, query=query, timeout="5s")
            directory = open_directory(reactor, "players", table)
            if said:
                with pytest.raises(TemporaryFailure, match=said):
                    await directory.find("amazing", "1")
            else:
                assert await directory.find("amazing", "1") == Recipient("a@players.example")
            await directory.close()
        found.stop()
    finally:
        shutil.rmtree(place)


@pytest_twisted.ensureDeferred
async def test_what_a_person_can_act_on(server: Server) -> None:
    """A closed port and a missing table are told apart, with the host and the driver's own code."""
    closed = {**server.connect, "port": free_port()}
    for connect, table_name, said in ((closed, "players", "refused"), (server.connect, "nowhere", "nowhere")):
        query = f"SELECT email FROM {table_name} WHERE id = :ext_user_id"
        table = config.SqlDirectory(type="sql", driver=server.driver, connect=connect, query=query, timeout="5s")
        directory = open_directory(reactor, "players", table)
        with pytest.raises(TemporaryFailure, match=said) as caught:
            await directory.find("amazing", "1")
        assert f"127.0.0.1:{connect['port']}" in str(caught.value)
        await directory.close()


def with_secret(text: str) -> Callable[..., dict[str, str]]:
    """An Authorization header."""
    return lambda again=False: {"Authorization": text}


@pytest_twisted.ensureDeferred
async def test_the_sandbox_player_service(tmp_path: Path) -> None:
    """A real HTTP round trip: players, an unknown id, a wrong secret, trouble, and no answer at all."""
    service = PlayerService(reactor, PlayerDatabase(tmp_path / "players.db"), "secret")
    await service.listen()
    try:
        directory = HttpRecipientDirectory(reactor, service.url, with_secret("secret"))
        assert await directory.find("amazing", "hhu234556") == Recipient(
            "anna@players.example", "+447700900123", id="hhu234556"
        )
        assert await directory.find("amazing", "no-email") == Recipient(
            "emil@players.example", "+447700900127", email_opted_out=True, id="no-email"
        )
        assert await directory.find("amazing", "a:b ü") is None
        assert service.asked[-1] == "a:b ü"
        service.status = 503
        with pytest.raises(TemporaryFailure):
            await directory.find("amazing", "1001")
        service.status, service.hang = 200, True
        impatient = config.HttpDirectory(type="http", url=service.url, authorization="secret", timeout="200ms")
        with pytest.raises(TemporaryFailure, match="in time"):
            await open_directory(reactor, "players", impatient).find("amazing", "1001")
        service.hang = False
        stranger = HttpRecipientDirectory(reactor, service.url, with_secret("wrong"))
        with pytest.raises(TemporaryFailure):
            await stranger.find("amazing", "1001")
        await directory.close()
        await stranger.close()
    finally:
        await service.close()


@pytest_twisted.ensureDeferred
async def test_nobody_listens() -> None:
    """A refused connection is a temporary failure."""
    directory = HttpRecipientDirectory(reactor, f"http://127.0.0.1:{free_port()}/{{ext_user_id}}")
    with pytest.raises(TemporaryFailure):
        await directory.find("amazing", "1")
    await directory.close()

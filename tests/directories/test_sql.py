"""Players by SQL: parameters bound in each driver's style, never pasted in."""

import sqlite3
import string
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from gatewayd import config
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories import open_directory
from gatewayd.directories.query import bind
from gatewayd.directories.remembered import Remembered
from gatewayd.directories.sql import MOST_ROWS, SqlRecipientDirectory
from gatewayd.directories.threads import MOST_STUCK
from gatewayd.sandbox.players import QUERY, SAMPLES, PlayerDatabase
from redis_server import until


@pytest.fixture
def players(tmp_path: Path) -> PlayerDatabase:
    """The sandbox's player database in a file."""
    return PlayerDatabase(tmp_path / "players.db")


VALUES = {"ext_user_id": "u", "label": "l"}
ID = ":ext_user_id"


@pytest.mark.parametrize(
    ("style", "sql", "arguments"),
    [
        ("qmark", "a = ? AND b = ? OR c = ?", ("u", "l", "u")),
        ("format", "a = %s AND b = %s OR c = %s", ("u", "l", "u")),
        ("numeric", "a = :1 AND b = :2 OR c = :3", ("u", "l", "u")),
        ("named", "a = :ext_user_id AND b = :label OR c = :ext_user_id", VALUES),
        ("pyformat", "a = %(ext_user_id)s AND b = %(label)s OR c = %(ext_user_id)s", VALUES),
    ],
)
def test_each_style_of_parameters(style: str, sql: str, arguments: object) -> None:
    """The five styles of PEP 249, in the order of the query."""
    bound = bind("a = :ext_user_id AND b = :label OR c = :ext_user_id", style)
    assert bound.sql == sql
    assert bound.arguments(VALUES) == arguments


@pytest.mark.parametrize(
    "text",
    [
        "':ext_user_id'",
        "'it''s :label'",
        '":label"',
        '"a"":label"',
        "`:label`",
        "id::text",
        "id::label",
        "-- :label\n",
        "/* :label */",
        "/* a /* :label */ :label */",
        "$$ :label $$",
        "$tag$ :label $$ :label $tag$",
        "E'a\\' :label'",
        "'\\'",
        "@x := 5",
        "'12:30'",
        "a[1:2]",
    ],
)
def test_what_is_no_parameter_stays(text: str) -> None:
    """Literals, quoted names, comments, casts and slices are left alone, before and behind a parameter."""
    assert bind(f"{text} = {ID} AND {text}", "qmark").sql == f"{text} = ? AND {text}"


@pytest.mark.parametrize("text", ["'a\\' :label'", '"a\\" :label"', "# :label\n", "`:label`", "'it''s :label'"])
def test_mysql_reads_strings_and_comments_its_own_way(text: str) -> None:
    """Backslashes escape, double quotes are strings, a hash begins a comment."""
    assert bind(f"{text} = {ID}", "qmark", mysql=True).sql == f"{text} = ?"


def test_percent_signs_are_doubled_where_the_driver_formats() -> None:
    """Everywhere, also inside literals; other drivers take them as they are."""
    query = "name LIKE 'a%' AND 5 % 2 = 1 AND id = :ext_user_id"
    assert bind(query, "pyformat").sql == "name LIKE 'a%%' AND 5 %% 2 = 1 AND id = %(ext_user_id)s"
    assert bind(query, "qmark").sql == "name LIKE 'a%' AND 5 % 2 = 1 AND id = ?"


@pytest.mark.parametrize(
    ("query", "style", "word"),
    [
        ("SELECT 1", "qmark", "ext_user_id"),
        ("SELECT ':ext_user_id'", "qmark", "ext_user_id"),
        ("SELECT :ext_user_id, :other", "qmark", ":other"),
        ("SELECT :ext_user_id", "sloppy", "paramstyle"),
    ],
)
def test_wrong_queries_name_what_is_wrong(query: str, style: str, word: str) -> None:
    """ValueError at the start, not a failure at the first player."""
    with pytest.raises(ValueError, match=word):
        bind(query, style)


@given(st.text(string.printable), st.sampled_from(["qmark", "numeric", "named", "format", "pyformat"]), st.booleans())
def test_any_query_is_bound_or_refused(query: str, style: str, mysql: bool) -> None:
    """No text makes it crash or hang, and what it made has as many places as arguments."""
    try:
        bound = bind(query, style, mysql=mysql)
    except ValueError:
        return
    if style == "format":
        assert bound.sql.replace("%%", "").count("%s") == len(bound.names)
        assert isinstance(bound.sql % bound.arguments(VALUES), str)


def sqlite(players: PlayerDatabase, query: str = QUERY) -> SqlRecipientDirectory:
    """A directory on it."""
    return SqlRecipientDirectory(reactor, "sqlite3", {"database": str(players.path)}, query, 2.0)


@pytest_twisted.ensureDeferred
async def test_sqlite_players(players: PlayerDatabase) -> None:
    """Each sample player as they were put in, an unknown id as None, and a change at once."""
    directory = sqlite(players)
    assert verifyObject(IRecipientDirectory, directory)
    try:
        for player in SAMPLES:
            found = await directory.find("amazing", player.id)
            assert found is not None
            assert (found.email, found.phone) == (player.email or "", player.phone or "")
            assert found.opted_out is player.opted_out
            assert found.excluded is player.excluded
        assert await directory.find("amazing", "nobody") is None
        players.remove("1001")
        assert await directory.find("amazing", "1001") is None
    finally:
        await directory.close()


@pytest.mark.parametrize("flags", ["1 AS excluded, 0 AS excluded", "0 AS excluded, 'yes' AS Excluded"])
@pytest_twisted.ensureDeferred
async def test_a_flag_that_a_join_gives_twice_is_set_where_one_of_them_is(players: PlayerDatabase, flags: str) -> None:
    """Whichever table stands last: a yes keeps us from writing to somebody."""
    query = f"SELECT 'a@x.example' AS email, 'b@x.example' AS email, {flags} WHERE :ext_user_id = '1'"
    directory = sqlite(players, query)
    try:
        assert await directory.find("amazing", "1") == Recipient("b@x.example", excluded=True)
    finally:
        await directory.close()


@pytest.mark.parametrize("flags", ["(0), (1)", "(1), (0)", "(NULL), ('yes'), (0)"])
@pytest_twisted.ensureDeferred
async def test_a_flag_that_a_join_gives_in_several_rows_is_set_where_one_of_them_is(
    players: PlayerDatabase, flags: str
) -> None:
    """Exclusions in a table of their own, some of them over, in any order: a yes keeps us from writing."""
    table = f"WITH flags(flag) AS (VALUES {flags}) "
    query = f"{table} SELECT 'a@x.example' AS email, flag AS excluded FROM flags WHERE :ext_user_id = '1'"
    directory = sqlite(players, query)
    try:
        assert await directory.find("amazing", "1") == Recipient("a@x.example", excluded=True)
        assert await directory.find("amazing", "2") is None
    finally:
        await directory.close()


@pytest_twisted.ensureDeferred
async def test_more_rows_than_are_read_tell_of_nobody(players: PlayerDatabase) -> None:
    """What the rest of them say of exclusion is not known; a query without its WHERE gives all players."""
    rows = ", ".join(["('a@x.example')"] * (MOST_ROWS + 1))
    query = f"WITH all_of(email) AS (VALUES {rows}) SELECT email FROM all_of WHERE :ext_user_id <> ''"
    directory = sqlite(players, query)
    try:
        with pytest.raises(TemporaryFailure, match="more than 100 rows"):
            await directory.find("amazing", "1")
    finally:
        await directory.close()


@pytest_twisted.ensureDeferred
async def test_a_player_file_that_was_replaced_is_the_one_that_is_asked(tmp_path: Path) -> None:
    """Who is in the one that has the name now counts. Where none has it, that is trouble, and none is made."""
    path = tmp_path / "players.db"
    write_players(path, "old@players.example")
    directory = SqlRecipientDirectory(reactor, "sqlite3", {"database": str(path)}, QUERY, 2.0)
    try:
        for database in ("new@players.example", "newer@players.example"):
            assert await directory.find("amazing", "1001")
            write_players(tmp_path / "export.db", database)
            (tmp_path / "export.db").rename(path)
            found = await directory.find("amazing", "1001")
            assert found == Recipient(email=database, id="1001")
        path.unlink()
        with pytest.raises(TemporaryFailure, match="no such file"):
            await directory.find("amazing", "1001")
        assert not path.exists()
        write_players(path, "back@players.example")
        found = await directory.find("amazing", "1001")
        assert found == Recipient(email="back@players.example", id="1001")
    finally:
        await directory.close()


def write_players(path: Path, email: str) -> None:
    """A database with one player."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE players (id TEXT, email TEXT, phone TEXT, opted_out INTEGER, email_opted_out INTEGER,"
            " sms_opted_out INTEGER, excluded INTEGER)"
        )
        database.execute("INSERT INTO players (id, email) VALUES ('1001', ?)", (email,))


@pytest_twisted.ensureDeferred
async def test_an_id_is_bound_and_never_pasted(players: PlayerDatabase) -> None:
    """What would be SQL is an id that nobody has."""
    directory = sqlite(players)
    try:
        for evil in ("' OR '1'='1", "1001'; DROP TABLE players; --", "%", "\x00", "1001 ", "ü"):
            assert await directory.find("amazing", evil) is None
        assert await directory.find("amazing", "1001") is not None
    finally:
        await directory.close()


@pytest_twisted.ensureDeferred
async def test_the_label_is_bound_too(players: PlayerDatabase) -> None:
    """One table for several brands."""
    directory = sqlite(players, "SELECT email FROM players WHERE id = :ext_user_id AND :label = 'amazing'")
    try:
        assert await directory.find("amazing", "1001") is not None
        assert await directory.find("other", "1001") is None
    finally:
        await directory.close()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT email FROM nowhere WHERE id = :ext_user_id",
        "SELECT id FROM players WHERE id = :ext_user_id",
        "x :ext_user_id",
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_broken_query_is_a_temporary_failure(players: PlayerDatabase, query: str) -> None:
    """It names no player, and of what the database said only what names tables and columns."""
    directory = sqlite(players, query)
    try:
        with pytest.raises(TemporaryFailure) as caught:
            await directory.find("amazing", "hhu234556")
        assert "hhu234556" not in str(caught.value)
    finally:
        await directory.close()


@pytest.mark.parametrize(
    ("driver", "query", "word"),
    [
        ("no_such_driver", QUERY, "driver"),
        ("json", QUERY, "driver"),
        ("sqlite3", "SELECT email", "query"),
    ],
)
def test_a_wrong_table_names_its_key(driver: str, query: str, word: str) -> None:
    """Before anything is connected."""
    table = config.SqlDirectory(type="sql", driver=driver, query=query)
    with pytest.raises(ValueError, match=rf"directories\.players\.{word}: "):
        open_directory(reactor, "players", table)


class FlakyDriver:
    """A driver whose connections can be cut, as a firewall does to idle ones."""

    def __init__(self) -> None:
        self.connections = 0
        self.alive: set[int] = set()
        self.down = False

    def connect(self) -> "FlakyConnection":
        """A live connection."""
        if self.down:
            raise ConnectionError("connect to anna@players.example failed")
        self.connections += 1
        self.alive.add(self.connections)
        return FlakyConnection(self, self.connections)


class FlakyConnection:
    """As PEP 249 has it for a database without transactions."""

    description = (("EMAIL",),)

    def __init__(self, driver: FlakyDriver, number: int) -> None:
        self.driver, self.number = driver, number

    def cursor(self) -> "FlakyConnection":
        """The connection is its own cursor."""
        return self

    def execute(self, sql: str, arguments: object) -> None:
        """Fails on a dead connection."""
        if self.number not in self.driver.alive:
            raise ConnectionError("gone away")

    def fetchmany(self, size: int) -> list[tuple[str]]:
        """Anna."""
        return [("anna@players.example",)]

    def close(self) -> None:
        """Nothing to close."""


def flaky(driver: FlakyDriver, monkeypatch: pytest.MonkeyPatch) -> SqlRecipientDirectory:
    """A directory on `driver`, which is importable as a module."""
    from types import ModuleType

    module = ModuleType("flaky_driver")
    module.paramstyle, module.connect = "qmark", driver.connect  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flaky_driver", module)
    return SqlRecipientDirectory(reactor, "flaky_driver", {}, "SELECT email WHERE :ext_user_id", 2.0)


@pytest_twisted.ensureDeferred
async def test_a_stale_connection_is_replaced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The asker notices nothing; a database that is really down is a temporary failure, and is asked anew later."""
    driver = FlakyDriver()
    directory = flaky(driver, monkeypatch)
    try:
        assert await directory.find("amazing", "1") == Recipient(email="anna@players.example")
        assert await directory.find("amazing", "1") == Recipient(email="anna@players.example")
        assert driver.connections == 1
        driver.alive.clear()
        assert await directory.find("amazing", "1") == Recipient(email="anna@players.example")
        assert driver.connections == 2
        driver.alive.clear()
        driver.down = True
        with pytest.raises(TemporaryFailure) as caught:
            await directory.find("amazing", "1")
        assert "anna" not in str(caught.value)
        driver.down = False
        assert await directory.find("amazing", "1") == Recipient(email="anna@players.example")
    finally:
        await directory.close()


class HangingDriver:
    """A driver whose query of one id does not return before it is let go."""

    paramstyle = "qmark"
    description = (("email",),)

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: list[str] = []

    def connect(self) -> "HangingDriver":
        """The driver is its own connection."""
        return self

    def cursor(self) -> "HangingDriver":
        """And its own cursor."""
        return self

    def execute(self, sql: str, arguments: tuple[str]) -> None:
        """Hangs for the one."""
        self.asked.append(arguments[0])
        if arguments[0] == "hangs":
            assert self.let_go.wait(60)

    def fetchmany(self, size: int) -> list[tuple[str]]:
        """Anna."""
        return [("anna@players.example",)]

    def close(self) -> None:
        """Nothing to close."""


@pytest_twisted.ensureDeferred
async def test_a_player_whose_query_hangs_holds_one_thread_however_often_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More than could ever be stuck: the others are looked up, and so is this one once the query is back."""
    driver, clock = HangingDriver(), Clock()
    monkeypatch.setitem(sys.modules, "hanging_driver", driver)  # type: ignore[arg-type]
    sql = SqlRecipientDirectory(reactor, "hanging_driver", {}, "SELECT email WHERE :ext_user_id", 2.0)
    directory = Remembered(clock, "players", sql, timeout=2.0, cache=0.0)
    try:
        for n in range(2 * MOST_STUCK):
            asker = Deferred.fromCoroutine(directory.find("amazing", "hangs", fresh=bool(n % 2)))
            await until(lambda: "hangs" in driver.asked)
            well = await directory.find("amazing", f"well {n}")
            assert well == Recipient(email="anna@players.example")
            clock.advance(2)
            with pytest.raises(TemporaryFailure):
                await asker
        assert driver.asked.count("hangs") == 1
        driver.let_go.set()

        async def is_found() -> bool:
            try:
                return await directory.find("amazing", "hangs") is not None
            except TemporaryFailure:
                return False

        await until(is_found)
    finally:
        driver.let_go.set()
        await directory.close()

"""An operator's own directory, a change of directories, the sandbox's players."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.task import Clock

from gatewayd import config
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.model import Recipient
from gatewayd.directories import Directories, open_directory
from gatewayd.directories.remembered import Remembered
from gatewayd.sandbox.players import SAMPLES, PlayerDatabase
from intake_world import Players


@pytest.fixture
def players(tmp_path: Path) -> PlayerDatabase:
    """The sandbox's player database in a file."""
    return PlayerDatabase(tmp_path / "players.db")


@pytest.fixture
def own_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's plugin is installed."""
    import twisted.plugins

    (tmp_path / "gatewayd_ours.py").write_text("from directory_plugin import Maker\nours = Maker()\n")
    monkeypatch.setattr(twisted.plugins, "__path__", [*twisted.plugins.__path__, str(tmp_path)])


@pytest.mark.usefixtures("own_kind")
@pytest_twisted.ensureDeferred
async def test_an_operators_own_directory() -> None:
    """A twistd plugin's type is found; its wrong options and an unknown type are named."""
    table = config.PluginDirectory(type="ours", options={"email": "a@b.example"})
    directory = open_directory(reactor, "own", table)
    assert await directory.find("amazing", "1") == Recipient(email="a@b.example")
    with pytest.raises(ValueError, match=r"directories\.own\.options\.email: is required"):
        open_directory(reactor, "own", config.PluginDirectory(type="ours"))
    with pytest.raises(ValueError, match=r'directories\.own\.type: "theirs"'):
        open_directory(reactor, "own", config.PluginDirectory(type="theirs"))


@pytest.mark.usefixtures("own_kind")
@pytest_twisted.ensureDeferred
async def test_a_change_of_directories_is_whole() -> None:
    """What changed is opened anew, what stays stays open, what goes is closed; where one can't open, none changes."""

    def own(name: str) -> config.PluginDirectory:
        return config.PluginDirectory(type="ours", options={"email": f"{name}@b.example"})

    async def email(name: str) -> str | None:
        found = await directories.by_name[name].find("amazing", "1")
        return found.email if found else None

    directories = Directories(reactor, {"stays": own("a"), "changes": own("b"), "goes": own("c")})
    before = dict(directories.by_name)
    made: list[Players] = []
    in_vain = config.PluginDirectory(type="ours", options={"email": "d@b.example", "made": made})
    with pytest.raises(ValueError, match=r"directories\.new\.options\.email: is required"):
        directories.reconfigure({"changes": in_vain, "new": config.PluginDirectory(type="ours")})
    assert directories.by_name == before
    assert [players.closed for players in made] == [True]
    directories.reconfigure({"stays": own("a"), "changes": own("d"), "new": own("e")})
    assert [await email(name) for name in directories.by_name] == ["a@b.example", "d@b.example", "e@b.example"]
    assert directories.by_name["stays"] is before["stays"]
    assert directories.trouble() == dict.fromkeys(("stays", "changes", "new"), "")
    assert [name for name, one in before.items() if one.directory.closed] == ["changes", "goes"]
    await directories.close()
    assert all(one.directory.closed for one in directories.by_name.values())


def sql(**changed: Any) -> config.SqlDirectory:
    """A table of players."""
    connect = {"host": "db.internal", "password": "one", **changed.pop("connect", {})}
    known: dict[str, Any] = {"type": "sql", "driver": "psycopg", "query": "SELECT :ext_user_id", "connect": connect}
    return config.SqlDirectory(**(known | changed))


class Succeeding(Remembered):
    """One that says whose place it takes."""

    before: Remembered | None = None

    def succeed(self, other: Remembered) -> None:
        """Keep it."""
        self.before = other


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"timeout": "3s"}, True),
        ({"cache": "1s", "connect": {"password": "two"}}, True),
        ({"query": "SELECT 1, :ext_user_id"}, False),
        ({"connect": {"host": "new.internal"}}, False),
        ({"driver": "pymysql"}, False),
    ],
)
def test_a_table_that_changed_knows_who_hangs_where_the_same_is_asked_of_the_same(
    changed: dict[str, Any], same: bool
) -> None:
    """Another query or another database does not hang for that: whoever mends it sees it work at once."""

    def opened(clock: Any, name: str, table: config.Directory) -> Remembered:
        return Succeeding(clock, name, Players(), timeout=2.0, cache=0.0)

    directories = Directories(Clock(), {"players": sql()}, opened)
    before = directories.by_name["players"]
    directories.reconfigure({"players": sql(**changed)})
    after = directories.by_name["players"]
    assert isinstance(after, Succeeding)
    assert after.before is (before if same else None)


def test_the_sandbox_players_are_what_they_say(players: PlayerDatabase) -> None:
    """The file is plain SQLite, and numbered players can be many."""
    many = PlayerDatabase(players.path.with_name("many.db"), numbered=250)
    with closing(sqlite3.connect(many.path)) as database, database:
        assert database.execute("SELECT count(*) FROM players").fetchone() == (len(SAMPLES) + 250,)
    database.close()
    assert players.get("1002") is not None
    assert players.get("nobody") is None


@pytest_twisted.ensureDeferred
async def test_the_manuals_plug_in_does_what_is_said_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied as it stands there: players are found, the excluded ones with their flag, and a lost file is trouble."""
    import twisted.plugins

    chapter = (Path(__file__).parents[2] / "debian" / "manual" / "6-players.md").read_text("utf-8")
    [code] = re.findall(r"```python\n(.*?)```", chapter, re.DOTALL)
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    (plugins / "manuals_players.py").write_text(code)
    monkeypatch.setattr(twisted.plugins, "__path__", [*twisted.plugins.__path__, str(plugins)])
    players = tmp_path / "players.csv"
    players.write_text("id,email,phone,excluded\n1,anna@players.example,+447700900123,\n2,b@players.example,,yes\n")
    table = config.PluginDirectory(type="csv", options={"path": str(players)})
    opened = open_directory(reactor, "own", table)
    anna, excluded, nobody = [await opened.find("amazing", user) for user in ("1", "2", "3")]
    assert (anna.email, anna.phone, anna.excluded) == ("anna@players.example", "+447700900123", False)
    assert (excluded.id, excluded.excluded) == ("2", True)
    assert nobody is None
    players.unlink()
    with pytest.raises(TemporaryFailure, match="the players' file cannot be read"):
        await opened.find("amazing", "1", fresh=True)
    await opened.close()

"""The query that the manual gives MySQL's users, on a real server."""

import re
import shutil
import tempfile
import tomllib
from pathlib import Path

import pytest_twisted
from databases import mariadb, unprivileged
from twisted.internet import reactor

from gatewayd import config
from gatewayd.directories import open_directory

CHAPTER = Path(__file__).parent.parent.parent / "debian" / "manual" / "6-players.md"


@pytest_twisted.ensureDeferred
async def test_an_id_that_only_begins_like_a_number_is_nobodys() -> None:
    """MySQL finds player 7 under '7abc'; with the manual's query gatewayd does not."""
    text = next(block for block in re.findall(r"(?ms)^```toml\n(.*?)^```", CHAPTER.read_text()) if "pymysql" in block)
    query = tomllib.loads(text)["directories"]["players"]["query"]
    user = unprivileged()
    place = Path(tempfile.mkdtemp(prefix="gw-db-"))
    server = None
    try:
        if user:
            shutil.chown(place, user)
        server = mariadb(place, user)
        server.start()
        server.execute(
            ("CREATE TABLE players (id INT PRIMARY KEY, email TEXT, phone TEXT, self_excluded BOOL)", ()),
            ("INSERT INTO players VALUES (7, 'anna@players.example', '', 0)", ()),
        )

        async def find(sql: str, ext_user_id: str) -> bool:
            table = config.SqlDirectory(type="sql", driver=server.driver, connect=server.connect, query=sql)
            directory = open_directory(reactor, "players", table)
            try:
                return await directory.find("amazing", ext_user_id) is not None
            finally:
                await directory.close()

        assert await find("SELECT email FROM players WHERE id = :ext_user_id", "7abc")
        assert await find(query, "7")
        for other in ("7abc", "07", "8", "x", ""):
            assert not await find(query, other), other
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(place)

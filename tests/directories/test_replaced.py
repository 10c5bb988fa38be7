"""Which file a database is in."""

from pathlib import Path
from typing import Any

import pytest

from gatewayd.directories.replaced import NOWHERE, standing


@pytest.mark.parametrize(
    "connect",
    [{"database": "{}"}, {"database": "file:{}?mode=ro", "uri": True}, {"database": "file://{}", "uri": True}],
)
def test_a_file_is_known_by_what_has_its_name(tmp_path: Path, connect: dict[str, Any]) -> None:
    """Another one of the same name is another one, and none is none."""
    path = tmp_path / "players.db"
    look = standing("sqlite3", connect | {"database": connect["database"].format(path)})
    assert look() is None
    path.write_bytes(b"")
    first = look()
    assert first == look() != NOWHERE
    (tmp_path / "new").write_bytes(b"")
    (tmp_path / "new").rename(path)
    assert look() not in (None, first)


@pytest.mark.parametrize(
    ("driver", "connect"),
    [
        ("sqlite3", {"database": ":memory:"}),
        ("sqlite3", {"database": "file::memory:?cache=shared", "uri": True}),
        ("sqlite3", {"database": "file:x?mode=memory", "uri": True}),
        ("psycopg", {"host": "db.internal"}),
        ("pymysql", {"database": "pam"}),
    ],
)
def test_what_is_in_no_file_stands_for_ever(driver: str, connect: dict[str, Any]) -> None:
    """Databases in memory and on servers."""
    assert standing(driver, connect)() == NOWHERE

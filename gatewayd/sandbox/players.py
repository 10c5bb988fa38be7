"""The operator's player database: an SQLite file with sample players, and the same players behind a small HTTP service.

The file is what [directories.NAME] with type = "sql" asks; the service is for type = "http". Both read the file anew
each time, so that an opt-out written to it counts at once.
"""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

QUERY = (
    "SELECT id, email, phone, opted_out, email_opted_out, sms_opted_out, excluded FROM players WHERE id = :ext_user_id"
)
"""The query for [directories.NAME]."""

FLAGS = ("opted_out", "email_opted_out", "sms_opted_out", "excluded")


class Player(Struct, frozen=True):
    """One row; printing it shows no address."""

    id: str
    email: str | None = None
    phone: str | None = None
    opted_out: bool = False
    email_opted_out: bool = False
    sms_opted_out: bool = False
    excluded: bool = False

    def __repr__(self) -> str:
        return f"<Player {self.id}>"


SAMPLES: Sequence[Player] = (
    Player("hhu234556", "anna@players.example", "+447700900123"),
    Player("1001", "bertrand@players.example", "07700 900124"),
    Player("1002", "çelik@bücher.example", "+44 (7700) 900-125"),
    Player("no-address"),
    Player("unreadable", "not an address", "call me"),
    Player("opted-out", "dora@players.example", "+447700900126", opted_out=True),
    Player("no-email", "emil@players.example", "+447700900127", email_opted_out=True),
    Player("no-sms", "fatma@players.example", "+447700900128", sms_opted_out=True),
    Player("excluded", "gert@players.example", "+447700900129", excluded=True),
)
"""The first is the player that SMARTICO.md's example writes to; the others show each way to be refused."""


class PlayerDatabase:
    """Players in an SQLite file at `path`; `numbered` more of them get the ids p1, p2, ...

    An existing file of that name is replaced.
    """

    def __init__(self, path: Path, players: Sequence[Player] = SAMPLES, numbered: int = 0) -> None:
        self.path = path
        for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            # A journal that an earlier run left behind would be played into the new file.
            name.unlink(missing_ok=True)
        more = [Player(f"p{n}", f"p{n}@players.example", f"+4477009{n % 100000:05d}") for n in range(1, numbered + 1)]
        with closing(sqlite3.connect(path)) as database, database:
            # Readers must not be held up while a test or a curious operator writes.
            database.execute("PRAGMA journal_mode = WAL")
            columns = ", ".join(f"{flag} INTEGER NOT NULL DEFAULT 0" for flag in FLAGS)
            database.execute(f"CREATE TABLE players (id TEXT PRIMARY KEY, email TEXT, phone TEXT, {columns})")
            database.executemany(
                "INSERT INTO players VALUES (?, ?, ?, ?, ?, ?, ?)", [_row(p) for p in (*players, *more)]
            )

    def put(self, player: Player) -> None:
        """Add a player, or change the one with this id."""
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute("INSERT OR REPLACE INTO players VALUES (?, ?, ?, ?, ?, ?, ?)", _row(player))

    def remove(self, player_id: str) -> None:
        """Forget a player."""
        with closing(sqlite3.connect(self.path)) as database, database:
            database.execute("DELETE FROM players WHERE id = ?", (player_id,))

    def get(self, player_id: str) -> dict[str, Any] | None:
        """A player as the HTTP service tells of them."""
        with closing(sqlite3.connect(self.path)) as database:
            database.row_factory = sqlite3.Row
            row = database.execute(QUERY, {"ext_user_id": player_id}).fetchone()
        if row is None:
            return None
        return {name: bool(value) if name in FLAGS else value for name, value in dict(row).items()}


def _row(player: Player) -> tuple[object, ...]:
    return (player.id, player.email, player.phone, *(int(getattr(player, flag)) for flag in FLAGS))


class PlayerService:
    """GET /players/<id> on a real socket: JSON, or 404. `authorization`, if given, must be in the header.

    `status` other than 200 is answered to all, and with `hang` nothing is: a directory in trouble.
    """

    def __init__(self, reactor: Any, database: PlayerDatabase, authorization: str = "") -> None:
        self._reactor = reactor
        self._database = database
        self._authorization = authorization
        self._port: IListeningPort | None = None
        self.status = 200
        self.hang = False
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        """What belongs into [directories.NAME] url; the service must be listening."""
        assert self._port is not None
        return f"http://127.0.0.1:{cast(Any, self._port.getHost()).port}/players/{{ext_user_id}}"

    async def listen(self, port: int = 0) -> None:
        """Open the port; 0 takes a free one."""
        site = Site(_PlayersPage(self))
        site.noisy = False
        self._port = await TCP4ServerEndpoint(self._reactor, port, interface="127.0.0.1").listen(site)

    async def close(self) -> None:
        """Close the port."""
        if self._port is not None:
            closing_port: Deferred[None] | None = self._port.stopListening()
            if closing_port is not None:
                await closing_port

    def answer(self, request: Request, player_id: str) -> bytes | int:
        """What one question gets."""
        self.asked.append(player_id)
        if self.hang:
            return NOT_DONE_YET
        given = request.getHeader(b"Authorization") or b""
        if self._authorization and given != self._authorization.encode():
            request.setResponseCode(401)
            return b""
        found = self._database.get(player_id)
        request.setResponseCode(404 if found is None and self.status == 200 else self.status)
        request.setHeader(b"Content-Type", b"application/json")
        return json.dumps(found).encode()


class _PlayersPage(Resource):
    isLeaf = True

    def __init__(self, service: PlayerService) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._service = service

    def render_GET(self, request: Request) -> bytes | int:
        parts = request.path.split(b"/")
        if len(parts) != 3 or parts[1] != b"players":
            request.setResponseCode(404)
            return b""
        return self._service.answer(request, unquote(parts[2].decode("ascii", "replace")))

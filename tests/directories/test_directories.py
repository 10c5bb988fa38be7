"""Recipient directories: queries for any driver, what a row says, stuck threads, HTTP answers, memory and time-outs."""

import sqlite3
import string
import sys
import threading
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from treq.testing import StubTreq
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.web.client import ResponseFailed, ResponseNeverReceived
from twisted.web.http import Request
from twisted.web.resource import Resource
from zope.interface.verify import verifyObject

from gatewayd import config
from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.interfaces import IRecipientDirectory
from gatewayd.core.model import Recipient
from gatewayd.directories import Directories, open_directory
from gatewayd.directories.http import HttpRecipientDirectory
from gatewayd.directories.query import bind
from gatewayd.directories.remembered import TIRED_AFTER, Remembered
from gatewayd.directories.rows import recipient_of
from gatewayd.directories.sql import SqlRecipientDirectory
from gatewayd.directories.threads import MOST_STUCK, Threads
from gatewayd.sandbox.players import QUERY, SAMPLES, PlayerDatabase
from intake_world import ANNA, NOW, Players
from redis_server import later, until

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


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        *[(no, False) for no in (None, 0, 0.0, "", " ", "0", "f", "F", "false", "FALSE", "n", "N", "no", "off", False)],
        *[(no, False) for no in (b"\0", b"", b"0", b"f", Decimal(0), memoryview(b"\0"))],
        *[(yes, True) for yes in (1, -1, 2, True, "1", "t", "T", "true", "y", "Y", "yes", "on", "x", "blocked")],
        *[(yes, True) for yes in (b"\1", b"1", b"t", Decimal(1))],
    ],
)
def test_flags(value: object, flag: bool) -> None:
    """Databases say yes and no in many ways; what is not plainly no keeps us from writing."""
    assert recipient_of({"EXCLUDED": value}).excluded is flag


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" a@b.example ", "a@b.example"),
        (None, ""),
        (447700900123, "447700900123"),
        (447700900123.0, "447700900123"),
        (Decimal("447700900123"), "447700900123"),
        (Decimal("NaN"), ""),
        (float("nan"), ""),
        (float("inf"), ""),
        (b"a@b.example", "a@b.example"),
        (bytearray(b"\xff"), "\ufffd"),
        (True, ""),
        (["a@b.example"], ""),
    ],
)
def test_addresses_in_rows(value: object, text: str) -> None:
    """Numbers are their digits; what can't be an address is none."""
    assert recipient_of({"Phone": value}).phone == text


def test_rows_by_name_in_any_case() -> None:
    """Other columns are ignored; printing shows no address."""
    row = {"EMAIL": "a@b.example", "Phone": "+4712345678", "Opted_Out": "t", "vip": 1, "SMS_OPTED_OUT": 0}
    found = recipient_of(row)
    assert found == Recipient(email="a@b.example", phone="+4712345678", opted_out=True)
    assert "a@b" not in repr(found)


@pytest.fixture
def players(tmp_path: Path) -> PlayerDatabase:
    """The sandbox's player database in a file."""
    return PlayerDatabase(tmp_path / "players.db")


def sqlite(players: PlayerDatabase, query: str = QUERY) -> SqlRecipientDirectory:
    """A directory on it."""
    return SqlRecipientDirectory(reactor, "sqlite3", {"database": str(players.path)}, query)


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

    def fetchone(self) -> tuple[str]:
        """Anna."""
        return ("anna@players.example",)

    def close(self) -> None:
        """Nothing to close."""


def flaky(driver: FlakyDriver, monkeypatch: pytest.MonkeyPatch) -> SqlRecipientDirectory:
    """A directory on `driver`, which is importable as a module."""
    import sys
    from types import ModuleType

    module = ModuleType("flaky_driver")
    module.paramstyle, module.connect = "qmark", driver.connect  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flaky_driver", module)
    return SqlRecipientDirectory(reactor, "flaky_driver", {}, "SELECT email WHERE :ext_user_id")


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


class Blocker:
    """Jobs that hold their thread until let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def job(self, context: object) -> str:
        """Blocks."""
        assert self.let_go.wait(30)
        return "done"


class OwnTime:
    """A reactor of which only the timers are another's."""

    def __init__(self, timers: Any) -> None:
        self.callLater = timers.callLater
        self.callFromThread = reactor.callFromThread


def threads(
    size: int, made: list[int] | None = None, gone: list[int] | None = None, timers: Any = reactor
) -> Threads[int]:
    """Threads whose contexts are counted."""
    made = [] if made is None else made
    gone = [] if gone is None else gone

    def make() -> int:
        made.append(len(made))
        return made[-1]

    return Threads(OwnTime(timers), "test", size, make, gone.append)


@pytest_twisted.ensureDeferred
async def test_threads_are_reused_and_bounded() -> None:
    """Many jobs, few threads, each with one context; at the end they all give it back."""
    made: list[int] = []
    gone: list[int] = []
    pool = threads(3, made, gone)
    results = await gatherResults([pool.run(lambda context: context) for _ in range(50)])
    assert set(results) <= {0, 1, 2}
    assert len(made) <= 3
    pool.close()
    await until(lambda: sorted(gone) == sorted(made))
    with pytest.raises(TemporaryFailure):
        pool.run(lambda context: context)


@pytest_twisted.ensureDeferred
async def test_a_thread_may_take_the_last_job_at_any_moment() -> None:
    """Threads look for work by themselves while others are woken: each job is done once, and no thread is lost."""
    made: list[int] = []
    gone: list[int] = []
    pool = threads(4, made, gone)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with capturedLogs() as told:
            for _ in range(150):
                jobs = [pool.run(lambda context: None) for _ in range(12)]
                await later(0.001)
                await gatherResults(jobs)
    finally:
        sys.setswitchinterval(interval)
    pool.close()
    await until(lambda: sorted(gone) == sorted(made))
    assert [event for event in told if "log_failure" in event] == []


def takes_jobs(pool: Threads[int]) -> bool:
    """Whether a thread has come back to a pool that was full of stuck ones."""
    try:
        pool.run(lambda context: None)
    except TemporaryFailure:
        return False
    return True


@pytest_twisted.ensureDeferred
async def test_a_stuck_thread_frees_its_asker_and_its_place() -> None:
    """Cancelling returns at once, and the next job gets a thread though the first is stuck for ever."""
    pool = threads(1)
    blocker = Blocker()
    stuck = pool.run(blocker.job)
    waiting = pool.run(lambda context: "next")
    stuck.cancel()
    with pytest.raises(CancelledError):
        await stuck
    assert await waiting == "next"
    blocker.let_go.set()
    assert await pool.run(lambda context: "still well") == "still well"
    pool.close()


@pytest_twisted.ensureDeferred
async def test_too_many_stuck_threads_fail_at_once() -> None:
    """No thread is made without end for a database that swallows them; when they come back all is well."""
    pool = threads(2)
    blocker = Blocker()
    for _ in range(MOST_STUCK):
        job = pool.run(blocker.job)
        job.addErrback(lambda failure: failure.trap(CancelledError) and None)
        job.cancel()
    with pytest.raises(TemporaryFailure):
        pool.run(blocker.job)
    blocker.let_go.set()
    await until(lambda: takes_jobs(pool))
    assert await pool.run(lambda context: "well") == "well"
    pool.close()


@pytest_twisted.ensureDeferred
async def test_a_crowd_that_gives_up_at_once_gets_no_thread_each() -> None:
    """Look-ups that wait in line are not begun one after the other while a black hole's time runs out for all."""
    pool = threads(2)
    blocker = Blocker()
    begun: list[int] = []
    reasons: list[object] = []

    def job(context: object) -> object:
        begun.append(1)
        return blocker.job(context)

    crowd = [pool.run(job) for _ in range(100)]
    for one in crowd:
        one.addErrback(lambda failure: reasons.append(failure.type))
    for one in crowd:
        one.cancel()
    assert reasons.count(TemporaryFailure) == 100 - MOST_STUCK
    blocker.let_go.set()
    await until(lambda: takes_jobs(pool))
    assert len(begun) == MOST_STUCK
    assert await pool.run(lambda context: "well") == "well"
    pool.close()


@pytest_twisted.ensureDeferred
async def test_a_job_that_waits_can_be_cancelled_and_is_never_run() -> None:
    """It leaves the line."""
    pool = threads(1)
    blocker = Blocker()
    ran: list[int] = []
    first, second = pool.run(blocker.job), pool.run(ran.append)
    second.addErrback(lambda failure: failure.trap(CancelledError) and None)
    second.cancel()
    blocker.let_go.set()
    assert await first == "done"
    assert await pool.run(lambda context: "after") == "after"
    assert not ran
    pool.close()


@pytest_twisted.ensureDeferred
async def test_quick_jobs_of_a_moment_share_a_thread() -> None:
    """To wake one costs more than a quick query does: the others sleep on, while no time goes by."""
    made: list[int] = []
    pool = threads(8, made, timers=Clock())

    def moment() -> list[Deferred[int]]:
        """Three that wait at once, of which the thread has taken the last before it is asked what it brings."""
        all_wait, last_taken = threading.Event(), threading.Event()

        def first(context: int) -> int:
            assert all_wait.wait(30)
            return context

        def last(context: int) -> int:
            last_taken.set()
            return context

        jobs = [pool.run(first), pool.run(lambda context: context), pool.run(last)]
        all_wait.set()
        assert last_taken.wait(30)
        return jobs

    for _ in range(20):
        assert await gatherResults(moment()) == [0, 0, 0]
    assert made == [0]
    pool.close()


@pytest_twisted.ensureDeferred
async def test_slow_jobs_of_a_moment_get_a_thread_each() -> None:
    """None waits for the one before it, where there is a thread for it."""
    pool = threads(3)
    together = threading.Barrier(3)
    assert sorted(await gatherResults([pool.run(lambda context: together.wait(30)) for _ in range(3)])) == [0, 1, 2]
    pool.close()


@pytest_twisted.ensureDeferred
async def test_a_thread_that_is_stuck_holds_up_nobody_who_waits() -> None:
    """What waited for it is done by others, all of it."""
    pool = threads(2)
    blocker = Blocker()
    stuck = pool.run(blocker.job)
    assert await gatherResults([pool.run(lambda context: "done") for _ in range(20)]) == ["done"] * 20
    blocker.let_go.set()
    assert await stuck == "done"
    pool.close()


class Service(Resource):
    """A player service: answers as it is told, and keeps what it was asked."""

    isLeaf = True

    def __init__(self, status: int = 200, body: bytes = b'{"email": "anna@players.example"}') -> None:
        super().__init__()
        self.status, self.body = status, body
        self.asked: list[tuple[bytes, bytes | None]] = []

    def render_GET(self, request: Request) -> bytes:
        """The answer."""
        self.asked.append((request.uri, request.getHeader(b"Authorization")))
        request.setResponseCode(self.status)
        if 300 <= self.status < 400:
            request.setHeader(b"Location", b"/elsewhere")
        return self.body


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (ConnectionDone(), "it hung up before it had answered"),
        (ConnectionLost(), "the connection was lost before it had answered"),
        (ResponseFailed([Failure(ConnectionDone())]), "it hung up before it had answered"),
        (ValueError("anna@players.example"), "its answer is not HTTP (ValueError)"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_an_http_directory_that_does_not_speak_it_is_said_in_words(reason: Exception, words: str) -> None:
    """Hung up, reset, or another protocol on that port: the classes of a library say nothing to an operator."""

    class Client:
        async def get(self, url: object, **options: object) -> None:
            raise ResponseNeverReceived([Failure(reason)])

    directory = HttpRecipientDirectory(
        Clock(), "https://pam.internal/{ext_user_id}", lambda again=False: {}, client=Client()
    )
    with pytest.raises(TemporaryFailure) as caught:
        await directory.find("amazing", "1")
    assert str(caught.value) == f"the directory at pam.internal can't be asked: {words}"


def over_http(
    service: Service, url: str = "https://pam.internal/players/{ext_user_id}", **options: Any
) -> HttpRecipientDirectory:
    """A directory that reaches `service` over memory; its secret was rotated since it was read."""

    def headers(again: bool = False) -> dict[str, str]:
        return {"Authorization": "rotated" if again else "secret"}

    return HttpRecipientDirectory(Clock(), url, headers, client=StubTreq(service), **options)


@pytest_twisted.ensureDeferred
async def test_an_http_directory() -> None:
    """JSON by the columns' names; the secret goes along."""
    service = Service(body=b'{"email": "anna@players.example", "phone": 4712345678, "opted_out": true, "more": {}}')
    directory = over_http(service)
    assert verifyObject(IRecipientDirectory, directory)
    assert await directory.find("amazing", "1001") == Recipient("anna@players.example", "4712345678", opted_out=True)
    assert service.asked == [(b"/players/1001", b"secret")]


@pytest.mark.parametrize(
    ("ext_user_id", "path"),
    [
        ("a b", b"a%20b"),
        ("ü", b"%C3%BC"),
        ("?x=1#y", b"%3Fx%3D1%23y"),
        ("{label}", b"%7Blabel%7D"),
        ("a+b&c", b"a%2Bb%26c"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_ids_are_percent_encoded(ext_user_id: str, path: bytes) -> None:
    """No id can leave its place in the URL, in the path or in the query."""
    service = Service()
    directory = over_http(service, "https://pam.internal/{label}/{ext_user_id}?id={ext_user_id}")
    await directory.find("a/z", ext_user_id)
    assert service.asked[0][0] == b"/a%2Fz/" + path + b"?id=" + path


@pytest.mark.parametrize(
    "ext_user_id",
    [".", "..", "../admin", "a/b", "a\\b", "%2e%2e", "%2e%2e%2fadmin", "%252e%252e%252fadmin", "..%5cadmin", "/"],
)
@pytest_twisted.ensureDeferred
async def test_an_id_that_could_be_another_path_is_nobodys(ext_user_id: str) -> None:
    """It would be one to some server or proxy, however it is encoded; in a query it is but a text."""
    service = Service()
    assert await over_http(service).find("amazing", ext_user_id) is None
    assert not service.asked
    assert await over_http(service, "https://pam.internal/?id={ext_user_id}").find("amazing", ext_user_id) is not None
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<html>"),
        (410, b"gone"),
        (204, b""),
        (200, b""),
        (200, b" null\n"),
        (200, b"[]"),
        (200, b'[{"email": "a@b.example"}, {"email": "c@d.example"}]'),
        (400, b"no such player"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_answers_that_tell_of_no_player(status: int, body: bytes) -> None:
    """They are answers, and no outages; of several players nobody knows which is meant."""
    assert await over_http(Service(status, body), not_found=(400,)).find("amazing", "1") is None


@pytest_twisted.ensureDeferred
async def test_a_list_of_one_is_that_player() -> None:
    """As a search answers."""
    found = await over_http(Service(body=b'[{"email": "anna@players.example"}]')).find("amazing", "1")
    assert found == Recipient("anna@players.example")


@pytest_twisted.ensureDeferred
async def test_columns_may_stand_elsewhere_in_the_answer() -> None:
    """At a path, through lists too; what is not there is not there, and what is not named stays at the top."""
    body = (
        b'{"email": "top@x.example", "phone": "+447700900123", "excluded": true, '
        b'"data": {"id": 7, "contacts": [{"mail": "anna@players.example"}], "blocked": false}}'
    )
    fields = {"email": "data.contacts.0.mail", "id": "data.id", "excluded": "data.blocked", "im": "data.none.there"}
    found = await over_http(Service(body=body), fields=fields).find("amazing", "1")
    assert found == Recipient("anna@players.example", "+447700900123", id="7")


@pytest_twisted.ensureDeferred
async def test_a_rotated_secret_is_read_again_after_a_401() -> None:
    """Once for each look-up; where that does not help either, it is trouble, and says what to look at."""

    class Rotated(Service):
        def render_GET(self, request: Request) -> bytes:
            """Only the new secret will do."""
            self.status = 200 if request.getHeader(b"Authorization") == b"rotated" else 401
            return super().render_GET(request)

    service = Rotated()
    assert await over_http(service).find("amazing", "1") == Recipient("anna@players.example")
    assert [secret for _, secret in service.asked] == [b"secret", b"rotated"]
    service = Service(401)
    with pytest.raises(TemporaryFailure, match=r"pam\.internal answered with status 401: check authorization"):
        await over_http(service).find("amazing", "1")
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>"),
        (200, b"7"),
        (200, b'["anna@players.example"]'),
        (200, b"\xff"),
        (200, b'{"x":' + b"[" * 5000),
        (200, b'{"email": "' + b"x" * 70_000 + b'"}'),
        (301, b'{"email": "a@b.example"}'),
        (302, b'{"email": "a@b.example"}'),
        (403, b"{}"),
        (500, b"{}"),
        (503, b"anna@players.example is locked"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_http_trouble_is_a_temporary_failure(status: int, body: bytes) -> None:
    """Redirects are not followed, bodies are bounded, and what the service said is not repeated."""
    service = Service(status, body)
    with pytest.raises(TemporaryFailure) as caught:
        await over_http(service).find("amazing", "1")
    assert "anna" not in str(caught.value)
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    "url", ["https://{ext_user_id}/", "https://pam/", "https://pam/{ext_user_id}{x}", "https://pam"]
)
def test_wrong_urls(url: str) -> None:
    """No place for the id, a place in the host, an unknown place."""
    with pytest.raises(ValueError, match="url"):
        HttpRecipientDirectory(Clock(), url)


class World:
    """A Remembered on a fake directory and a clock."""

    def __init__(self, cache: float = 30.0, size: int = 100) -> None:
        self.clock = Clock()
        self.clock.advance(NOW)
        self.players = Players()
        self.directory = Remembered(self.clock, "players", self.players, timeout=2.0, cache=cache, size=size)

    def find(self, ext_user_id: str = "hhu234556", label: str = "amazing", fresh: bool = False) -> Deferred[Any]:
        """Begin a look-up."""
        return Deferred.fromCoroutine(self.directory.find(label, ext_user_id, fresh=fresh))


@pytest_twisted.ensureDeferred
async def test_answers_are_remembered_for_a_while() -> None:
    """Known and unknown ids, by label, until the cache's time is over."""
    world = World()
    assert verifyObject(IRecipientDirectory, world.directory)
    for _ in range(3):
        assert await world.find() == ANNA
        assert await world.find("nobody") is None
    assert len(world.players.asked) == 2
    await world.find(label="other")
    assert len(world.players.asked) == 3
    world.clock.advance(30)
    await world.find()
    assert len(world.players.asked) == 4
    world.players.players["nobody"] = ANNA
    assert await world.find("nobody") == ANNA


@pytest_twisted.ensureDeferred
async def test_a_fresh_look_up_sees_an_opt_out_made_since() -> None:
    """It passes the memory by, and corrects it."""
    world = World()
    await world.find()
    world.players.players["hhu234556"] = Recipient(opted_out=True)
    assert await world.find() == ANNA
    assert await world.find(fresh=True) == Recipient(opted_out=True)
    assert await world.find() == Recipient(opted_out=True)
    assert world.players.asked[-1] == ("amazing", "hhu234556", True)


@pytest_twisted.ensureDeferred
async def test_without_a_cache_everything_is_asked() -> None:
    """cache = "0s"."""
    world = World(cache=0)
    for _ in range(3):
        await world.find()
    assert len(world.players.asked) == 3


@pytest_twisted.ensureDeferred
async def test_the_memory_is_bounded() -> None:
    """The oldest answers go first."""
    world = World(size=3)
    for n in (1, 2, 3, 4, 4, 3, 2):
        await world.find(str(n))
    assert [asked[1] for asked in world.players.asked] == ["1", "2", "3", "4"]
    assert len(world.directory._kept) == 3


class Slow(Players):
    """Answers when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[Deferred[Recipient | None]] = []

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """Waits for its gate."""
        self.gates.append(Deferred())
        return await self.gates[-1]


def slow(timeout: float = 2.0) -> tuple[World, Slow]:
    """A world whose directory answers when told to."""
    world, players = World(), Slow()
    world.directory = Remembered(world.clock, "players", players, timeout=timeout, cache=30.0)
    return world, players


@pytest_twisted.ensureDeferred
async def test_one_look_up_serves_all_who_ask_meanwhile() -> None:
    """And one who gives up takes nothing from the others; a fresh one joins nobody."""
    world, players = slow()
    askers = [world.find() for _ in range(5)]
    fresh = world.find(fresh=True)
    assert len(players.gates) == 2
    askers[0].addErrback(lambda failure: failure.trap(CancelledError) and None)
    askers[0].cancel()
    players.gates[0].callback(ANNA)
    for asker in askers[1:]:
        assert await asker == ANNA
    assert not fresh.called
    players.gates[1].callback(None)
    assert await fresh is None


@pytest_twisted.ensureDeferred
async def test_an_older_answer_does_not_overwrite_a_newer_one() -> None:
    """What was asked before an opt-out comes back after it: the memory keeps the opt-out."""
    world, players = slow()
    old, new = world.find(), world.find(fresh=True)
    players.gates[1].callback(Recipient(opted_out=True))
    assert await new == Recipient(opted_out=True)
    players.gates[0].callback(ANNA)
    assert await old == ANNA
    assert await world.find() == Recipient(opted_out=True)


class Stubborn(Players):
    """Never answers, and takes no notice of being cancelled."""

    async def find(self, label: str, ext_user_id: str, *, fresh: bool = False) -> Recipient | None:
        """Waits for ever."""
        while True:
            try:
                await Deferred()
            except CancelledError:
                self.asked.append(("cancelled", ext_user_id, fresh))


@pytest_twisted.ensureDeferred
async def test_a_time_out_frees_all_askers() -> None:
    """TemporaryFailure after the time, even from a directory that goes on when it is cancelled."""
    world = World()
    stubborn = Stubborn()
    world.directory = Remembered(world.clock, "players", stubborn, timeout=2.0, cache=30.0)
    askers = [world.find() for _ in range(3)]
    world.clock.advance(1.9)
    assert not any(asker.called for asker in askers)
    world.clock.advance(0.1)
    for asker in askers:
        with pytest.raises(TemporaryFailure):
            await asker
    assert stubborn.asked == [("cancelled", "hhu234556", False)]


@pytest_twisted.ensureDeferred
async def test_a_failure_goes_to_all_askers_and_is_not_remembered() -> None:
    """The next asker asks anew."""
    world, players = slow()
    askers = [world.find() for _ in range(3)]
    players.gates[0].errback(TemporaryFailure("down"))
    for asker in askers:
        with pytest.raises(TemporaryFailure):
            await asker
    again = world.find()
    players.gates[1].callback(None)
    assert await again is None


@pytest_twisted.ensureDeferred
async def test_a_directory_that_never_answers_is_let_rest() -> None:
    """After some time-outs look-ups fail at once, but for one probe in each time-out; one answer and all is well."""
    world, players = slow()
    for n in range(TIRED_AFTER):
        asker = world.find(str(n))
        world.clock.advance(2)
        with pytest.raises(TemporaryFailure):
            await asker
    probe = world.find("probe")
    assert not probe.called
    for n in range(10):
        with pytest.raises(TemporaryFailure) as caught:
            await world.find(str(n), fresh=bool(n % 2))
        assert caught.value.not_before == world.clock.seconds() + 2
    assert len(players.gates) == TIRED_AFTER + 1
    players.gates[-1].callback(ANNA)
    assert await probe == ANNA
    well = world.find("1")
    players.gates[-1].callback(None)
    assert await well is None


@pytest_twisted.ensureDeferred
async def test_a_consent_that_can_not_be_read_is_told_once() -> None:
    """By the directory's name alone: neither the player nor what stands there."""
    world, players = slow(timeout=2.0)
    with capturedLogs() as told:
        for n in range(3):
            found = world.find(str(n))
            players.gates[-1].callback(Recipient("anna@a.example", id="p-7", consent_is_unreadable=True))
            await found
    assert [formatEvent(event) for event in told] == [
        "directory players: a consented_at can't be read, and lifts no stop; manual 6.1 says what can"
    ]


@pytest_twisted.ensureDeferred
async def test_trouble_is_told_once_and_its_end_too() -> None:
    """One warning with the reason, however many look-ups fail, and one line when it answers again."""
    world = World(cache=0)
    events: list[Any] = []
    globalLogPublisher.addObserver(events.append)
    try:
        for down in (True, False, True):
            world.players.down = down
            for _ in range(5):
                await world.find().addErrback(lambda failure: failure.trap(TemporaryFailure) and None)
    finally:
        globalLogPublisher.removeObserver(events.append)
    assert [event["log_format"].partition("}")[2] for event in events] == [
        " is in trouble: {reason}",
        " answers again",
        " is in trouble: {reason}",
    ]
    assert events[0]["reason"] == "down"
    assert world.directory.trouble == "down"
    world.players.down = False
    await world.find()
    assert world.directory.trouble == ""


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


def test_the_sandbox_players_are_what_they_say(players: PlayerDatabase) -> None:
    """The file is plain SQLite, and numbered players can be many."""
    many = PlayerDatabase(players.path.with_name("many.db"), numbered=250)
    with closing(sqlite3.connect(many.path)) as database, database:
        assert database.execute("SELECT count(*) FROM players").fetchone() == (len(SAMPLES) + 250,)
    database.close()
    assert players.get("1002") is not None
    assert players.get("nobody") is None

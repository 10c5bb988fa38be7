"""A query that hangs is ended from outside, so that its thread comes back soon after the time-out."""

import sqlite3
import sys
import threading
from contextlib import closing
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from gatewayd.core.errors import TemporaryFailure
from gatewayd.core.model import Recipient
from gatewayd.directories import interrupts
from gatewayd.directories.remembered import Remembered, TookTooLong
from gatewayd.directories.sql import SqlRecipientDirectory
from gatewayd.directories.threads import MOST_STUCK, StillAtWork, Threads
from redis_server import later, until

ENDLESS = """WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted)
    SELECT 'anna@players.example' AS email FROM counted WHERE :ext_user_id NOT LIKE 'hangs%' OR n < 0 LIMIT 1"""


def outcome(looking: Deferred[Any]) -> Deferred[object]:
    """The result, or the exception that was raised."""
    return looking.addErrback(lambda failure: failure.value)


@pytest_twisted.ensureDeferred
async def test_as_many_queries_as_can_hang_end_soon_after_the_time_out() -> None:
    """SQLite ends them itself; the directory goes on for everybody, for those who hung too."""
    clock = Clock()
    sql = SqlRecipientDirectory(reactor, "sqlite3", {"database": ":memory:"}, ENDLESS, 2.0)
    directory = Remembered(clock, "players", sql, timeout=2.0, cache=0.0)

    async def finds(user: str) -> bool:
        # One that has kept timing out is asked once in each time-out.
        clock.advance(2)
        try:
            return await directory.find("amazing", user) == Recipient(email="anna@players.example")
        except TemporaryFailure:
            return False

    try:
        hanging = [outcome(Deferred.fromCoroutine(directory.find("amazing", f"hangs {n}"))) for n in range(MOST_STUCK)]
        await later(0.05)
        clock.advance(2)
        assert {type(await one) for one in hanging} == {TookTooLong}
        assert not await finds("well"), "this many should be all that can hang"
        await until(lambda: finds("well"))
        await until(lambda: not directory._under_way)
    finally:
        await directory.close()


class Endable:
    """A context whose job can be ended, in so many tries; whose job was ended, and in which thread, is kept."""

    def __init__(self, tries: int = 1) -> None:
        self.tries = tries
        self.at = ""
        self.ended: list[str] = []
        self.threads: list[threading.Thread] = []
        self.end = threading.Event()

    def job(self, name: str) -> Any:
        """Work that waits to be ended."""

        def work(context: "Endable") -> str:
            self.at = name
            assert self.end.wait(30)
            self.end.clear()
            return name

        return work

    def interrupt(self) -> None:
        """End it."""
        self.ended.append(self.at)
        self.threads.append(threading.current_thread())
        if len(self.ended) >= self.tries:
            self.end.set()


def pool(context: Endable) -> Threads[Endable]:
    """One thread."""
    return Threads(reactor, "test", 1, lambda: context, lambda gone: None, Endable.interrupt)


@pytest_twisted.ensureDeferred
async def test_a_job_is_ended_in_another_thread_until_it_is_back() -> None:
    """What was in vain is done once more, and the reactor never waits for it."""
    context = Endable(tries=2)
    threads = pool(context)
    job = threads.run(context.job("hangs"))
    await until(lambda: context.at == "hangs")
    job.cancel()
    with pytest.raises(StillAtWork) as caught:
        await job
    await caught.value.end
    assert context.ended == ["hangs", "hangs"]
    assert threading.main_thread() not in context.threads
    assert await threads.run(lambda context: "well") == "well"
    threads.close()


@pytest_twisted.ensureDeferred
async def test_nobody_elses_job_is_ended() -> None:
    """A job that was over when its caller gave up has a thread that goes on with the next one."""
    context = Endable()
    threads = pool(context)
    for n in range(200):
        first = threads.run(lambda context: None)
        second = threads.run(lambda context, n=n: n)
        await later(0)
        first.addErrback(lambda failure: failure.trap(CancelledError) and None)
        first.cancel()
        assert await second == n
    assert context.ended == []
    threads.close()


class Codes:
    """A driver whose queries fail by a code, once a connection was used."""

    paramstyle = "qmark"
    description = (("email",),)

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def connect(self) -> "Codes":
        """Its own connection."""
        return self

    def cursor(self) -> "Codes":
        """Its own cursor."""
        return self

    def execute(self, sql: str, arguments: tuple[str]) -> None:
        """Fails for one player."""
        if arguments[0] == "slow":
            self.asked += 1
            raise self.error

    def fetchmany(self, size: int) -> list[tuple[str]]:
        """Anna."""
        return [("anna@players.example",)]

    def close(self) -> None:
        """Nothing to close."""


class DriverError(Exception):
    """As drivers have it."""

    def __init__(self, *args: object, **codes: str) -> None:
        super().__init__(*args)
        self.__dict__.update(codes)


def read_timed_out() -> Exception:
    """What pymysql raises for its read_timeout: only the exception that it met tells it from a lost connection."""
    try:
        try:
            raise TimeoutError("timed out")
        except OSError:
            raise DriverError(2013, "Lost connection to MySQL server during query (timed out)")  # noqa: B904
    except DriverError as error:
        return error


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (DriverError("canceling statement due to statement timeout", sqlstate="57014"), 1),
        (DriverError(3024, "Query execution was interrupted, maximum statement execution time exceeded"), 1),
        (DriverError(1969, "Query execution was interrupted (max_statement_time exceeded)"), 1),
        (DriverError(1317, "Query execution was interrupted"), 1),
        (read_timed_out(), 1),
        (DriverError("HYT00", "[HYT00] [Microsoft][ODBC Driver 18 for SQL Server]Query timeout expired (0)"), 1),
        (DriverError((20003, b"DB-Lib error message 20003, severity 6:\nAdaptive Server connection timed out")), 1),
        (DriverError(type("OraError", (), {"full_code": "DPY-4024", "message": "DPY-4024: call timeout"})()), 1),
        (DriverError(type("OraError", (), {"full_code": "ORA-01013", "message": "ORA-01013: user cancel"})()), 1),
        (DriverError("interrupted", sqlite_errorname="SQLITE_INTERRUPT"), 1),
        (DriverError(2013, "Lost connection to MySQL server during query"), 2),
        (DriverError("terminating connection due to administrator command", sqlstate="57P01"), 2),
        (DriverError(1205, "Transaction was deadlocked"), 2),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_the_database_ended_for_its_time_is_not_asked_again_at_once(
    error: Exception, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would take as long again. What a new connection may mend is asked once more over one."""
    driver = Codes(error)
    monkeypatch.setitem(sys.modules, "codes_driver", driver)  # type: ignore[arg-type]
    sql = SqlRecipientDirectory(reactor, "codes_driver", {}, "SELECT email WHERE :ext_user_id", 2.0)
    try:
        assert await sql.find("amazing", "well") is not None
        failure = await outcome(Deferred.fromCoroutine(sql.find("amazing", "slow")))
        assert type(failure) is (TookTooLong if asked == 1 else TemporaryFailure)
        assert driver.asked == asked
    finally:
        await sql.close()


def test_each_driver_that_is_here_has_what_its_way_calls() -> None:
    """A name that a driver does not have would show only once a query hangs."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for way in interrupts.WAYS["sqlite3"]:
            way(connection, None)
    for driver, name in (("psycopg", "cancel_safe"), ("psycopg", "fileno"), ("oracledb", "cancel")):
        module = pytest.importorskip(driver, reason=f"this machine lacks {driver}: pip install {driver}")
        assert callable(getattr(module.Connection, name))

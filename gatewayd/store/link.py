"""The way to Redis that is kept open, and how long a call may take over it.

Knows what stands before all keys, and no message. What one open connection is, and what Redis' errors mean on it, is in
connection.py; how scripts share a call in calls.py.
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as Overdue
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from gatewayd.core.at_once import all_at_once
from gatewayd.core.errors import StoreUnavailable, StoreUntouched
from gatewayd.core.reaching import known
from gatewayd.core.retry import STORE, Backoff
from gatewayd.store.calls import Ask, Script, ScriptArguments, ScriptCalls, chunks
from gatewayd.store.connection import Lost, NoMaster, NotAsked, RedisConnection, RedisRefused, connected
from gatewayd.store.legend import KEYS
from gatewayd.store.replicas import Replicas
from gatewayd.store.sentinel import Outlook

_NOT_YET = "not connected yet"
PATIENCE = 3.0
"""Seconds that a call may take in all, over reconnects: a caller of the API is answered within 5."""


async def stays() -> Outlook:
    """The outlook where there are no Sentinels to ask."""
    return Outlook.STAYS


class RedisLink(MultiService):
    """Keeps one connection to a master, logged in and on its database.

    Every script must be safe to run twice with the same item: after a lost connection nobody knows whether it ran,
    and it is run again. Raises StoreUnavailable from each call that could not be answered within `PATIENCE`;
    StoreUntouched where it never left, or Redis said no. What is promised to somebody waits for `confirmed` besides:
    `replicas` is how many must have it, on a second connection to the same server, and `outlook` whether that server
    stays the master. `shift` is by how many seconds a
    test pushes the clock that the scripts go by.
    """

    def __init__(
        self,
        clock: Any,
        endpoint: IStreamClientEndpoint,
        *,
        database: int = 0,
        username: str = "",
        password: str = "",
        replicas: int = 0,
        outlook: Callable[[], Awaitable[Outlook]] = stays,
        jitter: Callable[[], float],
        arguments: ScriptArguments | None = None,
        prefix: str = "",
        shift: Callable[[], float] = lambda: 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._clock = clock
        # Opens one connection.
        self._dial = partial(connected, clock, endpoint, username=username, password=password, database=database)
        self._calls = ScriptCalls(clock, self._here, arguments or ScriptArguments(), prefix, shift)
        self._replicas_wanted = replicas
        self._outlook = outlook
        self._replicas: Replicas | None = None
        self._second: RedisConnection | None = None  # for WAIT, which blocks what stands behind it
        self._jitter = jitter
        self._shift = shift
        self._connection: RedisConnection | None = None
        self._waiting: list[Deferred[None]] = []  # calls that wait for a connection
        self._loop: Deferred[None] | None = None
        self._stopping = False
        self._left = ""  # why the connection that is being opened is not to be used
        self.connections = 0  # how many were opened
        self.foreign_at = -math.inf  # when Redis last said of a key of ours that another program wrote it
        self.trouble = _NOT_YET

    log = Logger()

    @property
    def arguments(self) -> ScriptArguments:
        """What every script gets before its items."""
        return self._calls.arguments

    @property
    def prefix(self) -> str:
        """What stands before all keys, those of the scripts, too."""
        return self._calls.prefix

    def key(self, name: str, rest: str = "") -> str:
        """A key by the legend's name of its family."""
        return self._calls.prefix + KEYS[name].short + rest

    @property
    def up(self) -> bool:
        """Whether commands can be sent at this moment."""
        return self._connection is not None

    def startService(self) -> None:
        """Begin to connect, and to connect again whenever the connection is lost."""
        super().startService()  # type: ignore[no-untyped-call]
        self._stopping = False
        self._loop = Deferred.fromCoroutine(self._keep())
        self._loop.addErrback(lambda failure: failure.trap(CancelledError))
        self._loop.addErrback(
            lambda failure: self.log.failure(
                "a bug: Redis is not connected to again until gatewayd is started again", failure
            )
        )

    def stopService(self) -> Deferred[None]:
        """Close the connection; calls that wait fail with StoreUnavailable."""
        stopping = super().stopService()  # type: ignore[no-untyped-call]
        self._stopping = True
        self._wake()
        if self._connection is not None:
            self._connection.close()
        loop = self._loop
        if loop is not None:
            loop.cancel()
            stopping.addCallback(lambda _: loop)
        done: Deferred[None] = stopping
        return done

    def missing_replicas(self) -> str:
        """Which replicas are known to be missing, so that nothing can be promised now; empty where none are."""
        return self._replicas.missing if self._replicas is not None else ""

    def check_replicas(self) -> None:
        """Raise ReplicasMissing where replicas are known to be missing: nothing can be promised now."""
        if self._replicas is not None:
            self._replicas.check()

    async def confirmed(self) -> None:
        """Return once the replicas have all that was answered so far. Raises NotReplicated where they don't.

        Called in the turn of the reactor in which the answer came: the next connection may be to another server.
        """
        if self._replicas is not None:
            await self._replicas.confirmed()
        elif self._replicas_wanted:
            raise StoreUnavailable(self.trouble)

    async def run(self, script: Script, item: Sequence[Any], *, connection: int = 0) -> Any:
        """The reply of `script` for one item; items asked for in the same turn of the reactor share one call.

        With `connection` (one of `connections`) over that one only: the next one may lead to another server.
        """
        return await self._patiently(lambda: self._calls.join(script, item), connection)

    async def run_all(self, script: Script, items: Sequence[Sequence[Any]]) -> list[Any]:
        """The replies of `script` for many items of one asker, in order: as few calls as their bytes allow."""
        replies: list[Any] = []
        for packed in chunks(items):
            call = (script, packed)
            replies += await self._patiently(lambda call=call: self._calls.evaluate([call])[0])  # type: ignore[misc]
        return replies

    async def command(self, *words: str | bytes | int | float) -> Any:
        """The reply to one plain command; bytes stay bytes."""
        return await self._patiently(lambda: self._ask(self._connection, [words])[0])

    async def time(self) -> tuple[int, int]:
        """The present moment by the clock that the scripts go by: seconds and microseconds."""
        seconds, microseconds = await self.command("TIME")
        whole = int(seconds) * 1_000_000 + int(microseconds) + int(self._shift() * 1_000_000)
        return whole // 1_000_000, whole % 1_000_000

    async def _patiently(self, ask: Callable[[], Deferred[Any]], only: int = 0) -> Any:
        deadline, late = self._clock.seconds() + PATIENCE, False
        # Until it was asked once, nothing can have been done.
        trouble: type[StoreUnavailable] = StoreUntouched
        while True:
            if only and (self._connection is None or self.connections != only):
                raise trouble(self.trouble if self._connection is None else "the connection to Redis was lost")
            if self._connection is None:
                try:
                    await self._connected(deadline - self._clock.seconds())
                except StoreUnavailable as error:
                    raise trouble(str(error)) from None
                late = True
            try:
                asked = ask()
                if late:
                    # Else the connection's own limit ends it in time, without a timer for each call.
                    asked.addTimeout(max(deadline - self._clock.seconds(), 0.0), self._clock)
                return await asked
            except Overdue:
                raise StoreUnavailable("Redis did not answer") from None
            except NotAsked as error:
                raise trouble(str(error)) from None
            except Lost as error:
                if self._clock.seconds() >= deadline:
                    raise StoreUnavailable(str(error)) from None
                # The transport may not have told us yet that it is gone.
                self._connection = None
                trouble = StoreUnavailable
            except RedisRefused as error:
                refused = error.refusal
                if not refused.untouched:
                    trouble = StoreUnavailable
                if not refused.elsewhere or self._clock.seconds() >= deadline:
                    raise trouble(f"Redis says {refused.reason}") from None

    def _here(self) -> Ask:
        return partial(self._ask, self._connection)

    def _ask(self, connection: RedisConnection | None, commands: Sequence[Sequence[Any]]) -> list[Deferred[Any]]:
        """As RedisConnection.ask. Raises Lost where there is none."""
        if connection is None:
            raise Lost("not connected")
        return [asked.addErrback(self._refused, connection) for asked in connection.ask(commands)]

    def _refused(self, failure: Failure, connection: RedisConnection) -> Failure:
        error = failure.value
        if isinstance(error, RedisRefused):
            if error.refusal.elsewhere:
                self._leave(connection, f"it says {error.refusal.reason}")
            if error.refusal.foreign:
                self.foreign_at = self._clock.seconds()
        return failure

    def leave(self, reason: str) -> None:
        """Connect anew: behind the same name, or by the Sentinels' word, there may be another server by now."""
        if self._connection is None:
            # The old master takes itself for one for up to 10 s more, and what it is told then is lost.
            self._left = reason
        self._leave(self._connection, reason)

    def _leave(self, connection: RedisConnection | None, reason: str) -> None:
        if connection is not None and connection is self._connection:
            self._connection = None
            self.log.warn("connecting to Redis anew: {reason}", reason=reason)
            connection.abort()

    def _connected(self, seconds: float) -> Deferred[None]:
        if seconds <= 0 or self._stopping:
            raise StoreUnavailable(self.trouble)
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        waiter.addTimeout(seconds, self._clock, onTimeoutCancel=self._give_up(waiter))
        return waiter

    def _give_up(self, waiter: Deferred[None]) -> Callable[[Any, float], Any]:
        def timed_out(result: Any, _seconds: float) -> Any:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            # Whoever waited while the first attempt was under way has seen how that goes.
            raise StoreUnavailable("no answer in time" if self.trouble is _NOT_YET else self.trouble)

        return timed_out

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if self._stopping:
                waiter.errback(StoreUnavailable("stopping"))
            else:
                waiter.callback(None)

    async def _keep(self) -> None:
        backoff = Backoff(STORE, self._jitter)
        said: set[str] = set()  # why it can't be reached, each once for as long as it can't
        while not self._stopping:
            try:
                connection = await self._open()
            except CancelledError:
                raise
            except (Exception, ConnectingCancelledError) as error:
                reason = _reason(error)
                if reason not in said:
                    said.add(reason)
                    self.log.warn("Redis cannot be reached: {reason}", reason=reason)
                self.trouble = f"Redis cannot be reached: {reason}"
            else:
                backoff.worked()
                said.clear()
                self._connection = connection
                self.connections += 1
                self.log.info("Redis is connected")
                self._wake()
                await connection.gone
                self._connection = None
                self._forget_replicas()
                self.trouble = "the connection to Redis was lost"
                if self.running:
                    self.log.warn("the connection to Redis was lost")
            if not self.running:
                return
            now = self._clock.seconds()
            await deferLater(self._clock, max(backoff.failed(now) - now, 0.05))

    async def _open(self) -> RedisConnection:
        self._left = ""
        connection = await self._dial()
        try:
            if self._replicas_wanted:
                await self._open_second(connection)
            if self._left:
                raise NoMaster(self._left)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _open_second(self, first: RedisConnection) -> None:
        """The connection for WAIT: to the same server, or what it says of the replicas says nothing of ours."""
        second = await self._dial()
        try:
            if await first.run_id() != await second.run_id():
                raise NoMaster("two connections lead to two servers: a failover, perhaps")
        except BaseException:
            second.abort()
            raise

        async def ask(*commands: Sequence[Any]) -> list[Any]:
            return await all_at_once(self._ask(second, commands))

        self._replicas = Replicas(self._clock, self._replicas_wanted, ask, self.key("waited"), self._outlook)
        self._second = second
        second.gone.addCallback(lambda _: self._leave(first, "the connection that asks for the replicas was lost"))

    def _forget_replicas(self) -> None:
        if self._replicas is not None and self._second is not None:
            self._replicas.lost()
            self._second.abort()
            self._replicas = self._second = None


def _reason(error: BaseException) -> str:
    words = known(error) or str(error).splitlines()[0] if str(error) else type(error).__name__
    return words.rstrip(".")

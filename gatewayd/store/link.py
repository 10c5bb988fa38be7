"""The way to Redis that is kept open, and scripts that go out in one call for each turn of the reactor.

Knows no key and no message. Measured in notes: batching a script costs less than half of a call for each request.
What one open connection is, and what Redis' errors mean on it, is in connection.py.
"""

import hashlib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import msgpack
from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.defer import TimeoutError as Overdue
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger

from gatewayd.core.errors import StoreUnavailable, StoreUntouched
from gatewayd.core.retry import STORE, Backoff
from gatewayd.store.connection import Failed, Lost, NoMaster, RedisConnection, RedisRefused, connected
from gatewayd.store.legend import KEYS
from gatewayd.store.replicas import Replicas

PATIENCE = 3.0
"""Seconds that a call may take in all, over reconnects: a caller of the API is answered within 5."""

CHUNK = 200
CHUNK_BYTES = 1_000_000
"""Most items, and bytes of them, in one call: Redis does nothing else meanwhile."""


class Script:
    """A Lua script: its source and the hash that Redis knows it by."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source.encode()
        self.sha = hashlib.sha1(self.source).hexdigest()

    def __repr__(self) -> str:
        return f"<Script {self.name}>"


class RedisLink(MultiService):
    """Keeps one connection to a master, logged in and on its database; pipelines commands; batches scripts.

    Every script must be safe to run twice with the same item: after a lost connection nobody knows whether it ran,
    and it is run again. Raises StoreUnavailable from each call that could not be answered within `PATIENCE`;
    StoreUntouched where it never left, or Redis said no. What is promised to somebody waits for `confirmed` besides:
    `replicas` is how many must have it, on a second connection to the same server. `shift` is by how many seconds a
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
        jitter: Callable[[], float],
        arguments: Sequence[str] = (),
        prefix: str = "",
        shift: Callable[[], float] = lambda: 0.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._clock = clock
        self._endpoint = endpoint
        self._replicas_wanted = replicas
        self._replicas: Replicas | None = None
        self._second: RedisConnection | None = None
        self._database = database
        self._username = username
        self._password = password
        self._jitter = jitter
        self._prefix = prefix
        self._shift = shift
        self._arguments = tuple(arguments)
        self._connection: RedisConnection | None = None
        self._waiting: list[Deferred[None]] = []
        self._pending: dict[Script, _Calls] = {}
        self._flush_due = False
        self._loop: Deferred[None] | None = None
        self._stopping = False
        self.connections = 0
        self.trouble = "not connected yet"

    log = Logger()

    @property
    def arguments(self) -> tuple[str, ...]:
        """What every script gets behind its items."""
        return self._arguments

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

    def check_replicas(self) -> None:
        """Raise StoreUntouched where replicas are known to be missing: nothing can be promised now."""
        if self._replicas is not None:
            self._replicas.check()

    async def confirmed(self) -> None:
        """Return once the replicas have all that was answered so far. Raises StoreUnavailable where they don't.

        Called in the turn of the reactor in which the answer came: the next connection may be to another server.
        """
        if self._replicas is not None:
            await self._replicas.confirmed()
        elif self._replicas_wanted:
            raise StoreUnavailable(self.trouble)

    async def run(self, script: Script, item: Sequence[Any]) -> Any:
        """The reply of `script` for one item; items asked for in the same turn of the reactor share one call."""
        return await self._patiently(lambda: self._join(script, item))

    async def run_all(self, script: Script, items: Sequence[Sequence[Any]]) -> list[Any]:
        """The replies of `script` for many items of one asker, in order: as few calls as their bytes allow."""
        replies: list[Any] = []
        for part in _chunks([(msgspec.Raw(msgpack.encode(item)), None) for item in items]):
            packed = [item for item, _ in part]

            def ask(packed: list[msgspec.Raw] = packed) -> Deferred[Any]:
                return Deferred.fromCoroutine(self._evaluate(script, packed))

            replies += await self._patiently(ask)
        return replies

    async def command(self, *words: str | bytes | int | float) -> Any:
        """The reply to one plain command; bytes stay bytes."""
        return await self._patiently(lambda: Deferred.fromCoroutine(self._execute(self._connection, *words)))

    async def time(self) -> tuple[int, int]:
        """The present moment by the clock that the scripts go by: seconds and microseconds."""
        seconds, microseconds = await self.command("TIME")
        whole = int(seconds) * 1_000_000 + int(microseconds) + int(self._shift() * 1_000_000)
        return whole // 1_000_000, whole % 1_000_000

    async def _patiently(self, ask: Callable[[], Deferred[Any]]) -> Any:
        deadline, late = self._clock.seconds() + PATIENCE, False
        # Until it was asked once, nothing can have been done.
        trouble: type[StoreUnavailable] = StoreUntouched
        while True:
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

    async def _execute(self, connection: RedisConnection | None, *words: object) -> Any:
        """As RedisConnection.execute. Raises Lost where there is none."""
        if connection is None:
            raise Lost("not connected")
        try:
            return await connection.execute(*words)
        except RedisRefused as error:
            if error.refusal.elsewhere:
                self._leave(connection, f"it says {error.refusal.reason}")
            raise

    def leave(self, reason: str) -> None:
        """Connect anew: behind the same name, or by the Sentinels' word, there may be another server by now."""
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
            raise StoreUnavailable(self.trouble)

        return timed_out

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if self._stopping:
                waiter.errback(StoreUnavailable("stopping"))
            else:
                waiter.callback(None)

    def _join(self, script: Script, item: Sequence[Any]) -> Deferred[Any]:
        reply: Deferred[Any] = Deferred()
        self._pending.setdefault(script, []).append((msgspec.Raw(msgpack.encode(item)), reply))
        if not self._flush_due:
            self._flush_due = True
            self._clock.callLater(0, self._flush)
        return reply

    def _flush(self) -> None:
        self._flush_due = False
        pending, self._pending = self._pending, {}
        for script, calls in pending.items():
            for part in _chunks(calls):
                sending = Deferred.fromCoroutine(self._send(script, part))
                sending.addErrback(self._fail, part)

    def _fail(self, failure: Any, part: "_Calls") -> None:
        for _, reply in part:
            reply.errback(failure)

    async def _send(self, script: Script, part: "_Calls") -> None:
        replies = await self._evaluate(script, [item for item, _ in part])
        for (_, reply), value in zip(part, replies, strict=True):
            reply.callback(value)

    async def _evaluate(self, script: Script, packed: list[msgspec.Raw]) -> list[Any]:
        connection = self._connection
        rest = (1, self._prefix, int(self._shift() * 1000), msgpack.encode(packed), *self._arguments)
        try:
            replies: list[Any] = await self._execute(connection, "EVALSHA", script.sha, *rest)
        except Failed as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            replies = await self._execute(connection, "EVAL", script.source, *rest)
        return replies

    async def _keep(self) -> None:
        backoff = Backoff(STORE, self._jitter)
        while not self._stopping:
            try:
                connection = await self._open()
            except CancelledError:
                raise
            except (Exception, ConnectingCancelledError) as error:
                if not backoff.failures:
                    self.log.warn("Redis cannot be reached: {reason}", reason=_reason(error))
                self.trouble = f"Redis cannot be reached: {_reason(error)}"
            else:
                backoff.worked()
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
        connection = await self._dial()
        if self._replicas_wanted:
            try:
                await self._open_second(connection)
            except BaseException:
                connection.abort()
                raise
        return connection

    def _dial(self) -> Coroutine[Any, Any, RedisConnection]:
        return connected(
            self._clock, self._endpoint, username=self._username, password=self._password, database=self._database
        )

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
            asked = [Deferred.fromCoroutine(self._execute(second, *words)) for words in commands]
            replies: list[Any] = await gatherResults(asked, consumeErrors=True)
            return replies

        self._replicas = Replicas(self._clock, self._replicas_wanted, ask, self._prefix + KEYS["waited"].short)
        self._second = second
        second.gone.addCallback(lambda _: self._leave(first, "the connection that asks for the replicas was lost"))

    def _forget_replicas(self) -> None:
        if self._replicas is not None and self._second is not None:
            self._replicas.lost()
            self._second.abort()
            self._replicas = self._second = None


_For = TypeVar("_For")
_Calls = list[tuple[msgspec.Raw, Deferred[Any]]]
"""Items as they go out, and whom their replies are for."""


def _chunks(calls: "list[tuple[msgspec.Raw, _For]]") -> "Iterator[list[tuple[msgspec.Raw, _For]]]":
    part: list[tuple[msgspec.Raw, _For]] = []
    size = 0
    for call in calls:
        weight = len(memoryview(call[0]))
        if part and (len(part) >= CHUNK or size + weight > CHUNK_BYTES):
            yield part
            part, size = [], 0
        part.append(call)
        size += weight
    if part:
        yield part


def _reason(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__

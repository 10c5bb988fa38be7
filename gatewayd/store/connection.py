"""One open connection to a Redis that is a master: logged in, on its database; its replies, and what its errors mean.

The only importer of txredisapi, which has no types: what leaves this module is typed. `convertNumbers` must be off,
because it turns "000024" into 24.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import hiredis
import txredisapi
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from gatewayd.core import tls
from gatewayd.http.eager import write_now
from gatewayd.store.refusals import Refusal, refusal

REPLY_TIMEOUT = 3.0
"""Seconds that one reply, and one connection, may take."""

Lost: type[Exception] = txredisapi.ConnectionError
"""The connection ended, or a reply did not come: nobody knows whether the command was done."""

ErrorReply: type[Exception] = txredisapi.ResponseError
"""Redis says that the command is wrong."""


class RedisRefused(Exception):
    """Redis did not do it now."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class NotAsked(Exception):
    """Nothing of what was to be asked went out; the text says why."""


class NoMaster(Exception):
    """What answers is no master, or not the one that we look for."""


class RedisConnection:
    """An open one. `gone` fires when it is not open any more."""

    def __init__(self, protocol: Any, gone: Deferred[None]) -> None:
        self._protocol = protocol
        self.gone = gone

    def ask(self, commands: Sequence[Sequence[Any]]) -> list[Deferred[Any]]:
        """The replies to these commands, which go out in one write; bytes stay bytes.

        They err with RedisRefused, Lost or ErrorReply. Raises Lost where the connection is gone, and NotAsked.
        """
        return [asked.addErrback(_in_our_words) for asked in self._protocol.ask(commands)]

    async def run_id(self) -> bytes:
        """The server's own name for this run of it."""
        about: bytes = await self._protocol.execute_command("INFO", "server")
        return about.partition(b"run_id:")[2].partition(b"\r")[0]

    def close(self) -> None:
        """Once what was written is on its way."""
        self._protocol.transport.loseConnection()

    def abort(self) -> None:
        """At once."""
        self._protocol.transport.abortConnection()


async def connected(
    clock: Any, endpoint: IStreamClientEndpoint, *, username: str, password: str, database: int
) -> RedisConnection:
    """A connection that is ready for commands. Raises what the endpoint raises, NoMaster, Lost or ErrorReply."""
    gone: Deferred[None] = Deferred()
    connecting = endpoint.connect(_Connections(clock, gone))
    connecting.addTimeout(REPLY_TIMEOUT, clock)
    protocol: Any = await connecting
    try:
        if password:
            login = (username, password) if username else (password,)
            await protocol.execute_command("AUTH", *login)
        if database:
            await protocol.execute_command("SELECT", database)
        # Redis that still reads its append-only file answers LOADING: not up yet.
        await protocol.execute_command("PING")
        if await _is_replica(protocol):
            raise NoMaster("a replica answers, which takes no writes")
    except BaseException:
        protocol.transport.abortConnection()
        raise
    return RedisConnection(protocol, gone)


async def _is_replica(protocol: Any) -> bool:
    try:
        role: Sequence[bytes] = await protocol.execute_command("ROLE")
    except txredisapi.ResponseError:
        # This user may not ask, or a service hides it: then a write says so.
        return False
    return role[0] != b"master"


def _packed(commands: Sequence[Sequence[Any]]) -> bytes:
    try:
        return b"".join([hiredis.pack_command(tuple(words)) for words in commands])
    except (MemoryError, RuntimeError):
        # hiredis has no other word for it.
        raise NotAsked("this process has no memory left to ask Redis") from None


def _in_our_words(failure: Failure) -> Failure:
    found = refusal(str(failure.value)) if failure.check(ErrorReply) else None
    return failure if found is None else Failure(RedisRefused(found))


class _Protocol(txredisapi.RedisProtocol):  # type: ignore[misc]
    """A Deferred for each command and one timer for all: txredisapi has two and a timer for each, and a write."""

    transport: Any

    def __init__(self, clock: Any, gone: Deferred[None]) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self._clock = clock
        self._gone = gone
        self._asked: deque[tuple[float, Deferred[Any]]] = deque()  # since when, and who waits: in the order of writing
        self._timer: IDelayedCall | None = None

    def execute_command(self, *words: object) -> Deferred[Any]:
        """As txredisapi's, which asks by it when it logs in."""
        return self.ask([words])[0]

    def ask(self, commands: Sequence[Sequence[Any]]) -> list[Deferred[Any]]:
        """The replies to these commands, which go out in one write. Raises Lost and NotAsked."""
        if not self.connected:
            raise Lost("not connected")
        # Before anybody waits: to what can't be packed no reply comes, and the next one's would be taken for it.
        octets = _packed(commands)
        now = self._clock.seconds()
        asked: list[Deferred[Any]] = [Deferred() for _ in commands]
        self._asked.extend((now, one) for one in asked)
        if self._timer is None:
            self._timer = self._clock.callLater(REPLY_TIMEOUT, self._look)
        try:
            write_now(self.transport, octets)
        except MemoryError:
            # Nobody knows how much of it is out: whoever waits hears that the connection is lost.
            self.transport.abortConnection()
        return asked

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Nothing in a reply is looked at."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                self.replyReceived(reply)
        except txredisapi.InvalidData:
            self._fail(Lost, "what answers there does not speak Redis' protocol: is it the right port?")
            self.transport.abortConnection()

    def replyReceived(self, reply: Any) -> None:
        """For who has waited longest, unless they gave up."""
        if self._asked:
            _, one = self._asked.popleft()
            if one.called:
                return
            if isinstance(reply, Exception):
                one.errback(reply)
            else:
                one.callback(reply)

    def connectionLost(self, why: Any) -> None:
        super().connectionLost(why)
        if self._timer is not None:
            self._timer.cancel()
        self._fail(Lost, tls.fault(why.value) or "the connection was lost")
        self._gone.callback(None)

    def _look(self) -> None:
        """The timer rings for the first that was asked; it is answered by now, and cheaper left than moved."""
        self._timer = None
        if not self._asked:
            return
        left = self._asked[0][0] + REPLY_TIMEOUT - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._look)
        else:
            self._fail(txredisapi.TimeoutError, f"no answer in {REPLY_TIMEOUT:g} s")
            self.transport.abortConnection()

    def _fail(self, kind: type[Exception], why: str) -> None:
        while self._asked:
            self.replyReceived(kind(why))


class _Connections(Factory):
    noisy = False

    def __init__(self, clock: Any, gone: Deferred[None]) -> None:
        self._clock = clock
        self._gone = gone

    def buildProtocol(self, addr: object) -> Any:
        protocol = _Protocol(self._clock, self._gone)
        protocol.factory = self
        return protocol

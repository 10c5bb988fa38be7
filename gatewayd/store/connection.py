"""One open connection to a Redis that is a master: logged in, on its database; its replies, and what its errors mean.

The only importer of txredisapi, which has no types: what leaves this module is typed. `convertNumbers` must be off,
because it turns "000024" into 24.
"""

from collections.abc import Sequence
from typing import Any

import hiredis
import txredisapi
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from gatewayd.store.refusals import Refusal, refusal

REPLY_TIMEOUT = 3.0
"""Seconds that one reply, and one connection, may take."""

Lost: type[Exception] = txredisapi.ConnectionError
"""The connection ended, or a reply did not come: nobody knows whether the command was done."""

Failed: type[Exception] = txredisapi.ResponseError
"""Redis says that the command is wrong."""


class RedisRefused(Exception):
    """Redis did not do it now."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class NoMaster(Exception):
    """What answers is no master, or not the one that we look for."""


class RedisConnection:
    """An open one. `gone` fires when it is not open any more."""

    def __init__(self, protocol: Any, gone: Deferred[None]) -> None:
        self._protocol = protocol
        self.gone = gone

    async def execute(self, *words: object) -> Any:
        """The reply to one command; bytes stay bytes. Raises RedisRefused, Lost or Failed."""
        try:
            return await self._protocol.execute_command(*words)
        except txredisapi.ResponseError as error:
            found = refusal(str(error))
            if found is None:
                raise
            raise RedisRefused(found) from None

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
    """A connection that is ready for commands. Raises what the endpoint raises, NoMaster, Lost or Failed."""
    gone: Deferred[None] = Deferred()
    connecting = endpoint.connect(_Connections(gone))
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


class _Protocol(txredisapi.RedisProtocol):  # type: ignore[misc]
    def _build_command(self, *words: Any, **_: Any) -> Any:
        return hiredis.pack_command(words)

    def tryConvertData(self, data: Any) -> Any:
        """Bytes stay bytes: nothing in a reply is looked at."""
        return data

    def connectionLost(self, why: Any) -> None:
        super().connectionLost(why)
        self.factory.gone.callback(None)


class _Connections(Factory):
    noisy = False

    def __init__(self, gone: Deferred[None]) -> None:
        self.gone = gone

    def buildProtocol(self, addr: object) -> Any:
        protocol = _Protocol(charset=None, convertNumbers=False, replyTimeout=REPLY_TIMEOUT)
        protocol.factory = self
        return protocol

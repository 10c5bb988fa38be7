"""A real Redis, asked one call at a time, as a link that the model's scheduler can hold up, cut and run again.

The scripts run as they are, but for the server's clock: `call('TIME')` reads the model's.
"""

import random
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hiredis
from outside_redis import Redis
from twisted.internet.defer import Deferred

from gatewayd.core.errors import StoreUnavailable, StoreUntouched
from gatewayd.store.calls import Script, ScriptArguments, packed
from gatewayd.store.legend import KEYS
from gatewayd.store.refusals import refusal

CLOCK = "the-model's-clock"
RUN = "the-model's-run"
_COPY = """
for _, key in ipairs(redis.call('KEYS', '*')) do redis.call('COPY', key, key, 'DB', 1) end
"""
_INFO = "'run_id:' .. redis.call('GET', '" + RUN.replace("'", "\\'") + "')"
_TIME = (
    "local function SERVER_TIME() local at = redis.call('GET', '" + CLOCK.replace("'", "\\'") + "') "
    "return {string.format('%d', at / 1000), string.format('%d', at % 1000 * 1000)} end\n"
)
PATIENCE = 3.0
"""As store.link: seconds of our own clock in which a call that was cut is made again."""


class Server:
    """The Redis process and one blocking connection to it."""

    def __init__(self, directory: Path) -> None:
        self._redis = Redis(directory)
        self._redis.start("--appendonly", "no")
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(self._redis.socket))
        self._reader = hiredis.Reader()
        self._loaded: dict[Script, bytes] = {}
        self.is_full = False
        self.is_run = 1

    def tell_time(self, moment: float) -> None:
        """Its clock shows this, in seconds."""
        self._ask_whether_full_or_not("MSET", CLOCK, repr(round(moment * 1000, 3)), RUN, str(self.is_run))

    def fill(self, to_the_brim: bool) -> None:
        """From now on there is no memory for anything new; or there is."""
        if to_the_brim != self.is_full:
            self.ask("CONFIG", "SET", "maxmemory", "1" if to_the_brim else "0")
        self.is_full = to_the_brim

    def back_up(self) -> None:
        """Remember all that it keeps now, and nothing older."""
        self.ask("SELECT", 1)
        self.ask("FLUSHDB")
        self.ask("SELECT", 0)
        self._ask_whether_full_or_not("EVAL", _COPY, 0)

    def restore(self) -> None:
        """Keep what was remembered, and nothing of what came since: as another server."""
        self.ask("SWAPDB", 0, 1)
        self.is_run += 1

    def _ask_whether_full_or_not(self, *words: Any) -> None:
        was_full = self.is_full
        self.fill(False)
        self.ask(*words)
        self.fill(was_full)

    def changes(self) -> int:
        """How many it has made to what it keeps."""
        return int(self.ask("INFO", "persistence").partition(b"rdb_changes_since_last_save:")[2].split()[0])

    def stop(self) -> None:
        """End it."""
        self._socket.close()
        self._redis.stop()

    def ask(self, *words: Any) -> Any:
        """One command's reply; its error is raised."""
        self._socket.sendall(hiredis.pack_command(words))
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(1 << 20))
        if isinstance(reply, Exception):
            raise reply
        return reply

    def run(self, script: Script, prefix: str, item: Sequence[Any], arguments: ScriptArguments) -> Any:
        """What a script replies to one item."""
        rest = (1, prefix, 0, *arguments, packed(item))
        if script not in self._loaded:
            source = script.source.decode().replace("redis.pcall('INFO', 'server')", _INFO)
            source = _TIME + source.replace("call('TIME')", "SERVER_TIME()")
            self._loaded[script] = self.ask("SCRIPT", "LOAD", source)
        return self.ask("EVALSHA", self._loaded[script], *rest)[0]


@dataclass
class Call:
    """One call of an instance: what Redis is to do, and who waits for the reply."""

    what: str
    do: Callable[[], Any]
    answer: Deferred[Any]
    asked_at: float
    sent_at: float = 0.0
    item: str = ""
    only: int = 0  # the connection that it may go over, 0 for any
    reply: Any = None
    lost: bool = False

    def run(self) -> None:
        """Let Redis do it: its reply, or why it refused."""
        try:
            self.reply = self.do()
        except hiredis.ReplyError as error:
            refused = refusal(str(error))
            if refused is None:
                raise
            self.reply = StoreUntouched(refused.reason) if refused.untouched else StoreUnavailable(refused.reason)


@dataclass
class Link:
    """What a RedisStore sees of its RedisLink, with the calls on their way there and the replies on their way back."""

    server: Server
    clock: Any
    prefix: str
    arguments: ScriptArguments
    up: bool = True
    trouble: str = "the model has cut it"
    connections: int = 1
    beaten_at: float = 0.0  # when its latest heartbeat was asked for that was answered
    outgoing: deque[Call] = field(default_factory=deque)
    incoming: deque[Call] = field(default_factory=deque)

    def key(self, name: str, rest: str = "") -> str:
        """See RedisLink."""
        return self.prefix + KEYS[name].short + rest

    async def run(self, script: Script, item: Sequence[Any], *, connection: int = 0) -> Any:
        """As RedisLink."""
        item = list(item)
        return await self._call(
            script.name, lambda: self.server.run(script, self.prefix, item, self.arguments), str(item), connection
        )

    async def command(self, *words: Any) -> Any:
        """As RedisLink."""
        return await self._call(str(words[0]), lambda: self.server.ask(*words))

    async def time(self) -> tuple[int, int]:
        """As RedisLink."""
        at = float(await self._call("TIME", lambda: self.server.ask("GET", CLOCK)))
        return int(at // 1000), int(at % 1000) * 1000

    def missing_replicas(self) -> str:
        """There are none."""
        return ""

    def check_replicas(self) -> None:
        """There are none."""

    async def confirmed(self) -> None:
        """There are none."""

    def _call(self, what: str, do: Callable[[], Any], item: str = "", only: int = 0) -> Deferred[Any]:
        now = self.clock.seconds()
        call = Call(what, do, Deferred(), now, now, item, only)
        self.outgoing.append(call)
        return call.answer

    def execute(self) -> Call:
        """Let Redis do the next call; its reply is on its way."""
        call = self.outgoing.popleft()
        call.run()
        self.incoming.append(call)
        return call

    def answer(self) -> None:
        """Bring the next reply."""
        call = self.incoming.popleft()
        if call.answer.called:
            return
        if call.what == "beat" and not isinstance(call.reply, StoreUnavailable):
            self.beaten_at = call.sent_at
        if isinstance(call.reply, StoreUnavailable):
            call.answer.errback(call.reply)
        else:
            call.answer.callback(call.reply)

    def cut(self, chance: random.Random) -> list[Call]:
        """Lose the connection: replies are lost, and what was sent may still be done. The calls that Redis has yet.

        As RedisLink does, each call is made again on the next connection while its patience lasts.
        """
        waiting = [*self.incoming, *self.outgoing]
        there = [call for call in self.outgoing if chance.random() < 0.5]
        self.incoming.clear()
        self.outgoing.clear()
        self.connections += 1
        now = self.clock.seconds()
        for call in waiting:
            if call.answer.called:
                continue
            if not call.only and now - call.asked_at < PATIENCE and chance.random() < 0.7:
                self.outgoing.append(Call(call.what, call.do, call.answer, call.asked_at, now, call.item))
            else:
                call.answer.errback(StoreUnavailable("the connection to Redis was lost"))
        return there

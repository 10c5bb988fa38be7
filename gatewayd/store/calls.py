"""Scripts that are asked for in one turn of the reactor go out in one call; a long list goes out in several.

Knows no key, no message and no connection. Measured: batching a script costs less than half of a call for each request.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec import msgpack
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gatewayd.store.connection import ErrorReply

CHUNK = 200
CHUNK_BYTES = 1_000_000
"""Most items, and bytes of them, in one call: Redis does nothing else meanwhile."""

_LONG_ARRAY = 16
"""Values from which on an array of msgpack begins with 3 bytes and not with 1."""

Ask = Callable[[Sequence[Sequence[Any]]], list[Deferred[Any]]]
"""The replies to these commands, which go out in one write. Raises Lost."""


class Script:
    """A Lua script: its source and the hash that Redis knows it by."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self.source = source.encode()
        self.sha = hashlib.sha1(self.source).hexdigest()

    def __repr__(self) -> str:
        return f"<Script {self.name}>"


class ScriptArguments(NamedTuple):
    """What every script gets before its items, in the order in which lua/shared/opening.lua reads it."""

    instance: str = ""
    max_queued: str = "0"  # the high-water mark of a queue
    keep: str = "0"  # seconds for which a message is kept while a status of it may still have to be told
    retention: str = "0"  # seconds for which it is kept once nothing has to be told
    boot: str = ""  # unique to the process


class ScriptCalls:
    """Gathers what is asked of scripts. `here` gives a way to send commands over the connection of this moment.

    `arguments` is what every script gets before its items, `prefix` what stands before all keys. `shift` is by how many
    seconds a test pushes the clock that the scripts go by.
    """

    def __init__(
        self, clock: Any, here: Callable[[], Ask], arguments: ScriptArguments, prefix: str, shift: Callable[[], float]
    ) -> None:
        self.arguments = arguments
        self.prefix = prefix
        self._clock = clock
        self._here = here
        self._shift = shift
        self._pending: dict[Script, _Calls] = {}
        self._flush_due = False

    def join(self, script: Script, item: Sequence[Any]) -> Deferred[Any]:
        """The reply for one item, which goes out with all others of this turn."""
        reply: Deferred[Any] = Deferred()
        self._pending.setdefault(script, []).append((packed(item), reply))
        if not self._flush_due:
            self._clock.callLater(0, self._flush)
            self._flush_due = True
        return reply

    def evaluate(self, calls: Sequence[tuple[Script, Sequence[bytes]]]) -> list[Deferred[list[Any]]]:
        """The replies for the items of each call, in order; all go out in one write. Raises Lost."""
        ask, shift = self._here(), int(self._shift() * 1000)
        rest = [(1, self.prefix, shift, *self.arguments, *items) for _, items in calls]
        scripts = [script for script, _ in calls]

        def by_source(failure: Failure, script: Script, words: Sequence[Any]) -> Any:
            if failure.check(ErrorReply) and str(failure.value).startswith("NOSCRIPT"):
                return ask([("EVAL", script.source, *words)])[0]
            return failure

        asked = ask([("EVALSHA", script.sha, *words) for script, words in zip(scripts, rest, strict=True)])
        for one, script, words in zip(asked, scripts, rest, strict=True):
            one.addErrback(by_source, script, words)
        return asked

    def _flush(self) -> None:
        self._flush_due = False
        pending, self._pending = self._pending, {}
        try:
            parts = [(script, part) for script, calls in pending.items() for part in _chunks(calls)]
            answers = self.evaluate([(script, [item for item, _ in part]) for script, part in parts])
        except Exception:
            # Lost or NotAsked, or whatever else: nobody may be left to wait for ever.
            failure = Failure()
            for calls in pending.values():
                _fail(failure, calls)
            return
        for answer, (_, part) in zip(answers, parts, strict=True):
            answer.addCallback(_hand_out, part)
            answer.addErrback(_fail, part)


_For = TypeVar("_For")
_Calls = list[tuple[bytes, Deferred[Any]]]
"""Items as they go out, and whom their replies are for."""


def _hand_out(replies: list[Any], part: _Calls) -> None:
    # Whether there is one for each is known before anybody has theirs, or the others could not be told any more.
    for (_, reply), value in list(zip(part, replies, strict=True)):
        reply.callback(value)


def _fail(failure: Failure, part: _Calls) -> None:
    for _, reply in part:
        reply.errback(failure)


def chunks(items: Sequence[Sequence[Any]]) -> Iterator[list[bytes]]:
    """The items as they go out, as many at a time as one call may have."""
    for part in _chunks([(packed(item), None) for item in items]):
        yield [item for item, _ in part]


def packed(item: Sequence[Any]) -> bytes:
    """An item as a script gets it: its values one behind the other, so that they become arguments and no table."""
    whole = msgpack.encode(item)
    return whole[1:] if len(item) < _LONG_ARRAY else whole[3:]


def _chunks(calls: "list[tuple[bytes, _For]]") -> "Iterator[list[tuple[bytes, _For]]]":
    part: list[tuple[bytes, _For]] = []
    size = 0
    for call in calls:
        weight = len(call[0])
        if part and (len(part) >= CHUNK or size + weight > CHUNK_BYTES):
            yield part
            part, size = [], 0
        part.append(call)
        size += weight
    if part:
        yield part

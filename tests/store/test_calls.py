"""What scripts share of a call, without a Redis: whoever asked hears something, whatever it says."""

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from gatewayd.store.calls import Ask, Script, ScriptArguments, ScriptCalls


@pytest.mark.parametrize("said", [[b"a"], [b"a", b"b", b"c", b"d"], [], None, 7])
def test_a_reply_that_is_none_leaves_nobody_waiting(said: Any) -> None:
    """Of a Redis, or of a proxy before it, that says something else: who asked behind the last value heard nothing."""
    clock, told = Clock(), []

    def ask(commands: Sequence[Sequence[Any]]) -> list[Deferred[Any]]:
        replies: list[Deferred[Any]] = [Deferred() for _ in commands]
        for reply in replies:
            reply.callback(said)
        return replies

    def here() -> Ask:
        return ask

    calls, script = ScriptCalls(clock, here, ScriptArguments(), "t:", lambda: 0.0), Script("echo", "return 1")
    for number in range(3):
        calls.join(script, [number]).addErrback(lambda failure: told.append(failure.type))
    clock.advance(0)
    assert len(told) == 3

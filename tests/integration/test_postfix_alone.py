"""The private Postfix itself: it starts, delivers, survives a kill -9, and leaves nothing behind."""

from collections.abc import Callable

import pytest_twisted
from twisted.internet import reactor, task

from integration.postfix import Postfix


async def _eventually(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    for _ in range(int(seconds * 10)):
        if condition():
            return
        await task.deferLater(reactor, 0.1)
    raise AssertionError(what)


@pytest_twisted.ensureDeferred
async def test_it_delivers_before_and_after_a_kill() -> None:
    """A mail taken by the instance reaches the player's Maildir, also after kill -9 and a start on the same queue."""
    relay = Postfix(reactor)
    await relay.start()
    try:
        await relay.send("a@b.test", "player@player.test")
        await _eventually(lambda: len(relay.mailbox()) == 1, relay.log())
        relay.kill()
        await relay.start()
        await relay.send("a@b.test", "player@player.test")
        await _eventually(lambda: len(relay.mailbox()) == 2, relay.log())
    finally:
        await relay.stop()
    assert not relay.directory.exists()
